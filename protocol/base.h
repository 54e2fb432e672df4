/* Small things that every part of xengpu uses. Depends on nothing but the C library. */
#ifndef XG_BASE_H
#define XG_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define XG_EXPORT       __attribute__((visibility("default")))
#define XG_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define XG_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
/* Of a structure whose fields are to be initialised by their names; clang does not know it. */
#ifndef __clang__
#define XG_BY_NAME __attribute__((designated_init))
#else
#define XG_BY_NAME
#endif
#define XG_LIKELY(x)   __builtin_expect(!!(x), 1)
#define XG_UNLIKELY(x) __builtin_expect(!!(x), 0)

#define XG_PAGE_SIZE  4096u
#define XG_PAGE_SHIFT 12

#define xg_container_of(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

/* `align` is a power of two. */
static inline uint64_t xg_align_up(uint64_t v, uint64_t align)
{
    return (v + align - 1) & ~(align - 1);
}

static inline uint64_t xg_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t xg_max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Monotonic nanoseconds. */
static inline uint64_t xg_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline void xg_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
