/* cuda_loop SECONDS: fills memory of the device and waits for it, round after round, and says how
 * many (rate.h). For tests that need somebody at work, be it on a machine where a driver's compiler
 * takes a minute. */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"
#include "tests/programs/rate.h"

int main(int argc, char **argv)
{
    struct rate rate;
    unsigned value = 0;
    CUdeviceptr p;

    open_device();
    CHECK(cuMemAlloc(&p, 4096));
    rate = rate_begin(argc > 1 ? atof(argv[1]) : 5);
    while (!rate_over(&rate)) {
        CHECK(cuMemsetD32(p, ++value, 1024));
        CHECK(cuCtxSynchronize());
        if (rate_round(&rate)) {
            unsigned last = 0;
            CHECK(cuMemcpyDtoH(&last, p + 4092, 4));
            MUST(last == value);
        }
    }
    return 0;
}
