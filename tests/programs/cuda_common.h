/*
 * What the cuda_*.c programs share: error checks, kernels, numbers that every run makes alike.
 *
 * Kernels are looked for as $XG_KERNELS/NAME.ptx, else beside the build's programs; with
 * XG_KERNEL_TYPE=sm_90.cubin as NAME.sm_90.cubin. A program prints nothing that differs between two
 * runs, so that its output can be compared as text, and exits non-zero if a number is wrong.
 */
#ifndef XG_TEST_CUDA_COMMON_H
#define XG_TEST_CUDA_COMMON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cuda/abi/alias.h"
#include "tests/programs/crash.h"

#define CHECK(call)        check_(call, #call, __FILE__, __LINE__)
#define EXPECT(call, want) expect_(call, want, #call, __FILE__, __LINE__)
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);              \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static inline const char *error_name(CUresult r)
{
    const char *name = NULL;

    return cuGetErrorName(r, &name) == CUDA_SUCCESS && name ? name : "an unknown error";
}

static inline void expect_(CUresult r, CUresult want, const char *what, const char *file, int line)
{
    if (r == want)
        return;
    fprintf(stderr, "%s:%d: %s: %s", file, line, what, error_name(r));
    fprintf(stderr, " instead of %s\n", error_name(want));
    exit(1);
}

static inline void check_(CUresult r, const char *what, const char *file, int line)
{
    expect_(r, CUDA_SUCCESS, what, file, line);
}

/* A context of its own on the first device. */
static inline CUcontext open_device(void)
{
    CUcontext ctx;
    CUdevice device;

    CHECK(cuInit(0));
    CHECK(cuDeviceGet(&device, 0));
    CHECK(cuCtxCreate_v2(&ctx, 0, device));
    return ctx;
}

/* Whether the device is softcuda, directly or in a guest: what only it promises. Of a driver's
 * device nobody may expect that a stray access is noticed beside an allocation, nor that a handle
 * which is no more is refused and not followed. */
static inline bool on_softcuda(void)
{
    char name[256];

    CHECK(cuDeviceGetName(name, sizeof(name), 0));
    return !strncmp(name, "softcuda", 8);
}

/* The path of $XG_KERNELS/NAME, in memory that stays. */
static inline const char *kernel_path(const char *name)
{
    static char path[4][4400];
    static unsigned turn;
    char self[4096], typed[256], *p = path[turn++ % 4];
    const char *dir = getenv("XG_KERNELS"), *type = getenv("XG_KERNEL_TYPE"),
               *ptx = strstr(name, ".ptx");
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (type && ptx) {
        snprintf(typed, sizeof(typed), "%.*s.%s", (int)(ptx - name), name, type);
        name = typed;
    }
    if (dir) {
        snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
        return p;
    }
    self[n > 0 ? n : 0] = 0;
    for (int i = 0; i < 2 && strrchr(self, '/'); i++) /* .../tests/programs/NAME */
        *strrchr(self, '/') = 0;
    snprintf(p, sizeof(path[0]), "%s/kernels/%s", self, name);
    if (access(p, R_OK)) /* .../bench/programs/NAME */
        snprintf(p, sizeof(path[0]), "%s/../tests/kernels/%s", self, name);
    return p;
}

static inline CUmodule load_module(const char *name)
{
    CUmodule m;
    const char *path = kernel_path(name);
    CUresult r = cuModuleLoad(&m, path);

    if (r) {
        fprintf(stderr, "%s: %s\n", path, error_name(r));
        exit(1);
    }
    return m;
}

static inline CUfunction load_function(const char *file, const char *name)
{
    CUfunction f;

    CHECK(cuModuleGetFunction(&f, load_module(file), name));
    return f;
}

/* The same sequence in every run. */
static inline uint32_t noise(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static inline float noise_float(uint32_t *state)
{
    return (float)(noise(state) >> 8) / (float)(1 << 24);
}

static inline uint64_t hash(const void *data, size_t size)
{
    const uint8_t *p = data;
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < size; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

static inline void *allocate(size_t size)
{
    void *p = malloc(size);

    MUST(p != NULL);
    return p;
}

static inline CUdeviceptr upload(const void *data, size_t size)
{
    CUdeviceptr p;

    CHECK(cuMemAlloc(&p, size));
    if (data)
        CHECK(cuMemcpyHtoD(p, data, size));
    return p;
}

#endif
