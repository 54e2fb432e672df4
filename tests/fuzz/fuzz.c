#include "tests/fuzz/fuzz.h"

#include <sanitizer/asan_interface.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct xg_worker {
    uint64_t limit, used;
    void *state[XG_API_COUNT];
    int init[XG_API_COUNT]; /* 0: not tried, 1: works */
    struct xg_hold hold;
    jmp_buf thrown_out;
};

static struct xg_worker worker;
struct xg_worker *fuzz_worker = &worker;
static uint32_t seed, command;
static uint64_t frames; /* of all inputs */
static struct xg_ring_page page;
static _Alignas(4096) uint8_t arena[FUZZ_ARENA];

/* --- a driver's answers and looks ------------------------------------------------------------- */

uint32_t fuzz_constant(uint32_t what)
{
    uint32_t v = what + seed * 0x9e3779b9u;

    v = (v ^ v >> 16) * 0x7feb352du;
    v = (v ^ v >> 15) * 0x846ca68bu;
    return v ^ v >> 16;
}

uint32_t fuzz_answer(uint32_t what)
{
    return fuzz_constant(what ^ command * 0x85ebca6bu);
}

static volatile uint8_t sink;

/* AddressSanitizer's shadow says it quickly; memory of nobody has to be touched. */
void fuzz_read(const void *p, int64_t size)
{
    const volatile uint8_t *b = p;

    if (size <= 0)
        return;
    const uint8_t *bad = __asan_region_is_poisoned((void *)(uintptr_t)p, (size_t)size);
    if (bad)
        sink = *(const volatile uint8_t *)bad;
    for (int64_t i = 0; i < size; i += 4096)
        sink = b[i];
    sink = b[size - 1];
}

void fuzz_write(void *p, int64_t size, uint32_t what)
{
    uint8_t *b = p;

    if (size <= 0)
        return;
    memset(p, 0, (size_t)size);
    for (int64_t i = 0; i < size && i < 256; i += 4)
        b[i] = (uint8_t)(fuzz_answer(what + (uint32_t)i) & 63);
}

/* --- the worker ------------------------------------------------------------------------------- */

void *xg_worker_state(struct xg_worker *w, uint16_t api)
{
    return w->state[api];
}
const char *xg_worker_guest(const struct xg_worker *w)
{
    return "fuzz";
}
uint64_t xg_worker_memory_limit(const struct xg_worker *w)
{
    return w->limit;
}
bool xg_worker_memory_take(struct xg_worker *w, uint64_t bytes)
{
    uint64_t used = __atomic_add_fetch(&w->used, bytes, __ATOMIC_SEQ_CST);

    if (bytes < (uint64_t)1 << 48 && (!w->limit || used <= w->limit))
        return true;
    __atomic_sub_fetch(&w->used, bytes, __ATOMIC_SEQ_CST);
    return false;
}
/* More than was taken: the account would be wrong for the guest's other workers. */
void xg_worker_memory_give(struct xg_worker *w, uint64_t bytes)
{
    if (__atomic_fetch_sub(&w->used, bytes, __ATOMIC_SEQ_CST) < bytes)
        abort();
}
int xg_worker_memory_charge(struct xg_worker *w, int64_t bytes)
{
    if (bytes < 0)
        xg_worker_memory_give(w, (uint64_t)-bytes);
    return bytes < 0 || xg_worker_memory_take(w, (uint64_t)bytes) ? 0 : -12;
}
uint64_t xg_worker_memory_used(const struct xg_worker *w)
{
    return w->used;
}
void xg_worker_log(const struct xg_worker *w, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    static int shown = -1;

    if (shown < 0)
        shown = getenv("FUZZ_LOG") != NULL;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (shown)
        fprintf(stderr, "%s\n", text);
}
bool xg_worker_text_there(void)
{
    return false;
}
void xg_worker_text_mark(void)
{
}
void xg_worker_text_take(uint8_t *to, size_t room, bool marked, size_t *out, size_t *err)
{
    memset(to, 'x', room);
    *out = room;
    *err = 0;
}
void xg_worker_count(struct xg_worker *w, enum xg_counter what, uint64_t n)
{
}

enum { REPLY_MAX = 4096 };

uint32_t xg_reply_max(const struct xg_worker_ring *r)
{
    return REPLY_MAX - (uint32_t)sizeof(struct xg_reply);
}
bool xg_worker_commands_there(const struct xg_worker_ring *r)
{
    return false;
}
void xg_reply(struct xg_worker_ring *r, uint32_t ticket, int status, const void *data,
              uint32_t size)
{
    if (ticket && size <= xg_reply_max(r))
        fuzz_read(data, size);
    if (ticket && fuzz_target.replied)
        fuzz_target.replied(r, ticket, data, size);
}
/* A worker ends here. */
void xg_worker_fail(struct xg_worker_ring *r, const char *why)
{
    xg_worker_log(&worker, "thrown out: %s", why);
    longjmp(worker.thrown_out, 1);
}

void xg_hold_take(struct xg_worker *w, struct xg_hold *h)
{
    h->state = 1;
}
bool xg_hold_join(struct xg_worker *w, struct xg_hold *h)
{
    h->state = 1;
    return true;
}
void xg_hold_keep(struct xg_worker *w, struct xg_hold *h)
{
    h->state = 1;
}
void xg_hold_drop(struct xg_worker *w, struct xg_hold *h)
{
    h->state = 0;
}
uint32_t xg_worker_frame_limit(const struct xg_worker *w)
{
    return 0;
}
void xg_hold_lend(struct xg_worker *w, struct xg_hold *const *holds, unsigned count)
{
}
struct xg_hold *xg_worker_ring_hold(const struct xg_worker_ring *r)
{
    return &worker.hold;
}
const _Atomic uint32_t *xg_device_yield_word(const struct xg_worker *w, uint32_t *mask)
{
    static const _Atomic uint32_t never;
    *mask = 1;
    return &never;
}
void xg_ring_needed(struct xg_worker_ring *r, bool needed)
{
}
void xg_ring_needed_soon(struct xg_worker_ring *r)
{
}
void xg_device_progress(struct xg_worker *w)
{
}
bool xg_device_contended(const struct xg_worker *w)
{
    return seed & 1;
}
void xg_device_pause(struct xg_worker_ring *r)
{
}
void xg_device_resume(struct xg_worker_ring *r)
{
}
void xg_device_yield(struct xg_worker_ring *r)
{
}

/* --- an input --------------------------------------------------------------------------------- */

static uint16_t api_of(uint16_t op)
{
    unsigned api = op >> XG_OP_API_SHIFT;

    return (uint16_t)(fuzz_target.apis >> api & 1 ? api
                                                  : (unsigned)__builtin_ctz(fuzz_target.apis));
}

/* Each frame in memory of its own size; false: the guest was thrown out. */
static bool frame_replay(struct xg_worker_ring *r, const struct xg_frame *f, const uint8_t *payload,
                         uint32_t size)
{
    uint16_t api = api_of(f->op),
             op = (uint16_t)(api << XG_OP_API_SHIFT | (f->op & ((1u << XG_OP_API_SHIFT) - 1)));
    const struct xg_replay *replay = fuzz_target.replay[api];
    struct xg_reader rd;

    if (fuzz_target.wanted && !fuzz_target.wanted(op))
        return true;
    void *copy = malloc(size ? size : 1);

    command++;
    frames++;
    memcpy(copy, payload, size);
    xg_reader_init(&rd, copy, size, r->arena, r->arena_size);
    r->ticket = 0;
    if (f->flags & XG_FRAME_CALL) {
        const struct xg_ticket *t = xg_read(&rd, sizeof(*t));
        r->ticket = t->ticket;
        if (!r->ticket)
            xg_reader_fail(&rd, "call without ticket");
    }
    bool in = xg_reader_ok(&rd) && setjmp(worker.thrown_out) == 0;
    if (in) {
        if (!worker.init[api])
            worker.init[api] =
                replay->init && replay->init(&worker,
                                             &(struct xg_device_config){
                                                 .gl = true, .cuda_library = "libcuda.so.1"},
                                             &worker.state[api])
                    ? -1
                    : 1;
        if (worker.init[api] == 1)
            replay->dispatch(r, op, &rd);
        in = xg_reader_ok(&rd);
        if (!in)
            xg_worker_log(&worker, "thrown out: opcode 0x%04x: %s", op, rd.error);
    }
    free(copy);
    xg_scratch_reset(&r->scratch);
    return in;
}

bool fuzz_send(struct xg_worker_ring *r, uint16_t op, const void *payload, uint32_t size)
{
    uint8_t bytes[sizeof(struct xg_ticket) + 512];
    struct xg_frame f = {.op = op, .flags = XG_FRAME_CALL};

    *(struct xg_ticket *)bytes = (struct xg_ticket){.ticket = 1};
    memcpy(bytes + sizeof(struct xg_ticket), payload, size);
    return frame_replay(r, &f, bytes, (uint32_t)xg_align_up(sizeof(struct xg_ticket) + size, 8));
}

static void ring_idle(struct xg_worker_ring *r, bool rest)
{
    if (setjmp(worker.thrown_out))
        return;
    for (unsigned api = 1; api < XG_API_COUNT; api++) {
        const struct xg_replay *replay = fuzz_target.replay[api];
        if (r->api[api] && replay && replay->idle)
            replay->idle(r);
        if (rest && r->api[api] && replay && replay->rest)
            replay->rest(r);
    }
}

static void frames_replay(struct xg_worker_ring *r, const uint8_t *data, size_t size)
{
    for (unsigned n = 0; size >= sizeof(struct xg_frame); n++) {
        struct xg_frame f;
        memcpy(&f, data, sizeof(f));
        uint32_t most = (uint32_t)(size - sizeof(f)) & ~7u,
                 want = f.size < sizeof(f) ? 0 : (uint32_t)(f.size - sizeof(f)) & ~7u;
        uint32_t payload = want < most ? want : most;
        if (!frame_replay(r, &f, data + sizeof(f), payload))
            return;
        if (n % 8 == 7)
            ring_idle(r, n % 16 == 15);
        data += sizeof(f) + payload;
        size -= sizeof(f) + payload;
    }
    ring_idle(r, true);
}

/* What is freed waits a few inputs for who still uses it. As much as is usual would come from
 * memory that no cache has, each time. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=16:malloc_context_size=10";
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

static void frames_print(void)
{
    fprintf(stderr, "frames: %llu\n", (unsigned long long)frames);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    return atexit(frames_print);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xg_worker_ring r = {.worker = &worker, .arena_size = FUZZ_ARENA, .page = &page};
    struct fuzz_head h;

    if (size < sizeof(h))
        return -1;
    memcpy(&h, data, sizeof(h));
    memset(&worker, 0, sizeof(worker));
    memset(&page, 0, sizeof(page));
    worker.limit = (uint64_t)h.limit << 18;
    seed = h.seed;
    command = 0;
    r.arena = arena;
    memset(arena, 0, sizeof(arena));
    for (unsigned i = 0; i < 16384; i += 256)
        fuzz_write(r.arena + i, 256, i);
    if (xg_scratch_init(&r.scratch, 4096, 1 << 20))
        abort();
    if (fuzz_target.begin(&r, &h))
        frames_replay(&r, data + sizeof(h), size - sizeof(h));
    fuzz_target.end(&r);
    for (unsigned api = 1; api < XG_API_COUNT; api++)
        if (r.api[api] && fuzz_target.replay[api] && fuzz_target.replay[api]->ring_fini)
            fuzz_target.replay[api]->ring_fini(&r);
    for (unsigned api = 1; api < XG_API_COUNT; api++)
        if (worker.state[api] && fuzz_target.replay[api]->fini)
            fuzz_target.replay[api]->fini(worker.state[api]);
    if (fuzz_target.after)
        fuzz_target.after();
    xg_scratch_fini(&r.scratch);
    return 0;
}
