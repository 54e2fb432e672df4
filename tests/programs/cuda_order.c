/*
 * cuda_order: what a synchronous copy to the device brought is there for streams that do not wait
 * for the default one; many programs rely on it, though only copies from pinned memory promise it.
 */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

enum { SIZE = 1 << 20, ROUNDS = 40 };

int main(void)
{
    static unsigned char bytes[SIZE], back[SIZE];
    CUstream s[2];
    CUdeviceptr p, q;

    open_device();
    CHECK(cuMemAlloc(&p, SIZE));
    CHECK(cuMemAlloc(&q, SIZE));
    for (int r = 1; r <= ROUNDS; r++) {
        size_t size = r % 4 ? SIZE : 100;
        if (r == ROUNDS / 2)
            CHECK(cuStreamCreate(&s[1], CU_STREAM_NON_BLOCKING));
        memset(bytes, r, size);
        CHECK(cuMemcpyHtoD(p, bytes, size));
        memset(bytes, 0xee, size);
        if (r == 1)
            CHECK(cuStreamCreate(&s[0], CU_STREAM_NON_BLOCKING));
        CUstream use = s[r > ROUNDS / 2 && r % 2];
        CHECK(cuMemcpyDtoDAsync(q, p, size, use));
        CHECK(cuMemcpyDtoHAsync(back, q, size, use));
        CHECK(cuStreamSynchronize(use));
        for (size_t i = 0; i < size; i++)
            MUST(back[i] == r);
    }
    printf("%d rounds\n", ROUNDS);
    return 0;
}
