/* The ring pair, both halves against each other on threads: order, wrap-around, calls from many
 * threads, sleeping, staging. */
/* links: obj/libfrontend.a obj/libworker.a obj/libprotocol.a -lseccomp -lxengnttab -lxenevtchn */
/* san: thread */
#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/loopback.h"

static struct xg_channel *ch;

static uint32_t echo(struct xg_ring *r, const void *data, uint32_t size, void *out)
{
    uint32_t ticket, length;
    xg_ring_lock(r);
    void *p = xg_ring_begin_call(r, XG_OP_ECHO, xg_blob_room(size), &ticket);
    xg_blob_put(r, p, data, size);
    xg_ring_publish(r);
    xg_ring_unlock(r);
    assert_int_equal(xg_ring_wait(r, ticket, out, size, &length), 0);
    return length;
}

static void null_call(void **state)
{
    struct xg_ring *r = xg_channel_ring0(ch);
    for (int i = 0; i < 1000; i++) {
        uint32_t ticket;
        xg_ring_begin_call(r, XG_OP_NULL, 0, &ticket);
        xg_ring_publish(r);
        assert_int_equal(xg_ring_wait(r, ticket, NULL, 0, NULL), 0);
    }
}

static void unknown_opcode_is_not_supported(void **state)
{
    struct xg_ring *r = xg_channel_ring0(ch);
    static const uint16_t ops[] = {0x0fff, 0x1000, 0x7000, 0xffff, XG_OP_NONE};
    for (unsigned i = 0; i < XG_ARRAY_LEN(ops); i++) {
        uint32_t ticket;
        xg_ring_begin_call(r, ops[i], 0, &ticket);
        xg_ring_publish(r);
        assert_int_equal(xg_ring_wait(r, ticket, NULL, 0, NULL), -ENOSYS);
    }
}

/* Frames of every size, so that padding meets the ring's end everywhere. */
static void echo_all_sizes(void **state)
{
    struct xg_ring *r = xg_channel_ring0(ch);
    static uint8_t data[6000], back[6000];
    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
    for (uint32_t size = 0; size < 1000; size += 1) {
        memset(back, 0, sizeof(back));
        assert_int_equal(echo(r, data, size, back), size);
        assert_memory_equal(back, data, size);
    }
}

static void arena_blobs(void **state)
{
    struct xg_ring *r = xg_channel_ring0(ch);
    static uint8_t data[20000], back[20000];
    for (int round = 0; round < 300;
         round++) { /* more than the arena holds, so staging must come round */
        uint32_t size = 4097 + (uint32_t)(round * 37) % 11000;
        for (uint32_t i = 0; i < size; i++)
            data[i] = (uint8_t)(i + (uint32_t)round);
        assert_int_equal(echo(r, data, size, back), size);
        assert_memory_equal(back, data, size);
    }
}

static void one_way_stream(void **state)
{
    struct xg_ring *r = xg_channel_ring_acquire(ch);
    for (int i = 0; i < 200000; i++) {
        uint64_t *p = xg_ring_begin(r, XG_OP_NULL, (uint32_t)(i % 5) * 8);
        for (int k = 0; k < i % 5; k++)
            p[k] = (uint64_t)i;
        xg_ring_end(r);
    }
    assert_int_equal(xg_ring_wait_done(r, xg_ring_position(r)), 0);
    assert_true(xg_ring_done(r, xg_ring_position(r)));
    xg_channel_ring_release(r);
}

static void *hammer(void *arg)
{
    struct xg_ring *r = xg_channel_ring0(ch);
    uint64_t id = (uint64_t)(uintptr_t)arg, data[4], back[4];
    for (uint64_t i = 0; i < 1500; i++) {
        for (int k = 0; k < 4; k++)
            data[k] = id << 32 | i << 2 | (uint64_t)k;
        uint32_t n = echo(r, data, sizeof(data), back);
        if (n != sizeof(data) || memcmp(data, back, sizeof(data)))
            return (void *)1;
        if (i % 500 == 7)
            usleep(300); /* let the other side fall asleep */
    }
    return NULL;
}

static void calls_from_many_threads(void **state)
{
    pthread_t t[4];
    for (uintptr_t i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, hammer, (void *)i);
    for (int i = 0; i < 4; i++) {
        void *bad;
        pthread_join(t[i], &bad);
        assert_null(bad);
    }
}

static uint32_t burn_call(struct xg_ring *r, uint64_t ns)
{
    uint32_t ticket;
    uint64_t *p = xg_ring_begin_call(r, XG_OP_BURN, 8, &ticket);
    *p = ns;
    return ticket;
}

/* A sleeper that takes a reply nobody waits for yet must ask for the next one anew. Each lost
 * wake-up cost a game that reads state while its frames are presented half a second. */
static void waiting_out_of_order(void **state)
{
    struct xg_ring *r = xg_channel_ring0(ch);
    uint64_t start = xg_now_ns();
    for (int i = 0; i < 20; i++) {
        uint32_t first = burn_call(r, 500000), second = burn_call(r, 500000);
        xg_ring_publish(r);
        assert_int_equal(xg_ring_wait(r, second, NULL, 0, NULL), 0);
        assert_int_equal(xg_ring_wait(r, first, NULL, 0, NULL), 0);
    }
    assert_true(xg_now_ns() - start < 400000000);
}

/* Threads that sleep on one ring at once: what one takes out of it, or asks for, must not be lost
 * to the others. */
static void *sleepy(void *arg)
{
    struct xg_ring *r = arg;
    for (int i = 0; i < 150; i++) {
        uint32_t ticket;
        xg_ring_lock(r);
        uint64_t *ns = xg_ring_begin(r, XG_OP_BURN, 8);
        *ns = 100000; /* long enough to fall asleep */
        xg_ring_begin_call(r, XG_OP_NULL, 0, &ticket);
        xg_ring_publish(r);
        uint64_t position = xg_ring_position(r);
        xg_ring_unlock(r);
        if (i % 3 == 0)
            xg_ring_wait_done(r, position);
        if (xg_ring_wait(r, ticket, NULL, 0, NULL))
            return (void *)1;
    }
    return NULL;
}

static void sleepers_wake_each_other(void **state)
{
    struct xg_ring *r = xg_channel_ring0(ch);
    pthread_t t[3];
    void *bad;
    uint64_t start = xg_now_ns();
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, sleepy, r);
    for (int i = 0; i < 3; i++) {
        pthread_join(t[i], &bad);
        assert_null(bad);
    }
    /* 450 calls of 0.1 ms; a lost wake-up adds 500 ms. */
    assert_true(xg_now_ns() - start < 400000000);
}

static uint64_t executed_before(struct xg_ring *r)
{
    return atomic_load(&r->page->cmd_done);
}

/* Ring B's frames after xg_ring_after are not executed before ring A's. */
static void order_across_rings(void **state)
{
    struct xg_ring *a = xg_channel_ring_acquire(ch), *b = xg_channel_ring_acquire(ch);
    assert_ptr_not_equal(a, b);
    for (int i = 0; i < 20; i++) {
        uint64_t *ns = xg_ring_begin(a, XG_OP_BURN, 8);
        *ns = 2000000;
        xg_ring_publish(a);
        uint64_t position = xg_ring_position(a);
        xg_ring_after(b, a, position);
        uint32_t ticket;
        xg_ring_begin_call(b, XG_OP_NULL, 0, &ticket);
        xg_ring_publish(b);
        assert_int_equal(xg_ring_wait(b, ticket, NULL, 0, NULL), 0);
        assert_true(executed_before(a) >= position);
    }
    xg_channel_ring_release(a);
    xg_channel_ring_release(b);
}

/* A call that blocks, blocks only its own ring. */
static void a_slow_ring_stops_no_other(void **state)
{
    struct xg_ring *a = xg_channel_ring_acquire(ch), *b = xg_channel_ring_acquire(ch);
    uint64_t *ns = xg_ring_begin(a, XG_OP_BURN, 8);
    *ns = 300000000;
    xg_ring_publish(a);
    uint32_t ticket;
    xg_ring_begin_call(b, XG_OP_NULL, 0, &ticket);
    xg_ring_publish(b);
    assert_int_equal(xg_ring_wait(b, ticket, NULL, 0, NULL), 0);
    assert_false(xg_ring_done(a, xg_ring_position(a)));
    assert_int_equal(xg_ring_wait_done(a, xg_ring_position(a)), 0);
    xg_channel_ring_release(a);
    xg_channel_ring_release(b);
}

static void rings_are_shared_when_they_run_out(void **state)
{
    struct xg_ring *r[8];
    bool shared = false;
    for (int i = 0; i < 8; i++) {
        r[i] = xg_channel_ring_acquire(ch);
        shared |= r[i]->shared;
    }
    assert_true(shared);
    for (int i = 0; i < 8; i++)
        xg_channel_ring_release(r[i]);
    assert_false(r[0]->shared);
}

static int start(void **state)
{
    struct xg_geometry g = {
        .ring_count = 4, .cmd_order = XG_CMD_ORDER_MIN, .reply_order = 4, .arena_pages = 64};
    loopback_start(g, true);
    ch = xg_channel_get();
    return xg_channel_error(ch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(null_call),
        cmocka_unit_test(unknown_opcode_is_not_supported),
        cmocka_unit_test(echo_all_sizes),
        cmocka_unit_test(arena_blobs),
        cmocka_unit_test(one_way_stream),
        cmocka_unit_test(calls_from_many_threads),
        cmocka_unit_test(waiting_out_of_order),
        cmocka_unit_test(sleepers_wake_each_other),
        cmocka_unit_test(order_across_rings),
        cmocka_unit_test(a_slow_ring_stops_no_other),
        cmocka_unit_test(rings_are_shared_when_they_run_out),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
