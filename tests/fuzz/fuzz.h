/*
 * Fuzzing of the replays (backend/gl, wsi, cuda) in one process: an input is what a hostile guest
 * writes to its ring. fuzz.c plays the worker around them: no rings, no scheduler, every frame and
 * every reply in memory of its own size, so that the sanitizers see each byte too far.
 *
 * An input is a head (struct fuzz_head), and frames as they lie in a command ring
 * (protocol/ring.h), one behind the other; a frame's size is cut to what there is, its API is one
 * of the target's.
 */
#ifndef XG_FUZZ_H
#define XG_FUZZ_H

#include "backend/worker.h"

#include <stddef.h>

struct fuzz_head {
    uint8_t api;   /* the target's to use: a kind of context */
    uint8_t seed;  /* what the driver answers, what the arena holds */
    uint8_t limit; /* not 0: of the guest's device memory, in 256 KiB */
    uint8_t moods; /* the driver's, see the target */
    uint32_t reserved;
};

enum { FUZZ_ARENA = 1 << 20 };

struct fuzz_target {
    unsigned apis; /* bits: 1 << XG_API_*, of frames; the first of them for those of another */
    const struct xg_replay *replay[XG_API_COUNT];
    /* Whether a frame is replayed: some stop their own guest only. */
    bool (*wanted)(uint16_t op);
    void (*replied)(struct xg_worker_ring *r, uint32_t ticket, const void *data, uint32_t size);
    /* Before the first frame and after the last, also when the guest was thrown out. */
    bool (*begin)(struct xg_worker_ring *r, const struct fuzz_head *h);
    void (*end)(struct xg_worker_ring *r);
    /* When the replays' states are gone. All but `begin` and `end` may be NULL. */
    void (*after)(void);
};
extern const struct fuzz_target fuzz_target;

extern struct xg_worker *fuzz_worker;
/* A call of the guest's with this payload; false: it was thrown out. */
bool fuzz_send(struct xg_worker_ring *r, uint16_t op, const void *payload, uint32_t size);

/* What the driver answers to question `what`: the same all through a command, so that who asks
 * twice gets one answer. */
uint32_t fuzz_answer(uint32_t what);
uint32_t fuzz_constant(uint32_t what); /* the same all through an input */
/* The driver reads or writes memory that it was handed. */
void fuzz_read(const void *p, int64_t size);
void fuzz_write(void *p, int64_t size, uint32_t what);

#endif
