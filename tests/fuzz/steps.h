/*
 * Inputs of the targets that play a whole partner rather than a ring: steps, one behind the other.
 * Each has a head and `size` bytes, which are cut to what there is, and handed out in memory of
 * their own size.
 */
#ifndef XG_FUZZ_STEPS_H
#define XG_FUZZ_STEPS_H

#include "protocol/base.h"

struct fuzz_step {
    uint8_t what, where; /* the target's to use */
    uint16_t size;
    uint8_t *bytes;
};

enum { FUZZ_STEPS_MAX = 64 };

/* One input, from what is set up for it to what is taken down again. */
void fuzz_play(const uint8_t *data, size_t size, void (*begin)(void),
               void (*step)(const struct fuzz_step *), void (*end)(void));
/* Bytes of the step from `at` on as a number; 0 where there are none. */
uint32_t fuzz_number(const struct fuzz_step *step, unsigned at, unsigned bytes);
/* Lays the step's bytes over `to`, from `at` on, as far as it goes. */
void fuzz_lay(const struct fuzz_step *step, unsigned from, void *to, size_t at, size_t size);
/* Descriptors that this process has open. */
unsigned fuzz_descriptors(void);
/* After an input, where the first one leaves some open: no later one has more than the one before.
 */
void fuzz_descriptors_settle(void);
/* A promise that was broken: says which, and ends as a crash does. */
#define fuzz_must(what)                                                                            \
    do {                                                                                           \
        if (!(what))                                                                               \
            fuzz_broken(__FILE__, __LINE__, #what);                                                \
    } while (0)
void fuzz_broken(const char *file, int line, const char *what) __attribute__((noreturn));

#endif
