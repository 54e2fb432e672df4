/*
 * cuda_bench [NAME...]: what the CUDA driver API costs, one JSON line per measure: launches per second, the time of calls that wait for
 * nothing, copies of 64 MB, and kernels at real sizes. Runs directly on a device or as a guest; all measures without a NAME.
 */
/* links: -lcuda -lm */
#include "bench/programs/samples.h"
#include "tests/programs/cuda_common.h"

enum { COPY = 64 << 20 };

static void result(const char *name, const char *unit, double value)
{
    printf("{\"name\": \"%s\", \"unit\": \"%s\", \"value\": %.6g}\n", name, unit, value);
    fflush(stdout);
}

static double seconds_since(uint64_t start)
{
    return (double)(xg_now_ns() - start) / 1e9;
}

/* --- calls ------------------------------------------------------------------------------------ */

static void launches(void)
{
    CUfunction f = load_function("empty.ptx", "empty");
    const int n = 300000;
    double best_issue = 0, best = 0;

    for (int turn = 0; turn < 5; turn++) {
        uint64_t start = xg_now_ns();
        for (int i = 0; i < n; i++)
            CHECK(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, NULL, NULL, NULL));
        double issue = n / seconds_since(start);
        CHECK(cuCtxSynchronize());
        double all = n / seconds_since(start);
        best_issue = issue > best_issue ? issue : best_issue;
        best = all > best ? all : best;
    }
    result("cuda_launches_issued", "1/s", best_issue);
    result("cuda_launches_done", "1/s", best);
}

static void sync_calls(void)
{
    CUfunction f = load_function("empty.ptx", "empty");
    struct samples idle = {0}, launch = {0}, info = {0};
    size_t a, b;

    for (int i = 0; i < 50000; i++) {
        samples_begin(&idle);
        CHECK(cuCtxSynchronize());
        samples_end(&idle);
    }
    samples_print(&idle, "cuda_idle_synchronize");
    for (int i = 0; i < 20000; i++) {
        samples_begin(&launch);
        CHECK(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, NULL, NULL, NULL));
        CHECK(cuCtxSynchronize());
        samples_end(&launch);
    }
    samples_print(&launch, "cuda_launch_and_synchronize");
    for (int i = 0; i < 50000; i++) {
        samples_begin(&info);
        CHECK(cuMemGetInfo(&a, &b));
        samples_end(&info);
    }
    samples_print(&info, "cuda_mem_get_info");
}

/* --- copies ----------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Median of several, in GB/s; the first one, which touches the pages, does not count. */
static void copy(const char *name, void *host, CUdeviceptr device, bool to_device)
{
    double rate[9];
    const int n = sizeof(rate) / sizeof(rate[0]);

    for (int i = -1; i < n; i++) {
        uint64_t start = xg_now_ns();
        if (to_device)
            CHECK(cuMemcpyHtoD(device, host, COPY));
        else
            CHECK(cuMemcpyDtoH(host, device, COPY));
        CHECK(cuCtxSynchronize());
        if (i >= 0)
            rate[i] = COPY / seconds_since(start) / 1e9;
    }
    qsort(rate, (size_t)n, sizeof(rate[0]), by_value);
    result(name, "GB/s", rate[n / 2]);
}

static void copies(void)
{
    CUdeviceptr device = upload(NULL, COPY);
    void *pageable = allocate(COPY), *pinned;

    CHECK(cuMemAllocHost(&pinned, COPY));
    memset(pageable, 1, COPY);
    memset(pinned, 2, COPY);
    copy("cuda_copy_64M_to_device_pageable", pageable, device, true);
    copy("cuda_copy_64M_to_device_pinned", pinned, device, true);
    copy("cuda_copy_64M_to_host_pageable", pageable, device, false);
    copy("cuda_copy_64M_to_host_pinned", pinned, device, false);
    CHECK(cuMemFreeHost(pinned));
    CHECK(cuMemFree(device));
    free(pageable);
}

/* --- kernels ---------------------------------------------------------------------------------- */

static CUdeviceptr random_floats(size_t n, float from, float to)
{
    float *host = allocate(n * 4);
    uint32_t seed = 4711;

    for (size_t i = 0; i < n; i++)
        host[i] = from + (to - from) * noise_float(&seed);
    CUdeviceptr p = upload(host, n * 4);
    free(host);
    return p;
}

/* The median time of one launch, after one that warms up. */
static void kernel(const char *name, CUfunction f, const unsigned grid[2], const unsigned block[2], void **params)
{
    double time[5];
    const int n = sizeof(time) / sizeof(time[0]);

    for (int i = -1; i < n; i++) {
        uint64_t start = xg_now_ns();
        CHECK(cuLaunchKernel(f, grid[0], grid[1], 1, block[0], block[1], 1, 0, NULL, params, NULL));
        CHECK(cuCtxSynchronize());
        if (i >= 0)
            time[i] = seconds_since(start);
    }
    qsort(time, (size_t)n, sizeof(time[0]), by_value);
    result(name, "s", time[n / 2]);
}

static void matmul(void)
{
    int n = 1024;
    CUdeviceptr a = random_floats((size_t)n * n, -1, 1), b = random_floats((size_t)n * n, -1, 1), c = upload(NULL, (size_t)n * n * 4);
    void *params[] = {&a, &b, &c, &n};

    kernel("cuda_matmul_1024", load_function("matmul_tiled.ptx", "matmul16"), (unsigned[]){64, 64}, (unsigned[]){16, 16}, params);
    CHECK(cuMemFree(a));
    CHECK(cuMemFree(b));
    CHECK(cuMemFree(c));
}

static void blackscholes(void)
{
    int n = 4000000;
    float rate = 0.02f, volatility = 0.3f;
    CUdeviceptr call = upload(NULL, (size_t)n * 4), put = upload(NULL, (size_t)n * 4);
    CUdeviceptr price = random_floats((size_t)n, 5, 30), strike = random_floats((size_t)n, 1, 100),
                years = random_floats((size_t)n, 0.25f, 10);
    void *params[] = {&call, &put, &price, &strike, &years, &rate, &volatility, &n};

    kernel("cuda_blackscholes_4M", load_function("blackscholes.ptx", "blackscholes"), (unsigned[]){480, 1}, (unsigned[]){128, 1}, params);
    CHECK(cuMemFree(call));
    CHECK(cuMemFree(put));
    CHECK(cuMemFree(price));
    CHECK(cuMemFree(strike));
    CHECK(cuMemFree(years));
}

static void nbody(void)
{
    int n = 16384;
    CUdeviceptr in = random_floats((size_t)n * 4, 0.1f, 1), out = upload(NULL, (size_t)n * 16);
    void *params[] = {&in, &out, &n};

    kernel("cuda_nbody_16k", load_function("nbody.ptx", "nbody"), (unsigned[]){(unsigned)n / 128, 1}, (unsigned[]){128, 1}, params);
    CHECK(cuMemFree(in));
    CHECK(cuMemFree(out));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } all[] = {
        {"launches", launches}, {"sync", sync_calls},          {"copies", copies},
        {"matmul", matmul},     {"blackscholes", blackscholes}, {"nbody", nbody},
    };

    open_device();
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        bool wanted = argc < 2;
        for (int k = 1; k < argc; k++)
            wanted |= !strcmp(argv[k], all[i].name);
        if (wanted)
            all[i].run();
    }
    return 0;
}
