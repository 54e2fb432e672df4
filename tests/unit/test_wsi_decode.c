/* The window system's decoder, against the shapes of its commands: each reaches its handler with
 * its fields and is answered as its description says; one that is cut reaches nobody. */
/* links: obj/libprotocol.a */
/* pkg: egl gl */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "backend/wsi/wsi.h"

#include "wsi/dispatch.c"
#include "wsi/shapes.h"

#define STATUS (-77)

static struct xg_worker_ring ring = {.ticket = 5};
static struct wsi_state *const state = (struct wsi_state *)&ring;
static const void *handed; /* to a handler, */
static uint16_t reached;   /* which was the one of this command */
static unsigned replies;

void xg_reply(struct xg_worker_ring *r, uint32_t ticket, int status, const void *data,
              uint32_t size)
{
    assert_ptr_equal(r, &ring);
    assert_int_equal(ticket, ring.ticket);
    assert_int_equal(status, STATUS);
    assert_int_equal(size, 0);
    replies++;
}

static void reach(uint16_t op, struct xg_worker_ring *r, struct wsi_state *s, const void *c)
{
    assert_ptr_equal(r, &ring);
    assert_ptr_equal(s, state);
    reached = op;
    handed = c;
}

#define TELLS(name, op)                                                                            \
    void xg_wsir_##name(struct xg_worker_ring *r, struct wsi_state *s,                             \
                        const struct xg_wsi_##name *c, struct xg_reader *rd)                       \
    {                                                                                              \
        reach(op, r, s, c);                                                                        \
    }
#define ANSWERS(name, op)                                                                          \
    int xg_wsir_##name(struct xg_worker_ring *r, struct wsi_state *s,                              \
                       const struct xg_wsi_##name *c)                                              \
    {                                                                                              \
        reach(op, r, s, c);                                                                        \
        return STATUS;                                                                             \
    }

TELLS(query, XG_WSI_OP_QUERY)
ANSWERS(context_create, XG_WSI_OP_CONTEXT_CREATE)
TELLS(context_destroy, XG_WSI_OP_CONTEXT_DESTROY)
ANSWERS(surface_create, XG_WSI_OP_SURFACE_CREATE)
TELLS(surface_resize, XG_WSI_OP_SURFACE_RESIZE)
TELLS(surface_destroy, XG_WSI_OP_SURFACE_DESTROY)
TELLS(make_current, XG_WSI_OP_MAKE_CURRENT)
TELLS(read_frame, XG_WSI_OP_READ_FRAME)
TELLS(sync_create, XG_WSI_OP_SYNC_CREATE)
TELLS(sync_destroy, XG_WSI_OP_SYNC_DESTROY)
ANSWERS(sync_wait, XG_WSI_OP_SYNC_WAIT)
TELLS(sync_server_wait, XG_WSI_OP_SYNC_SERVER_WAIT)

static bool decode_frame(uint16_t op, const void *frame, uint32_t size, bool *in)
{
    struct xg_reader rd;

    reached = 0;
    handed = NULL;
    replies = 0;
    xg_reader_init(&rd, frame, size, NULL, 0);
    bool known = xg_wsir_decode(&ring, state, op, &rd);
    *in = xg_reader_ok(&rd);
    return known;
}

static bool is_answered(uint16_t op)
{
    return op == XG_WSI_OP_CONTEXT_CREATE || op == XG_WSI_OP_SURFACE_CREATE ||
           op == XG_WSI_OP_SYNC_WAIT;
}

static void commands_reach_their_handlers(void **unused)
{
    uint64_t frame[32];
    bool in;

    memset(frame, 0x5a, sizeof(frame));
    for (unsigned i = 0; i < XG_ARRAY_LEN(xg_wsi_shapes); i++) {
        const struct xg_wsi_shape *s = &xg_wsi_shapes[i];
        assert_true(decode_frame(s->op, frame, s->fixed, &in));
        assert_true(in);
        assert_int_equal(reached, s->op);
        assert_ptr_equal(handed, frame);
        assert_int_equal(replies, is_answered(s->op));
    }
}

static void cut_commands_reach_nobody(void **unused)
{
    uint64_t frame[32] = {0};
    bool in;

    for (unsigned i = 0; i < XG_ARRAY_LEN(xg_wsi_shapes); i++)
        for (uint32_t size = 0; size < xg_wsi_shapes[i].fixed; size += 8) {
            assert_true(decode_frame(xg_wsi_shapes[i].op, frame, size, &in));
            assert_false(in);
            assert_null(handed);
            assert_int_equal(replies, 0);
        }
}

static void unknown_commands_are_told(void **unused)
{
    uint64_t frame[32] = {0};
    bool in;

    for (unsigned op = XG_WSI_OP_END; op < 0x3000; op++) {
        assert_false(decode_frame((uint16_t)op, frame, sizeof(frame), &in));
        assert_null(handed);
    }
}

static void fields_stand_where_they_always_did(void **unused)
{
    assert_int_equal(offsetof(struct xg_wsi_context_create, flags), 24);
    assert_int_equal(offsetof(struct xg_wsi_surface_create, flags), 16);
    assert_int_equal(offsetof(struct xg_wsi_make_current, read), 8);
    assert_int_equal(offsetof(struct xg_wsi_read_frame, stride), 16);
    assert_int_equal(offsetof(struct xg_wsi_sync_wait, timeout_ns), 8);
    assert_int_equal(XG_WSI_OP_QUERY, 0x2000);
    assert_int_equal(XG_WSI_OP_SYNC_SERVER_WAIT, 0x200b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_reach_their_handlers),
        cmocka_unit_test(cut_commands_reach_nobody),
        cmocka_unit_test(unknown_commands_are_told),
        cmocka_unit_test(fields_stand_where_they_always_did),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
