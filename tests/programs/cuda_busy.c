/*
 * cuda_busy calibrate MS...                        how many rounds of the kernel "busy" last so
 * long here, and what the host's clock has more than the device's; nobody else must use the device
 *                                                  meanwhile
 * cuda_busy run ROUNDS SECONDS DEPTH [MIB [FILE]]  launches it again and again, with DEPTH launches
 * under way, and says how many (rate.h). MIB: memory that it keeps; FILE: when each launch was
 * where (busy.h). With SECONDS 0 it launches once. SIGTERM ends it early, FILE is written all the
 * same. When a call fails it says which error and when, and ends with status 3.
 */
/* links: -lcuda */
#include "tests/programs/busy.h"
#include "tests/programs/cuda_common.h"
#include "tests/programs/rate.h"

#define THREADS   64
#define DEPTH_MAX 64u
#define TRIES     10u

static CUfunction kernel;
static CUdeviceptr stamps, sink;
static unsigned blocks;
static struct busy *records;

static void device_lost(CUresult r)
{
    printf("lost %s at %.3f\n", error_name(r), (double)busy_now() * 1e-9);
    exit(3);
}

static CUresult launch(uint64_t rounds, unsigned n)
{
    CUdeviceptr stamp = stamps + 16ull * n;
    void *params[] = {&rounds, &stamp, &sink};

    records[n].sent = busy_now();
    return cuLaunchKernel(kernel, blocks, 1, 1, THREADS, 1, 1, 0, NULL, params, NULL);
}

/* Fills in what the device's clock said. */
static void stamps_take(unsigned count)
{
    uint64_t *s = allocate(16ull * (count + 1));
    CUresult r = cuMemcpyDtoH(s, stamps, 16ull * count);

    if (r)
        device_lost(r);
    for (unsigned i = 0; i < count; i++) {
        records[i].begin = (int64_t)s[2 * i];
        records[i].end = (int64_t)s[2 * i + 1];
    }
    free(s);
}

static void prepare(void)
{
    int sms;

    open_device();
    kernel = load_function("busy.ptx", "busy");
    CHECK(cuDeviceGetAttribute(&sms, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 0));
    blocks = (unsigned)sms;
    records = busy_records();
    stamps = upload(NULL, 16ull * BUSY_MAX);
    sink = upload(NULL, 4);
}

/* --- calibrate -------------------------------------------------------------------------------- */

/* The shortest of some launches, by the device's clock. */
static double shortest(uint64_t rounds, unsigned tries)
{
    double best = 1e18;

    for (unsigned i = 0; i < tries; i++) {
        CHECK(launch(rounds, i));
        CHECK(cuCtxSynchronize());
        records[i].complete = busy_now();
    }
    stamps_take(tries);
    for (unsigned i = 0; i < tries; i++) {
        double took = (double)(records[i].end - records[i].begin);
        best = took < best ? took : best;
    }
    return best;
}

static int calibrate(int count, char **ms)
{
    uint64_t rounds = 64;
    double base, took = 0;

    for (; took < 1e8; rounds *= 2) /* also brings the device's clocks up */
        took = shortest(rounds, 1);
    /* Where the device is a processor, short ones are the likelier to have had it for themselves.
     */
    rounds = rounds / 32 + 1;
    took = shortest(rounds, 4 * TRIES);
    base = shortest(0, TRIES);
    printf("offset %lld\n", (long long)busy_offset(records, TRIES));
    for (int i = 0; i < count; i++) {
        double want = atof(ms[i]) * 1e6, each = (took - base) / (double)rounds;
        printf("rounds %s %llu\n", ms[i],
               want > base ? (unsigned long long)((want - base) / each) + 1 : 1);
    }
    return 0;
}

/* --- run -------------------------------------------------------------------------------------- */

static void complete(CUevent e, unsigned n)
{
    CUresult r = cuEventSynchronize(e);

    if (r)
        device_lost(r);
    records[n].complete = busy_now();
}

static unsigned run(uint64_t rounds, double seconds, unsigned depth)
{
    CUevent event[DEPTH_MAX];
    unsigned sent = 0, done = 0;
    struct rate rate = rate_begin(seconds);
    CUresult r;

    for (unsigned i = 0; i < depth; i++)
        CHECK(cuEventCreate(&event[i], CU_EVENT_DISABLE_TIMING));
    do {
        if (sent - done == depth) {
            complete(event[done % depth], done);
            done++;
            rate_round(&rate);
        }
        r = launch(rounds, sent);
        if (!r)
            r = cuEventRecord(event[sent % depth], NULL);
        if (r)
            device_lost(r);
        sent++;
    } while (!rate_over(&rate) && !busy_stopped && sent < BUSY_MAX);
    for (; done < sent; done++)
        complete(event[done % depth], done);
    return sent;
}

int main(int argc, char **argv)
{
    if (argc > 2 && !strcmp(argv[1], "calibrate")) {
        prepare();
        return calibrate(argc - 2, argv + 2);
    }
    unsigned depth = argc > 4 ? (unsigned)atoi(argv[4]) : 0;
    if (argc < 5 || strcmp(argv[1], "run") || !depth || depth > DEPTH_MAX) {
        fprintf(stderr,
                "usage: cuda_busy calibrate MS... | run ROUNDS SECONDS DEPTH [MIB [FILE]]\n");
        return 2;
    }
    prepare();
    if (argc > 5 && atoi(argv[5]))
        upload(NULL, (size_t)atoi(argv[5]) << 20);
    unsigned count = run(strtoull(argv[2], NULL, 10), atof(argv[3]), depth);
    stamps_take(count);
    if (argc > 6)
        busy_write(argv[6], records, count);
    return 0;
}
