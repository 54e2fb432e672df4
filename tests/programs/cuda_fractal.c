/*
 * cuda_fractal [ROUNDS]: zooms into a fractal, one kernel for each picture, and prints what the
 * pictures' bytes add up to. cuda_fractal --window X Y WIDTH HEIGHT: shows them, without end.
 */
/* links: -lcuda */
/* pkg: x11 */
#include "tests/programs/cuda_common.h"

#include <X11/Xlib.h>
#include <X11/Xutil.h>

#define BLOCK 16
#define LIMIT 240

static CUfunction fractal;
static CUdeviceptr pixels;

/* The picture of a round; the zoom begins again after 20. */
static void compute(uint32_t *out, int width, int height, int round)
{
    float x = -0.7453f, y = 0.1127f, scale = 0.25f;
    int limit = LIMIT;
    void *params[] = {&pixels, &width, &height, &x, &y, &scale, &limit};

    for (int i = 0; i < round % 20; i++)
        scale *= 0.88f;
    CHECK(cuLaunchKernel(fractal, (unsigned)(width + BLOCK - 1) / BLOCK,
                         (unsigned)(height + BLOCK - 1) / BLOCK, 1, BLOCK, BLOCK, 1, 0, NULL,
                         params, NULL));
    CHECK(cuMemcpyDtoH(out, pixels, (size_t)width * (size_t)height * sizeof(*out)));
}

static void show(int left, int top, int width, int height)
{
    Display *d = XOpenDisplay(NULL);
    MUST(d);
    XSetWindowAttributes a = {.override_redirect = True};
    Window w =
        XCreateWindow(d, DefaultRootWindow(d), left, top, (unsigned)width, (unsigned)height, 0,
                      CopyFromParent, InputOutput, CopyFromParent, CWOverrideRedirect, &a);
    char *data = calloc((size_t)width * (size_t)height, 4);
    XImage *image = XCreateImage(d, DefaultVisual(d, DefaultScreen(d)), 24, ZPixmap, 0, data,
                                 (unsigned)width, (unsigned)height, 32, 0);

    MUST(data && image);
    XMapRaised(d, w);
    for (int round = 0;; round++) {
        compute((uint32_t *)data, width, height, round);
        XPutImage(d, w, DefaultGC(d, DefaultScreen(d)), image, 0, 0, 0, 0, (unsigned)width,
                  (unsigned)height);
        XSync(d, False);
    }
}

int main(int argc, char **argv)
{
    bool window = argc == 6 && !strcmp(argv[1], "--window");
    int width = window ? atoi(argv[4]) : 160, height = window ? atoi(argv[5]) : 120;
    int rounds = argc == 2 ? atoi(argv[1]) : 5;
    uint64_t sum = 0;

    MUST(width > 0 && width <= 4096 && height > 0 && height <= 4096 && rounds > 0);
    open_device();
    fractal = load_function("fractal.ptx", "fractal");
    CHECK(cuMemAlloc(&pixels, (size_t)width * (size_t)height * 4));
    if (window)
        show(atoi(argv[2]), atoi(argv[3]), width, height);
    uint32_t *out = malloc((size_t)width * (size_t)height * 4);
    for (int round = 0; round < rounds; round++) {
        compute(out, width, height, round * 5);
        for (int i = 0; i < width * height; i++)
            sum = sum * 31 + out[i];
    }
    printf("%d pictures: %016llx\n", rounds, (unsigned long long)sum);
    free(out);
    return 0;
}
