/*
 * cuda_managed: the program reads managed and pinned memory right after a synchronous copy or fill
 * into it, without asking CUDA again, and sees what was written: by every call that can write
 * there. And a module's __managed__ variables, loaded, used, and loaded anew.
 */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

enum { W = 64, H = 4, BYTES = 4 << 20 };

static uint8_t from[BYTES];

/* What the call wrote is there now; then it is cleared for the next one. */
static void look(volatile uint8_t *p, size_t size, uint8_t want, const char *what)
{
    for (size_t i = 0; i < size; i++) {
        if (p[i] == want)
            continue;
        fprintf(stderr, "%s: byte %zu is %u instead of %u\n", what, i, p[i], want);
        exit(1);
    }
    memset((void *)p, 0, size);
    printf("%s: there\n", what);
}

static void calls(CUdeviceptr p)
{
    uint8_t *host = (uint8_t *)(uintptr_t)p;
    CUdeviceptr device;
    CUDA_MEMCPY2D rows = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                          .srcHost = from,
                          .srcPitch = W,
                          .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                          .dstDevice = p,
                          .dstPitch = W,
                          .WidthInBytes = W,
                          .Height = H};

    CHECK(cuMemAlloc(&device, BYTES));
    memset(from, 3, BYTES);
    for (size_t size = 1; size <= BYTES; size *= 64) {
        CHECK(cuMemcpyHtoD(p, from, size));
        look(host, size, 3, "copy from host memory");
    }
    CHECK(cuMemcpyHtoD(p, from, BYTES));
    look(host, BYTES, 3, "large copy from host memory");
    CHECK(cuMemsetD8(device, 4, BYTES));
    CHECK(cuMemcpyDtoD(p, device, BYTES));
    look(host, BYTES, 4, "copy between device addresses");
    CHECK(cuMemcpy(p, device, BYTES));
    look(host, BYTES, 4, "copy");
    CHECK(cuMemcpy2D(&rows));
    look(host, W * H, 3, "copy of rows");
    rows.srcMemoryType = CU_MEMORYTYPE_DEVICE;
    rows.srcDevice = device;
    CHECK(cuMemcpy2D(&rows));
    look(host, W * H, 4, "copy of rows between device addresses");
    CHECK(cuMemsetD8(p, 5, BYTES));
    look(host, BYTES, 5, "fill");
    CHECK(cuMemsetD32(p, 0x06060606, BYTES / 4));
    look(host, BYTES, 6, "fill of words");
    CHECK(cuMemsetD2D8(p, W, 7, W, H));
    look(host, W * H, 7, "fill of rows");
    CHECK(cuMemFree(device));
}

static const char ptx[] =
    ".version 7.0\n.target sm_70\n.address_size 64\n"
    ".global .attribute(.managed) .align 4 .u32 counter = 40;\n"
    ".visible .global .attribute(.managed) .align 8 .b8 list[64] = {1, 2, 3};\n"
    ".visible .global .attribute(.managed) .align 8 .u64 where = generic(counter);\n"
    ".visible .entry step()\n{\n.reg .b32 %r<3>;\n.reg .b64 %d<2>;\n"
    "ld.global.u32 %r1, [counter];\nadd.u32 %r1, %r1, 2;\nst.global.u32 [counter], %r1;\n"
    "mov.u64 %d1, list;\nst.global.u8 [%d1+5], 9;\nret;\n}\n";

static const char beyond[] =
    ".version 7.0\n.target sm_70\n.address_size 64\n"
    ".visible .global .attribute(.managed) .align 4 .u32 counter = 40;\n"
    ".visible .entry step()\n{\n.reg .b32 counter;\nmov.u32 counter, 1;\nret;\n}\n";

static void variables(void)
{
    CUdeviceptr p, q;
    CUmodule m;
    CUfunction f;
    size_t size;

    for (unsigned turn = 0; turn < 3; turn++) { /* each time with its initial value */
        CHECK(cuModuleLoadData(&m, ptx));
        CHECK(cuModuleGetGlobal(&p, &size, m, "counter"));
        MUST(size == 4);
        volatile uint32_t *counter = (volatile uint32_t *)(uintptr_t)p;
        MUST(*counter == 40);
        CHECK(cuModuleGetGlobal(&q, &size, m, "list"));
        MUST(size == 64);
        volatile uint8_t *list = (volatile uint8_t *)(uintptr_t)q;
        MUST(list[0] == 1 && list[2] == 3 && list[5] == 0);
        CHECK(cuModuleGetGlobal(&q, NULL, m, "where"));
        MUST(*(volatile uint64_t *)(uintptr_t)q == p);
        CHECK(cuModuleGetFunction(&f, m, "step"));
        CHECK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
        CHECK(cuCtxSynchronize());
        MUST(*counter == 42 && list[5] == 9);
        *counter = 10;
        CHECK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
        CHECK(cuCtxSynchronize());
        MUST(*counter == 12);
        EXPECT(cuMemFree(p), CUDA_ERROR_INVALID_VALUE);
        CHECK(cuModuleUnload(m));
    }
    puts("variables of a module: shared");
    /* Text that xengpu cannot put into another form: the variable is the driver's, and a guest has
     * no address of it. */
    CUresult r = cuModuleLoadData(&m, beyond);
    if (r != CUDA_SUCCESS && !on_softcuda())
        return; /* a compiler need not like it either */
    CHECK(r);
    r = cuModuleGetGlobal(&p, &size, m, "counter");
    MUST(r == CUDA_ERROR_NOT_SUPPORTED ||
         (r == CUDA_SUCCESS && *(volatile uint32_t *)(uintptr_t)p == 40));
    CHECK(cuModuleUnload(m));
}

int main(void)
{
    CUcontext ctx = open_device();
    CUdeviceptr p;
    void *pinned;
    int yes = 0;

    CHECK(cuDeviceGetAttribute(&yes, CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY, 0));
    if (!yes) {
        puts("no managed memory here");
        return 77;
    }
    CHECK(cuMemAllocManaged(&p, BYTES, CU_MEM_ATTACH_GLOBAL));
    calls(p);
    CHECK(cuMemFree(p));
    CHECK(cuMemHostAlloc(&pinned, BYTES, CU_MEMHOSTALLOC_DEVICEMAP));
    CHECK(cuMemHostGetDevicePointer(&p, pinned, 0));
    if (p == (CUdeviceptr)(uintptr_t)pinned)
        calls(p);
    CHECK(cuMemFreeHost(pinned));
    variables();
    CHECK(cuCtxDestroy(ctx));
    puts("ok");
    return 0;
}
