/* Does by hand what nvcc's code does before and during main, so that libcudart is tested without
 * nvcc.
 * tests/kernels/rt_basic.cu */
/* links: -ldl usage: cudart_hand LIBCUDART FATBIN    the fatbin is made of */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cuda/abi/runtime.h"

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #cond);                   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static void *lib;

#define API(ret, name, ...) ret (*name)(__VA_ARGS__) = (ret(*)(__VA_ARGS__))need(#name)

static void *need(const char *name)
{
    void *f = dlsym(lib, name);

    if (!f) {
        fprintf(stderr, "%s: missing\n", name);
        exit(1);
    }
    return f;
}

static struct {
    uint32_t magic, version;
    const void *fatbin;
    void *other;
} wrapper = {0x466243b1, 1, NULL, NULL};

/* What a program has for rt_scale, rt_add, rt_total and rt_factor: addresses. */
static char scale_stub, add_stub, absent_stub, total_name, factor_name;

static void *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *data;
    long size;

    CHECK(f && !fseek(f, 0, SEEK_END) && (size = ftell(f)) > 0 && !fseek(f, 0, SEEK_SET));
    data = aligned_alloc(16, ((size_t)size + 31) & ~(size_t)15);
    CHECK(data && fread(data, 1, (size_t)size, f) == (size_t)size);
    fclose(f);
    return data;
}

static void **register_all(void)
{
    API(void **, __cudaRegisterFatBinary, void *);
    API(void, __cudaRegisterFatBinaryEnd, void **);
    API(void, __cudaRegisterFunction, void **, const char *, char *, const char *, int, void *,
        void *, dim3 *, dim3 *, int *);
    API(void, __cudaRegisterVar, void **, char *, char *, const char *, int, size_t, int, int);
    void **h = __cudaRegisterFatBinary(&wrapper);

    CHECK(h);
    __cudaRegisterFunction(h, &scale_stub, NULL, "rt_scale", -1, NULL, NULL, NULL, NULL, NULL);
    __cudaRegisterFunction(h, &add_stub, NULL, "rt_add", -1, NULL, NULL, NULL, NULL, NULL);
    __cudaRegisterFunction(h, &absent_stub, NULL, "rt_absent", -1, NULL, NULL, NULL, NULL, NULL);
    __cudaRegisterVar(h, &total_name, NULL, "rt_total", 0, 4, 0, 0);
    __cudaRegisterVar(h, &factor_name, NULL, "rt_factor", 0, 4, 1, 0);
    __cudaRegisterFatBinaryEnd(h);
    return h;
}

enum { N = 1000 };

static void run_kernels(void)
{
    API(cudaError_t, cudaMalloc, void **, size_t);
    API(cudaError_t, cudaFree, void *);
    API(cudaError_t, cudaMemcpy, void *, const void *, size_t, enum cudaMemcpyKind);
    API(cudaError_t, cudaMemcpyToSymbol, const void *, const void *, size_t, size_t,
        enum cudaMemcpyKind);
    API(cudaError_t, cudaMemcpyFromSymbol, void *, const void *, size_t, size_t,
        enum cudaMemcpyKind);
    API(cudaError_t, cudaLaunchKernel, const void *, dim3, dim3, void **, size_t, cudaStream_t);
    API(cudaError_t, __cudaGetKernel, cudaKernel_t *, const void *);
    API(cudaError_t, __cudaLaunchKernel, cudaKernel_t, dim3, dim3, void **, size_t, cudaStream_t);
    API(cudaError_t, cudaDeviceSynchronize, void);
    API(cudaError_t, cudaGetLastError, void);
    float h[N], back[N], factor = 2.5f;
    void *d = NULL;
    int n = N, by = 7, total = 0;
    void *scale_args[] = {&d, &n}, *add_args[] = {&by};
    dim3 grid = {(N + 127) / 128, 1, 1}, block = {128, 1, 1}, one = {1, 1, 1};
    cudaKernel_t k;

    for (int i = 0; i < N; i++)
        h[i] = (float)i;
    CHECK(!cudaMalloc(&d, sizeof(h)));
    CHECK(!cudaMemcpy(d, h, sizeof(h), cudaMemcpyHostToDevice));
    CHECK(!cudaMemcpyToSymbol(&factor_name, &factor, 4, 0, cudaMemcpyHostToDevice));
    CHECK(!cudaLaunchKernel(&scale_stub, grid, block, scale_args, 0, NULL));
    CHECK(!__cudaGetKernel(&k, &scale_stub));
    CHECK(!__cudaLaunchKernel(k, grid, block, scale_args, 0, NULL));
    CHECK(!cudaMemcpy(back, d, sizeof(h), cudaMemcpyDeviceToHost));
    for (int i = 0; i < N; i++)
        CHECK(back[i] == h[i] * 2.5f * 2.5f);

    for (int i = 0; i < 10; i++)
        CHECK(!cudaLaunchKernel(&add_stub, one, one, add_args, 0, NULL));
    CHECK(!cudaMemcpyFromSymbol(&total, &total_name, 4, 0, cudaMemcpyDeviceToHost));
    CHECK(total == 170);

    CHECK(cudaLaunchKernel(&absent_stub, one, one, NULL, 0, NULL) ==
          cudaErrorInvalidDeviceFunction);
    CHECK(cudaGetLastError() == cudaErrorInvalidDeviceFunction);
    CHECK(!cudaDeviceSynchronize());
    CHECK(!cudaFree(d));
}

static void run_properties(int version)
{
    static unsigned char buffer[2048];
    static const struct {
        int version;
        const char *name;
        size_t size;
    } forms[] = {
        {12, "cudaGetDeviceProperties", sizeof(struct cudaDeviceProp_11)},
        {12, "cudaGetDeviceProperties_v2", sizeof(struct cudaDeviceProp_12)},
        {13, "cudaGetDeviceProperties", sizeof(struct cudaDeviceProp_13)},
    };

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        cudaError_t (*get)(void *, int);

        if (forms[i].version != version)
            continue;
        get = (cudaError_t(*)(void *, int))need(forms[i].name);
        memset(buffer, 0xa5, sizeof(buffer));
        CHECK(!get(buffer, 0));
        CHECK(strlen((char *)buffer) > 0 && strlen((char *)buffer) < 256);
        CHECK(buffer[forms[i].size - 1] == 0);
        for (size_t b = forms[i].size; b < sizeof(buffer); b++)
            CHECK(buffer[b] == 0xa5);
    }
}

static void run_fork(void)
{
    API(cudaError_t, cudaMalloc, void **, size_t);
    int status;
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (!pid) {
        void *p;
        _exit(cudaMalloc(&p, 4) == cudaErrorInitializationError ? 0 : 1);
    }
    CHECK(waitpid(pid, &status, 0) == pid && !status);
}

static void **last;

static void at_exit(void)
{
    API(void, __cudaUnregisterFatBinary, void **);
    __cudaUnregisterFatBinary(last);
}

int main(int argc, char **argv)
{
    int version = 0, driver = 0;

    CHECK(argc == 3);
    lib = dlopen(argv[1], RTLD_NOW);
    if (!lib) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    wrapper.fatbin = read_file(argv[2]);
    API(cudaError_t, cudaRuntimeGetVersion, int *);
    API(cudaError_t, cudaDriverGetVersion, int *);
    API(void, __cudaUnregisterFatBinary, void **);
    CHECK(!cudaRuntimeGetVersion(&version) && !cudaDriverGetVersion(&driver));
    CHECK(driver / 1000 >= version / 1000);
    for (int i = 0; i < 3; i++) { /* a plug-in that comes and goes starts afresh each time */
        void **h = register_all();
        run_kernels();
        __cudaUnregisterFatBinary(h);
    }
    last = register_all();
    run_kernels();
    run_properties(version / 1000);
    run_fork();
    atexit(at_exit); /* as compiled programs do; after the driver's own exit handlers */
    printf("registered by hand: passed\n");
    return 0;
}
