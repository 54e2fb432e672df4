/* cuda_matmul [N]: square matrices by tiles of 16 and 32, N a multiple of 32 (128 if not said);
 * parameters by list and by buffer. */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 128;
    size_t bytes = (size_t)n * (size_t)n * 4;
    uint32_t seed = 99;

    MUST(n > 0 && n % 32 == 0);
    open_device();
    CUmodule m = load_module("matmul_tiled.ptx");
    float *a = allocate(bytes), *b = allocate(bytes), *c = allocate(bytes);
    for (int i = 0; i < n * n; i++) {
        a[i] = noise_float(&seed) - 0.5f;
        b[i] = noise_float(&seed) - 0.5f;
    }
    CUdeviceptr da = upload(a, bytes), db = upload(b, bytes), dc = upload(NULL, bytes);
    for (unsigned tile = 16; tile <= 32; tile += 16) {
        CUfunction f;
        CHECK(cuModuleGetFunction(&f, m, tile == 16 ? "matmul16" : "matmul32"));
        struct {
            CUdeviceptr a, b, c;
            int n;
        } buffer = {da, db, dc, n};
        size_t size = offsetof(__typeof__(buffer), n) + sizeof(int);
        void *list[] = {&da, &db, &dc, &n};
        void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &buffer, CU_LAUNCH_PARAM_BUFFER_SIZE,
                         &size, CU_LAUNCH_PARAM_END};
        unsigned blocks = (unsigned)n / tile;
        CHECK(cuMemsetD8(dc, 0xff, bytes));
        CHECK(cuLaunchKernel(f, blocks, blocks, 1, tile, tile, 1, 0, NULL, tile == 16 ? list : NULL,
                             tile == 16 ? NULL : extra));
        CHECK(cuMemcpyDtoH(c, dc, bytes));
        for (int k = 0; k < 2000; k++) { /* a sample, against double */
            int row = (int)(noise(&seed) % (unsigned)n), col = (int)(noise(&seed) % (unsigned)n);
            double want = 0;
            for (int i = 0; i < n; i++)
                want += (double)a[row * n + i] * (double)b[i * n + col];
            MUST(c[row * n + col] - want < 1e-3 && want - c[row * n + col] < 1e-3);
        }
        printf("tile %u, %d x %d: %016llx\n", tile, n, n, (unsigned long long)hash(c, bytes));
    }
    free(a);
    free(b);
    free(c);
    return 0;
}
