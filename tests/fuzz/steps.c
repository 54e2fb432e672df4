#include "tests/fuzz/steps.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);

static uint64_t steps; /* of all inputs */

static void steps_print(void)
{
    fprintf(stderr, "frames: %llu\n", (unsigned long long)steps);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    return atexit(steps_print);
}

struct fuzz_steps {
    const uint8_t *data;
    size_t size;
    unsigned taken;
    uint8_t *bytes;
};

/* False: there are no more. What the last step had is freed. */
static bool next(struct fuzz_steps *s, struct fuzz_step *step)
{
    free(s->bytes);
    s->bytes = NULL;
    if (s->size < 4 || s->taken == FUZZ_STEPS_MAX)
        return false;
    *step = (struct fuzz_step){.what = s->data[0], .where = s->data[1]};
    memcpy(&step->size, s->data + 2, sizeof(step->size));
    s->data += 4;
    s->size -= 4;
    if (step->size > s->size)
        step->size = (uint16_t)s->size;
    step->bytes = s->bytes = malloc(step->size ? step->size : 1);
    memcpy(step->bytes, s->data, step->size);
    s->data += step->size;
    s->size -= step->size;
    s->taken++;
    steps++;
    return true;
}

void fuzz_play(const uint8_t *data, size_t size, void (*begin)(void),
               void (*step)(const struct fuzz_step *), void (*end)(void))
{
    struct fuzz_steps steps = {.data = data, .size = size};
    struct fuzz_step s;

    begin();
    while (next(&steps, &s))
        step(&s);
    end();
}

uint32_t fuzz_number(const struct fuzz_step *step, unsigned at, unsigned bytes)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < bytes && at + i < step->size; i++)
        v |= (uint32_t)step->bytes[at + i] << 8 * i;
    return v;
}

void fuzz_lay(const struct fuzz_step *step, unsigned from, void *to, size_t at, size_t size)
{
    if (from >= step->size || at >= size)
        return;
    size_t n = step->size - from, room = size - at;
    memcpy((uint8_t *)to + at, step->bytes + from, n < room ? n : room);
}

unsigned fuzz_descriptors(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

void fuzz_descriptors_settle(void)
{
    static unsigned before;
    unsigned now = fuzz_descriptors();

    fuzz_must(!before || now <= before);
    before = now;
}

void fuzz_broken(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: runtime error: broken: %s\n", file, line, what);
    abort();
}
