/* cuda_loop SECONDS: fills memory of the device and waits for it, round after round; says after
 * each second how many, and when. For tests that need somebody at work, be it on a machine where a
 * driver's compiler takes a minute. */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

#include <time.h>

/* Of the day: others on the same machine can tell what went on meanwhile. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 5, begin, second;
    unsigned rounds = 0, value = 0;
    CUdeviceptr p;

    open_device();
    CHECK(cuMemAlloc(&p, 4096));
    begin = second = now();
    while (now() - begin < seconds) {
        CHECK(cuMemsetD32(p, ++value, 1024));
        CHECK(cuCtxSynchronize());
        rounds++;
        if (now() - second >= 1) {
            unsigned last = 0;
            CHECK(cuMemcpyDtoH(&last, p + 4092, 4));
            MUST(last == value);
            printf("rounds %u until %.2f\n", rounds, now());
            fflush(stdout);
            rounds = 0;
            second = now();
        }
    }
    return 0;
}
