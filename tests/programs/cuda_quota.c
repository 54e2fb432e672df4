/* A guest at its limit of memory: each call that allocates is CUDA_ERROR_OUT_OF_MEMORY, and works
 * again when there is room. */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

#include "cuda/takes.h"

#include <sys/mman.h>

#define MANY 65536

static CUdeviceptr filler[MANY];
static CUevent small[MANY];
static unsigned filler_count, small_count;

/* Pieces that get smaller, and events at last. */
static void fill(void)
{
    for (size_t size = 8 << 20; size >= 4096; size /= 2)
        while (filler_count < MANY && cuMemAlloc_v2(&filler[filler_count], size) == CUDA_SUCCESS)
            filler_count++;
    while (small_count < MANY && cuEventCreate(&small[small_count], 0) == CUDA_SUCCESS)
        small_count++;
}

static void unfill(void)
{
    while (filler_count)
        CHECK(cuMemFree_v2(filler[--filler_count]));
    while (small_count)
        CHECK(cuEventDestroy_v2(small[--small_count]));
    CHECK(cuCtxSynchronize());
}

/* --- one attempt for each; what it took is given back ----------------------------------------- */

#define SIZE ((size_t)4 << 20)

static CUcontext ctx;
static CUdevice device;

static CUresult try_cuMemAlloc_v2(void)
{
    CUdeviceptr p;
    CUresult r = cuMemAlloc_v2(&p, SIZE);
    if (r == CUDA_SUCCESS)
        CHECK(cuMemFree_v2(p));
    return r;
}

static CUresult try_cuMemAllocPitch_v2(void)
{
    CUdeviceptr p;
    size_t pitch;
    CUresult r = cuMemAllocPitch_v2(&p, &pitch, 1 << 16, 64, 16);
    if (r == CUDA_SUCCESS)
        CHECK(cuMemFree_v2(p));
    return r;
}

static CUresult try_cuMemAllocAsync(void)
{
    CUdeviceptr p;
    CUresult r = cuMemAllocAsync(&p, SIZE, NULL);
    if (r == CUDA_SUCCESS) {
        CHECK(cuMemFreeAsync(p, NULL));
        CHECK(cuCtxSynchronize());
    }
    return r;
}

static CUresult try_cuMemAllocManaged(void)
{
    CUdeviceptr p;
    CUresult r = cuMemAllocManaged(&p, SIZE, CU_MEM_ATTACH_GLOBAL);
    if (r == CUDA_SUCCESS)
        CHECK(cuMemFree_v2(p));
    return r;
}

static CUresult try_cuMemHostAlloc(void)
{
    void *p;
    CUresult r = cuMemHostAlloc(&p, SIZE, 0);
    if (r == CUDA_SUCCESS)
        CHECK(cuMemFreeHost(p));
    return r;
}

static CUresult try_cuMemAllocHost_v2(void)
{
    void *p;
    CUresult r = cuMemAllocHost_v2(&p, SIZE);
    if (r == CUDA_SUCCESS)
        CHECK(cuMemFreeHost(p));
    return r;
}

static CUresult try_cuMemHostRegister_v2(void)
{
    void *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CUresult r = cuMemHostRegister_v2(p, SIZE, CU_MEMHOSTREGISTER_DEVICEMAP);
    if (r == CUDA_SUCCESS)
        CHECK(cuMemHostUnregister(p));
    munmap(p, SIZE);
    return r;
}

static CUresult try_cuArrayCreate_v2(void)
{
    CUDA_ARRAY_DESCRIPTOR d = {1024, 1024, CU_AD_FORMAT_FLOAT, 1};
    CUarray a;
    CUresult r = cuArrayCreate_v2(&a, &d);
    if (r == CUDA_SUCCESS)
        CHECK(cuArrayDestroy(a));
    return r;
}

static CUresult try_cuArray3DCreate_v2(void)
{
    CUDA_ARRAY3D_DESCRIPTOR d = {
        .Width = 1024, .Height = 1024, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 1};
    CUarray a;
    CUresult r = cuArray3DCreate_v2(&a, &d);
    if (r == CUDA_SUCCESS)
        CHECK(cuArrayDestroy(a));
    return r;
}

/* Over memory that was there before. */
static CUdeviceptr texels;
static CUresult try_cuTexObjectCreate(void)
{
    static CUtexObject many[1024];
    CUDA_RESOURCE_DESC d = {.resType = CU_RESOURCE_TYPE_LINEAR};
    CUDA_TEXTURE_DESC t = {0};
    CUresult r = CUDA_SUCCESS;
    unsigned n = 0;

    d.res.linear.devPtr = texels;
    d.res.linear.format = CU_AD_FORMAT_FLOAT;
    d.res.linear.numChannels = 1;
    d.res.linear.sizeInBytes = 4096;
    for (; r == CUDA_SUCCESS && n < 1024; n++)
        r = cuTexObjectCreate(&many[n], &d, &t, NULL);
    n -= r != CUDA_SUCCESS;
    while (n)
        CHECK(cuTexObjectDestroy(many[--n]));
    return r;
}

#define PTX(body)                                                                                  \
    ".version 7.0\n.target sm_70\n.address_size 64\n" body ".visible .entry k() { ret; }\n"
static const char variables[] = PTX(".global .align 16 .f32 big[1048576];\n"
                                    ".const .align 4 .u32 text[3] = {1, 2, 3};\n");

static CUresult unloaded(CUmodule m, CUresult r)
{
    if (r == CUDA_SUCCESS)
        CHECK(cuModuleUnload(m));
    return r;
}

static CUresult try_cuModuleLoadData(void)
{
    CUmodule m = NULL;
    CUresult r = cuModuleLoadData(&m, variables);
    return unloaded(m, r);
}

static CUresult try_cuModuleLoadDataEx(void)
{
    CUmodule m = NULL;
    CUresult r = cuModuleLoadDataEx(&m, variables, 0, NULL, NULL);
    return unloaded(m, r);
}

static CUresult try_cuModuleLoadFatBinary(void)
{
    CUmodule m = NULL;
    CUresult r = cuModuleLoadFatBinary(&m, variables);
    return unloaded(m, r);
}

static CUresult try_cuLibraryLoadData(void)
{
    CUlibrary l = NULL;
    CUmodule m = NULL;
    CUresult r = cuLibraryLoadData(&l, variables, NULL, NULL, 0, NULL, NULL, 0);

    if (r != CUDA_SUCCESS)
        return r;
    r = cuLibraryGetModule(&m, l); /* it may be loaded when it is used */
    CHECK(cuLibraryUnload(l));
    return r;
}

static CUresult try_cuLinkAddData_v2(void)
{
    static char text[1 << 20];
    CUlinkState l;
    CUresult r;

    memset(text, '\n', sizeof(text) - 1);
    memcpy(text, variables, sizeof(variables) - 1);
    CHECK(cuLinkCreate_v2(0, NULL, NULL, &l));
    r = cuLinkAddData_v2(l, CU_JIT_INPUT_PTX, text, sizeof(text), "text", 0, NULL, NULL);
    CHECK(cuLinkDestroy(l));
    return r;
}

static CUresult try_cuStreamCreate(void)
{
    CUstream s[32];
    CUresult r = CUDA_SUCCESS;
    unsigned n = 0;

    for (; r == CUDA_SUCCESS && n < 32; n++)
        r = cuStreamCreate(&s[n], 0);
    n -= r != CUDA_SUCCESS;
    while (n)
        CHECK(cuStreamDestroy_v2(s[--n]));
    return r;
}

static CUresult try_cuStreamCreateWithPriority(void)
{
    CUstream s;
    CUresult r = cuStreamCreateWithPriority(&s, CU_STREAM_NON_BLOCKING, 0);
    if (r == CUDA_SUCCESS)
        CHECK(cuStreamDestroy_v2(s));
    return r;
}

static CUresult try_cuEventCreate(void)
{
    CUevent e;
    CUresult r = cuEventCreate(&e, 0);
    if (r == CUDA_SUCCESS)
        CHECK(cuEventDestroy_v2(e));
    return r;
}

static CUresult try_cuCtxCreate_v2(void)
{
    CUcontext c;
    CUresult r = cuCtxCreate_v2(&c, 0, device);
    if (r == CUDA_SUCCESS)
        CHECK(cuCtxDestroy_v2(c));
    CHECK(cuCtxSetCurrent(ctx));
    return r;
}

static CUresult try_cuCtxSetLimit(void)
{
    size_t before;
    CHECK(cuCtxGetLimit(&before, CU_LIMIT_MALLOC_HEAP_SIZE));
    CUresult r = cuCtxSetLimit(CU_LIMIT_MALLOC_HEAP_SIZE, before + SIZE);
    if (r == CUDA_SUCCESS)
        CHECK(cuCtxSetLimit(CU_LIMIT_MALLOC_HEAP_SIZE, before));
    return r;
}

/* A call that the description says allocates, and that has no lines above, does not compile. */
static const struct {
    const char *name;
    CUresult (*attempt)(void);
} calls[] = {
#define X(call) {#call, try_##call},
    XG_CUDA_TAKES(X)
#undef X
};

/* A kernel's local memory is there for every thread that the device can have at a time. */
static bool local_memory(void)
{
    static const char text[] =
        ".version 7.0\n.target sm_70\n.address_size 64\n"
        ".visible .entry k() { .local .align 4 .b8 mine[4096]; .reg .u32 %r<2>; mov.u32 %r1, 1;"
        " st.local.u32 [mine], %r1; ret; }\n";
    CUfunction f;
    CUmodule m;
    CUresult at_limit, with_room;

    CHECK(cuModuleLoadData(&m, text));
    CHECK(cuModuleGetFunction(&f, m, "k"));
    fill();
    at_limit = cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL);
    if (at_limit == CUDA_SUCCESS)
        at_limit = cuCtxSynchronize();
    unfill();
    with_room = cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL);
    if (with_room == CUDA_SUCCESS)
        with_room = cuCtxSynchronize();
    if (at_limit != CUDA_ERROR_OUT_OF_MEMORY || with_room != CUDA_SUCCESS)
        printf("local memory: at the limit %s, with room %s\n", error_name(at_limit),
               error_name(with_room));
    CHECK(cuModuleUnload(m));
    return at_limit == CUDA_ERROR_OUT_OF_MEMORY && with_room == CUDA_SUCCESS;
}

int main(void)
{
    size_t free_first, free_last, total;
    bool ok = true;

    ctx = open_device();
    CHECK(cuCtxGetDevice(&device));
    CHECK(cuMemAlloc_v2(&texels, 4096));
    CHECK(cuMemGetInfo_v2(&free_first, &total));
    printf("of %zu MiB\n", total >> 20);
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        CUresult at_limit, with_room = calls[i].attempt();

        fill();
        at_limit = calls[i].attempt();
        unfill();
        if (with_room != CUDA_ERROR_NOT_SUPPORTED && at_limit == CUDA_ERROR_OUT_OF_MEMORY)
            with_room = calls[i].attempt();
        else if (with_room == CUDA_ERROR_NOT_SUPPORTED) /* the device has none */
            with_room = CUDA_SUCCESS, at_limit = CUDA_ERROR_OUT_OF_MEMORY;
        if (at_limit == CUDA_ERROR_OUT_OF_MEMORY && with_room == CUDA_SUCCESS)
            continue;
        printf("%s: at the limit %s, with room %s\n", calls[i].name, error_name(at_limit),
               error_name(with_room));
        ok = false;
    }
    ok &= local_memory();
    CHECK(cuMemGetInfo_v2(&free_last, &total));
    if (free_last + (40 << 20) < free_first) { /* local memory stays, and images are kept */
        printf("of %zu bytes that were free %zu are left\n", free_first, free_last);
        ok = false;
    }
    printf("%zu calls: %s\n", sizeof(calls) / sizeof(calls[0]),
           ok ? "all refused at the limit" : "not all");
    return !ok;
}
