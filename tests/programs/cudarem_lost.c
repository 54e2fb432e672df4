/*
 * cudarem_lost FILE [SECONDS]: launches and waits until a call fails, SECONDS at most (20), then
 * says how long each further kind of call takes to fail. FILE is made when it is under way. For a
 * test that kills what serves it.
 */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

#include <time.h>

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void fails(CUresult r, double start, const char *what)
{
    double took = now() - start;

    if (r == CUDA_SUCCESS || took > 1.0) {
        fprintf(stderr, "%s: %s after %.3f s\n", what, error_name(r), took);
        exit(1);
    }
    printf("%s: %s\n", what, error_name(r));
}

int main(int argc, char **argv)
{
    CUcontext ctx = open_device();
    CUfunction f = load_function("empty.ptx", "empty");
    CUdeviceptr p = upload(NULL, 1 << 20);
    char *h = allocate(1 << 20);
    CUresult r = CUDA_SUCCESS;
    size_t a, b;
    CUstream s;
    double t = now(), patience = argc > 2 ? atof(argv[2]) : 20;

    MUST(argc > 1);
    for (unsigned i = 0; r == CUDA_SUCCESS && now() - t < patience; i++) {
        r = cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, NULL, NULL, NULL);
        if (r == CUDA_SUCCESS && i % 100 == 0)
            r = cuCtxSynchronize();
        if (i == 200)
            fclose(fopen(argv[1], "w"));
    }
    printf("lost: %s\n", error_name(r));
#define FAILS(call) t = now(), fails(call, t, #call)
    FAILS(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, NULL, NULL, NULL));
    FAILS(cuCtxSynchronize());
    FAILS(cuMemcpyHtoD(p, h, 1 << 20));
    FAILS(cuMemcpyDtoH(h, p, 1 << 20));
    FAILS(cuMemAlloc(&p, 1 << 20));
    FAILS(cuMemGetInfo(&a, &b));
    FAILS(cuStreamCreate(&s, 0));
    FAILS(cuMemsetD8(p, 0, 100));
    (void)ctx;
    return r == CUDA_SUCCESS;
}
