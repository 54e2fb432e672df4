/* take BYTES TIMES [SECONDS]: lets its worker take so much memory that nobody counts (XG_OP_TAKE,
 * test mode), so often; stays for SECONDS; prints how often it did. */
/* links: obj/libfrontend.a obj/libprotocol.a */
#include "frontend/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int call(struct xg_ring *r, uint16_t op, uint64_t value)
{
    uint32_t ticket;
    xg_ring_lock(r);
    uint64_t *at = xg_ring_begin_call(r, op, sizeof(*at), &ticket);
    *at = value;
    xg_ring_publish(r);
    xg_ring_unlock(r);
    return xg_ring_wait(r, ticket, NULL, 0, NULL);
}

int main(int argc, char **argv)
{
    unsigned done = 0, times;
    if (argc < 3) {
        fprintf(stderr, "usage: take BYTES TIMES [SECONDS]\n");
        return 2;
    }
    times = (unsigned)strtoul(argv[2], NULL, 10);
    struct xg_channel *ch = xg_channel_get();
    struct xg_ring *r = xg_channel_ring0(ch);
    int err = xg_channel_error(ch);
    for (; !err && done < times; done++)
        err = call(r, XG_OP_TAKE, strtoull(argv[1], NULL, 10));
    if (!err && argc > 3) {
        printf("%u\n", done);
        fflush(stdout);
        sleep((unsigned)strtoul(argv[3], NULL, 10));
        err = call(r, XG_OP_TAKE, 1); /* it still can */
    }
    if (err) {
        const char *text = xg_channel_error_text(ch);
        done -= done > 0;
        fprintf(stderr, "take: %s (%s)\n", strerror(-err), text);
    }
    printf("%u\n", done);
    return err ? 1 : 0;
}
