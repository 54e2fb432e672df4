/* gl_loop SECONDS: pictures that turn, one after the other, and how many (rate.h). Each must be
 * what it was the first time. */
/* pkg: egl gl */
#include "tests/programs/gl_turning.h"
#include "tests/programs/rate.h"

int main(int argc, char **argv)
{
    uint64_t want[TURNING] = {0};
    struct rate rate;

    start(DESKTOP_COMPAT);
    rate = rate_begin(argc > 1 ? atof(argv[1]) : 5);
    for (unsigned i = 0; !rate_over(&rate); i++) {
        uint64_t *first = &want[i % TURNING], frame = turning_frame(i);
        if (!frame)
            give_up("eglSwapBuffers");
        if (i >= TURNING && frame != *first) {
            fprintf(stderr, "frame %u is not what it was\n", i);
            return 1;
        }
        *first = frame;
        rate_round(&rate);
    }
    return 0;
}
