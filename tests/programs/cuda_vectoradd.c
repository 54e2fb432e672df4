/* cuda_vectoradd: c = a + b for sizes that do not fill the last block; also from memory that is
 * pinned, managed and registered. */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

static void run(CUfunction f, CUdeviceptr a, CUdeviceptr b, CUdeviceptr c, int n)
{
    void *params[] = {&a, &b, &c, &n};

    CHECK(cuLaunchKernel(f, (unsigned)(n + 255) / 256, 1, 1, 256, 1, 1, 0, NULL, params, NULL));
    CHECK(cuCtxSynchronize());
}

static void verify(const char *what, const float *a, const float *b, const float *c, int n)
{
    for (int i = 0; i < n; i++)
        MUST(c[i] == a[i] + b[i]);
    printf("%s, %d elements: %016llx\n", what, n, (unsigned long long)hash(c, (size_t)n * 4));
}

int main(void)
{
    static const int sizes[] = {1, 31, 256, 1000, 50000, 1 << 20};
    uint32_t seed = 12345;

    open_device();
    CUfunction f = load_function("vectoradd.ptx", "vectoradd");
    for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
        int n = sizes[k];
        size_t bytes = (size_t)n * 4;
        float *a = allocate(bytes), *b = allocate(bytes), *c = allocate(bytes), *pinned;
        for (int i = 0; i < n; i++) {
            a[i] = noise_float(&seed);
            b[i] = noise_float(&seed) - 0.5f;
        }
        CUdeviceptr da = upload(a, bytes), db = upload(b, bytes), dc = upload(NULL, bytes), dp, dm;
        run(f, da, db, dc, n);
        CHECK(cuMemcpyDtoH(c, dc, bytes));
        verify("device", a, b, c, n);

        CHECK(cuMemHostAlloc((void **)&pinned, bytes, CU_MEMHOSTALLOC_DEVICEMAP));
        memset(pinned, 0, bytes);
        CHECK(cuMemHostGetDevicePointer(&dp, pinned, 0));
        run(f, da, db, dp, n);
        verify("pinned", a, b, pinned, n);

        CHECK(cuMemAllocManaged(&dm, bytes, CU_MEM_ATTACH_GLOBAL));
        run(f, da, db, dm, n);
        verify("managed", a, b, (const float *)(uintptr_t)dm, n);

        CHECK(cuMemFreeHost(pinned));
        CHECK(cuMemFree(dm));
        CHECK(cuMemFree(da));
        CHECK(cuMemFree(db));
        CHECK(cuMemFree(dc));
        free(a);
        free(b);
        free(c);
    }
    return 0;
}
