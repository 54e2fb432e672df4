/*
 * cuda_stream LAUNCHES CALLS [FILE]: empty kernels without a call that waits between them, then
 * calls that wait. Says "ready", "launched" and "called" when it has done with each, and goes on
 * when FILE.1, FILE.2 exist; without FILE at once. For a test that counts events.
 */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

static void stage(const char *name, const char *file, int n)
{
    char path[512];

    printf("%s\n", name);
    fflush(stdout);
    if (!file)
        return;
    snprintf(path, sizeof(path), "%s.%d", file, n);
    for (int i = 0; i < 12000 && access(path, F_OK) != 0; i++)
        usleep(10000);
}

int main(int argc, char **argv)
{
    int launches = argc > 1 ? atoi(argv[1]) : 1000, calls = argc > 2 ? atoi(argv[2]) : 100;
    const char *file = argc > 3 ? argv[3] : NULL;

    open_device();
    CUfunction f = load_function("empty.ptx", "empty");
    CUdeviceptr p = upload(NULL, 4096);
    uint32_t word = 0;
    CHECK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    CHECK(cuMemcpyDtoH(&word, p, 4));
    stage("ready", file, 1);
    for (int i = 0; i < launches; i++)
        CHECK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    stage("launched", file, 2);
    CHECK(cuCtxSynchronize());
    stage("synchronized", file, 3);
    for (int i = 0; i < calls; i++)
        CHECK(cuMemcpyDtoH(&word, p, 4));
    stage("called", file, 4);
    return 0;
}
