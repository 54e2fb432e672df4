/* cuda_hints: advice about managed memory is taken, and what was advised can be asked for; what is
 * no managed memory or no place is refused. */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

enum { BYTES = 1 << 20 };

static int ask(CUdeviceptr p, size_t size, CUmem_range_attribute a)
{
    int v = 99;

    CHECK(cuMemRangeGetAttribute(&v, sizeof(v), a, p, size));
    return v;
}

static void advice(CUdeviceptr p, CUstream s)
{
    CUmemLocation gpu = {CU_MEM_LOCATION_TYPE_DEVICE, 0}, cpu = {CU_MEM_LOCATION_TYPE_HOST, 0};
    CUmem_range_attribute which[2] = {CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY,
                                      CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY};
    int mostly, by[3];
    void *data[2] = {&mostly, by};
    size_t sizes[2] = {sizeof(mostly), sizeof(by)};

    MUST(ask(p, BYTES, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY) == 0);
    MUST(ask(p, BYTES, CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION) == CU_DEVICE_INVALID);
    CHECK(cuMemAdvise_v2(p, BYTES, CU_MEM_ADVISE_SET_READ_MOSTLY, gpu));
    CHECK(cuMemAdvise_v2(p, BYTES, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, gpu));
    CHECK(cuMemAdvise_v2(p, BYTES, CU_MEM_ADVISE_SET_ACCESSED_BY, cpu));
    MUST(ask(p, BYTES, CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION) == 0);
    CHECK(cuMemRangeGetAttributes(data, sizes, which, 2, p, BYTES));
    MUST(mostly == 1 && by[0] == CU_DEVICE_CPU && by[1] == CU_DEVICE_INVALID);
    CHECK(cuMemAdvise_v2(p + BYTES / 2, 4096, CU_MEM_ADVISE_UNSET_READ_MOSTLY, gpu));
    MUST(ask(p, BYTES, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY) == 0);
    MUST(ask(p, BYTES / 2, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY) == 1);
    CHECK(cuMemPrefetchAsync_v2(p, BYTES, gpu, 0, s));
    MUST(ask(p, BYTES, CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION) == 0);
    CHECK(cuMemPrefetchAsync_v2(p, 4096, cpu, 0, s));
    MUST(ask(p, 4096, CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION) == CU_DEVICE_CPU);
    MUST(ask(p, BYTES, CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION) == CU_DEVICE_INVALID);
    puts("advice: taken");
}

static void refusals(CUdeviceptr managed, CUdeviceptr plain, CUstream s)
{
    CUmemLocation gpu = {CU_MEM_LOCATION_TYPE_DEVICE, 0}, second = {CU_MEM_LOCATION_TYPE_DEVICE, 1};
    int v;

    EXPECT(cuMemAdvise_v2(plain, 64, CU_MEM_ADVISE_SET_READ_MOSTLY, gpu), CUDA_ERROR_INVALID_VALUE);
    EXPECT(
        cuMemAdvise_v2((CUdeviceptr)(uintptr_t)&v, sizeof(v), CU_MEM_ADVISE_SET_READ_MOSTLY, gpu),
        CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuMemAdvise_v2(managed, BYTES + 1, CU_MEM_ADVISE_SET_READ_MOSTLY, gpu),
           CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuMemAdvise_v2(managed, 0, CU_MEM_ADVISE_SET_READ_MOSTLY, gpu),
           CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuMemAdvise_v2(managed, BYTES, (CUmem_advise)9, gpu), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuMemAdvise_v2(managed, BYTES, CU_MEM_ADVISE_SET_ACCESSED_BY, second),
           CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuMemPrefetchAsync_v2(plain, 64, gpu, 0, s), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuMemPrefetchAsync_v2(managed, BYTES, second, 0, s), CUDA_ERROR_INVALID_DEVICE);
    EXPECT(cuMemPrefetchAsync_v2(managed, BYTES, gpu, 1, s), CUDA_ERROR_INVALID_VALUE);
    if (on_softcuda()) /* a driver follows it */
        EXPECT(cuMemPrefetchAsync_v2(managed, BYTES, gpu, 0, (CUstream)0x1234),
               CUDA_ERROR_INVALID_HANDLE);
    EXPECT(cuMemRangeGetAttribute(&v, sizeof(v), CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, plain, 64),
           CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuMemRangeGetAttribute(&v, 2, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, managed, 64),
           CUDA_ERROR_INVALID_VALUE);
    puts("what is wrong: refused");
}

int main(void)
{
    CUcontext ctx = open_device();
    int managed = 0;
    CUdeviceptr p, plain;
    CUstream s;

    CHECK(cuDeviceGetAttribute(&managed, CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY, 0));
    if (!managed) {
        puts("no managed memory here");
        return 77;
    }
    CHECK(cuStreamCreate(&s, 0));
    CHECK(cuMemAllocManaged(&p, BYTES, CU_MEM_ATTACH_GLOBAL));
    CHECK(cuMemAlloc(&plain, 64));
    memset((void *)(uintptr_t)p, 7, BYTES);
    advice(p, s);
    refusals(p, plain, s);
    CHECK(cuStreamSynchronize(s));
    MUST(((uint8_t *)(uintptr_t)p)[BYTES - 1] == 7);
    CHECK(cuMemFree(p));
    CHECK(cuMemAllocManaged(&p, BYTES, CU_MEM_ATTACH_GLOBAL)); /* likely the same place */
    MUST(ask(p, BYTES, CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION) == CU_DEVICE_INVALID);
    CHECK(cuCtxDestroy(ctx));
    puts("ok");
    return 0;
}
