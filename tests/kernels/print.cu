/* What kernels print: `lines` lines that name the kernel; and a failed assert. */
#include "cuda_mini.h"

extern "C" __device__ void __assertfail(const char *what, const char *file, unsigned line,
                                        const char *function, size_t size);

extern "C" __global__ void say(int mark, int lines)
{
    for (int i = 0; i < lines; i++) {
#if defined(__clang__)
        struct {
            int mark, line, lines;
        } args = {mark, i + 1, lines};
        vprintf("kernel %d: line %d of %d\n", &args);
#else
        printf("kernel %d: line %d of %d\n", mark, i + 1, lines);
#endif
    }
}

extern "C" __global__ void claim(int right)
{
    if (!right)
        __assertfail("right", "claim.cu", 7, "claim(int)", 1);
}
