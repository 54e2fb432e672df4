/*
 * cuda_job NAME [SECONDS]: one job of a common kind on the first CUDA device, by the driver API:
 * vectoradd, matmul, blackscholes, nbody, histogram or reduction. Checks the result against the CPU
 * and prints a hash of all its bits, so that two runs on the same device can be compared. With
 * SECONDS the kernels are launched again and again for so long, and a rate goes to standard error.
 */
/* links: -lcuda -lm */
#include "cuda/abi/alias.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static CUmodule module;

static void die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("cuda_job: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

static void check(CUresult r, const char *what)
{
    const char *name = NULL;

    if (r == CUDA_SUCCESS)
        return;
    cuGetErrorName(r, &name);
    die("%s: %s", what, name != NULL ? name : "unknown error");
}
#define CU(call) check(call, #call)

/* --- data ------------------------------------------------------------------------------------- */

static uint32_t state = 12345;

static float random_float(float low, float high)
{
    state = state * 1664525u + 1013904223u;
    return low + (high - low) * (float)(state >> 8) / 16777216.0f;
}

static float *random_floats(size_t n, float low, float high)
{
    float *p = malloc(n * sizeof(*p));

    if (p == NULL)
        die("out of memory");
    for (size_t i = 0; i < n; i++)
        p[i] = random_float(low, high);
    return p;
}

static CUdeviceptr upload(const void *p, size_t bytes)
{
    CUdeviceptr d;

    CU(cuMemAlloc(&d, bytes));
    CU(cuMemcpyHtoD(d, p, bytes));
    return d;
}

static CUdeviceptr zeroed(size_t bytes)
{
    CUdeviceptr d;

    CU(cuMemAlloc(&d, bytes));
    CU(cuMemsetD8(d, 0, bytes));
    return d;
}

static void *download(CUdeviceptr d, size_t bytes)
{
    void *p = malloc(bytes);

    if (p == NULL)
        die("out of memory");
    CU(cuMemcpyDtoH(p, d, bytes));
    return p;
}

static uint64_t hash(uint64_t h, const void *data, size_t bytes)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < bytes; i++)
        h = (h ^ p[i]) * 0x100000001b3ull;
    return h;
}
#define HASH_START 0xcbf29ce484222325ull

static void near(const char *job, size_t i, double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance * (1 + fabs(want))))
        die("%s: element %zu is %.9g, not %.9g", job, i, got, want);
}

/* --- launching -------------------------------------------------------------------------------- */

static double seconds_wanted;

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* Once, or again and again for the time wanted; what is launched must give the same result each
 * time. */
static void launch(const char *kernel, unsigned gx, unsigned gy, unsigned bx, unsigned by,
                   void **args)
{
    double start = now();
    CUfunction f;
    long n = 0;

    CU(cuModuleGetFunction(&f, module, kernel));
    do {
        CU(cuLaunchKernel(f, gx, gy, 1, bx, by, 1, 0, NULL, args, NULL));
        if (++n % 8 == 0)
            CU(cuCtxSynchronize());
    } while (now() - start < seconds_wanted);
    CU(cuCtxSynchronize());
    if (seconds_wanted > 0)
        fprintf(stderr, "%s: %ld launches, %.1f per second\n", kernel, n,
                (double)n / (now() - start));
}

/* --- jobs ------------------------------------------------------------------------------------- */

static uint64_t job_vectoradd(void)
{
    int n = 1 << 20;
    float *a = random_floats((size_t)n, 0, 1), *b = random_floats((size_t)n, 0, 1), *c;
    CUdeviceptr da = upload(a, (size_t)n * 4), db = upload(b, (size_t)n * 4),
                dc = zeroed((size_t)n * 4);

    launch("vectoradd", (unsigned)n / 256, 1, 256, 1, (void *[]){&da, &db, &dc, &n});
    c = download(dc, (size_t)n * 4);
    for (int i = 0; i < n; i++)
        near("vectoradd", (size_t)i, c[i], a[i] + b[i], 0);
    return hash(HASH_START, c, (size_t)n * 4);
}

static uint64_t job_matmul(void)
{
    int n = 256;
    size_t bytes = (size_t)n * n * 4;
    float *a = random_floats((size_t)n * n, -1, 1), *b = random_floats((size_t)n * n, -1, 1), *c;
    CUdeviceptr da = upload(a, bytes), db = upload(b, bytes), dc = zeroed(bytes);

    launch("matmul", (unsigned)n / 16, (unsigned)n / 16, 16, 16, (void *[]){&da, &db, &dc, &n});
    c = download(dc, bytes);
    for (int i = 0; i < n * n; i += 97) {
        double sum = 0;

        for (int k = 0; k < n; k++)
            sum += (double)a[i / n * n + k] * b[k * n + i % n];
        near("matmul", (size_t)i, c[i], sum, 1e-4);
    }
    return hash(HASH_START, c, bytes);
}

static double normal_cdf(double d)
{
    return 0.5 * erfc(-d / sqrt(2));
}

static uint64_t job_blackscholes(void)
{
    int n = 1 << 18;
    size_t bytes = (size_t)n * 4;
    float *s = random_floats((size_t)n, 5, 30), *x = random_floats((size_t)n, 1, 100),
          *t = random_floats((size_t)n, 0.25f, 10), *call, *put;
    CUdeviceptr ds = upload(s, bytes), dx = upload(x, bytes), dt = upload(t, bytes),
                dcall = zeroed(bytes), dput = zeroed(bytes);

    launch("blackscholes", 256, 1, 128, 1, (void *[]){&ds, &dx, &dt, &dcall, &dput, &n});
    call = download(dcall, bytes);
    put = download(dput, bytes);
    for (int i = 0; i < n; i += 13) {
        double root = sqrt(t[i]),
               d1 = (log(s[i] / x[i]) + (0.02 + 0.5 * 0.3 * 0.3) * t[i]) / (0.3 * root),
               d2 = d1 - 0.3 * root;
        double discounted = x[i] * exp(-0.02 * t[i]);

        near("blackscholes", (size_t)i, call[i],
             s[i] * normal_cdf(d1) - discounted * normal_cdf(d2), 1e-4);
        near("blackscholes", (size_t)i, put[i],
             discounted * normal_cdf(-d2) - s[i] * normal_cdf(-d1), 1e-4);
    }
    return hash(hash(HASH_START, call, bytes), put, bytes);
}

static void nbody_check(const float *from, const float *to, int n, int i, float dt)
{
    double a[3] = {0};

    for (int j = 0; j < n; j++) {
        double d[3], r2 = 0.01;

        for (int k = 0; k < 3; k++) {
            d[k] = (double)from[4 * j + k] - from[4 * i + k];
            r2 += d[k] * d[k];
        }
        for (int k = 0; k < 3; k++)
            a[k] += d[k] * from[4 * j + 3] / (r2 * sqrt(r2));
    }
    for (int k = 0; k < 3; k++)
        near("nbody", (size_t)(4 * i + k), to[4 * i + k], from[4 * i + k] + a[k] * dt * dt, 1e-4);
}

static uint64_t job_nbody(void)
{
    int n = 2048;
    float dt = 0.01f;
    size_t bytes = (size_t)n * 16;
    float *from = random_floats((size_t)n * 4, -1, 1), *to;
    CUdeviceptr da = upload(from, bytes), db = zeroed(bytes), speed = zeroed(bytes);

    if (seconds_wanted > 0)
        dt = 0; /* every step is then the same */
    launch("nbody", (unsigned)n / 128, 1, 128, 1, (void *[]){&da, &db, &speed, &n, &dt});
    to = download(db, bytes);
    for (int i = 0; i < n; i += 61)
        nbody_check(from, to, n, i, dt);
    return hash(HASH_START, to, bytes);
}

static uint64_t job_histogram(void)
{
    int n = 1 << 20;
    unsigned want[256] = {0}, *got;
    unsigned char *data = malloc((size_t)n);

    for (int i = 0; i < n; i++)
        want[data[i] = (unsigned char)random_float(0, 256)]++;
    CUdeviceptr dd = upload(data, (size_t)n), bins = zeroed(sizeof(want));
    seconds_wanted = 0; /* adds to what is there: once */
    launch("histogram", 64, 1, 256, 1, (void *[]){&dd, &bins, &n});
    got = download(bins, sizeof(want));
    for (size_t i = 0; i < 256; i++)
        near("histogram", i, got[i], want[i], 0);
    return hash(HASH_START, got, sizeof(want));
}

static uint64_t job_reduction(void)
{
    int n = 1 << 20;
    unsigned want = 0, *got, *in = malloc((size_t)n * 4);

    for (int i = 0; i < n; i++)
        want += in[i] = (unsigned)random_float(0, 1e6f);
    CUdeviceptr di = upload(in, (size_t)n * 4), sum = zeroed(4);
    seconds_wanted = 0;
    launch("reduction", 64, 1, 256, 1, (void *[]){&di, &sum, &n});
    got = download(sum, 4);
    near("reduction", 0, *got, want, 0);
    return hash(HASH_START, got, 4);
}

static const struct {
    const char *name;
    uint64_t (*run)(void);
} jobs[] = {
    {"vectoradd", job_vectoradd}, {"matmul", job_matmul},       {"blackscholes", job_blackscholes},
    {"nbody", job_nbody},         {"histogram", job_histogram}, {"reduction", job_reduction},
};

/* The kernels lie beside the programs: BUILD/tests/kernels/jobs.ptx, or jobs.$XG_KERNEL_TYPE. */
static void module_load(void)
{
    const char *type = getenv("XG_KERNEL_TYPE");
    char path[4096 + 128], *slash;
    ssize_t n = readlink("/proc/self/exe", path, 4096);

    if (n < 0)
        die("/proc/self/exe: %s", strerror(errno));
    path[n] = '\0';
    slash = strrchr(path, '/');
    snprintf(slash, 128, "/../kernels/jobs.%s", type ? type : "ptx");
    check(cuModuleLoad(&module, path), path);
}

int main(int argc, char **argv)
{
    CUcontext ctx;
    CUdevice dev;

    if (argc < 2)
        die("usage: cuda_job vectoradd|matmul|blackscholes|nbody|histogram|reduction [SECONDS]");
    seconds_wanted = argc > 2 ? atof(argv[2]) : 0;
    CU(cuInit(0));
    CU(cuDeviceGet(&dev, 0));
    CU(cuDevicePrimaryCtxRetain(&ctx, dev));
    CU(cuCtxSetCurrent(ctx));
    module_load();
    for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
        if (strcmp(argv[1], jobs[i].name) == 0) {
            printf("%s: right, hash %016llx\n", argv[1], (unsigned long long)jobs[i].run());
            CU(cuDevicePrimaryCtxRelease(dev));
            return 0;
        }
    }
    die("no job is called %s", argv[1]);
}
