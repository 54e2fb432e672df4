/*
 * cudarem_contexts [THREADS [ROUNDS]]: many threads, each of which makes a context, loads a module,
 * and ends the context with all that is in it, again and again. What one of them ends is never
 * another's. A library is in all these contexts, and is asked meanwhile what is in it.
 */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

#include <pthread.h>

static const char image[] = ".version 6.4\n.target sm_70\n.address_size 64\n"
                            ".visible .global .align 4 .u32 sum = 7;\n"
                            ".visible .entry add(.param .u32 n)\n{\n    .reg .b32 %r<3>;\n"
                            "    ld.param.u32 %r1, [n];\n    atom.global.add.u32 %r2, [sum], %r1;\n"
                            "    ret;\n}\n";
static int rounds = 40;
static _Atomic int working;
static CUlibrary library;
static CUkernel kernel;

/* `twice`: the context was idle in between. */
static void use(CUfunction f, CUdeviceptr sum, unsigned n, bool twice)
{
    void *params[] = {&n};
    unsigned got = 0;

    for (int i = 0; i < 3; i++) {
        CHECK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
        if (twice)
            CHECK(cuCtxSynchronize());
    }
    CHECK(cuCtxSynchronize());
    CHECK(cuMemcpyDtoH(&got, sum, sizeof(got)));
    MUST(got == 7 + 3 * n);
}

static void *work(void *arg)
{
    unsigned id = (unsigned)(uintptr_t)arg;

    for (int r = 0; r < rounds; r++) {
        CUdeviceptr sum;
        CUfunction f;
        CUcontext c;
        CUmodule m;

        CHECK(cuCtxCreate_v2(&c, 0, 0));
        CHECK(cuModuleLoadData(&m, image));
        CHECK(cuModuleGetFunction(&f, m, "add"));
        CHECK(cuModuleGetGlobal(&sum, NULL, m, "sum"));
        use(f, sum, id * 1000 + (unsigned)r, r % 2);
        CHECK(cuKernelGetFunction(&f, kernel));
        CHECK(cuLibraryGetGlobal(&sum, NULL, library, "sum"));
        use(f, sum, id * 1000 + (unsigned)r, r % 2);
        CHECK(cuCtxDestroy(c));
    }
    working--;
    return NULL;
}

static void ask(void)
{
    const char *name;
    CUkernel k;

    CHECK(cuLibraryGetKernel(&k, library, "add"));
    CHECK(cuKernelGetName(&name, k));
    MUST(k == kernel && !strcmp(name, "add"));
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 3;
    pthread_t t[64];

    alarm(100); /* a test that hangs ends */
    rounds = argc > 2 ? atoi(argv[2]) : rounds;
    MUST(threads > 0 && threads <= 64);
    open_device();
    CHECK(cuLibraryLoadData(&library, image, NULL, NULL, 0, NULL, NULL, 0));
    CHECK(cuLibraryGetKernel(&kernel, library, "add"));
    working = threads;
    for (int i = 0; i < threads; i++)
        MUST(pthread_create(&t[i], NULL, work, (void *)(intptr_t)i) == 0);
    while (working)
        ask();
    for (int i = 0; i < threads; i++)
        pthread_join(t[i], NULL);
    CHECK(cuLibraryUnload(library));
    printf("%d threads, %d contexts each: right\n", threads, rounds);
    return 0;
}
