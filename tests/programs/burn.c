/* burn NANOSECONDS SECONDS queue|call: occupies the device (XG_OP_BURN, test mode) in pieces of
 * that length, either with a queue that is never empty or waiting for each; prints how many it did.
 * links: obj/libfrontend.a obj/libprotocol.a */
#include "frontend/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE 1024u

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

int main(int argc, char **argv)
{
    uint64_t position[QUEUE] = {0}, ns, end, count = 0;
    if (argc != 4) {
        fprintf(stderr, "usage: burn NANOSECONDS SECONDS queue|call\n");
        return 2;
    }
    ns = strtoull(argv[1], NULL, 10);
    end = xg_now_ns() + (uint64_t)(strtod(argv[2], NULL) * 1e9);
    bool wait = !strcmp(argv[3], "call");
    struct xg_channel *ch = xg_channel_get();
    struct xg_ring *r = xg_channel_ring0(ch);
    int err = xg_channel_error(ch);
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
