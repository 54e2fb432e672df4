/*
 * cuda_table_context: the stack of a thread's contexts, the primary one, limits and other settings,
 * what ends with a context, and what an error that spoils one leaves of it.
 */
/* links: -lcuda */
#include <pthread.h>

#include "tests/programs/cuda_table.h"

/* --- the stack -------------------------------------------------------------------------------- */

/* No depth is documented that a stack ends at. */
static bool pushed_and_popped(CUcontext wanted, unsigned times)
{
    bool ok = true;
    CUcontext c;

    for (unsigned i = 0; i < times; i++)
        ok = ok && cuCtxPushCurrent(wanted) == CUDA_SUCCESS;
    for (unsigned i = 0; i < times; i++)
        ok = ok && cuCtxPopCurrent(&c) == CUDA_SUCCESS && c == wanted;
    return ok;
}

static void stack(void)
{
    CUcontext a, b, c = NULL;
    CUdevice d = -1;

    OK(cuCtxGetCurrent(&c), c == ctx);
    OK(cuCtxCreate_v2(&a, 0, dev));
    OK(cuCtxGetCurrent(&c), c == a); /* who makes one has it */
    OK(cuCtxCreate_v2(&b, CU_CTX_SCHED_BLOCKING_SYNC, dev), b != a);
    OK(cuCtxPopCurrent(&c), c == b);
    OK(cuCtxGetCurrent(&c), c == a);
    OK(cuCtxPopCurrent(&c), c == a);
    OK(cuCtxGetCurrent(&c), c == ctx);

    OK(cuCtxPushCurrent(a));
    OK(cuCtxPushCurrent(b));
    OK(cuCtxPushCurrent(a)); /* it may be there more than once */
    OK(cuCtxGetCurrent(&c), c == a);
    OK(cuCtxGetDevice(&d), d == dev);
    OK(cuCtxSetCurrent(b)); /* takes the place of the top */
    OK(cuCtxPopCurrent(&c), c == b);
    OK(cuCtxPopCurrent(&c), c == b);
    OK(cuCtxSetCurrent(NULL)); /* takes the top away */
    OK(cuCtxGetCurrent(&c), c == ctx);
    OK(cuCtxPushCurrent(b));
    OK(cuCtxPopCurrent(NULL)); /* nobody need know which one it was */
    OK(cuCtxGetCurrent(&c), c == ctx);

    OK(cuCtxPopCurrent(&c), c == ctx);
    c = a;
    OK(cuCtxGetCurrent(&c), !c);
    NO(INVALID_CONTEXT, cuCtxPopCurrent(&c));
    NO(INVALID_CONTEXT, cuCtxPopCurrent(NULL));
    NO(INVALID_CONTEXT, cuMemAlloc(&(CUdeviceptr){0}, 64));
    OK(cuCtxSetCurrent(NULL)); /* of none, nothing */
    OK(cuCtxSetCurrent(a));    /* on an empty stack it is a push */
    OK(cuCtxGetCurrent(&c), c == a);
    NO(INVALID_VALUE, cuCtxPushCurrent(NULL));
    OK(cuCtxGetCurrent(&c), c == a);
    SEE(pushed_and_popped(b, 200) && cuCtxGetCurrent(&c) == CUDA_SUCCESS && c == a);
    OK(cuCtxDestroy(a)); /* the current one leaves the stack */
    OK(cuCtxGetCurrent(&c), !c);
    OK(cuCtxSetCurrent(ctx));
    OK(cuCtxDestroy(b)); /* any other leaves it alone */
    OK(cuCtxGetCurrent(&c), c == ctx);
}

static struct {
    CUcontext context;
    CUcontext found;
    CUresult bare, set, allocated, synchronized, device, after;
    int stage;
} other;

static void stage_is(int n)
{
    while (__atomic_load_n(&other.stage, __ATOMIC_ACQUIRE) != n)
        usleep(200);
}

static void stage_set(int n)
{
    __atomic_store_n(&other.stage, n, __ATOMIC_RELEASE);
}

static void *other_thread(void *unused)
{
    CUdeviceptr p;
    CUdevice d;

    cuCtxGetCurrent(&other.found);
    other.bare = cuMemAlloc(&p, 64);
    other.set = cuCtxSetCurrent(other.context);
    stage_set(1);
    stage_is(2);
    other.allocated = cuMemAlloc(&p, 64);
    other.synchronized = cuCtxSynchronize();
    other.device = cuCtxGetDevice(&d);
    other.after = cuCtxSetCurrent(NULL);
    return unused;
}

/* Each thread has a stack of its own. What another one ends stays on this one's, and is of no use.
 */
static void threads(void)
{
    CUcontext c;
    pthread_t t;

    other.found = ctx;
    OK(cuCtxCreate_v2(&other.context, 0, dev));
    SEE(pthread_create(&t, NULL, other_thread, NULL) == 0);
    stage_is(1);
    SEE(other.found == NULL);
    SEE(other.bare == CUDA_ERROR_INVALID_CONTEXT);
    SEE(other.set == CUDA_SUCCESS); /* current to two threads */
    OK(cuCtxDestroy(other.context));
    OK(cuCtxGetCurrent(&c), c == ctx);
    stage_set(2);
    SEE(pthread_join(t, NULL) == 0);
    SEE(other.allocated == CUDA_ERROR_CONTEXT_IS_DESTROYED);
    SEE(other.synchronized == CUDA_ERROR_CONTEXT_IS_DESTROYED);
    SEE(other.device == CUDA_ERROR_CONTEXT_IS_DESTROYED);
    SEE(other.after == CUDA_SUCCESS);
}

/* --- what a context says of itself ------------------------------------------------------------ */

static void identity(void)
{
    unsigned long long id, own, again;
    unsigned version = 0;
    CUcontext a, c;
    CUdevice d = -1;
    int driver;

    OK(cuCtxGetId(ctx, &own));
    OK(cuCtxCreate_v2(&a, 0, dev));
    OK(cuCtxGetId(NULL, &id), id != own); /* of the current one */
    OK(cuCtxGetId(a, &again), again == id);
    OK(cuCtxGetId(ctx, &again), again == own);
    OK(cuDriverGetVersion(&driver));
    OK(cuCtxGetApiVersion(a, &version), version >= 3020, version <= (unsigned)driver);
    OK(cuCtxGetDevice_v2(&d, a), d == dev);
    OK(cuCtxPopCurrent(&c), c == a);
    d = -1;
    OK(cuCtxGetDevice_v2(&d, a), d == dev); /* it need not be current */
    OK(cuCtxSynchronize_v2(a));
    OK(cuCtxDestroy(a));
    OK(cuCtxCreate_v2(&a, 0, dev));
    OK(cuCtxGetId(a, &again), again != id, again != own); /* for the program's whole life */
    OK(cuCtxDestroy(a));
}

static const unsigned policies[] = {CU_CTX_SCHED_AUTO, CU_CTX_SCHED_SPIN, CU_CTX_SCHED_YIELD,
                                    CU_CTX_SCHED_BLOCKING_SYNC};

static void flags(void)
{
    CUcontext a;
    unsigned f;

    for (unsigned i = 0; i < 4; i++) {
        note("%u", policies[i]);
        OK(cuCtxCreate_v2(&a, policies[i], dev));
        OK(cuCtxGetFlags(&f), (f & CU_CTX_SCHED_MASK) == policies[i]);
        OK(cuCtxSetFlags(policies[3 - i]));
        OK(cuCtxGetFlags(&f), (f & CU_CTX_SCHED_MASK) == policies[3 - i]);
        NO(INVALID_VALUE, cuCtxSetFlags(CU_CTX_SCHED_SPIN | CU_CTX_SCHED_YIELD));
        OK(cuCtxGetFlags(&f), (f & CU_CTX_SCHED_MASK) == policies[3 - i]);
        OK(cuCtxDestroy(a));
    }
    note("%s", "");
    OK(cuCtxCreate_v2(&a, CU_CTX_MAP_HOST | CU_CTX_LMEM_RESIZE_TO_MAX, dev));
    OK(cuCtxGetFlags(&f), f & CU_CTX_LMEM_RESIZE_TO_MAX);
    OK(cuCtxDestroy(a));
}

/* The driver may give more than was asked for, never less; it starts with the documented sizes. */
static const struct {
    CUlimit limit;
    size_t first, value;
} limit_values[] = {
    {CU_LIMIT_STACK_SIZE, 1024, 4096},
    {CU_LIMIT_PRINTF_FIFO_SIZE, 1 << 20, 2 << 20},
    {CU_LIMIT_MALLOC_HEAP_SIZE, 8 << 20, 16 << 20},
};

static void limits(void)
{
    CUcontext a;
    size_t v;

    OK(cuCtxCreate_v2(&a, 0, dev));
    for (unsigned i = 0; i < 3; i++) {
        note("%d", (int)limit_values[i].limit);
        OK(cuCtxGetLimit(&v, limit_values[i].limit), v >= limit_values[i].first);
        OK(cuCtxSetLimit(limit_values[i].limit, limit_values[i].value));
        OK(cuCtxGetLimit(&v, limit_values[i].limit), v >= limit_values[i].value);
    }
    note("%s", "");
    OK(cuCtxSetLimit(CU_LIMIT_MAX_L2_FETCH_GRANULARITY, 64)); /* 0 to 128 */
    OK(cuCtxGetLimit(&v, CU_LIMIT_MAX_L2_FETCH_GRANULARITY), v <= 128);
    NO(INVALID_VALUE, cuCtxSetLimit((CUlimit)99, 1));
    NO(INVALID_VALUE, cuCtxGetLimit(&v, (CUlimit)99));
    OK(cuCtxDestroy(a));
    OK(cuCtxGetLimit(&v, CU_LIMIT_PRINTF_FIFO_SIZE), v < 2 << 20); /* each context has its own */
    OK(cuCtxGetLimit(&v, CU_LIMIT_MALLOC_HEAP_SIZE), v < 16 << 20);
}

static void settings(void)
{
    int least = -99, greatest = 99;
    CUsharedconfig banks;
    CUfunc_cache cache;

    /* A preference: what the device cannot do it may go on to call no preference. */
    OK(cuCtxSetCacheConfig(CU_FUNC_CACHE_PREFER_L1));
    OK(cuCtxGetCacheConfig(&cache),
       cache == CU_FUNC_CACHE_PREFER_L1 || cache == CU_FUNC_CACHE_PREFER_NONE);
    NO(INVALID_VALUE, cuCtxSetCacheConfig((CUfunc_cache)4));
    OK(cuCtxGetCacheConfig(&cache),
       cache == CU_FUNC_CACHE_PREFER_L1 || cache == CU_FUNC_CACHE_PREFER_NONE);
    OK(cuCtxSetCacheConfig(CU_FUNC_CACHE_PREFER_NONE));
    OK(cuCtxGetSharedMemConfig(&banks), banks == CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE ||
                                            banks == CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE);
    /* Lower numbers are the greater priorities; 0 is the least. */
    OK(cuCtxGetStreamPriorityRange(&least, &greatest), least == 0, greatest <= 0);
    OK(cuCtxGetStreamPriorityRange(NULL, NULL));
    OK(cuCtxResetPersistingL2Cache());
}

/* --- the primary context ---------------------------------------------------------------------- */

static void primary(void)
{
    CUcontext p = NULL, q = NULL, c = NULL;
    unsigned flag = 99;
    int active = 99;
    CUdeviceptr m;

    OK(cuInit(0));
    OK(cuDeviceGet(&dev, 0));
    OK(cuDevicePrimaryCtxGetState(dev, &flag, &active), flag == 0, active == 0);
    NO(INVALID_CONTEXT, cuDevicePrimaryCtxRelease(dev)); /* nobody has it */
    OK(cuDevicePrimaryCtxSetFlags(dev, CU_CTX_SCHED_YIELD));
    OK(cuDevicePrimaryCtxGetState(dev, &flag, &active), flag == CU_CTX_SCHED_YIELD, active == 0);
    NO(INVALID_VALUE, cuDevicePrimaryCtxSetFlags(dev, CU_CTX_SCHED_SPIN | CU_CTX_SCHED_YIELD));
    OK(cuDevicePrimaryCtxGetState(dev, &flag, &active), flag == CU_CTX_SCHED_YIELD);

    OK(cuDevicePrimaryCtxRetain(&p, dev), p);
    OK(cuDevicePrimaryCtxGetState(dev, &flag, &active), active == 1);
    OK(cuCtxGetCurrent(&c), !c); /* to have it is not to use it */
    OK(cuCtxPushCurrent(p));
    OK(cuCtxGetFlags(&flag), (flag & CU_CTX_SCHED_MASK) == CU_CTX_SCHED_YIELD);
    if (on_softcuda()) { /* of these nothing is documented */
        OK(cuCtxSetFlags(CU_CTX_SCHED_SPIN));
        OK(cuDevicePrimaryCtxGetState(dev, &flag, &active), flag == CU_CTX_SCHED_SPIN);
        NO(INVALID_CONTEXT, cuCtxDetach(p)); /* it was not cuCtxAttach that gave it */
    }
    OK(cuMemAlloc(&m, 64));
    OK(cuDevicePrimaryCtxRetain(&q, dev), q == p); /* there is one */
    OK(cuDevicePrimaryCtxRelease(dev));
    OK(cuDevicePrimaryCtxGetState(dev, &flag, &active), active == 1); /* who retained it first */
    OK(cuMemsetD8(m, 1, 64), bytes_are(m, 64, 1));
    OK(cuDevicePrimaryCtxRelease(dev));
    OK(cuDevicePrimaryCtxGetState(dev, &flag, &active), active == 0,
       flag == CU_CTX_SCHED_YIELD); /* flags are the device's */
    NO(INVALID_CONTEXT, cuDevicePrimaryCtxRelease(dev));
    NO(CONTEXT_IS_DESTROYED, cuMemAlloc(&m, 64)); /* it is on the stack still */
    OK(cuCtxPopCurrent(&c), c == p);

    OK(cuDevicePrimaryCtxRetain(&p, dev));
    OK(cuCtxPushCurrent(p));
    OK(cuMemAlloc(&m, 64));
    OK(cuDevicePrimaryCtxReset(dev)); /* all that is in it goes, the count stays */
    OK(cuDevicePrimaryCtxGetState(dev, &flag, &active), active == 0);
    OK(cuCtxPopCurrent(&c), c == p);
    OK(cuDevicePrimaryCtxRelease(dev));
    OK(cuDevicePrimaryCtxReset(dev)); /* nothing to end is no error */
    OK(cuDevicePrimaryCtxRetain(&p, dev));
    OK(cuCtxSetCurrent(p));
    OK(cuMemAlloc(&m, 64));
    OK(cuMemsetD8(m, 2, 64), bytes_are(m, 64, 2));
    NO(INVALID_CONTEXT, cuCtxDestroy(p)); /* cuDevicePrimaryCtxRelease is for it */
    OK(cuMemFree(m));
    OK(cuDevicePrimaryCtxRelease(dev));
}

/* --- what ends with a context ----------------------------------------------------------------- */

static void ends(void)
{
    CUcontext a;
    CUdeviceptr p, left;
    CUstream s;
    unsigned type;
    size_t before, after, total;
    void *pinned;

    OK(cuMemAlloc(&left, 64));
    OK(cuMemsetD8(left, 5, 64));
    OK(cuMemGetInfo(&before, &total));
    OK(cuCtxCreate_v2(&a, 0, dev));
    OK(cuMemAlloc(&p, 32 << 20));
    OK(cuMemAllocHost(&pinned, 4096));
    OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cuMemsetD8Async(p + 64, 1, (32 << 20) - 64, s));
    OK(cuMemcpyDtoD(p, left, 64), bytes_are(p, 64, 5)); /* one address space for all contexts */
    OK(cuCtxDestroy(a));                                /* whatever is under way in it */
    NO(INVALID_VALUE, cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p));
    NO(INVALID_VALUE, cuMemFree(p));
    NO(INVALID_VALUE, cuMemsetD8(p, 1, 64));
    OK(cuMemGetInfo(&after, &total), after + (16 << 20) >= before);
    SEE(bytes_are(left, 64, 5));
    OK(cuMemFree(left));
    if (on_softcuda()) /* a driver follows it */
        NO(INVALID_CONTEXT, cuCtxDestroy(a));
}

/* Things of one context while another is current. */
static void beside(void)
{
    CUdeviceptr p, q;
    CUcontext a, c;
    CUstream s, t;
    CUevent e;
    CUfunction f = kernel("put");

    OK(cuMemAlloc(&p, 64));
    OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cuCtxCreate_v2(&a, 0, dev));
    OK(cuMemAlloc(&q, 64));
    OK(cuStreamCreate(&t, CU_STREAM_NON_BLOCKING));
    OK(cuEventCreate(&e, 0));
    OK(cuStreamGetCtx(s, &c), c == ctx);
    OK(cuStreamGetCtx(t, &c), c == a);
    OK(cuPointerGetAttribute(&c, CU_POINTER_ATTRIBUTE_CONTEXT, p), c == ctx);
    OK(cuPointerGetAttribute(&c, CU_POINTER_ATTRIBUTE_CONTEXT, q), c == a);
    OK(cuMemsetD8Async(p, 3, 64, s)); /* a stream knows its context */
    OK(cuStreamSynchronize(s), bytes_are(p, 64, 3));
    if (on_softcuda()) /* of a kernel it is not documented */
        OK(launch(f, p, 1234, s));
    OK(cuMemsetD32Async(p, 1234, 1, s));
    OK(cuStreamSynchronize(s), word_is(p, 1234));
    NO(INVALID_HANDLE, cuEventRecord(e, s)); /* event and stream must be of one context */
    OK(cuEventRecord(e, t));
    OK(cuStreamWaitEvent(s, e, 0)); /* to wait for it they need not be */
    OK(cuMemcpyPeer(q, a, p, ctx, 64), word_is(q, 1234));
    OK(cuMemcpyPeerAsync(q + 32, a, p, ctx, 4, t));
    OK(cuStreamSynchronize(t), word_is(q + 32, 1234));
    OK(cuMemFree(p)); /* memory does too */
    OK(cuStreamDestroy(s));
    OK(cuCtxDestroy(a));
}

/* --- errors that stay ------------------------------------------------------------------------- */

static const char wrong_ptx[] =
    ".version 6.4\n.target sm_70\n.address_size 64\n"
    ".visible .entry stray(.param .u64 to)\n{\n"
    "    .reg .b64 %d<2>;\n    .reg .b32 %r<2>;\n    ld.param.u64 %d1, [to];\n"
    "    mov.u32 %r1, 1;\n    st.global.u32 [%d1], %r1;\n    ret;\n}\n"
    ".visible .entry stop()\n{\n    trap;\n    ret;\n}\n";

static CUfunction wrong_kernel(const char *name)
{
    CUmodule m;
    CUfunction f;

    CHECK(cuModuleLoadData(&m, wrong_ptx));
    CHECK(cuModuleGetFunction(&f, m, name));
    return f;
}

/* The error is every call's answer from here on, until the context ends. */
#define SPOILT(error)                                                                              \
    do {                                                                                           \
        NO(error, cuCtxSynchronize());                                                             \
        NO(error, cuCtxSynchronize());                                                             \
        NO(error, cuStreamSynchronize(s));                                                         \
        NO(error, cuStreamQuery(s));                                                               \
        NO(error, cuStreamQuery(NULL));                                                            \
        NO(error, cuStreamWaitEvent(s, e, 0));                                                     \
        NO(error, cuStreamCreate(&(CUstream){0}, 0));                                              \
        NO(error, cuEventCreate(&(CUevent){0}, 0));                                                \
        NO(error, cuEventRecord(e, s));                                                            \
        NO(error, cuEventQuery(e));                                                                \
        NO(error, cuEventSynchronize(e));                                                          \
        NO(error, cuMemAlloc(&(CUdeviceptr){0}, 64));                                              \
        NO(error, cuMemAllocHost(&(void *){0}, 64));                                               \
        NO(error, cuMemGetInfo(&size, &total));                                                    \
        NO(error, cuMemcpyHtoD(p, &v, 4));                                                         \
        NO(error, cuMemcpyDtoH(&v, p, 4));                                                         \
        NO(error, cuMemcpyDtoD(p, p + 32, 4));                                                     \
        NO(error, cuMemcpyHtoDAsync(p, &v, 4, s));                                                 \
        NO(error, cuMemsetD8(p, 0, 4));                                                            \
        NO(error, cuMemsetD32Async(p, 0, 1, s));                                                   \
        NO(error, launch(f, p, 1, s));                                                             \
        NO(error, cuLaunchHostFunc(s, gate_wait, &open));                                          \
        NO(error, cuModuleLoadData(&(CUmodule){0}, table_ptx));                                    \
        NO(error, cuMemFree(p));                                                                   \
        NO(error, cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 2048));                                       \
    } while (0)

/* The host's memory goes nevertheless, whether the error is known already or not. */
#define FREED(p)                                                                                   \
    do {                                                                                           \
        if (on_softcuda()) /* a driver may say the error instead */                                \
            OK(cuMemFreeHost(p));                                                                  \
    } while (0)

/* What asks nothing of the device is answered. */
#define LEFT()                                                                                     \
    do {                                                                                           \
        OK(cuCtxGetCurrent(&c), c == ctx);                                                         \
        OK(cuDeviceGetAttribute(&n, CU_DEVICE_ATTRIBUTE_WARP_SIZE, dev), n == 32);                 \
        OK(cuDriverGetVersion(&n));                                                                \
        FREED(pinned[1]);                                                                          \
        OK(cuCtxPopCurrent(&c), c == ctx);                                                         \
        FREED(pinned[2]); /* in the memory's own */                                                \
        OK(cuCtxDestroy(ctx));                                                                     \
    } while (0)

#define SPOIL(error, call)                                                                         \
    do {                                                                                           \
        struct gate open = {1};                                                                    \
        CUfunction f = kernel("put");                                                              \
        CUdeviceptr p = upload(NULL, 64);                                                          \
        CUcontext c = NULL;                                                                        \
        size_t size, total;                                                                        \
        uint32_t v = 0;                                                                            \
        CUstream s;                                                                                \
        CUevent e;                                                                                 \
        int n;                                                                                     \
        void *pinned[3];                                                                           \
        for (unsigned i = 0; i < 3; i++)                                                           \
            CHECK(cuMemHostAlloc(&pinned[i], 64, 0));                                              \
        CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));                                         \
        CHECK(cuEventCreate(&e, 0));                                                               \
        OK(call);                                                                                  \
        FREED(pinned[0]);                                                                          \
        SPOILT(error);                                                                             \
        LEFT();                                                                                    \
    } while (0)

static void stray_kernel(void)
{
    CUdeviceptr nowhere = 0x10000;
    void *params[] = {&nowhere};
    CUfunction wrong = wrong_kernel("stray");

    SPOIL(ILLEGAL_ADDRESS, cuLaunchKernel(wrong, 1, 1, 1, 1, 1, 1, 0, s, params, NULL));
}

static void crooked_kernel(void)
{
    CUdeviceptr crooked = upload(NULL, 64) + 1;
    void *params[] = {&crooked};
    CUfunction wrong = wrong_kernel("stray");

    SPOIL(MISALIGNED_ADDRESS, cuLaunchKernel(wrong, 1, 1, 1, 1, 1, 1, 0, s, params, NULL));
}

static void trapped_kernel(void)
{
    CUfunction wrong = wrong_kernel("stop");

    SPOIL(LAUNCH_FAILED, cuLaunchKernel(wrong, 1, 1, 1, 1, 1, 1, 0, s, NULL, NULL));
}

/* A call that is refused spoils nothing. */
static void refused(void)
{
    CUfunction f = kernel("put");
    CUdeviceptr p = upload(NULL, 64), q;
    size_t total;
    void *params[] = {&p, &(uint32_t){1}};

    OK(cuDeviceTotalMem(&total, dev));
    NO(OUT_OF_MEMORY, cuMemAlloc(&q, total * 2));
    OK(cuCtxSynchronize());
    NO(INVALID_VALUE, cuLaunchKernel(f, 1, 1, 1, 1025, 1, 1, 0, NULL, params, NULL));
    OK(cuCtxSynchronize());
    NO(INVALID_VALUE, cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 4 << 20, NULL, params, NULL));
    OK(cuCtxSynchronize());
    NO(INVALID_VALUE, cuMemcpyHtoD(0, &total, 8));
    OK(cuCtxSynchronize());
    NO(INVALID_IMAGE, cuModuleLoadData(&(CUmodule){0}, "\1\2\3\4 nonsense"));
    OK(cuCtxSynchronize());
    OK(launch(f, p, 77, NULL));
    OK(cuCtxSynchronize(), word_is(p, 77));
    OK(cuMemFree(p));
}

static const struct table tables[] = {
    {"stack", stack},
    {"threads", threads},
    {"identity", identity},
    {"flags", flags},
    {"limits", limits},
    {"settings", settings},
    {"ends", ends},
    {"beside", beside},
    {"refused", refused},
    {"primary", primary, UNPREPARED},
    {"stray kernel", stray_kernel, APART},
    {"crooked kernel", crooked_kernel, APART},
    {"trapped kernel", trapped_kernel, APART},
    {0},
};

int main(void)
{
    return tables_run("context", tables);
}
