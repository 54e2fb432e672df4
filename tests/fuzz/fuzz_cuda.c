/* CUDA: frames at softcuda, behind a valid INIT unless the head's `api` is odd. What the replay
 * leaves to the end of its process, contexts and mappings, is noted as the driver hands it out, and
 * taken back behind each input. */
#include "cuda/abi.h"
#include "protocol/cuda/wire.h"
#include "tests/fuzz/fuzz.h"

#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "cuda/ops.h"

#define WINDOW      ((uint64_t)0x310000000000)
#define WINDOW_SIZE ((uint64_t)64 << 20)
#define SNAPSHOT    9u

enum { KEPT = 4096 };
enum kind { NOTHING, CONTEXT, RESERVATION, MEMORY, MAPPING, HOST };

static struct kept {
    enum kind kind;
    uint64_t what, size;
} kept[KEPT];
static unsigned kept_end; /* of those in use so far, by this input */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool primary;

void *fuzz_dlopen(const char *name, int flags);
void *fuzz_dlsym(void *so, const char *name);

static void keep(enum kind kind, uint64_t what, uint64_t size)
{
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < KEPT; i++)
        if (!kept[i].kind) {
            kept[i] = (struct kept){kind, what, size};
            kept_end = i < kept_end ? kept_end : i + 1;
            break;
        }
    pthread_mutex_unlock(&lock);
}

static void drop(enum kind kind, uint64_t what)
{
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < kept_end; i++)
        if (kept[i].kind == kind && kept[i].what == what) {
            kept[i].kind = NOTHING;
            break;
        }
    pthread_mutex_unlock(&lock);
}

static CUresult ctx_create(CUcontext *ctx, unsigned flags, CUdevice device)
{
    CUresult r = cuCtxCreate_v2(ctx, flags, device);
    if (!r)
        keep(CONTEXT, (uintptr_t)*ctx, 0);
    return r;
}
static CUresult ctx_destroy(CUcontext ctx)
{
    CUresult r = cuCtxDestroy_v2(ctx);
    if (!r)
        drop(CONTEXT, (uintptr_t)ctx);
    return r;
}
static CUresult primary_retain(CUcontext *ctx, CUdevice device)
{
    primary = true;
    return cuDevicePrimaryCtxRetain(ctx, device);
}
static CUresult reserve(CUdeviceptr *p, size_t size, size_t align, CUdeviceptr at,
                        unsigned long long flags)
{
    CUresult r = cuMemAddressReserve(p, size, align, at, flags);
    if (!r)
        keep(RESERVATION, *p, size);
    return r;
}
static CUresult unreserve(CUdeviceptr p, size_t size)
{
    CUresult r = cuMemAddressFree(p, size);
    if (!r)
        drop(RESERVATION, p);
    return r;
}
static CUresult mem_create(CUmemGenericAllocationHandle *h, size_t size,
                           const CUmemAllocationProp *prop, unsigned long long flags)
{
    CUresult r = cuMemCreate(h, size, prop, flags);
    if (!r)
        keep(MEMORY, *h, size);
    return r;
}
static CUresult mem_release(CUmemGenericAllocationHandle h)
{
    CUresult r = cuMemRelease(h);
    if (!r)
        drop(MEMORY, h);
    return r;
}
static CUresult mem_map(CUdeviceptr p, size_t size, size_t offset, CUmemGenericAllocationHandle h,
                        unsigned long long flags)
{
    CUresult r = cuMemMap(p, size, offset, h, flags);
    if (!r)
        keep(MAPPING, p, size);
    return r;
}
static CUresult mem_unmap(CUdeviceptr p, size_t size)
{
    CUresult r = cuMemUnmap(p, size);
    if (!r)
        drop(MAPPING, p);
    return r;
}
static CUresult host_register(void *p, size_t size, unsigned flags)
{
    CUresult r = cuMemHostRegister_v2(p, size, flags);
    if (!r)
        keep(HOST, (uintptr_t)p, size);
    return r;
}
static CUresult host_unregister(void *p)
{
    CUresult r = cuMemHostUnregister(p);
    if (!r)
        drop(HOST, (uintptr_t)p);
    return r;
}

void *fuzz_dlopen(const char *name, int flags)
{
    return dlopen(name, flags);
}

struct own {
    const char *name;
    void *fn;
};

static int own_compare(const void *name, const void *own)
{
    return strcmp(name, ((const struct own *)own)->name);
}

void *fuzz_dlsym(void *so, const char *name)
{
    static const struct own own[] = {/* by name */
                                     {"cuCtxCreate_v2", (void *)ctx_create},
                                     {"cuCtxDestroy_v2", (void *)ctx_destroy},
                                     {"cuDevicePrimaryCtxRetain", (void *)primary_retain},
                                     {"cuMemAddressFree", (void *)unreserve},
                                     {"cuMemAddressReserve", (void *)reserve},
                                     {"cuMemCreate", (void *)mem_create},
                                     {"cuMemHostRegister_v2", (void *)host_register},
                                     {"cuMemHostUnregister", (void *)host_unregister},
                                     {"cuMemMap", (void *)mem_map},
                                     {"cuMemRelease", (void *)mem_release},
                                     {"cuMemUnmap", (void *)mem_unmap}};
    const struct own *o = bsearch(name, own, XG_ARRAY_LEN(own), sizeof(own[0]), own_compare);

    return o ? o->fn : dlsym(so, name);
}

/* Mappings before the memory and the window that they are of. */
static void take_back(enum kind kind)
{
    for (unsigned i = 0; i < kept_end; i++) {
        struct kept k = kept[i];
        if (k.kind != kind)
            continue;
        kept[i].kind = NOTHING;
        switch (kind) {
        case CONTEXT: cuCtxDestroy_v2((CUcontext)(uintptr_t)k.what); break;
        case RESERVATION: cuMemAddressFree(k.what, k.size); break;
        case MEMORY: cuMemRelease(k.what); break;
        case MAPPING: cuMemUnmap(k.what, k.size); break;
        case HOST: cuMemHostUnregister((void *)(uintptr_t)k.what); break;
        default: break;
        }
    }
}

/* Waits and host functions under way stay when a worker ends, for its threads:
 * unit/test_cuda_hostile looks for leaks while it lives. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}

__attribute__((constructor)) static void settings(void)
{
    setenv("SOFTCUDA_TIMEOUT_MS", "50", 1);
    setenv("SOFTCUDA_MEMORY", "64M", 1);
    setenv("SOFTCUDA_THREADS", "1", 1);
}

/* --- the guest's thread that runs host functions, on a ring of its own: without it a guest stops
 * itself --- */

static pthread_mutex_t alive_lock = PTHREAD_MUTEX_INITIALIZER;
static struct xg_worker_ring host_ring;
static bool alive;
static _Atomic bool asked;
static _Atomic uint64_t to_end;
static sem_t look;

static void host_send(uint16_t op, const void *payload, uint32_t size)
{
    struct xg_reader rd;

    xg_reader_init(&rd, payload, size, host_ring.arena, host_ring.arena_size);
    xg_replay_cuda.dispatch(&host_ring, op, &rd);
}

/* A replay that is there only now is not announced: a look in each millisecond finds it. */
static void look_wait(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    sem_timedwait(&look, &t);
}

static void *host_thread(void *arg)
{
    for (;;) {
        pthread_mutex_lock(&alive_lock);
        if (alive && xg_worker_state(fuzz_worker, XG_API_CUDA)) {
            struct xg_cuda_host_done done = {.id = atomic_load(&to_end)};
            struct xg_cuda_host_next next = {0};
            if (!atomic_load(&asked)) {
                host_send(XG_CUDA_OP_HOST_DONE, &done, sizeof(done));
                host_ring.ticket = 1;
                atomic_store(&asked, true);
                host_send(XG_CUDA_OP_HOST_NEXT, &next, sizeof(next));
            }
        }
        pthread_mutex_unlock(&alive_lock);
        look_wait();
    }
    return NULL;
}

static void replied(struct xg_worker_ring *r, uint32_t ticket, const void *data, uint32_t size)
{
    const struct xg_cuda_host_next_reply *next = data;

    if (r != &host_ring)
        return;
    if (size >= sizeof(*next))
        atomic_store(&to_end, next->id);
    atomic_store(&asked, false);
    sem_post(&look);
}

static void host_alive(const struct xg_worker_ring *r)
{
    static bool started;
    pthread_t thread;

    pthread_mutex_lock(&alive_lock);
    alive = r != NULL;
    if (r) {
        host_ring = *r;
        host_ring.index = 1;
        atomic_store(&asked, false);
    }
    pthread_mutex_unlock(&alive_lock);
    if (!started) {
        sem_init(&look, 0, 0);
        pthread_create(&thread, NULL, host_thread, NULL);
    }
    started = true;
    if (r)
        sem_post(&look);
}

static bool wanted(uint16_t op)
{
    return op != XG_CUDA_OP_HOST_NEXT;
}

static bool begin(struct xg_worker_ring *r, const struct fuzz_head *h)
{
    struct xg_cuda_init init = {.version = XG_CUDA_WIRE_VERSION,
                                .shared = 1,
                                .window = WINDOW,
                                .window_size = WINDOW_SIZE,
                                .snapshot = SNAPSHOT,
                                .options = h->moods & XG_CUDA_INIT_PINS};
    bool in = h->api & 1 || fuzz_send(r, XG_CUDA_OP_INIT, &init, sizeof(init));

    if (in)
        host_alive(r);
    return in;
}

/* What the driver still has to run calls back to the replay: it is over before that goes. */
static void end(struct xg_worker_ring *r)
{
    for (unsigned i = 0; i < kept_end; i++) {
        if (kept[i].kind == CONTEXT &&
            cuCtxSetCurrent((CUcontext)(uintptr_t)kept[i].what) == CUDA_SUCCESS)
            cuCtxSynchronize();
    }
    CUcontext ctx;
    if (primary && cuDevicePrimaryCtxRetain(&ctx, 0) == CUDA_SUCCESS &&
        cuCtxSetCurrent(ctx) == CUDA_SUCCESS)
        cuCtxSynchronize();
    host_alive(NULL);
}

static void after(void)
{
    cuCtxSetCurrent(NULL);
    take_back(CONTEXT);
    if (primary)
        cuDevicePrimaryCtxReset_v2(0);
    primary = false;
    take_back(HOST);
    take_back(MAPPING);
    take_back(MEMORY);
    take_back(RESERVATION);
    kept_end = 0;
}

const struct fuzz_target fuzz_target = {
    .apis = 1u << XG_API_CUDA,
    .replay = {[XG_API_CUDA] = &xg_replay_cuda},
    .wanted = wanted,
    .replied = replied,
    .begin = begin,
    .end = end,
    .after = after,
};
