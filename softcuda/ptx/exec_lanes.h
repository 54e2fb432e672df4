/*
 * The handlers, for one instruction set: exec_*.c sets SC_TABLE and includes this. A handler runs
 * its instruction for all lanes. Then it calls the handler of the next one, if the compiler is sure
 * to make that a tail call; else it returns to the loop in warps.c, which works with both.
 */
#include "protocol/base.h"
#include "softcuda/ptx/exec.h"
#include "softcuda/ptx/lanemath.h"
#include <fenv.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__clang__)
#define IVDEP _Pragma("clang loop vectorize(assume_safety)")
#define GO(i_)                                                                                     \
    do {                                                                                           \
        const struct insn *n_ = (i_);                                                              \
        __attribute__((musttail)) return n_->fn(w, n_);                                            \
    } while (0)
#elif defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define IVDEP _Pragma("GCC ivdep")
#define GO(i_)                                                                                     \
    do {                                                                                           \
        const struct insn *n_ = (i_);                                                              \
        return n_->fn(w, n_);                                                                      \
    } while (0)
#else
#define IVDEP
#define GO(i_) return (i_)
#endif
#define NEXT GO(i + 1)
/* Continues at the instruction that a function of warps.c returned. */
#define FOLLOW(call_)                                                                              \
    do {                                                                                           \
        const struct insn *to_ = (call_);                                                          \
        if (!to_)                                                                                  \
            return NULL;                                                                           \
        GO(to_);                                                                                   \
    } while (0)

#define HANDLER(name) static const struct insn *h_##name(struct warp *w, const struct insn *i)
/* A handler that accesses memory for its lanes. The threads of a kernel may race, which is no fault
 * of the engine: ThreadSanitizer does not see these accesses. It still sees the atomic ones. */
#if defined(__SANITIZE_THREAD__)
#define NO_TSAN __attribute__((no_sanitize_thread))
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NO_TSAN __attribute__((no_sanitize("thread")))
#endif
#endif
#ifndef NO_TSAN
#define NO_TSAN
#endif
#define MEM_HANDLER(name)                                                                          \
    static NO_TSAN const struct insn *h_##name(struct warp *w, const struct insn *i)
#define LANES IVDEP for (int l = 0; l < SC_WARP; l++)
#define EACH_ACTIVE(l)                                                                             \
    for (uint32_t m_ = w->mask, l; m_ && (l = (uint32_t)__builtin_ctz(m_), 1); m_ &= m_ - 1)

#define ALIGNED(p) __builtin_assume_aligned((void *)(p), 64)
#define SRC(T, n)  ((const T *)ALIGNED(w->base[i->o[n] & 1] + i->o[n]))
#define DST(T, n)  ((T *)ALIGNED(w->base[0] + i->o[n]))
#define RESULT(T)  ((T *)ALIGNED(w->full ? w->base[0] + i->o[0] : w->tmp))
#define SRCP(n)    (*(const uint32_t *)(w->base[i->o[n] & 1] + i->o[n]))

/* --- writing under a mask --------------------------------------------------------------------- */

#define BLEND(T)                                                                                   \
    static __attribute__((noinline)) void blend_##T(struct warp *w, void *to, const void *from)    \
    {                                                                                              \
        T *d = ALIGNED(to);                                                                        \
        const T *s = ALIGNED(from);                                                                \
        LANES d[l] = (T)(w->lm[l] ? s[l] : d[l]);                                                  \
    }
BLEND(u8)
BLEND(u16)
BLEND(u32)
BLEND(u64)

static inline void blend_pred(struct warp *w, uint32_t slot, uint32_t value)
{
    uint32_t *d = (uint32_t *)(w->base[0] + slot);
    *d = (*d & ~w->mask) | (value & w->mask);
}

/* Completes a result that is in w->tmp because some lanes do not run. */
#define FINISH(T)                                                                                  \
    do {                                                                                           \
        if (XG_UNLIKELY(!w->full))                                                                 \
            _Generic((T)0, u8                                                                      \
                     : blend_u8, s8                                                                \
                     : blend_u8, u16                                                               \
                     : blend_u16, s16                                                              \
                     : blend_u16, u32                                                              \
                     : blend_u32, s32                                                              \
                     : blend_u32, f32                                                              \
                     : blend_u32, u64                                                              \
                     : blend_u64, s64                                                              \
                     : blend_u64, f64                                                              \
                     : blend_u64)(w, w->base[0] + i->o[0], w->tmp);                                \
    } while (0)

/* Makes one bit per lane of words that are zero or all ones. */
static inline uint32_t pack_mask(const uint32_t *t)
{
#if defined(__AVX512F__) && defined(__AVX512DQ__)
    return (uint32_t)_mm512_movepi32_mask(_mm512_load_si512(t)) |
           (uint32_t)_mm512_movepi32_mask(_mm512_load_si512(t + 16)) << 16;
#elif defined(__AVX2__)
    uint32_t m = 0;
    for (int k = 0; k < 4; k++)
        m |= (uint32_t)_mm256_movemask_ps(_mm256_load_ps((const float *)t + 8 * k)) << (8 * k);
    return m;
#elif defined(__SSE2__)
    uint32_t m = 0;
    for (int k = 0; k < 8; k++)
        m |= (uint32_t)_mm_movemask_ps(_mm_load_ps((const float *)t + 4 * k)) << (4 * k);
    return m;
#else
    uint32_t m = 0;
    for (int l = 0; l < SC_WARP; l++)
        m |= (t[l] & 1) << l;
    return m;
#endif
}

#include "softcuda/ptx/exec_alu.h"
#include "softcuda/ptx/exec_mem.h"
#include "softcuda/ptx/exec_fuse.h"
#include "softcuda/ptx/exec_ctl.h"

/* --- the table, in the order of ops.def ------------------------------------------------------- */

#define UN(name, ...)   h_##name,
#define BIN(name, ...)  h_##name,
#define TER(name, ...)  h_##name,
#define CMP(name, ...)  h_##name,
#define CMPH(name, ...) h_##name,
#define PRED(name, ...) h_##name,
#define SPECIAL(name)   h_##name,
sc_handler *const SC_TABLE[] = {
    NULL,
#include "softcuda/ptx/ops.def"
};
