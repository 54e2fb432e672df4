/*
 * cuda_nulls: calls every function of the API with nothing but zeros: before cuInit, without a
 * context, and with one. None may crash or hang, and the context must work afterwards. Prints the
 * answers; those that depend on nothing but the implementation can be compared.
 */
/* links: obj/libcuda_common.a -lcuda -lzstd -llz4 */
#include <dlfcn.h>

#include "cuda/procs.h"
#include "tests/programs/cuda_common.h"

typedef CUresult (*any)(long, long, long, long, long, long, long, long, long, long, long, long);

/* These change the state that the test stands on. */
static bool excluded(const char *name)
{
    static const char *const names[] = {
        "cuInit",          "cuDevicePrimaryCtxReset", "cuDevicePrimaryCtxRelease",
        "cuCtxPopCurrent", "cuCtxSetCurrent",         "cuCtxDestroy",
        "cuCtxDetach",     "cuStreamBeginCapture"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strncmp(name, names[i], strlen(names[i])))
            return true;
    return false;
}

static void call_all(const char *when)
{
    const char *name, *last = "";

    for (unsigned i = 0; (name = xg_cuda_proc_at(i)); i++) {
        any f = (any)dlsym(RTLD_DEFAULT, name);
        if (!f || excluded(name) || !strcmp(name, last))
            continue;
        last = name;
        fprintf(stderr, "%s: %s\n", when, name); /* the last line says who crashed */
        CUresult r = f(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
        printf("%s: %s: %s\n", when, name, error_name(r));
    }
}

/* Names of before CUDA 3.2, with device addresses of 32 bits: old programs look for them, and none
 * can do anything. */
static void call_old(void)
{
    static const char *const names[] = {
        "cuModuleGetGlobal",    "cuMemAlloc",          "cuMemFree",
        "cuMemcpyHtoD",         "cuMemsetD32",         "cuArrayCreate",
        "cuMemGetAddressRange", "cuTexRefSetAddress2D"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        any f = (any)dlsym(RTLD_DEFAULT, names[i]);
        MUST(f != NULL);
        EXPECT(f(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), CUDA_ERROR_NOT_SUPPORTED);
    }
}

int main(void)
{
    CUcontext ctx;
    CUdeviceptr p;
    uint32_t v = 1;

    call_all("before cuInit");
    CHECK(cuInit(0));
    call_all("without context");
    CHECK(cuCtxCreate_v2(&ctx, 0, 0));
    call_all("with context");
    call_old();
    CHECK(cuMemAlloc(&p, 4));
    CHECK(cuMemsetD32(p, 5, 1));
    CHECK(cuMemcpyDtoH(&v, p, 4));
    MUST(v == 5);
    CHECK(cuCtxDestroy(ctx));
    puts("ok");
    return 0;
}
