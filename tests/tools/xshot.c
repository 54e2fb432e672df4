/*
 * xshot FILE.png [MS]: writes what the X server DISPLAY shows, once it has stood still for MS
 * milliseconds (300): more than one frame takes. Status 1 if it never does.
 */
/* links: -lpng */
/* pkg: x11 */
#include <X11/Xlib.h>
#include <X11/Xutil.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_MS  50
#define LIMIT_MS 20000

static int save(const char *path, const XImage *image)
{
    png_image png = {.version = PNG_IMAGE_VERSION,
                     .width = (png_uint_32)image->width,
                     .height = (png_uint_32)image->height,
                     .format = PNG_FORMAT_RGB};
    unsigned char *rgb = malloc((size_t)image->width * image->height * 3), *to = rgb;

    if (rgb == NULL)
        return 1;
    for (int y = 0; y < image->height; y++) {
        const unsigned char *from =
            (const unsigned char *)image->data + (size_t)y * image->bytes_per_line;

        for (int x = 0; x < image->width; x++, from += 4, to += 3) {
            to[0] = from[2];
            to[1] = from[1];
            to[2] = from[0];
        }
    }
    if (!png_image_write_to_file(&png, path, 0, rgb, 0, NULL)) {
        fprintf(stderr, "xshot: %s: %s\n", path, png.message);
        free(rgb);
        return 1;
    }
    free(rgb);
    return 0;
}

static XImage *look(Display *d)
{
    Window root = DefaultRootWindow(d);
    XWindowAttributes a;

    XGetWindowAttributes(d, root, &a);
    return XGetImage(d, root, 0, 0, (unsigned)a.width, (unsigned)a.height, AllPlanes, ZPixmap);
}

int main(int argc, char **argv)
{
    int wanted = argc > 2 ? atoi(argv[2]) : 300, still = 0;
    Display *d = XOpenDisplay(NULL);
    XImage *last, *now;

    if (argc < 2 || d == NULL) {
        fprintf(stderr, argc < 2 ? "usage: xshot FILE.png [MS]\n" : "xshot: no display\n");
        return 2;
    }
    last = look(d);
    if (last == NULL || last->bits_per_pixel != 32 || last->byte_order != LSBFirst) {
        fprintf(stderr, "xshot: the screen does not have 32 bits per pixel\n");
        return 2;
    }
    for (int ms = 0; ms < LIMIT_MS; ms += LOOK_MS) {
        usleep(LOOK_MS * 1000);
        now = look(d);
        still = memcmp(now->data, last->data, (size_t)now->bytes_per_line * now->height) == 0
                    ? still + LOOK_MS
                    : 0;
        XDestroyImage(last);
        last = now;
        if (still >= wanted)
            return save(argv[1], now);
    }
    fprintf(stderr, "xshot: the picture does not stand still\n");
    return 1;
}
