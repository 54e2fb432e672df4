/*
 * The worker: one process per guest application. It maps the channel, brings the device up, drops
 * what it may, then serves each ring on a thread of its own. An API's replay half plugs in as a
 * struct xg_replay.
 */
#ifndef XG_BACKEND_WORKER_H
#define XG_BACKEND_WORKER_H

#include "backend/sched.h"
#include "protocol/channel.h"
#include "protocol/codec.h"

struct xg_worker;
struct xg_sched_client;

/* Which device this worker uses; from the configuration's [pgpu] section. */
struct xg_device_config {
    char name[64];
    /* what dlopen is given: libcuda.so.1, or softcuda's path; "": no CUDA */
    char cuda_library[256];
    int cuda_ordinal;
    char egl_vendor[256]; /* __EGL_VENDOR_LIBRARY_FILENAMES, "": as the system has it */
    /* "surfaceless", or a DRM render node / index of EGL_EXT_device_enumeration; "": automatic */
    char egl_device[256];
    bool gl; /* serves OpenGL at all */
};

/* One ring and its thread. Fields above the line may be read by replay code on that thread. */
struct xg_worker_ring {
    struct xg_worker *worker;
    uint32_t index;
    struct xg_scratch scratch; /* reset after each command */
    void *api[XG_API_COUNT];   /* each API's state for this ring, its own to use */
    uint8_t *arena;
    uint64_t arena_size;
    struct xg_ring_page *page; /* shared with the guest */
    uint32_t ticket;           /* of the command being replayed, 0: one-way */
    /* the fields below are the worker's own */
    struct xg_worker_ring_private *priv;
    /* what the worker has stored in these words of the page; see xg_word_store */
    _Atomic uint32_t word[XG_RING_WORDS];
};

/* The words of the index page that the API keeps for the application. The guest can write to the
 * page too, so the worker never reads back from there what it stored. */
static inline void xg_word_store(struct xg_worker_ring *r, unsigned i, uint32_t value)
{
    atomic_store_explicit(&r->word[i], value, memory_order_relaxed);
    atomic_store_explicit(
        &r->page->word[i], value,
        memory_order_release); /* pairs with the acquire of the reader in the guest */
}

static inline uint32_t xg_word_stored(const struct xg_worker_ring *r, unsigned i)
{
    return atomic_load_explicit(&r->word[i], memory_order_relaxed);
}

struct xg_replay {
    const char *name;
    uint16_t api; /* XG_API_* */
    /* Once per worker, on the ring's thread, at the application's first command of this API: opens
     * the device, inside the sandbox. 0 or -errno with a text in xg_worker_log. *state is given
     * back by xg_worker_state. */
    int (*init)(struct xg_worker *w, const struct xg_device_config *dev, void **state);
    void (*fini)(void *state);
    /* On the ring's thread: replays one command. The reader holds its payload, behind the
     * ticket. */
    void (*dispatch)(struct xg_worker_ring *r, uint16_t op, struct xg_reader *rd);
    /* On the ring's thread when there are no more commands: flush what is buffered, check what is
     * waited for. Returns after how many nanoseconds it wants to be called again even without a
     * command, or UINT64_MAX. May be NULL. */
    uint64_t (*idle)(struct xg_worker_ring *r);
    /* On the ring's thread, before it sleeps because polling found no command either. May be
     * NULL. */
    void (*rest)(struct xg_worker_ring *r);
    /* Commands that touch no device, and so need not wait for this guest's turn. May be NULL: none.
     */
    bool (*uses_no_device)(uint16_t op);
    /* On the ring's thread, at its end. May be NULL. */
    void (*ring_fini)(struct xg_worker_ring *r);
};

extern const struct xg_replay xg_replay_gl, xg_replay_wsi, xg_replay_cuda;
/* What this program serves, by XG_API_*; backend/replays.c. A program without that file serves only
 * the core commands. */
extern const struct xg_replay *const xg_worker_replays[XG_API_COUNT];

void *xg_worker_state(struct xg_worker *w, uint16_t api);
/* The guest's name from the open request; for messages. */
const char *xg_worker_guest(const struct xg_worker *w);
/* The guest's limit of device memory in bytes, 0: none. And its account, which all its workers
 * share: charges `bytes` (negative gives back); -ENOMEM if that would exceed the limit. */
uint64_t xg_worker_memory_limit(const struct xg_worker *w);
int xg_worker_memory_charge(struct xg_worker *w, int64_t bytes);
/* The same for many small amounts; false: it would exceed the limit. Any thread. */
bool xg_worker_memory_take(struct xg_worker *w, uint64_t bytes);
void xg_worker_memory_give(struct xg_worker *w, uint64_t bytes);
/* What the guest uses now, all workers together. */
uint64_t xg_worker_memory_used(const struct xg_worker *w);
/* Frames that a window of this guest may have in a second, 0: no limit; it may change at any
 * time. */
uint32_t xg_worker_frame_limit(const struct xg_worker *w);
void xg_worker_log(const struct xg_worker *w, const char *fmt, ...) XG_PRINTF(2, 3);

/* What libraries of this process have written to descriptors 1 and 2, bounded: text for the
 * application, which an API's replay hands to it where the API says so. Any thread; the first costs
 * no system call. */
bool xg_worker_text_there(void);
/* Marks the text that is there now: xg_worker_text_take with `marked` takes it and no more. */
void xg_worker_text_mark(void);
/* Takes up to `room` bytes: first *out bytes from descriptor 1, then *err bytes from descriptor 2.
 * If all of `room` is used, there may be more. */
void xg_worker_text_take(uint8_t *to, size_t room, bool marked, size_t *out, size_t *err);

/* For `xengpu list` and `top`: frames presented, kernels launched. Any thread. */
void xg_worker_count(struct xg_worker *w, enum xg_counter what, uint64_t n);

/* Replies to the command being replayed (or, with the ticket kept, later and from any thread). A
 * no-op if ticket is 0. `data` may be NULL. At most xg_reply_max bytes; more goes through arena
 * memory that the call named. Waits for room. */
void xg_reply(struct xg_worker_ring *r, uint32_t ticket, int status, const void *data,
              uint32_t size);
uint32_t xg_reply_max(const struct xg_worker_ring *r);
/* Whether there are commands that were not copied out yet. On the ring's thread. */
bool xg_worker_commands_there(const struct xg_worker_ring *r);

/* The frontend broke the protocol: this channel ends. Handlers normally just use xg_reader_fail. */
void xg_worker_fail(struct xg_worker_ring *r, const char *why);

/* --- scheduler -------------------------------------------------------------------------------- */

/* How much work may be in flight, as time: if nobody else wants the device; and if somebody does,
 * or did within 0.1 s. How much a replay allows in any case is up to it. */
#define XG_FLIGHT_ALONE_NS  50000000u
#define XG_FLIGHT_SHARED_NS 2000000u

/*
 * The worker's loop holds the device for the ring while it replays (the holds of one guest share
 * the device). Work that goes on after the handler returned (CUDA launches) has a hold of its own:
 * xg_hold_keep when it is submitted, xg_hold_drop when it has completed. Both may be called from
 * any thread, but not by two at a time; keep only while the caller, or other work, holds the
 * device. When xg_device_contended is true another guest waits: keep little in flight, and the loop
 * stops at the next command until this guest's turn comes again. A handler that is about to wait
 * for something other than the device (another ring, the guest) calls xg_device_pause /
 * xg_device_resume around it.
 */
enum xg_hold_state { XG_HOLD_NONE, XG_HOLD_HELD, XG_HOLD_LENT };
struct xg_hold {
    _Atomic int state; /* enum xg_hold_state */
};
/* Waits for the device, unless the hold has it. */
void xg_hold_take(struct xg_worker *w, struct xg_hold *h);
/* Takes it if another hold of this worker still has the device. */
bool xg_hold_join(struct xg_worker *w, struct xg_hold *h);
void xg_hold_keep(struct xg_worker *w, struct xg_hold *h);
void xg_hold_drop(struct xg_worker *w, struct xg_hold *h); /* does nothing if it is not held */
static inline bool xg_hold_held(const struct xg_hold *h)
{
    return atomic_load_explicit(&h->state, memory_order_relaxed) == XG_HOLD_HELD;
}
/* For a device that can be stopped in the middle of its work: gives back those of the holds that
 * are held, waits for the device, and takes them again. Any thread; the work stands still
 * meanwhile. */
void xg_hold_lend(struct xg_worker *w, struct xg_hold *const *holds, unsigned count);
struct xg_hold *xg_worker_ring_hold(const struct xg_worker_ring *r);
/* The device is wanted back while (*word & mask). */
const _Atomic uint32_t *xg_device_yield_word(const struct xg_worker *w, uint32_t *mask);
/* Work that has the device cannot end without this ring's commands. Until that work is over, the
 * ring goes on without waiting for the device, and does not give it back. */
void xg_ring_needed(struct xg_worker_ring *r, bool needed);
/* Call this on the ring's thread before the first such work is submitted. */
void xg_ring_needed_soon(struct xg_worker_ring *r);
/* Some of the work that holds the device has completed. Work that keeps the device for long, but
 * makes progress, is not stuck. */
void xg_device_progress(struct xg_worker *w);
bool xg_device_contended(const struct xg_worker *w);
void xg_device_pause(struct xg_worker_ring *r);
void xg_device_resume(struct xg_worker_ring *r);
/* For a handler that has waited for its own work on the device and is about to add to it: if this
 * guest's turn is over, waits for the next. On the ring's thread. */
void xg_device_yield(struct xg_worker_ring *r);

#endif
