/* burn NANOSECONDS SECONDS queue|call|frames: occupies the device (XG_OP_BURN, test mode) in pieces
 * of that length, either with a queue that is never empty or waiting for each; prints how many it
 * did. frames: FRAME of them are a frame, one is due each sixtieth of a second; prints how many
 * were, how many had ended before the next was due, and how many did not because the program itself
 * had been late to begin them. */
/* links: obj/libfrontend.a obj/libprotocol.a */
#include "frontend/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define QUEUE    1024u
#define FRAME    10u
#define FRAME_NS (1000000000u / 60)

static int burn_once(struct xg_ring *r, uint64_t ns, bool wait)
{
    uint32_t ticket;
    uint64_t *at;
    int err = 0;
    xg_ring_lock(r);
    at = wait ? xg_ring_begin_call(r, XG_OP_BURN, sizeof(*at), &ticket)
              : xg_ring_begin(r, XG_OP_BURN, sizeof(*at));
    *at = ns;
    xg_ring_publish(r);
    xg_ring_unlock(r);
    if (wait)
        err = xg_ring_wait(r, ticket, NULL, 0, NULL);
    return err;
}

static int frames_burn(struct xg_ring *r, uint64_t ns, uint64_t end)
{
    unsigned due = 0, on_time = 0, excused = 0;
    int err = 0;
    for (uint64_t at = xg_now_ns(); !err && at < end; due++) {
        uint64_t now = xg_now_ns(), start = now;
        if (now < at) {
            nanosleep(&(struct timespec){.tv_nsec = (long)(at - now)}, NULL);
            start = xg_now_ns();
        }
        for (unsigned i = 0; i < FRAME && !err; i++)
            err = burn_once(r, ns, i == FRAME - 1);
        now = xg_now_ns();
        on_time += now <= at + FRAME_NS;
        excused += now > at + FRAME_NS && start > at + FRAME_NS / 4;
        for (at += FRAME_NS; at + FRAME_NS < now; at += FRAME_NS)
            due++; /* passed over: too late to begin it */
    }
    printf("%u %u %u\n", due, on_time, excused);
    return err;
}

int main(int argc, char **argv)
{
    uint64_t position[QUEUE] = {0}, ns, end, count = 0;
    if (argc != 4) {
        fprintf(stderr, "usage: burn NANOSECONDS SECONDS queue|call|frames\n");
        return 2;
    }
    ns = strtoull(argv[1], NULL, 10);
    end = xg_now_ns() + (uint64_t)(strtod(argv[2], NULL) * 1e9);
    bool wait = !strcmp(argv[3], "call");
    struct xg_channel *ch = xg_channel_get();
    struct xg_ring *r = xg_channel_ring0(ch);
    int err = xg_channel_error(ch);
    if (!err && !strcmp(argv[3], "frames"))
        return frames_burn(r, ns, end) ? 1 : 0;
    for (; !err && xg_now_ns() < end; count++) {
        if (!wait)
            err = xg_ring_wait_done(r, position[count % QUEUE]);
        if (!err)
            err = burn_once(r, ns, wait);
        position[count % QUEUE] = xg_ring_position(r);
    }
    if (err)
        fprintf(stderr, "burn: %s (%s)\n", strerror(-err), xg_channel_error_text(ch));
    printf("%llu\n", (unsigned long long)count);
    return err ? 1 : 0;
}
