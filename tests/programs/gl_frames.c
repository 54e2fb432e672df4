/* gl_frames COUNT [FILE]: pictures that turn, one after the other, COUNT of them (0: without end);
 * prints a hash of each, and "lost" when the device is lost. FILE: the last one's bytes. */
/* pkg: egl gl */
#include "tests/programs/gl_turning.h"

int main(int argc, char **argv)
{
    unsigned count = argc > 1 ? (unsigned)atoi(argv[1]) : 1;

    start(DESKTOP_COMPAT);
    for (unsigned i = 0; !count || i < count; i++) {
        uint64_t frame = turning_frame(i);
        if (!frame) {
            printf("lost: 0x%x\n", eglGetError());
            return 3;
        }
        printf("frame %u %016llx\n", i, (unsigned long long)frame);
        fflush(stdout);
    }
    if (argc > 2) {
        FILE *f = fopen(argv[2], "wb");
        if (!f || fwrite(the_pixels, sizeof(the_pixels), 1, f) != 1 || fclose(f))
            give_up(argv[2]);
    }
    return 0;
}
