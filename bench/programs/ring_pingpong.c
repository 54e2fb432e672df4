/*
 * ring_pingpong [ROUNDS]: the bare cost of a round trip. Two processes share one ring of the
 * protocol's layout; one writes a call's frame and polls for the reply, the other polls for the
 * frame and writes a reply, without tickets, checks, scheduler or sleeping. A null call through
 * xengpu is compared with it. Prints one JSON line, times in nanoseconds.
 */
#include "bench/programs/samples.h"
#include "protocol/ring.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define RING_BYTES (64u << 10)

struct shared {
    struct xg_ring_page page;
    uint8_t cmd[RING_BYTES];
    uint8_t reply[RING_BYTES];
};

static void position_await(_Atomic uint64_t *position, uint64_t value)
{
    while (atomic_load_explicit(position, memory_order_acquire) < value)
        xg_cpu_relax();
}

static void calls_answer(struct shared *s)
{
    uint64_t cons = 0, prod = 0;
    struct {
        struct xg_frame frame;
        struct xg_ticket ticket;
    } call;

    for (;;) {
        position_await(&s->page.cmd_prod, cons + sizeof(call));
        memcpy(&call, s->cmd + cons % RING_BYTES, sizeof(call));
        cons += call.frame.size;
        atomic_store_explicit(&s->page.cmd_cons, cons, memory_order_release);
        struct xg_reply reply = {.ticket = call.ticket.ticket, .size = sizeof(reply)};
        memcpy(s->reply + prod % RING_BYTES, &reply, sizeof(reply));
        prod += sizeof(reply);
        atomic_store_explicit(&s->page.reply_prod, prod, memory_order_release);
    }
}

static void call_make(struct shared *s, uint64_t round)
{
    struct {
        struct xg_frame frame;
        struct xg_ticket ticket;
    } call = {{XG_OP_NULL, XG_FRAME_CALL, sizeof(call)}, {(uint32_t)round + 1, 0}};
    struct xg_reply reply;

    memcpy(s->cmd + round * sizeof(call) % RING_BYTES, &call, sizeof(call));
    atomic_store_explicit(&s->page.cmd_prod, (round + 1) * sizeof(call), memory_order_release);
    position_await(&s->page.reply_prod, (round + 1) * sizeof(reply));
    memcpy(&reply, s->reply + round * sizeof(reply) % RING_BYTES, sizeof(reply));
    atomic_store_explicit(&s->page.reply_cons, (round + 1) * sizeof(reply), memory_order_release);
    if (reply.ticket != call.ticket.ticket)
        abort();
}

int main(int argc, char **argv)
{
    uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 0) : 200000;
    struct shared *s =
        mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct samples all = {0};
    pid_t parent = getpid(), child;

    if (s == MAP_FAILED || (child = fork()) < 0) {
        perror("ring_pingpong");
        return 1;
    }
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            return 1;
        calls_answer(s);
    }
    for (uint64_t i = 0; i < rounds; i++) {
        samples_begin(&all);
        call_make(s, i);
        samples_end(&all);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    samples_print(&all, "ring_pingpong");
    return 0;
}
