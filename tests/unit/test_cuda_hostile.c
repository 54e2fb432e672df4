/* A guest that sends CUDA commands of the right shape with wrong contents, and of wrong shapes: the
 * worker may end the channel, and may do nothing worse. Each round is a process: a valid start,
 * then frames made from the generator's own table of commands; at its end nothing has leaked.
 * XG_SEED and XG_ROUNDS make it another, or longer; XG_DRIVER is a driver, softcuda if there is
 * none. */
/* links: obj/libfrontend.a obj/libworker.a obj/libcuda_replay.a obj/libcuda_common.a obj/libprotocol.a -lcuda -lseccomp -lxengnttab -lxenevtchn -lzstd -llz4 */
/* limit: 100 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cuda/shapes.h"
#include "cuda/abi.h"
#include "protocol/cuda/wire.h"
#include "tests/unit/loopback.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_LSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_LSAN 1
#endif
#endif
#ifdef HAVE_LSAN
int __lsan_do_recoverable_leak_check(void);
#endif

enum {
    ROUNDS = 48,
    FRAMES = 1500,
    BLOB_MAX = 2048,
    EXIT_LEAK = 90,
    EXIT_SETUP = 91,
    EXIT_STUCK = 92,
    EXIT_TOO_FAR = 93,
    ARENA_PAGES = 16,
};

#define WINDOW      ((uint64_t)0x310000000000)
#define WINDOW_SIZE ((uint64_t)64 << 20)
#define SNAPSHOT    9u
#define PLACES      32u /* arena places of 1 KiB that commands name; the first KiBs are INIT's */
#define PLACE(n)    (1 + 64 + (n) * (1024 / XG_BLOB_ALIGN))

const struct xg_replay *const xg_worker_replays[XG_API_COUNT] = {[XG_API_CUDA] = &xg_replay_cuda};

/* k stores its second parameter to the first; spin takes a while. */
static const char ptx[] =
    ".version 7.0\n.target sm_70\n.address_size 64\n.global .align 8 .u32 g[16];\n"
    ".visible .entry k(.param .u64 p, .param .u32 v){.reg .b64 %d;.reg .b32 %r;\n"
    "ld.param.u64 %d,[p];ld.param.u32 %r,[v];st.global.u32 [%d],%r;ret;}\n"
    ".visible .entry spin(.param .u32 n){.reg .b32 %r<2>;.reg .pred %p;\n"
    "ld.param.u32 %r0,[n];and.b32 %r0,%r0,0xffff;L: setp.eq.u32 %p,%r0,0;@%p bra E;sub.u32 "
    "%r0,%r0,1;bra L;E: ret;}\n";

/* What a round does, seen by the parent. */
static struct progress {
    _Atomic uint64_t frames, launches;
} * progress;

static _Atomic uint64_t launches; /* of this round */
static struct loopback *lb;
static struct xg_ring *ring;
static uint64_t seed;
static unsigned wildness; /* of 1,000 values, so many are wild */
static uint32_t ticket;
static uint64_t seq;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static bool one_in(unsigned n)
{
    return rnd() % n == 0;
}

/* --- values ----------------------------------------------------------------------------------- */

static uint64_t wild(void)
{
    static const uint64_t edge[] = {0,
                                    1,
                                    7,
                                    8,
                                    0x7fffffff,
                                    0x80000000,
                                    0xffffffff,
                                    0x100000000,
                                    INT64_MAX,
                                    (uint64_t)INT64_MAX + 1,
                                    UINT64_MAX,
                                    UINT64_MAX - 7,
                                    WINDOW,
                                    WINDOW - 8,
                                    WINDOW + WINDOW_SIZE,
                                    XG_CUDA_NAME_MAX,
                                    XG_CUDA_SLOTS,
                                    XG_CUDA_PARAM_BYTES_MAX};
    switch (rnd() % 3) {
    case 0: return edge[rnd() % XG_ARRAY_LEN(edge)];
    case 1: return edge[rnd() % XG_ARRAY_LEN(edge)] + rnd() % 17 - 8;
    default: return rnd() >> rnd() % 64;
    }
}

static uint64_t device_address(void)
{
    return WINDOW + (rnd() % 4 << 21) + (one_in(2) ? 0 : rnd() % 4096);
}

enum what { SMALL, NAME, BOOL, DEVICE, ARENA, BYTES, SEQ, SLOT, GRID, ANY };

/* What a field's name says of its values; what is not here is SMALL. */
static const struct {
    const char *field;
    enum what what;
} known[] = {
    {"ctx", NAME},         {"event", NAME},     {"start", NAME},   {"end", NAME},
    {"stream", NAME},      {"module", NAME},    {"func", NAME},    {"array", NAME},
    {"texture", NAME},     {"surface", NAME},   {"link", NAME},    {"alone", BOOL},
    {"flags", BOOL},       {"va", DEVICE},      {"src", DEVICE},   {"dst", DEVICE},
    {"where", ARENA},      {"table", ARENA},    {"out", ARENA},    {"shared", SMALL},
    {"table_size", BYTES}, {"out_size", BYTES}, {"size", BYTES},   {"offset", BYTES},
    {"seq", SEQ},          {"slot", SLOT},      {"grid_x", GRID},  {"grid_y", GRID},
    {"grid_z", GRID},      {"block_x", GRID},   {"block_y", GRID}, {"block_z", GRID},
    {"value", ANY},        {"hash", NAME},
};

static uint64_t tame(const char *field)
{
    enum what what = SMALL;

    for (unsigned i = 0; i < XG_ARRAY_LEN(known); i++)
        if (!strcmp(known[i].field, field))
            what = known[i].what;
    switch (what) {
    case NAME: return rnd() % 5;
    case BOOL: return one_in(4);
    case DEVICE: return device_address();
    case ARENA: return PLACE(rnd() % (PLACES - 4));
    case BYTES: return one_in(3) ? 4 : rnd() % 1024;
    case SEQ: return ++seq;
    case SLOT: return one_in(2) ? XG_CUDA_NO_SLOT : rnd() % XG_CUDA_SLOTS;
    case GRID: return one_in(3) ? 1 + rnd() % 32 : 1;
    case ANY: return rnd() % 1000;
    default: return one_in(3) ? 0 : rnd() % 6;
    }
}

static uint64_t value(const char *field)
{
    return rnd() % 1000 < wildness ? wild() : tame(field);
}

/* --- frames ----------------------------------------------------------------------------------- */

struct frame {
    const struct xg_cuda_shape *shape;
    uint16_t op;
    bool call;
    uint32_t size;
    uint8_t bytes[3 * BLOB_MAX + 256 + 64];
};

static void field_set(struct frame *f, const char *name, uint64_t v)
{
    for (unsigned i = 0; f->shape->field[i].name; i++)
        if (!strcmp(f->shape->field[i].name, name))
            memcpy(f->bytes + f->shape->field[i].at, &v, f->shape->field[i].size);
}

static uint64_t field_get(const struct frame *f, const char *name)
{
    uint64_t v = 0;
    for (unsigned i = 0; f->shape->field[i].name; i++)
        if (!strcmp(f->shape->field[i].name, name))
            memcpy(&v, f->bytes + f->shape->field[i].at, f->shape->field[i].size);
    return v;
}

static void blob_add(struct frame *f, const void *data, uint32_t size)
{
    struct xg_blob *b = (struct xg_blob *)(f->bytes + f->size);
    *b = (struct xg_blob){.size = data ? size : XG_NULL_BLOB};
    if (data)
        memcpy(b + 1, data, size);
    f->size += (uint32_t)(sizeof(*b) + (data ? xg_align_up(size, 8) : 0));
}

static void blob_in_arena(struct frame *f, uint32_t size, uint32_t where)
{
    *(struct xg_blob *)(f->bytes + f->size) = (struct xg_blob){.size = size, .where = where};
    f->size += sizeof(struct xg_blob);
}

/* Sizes that a command's own fields promise: without them nothing comes past the first check. */
static uint32_t blob_size(struct frame *f, const char *blob)
{
    static const uint32_t sizes[] = {4, 12, 16, 16, 16, 64, 256, 1024};

    if (!strcmp(blob, "resource"))
        return sizeof(CUDA_RESOURCE_DESC);
    if (!strcmp(blob, "texture_desc"))
        return sizeof(CUDA_TEXTURE_DESC);
    if (!strcmp(blob, "view"))
        return sizeof(CUDA_RESOURCE_VIEW_DESC);
    if (!strcmp(blob, "attrs"))
        return (uint32_t)(field_get(f, "attributes") % 8 * sizeof(struct xg_cuda_launch_attr));
    return sizes[rnd() % XG_ARRAY_LEN(sizes)];
}

static void blob_random(struct frame *f, unsigned i)
{
    uint8_t data[BLOB_MAX];
    uint32_t size = blob_size(f, f->shape->blob[i].name);

    if (wildness && one_in(200)) {
        blob_add(f, NULL, 0);
        return;
    }
    if (f->shape->blob[i].null && one_in(2)) {
        if (f->op == XG_CUDA_OP_MODULE_LOAD)
            field_set(f, "kind", XG_CUDA_LOAD_HASH);
        blob_add(f, NULL, 0);
        return;
    }
    for (uint32_t at = 0; at < size; at += 8) {
        uint64_t v = one_in(3) ? rnd() : one_in(2) ? device_address() : rnd() % 16;
        memcpy(data + at, &v, size - at < 8 ? size - at : 8);
    }
    if (!strcmp(f->shape->blob[i].name, "params") && !one_in(8)) {
        *(uint64_t *)data = WINDOW + rnd() % 512 * 8;
        size = 16;
    }
    if (f->shape->blob[i].string) {
        static const char *const names[] = {"k", "g", "spin", "", "none such"};
        const char *name = names[rnd() % XG_ARRAY_LEN(names)];
        blob_add(f, name, (uint32_t)strlen(name) + 1);
    } else if (!strcmp(f->shape->blob[i].name, "image") || (f->op == XG_CUDA_OP_LINK_ADD)) {
        char copy[sizeof(ptx)];
        memcpy(copy, ptx, sizeof(ptx));
        if (one_in(4))
            copy[rnd() % sizeof(ptx)] = (char)rnd();
        field_set(f, "size", sizeof(ptx));
        field_set(f, "hash", rnd() % 3);
        blob_add(f, copy, sizeof(ptx));
    } else if (one_in(8)) {
        blob_in_arena(f, size, PLACE(rnd() % (PLACES - 4)));
    } else {
        blob_add(f, data, size);
    }
}

/* The right shape; contents from field to field. */
static void frame_make(struct frame *f, const struct xg_cuda_shape *shape)
{
    memset(f, 0, sizeof(*f));
    f->shape = shape;
    f->op = shape->op;
    f->call = shape->call ? !one_in(16) : one_in(16);
    f->size = shape->fixed;
    for (unsigned i = 0; shape->field[i].name; i++)
        field_set(f, shape->field[i].name, value(shape->field[i].name));
    if (f->op == XG_CUDA_OP_MAP) {
        field_set(f, "va", WINDOW + (rnd() % 4 << 21));
        field_set(f, "size", (1 + rnd() % 2) << (one_in(2) ? 21 : 12));
    }
    if (f->op == XG_CUDA_OP_UNMAP && !one_in(4))
        field_set(f, "va", WINDOW + (rnd() % 4 << 21));
    if (f->op == XG_CUDA_OP_INIT && rnd() % 1000 >= wildness)
        field_set(f, "version", 1 + one_in(2)); /* right is fatal: it comes twice */
    if ((f->op == XG_CUDA_OP_LAUNCH || f->op == XG_CUDA_OP_LAUNCH_EX) && !one_in(8))
        field_set(f, "func", 1 + rnd() % 2);
    if (f->op == XG_CUDA_OP_LAUNCH_EX)
        field_set(f, "attributes", rnd() % 4);
    if (f->op == XG_CUDA_OP_LAUNCH || f->op == XG_CUDA_OP_LAUNCH_EX)
        field_set(f, "shared", rnd() % 64);
    if ((f->op == XG_CUDA_OP_SLOT_WAIT || f->op == XG_CUDA_OP_RETIRE_WAIT) &&
        rnd() % 1000 >= wildness)
        field_set(f, "seq", seq > 100 ? seq - rnd() % 100 : 0);
    if (f->op == XG_CUDA_OP_SLOT_WAIT && rnd() % 1000 >= wildness)
        field_set(f, "slot", rnd() % XG_CUDA_SLOTS);
    if (f->op == XG_CUDA_OP_MEMSET && rnd() % 1000 >= wildness)
        field_set(f, "element", 1u << rnd() % 3);
    if (f->op == XG_CUDA_OP_COPY3D) {
        if (field_get(f, "src_kind") == XG_CUDA_SIDE_ARENA)
            field_set(f, "src", 8192 + rnd() % 4096);
        if (field_get(f, "dst_kind") == XG_CUDA_SIDE_ARENA)
            field_set(f, "dst", 8192 + rnd() % 4096);
    }
    if ((f->op == XG_CUDA_OP_CTX_CONFIG || f->op == XG_CUDA_OP_FUNC_CONFIG) &&
        rnd() % 1000 >= wildness)
        field_set(f, "what", rnd() % 2);
    for (unsigned i = 0; shape->blob[i].name; i++)
        blob_random(f, i);
}

/* Those after which little can happen come less often. */
static bool rarely(uint16_t op)
{
    switch (op) {
    case XG_CUDA_OP_INIT: return !(wildness && one_in(20));
    case XG_CUDA_OP_CTX_SET:
    case XG_CUDA_OP_CTX_DESTROY:
    case XG_CUDA_OP_CTX_SET_LIMIT:
    case XG_CUDA_OP_MODULE_UNLOAD:
    case XG_CUDA_OP_UNMAP:
    case XG_CUDA_OP_FUNC_DROP:
    case XG_CUDA_OP_HOST_CALL: return !one_in(10);
    default: return false;
    }
}

/* Another shape: cut, longer, bits turned, another command's number. */
static void frame_spoil(struct frame *f)
{
    switch (rnd() % 4) {
    case 0: f->size = (uint32_t)(rnd() % (f->size + 8)) & ~7u; break;
    case 1: f->size += 8 + (rnd() % 48 & ~7u); break;
    case 2:
        for (unsigned i = 1 + rnd() % 4; i && f->size; i--)
            f->bytes[rnd() % f->size] ^= (uint8_t)(1u << rnd() % 8);
        break;
    default: f->op = (uint16_t)(XG_API_CUDA << XG_OP_API_SHIFT | (rnd() % 80)); break;
    }
}

static void frame_send(struct frame *f)
{
    uint32_t head = f->call ? sizeof(struct xg_ticket) : 0;
    uint8_t *p = xg_ring_begin(ring, f->op, head + f->size);

    if (f->call) {
        ((struct xg_frame *)p - 1)->flags = XG_FRAME_CALL;
        *(struct xg_ticket *)p = (struct xg_ticket){.ticket = ++ticket};
    }
    memcpy(p + head, f->bytes, f->size);
    if (wildness && one_in(4000))
        ((uint8_t *)p - sizeof(struct xg_frame))[rnd() % sizeof(struct xg_frame)] ^=
            (uint8_t)(1u << rnd() % 8);
    /* Answers are not looked at, but taken. */
    atomic_store(&ring->page->reply_cons, atomic_load(&ring->page->reply_prod));
    xg_ring_publish(ring);
    atomic_fetch_add_explicit(&progress->frames, 1, memory_order_relaxed);
}

/* --- a round ---------------------------------------------------------------------------------- */

static const struct xg_cuda_shape *shape_of(uint16_t op)
{
    for (unsigned i = 0; i < XG_ARRAY_LEN(xg_cuda_shapes); i++)
        if (xg_cuda_shapes[i].op == op)
            return &xg_cuda_shapes[i];
    return NULL;
}

#define SEND(op_, ...)                                                                             \
    do {                                                                                           \
        const struct {                                                                             \
            const char *name;                                                                      \
            uint64_t value;                                                                        \
        } set[] = {{NULL, 0}, ##__VA_ARGS__};                                                      \
        memset(&f, 0, sizeof(f));                                                                  \
        f.shape = shape_of(XG_CUDA_OP_##op_);                                                      \
        f.op = f.shape->op;                                                                        \
        f.call = f.shape->call;                                                                    \
        f.size = f.shape->fixed;                                                                   \
        for (unsigned i_ = 1; i_ < XG_ARRAY_LEN(set); i_++)                                        \
            field_set(&f, set[i_].name, set[i_].value);                                            \
    } while (0)

static void make_ready(void);

static void begin_valid(void)
{
    static struct frame f;

    SEND(INIT, {"version", XG_CUDA_WIRE_VERSION}, {"shared", 1}, {"window", WINDOW},
         {"window_size", WINDOW_SIZE}, {"snapshot", SNAPSHOT});
    frame_send(&f);
    make_ready();
}

static const struct xg_cuda_snapshot *snapshot(void)
{
    const uint8_t *arena = lb->base + xg_geometry_arena_offset(&lb->req.geometry);

    return (const struct xg_cuda_snapshot *)(arena + (SNAPSHOT - 1) * XG_BLOB_ALIGN);
}

/* Whatever happened before: contexts, memory, streams, a module with functions, and a launch. What
 * is there already is refused. */
static void make_ready(void)
{
    static struct frame f;
    struct {
        uint64_t p;
        uint32_t v;
    } params = {WINDOW, 42};
    uint32_t ctx = 1 + (uint32_t)one_in(3);

    SEND(CTX_PRIMARY, {"ctx", 1});
    frame_send(&f);
    SEND(CTX_CREATE, {"ctx", 2});
    frame_send(&f);
    SEND(CTX_SET, {"ctx", ctx});
    frame_send(&f);
    for (uint64_t i = 0; i < 2; i++) {
        SEND(MAP, {"va", WINDOW + (i << 21)}, {"size", 2 << 20});
        frame_send(&f);
    }
    for (uint32_t i = 1; i < 4; i++) {
        SEND(STREAM_CREATE, {"stream", i}, {"flags", 1});
        frame_send(&f);
        SEND(EVENT_CREATE, {"event", i});
        frame_send(&f);
    }
    SEND(MODULE_LOAD, {"module", 1}, {"hash", 1}, {"size", sizeof(ptx)}, {"table", PLACE(0)},
         {"table_size", 4096});
    blob_add(&f, ptx, sizeof(ptx));
    frame_send(&f);
    for (uint32_t i = 0; i < 2; i++) {
        SEND(FUNC_GET, {"func", i + 1}, {"module", 1}, {"index", i});
        frame_send(&f);
    }
    SEND(LAUNCH, {"func", 1}, {"stream", 1}, {"grid_x", 1}, {"grid_y", 1}, {"grid_z", 1},
         {"block_x", 1}, {"block_y", 1}, {"block_z", 1});
    blob_add(&f, &params, sizeof(params));
    frame_send(&f);
}

/* Behind each view of the channel's pages lies nothing that could be hit by chance. */
static void guard_pages(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    uint64_t end[64];
    unsigned n = 0;

    while (maps && n < XG_ARRAY_LEN(end) && fgets(line, sizeof(line), maps))
        if (strstr(line, "memfd:channel") && sscanf(line, "%*x-%" SCNx64, &end[n]) == 1)
            n++;
    if (maps)
        fclose(maps);
    while (n--)
        mmap((void *)(uintptr_t)end[n], 1 << 16, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
}

static bool caught_up(uint64_t seconds)
{
    uint64_t end = xg_now_ns() + seconds * 1000000000;

    while (atomic_load(&ring->page->cmd_done) < xg_ring_published(ring)) {
        atomic_store(&ring->page->reply_cons, atomic_load(&ring->page->reply_prod));
        xg_ring_publish(ring);
        if (xg_now_ns() > end)
            return false;
        usleep(500);
    }
    return true;
}

static void *scribble(void *arg)
{
    uint64_t state = (uintptr_t)arg | 1;
    uint8_t *arena = lb->base + xg_geometry_arena_offset(&lb->req.geometry);

    for (;;) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        ((volatile uint8_t *)arena)[4096 + (state >> 33) % 30000] = (uint8_t)(state >> 20);
        if ((state >> 40) % 64 == 0)
            usleep(100);
    }
    return NULL;
}

static void count_launches(enum xg_counter what, uint64_t n)
{
    if (what == XG_COUNT_LAUNCHES) {
        atomic_fetch_add(&launches, n);
        atomic_fetch_add_explicit(&progress->launches, n, memory_order_relaxed);
    }
}

static void round_start(void)
{
    struct xg_geometry g = {
        .ring_count = 1, .cmd_order = 4, .reply_order = 2, .arena_pages = ARENA_PAGES};

    setenv("SOFTCUDA_TIMEOUT_MS", "200", 1);
    setenv("SOFTCUDA_MEMORY", "64M", 1);
    setenv("SOFTCUDA_THREADS", "2", 1);
    loopback_cuda_library = getenv("XG_DRIVER") ? getenv("XG_DRIVER") : "libcuda.so.1";
    loopback_count = count_launches;
    lb = loopback_start(g, true);
    ring = xg_channel_ring0(xg_channel_get());
    if (xg_channel_error(xg_channel_get()))
        _exit(EXIT_SETUP);
    begin_valid();
    if (!caught_up(20) || atomic_load(&launches) != 1)
        _exit(EXIT_SETUP);
    guard_pages();
}

static void round_end(bool idle)
{
#ifdef HAVE_LSAN
    if (idle) {
        prctl(PR_SET_DUMPABLE, 1);
        if (__lsan_do_recoverable_leak_check())
            _exit(EXIT_LEAK);
    }
#endif
    (void)idle;
    _exit(0);
}

static void round_run(unsigned n)
{
    static struct frame f;
    pthread_t scribbler;
    uint64_t end;

    wildness = n % 4 == 0 ? 0 : n % 4 == 1 ? 1 : n % 4 == 2 ? 5 : 50;
    round_start();
    end = xg_now_ns() + 1500000000;
    if (wildness)
        pthread_create(&scribbler, NULL, scribble, (void *)(uintptr_t)rnd());
    for (unsigned i = 0; i < FRAMES && xg_now_ns() < end; i++) {
        frame_make(&f, &xg_cuda_shapes[rnd() % XG_ARRAY_LEN(xg_cuda_shapes)]);
        if (rarely(f.op))
            continue;
        if (one_in(50))
            make_ready();
        if (rnd() % 10000 < wildness * 3)
            frame_spoil(&f);
        frame_send(&f);
        while (atomic_load(&ring->page->cmd_prod) - atomic_load(&ring->page->cmd_cons) > 32768 &&
               xg_now_ns() < end)
            caught_up(0), usleep(100);
    }
    round_end(caught_up(1));
}

/* The context goes while the guest's host function holds up its stream, and calls wait behind it.
 */
static void round_context_in_use(unsigned unused)
{
    static struct frame f;

    round_start();
    SEND(EVENT_RECORD, {"event", 1}, {"stream", 2});
    frame_send(&f);
    SEND(HOST_CALL, {"stream", 1}, {"id", 7});
    frame_send(&f);
    for (unsigned i = 0; i < 40; i++) { /* more than one fence */
        SEND(MEMSET, {"stream", 1}, {"element", 4}, {"dst", WINDOW}, {"width", 1 << 18},
             {"height", 1});
        frame_send(&f);
    }
    SEND(EVENT_RECORD, {"event", 2}, {"stream", 1});
    frame_send(&f);
    SEND(EVENT_SYNC, {"event", 2});
    frame_send(&f);
    SEND(CTX_SYNC, {"alone", 0});
    frame_send(&f);
    caught_up(5);
    usleep(20000); /* threads wait */
    SEND(CTX_DESTROY, {"ctx", 1});
    frame_send(&f);
    if (!caught_up(5))
        _exit(EXIT_STUCK);
    make_ready();
    SEND(HOST_NEXT);
    frame_send(&f);
    SEND(HOST_DONE, {"id", 7});
    frame_send(&f);
    make_ready();
    bool idle = caught_up(5);
    usleep(50000);
    round_end(idle);
}

/* More than a driver takes, behind a host function that does not end, from a guest that does not
 * look whether there is room: it stops itself, and has no device meanwhile. */
static void round_no_room(unsigned unused)
{
    static struct frame f;

    round_start();
    if (!(snapshot()->flags & XG_CUDA_ARENA_REGISTERED)) /* there are no host functions */
        _exit(0);
    SEND(HOST_CALL, {"stream", 1}, {"id", 7});
    frame_send(&f);
    for (unsigned i = 0; i < 500; i++) {
        SEND(MEMSET, {"stream", 1}, {"element", 4}, {"dst", WINDOW}, {"width", 4}, {"height", 1});
        frame_send(&f);
        for (unsigned n = 0; n < 3; n++) {
            SEND(EVENT_RECORD, {"event", 2}, {"stream", 1});
            frame_send(&f);
        }
    }
    if (caught_up(2))
        _exit(EXIT_TOO_FAR);
    for (unsigned ms = 0; loopback_users; ms++) {
        if (ms == 3000)
            _exit(EXIT_STUCK);
        usleep(1000);
    }
    _exit(0);
}

/* To a driver a pitch of 0 is the box's own width: 64 rows would end behind the arena. */
static void round_box_without_pitch(unsigned unused)
{
    static struct frame f;

    round_start();
    SEND(COPY3D, {"stream", 1}, {"slot", XG_CUDA_NO_SLOT}, {"src_kind", XG_CUDA_SIDE_DEVICE},
         {"dst_kind", XG_CUDA_SIDE_ARENA}, {"src", WINDOW}, {"src_pitch", 64},
         {"dst", (ARENA_PAGES << 12) - 64}, {"width", 64}, {"height", 64}, {"depth", 1});
    frame_send(&f);
    caught_up(5);
    _exit(0);
}

static int round_status(void (*run)(unsigned), unsigned n)
{
    int status;

    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        run(n);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void a_context_in_use_is_destroyed(void **state)
{
    assert_int_equal(round_status(round_context_in_use, 0), 0);
}

static void no_room_behind_a_host_function(void **state)
{
    assert_int_equal(round_status(round_no_room, 0), 0);
}

static void a_box_without_pitch(void **state)
{
    int status = round_status(round_box_without_pitch, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == XG_WORKER_EXIT_PROTOCOL);
}

static void frames_that_make_no_sense(void **state)
{
    const char *rounds = getenv("XG_ROUNDS"), *start = getenv("XG_SEED");
    uint64_t first = start ? strtoull(start, NULL, 0) : 1;
    unsigned survived = 0, refused = 0, count = rounds ? (unsigned)atoi(rounds) : ROUNDS;

    for (unsigned i = 0; i < count; i++) {
        seed = (first + i) * 0x9e3779b97f4a7c15u;
        int status = round_status(round_run, (unsigned)(first + i));
        bool protocol = WIFEXITED(status) && WEXITSTATUS(status) == XG_WORKER_EXIT_PROTOCOL;
        if (!protocol && status != 0)
            fail_msg("XG_SEED=%" PRIu64 " XG_ROUNDS=1: %s %d", first + i,
                     WIFEXITED(status) ? "exit status" : "signal",
                     WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
        survived += !protocol;
        refused += protocol;
    }
    print_message("%u rounds to the end, %u refused, %" PRIu64 " frames, %" PRIu64 " launches\n",
                  survived, refused, atomic_load(&progress->frames),
                  atomic_load(&progress->launches));
    if (!rounds) {
        assert_true(survived >= count / 4); /* else nothing got deep */
        assert_true(refused > 0);           /* else nothing was wrong at all */
        assert_true(atomic_load(&progress->launches) > count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_context_in_use_is_destroyed),
                                       cmocka_unit_test(no_room_behind_a_host_function),
                                       cmocka_unit_test(a_box_without_pitch),
                                       cmocka_unit_test(frames_that_make_no_sense)};

    progress =
        mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
