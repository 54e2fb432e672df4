/*
 * null_call [ROUNDS]: the cost of a synchronous call that does nothing, and of a one-way command,
 * through the whole of xengpu. Runs as a guest. Prints JSON lines, times in nanoseconds, rates per
 * second.
 */
/* links: obj/libfrontend.a obj/libprotocol.a */
#include "bench/programs/samples.h"
#include "frontend/channel.h"

int main(int argc, char **argv)
{
    uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 0) : 200000;
    struct xg_channel *ch = xg_channel_get();
    struct samples all = {0};
    struct xg_ring *r;
    uint32_t ticket;

    if (xg_channel_error(ch)) {
        fprintf(stderr, "null_call: %s\n", xg_channel_error_text(ch));
        return 1;
    }
    r = xg_channel_ring0(ch);
    for (uint64_t i = 0; i < rounds; i++) {
        samples_begin(&all);
        xg_ring_lock(r);
        xg_ring_begin_call(r, XG_OP_NULL, 0, &ticket);
        xg_ring_publish(r);
        xg_ring_unlock(r);
        if (xg_ring_wait(r, ticket, NULL, 0, NULL)) {
            fprintf(stderr, "null_call: %s\n", xg_channel_error_text(ch));
            return 1;
        }
        samples_end(&all);
    }
    samples_print(&all, "null_call");

    uint64_t began = xg_now_ns();
    xg_ring_lock(r);
    for (uint64_t i = 0; i < 10 * rounds; i++) {
        xg_ring_begin(r, XG_OP_NULL, 0);
        xg_ring_end(r);
    }
    xg_ring_publish(r);
    uint64_t position = xg_ring_position(r);
    xg_ring_unlock(r);
    if (xg_ring_wait_done(r, position))
        return 1;
    printf("{\"name\": \"null_command\", \"unit\": \"1/s\", \"value\": %.0f}\n",
           1e9 * 10 * (double)rounds / (double)(xg_now_ns() - began));
    return 0;
}
