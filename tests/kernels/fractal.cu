#include "cuda_mini.h"

/* The Mandelbrot set around (x, y), `scale` wide: one 0xRRGGBB for each point. */
extern "C" __global__ void fractal(unsigned *out, int width, int height, float x, float y,
                                   float scale, int limit)
{
    int px = blockIdx.x * blockDim.x + threadIdx.x, py = blockIdx.y * blockDim.y + threadIdx.y;
    if (px >= width || py >= height)
        return;
    float cx = x + ((float)px / (float)width - 0.5f) * scale;
    float cy = y + ((float)py - 0.5f * (float)height) / (float)width * scale;
    float a = 0, b = 0, size = 0;
    int n = 0;
    while (n < limit && size < 4) {
        float t = a * a - b * b + cx;
        b = 2 * a * b + cy;
        a = t;
        size = a * a + b * b;
        n++;
    }
    unsigned shade = (unsigned)(n * 255 / limit);
    unsigned red = shade * 3 > 255 ? 255 : shade * 3, green = shade * 2 > 255 ? 255 : shade * 2;
    out[py * width + px] = n == limit ? 0x101030 : red << 16 | green << 8 | (shade / 2 + 96);
}
