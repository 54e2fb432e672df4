/*
 * imgdiff A.png B.png [DELTA [PIXELS]]: compares two pictures. Status 0 if no channel of any pixel
 * differs by more than DELTA (0), but for at most PIXELS pixels (0); 1 if they differ; 2 if one
 * cannot be read, the sizes differ, or they show only one colour, which would compare nothing. Says
 * how many pixels differ and by how much at most.
 */
/* links: -lpng */
#include <png.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct picture {
    png_image png;
    unsigned char *rgb;
};

static int load(const char *path, struct picture *p)
{
    memset(p, 0, sizeof(*p));
    p->png.version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_file(&p->png, path))
        goto fail;
    p->png.format = PNG_FORMAT_RGB;
    p->rgb = malloc(PNG_IMAGE_SIZE(p->png));
    if (p->rgb == NULL || !png_image_finish_read(&p->png, NULL, p->rgb, 0, NULL))
        goto fail;
    return 0;
fail:
    fprintf(stderr, "imgdiff: %s: %s\n", path, p->png.message);
    return -1;
}

static bool one_colour(const struct picture *p, size_t pixels)
{
    for (size_t i = 1; i < pixels; i++) {
        if (memcmp(p->rgb, p->rgb + i * 3, 3) != 0)
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    int delta = argc > 3 ? atoi(argv[3]) : 0, worst = 0;
    size_t allowed = argc > 4 ? strtoul(argv[4], NULL, 0) : 0, other = 0, beyond = 0, pixels;
    struct picture a, b;

    if (argc < 3) {
        fprintf(stderr, "usage: imgdiff A.png B.png [DELTA [PIXELS]]\n");
        return 2;
    }
    if (load(argv[1], &a) || load(argv[2], &b))
        return 2;
    if (a.png.width != b.png.width || a.png.height != b.png.height) {
        printf("sizes differ: %ux%u and %ux%u\n", a.png.width, a.png.height, b.png.width,
               b.png.height);
        return 2;
    }
    pixels = (size_t)a.png.width * a.png.height;
    if (one_colour(&a, pixels) || one_colour(&b, pixels)) {
        printf("%s shows only one colour\n", one_colour(&a, pixels) ? argv[1] : argv[2]);
        return 2;
    }
    for (size_t i = 0; i < pixels; i++) {
        int most = 0;

        for (int c = 0; c < 3; c++) {
            int d = abs(a.rgb[i * 3 + c] - b.rgb[i * 3 + c]);

            most = d > most ? d : most;
        }
        other += most != 0;
        beyond += most > delta;
        worst = most > worst ? most : worst;
    }
    if (other == 0)
        printf("equal, %zu pixels\n", pixels);
    else
        printf("%zu of %zu pixels differ, by %d at most\n", other, pixels, worst);
    return beyond > allowed;
}
