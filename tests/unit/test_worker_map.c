/* A worker that takes its channel on Xen: whatever fails on the way, it says so, and of what could
 * map other guests' pages nothing is left open. */
/* links: obj/libprotocol.a */
/* with: backend/worker/map.c tests/unit/fake_xen.c tests/unit/fake_xenstore.c */
#include "backend/worker/internal.h"
#include "tests/unit/fake_xen.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>
#include <xen/grant_table.h>
#include <xen/gntdev.h>

bool fake_may(enum fake_kind kind, const char *function);

static struct ioctl_gntdev_unmap_notify notify;

/* gntdev's, which the library does not wrap. */
int ioctl(int fd, unsigned long request, ...)
{
    va_list ap;
    va_start(ap, request);
    void *arg = va_arg(ap, void *);
    va_end(ap);
    if (request == IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR) {
        if (!fake_may(FAKE_MAP, "offset"))
            return -1;
        ((struct ioctl_gntdev_get_offset_for_vaddr *)arg)->offset = 0x5000;
        return 0;
    }
    if (request == IOCTL_GNTDEV_SET_UNMAP_NOTIFY) {
        if (!fake_may(FAKE_MAP, "notify"))
            return -1;
        notify = *(struct ioctl_gntdev_unmap_notify *)arg;
        return 0;
    }
    return (int)syscall(SYS_ioctl, fd, request, arg);
}

#define RINGS 3

static int take(struct xg_worker *w, struct xg_event *events, uint32_t ref)
{
    static struct xg_spawn_request rq;
    struct xg_spawn_fds fds = {.pages = memfd_create("refs", MFD_CLOEXEC)};
    uint32_t refs[64];
    rq = (struct xg_spawn_request){.platform = XG_PLATFORM_XEN, .domid = 5};
    rq.geometry =
        (struct xg_geometry){.ring_count = RINGS, .cmd_order = XG_CMD_ORDER_MIN, .arena_pages = 1};
    for (unsigned i = 0; i < RINGS; i++)
        rq.port[i] = fake_port(5);
    for (unsigned i = 0; i < XG_ARRAY_LEN(refs); i++)
        refs[i] = ref;
    assert_true(xg_geometry_pages(&rq.geometry) <= XG_ARRAY_LEN(refs));
    assert_int_equal(write(fds.pages, refs, sizeof(refs)), sizeof(refs));
    *w = (struct xg_worker){.req = &rq};
    return xg_worker_map(w, &fds, events);
}

static void all_is_well(void **state)
{
    struct xg_event events[XG_RINGS_MAX];
    struct xg_worker w;
    (void)state;
    fake_reset();
    unsigned before = fake_handles();
    assert_int_equal(take(&w, events, 9), 0);
    assert_non_null(w.base);
    assert_int_equal(fake_handles(), before); /* no gntdev, no library's handle */
    assert_int_equal(notify.index, 0x5000 + offsetof(struct xg_channel_page, back_alive));
    assert_int_equal(notify.event_channel_port, events[0].port);
    assert_int_equal(notify.action, UNMAP_NOTIFY_CLEAR_BYTE | UNMAP_NOTIFY_SEND_EVENT);
    for (unsigned i = 0; i < RINGS; i++) {
        assert_true(fcntl(events[i].wait_fd, F_GETFL) & O_NONBLOCK);
        close(events[i].wait_fd);
    }
    munmap(w.base, w.size);
}

static void whatever_fails(void **state)
{
    static const int errors[] = {EINVAL, ENOMEM, EAGAIN};
    struct xg_event events[XG_RINGS_MAX];
    struct xg_worker w;
    (void)state;
    for (unsigned e = 0; e < XG_ARRAY_LEN(errors); e++) {
        unsigned n = 0;
        for (bool reached = true; reached;) {
            fake_reset();
            unsigned before = fake_handles();
            memset(events, 0xff, sizeof(events));
            fake_fail(FAKE_OPEN | FAKE_MAP | FAKE_BIND, ++n, errors[e]);
            int rc = take(&w, events, 9);
            reached = fake_failed();
            assert_int_equal(rc, reached ? -errors[e] : 0);
            assert_int_equal(fake_handles(), before);
            for (unsigned i = 0; i < RINGS; i++)
                if (events[i].wait_fd >= 0)
                    close(events[i].wait_fd);
            if (w.base)
                munmap(w.base, w.size);
        }
        assert_int_equal(
            n, 1 + 3 * RINGS + 4); /* each ring: open, bind, restrict; open, map, two for its end */
    }
}

/* References that the guest made up. */
static void made_up_references(void **state)
{
    struct xg_event events[XG_RINGS_MAX];
    struct xg_worker w;
    (void)state;
    fake_reset();
    unsigned before = fake_handles();
    assert_int_equal(take(&w, events, UINT32_MAX), -EINVAL);
    assert_int_equal(fake_handles(), before);
    for (unsigned i = 0; i < RINGS; i++)
        close(events[i].wait_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_well),
        cmocka_unit_test(whatever_fails),
        cmocka_unit_test(made_up_references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
