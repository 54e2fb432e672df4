/*
 * cuda_bench [--budget SECONDS] [NAME...]: what the CUDA driver API costs, one JSON line per
 * measure: launches per second, the time of calls that wait for nothing, copies by size, and
 * kernels of growing size. Runs directly on a device or as a guest. Without a NAME all measures
 * run. Each gets the same part of the budget, and stops before a size that would take more. Without
 * a budget each has 5 s, and kernels run at least up to the sizes that older files in bench/results
 * have.
 */
/* links: -lcuda -lm */
#include "bench/programs/samples.h"
#include "tests/programs/cuda_common.h"

static double share = 5; /* seconds for each measure */
static bool budgeted;

/* --- calls ------------------------------------------------------------------------------------ */

static void launches_measure(void)
{
    CUfunction f = load_function("empty.ptx", "empty");
    double best_issue = 0, best = 0;
    int n = 1000; /* the first turn finds out how many fit into the time */

    for (int turn = 0; turn <= 5; turn++) {
        uint64_t start = xg_now_ns();
        for (int i = 0; i < n; i++)
            CHECK(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, NULL, NULL, NULL));
        double issue = n / seconds_since(start);
        CHECK(cuCtxSynchronize());
        double all = n / seconds_since(start);
        if (turn == 0) {
            double fit = all * share / 6;
            n = fit > 300000 ? 300000 : fit > 1000 ? (int)fit : 1000;
            continue;
        }
        best_issue = issue > best_issue ? issue : best_issue;
        best = all > best ? all : best;
    }
    result_print("cuda_launches_issued", "1/s", best_issue);
    result_print("cuda_launches_done", "1/s", best);
}

/* True: one of the three kinds of calls has used its third of the time, or has enough samples. */
static bool calls_enough(uint64_t start, int i, int most)
{
    return i >= most || (i >= 100 && seconds_since(start) > share / 3);
}

static void calls_measure(void)
{
    CUfunction f = load_function("empty.ptx", "empty");
    struct samples idle = {0}, launch = {0}, info = {0};
    size_t a, b;

    uint64_t start = xg_now_ns();
    for (int i = 0; !calls_enough(start, i, 50000); i++) {
        samples_begin(&idle);
        CHECK(cuCtxSynchronize());
        samples_end(&idle);
    }
    samples_print(&idle, "cuda_idle_synchronize");
    start = xg_now_ns();
    for (int i = 0; !calls_enough(start, i, 20000); i++) {
        samples_begin(&launch);
        CHECK(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, NULL, NULL, NULL));
        CHECK(cuCtxSynchronize());
        samples_end(&launch);
    }
    samples_print(&launch, "cuda_launch_and_synchronize");
    start = xg_now_ns();
    for (int i = 0; !calls_enough(start, i, 50000); i++) {
        samples_begin(&info);
        CHECK(cuMemGetInfo(&a, &b));
        samples_end(&info);
    }
    samples_print(&info, "cuda_mem_get_info");
}

/* --- copies ----------------------------------------------------------------------------------- */

enum { TIMES = 1000 };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Prints the median of several copies in GB/s, without the first one, which makes the pages
 * present. Returns the seconds of one copy. */
static double copy_measure(const char *name, void *host, CUdeviceptr device, size_t size,
                           bool to_device, double seconds)
{
    static double rate[TIMES];
    uint64_t began = xg_now_ns();
    int n = 0;

    for (int i = -1; n < 3 || (n < TIMES && seconds_since(began) < seconds); i++) {
        uint64_t start = xg_now_ns();
        if (to_device)
            CHECK(cuMemcpyHtoD(device, host, size));
        else
            CHECK(cuMemcpyDtoH(host, device, size));
        CHECK(cuCtxSynchronize());
        if (i >= 0)
            rate[n++] = (double)size / seconds_since(start) / 1e9;
    }
    qsort(rate, (size_t)n, sizeof(rate[0]), by_value);
    result_print(name, "GB/s", rate[n / 2]);
    return (double)size / rate[n / 2] / 1e9;
}

/* Both directions, with pageable and pinned memory; returns the seconds of the slowest copy. -1: no
 * pinned memory of that size, as a guest's arena is limited. */
static double size_copy(const char *label, size_t size, double seconds)
{
    char name[64];
    void *host[2];
    CUdeviceptr device;
    double slowest = 0;

    if (cuMemAllocHost(&host[1], size) != CUDA_SUCCESS)
        return -1;
    host[0] = allocate(size);
    device = upload(NULL, size);
    for (int pinned = 0; pinned < 2; pinned++)
        memset(host[pinned], 1 + pinned, size);
    for (int way = 0; way < 4; way++) {
        snprintf(name, sizeof(name), "cuda_copy_%s_%s_%s", label, way < 2 ? "to_device" : "to_host",
                 way % 2 ? "pinned" : "pageable");
        double took = copy_measure(name, host[way % 2], device, size, way < 2, seconds);
        slowest = took > slowest ? took : slowest;
    }
    CHECK(cuMemFree(device));
    CHECK(cuMemFreeHost(host[1]));
    free(host[0]);
    return slowest;
}

static void copies_measure(void)
{
    static const struct {
        const char *label;
        size_t size;
    } sizes[] = {{"4K", 4 << 10},   {"64K", 64 << 10}, {"1M", 1 << 20},
                 {"16M", 16 << 20}, {"64M", 64 << 20}, {"256M", 256 << 20}};
    const size_t n = sizeof(sizes) / sizeof(sizes[0]);
    double slowest = 0, left = share;

    for (size_t i = 0; i < n; i++) {
        uint64_t start = xg_now_ns();
        /* For each of four copies; a fifth part is for making and clearing the memory. */
        double seconds = left / (double)(n - i) / 5;
        if (i > 0 && slowest < 0)
            break;
        slowest = size_copy(sizes[i].label, sizes[i].size, seconds);
        left -= seconds_since(start);
        /* Four copies each way of the next size, and as much again to make the memory. */
        if (i + 1 < n && slowest * (double)(sizes[i + 1].size / sizes[i].size) * 32 > left)
            break;
    }
}

/* --- kernels ---------------------------------------------------------------------------------- */

static CUdeviceptr floats_upload(size_t n, float from, float to)
{
    float *host = allocate(n * 4);
    uint32_t seed = 4711;

    for (size_t i = 0; i < n; i++)
        host[i] = from + (to - from) * noise_float(&seed);
    CUdeviceptr p = upload(host, n * 4);
    free(host);
    return p;
}

/* Prints the median time of one launch, after a first one that is not measured. */
static void kernel_measure(const char *name, CUfunction f, const unsigned grid[2],
                           const unsigned block[2], void **params)
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
    result_print(name, "s", time[n / 2]);
}

struct size {
    const char *name;
    int n;
    double work; /* how many times the work of the size before */
    bool always; /* run it even if it takes too long, unless there is a budget */
};

/* Runs the sizes from small to large, until the next one would take too long. */
static void sizes_measure(const struct size *sizes, size_t count, void (*run)(const struct size *))
{
    double left = share;

    for (size_t i = 0; i < count; i++) {
        uint64_t start = xg_now_ns();
        run(&sizes[i]);
        double took = seconds_since(start);
        left -= took;
        if (i + 1 < count && took * sizes[i + 1].work > left && (budgeted || !sizes[i + 1].always))
            break;
    }
}

static void matmul_run(const struct size *s)
{
    int n = s->n;
    size_t bytes = (size_t)n * (size_t)n * 4;
    CUdeviceptr a = floats_upload(bytes / 4, -1, 1), b = floats_upload(bytes / 4, -1, 1),
                c = upload(NULL, bytes);
    unsigned blocks = (unsigned)n / 16;
    void *params[] = {&a, &b, &c, &n};

    kernel_measure(s->name, load_function("matmul_tiled.ptx", "matmul16"),
                   (unsigned[]){blocks, blocks}, (unsigned[]){16, 16}, params);
    CHECK(cuMemFree(a));
    CHECK(cuMemFree(b));
    CHECK(cuMemFree(c));
}

static void matmul_measure(void)
{
    static const struct size sizes[] = {
        {"cuda_matmul_256", 256, 1, true},    {"cuda_matmul_512", 512, 8, true},
        {"cuda_matmul_1024", 1024, 8, true},  {"cuda_matmul_2048", 2048, 8, false},
        {"cuda_matmul_4096", 4096, 8, false}, {"cuda_matmul_8192", 8192, 8, false},
    };

    sizes_measure(sizes, sizeof(sizes) / sizeof(sizes[0]), matmul_run);
}

static void blackscholes_run(const struct size *s)
{
    int n = s->n;
    float rate = 0.02f, volatility = 0.3f;
    CUdeviceptr call = upload(NULL, (size_t)n * 4), put = upload(NULL, (size_t)n * 4);
    CUdeviceptr price = floats_upload((size_t)n, 5, 30), strike = floats_upload((size_t)n, 1, 100),
                years = floats_upload((size_t)n, 0.25f, 10);
    void *params[] = {&call, &put, &price, &strike, &years, &rate, &volatility, &n};

    kernel_measure(s->name, load_function("blackscholes.ptx", "blackscholes"), (unsigned[]){480, 1},
                   (unsigned[]){128, 1}, params);
    CHECK(cuMemFree(call));
    CHECK(cuMemFree(put));
    CHECK(cuMemFree(price));
    CHECK(cuMemFree(strike));
    CHECK(cuMemFree(years));
}

static void blackscholes_measure(void)
{
    static const struct size sizes[] = {{"cuda_blackscholes_250k", 250000, 1, true},
                                        {"cuda_blackscholes_4M", 4000000, 16, true},
                                        {"cuda_blackscholes_32M", 32000000, 8, false}};

    sizes_measure(sizes, sizeof(sizes) / sizeof(sizes[0]), blackscholes_run);
}

static void nbody_run(const struct size *s)
{
    int n = s->n;
    CUdeviceptr in = floats_upload((size_t)n * 4, 0.1f, 1), out = upload(NULL, (size_t)n * 16);
    void *params[] = {&in, &out, &n};

    kernel_measure(s->name, load_function("nbody.ptx", "nbody"), (unsigned[]){(unsigned)n / 128, 1},
                   (unsigned[]){128, 1}, params);
    CHECK(cuMemFree(in));
    CHECK(cuMemFree(out));
}

static void nbody_measure(void)
{
    static const struct size sizes[] = {{"cuda_nbody_4k", 4096, 1, true},
                                        {"cuda_nbody_16k", 16384, 16, true},
                                        {"cuda_nbody_64k", 65536, 16, false},
                                        {"cuda_nbody_256k", 262144, 16, false}};

    sizes_measure(sizes, sizeof(sizes) / sizeof(sizes[0]), nbody_run);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } all[] = {
        {"launches", launches_measure},
        {"sync", calls_measure},
        {"copies", copies_measure},
        {"matmul", matmul_measure},
        {"blackscholes", blackscholes_measure},
        {"nbody", nbody_measure},
    };

    const size_t count = sizeof(all) / sizeof(all[0]);
    double budget = 0;
    size_t chosen = 0;

    if (argc > 2 && !strcmp(argv[1], "--budget")) {
        budget = atof(argv[2]);
        argc -= 2;
        argv += 2;
    }
    for (int measuring = 0; measuring < 2; measuring++) {
        for (size_t i = 0; i < count; i++) {
            bool wanted = argc < 2;
            for (int k = 1; k < argc; k++)
                wanted |= !strcmp(argv[k], all[i].name);
            chosen += wanted && !measuring;
            if (wanted && measuring)
                all[i].run();
        }
        if (measuring)
            break;
        budgeted = chosen && budget > 0;
        if (budgeted)
            share = budget / (double)chosen;
        open_device();
    }
    return 0;
}
