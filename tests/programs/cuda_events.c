/* cuda_events: time, order, queries and reuse of events. */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

int main(void)
{
    int n = 256;
    size_t bytes = (size_t)n * (size_t)n * 4;
    float ms, longer;
    CUevent a, b, c, plain;
    CUstream s;

    open_device();
    CUfunction f = load_function("matmul_tiled.ptx", "matmul16");
    CUdeviceptr x = upload(NULL, bytes), y = upload(NULL, bytes);
    CHECK(cuMemsetD8(x, 0, bytes));
    void *params[] = {&x, &x, &y, &n};
    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    CHECK(cuEventCreate(&a, CU_EVENT_DEFAULT));
    CHECK(cuEventCreate(&b, CU_EVENT_DEFAULT));
    CHECK(cuEventCreate(&c, CU_EVENT_BLOCKING_SYNC));
    CHECK(cuEventCreate(&plain, CU_EVENT_DISABLE_TIMING));
    CHECK(cuEventQuery(a)); /* never recorded: done */
    CHECK(cuEventSynchronize(a));
    EXPECT(cuEventElapsedTime(&ms, a, b), CUDA_ERROR_INVALID_HANDLE);

    CHECK(cuEventRecord(a, s));
    CHECK(cuLaunchKernel(f, 16, 16, 1, 16, 16, 1, 0, s, params, NULL));
    CHECK(cuEventRecord(b, s));
    for (int i = 0; i < 4; i++)
        CHECK(cuLaunchKernel(f, 16, 16, 1, 16, 16, 1, 0, s, params, NULL));
    CHECK(cuEventRecord(c, s));
    CHECK(cuEventRecord(plain, s));
    CHECK(cuEventSynchronize(c));
    CHECK(cuEventQuery(b));
    CHECK(cuEventElapsedTime(&ms, a, b));
    CHECK(cuEventElapsedTime(&longer, a, c));
    MUST(ms > 0 && longer > ms);
    CHECK(cuEventElapsedTime(&longer, b, a));
    MUST(longer <= 0);
    EXPECT(cuEventElapsedTime(&ms, a, plain), CUDA_ERROR_INVALID_HANDLE);
    CHECK(cuEventSynchronize(plain));

    /* Recorded again, it stands for the later point. */
    CHECK(cuEventRecord(a, NULL));
    CHECK(cuCtxSynchronize());
    CHECK(cuEventQuery(a));
    CHECK(cuEventElapsedTime(&ms, c, a));
    MUST(ms >= 0);
    CHECK(cuEventDestroy(a));
    if (on_softcuda()) {
        EXPECT(cuEventQuery(a), CUDA_ERROR_INVALID_HANDLE);
        EXPECT(cuEventRecord(a, NULL), CUDA_ERROR_INVALID_HANDLE);
    }
    EXPECT(cuEventCreate(NULL, 0), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuEventCreate(&a, 0x100), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuEventDestroy(b));
    CHECK(cuEventDestroy(c));
    CHECK(cuEventDestroy(plain));
    CHECK(cuStreamDestroy(s));
    puts("ok");
    return 0;
}
