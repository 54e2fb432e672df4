/*
 * cuda_quiet: long work that nobody waits for: a host function that takes 0.4 s, twenty times nothing of note, and a look at the end.
 * links: -lcuda
 */
#include "tests/programs/cuda_common.h"

static void slow(void *arg)
{
    (void)arg;
    usleep(400000);
}

int main(void)
{
    CUstream s;
    CUdeviceptr p;
    CUresult r;

    open_device();
    CHECK(cuMemAlloc(&p, 4096));
    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    CHECK(cuLaunchHostFunc(s, slow, NULL));
    CHECK(cuMemsetD8Async(p, 1, 4096, s));
    EXPECT(cuStreamQuery(s), CUDA_ERROR_NOT_READY);
    usleep(600000);
    r = cuStreamQuery(s);
    MUST(r == CUDA_SUCCESS || r == CUDA_ERROR_NOT_READY); /* on a busy machine */
    CHECK(cuStreamSynchronize(s));
    printf("done\n");
    return 0;
}
