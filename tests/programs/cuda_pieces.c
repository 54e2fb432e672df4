/*
 * cuda_pieces: fills the device's memory with pieces of one size, uses all of them, gives them
 * back, and takes the half of it as one piece, then as pieces of another size. How much there is
 * depends on where it runs: what is printed does not.
 */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

enum { MOST = 1 << 16 };

static CUdeviceptr p[MOST];

static unsigned fill(size_t size, unsigned most)
{
    CUresult r = CUDA_SUCCESS;
    unsigned n = 0;

    while (n < most && (r = cuMemAlloc(&p[n], size)) == CUDA_SUCCESS)
        n++;
    if (r != CUDA_SUCCESS)
        EXPECT(r, CUDA_ERROR_OUT_OF_MEMORY);
    for (unsigned i = 0; i < n; i++)
        CHECK(cuMemsetD8(p[i], (unsigned char)i, size));
    CHECK(cuCtxSynchronize());
    for (unsigned i = 0; i < n; i += n / 16 + 1) {
        unsigned char last;
        CHECK(cuMemcpyDtoH(&last, p[i] + size - 1, 1));
        MUST(last == (unsigned char)i);
    }
    return n;
}

static void give_back(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        CHECK(cuMemFree(p[i]));
}

int main(void)
{
    size_t free_now, total;
    unsigned n;

    open_device();
    n = fill(1 << 20, 256);
    MUST(n >= 16);
    give_back(n);
    CHECK(cuCtxSynchronize());
    CHECK(cuMemGetInfo(&free_now, &total));
    MUST(free_now >= (size_t)n << 20);
    printf("pieces of 1 MiB: used and given back\n");
    MUST(fill((size_t)(n - n / 4) << 20, 1) == 1);
    give_back(1);
    printf("one large one: used and given back\n");
    MUST(fill(1 << 16, n * 8) == n * 8);
    give_back(n * 8);
    printf("pieces of 64 KiB: used and given back\n");
    MUST(fill(1 << 18, n * 2) == n * 2);
    give_back(n * 2);
    printf("pieces of 256 KiB: used and given back\n");
    return 0;
}
