/*
 * The guest's side of a channel, for the interposers. Knows no API.
 *
 * A process has one channel, opened at first use through the guest agent. Everything here may be
 * called when the channel is dead or could not be opened: frames then go to a private dummy, calls
 * answer -ENODEV.
 */
#ifndef XG_FRONTEND_CHANNEL_H
#define XG_FRONTEND_CHANNEL_H

#include "protocol/channel.h"
#include "protocol/codec.h"

#include <pthread.h>

struct xg_channel;

/*
 * A signal handler may run while its own thread holds one of our locks or waits here, and then end
 * the program: exit, XCloseDisplay, glXDestroyContext. It must not wait for something that its own
 * thread can only do after the handler has returned. So the thread that has one of our locks may
 * take it again. Code that waits for other threads asks how often its lock is held, and does not
 * wait under a lock that the handler's own thread held before.
 */
#define XG_LOCK_INITIALIZER PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP
XG_EXPORT void xg_lock_init(pthread_mutex_t *lock);
/* Whether this thread is inside a wait for the worker. Then the caller is a signal handler that
 * interrupted the wait. */
XG_EXPORT bool xg_wait_interrupted(void);

/*
 * The frontend's half of a ring. The fields are for the inline functions below only.
 * Threads: emitting needs the ring's lock, held from xg_ring_begin to xg_ring_end (xg_ring_lock),
 * unless only one thread uses the ring, as with a GL context that has a ring to itself.
 * xg_ring_wait needs no lock and must not be called with it held if others are to go on.
 */
struct xg_ring {
    uint8_t *cmd;   /* the command bytes; in a dead ring, the dummy */
    uint64_t mask;  /* bytes - 1 */
    uint64_t prod;  /* private: end of the last frame */
    uint64_t frame; /* private: start of the last frame */
    /* what cmd_prod holds; written by the thread that emits, read by others */
    _Atomic uint64_t published;
    uint64_t limit; /* private: prod may go up to here without looking at cmd_cons */
    struct xg_ring_page *page;
    struct xg_channel *channel;
    uint32_t index;
    uint32_t frame_max;
    _Atomic bool dead; /* set by whichever thread notices it; never cleared */
    bool shared;       /* several contexts use it: everybody takes the lock, and sets `owner` */
    void *owner;       /* for the API: whose frames came last */
    pthread_mutex_t lock;
    struct xg_ring_private *priv;
};

/* The process's channel, opened on the first call (about 10 ms to 1 s). Never NULL;
 * xg_channel_error says whether it works. Fork: the child opens one of its own on its first call
 * here. Thread-safe. */
XG_EXPORT struct xg_channel *xg_channel_get(void);
/* 0, or a negative errno: -ENODEV (no agent: XENGPU_SOCKET, /run/xengpu/agent.sock), -EACCES,
 * -ENOMEM, -EPROTO, -EPIPE (the channel was open and is lost). */
XG_EXPORT int xg_channel_error(struct xg_channel *ch);
/* For people: what went wrong and what to do about it; never NULL. */
XG_EXPORT const char *xg_channel_error_text(struct xg_channel *ch);
/* A number for this process's session; it differs after fork. */
XG_EXPORT uint64_t xg_channel_generation(void);
XG_EXPORT const struct xg_geometry *xg_channel_geometry(struct xg_channel *ch);
/* Device memory the guest may use, 0: no limit (vGPU type). */
XG_EXPORT uint64_t xg_channel_memory_limit(struct xg_channel *ch);
/* Called once, from any thread, when the channel is lost. At most 8 registrations. */
XG_EXPORT int xg_channel_on_lost(struct xg_channel *ch, void (*fn)(void *arg), void *arg);

/* Ring 0 belongs to the process (CUDA). Other rings are handed out to GL contexts; when they run
 * out, rings are shared
 * (->shared). Never NULL. */
XG_EXPORT struct xg_ring *xg_channel_ring0(struct xg_channel *ch);
XG_EXPORT struct xg_ring *xg_channel_ring_acquire(struct xg_channel *ch);
XG_EXPORT void xg_channel_ring_release(struct xg_ring *ring);

/* Relaxed: no other data depends on it. */
static inline bool xg_ring_dead(const struct xg_ring *r)
{
    return atomic_load_explicit(&r->dead, memory_order_relaxed);
}

static inline uint64_t xg_ring_published(const struct xg_ring *r)
{
    return atomic_load_explicit(&r->published, memory_order_relaxed);
}

static inline void xg_ring_lock(struct xg_ring *r)
{
    pthread_mutex_lock(&r->lock);
}

static inline void xg_ring_unlock(struct xg_ring *r)
{
    pthread_mutex_unlock(&r->lock);
}

/* Makes room for a frame (waits for the backend), pads to the end of the ring. Only xg_ring_begin
 * calls it. */
XG_EXPORT void xg_ring_reserve(struct xg_ring *r, uint32_t size);

/*
 * Starts a frame of `payload` bytes (a multiple of 8, with the header at most r->frame_max) and
 * returns where they go: write each once, in shared memory, read none back. Nothing is visible to
 * the backend before xg_ring_publish.
 */
static inline void *xg_ring_begin(struct xg_ring *r, uint16_t op, uint32_t payload)
{
    uint32_t size = payload + (uint32_t)sizeof(struct xg_frame);
    if (XG_UNLIKELY(r->prod + size > r->limit || (r->prod & r->mask) + size > r->mask + 1))
        xg_ring_reserve(r, size);
    struct xg_frame *f = (struct xg_frame *)(r->cmd + (r->prod & r->mask));
    r->frame = r->prod;
    f->op = op;
    f->flags = 0;
    f->size = size;
    r->prod += size;
    return f + 1;
}

/* Starts a call: as xg_ring_begin, with a ticket to wait on. */
XG_EXPORT void *xg_ring_begin_call(struct xg_ring *r, uint16_t op, uint32_t payload,
                                   uint32_t *ticket);

/* Shows the frames so far to the backend, and wakes it if it sleeps. One full barrier. */
XG_EXPORT void xg_ring_publish(struct xg_ring *r);

/* For many small frames (GL): publishes only when enough frames are there. A flush, a swap or a
 * call publishes in any case. */
#define XG_RING_BATCH 4096u
static inline void xg_ring_end(struct xg_ring *r)
{
    if (XG_UNLIKELY(r->prod - xg_ring_published(r) >= XG_RING_BATCH))
        xg_ring_publish(r);
}

/*
 * Publishes and waits for the reply. Up to `size` bytes of it go to `out`; *length (may be NULL)
 * gets its true length. Returns the reply's status: 0 or a negative errno; -ENODEV when the channel
 * is lost. Polls a little, then sleeps. Several threads may wait on one ring.
 */
XG_EXPORT int xg_ring_wait(struct xg_ring *r, uint32_t ticket, void *out, uint32_t size,
                           uint32_t *length);
/* The same; `polls`: for work on a GPU, during which the program does not want to sleep
 * (xg_poll_long_ns). */
XG_EXPORT int xg_ring_wait_polling(struct xg_ring *r, uint32_t ticket, void *out, uint32_t size,
                                   uint32_t *length, bool polls);

/* The position that the next frame will have: all frames so far lie before it. */
static inline uint64_t xg_ring_position(const struct xg_ring *r)
{
    return r->prod;
}

/* Whether the backend has executed everything before `position`. */
XG_EXPORT bool xg_ring_done(struct xg_ring *r, uint64_t position);
/* Publishes if necessary, and waits until the backend has executed everything before `position`. 0
 * or -ENODEV. */
XG_EXPORT int xg_ring_wait_done(struct xg_ring *r, uint64_t position);
/* Frames that follow on `r` are not executed before `other` has executed up to `position` (which
 * the caller has published). */
XG_EXPORT void xg_ring_after(struct xg_ring *r, struct xg_ring *other, uint64_t position);
/* A word that the worker keeps in the index page (struct xg_ring_page.word). */
XG_EXPORT uint32_t xg_ring_word(struct xg_ring *r, unsigned i);

/* --- blobs ------------------------------------------------------------------------------------ */

/* Above this many bytes a blob goes to the arena. */
#define XG_BLOB_INLINE_MAX 4096u
_Static_assert(3 * XG_BLOB_INLINE_MAX < XG_PAGE_SIZE << XG_CMD_ORDER_MIN >> 2,
               "the smallest ring has room for a frame with all blobs that a call has");

/* Room that a blob of `size` bytes takes in the frame. */
static inline uint32_t xg_blob_room(uint64_t size)
{
    return (uint32_t)sizeof(struct xg_blob) +
           (size <= XG_BLOB_INLINE_MAX ? (uint32_t)((size + 7) & ~7ull) : 0);
}

XG_EXPORT void *xg_blob_put_arena(struct xg_ring *r, void *at, const void *data, uint64_t size);

/*
 * Writes a blob at `at` inside the frame that is being written, and returns where the next thing
 * goes. data NULL: a NULL blob (size is then 0 for xg_blob_room). A large blob is copied once, into
 * staging memory of the arena, which is used again when the command is done. A blob may be as large
 * as half the arena (xg_blob_max); the caller splits larger data.
 */
static inline void *xg_blob_put(struct xg_ring *r, void *at, const void *data, uint64_t size)
{
    struct xg_blob *b = at;
    if (!data) {
        b->size = XG_NULL_BLOB;
        b->where = 0;
        return b + 1;
    }
    if (size > XG_BLOB_INLINE_MAX)
        return xg_blob_put_arena(r, at, data, size);
    b->size = (uint32_t)size;
    b->where = 0;
    memcpy(b + 1, data, size);
    return (char *)(b + 1) + ((size + 7) & ~7ull);
}
XG_EXPORT uint64_t xg_blob_max(struct xg_ring *r);

/* --- the arena as memory ---------------------------------------------------------------------- */

/* Memory shared with the worker, `align` >= 64 a power of two. *where as in a blob. NULL when the
 * arena is full. For pinned and mapped memory, for frames, and for results that are too large for a
 * reply. Not zeroed. */
XG_EXPORT void *xg_arena_alloc(struct xg_channel *ch, uint64_t size, uint64_t align,
                               uint32_t *where);
/* The same for memory that both sides will often copy in bulk: aligned for huge pages, and made of
 * huge pages where the system can do that, which takes about 2 to 4 ms for each 2 MiB at the first
 * use. */
XG_EXPORT void *xg_arena_alloc_bulk(struct xg_channel *ch, uint64_t size, uint32_t *where);
/* The caller must know that the worker is done with the memory (xg_ring_wait_done). */
XG_EXPORT void xg_arena_free(struct xg_channel *ch, void *p);
/* `where` for an address inside the arena whose offset is a multiple of 64; 0 for any other
 * address. */
XG_EXPORT uint32_t xg_arena_where(struct xg_channel *ch, const void *p);
/* The arena's base, its size, and the descriptor to map it from (for X's MIT-SHM); fd is -1 where
 * the platform has none that others can map (Xen's gntalloc). *fd_offset is the offset of the base
 * in it. The caller must not close the descriptor. */
XG_EXPORT void *xg_arena_base(struct xg_channel *ch, uint64_t *size, int *fd, uint64_t *fd_offset);

#endif
