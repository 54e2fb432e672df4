/*
 * How pixels get into a window or a pixmap. By MIT-SHM from the arena's own pages, where they have
 * a descriptor that the X server can map; else through a SysV segment, with one copy; else by
 * PutImage over the connection (a remote display).
 */
#include "interposer/wsi/internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <unistd.h>
#include <xcb/shm.h>

enum screen_way { WAY_ARENA, WAY_SEGMENT, WAY_WIRE };

struct screen {
    xcb_connection_t *x;
    uint32_t drawable;
    uint8_t depth;
    xcb_gcontext_t gc;
    enum screen_way way;
    uint8_t shm_event; /* first event of MIT-SHM */
    xcb_shm_seg_t segment;
    const uint8_t *arena;
    uint64_t arena_offset; /* of the arena's start in the attached descriptor */
    uint8_t *memory;       /* WAY_SEGMENT */
    uint64_t memory_size;
    uint32_t request_bytes;
};

static bool request_ok(xcb_connection_t *x, xcb_void_cookie_t cookie)
{
    xcb_generic_error_t *e = xcb_request_check(x, cookie);
    bool ok = e == NULL && !xcb_connection_has_error(x);
    free(e);
    return ok;
}

static bool attach_arena(struct screen *s)
{
    uint64_t size, offset;
    int fd;
    uint8_t *base = xg_arena_base(xg_channel_get(), &size, &fd, &offset);

    if (!base || fd < 0 || offset + size > UINT32_MAX)
        return false;
    fd = fcntl(fd, F_DUPFD_CLOEXEC, 3); /* xcb closes the descriptor that it sends */
    if (fd < 0)
        return false;
    s->segment = xcb_generate_id(s->x);
    if (!request_ok(s->x, xcb_shm_attach_fd_checked(s->x, s->segment, fd, 1)))
        return false;
    s->arena = base;
    s->arena_offset = offset;
    return true;
}

/* A segment of at least `size` bytes. */
static bool attach_segment(struct screen *s, uint64_t size)
{
    if (s->memory) {
        xcb_shm_detach(s->x, s->segment);
        shmdt(s->memory);
        s->memory = NULL;
    }
    s->memory_size = xg_align_up(size, 1u << 20);
    int id = shmget(IPC_PRIVATE, s->memory_size, IPC_CREAT | 0600);
    if (id < 0)
        return false;
    void *at = shmat(id, NULL, 0);
    bool ok = at != (void *)-1;
    if (ok) {
        s->segment = xcb_generate_id(s->x);
        ok = request_ok(s->x, xcb_shm_attach_checked(s->x, s->segment, (uint32_t)id, 1));
        if (ok)
            s->memory = at;
        else
            shmdt(at);
    }
    shmctl(id, IPC_RMID, NULL);
    return ok;
}

static enum screen_way way_find(struct screen *s)
{
    const char *force = getenv("XENGPU_PRESENT"); /* "segment", "wire": for tests */
    const xcb_query_extension_reply_t *ext = xcb_get_extension_data(s->x, &xcb_shm_id);
    bool fds = false;

    if (!ext || !ext->present || (force && strcmp(force, "wire") == 0))
        return WAY_WIRE;
    s->shm_event = ext->first_event;
    xcb_shm_query_version_reply_t *v =
        xcb_shm_query_version_reply(s->x, xcb_shm_query_version(s->x), NULL);
    if (v)
        fds = v->major_version > 1 || (v->major_version == 1 && v->minor_version >= 2);
    free(v);
    if (fds && !(force && strcmp(force, "segment") == 0) && attach_arena(s))
        return WAY_ARENA;
    return attach_segment(s, 1) ? WAY_SEGMENT : WAY_WIRE;
}

struct screen *xg_screen_open(const char *display, uint32_t drawable, uint8_t depth, bool events)
{
    struct screen *s = calloc(1, sizeof(*s));
    uint32_t mask = XCB_EVENT_MASK_STRUCTURE_NOTIFY;
    uint32_t no_exposures = 0;

    if (!s)
        return NULL;
    s->x = xcb_connect(display, NULL);
    if (xcb_connection_has_error(s->x))
        goto fail;
    s->drawable = drawable;
    s->depth = depth;
    s->gc = xcb_generate_id(s->x);
    if (!request_ok(s->x, xcb_create_gc_checked(s->x, s->gc, drawable, XCB_GC_GRAPHICS_EXPOSURES,
                                                &no_exposures)))
        goto fail;
    if (events)
        xcb_change_window_attributes(s->x, drawable, XCB_CW_EVENT_MASK, &mask);
    s->request_bytes = xcb_get_maximum_request_length(s->x) * 4;
    s->way = way_find(s);
    xcb_flush(s->x);
    return s;
fail:
    xcb_disconnect(s->x);
    free(s);
    return NULL;
}

void xg_screen_close(struct screen *s)
{
    if (s->memory)
        shmdt(s->memory);
    xcb_disconnect(s->x);
    free(s);
}

xcb_connection_t *xg_screen_connection(struct screen *s)
{
    return s->x;
}

bool xg_screen_broken(struct screen *s)
{
    return xcb_connection_has_error(s->x) != 0;
}

static uint32_t put_shared(struct screen *s, uint32_t offset, uint32_t width, uint32_t height,
                           uint32_t stride)
{
    xcb_void_cookie_t c = xcb_shm_put_image(
        s->x, s->drawable, s->gc, (uint16_t)(stride / 4), (uint16_t)height, 0, 0, (uint16_t)width,
        (uint16_t)height, 0, 0, s->depth, XCB_IMAGE_FORMAT_Z_PIXMAP, 1, s->segment, offset);
    return c.sequence;
}

static int put_wire(struct screen *s, const uint8_t *pixels, uint32_t width, uint32_t height,
                    uint32_t stride)
{
    uint32_t rows = (s->request_bytes - 64) / (width * 4);
    uint8_t *copy;

    if (rows == 0)
        return -1;
    copy = malloc((uint64_t)rows * width * 4);
    if (!copy)
        return -1;
    for (uint32_t y = 0; y < height; y += rows) {
        uint32_t n = rows < height - y ? rows : height - y;
        for (uint32_t i = 0; i < n; i++)
            memcpy(copy + (uint64_t)i * width * 4, pixels + (uint64_t)(y + i) * stride,
                   width * 4ull);
        xcb_put_image(s->x, XCB_IMAGE_FORMAT_Z_PIXMAP, s->drawable, s->gc, (uint16_t)width,
                      (uint16_t)n, 0, (int16_t)y, 0, s->depth, n * width * 4, copy);
    }
    free(copy);
    return 0;
}

/* Waits until the X server has executed all requests so far. */
static void screen_sync(struct screen *s)
{
    free(xcb_get_input_focus_reply(s->x, xcb_get_input_focus(s->x), NULL));
}

int xg_screen_put(struct screen *s, const uint8_t *pixels, uint32_t width, uint32_t height,
                  uint32_t stride, uint32_t *sequence)
{
    uint64_t size = (uint64_t)stride * height;

    *sequence = 0;
    switch (s->way) {
    case WAY_ARENA:
        *sequence = put_shared(s, (uint32_t)(s->arena_offset + (uint64_t)(pixels - s->arena)),
                               width, height, stride);
        break;
    case WAY_SEGMENT:
        if (s->memory_size < size && !attach_segment(s, size)) {
            s->way = WAY_WIRE;
            return xg_screen_put(s, pixels, width, height, stride, sequence);
        }
        memcpy(s->memory, pixels, size);
        put_shared(s, 0, width, height, stride);
        screen_sync(s); /* there is only one segment: wait until it has been read */
        break;
    case WAY_WIRE:
        if (put_wire(s, pixels, width, height, stride))
            return -1;
        /* after this the frame is visible also to the application's own connection */
        screen_sync(s);
        break;
    }
    xcb_flush(s->x);
    return 0;
}

bool xg_screen_completes(struct screen *s, const xcb_generic_event_t *e, uint32_t sequence)
{
    uint8_t type = e->response_type & 0x7f;

    if (type == 0) /* an error: the window is destroyed */
        return (int32_t)(e->full_sequence - sequence) >= 0;
    if (s->way != WAY_ARENA || type != s->shm_event + XCB_SHM_COMPLETION)
        return false;
    return (int32_t)(e->full_sequence - sequence) >= 0;
}
