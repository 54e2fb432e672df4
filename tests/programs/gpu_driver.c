/*
 * gpu_driver QUESTION [quick]: asks the CUDA driver of this machine what documentation leaves open
 * and xengpu's worker must know. `gpu_driver list` names the questions. Each runs in a process of
 * its own, as one may spoil the driver for the next.
 *
 * A line for each answer, fields between tabs: name, outcome (ok, failed, absent, note), text, and
 * figures as name=value. "failed" is an answer that the worker does not stand; whatever else the
 * driver says is a note. The driver is opened at run time, so this starts anywhere.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "backend/cuda/driver.h"

#define MIB      ((size_t)1 << 20)
#define GRAIN    (2 * MIB)
#define WINDOW   ((CUdeviceptr)0x200000000000)
#define REGISTER (CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP)

/* What only this program calls. */
#define MORE(X)                                                                                    \
    X(cuGetErrorName)                                                                              \
    X(cuModuleGetFunction)                                                                         \
    X(cuMemcpyHtoD_v2)                                                                             \
    X(cuMemcpyDtoH_v2)                                                                             \
    X(cuMemsetD8_v2)                                                                               \
    X(cuMemHostAlloc)                                                                              \
    X(cuMemFreeHost)                                                                               \
    X(cuStreamWriteValue32_v2)                                                                     \
    X(cuStreamWaitValue32_v2)

#define EACH(X) CU_DRIVER_NEEDED(X) CU_DRIVER_WANTED(X) MORE(X)

static struct {
#define X(name) __typeof__(&name) name;
    EACH(X)
#undef X
} d;

static bool quick;
static const char *question;
static CUdevice device;
static CUcontext ctx;

/* spin(ns) runs so long by the device's clock; add(p) adds one to *p; deep uses local memory; talk
 * prints; look reads *p. */
static const char ptx[] =
    ".version 6.4\n.target sm_70\n.address_size 64\n"
    ".visible .entry spin(.param .u64 ns)\n{\n.reg .b64 %t<4>;\n.reg .pred %p;\n"
    "ld.param.u64 %t0,[ns];\nmov.u64 %t1,%globaltimer;\nadd.u64 %t1,%t1,%t0;\n"
    "L: mov.u64 %t2,%globaltimer;\nsetp.lt.u64 %p,%t2,%t1;\n@%p bra L;\nret;\n}\n"
    ".visible .entry add(.param .u64 p)\n{\n.reg .b64 %a;\n.reg .b32 %v;\n"
    "ld.param.u64 %a,[p];\nld.u32 %v,[%a];\nadd.u32 %v,%v,1;\nst.u32 [%a],%v;\nret;\n}\n"
    ".visible .entry deep(.param .u64 p)\n{\n.local .align 8 .b8 room[65536];\n.reg .b64 "
    "%a<3>;\n.reg .b32 %v<2>;\n"
    "ld.param.u64 %a0,[p];\nld.u32 %v0,[%a0];\nand.b32 %v0,%v0,16383;\nmul.wide.u32 "
    "%a1,%v0,4;\nmov.u64 %a2,room;\n"
    "add.u64 %a1,%a1,%a2;\nst.local.u32 [%a1],%v0;\nld.local.u32 %v1,[%a1];\nst.u32 "
    "[%a0],%v1;\nret;\n}\n";

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double processor_time(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static const char *error_of(CUresult r)
{
    static char number[4][24];
    static unsigned turn;
    const char *name = NULL;

    if (r == CUDA_SUCCESS)
        return "success";
    if (d.cuGetErrorName && d.cuGetErrorName(r, &name) == CUDA_SUCCESS && name)
        return name;
    snprintf(number[++turn % 4], sizeof(number[0]), "error %d", (int)r);
    return number[turn % 4];
}

/* Figures are pairs of a name and a double, up to NULL. */
static void say(const char *name, const char *outcome, const char *text, ...)
{
    const char *figure;
    va_list ap;

    printf("%s\t%s\t%s", name, outcome, text);
    va_start(ap, text);
    while ((figure = va_arg(ap, const char *)))
        printf("\t%s=%.6g", figure, va_arg(ap, double));
    va_end(ap);
    printf("\n");
    fflush(stdout);
}

static void need(CUresult r, const char *what)
{
    char text[200];

    if (r == CUDA_SUCCESS)
        return;
    snprintf(text, sizeof(text), "%s: %s", what, error_of(r));
    say(question, "failed", text, NULL);
    exit(0);
}
#define NEED(call) need(d.call, #call)

static int attribute(CUdevice_attribute a)
{
    int v = -1;
    return d.cuDeviceGetAttribute(&v, a, device) == CUDA_SUCCESS ? v : -1;
}

static size_t free_memory(void)
{
    size_t free_now = 0, total = 0;
    NEED(cuMemGetInfo_v2(&free_now, &total));
    return free_now;
}

static double taken(size_t before)
{
    return ((double)before - (double)free_memory()) / (double)MIB;
}

static void start(void)
{
    NEED(cuInit(0));
    NEED(cuDeviceGet(&device, 0));
    NEED(cuDevicePrimaryCtxRetain(&ctx, device));
    NEED(cuCtxSetCurrent(ctx));
}

static CUfunction function(const char *name)
{
    static CUmodule m;
    CUfunction f;

    if (!m)
        NEED(cuModuleLoadDataEx(&m, ptx, 0, NULL, NULL));
    NEED(cuModuleGetFunction(&f, m, name));
    return f;
}

static CUresult launch(CUfunction f, CUstream s, uint64_t value)
{
    void *params[] = {&value};
    return d.cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, s, params, NULL);
}

static CUresult spin(CUstream s, double seconds)
{
    return launch(function("spin"), s, (uint64_t)(seconds * 1e9));
}

/* --- the driver itself ------------------------------------------------------------------------ */

static void ask_start(void)
{
    static const struct {
        const char *name;
        CUdevice_attribute a;
    } facts[] = {
        {"compute_mode", CU_DEVICE_ATTRIBUTE_COMPUTE_MODE},
        {"integrated", CU_DEVICE_ATTRIBUTE_INTEGRATED},
        {"pageable_access", CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS},
        {"host_pointer_same", CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM},
        {"virtual_memory", CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED},
        {"preemption", CU_DEVICE_ATTRIBUTE_COMPUTE_PREEMPTION_SUPPORTED},
        {"kernel_timeout", CU_DEVICE_ATTRIBUTE_KERNEL_EXEC_TIMEOUT},
        {"multiprocessors", CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT},
    };
    char text[2000] = "";
    double before = now();
    int version = 0, count = 0;

    NEED(cuInit(0));
    NEED(cuDriverGetVersion(&version));
    NEED(cuDeviceGetCount(&count));
    say("cuInit", "note", "", "seconds", now() - before, "version", (double)version, "devices",
        (double)count, NULL);
    NEED(cuDeviceGet(&device, 0));
    for (unsigned i = 0; i < sizeof(facts) / sizeof(*facts); i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s %d", i ? ", " : "",
                 facts[i].name, attribute(facts[i].a));
    say("attributes", "note", text, NULL);
    if (attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_MODE) > 0)
        say("compute mode", "failed",
            "not default: one program at a time has a context; nvidia-smi -c DEFAULT", NULL);
    if (attribute(CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS) > 0)
        say("pageable access", "note",
            "kernels reach the worker's own memory; nvidia-uvm has uvm_disable_hmm=1 against it",
            NULL);
    const char *needed = "", *wanted = "";
#define X(name)                                                                                    \
    if (!d.name)                                                                                   \
        needed = #name;
    CU_DRIVER_NEEDED(X)
#undef X
#define X(name)                                                                                    \
    if (!d.name)                                                                                   \
        wanted = #name;
    CU_DRIVER_WANTED(X)
#undef X
    say("needed functions", *needed ? "failed" : "ok", *needed ? needed : "all there", NULL);
    say("wanted functions", "note", *wanted ? wanted : "all there", NULL);
}

/* What a context takes, and what makes it grow. */
static void ask_context(void)
{
    CUcontext more = NULL;
    CUfunction f;
    CUdeviceptr p;
    CUmodule m;
    size_t before, value = 0;
    double t;
    CUresult r;

    NEED(cuInit(0));
    NEED(cuDeviceGet(&device, 0));
    t = now();
    NEED(cuDevicePrimaryCtxRetain(&ctx, device));
    NEED(cuCtxSetCurrent(ctx));
    size_t total = 0, free_now = 0;
    NEED(cuMemGetInfo_v2(&free_now, &total));
    say("primary context", "note", "used: of the device, by whoever has it", "seconds", now() - t,
        "used_mib", (double)(total - free_now) / (double)MIB, NULL);
    before = free_now;
    t = now();
    r = d.cuCtxCreate_v2(&more, 0, device);
    if (r == CUDA_SUCCESS) {
        double made = now() - t, mib = taken(before);
        t = now();
        d.cuCtxDestroy_v2(more);
        NEED(cuCtxSetCurrent(ctx));
        say("second context", "note", "", "seconds", made, "mib", mib, "destroy_seconds", now() - t,
            "left_mib", taken(before), NULL);
    } else {
        say("second context", "note", error_of(r), NULL);
    }
    t = now();
    r = d.cuDevicePrimaryCtxSetFlags_v2(device, CU_CTX_SCHED_BLOCKING_SYNC);
    say("flags of an active one", r ? "failed" : "ok", error_of(r), NULL);
    d.cuDevicePrimaryCtxSetFlags_v2(device, 0);
    before = free_memory();
    t = now();
    NEED(cuModuleLoadDataEx(&m, ptx, 0, NULL, NULL));
    double loaded = now() - t;
    NEED(cuModuleGetFunction(&f, m, "add"));
    say("module", "note", "PTX, three functions", "seconds", loaded, "look_up_seconds",
        now() - t - loaded, "mib", taken(before), NULL);
    NEED(cuMemAlloc_v2(&p, 4096));
    NEED(cuMemsetD8_v2(p, 0, 4096));
    before = free_memory();
    t = now();
    need(launch(f, NULL, p), "the first launch");
    NEED(cuCtxSynchronize());
    say("first launch", "note", "", "seconds", now() - t, "mib", taken(before), NULL);
    before = free_memory();
    NEED(cuModuleGetFunction(&f, m, "deep"));
    r = launch(f, NULL, p);
    r = r ? r : d.cuCtxSynchronize();
    say("64 KiB of local memory", "note", error_of(r), "mib", taken(before), "threads",
        (double)attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT) *
            attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR),
        NULL);
    before = free_memory();
    r = d.cuCtxSetLimit(CU_LIMIT_MALLOC_HEAP_SIZE, 256 * MIB);
    d.cuCtxGetLimit(&value, CU_LIMIT_MALLOC_HEAP_SIZE);
    say("heap of 256 MiB", "note", error_of(r), "mib", taken(before), "is_mib",
        (double)value / (double)MIB, NULL);
    before = free_memory();
    r = d.cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 16384);
    d.cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE);
    say("stack of 16 KiB", "note", error_of(r), "mib", taken(before), "is", (double)value, NULL);
}

/* Lazy loading: what is known of a function that is not loaded. */
static void ask_lazy(void)
{
    CUfunction all[3] = {NULL};
    unsigned count = 0;
    int threads = 0, local = 0;
    size_t offset, size;
    CUdeviceptr p;
    CUmodule m;
    CUresult before, after, load, name, other;
    const char *text = NULL;

    start();
    NEED(cuModuleLoadDataEx(&m, ptx, 0, NULL, NULL));
    NEED(cuModuleGetFunctionCount(&count, m));
    NEED(cuModuleEnumerateFunctions(all, 3, m));
    before = d.cuFuncGetAttribute(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, all[0]);
    other = d.cuFuncGetAttribute(&local, CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES, all[0]);
    name = d.cuFuncGetName(&text, all[0]);
    CUresult params = d.cuFuncGetParamInfo(all[0], 0, &offset, &size);
    NEED(cuMemAlloc_v2(&p, 4096));
    CUresult launched = CUDA_ERROR_NOT_FOUND;
    for (unsigned i = 1; i < count && i < 3;
         i++) { /* not one that takes its parameter for a time */
        const char *called = "";
        if (d.cuFuncGetName(&called, all[i]) == CUDA_SUCCESS && !strcmp(called, "add"))
            launched = launch(all[i], NULL, p);
    }
    load = d.cuFuncLoad ? d.cuFuncLoad(all[0]) : CUDA_ERROR_NOT_SUPPORTED;
    after = d.cuFuncGetAttribute(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, all[0]);
    say("attribute before loading",
        before == CUDA_SUCCESS || before == CUDA_ERROR_FUNCTION_NOT_LOADED ? "ok" : "failed",
        error_of(before), NULL);
    say("another attribute", "note", error_of(other), NULL);
    say("name and parameters", name || params ? "failed" : "ok", error_of(name ? name : params),
        "functions", (double)count, NULL);
    say("launch without loading", "note", error_of(launched), NULL);
    say("attribute after loading", load || after ? "failed" : "ok", error_of(load ? load : after),
        "threads", (double)threads, NULL);
}

/* --- memory ----------------------------------------------------------------------------------- */

static CUmemAllocationProp prop_of(void)
{
    return (CUmemAllocationProp){.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                 .location = {CU_MEM_LOCATION_TYPE_DEVICE, device}};
}

static void reserve(const char *name, CUdeviceptr hint, size_t size)
{
    CUdeviceptr got = 0;
    char text[200];
    double t = now();
    CUresult r = d.cuMemAddressReserve(&got, size, GRAIN, hint, 0);
    double reserved = now() - t;

    snprintf(text, sizeof(text), r ? "%s" : "%s, at %#llx%s", error_of(r), (unsigned long long)got,
             !hint         ? ""
             : got == hint ? ", as asked"
                           : ", elsewhere");
    t = now();
    if (r == CUDA_SUCCESS)
        r = d.cuMemAddressFree(got, size);
    say(name, "note", text, "seconds", reserved, "free_seconds", now() - t, NULL);
}

static void ask_window(void)
{
    void *claimed = mmap((void *)(uintptr_t)(WINDOW + 8 * (1ull << 40)), GRAIN, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    start();
    reserve("1 TiB where xengpu asks", WINDOW, (size_t)1 << 40);
    reserve("64 GiB there", WINDOW, (size_t)64 << 30);
    reserve("4 TiB there", WINDOW, (size_t)4 << 40);
    reserve("1 TiB anywhere", 0, (size_t)1 << 40);
    reserve("1 TiB over a mapping of ours", (CUdeviceptr)(uintptr_t)claimed, (size_t)1 << 40);
    reserve("64 KiB", WINDOW, 1 << 16);
    reserve("2 MiB off by a page", WINDOW + 4096, GRAIN);
    munmap(claimed, GRAIN);
}

static void ask_map(void)
{
    enum { N = 64 };
    CUmemAllocationProp prop = prop_of();
    CUmemAccessDesc access = {.location = prop.location,
                              .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUmemGenericAllocationHandle h;
    CUdeviceptr at = 0;
    size_t smallest = 0, recommended = 0;
    double t[5] = {0};
    CUresult r;

    start();
    NEED(cuMemGetAllocationGranularity(&smallest, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    NEED(cuMemGetAllocationGranularity(&recommended, &prop, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED));
    say("granularity", smallest && !(smallest & (smallest - 1)) ? "ok" : "failed", "", "smallest",
        (double)smallest, "recommended", (double)recommended, NULL);
    NEED(cuMemAddressReserve(&at, (size_t)1 << 30, GRAIN, WINDOW, 0));
    for (int i = 0; i < N; i++) {
        CUdeviceptr place = at + (CUdeviceptr)i * 2 * GRAIN;
        double from = now(), to;
        NEED(cuMemCreate(&h, GRAIN, &prop, 0));
        t[0] += (to = now()) - from;
        NEED(cuMemMap(place, GRAIN, 0, h, 0));
        t[1] += (from = now()) - to;
        NEED(cuMemSetAccess(place, GRAIN, &access, 1));
        t[2] += (to = now()) - from;
        NEED(cuMemRelease(h));
        t[3] += now() - to;
        NEED(cuMemsetD8_v2(place, 1, GRAIN)); /* the handle is gone, the memory is not */
    }
    NEED(cuCtxSynchronize());
    double from = now();
    for (int i = 0; i < N; i++)
        NEED(cuMemUnmap(at + (CUdeviceptr)i * 2 * GRAIN, GRAIN));
    t[4] = now() - from;
    say("pieces of 2 MiB", "ok", "each, in us; released as soon as mapped", "create",
        t[0] / N * 1e6, "map", t[1] / N * 1e6, "access", t[2] / N * 1e6, "release", t[3] / N * 1e6,
        "unmap", t[4] / N * 1e6, NULL);
    size_t before = free_memory();
    NEED(cuMemCreate(&h, 64 * MIB, &prop, 0));
    NEED(cuMemMap(at, 64 * MIB, 0, h, 0));
    NEED(cuMemSetAccess(at, 64 * MIB, &access, 1));
    NEED(cuMemRelease(h));
    double mapped = taken(before);
    NEED(cuMemUnmap(at, 64 * MIB));
    say("64 MiB come back", taken(before) > 1 ? "failed" : "ok", "after unmapping", "mapped_mib",
        mapped, "left_mib", taken(before), NULL);
    r = d.cuMemCreate(&h, 1 << 16, &prop, 0);
    say("memory of 64 KiB", "note", error_of(r), NULL);
    /* While a kernel runs: does it wait? */
    NEED(cuMemCreate(&h, GRAIN, &prop, 0));
    NEED(cuMemMap(at, GRAIN, 0, h, 0));
    NEED(cuMemSetAccess(at, GRAIN, &access, 1));
    need(spin(NULL, 0.1), "spin");
    from = now();
    NEED(cuMemUnmap(at, GRAIN));
    double unmapped = now() - from;
    NEED(cuMemMap(at, GRAIN, 0, h, 0));
    double again = now() - from - unmapped;
    NEED(cuMemSetAccess(at, GRAIN, &access, 1));
    say("beside a kernel of 100 ms", "note", "in ms", "unmap", unmapped * 1e3, "map", again * 1e3,
        "access", (now() - from - unmapped - again) * 1e3, NULL);
    NEED(cuCtxSynchronize());
}

/* What cuMemHostRegister makes of shared memory that is mostly untouched. */
static void ask_register(void)
{
    size_t size = (quick ? 64 : 1024) * MIB, half = size / 2;
    int fd = memfd_create("gpu_driver", MFD_CLOEXEC);
    struct stat st;
    CUdeviceptr p = 0, memory;
    CUresult r;

    start();
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0) {
        say("memory", "failed", "no memfd", NULL);
        return;
    }
    char *a = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
         *b = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *read_only = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    double t = now();
    r = d.cuMemHostRegister_v2(a, size, REGISTER);
    t = now() - t;
    fstat(fd, &st);
    say("pages of a memfd", r ? "failed" : "ok", error_of(r), "mib", (double)size / (double)MIB,
        "seconds", t, "populated_mib", (double)st.st_blocks / 2048, NULL);
    if (r)
        return;
    r = d.cuMemHostGetDevicePointer_v2(&p, a, 0);
    say("the device's address of it", r || p != (uintptr_t)a ? "note" : "ok",
        r                   ? error_of(r)
        : p == (uintptr_t)a ? "the same"
                            : "another",
        NULL);
    r = d.cuMemHostRegister_v2(a, size, REGISTER);
    say("once more", "note", error_of(r), NULL);
    r = d.cuMemHostRegister_v2(b, size, REGISTER);
    say("the same pages at another address", "note", error_of(r), NULL);
    if (r == CUDA_SUCCESS)
        d.cuMemHostUnregister(b);
    r = d.cuMemHostRegister_v2(read_only, size, REGISTER);
    say("mapped to read only", "note", error_of(r), NULL);
    if (r == CUDA_SUCCESS)
        d.cuMemHostUnregister(read_only);
    t = now();
    NEED(cuMemHostUnregister(a));
    say("unregister", "note", "", "seconds", now() - t, NULL);
    t = now();
    NEED(cuMemHostRegister_v2(a, size, REGISTER));
    say("again, populated", "note", "", "seconds", now() - t, NULL);
    NEED(cuMemHostUnregister(a));
    /* Two neighbours, and a copy over both. */
    NEED(cuMemHostRegister_v2(a, half, REGISTER));
    NEED(cuMemHostRegister_v2(a + half, half, REGISTER));
    NEED(cuMemAlloc_v2(&memory, 2 * MIB));
    r = d.cuMemcpyHtoDAsync_v2(memory, a + half - MIB, 2 * MIB, NULL);
    r = r ? r : d.cuCtxSynchronize();
    say("a copy over two registrations", "note", error_of(r), NULL);
    NEED(cuMemHostUnregister(a));
    NEED(cuMemHostUnregister(a + half));
    r = d.cuMemHostRegister_v2(a + 100, 1000, REGISTER);
    CUresult other = d.cuMemHostRegister_v2(a + 2000, 1000, REGISTER);
    say("two pieces of one page", "note", error_of(r ? r : other), NULL);
    if (!r)
        d.cuMemHostUnregister(a + 100);
    if (!other)
        d.cuMemHostUnregister(a + 2000);
    struct rlimit none = {64 << 10, 64 << 10};
    setrlimit(RLIMIT_MEMLOCK, &none);
    r = d.cuMemHostRegister_v2(a, 16 * MIB, REGISTER);
    say("16 MiB, RLIMIT_MEMLOCK 64 KiB", r ? "note" : "ok", error_of(r), "root",
        (double)(geteuid() == 0), NULL);
}

/* A registration is one context's and serves all: what of it is left when that one ends? */
static void ask_portable(void)
{
    int fd = memfd_create("gpu_driver", MFD_CLOEXEC);
    CUcontext own = NULL;
    CUdeviceptr p = 0;
    CUresult r;

    start();
    if (fd < 0 || ftruncate(fd, (off_t)GRAIN) < 0)
        return;
    uint32_t *a = mmap(NULL, GRAIN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    NEED(cuCtxCreate_v2(&own, 0, device));
    NEED(cuMemHostRegister_v2(a, GRAIN, REGISTER));
    NEED(cuCtxSetCurrent(ctx));
    NEED(cuMemHostGetDevicePointer_v2(&p, a, 0));
    a[0] = 5;
    need(launch(function("add"), NULL, p), "a launch in the other context");
    NEED(cuCtxSynchronize());
    say("used by another context", a[0] == 6 ? "ok" : "failed", "", "value", (double)a[0], NULL);
    NEED(cuCtxDestroy_v2(own));
    NEED(cuCtxSetCurrent(ctx));
    r = d.cuMemHostUnregister(a);
    say("after its context has ended", "note", r ? error_of(r) : "it is still registered", NULL);
    r = d.cuMemHostRegister_v2(a, GRAIN, REGISTER);
    say("registered anew", r ? "failed" : "ok", error_of(r), NULL);
}

/* --- copies and order ------------------------------------------------------------------------- */

static void sleep_a_little(void *arg)
{
    (void)arg;
    usleep(200000);
}

static void ask_copies(void)
{
    size_t size = 8 * MIB;
    unsigned char *own = malloc(size), *pinned = NULL;
    CUdeviceptr p, q;
    CUstream s;
    unsigned wrong = 0;

    start();
    NEED(cuMemAlloc_v2(&p, size));
    NEED(cuMemAlloc_v2(&q, size));
    NEED(cuStreamCreateWithPriority(&s, CU_STREAM_NON_BLOCKING, 0));
    NEED(cuMemHostAlloc((void **)&pinned, size, 0));
    for (int r = 1; r <= 20; r++) { /* HTOD_DATA's bytes live until the call returns */
        memset(own, r, size);
        need(spin(NULL, 0.002), "spin");
        NEED(cuMemcpyHtoDAsync_v2(p, own, 16000, NULL));
        memset(own, 0xee, 16000);
        NEED(cuMemcpyDtoH_v2(pinned, p, 16000));
        for (unsigned i = 0; i < 16000; i++)
            wrong += pinned[i] != r;
    }
    say("pageable, taken when it returns", wrong ? "failed" : "ok", "16000 bytes behind a kernel",
        "wrong", (double)wrong, NULL);
    wrong = 0;
    for (int r = 1; r <= 20; r++) { /* natively a stream that does not wait sees it; how surely? */
        memset(own, r, size);
        NEED(cuMemcpyHtoD_v2(p, own, size));
        NEED(cuMemcpyDtoDAsync_v2(q, p, size, s));
        NEED(cuMemcpyDtoHAsync_v2(pinned, q, size, s));
        NEED(cuStreamSynchronize(s));
        for (size_t i = 0; i < size; i++)
            wrong += pinned[i] != r;
    }
    say("synchronous, seen by any stream", "note", "of 20 copies of 8 MiB", "wrong", (double)wrong,
        NULL);
    double t[4];
    static const char *const what[] = {"to pageable", "from pageable", "to pinned", "from pinned"};
    for (int i = 0; i < 4; i++) {
        NEED(cuLaunchHostFunc(s, sleep_a_little, NULL));
        t[i] = now();
        if (i % 2)
            NEED(cuMemcpyHtoDAsync_v2(p, i < 2 ? own : pinned, size, s));
        else
            NEED(cuMemcpyDtoHAsync_v2(i < 2 ? own : pinned, p, size, s));
        t[i] = now() - t[i];
        NEED(cuStreamSynchronize(s));
        say(what[i], "note", "how long the call waits for a host function before it, of 200 ms",
            "ms", t[i] * 1e3, NULL);
    }
}

/* --- host functions --------------------------------------------------------------------------- */

static double host_until; /* none ends before */

static void wait_until(void *arg)
{
    (void)arg;
    while (now() < host_until)
        usleep(1000);
}

/* How many host functions to come does the driver take, before which call waits? */
static void ask_host(void)
{
    enum { STREAMS = 8, MOST = 4000 };
    static const char *const what[] = {"cuLaunchHostFunc", "cuEventRecord", "cuStreamWaitEvent",
                                       "cuStreamQuery"};
    CUstream s[STREAMS];
    CUevent e[STREAMS];
    unsigned n = 0, call = 0;
    double took = 0;

    start();
    for (unsigned i = 0; i < STREAMS; i++) {
        NEED(cuStreamCreateWithPriority(&s[i], CU_STREAM_NON_BLOCKING, 0));
        NEED(cuEventCreate(&e[i], CU_EVENT_DISABLE_TIMING));
    }
    host_until = now() + 2;
    for (; n < MOST && took < 0.1 && now() < host_until - 0.5; n++)
        for (call = 0; call < 4 && took < 0.1; call++) {
            unsigned i = n % STREAMS;
            took = now();
            if (call == 0)
                NEED(cuLaunchHostFunc(s[i], wait_until, NULL));
            else if (call == 1)
                NEED(cuEventRecord(e[i], s[i]));
            else if (call == 2)
                NEED(cuStreamWaitEvent(s[(i + 1) % STREAMS], e[i], 0));
            else
                d.cuStreamQuery(s[i]);
            took = now() - took;
        }
    say("to come", "note", took < 0.1 ? "no call waits" : what[call - 1], "functions", (double)n,
        "waited_ms", took * 1e3, NULL);
    host_until = 0;
    NEED(cuCtxSynchronize());
    /* Small copies from pageable memory, which HTOD_DATA has: do they wait for what is before them?
     */
    for (size_t size = 16; size <= 65536; size *= 16) {
        unsigned char *own = calloc(1, size);
        CUdeviceptr p;
        NEED(cuMemAlloc_v2(&p, size));
        NEED(cuLaunchHostFunc(s[0], sleep_a_little, NULL));
        took = now();
        NEED(cuMemcpyHtoDAsync_v2(p, own, size, s[0]));
        took = now() - took;
        NEED(cuCtxSynchronize());
        say("a small copy behind one", "note",
            "from pageable memory, behind a host function of 200 ms", "bytes", (double)size,
            "waited_ms", took * 1e3, NULL);
        free(own);
    }
}

/* --- time ------------------------------------------------------------------------------------- */

static void ask_times(void)
{
    enum { N = 1000 };
    CUevent e[2], quiet;
    CUstream s;
    CUdeviceptr p;
    float ms, least = INFINITY;
    unsigned zero = 0;
    CUfunction f;

    start();
    f = function("add");
    NEED(cuMemAlloc_v2(&p, 4096));
    NEED(cuStreamCreateWithPriority(&s, CU_STREAM_NON_BLOCKING, 0));
    for (int i = 0; i < 2; i++)
        NEED(cuEventCreate(&e[i], 0));
    NEED(cuEventCreate(&quiet, CU_EVENT_DISABLE_TIMING | CU_EVENT_BLOCKING_SYNC));
    need(launch(f, s, p), "launch");
    NEED(cuStreamSynchronize(s));
    for (int i = 0; i < N; i++) {
        NEED(cuEventRecord(e[0], s));
        NEED(cuEventRecord(e[1], s));
        NEED(cuEventSynchronize(e[1]));
        NEED(cuEventElapsedTime(&ms, e[0], e[1]));
        zero += ms == 0;
        least = ms > 0 && ms < least ? ms : least;
    }
    say("resolution of events", "note", "of 1000 pairs with nothing between", "least_us",
        isinf(least) ? 0.0 : (double)least * 1e3, "zero", (double)zero, NULL);
    double t = now();
    for (int i = 0; i < N; i++)
        need(launch(f, s, p), "launch");
    double launched = now() - t;
    NEED(cuStreamSynchronize(s));
    double all = now() - t;
    t = now();
    for (int i = 0; i < N; i++)
        NEED(cuEventRecord(quiet, s));
    double recorded = now() - t;
    NEED(cuStreamSynchronize(s));
    t = now();
    for (int i = 0; i < N; i++)
        (void)d.cuStreamQuery(s);
    double queried = now() - t;
    say("calls, in us", "note", "", "launch", launched / N * 1e6, "launch_and_run", all / N * 1e6,
        "record", recorded / N * 1e6, "query", queried / N * 1e6, NULL);
    t = now();
    for (int i = 0; i < N; i++) {
        need(launch(f, s, p), "launch");
        NEED(cuStreamSynchronize(s));
    }
    double polled = now() - t;
    t = now();
    for (int i = 0; i < N; i++) {
        need(launch(f, s, p), "launch");
        NEED(cuEventRecord(quiet, s));
        NEED(cuEventSynchronize(quiet));
    }
    say("launch and wait, in us", "note", "for the stream; for a blocking event", "stream",
        polled / N * 1e6, "event", (now() - t) / N * 1e6, NULL);
    double cpu = processor_time();
    need(spin(s, 0.2), "spin");
    NEED(cuStreamSynchronize(s));
    double by_stream = processor_time() - cpu;
    cpu = processor_time();
    need(spin(s, 0.2), "spin");
    NEED(cuEventRecord(quiet, s));
    NEED(cuEventSynchronize(quiet));
    double by_event = processor_time() - cpu;
    say("processor time of a wait",
        by_event > 0.1 && !attribute(CU_DEVICE_ATTRIBUTE_INTEGRATED) ? "failed" : "ok",
        "for a kernel of 200 ms, in ms", "stream", by_stream * 1e3, "event", by_event * 1e3, NULL);
    /* An event that is recorded last: does the application's own query find it? */
    unsigned late = 0;
    for (int i = 0; i < N; i++) {
        CUresult r;
        need(launch(f, s, p), "launch");
        NEED(cuEventRecord(e[0], s));
        NEED(cuEventRecord(quiet, s));
        while ((r = d.cuEventQuery(e[0])) == CUDA_ERROR_NOT_READY)
            ;
        late += d.cuStreamQuery(s) == CUDA_ERROR_NOT_READY;
        NEED(cuStreamSynchronize(s));
    }
    say("a fence found by a query", "note", "of 1000, after the work is over", "found",
        (double)late, NULL);
}

/* Two processes on the device: what their events say of kernels of 5 ms. */
static void share_child(int fd, double until)
{
    CUevent e[2];
    double mine[3] = {0, 0, 0};
    float ms;

    start();
    for (int i = 0; i < 2; i++)
        NEED(cuEventCreate(&e[i], 0));
    need(spin(NULL, 0.001), "spin");
    NEED(cuCtxSynchronize());
    while (now() < until - 1) /* both are ready */
        usleep(1000);
    while (now() < until) {
        NEED(cuEventRecord(e[0], NULL));
        need(spin(NULL, 0.005), "spin");
        NEED(cuEventRecord(e[1], NULL));
        NEED(cuEventSynchronize(e[1]));
        NEED(cuEventElapsedTime(&ms, e[0], e[1]));
        mine[0]++;
        mine[1] += (double)ms;
        mine[2] = (double)ms > mine[2] ? (double)ms : mine[2];
    }
    if (write(fd, mine, sizeof(mine)) != sizeof(mine))
        _exit(1);
    _exit(0);
}

static void ask_sharing(void)
{
    double until = now() + (quick ? 2.5 : 5), mine[2][3];
    int pipes[2][2];
    pid_t pid[2];

    for (int i = 0; i < 2; i++) {
        if (pipe(pipes[i]) < 0)
            return;
        pid[i] = fork();
        if (pid[i] == 0)
            share_child(pipes[i][1], until);
        close(pipes[i][1]);
    }
    for (int i = 0; i < 2; i++) {
        bool got = read(pipes[i][0], mine[i], sizeof(mine[i])) == sizeof(mine[i]);
        waitpid(pid[i], NULL, 0);
        if (!got) {
            say("two processes", "failed", "one has no answer", NULL);
            return;
        }
    }
    for (int i = 0; i < 2; i++)
        say(i ? "the other process" : "one process", "note",
            "in one second, kernels that the device's clock ends after 5 ms", "kernels", mine[i][0],
            "mean_ms", mine[i][1] / (mine[i][0] + (mine[i][0] == 0)), "most_ms", mine[i][2], NULL);
}

/* --- what else there is ----------------------------------------------------------------------- */

static void ask_symbols(void)
{
    static const char declares[] =
        ".version 6.4\n.target sm_70\n.address_size 64\n.extern .global .align 4 .u32 theirs;\n"
        ".visible .entry k()\n{\n.reg .b64 %a;\n.reg .b32 %v;\nmov.u64 %a,theirs;\nld.global.u32 "
        "%v,[%a];\n"
        "add.u32 %v,%v,1;\nst.global.u32 [%a],%v;\nret;\n}\n";
    char log[2000] = "";
    uint32_t *pinned = NULL;
    CUdeviceptr p = 0;
    CUfunction f;
    CUmodule m;

    start();
    NEED(cuMemHostAlloc((void **)&pinned, 4096, CU_MEMHOSTALLOC_DEVICEMAP));
    NEED(cuMemHostGetDevicePointer_v2(&p, pinned, 0));
    *pinned = 7;
    const char *names[] = {"theirs"};
    void *addresses[] = {(void *)(uintptr_t)p};
    CUjit_option option[] = {CU_JIT_GLOBAL_SYMBOL_NAMES, CU_JIT_GLOBAL_SYMBOL_ADDRESSES,
                             CU_JIT_GLOBAL_SYMBOL_COUNT, CU_JIT_ERROR_LOG_BUFFER,
                             CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *value[] = {names, addresses, (void *)1, log, (void *)sizeof(log)};
    CUresult r = d.cuModuleLoadDataEx(&m, declares, 5, option, value);
    r = r ? r : d.cuModuleGetFunction(&f, m, "k");
    r = r ? r : d.cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL);
    r = r ? r : d.cuCtxSynchronize();
    for (char *c = log; *c; c++)
        *c = *c == '\n' || *c == '\t' ? ' ' : *c;
    char text[2200];
    snprintf(text, sizeof(text), "%s %s", error_of(r), log);
    say("symbols by address", r == CUDA_SUCCESS && *pinned == 8 ? "ok" : "note", text, "value",
        (double)*pinned, NULL);
    static const char newer[] =
        ".version 99.0\n.target sm_70\n.address_size 64\n.visible .entry k() { ret; }\n";
    r = d.cuModuleLoadDataEx(&m, newer, 0, NULL, NULL);
    say("PTX that is too new", r ? "ok" : "note", error_of(r), NULL);
    static const char other[] = "\177ELF\2\1\1";
    char elf[256] = "";
    memcpy(elf, other, sizeof(other));
    r = d.cuModuleLoadDataEx(&m, elf, 0, NULL, NULL);
    say("an ELF file of nothing", r ? "ok" : "failed", error_of(r), NULL);
}

static void ask_stream_memory(void)
{
    CUdeviceptr p;
    CUstream s;
    CUresult r = CUDA_ERROR_NOT_SUPPORTED;
    uint32_t v = 0;

    start();
    NEED(cuMemAlloc_v2(&p, 4096));
    NEED(cuStreamCreateWithPriority(&s, CU_STREAM_NON_BLOCKING, 0));
    if (d.cuStreamWriteValue32_v2 && d.cuStreamWaitValue32_v2) {
        r = d.cuStreamWriteValue32_v2(s, p, 42, 0);
        r = r ? r : d.cuStreamWaitValue32_v2(s, p, 42, CU_STREAM_WAIT_VALUE_EQ);
        r = r ? r : d.cuStreamSynchronize(s);
        r = r ? r : d.cuMemcpyDtoH_v2(&v, p, 4);
    }
    say("stream memory operations", "note", error_of(r), "value", (double)v, NULL);
}

/* A kernel that reads where nothing is: what works after that, in this process? */
static void ask_sticky(void)
{
    CUmemAllocationProp prop = prop_of();
    CUmemGenericAllocationHandle h;
    CUcontext own;
    CUdeviceptr at = 0, p;
    size_t free_now, total;
    CUresult r, info, unmapped, created, ended;

    start();
    prop = prop_of();
    CUmemAccessDesc access = {.location = prop.location,
                              .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    NEED(cuMemAddressReserve(&at, GRAIN, GRAIN, WINDOW, 0));
    NEED(cuMemCreate(&h, GRAIN, &prop, 0));
    NEED(cuMemMap(at, GRAIN, 0, h, 0));
    NEED(cuMemSetAccess(at, GRAIN, &access, 1));
    NEED(cuMemRelease(h));
    NEED(cuCtxCreate_v2(&own, 0, device));
    CUmodule m;
    CUfunction f;
    NEED(cuModuleLoadDataEx(&m, ptx, 0, NULL, NULL));
    NEED(cuModuleGetFunction(&f, m, "add"));
    need(launch(f, NULL, WINDOW + ((CUdeviceptr)1 << 38)), "launch");
    r = d.cuCtxSynchronize();
    say("a stray kernel", r == CUDA_ERROR_ILLEGAL_ADDRESS ? "ok" : "note", error_of(r), NULL);
    info = d.cuMemGetInfo_v2(&free_now, &total);
    say("the next call", info ? "ok" : "note", error_of(info), NULL);
    unmapped = d.cuMemUnmap(at, GRAIN);
    say("unmapping there", "note", error_of(unmapped), NULL);
    ended = d.cuCtxDestroy_v2(own);
    say("destroying it", "note", error_of(ended), NULL);
    NEED(cuCtxSetCurrent(ctx));
    r = d.cuMemAlloc_v2(&p, 4096);
    say("the other context", "note", error_of(r), NULL);
    created = d.cuCtxCreate_v2(&own, 0, device);
    r = created ? created : d.cuMemAlloc_v2(&p, 4096);
    say("a new context", "note", error_of(r), NULL);
}

static double status_mib(const char *name)
{
    char line[128];
    size_t n = strlen(name);
    double kib = -1024;
    FILE *f = fopen("/proc/self/status", "re");

    while (f && fgets(line, sizeof(line), f))
        if (!strncmp(line, name, n) && line[n] == ':')
            kib = strtod(line + n + 1, NULL);
    if (f)
        fclose(f);
    return kib / 1024;
}

/* What a worker's limits (backend/worker/sandbox.c, backend/broker/host.c) have to leave a driver:
 * RLIMIT_DATA as for the smallest guest. */
static void ask_limits(void)
{
    struct rlimit data = {(4ull << 30) + 4 * (64ull << 20), 0};
    CUdeviceptr p;
    void *pinned;

    data.rlim_max = data.rlim_cur;
    setrlimit(RLIMIT_DATA, &data);
    start();
    NEED(cuMemAlloc_v2(&p, 64 * MIB));
    need(launch(function("add"), NULL, p), "a launch");
    NEED(cuCtxSynchronize());
    NEED(cuMemHostAlloc(&pinned, 64 * MIB, 0));
    memset(pinned, 1, 64 * MIB);
    say("MiB with 64 of pinned memory", "ok", "", "VmData", status_mib("VmData"), "RssAnon",
        status_mib("RssAnon"), "RssShmem", status_mib("RssShmem"), "RssFile", status_mib("RssFile"),
        "VmPTE", status_mib("VmPTE"), "VmSize", status_mib("VmSize"), NULL);
}

/* With HMM or ATS kernels read the process's own memory. Last, as it may spoil the context. */
static void ask_pageable(void)
{
    volatile uint32_t *own = malloc(4096);
    CUresult r;

    start();
    *own = 41;
    r = launch(function("add"), NULL, (uintptr_t)own);
    r = r ? r : d.cuCtxSynchronize();
    say("a kernel in our own memory", r ? "ok" : "note",
        r ? error_of(r) : "it reads and writes what the worker has on its heap", "value",
        (double)*own, NULL);
}

static const struct {
    const char *name;
    void (*ask)(void);
} questions[] = {
    {"start", ask_start},
    {"context", ask_context},
    {"lazy", ask_lazy},
    {"window", ask_window},
    {"map", ask_map},
    {"register", ask_register},
    {"portable", ask_portable},
    {"copies", ask_copies},
    {"host", ask_host},
    {"times", ask_times},
    {"sharing", ask_sharing},
    {"symbols", ask_symbols},
    {"stream_memory", ask_stream_memory},
    {"limits", ask_limits},
    {"sticky", ask_sticky},
    {"pageable", ask_pageable},
};

int main(int argc, char **argv)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);

    question = argc > 1 ? argv[1] : "list";
    quick = argc > 2 && !strcmp(argv[2], "quick");
    for (unsigned i = 0; i < sizeof(questions) / sizeof(*questions) && !strcmp(question, "list");
         i++)
        printf("%s\n", questions[i].name);
    if (!strcmp(question, "list"))
        return 0;
    if (!library) {
        say("driver", "absent", dlerror(), NULL);
        return 0;
    }
#define X(name) d.name = (__typeof__(&name))dlsym(library, #name);
    EACH(X)
#undef X
    for (unsigned i = 0; i < sizeof(questions) / sizeof(*questions); i++)
        if (!strcmp(question, questions[i].name)) {
            questions[i].ask();
            return 0;
        }
    fprintf(stderr, "gpu_driver: no question is called %s\n", question);
    return 2;
}
