/* A peer that rewrites words of the shared index page at random: the other side may end the
 * channel, and may do nothing worse. Each round is a process of its own in which frontend, worker
 * and the one who spoils things are threads. */
/* links: obj/libfrontend.a obj/libworker.a obj/libprotocol.a -lseccomp -lxengnttab -lxenevtchn */
/* san: thread */
#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/loopback.h"

enum { ROUNDS = 40 };

static __thread uint64_t seed = 88172645463325252ull;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void seed_start(uint64_t n)
{
    seed = 88172645463325252ull + n * 0x9e3779b97f4a7c15;
}

static struct loopback *lb;
static uint64_t round_end;

/* Values near the true one are the dangerous ones. */
static uint64_t spoilt(uint64_t was)
{
    switch (rnd() % 6) {
    case 0: return was + 8;
    case 1: return was - 8;
    case 2: return was + (rnd() % 100000);
    case 3: return 0;
    case 4: return UINT64_MAX - rnd() % 64;
    default: return rnd();
    }
}

static void *spoil(void *arg)
{
    struct xg_ring_page *page =
        (struct xg_ring_page *)(lb->base + xg_geometry_ring_offset(&lb->req.geometry, 0));
    _Atomic uint64_t *words[] = {&page->cmd_prod,        &page->reply_cons, &page->reply_event,
                                 &page->done_event,      &page->cons_event, &page->cmd_cons,
                                 &page->cmd_done,        &page->reply_prod, &page->cmd_event,
                                 &page->reply_room_event};
    /* One side or the other misbehaves: 5 words are the frontend's, 5 the backend's. */
    unsigned first = (uintptr_t)arg & 1 ? 5 : 0;
    seed_start((uintptr_t)arg);
    while (xg_now_ns() < round_end) {
        _Atomic uint64_t *w = words[first + rnd() % 5];
        atomic_store(w, spoilt(atomic_load(w)));
        if (rnd() % 4 == 0)
            usleep(rnd() % 200);
    }
    _exit(0); /* nobody crashed in time */
}

static void *drive(void *arg)
{
    struct xg_ring *r = xg_channel_ring0(xg_channel_get());
    char data[64] = "the quick brown fox", out[64];

    for (;;) {
        for (uint64_t i = rnd() % 50; i; i--) {
            xg_ring_begin(r, XG_OP_NULL, (uint32_t)(rnd() % 16) * 8);
            xg_ring_end(r);
        }
        uint32_t ticket;
        void *p = xg_ring_begin_call(r, XG_OP_ECHO, xg_blob_room(sizeof(data)), &ticket);
        xg_blob_put(r, p, data, sizeof(data));
        xg_ring_publish(r);
        if (xg_ring_wait(r, ticket, out, sizeof(out), NULL) == -ENODEV)
            break;
    }
    return NULL;
}

static void round_run(uint64_t n)
{
    struct xg_geometry g = {
        .ring_count = 1, .cmd_order = XG_CMD_ORDER_MIN, .reply_order = 0, .arena_pages = 16};
    pthread_t spoiler, driver;

    seed_start(n);
    if (!freopen("/dev/null", "w", stderr))
        _exit(99);
    lb = loopback_start(g, true);
    if (xg_channel_error(xg_channel_get()))
        _exit(98);
    round_end = xg_now_ns() + 150000000;
    pthread_create(&driver, NULL, drive, NULL);
    pthread_create(&spoiler, NULL, spoil, (void *)(uintptr_t)n);
    pthread_join(driver, NULL);
    /* the frontend saw it and gave up; or it was told, and the worker has not ended yet */
    const struct xg_ring_page *page =
        (struct xg_ring_page *)(lb->base + xg_geometry_ring_offset(&g, 0));
    _exit(atomic_load(&page->error) == XG_RING_PROTOCOL ? XG_WORKER_EXIT_PROTOCOL : 0);
}

static void a_peer_that_spoils_words(void **state)
{
    unsigned noticed = 0;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0)
            round_run(i);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == XG_WORKER_EXIT_PROTOCOL)
            noticed++;
        else
            assert_int_equal(WEXITSTATUS(status), 0);
    }
    assert_true(noticed > 0); /* else nothing was spoilt at all */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_peer_that_spoils_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
