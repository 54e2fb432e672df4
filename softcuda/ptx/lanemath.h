/*
 * What one lane computes, written so that compilers turn loops over lanes into vector code.
 * Compiled once per instruction set. Must be built without contraction (-ffp-contract=off).
 *
 * Accuracy of the approximate functions, against PTX's limits: ex2 2 ulp (PTX 2), lg2 below 2^-22
 * (PTX 2^-22), sin and cos below 2^-23 in [-pi, pi] (PTX 2^-20.5), tanh 2^-12 (PTX 2^-11); rcp,
 * div, sqrt are correctly rounded, rsqrt has 1 ulp (PTX 2^-22.9).
 */
#ifndef SC_LANEMATH_H
#define SC_LANEMATH_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#if defined(__F16C__)
#include <immintrin.h>
#endif

typedef uint8_t u8;
typedef int8_t s8;
typedef uint16_t u16;
typedef int16_t s16;
typedef uint32_t u32;
typedef int32_t s32;
typedef uint64_t u64;
typedef int64_t s64;
typedef float f32;
typedef double f64;

#define SIGN64 (UINT64_C(1) << 63)
#define LANE   static inline __attribute__((always_inline, unused))

LANE u32 bits_f32(f32 x)
{
    u32 u;
    memcpy(&u, &x, 4);
    return u;
}

LANE f32 f32_bits(u32 u)
{
    f32 x;
    memcpy(&x, &u, 4);
    return x;
}

LANE u64 bits_f64(f64 x)
{
    u64 u;
    memcpy(&u, &x, 8);
    return u;
}

LANE f64 f64_bits(u64 u)
{
    f64 x;
    memcpy(&x, &u, 8);
    return x;
}

/* --- integers --------------------------------------------------------------------------------- */

LANE u16 mulhi_u16(u16 a, u16 b)
{
    return (u16)((u32)a * b >> 16);
}
LANE s16 mulhi_s16(s16 a, s16 b)
{
    return (s16)(((s32)a * b) >> 16);
}
LANE u32 mulhi_u32(u32 a, u32 b)
{
    return (u32)((u64)a * b >> 32);
}
LANE s32 mulhi_s32(s32 a, s32 b)
{
    return (s32)(((s64)a * b) >> 32);
}
LANE u64 mulhi_u64(u64 a, u64 b)
{
    return (u64)((unsigned __int128)a * b >> 64);
}
LANE s64 mulhi_s64(s64 a, s64 b)
{
    return (s64)(((__int128)a * b) >> 64);
}

/* Division by zero gives all ones, its remainder the dividend, as GPUs do. 32 bits go through f64,
 * whose quotient cannot round up to the next integer: that would need more than 53 bits. */
LANE u32 idiv_u32(u32 a, u32 b)
{
    return b ? (u32)(s64)((f64)a / (f64)(b ? b : 1)) : ~0u;
}
LANE u32 irem_u32(u32 a, u32 b)
{
    return b ? a - b * idiv_u32(a, b) : a;
}
LANE s32 idiv_s32(s32 a, s32 b)
{
    return b ? (s32)(u32)(s64)((f64)a / (f64)(b ? b : 1)) : -1;
}
LANE s32 irem_s32(s32 a, s32 b)
{
    return b ? (s32)((u32)a - (u32)b * (u32)idiv_s32(a, b)) : a;
}
LANE u16 idiv_u16(u16 a, u16 b)
{
    return b ? a / b : 0xffff;
}
LANE u16 irem_u16(u16 a, u16 b)
{
    return b ? a % b : a;
}
LANE s16 idiv_s16(s16 a, s16 b)
{
    return b ? (s16)(a / b) : -1;
}
LANE s16 irem_s16(s16 a, s16 b)
{
    return b ? (s16)(a % b) : a;
}
LANE u64 idiv_u64(u64 a, u64 b)
{
    return b ? a / b : ~UINT64_C(0);
}
LANE u64 irem_u64(u64 a, u64 b)
{
    return b ? a % b : a;
}
LANE s64 idiv_s64(s64 a, s64 b)
{
    return !b ? -1 : b == -1 ? (s64)(0 - (u64)a) : a / b;
}
LANE s64 irem_s64(s64 a, s64 b)
{
    return !b ? a : b == -1 ? 0 : a % b;
}

LANE s32 sat_s32(s64 x)
{
    return x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : (s32)x;
}
LANE s64 sext24(u32 x)
{
    return (s32)(x << 8) >> 8;
}

LANE u32 brev32(u32 x)
{
    x = __builtin_bswap32(x);
    x = (x >> 4 & 0x0f0f0f0f) | (x & 0x0f0f0f0f) << 4;
    x = (x >> 2 & 0x33333333) | (x & 0x33333333) << 2;
    return (x >> 1 & 0x55555555) | (x & 0x55555555) << 1;
}

/* The highest bit that differs from the sign. */
LANE u32 signfold_u32(u32 x)
{
    return x;
}
LANE u64 signfold_u64(u64 x)
{
    return x;
}
LANE u32 signfold_s32(u32 x)
{
    return x >> 31 ? ~x : x;
}
LANE u64 signfold_s64(u64 x)
{
    return x >> 63 ? ~x : x;
}
LANE u32 bfind(u64 x, u32 bits, bool shift)
{
    if (!x)
        return UINT32_MAX;
    u32 n = 63u - (u32)__builtin_clzll(x);
    return shift ? bits - 1 - n : n;
}

LANE u64 bfe(u64 a, u32 pos, u32 len, u32 bits, bool sign)
{
    pos &= 0xff;
    len &= 0xff;
    u32 msb = bits - 1, top = pos + len - 1 < msb ? pos + len - 1 : msb;
    u64 s = sign && len ? a >> top & 1 : 0;
    u64 v = pos <= msb ? a >> (pos & 63) : 0;
    u32 have = pos > msb ? 0 : len < bits - pos ? len : bits - pos;
    u64 mask = have >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << have) - 1;
    v = (v & mask) | (s ? ~mask : 0);
    return len ? v : 0;
}

LANE u64 bfi(u64 a, u64 b, u32 pos, u32 len, u32 bits)
{
    pos &= 0xff;
    len &= 0xff;
    if (pos >= bits || !len)
        return b;
    u64 mask = (len >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << len) - 1) << pos;
    return (b & ~mask) | (a << pos & mask);
}

LANE u32 szext(u32 a, u32 n, bool sign)
{
    if (n >= 32)
        return a;
    u32 mask = (1u << n) - 1;
    return sign && n && a >> (n - 1) & 1 ? a | ~mask : a & mask;
}

LANE u32 bmsk(u32 pos, u32 n)
{
    u64 mask = (UINT64_C(1) << n) - 1;
    return (u32)(mask << pos);
}

LANE u32 fns(u32 mask, u32 base, s32 offset)
{
    if (base > 31)
        return UINT32_MAX;
    if (!offset)
        return mask >> base & 1 ? base : UINT32_MAX;
    s32 n = offset, d = offset > 0 ? 1 : -1;
    for (s32 at = (s32)base; at >= 0 && at < 32; at += d)
        if (mask >> at & 1 && !(n -= d))
            return (u32)at;
    return UINT32_MAX;
}

LANE u32 lop3(u32 a, u32 b, u32 c, u32 lut)
{
    u32 r = 0;
    r |= lut & 0x01 ? ~a & ~b & ~c : 0;
    r |= lut & 0x02 ? ~a & ~b & c : 0;
    r |= lut & 0x04 ? ~a & b & ~c : 0;
    r |= lut & 0x08 ? ~a & b & c : 0;
    r |= lut & 0x10 ? a & ~b & ~c : 0;
    r |= lut & 0x20 ? a & ~b & c : 0;
    r |= lut & 0x40 ? a & b & ~c : 0;
    r |= lut & 0x80 ? a & b & c : 0;
    return r;
}

LANE u32 prmt(u32 a, u32 b, u32 c, u32 mode)
{
    u64 v = (u64)b << 32 | a;
    u32 r = 0, n = c & 3;
    for (u32 i = 0; i < 4; i++) {
        u32 s;
        switch (mode) {
        case 1: s = n + i; break;                 /* f4e */
        case 2: s = (n - i) & 7; break;           /* b4e */
        case 3: s = n; break;                     /* rc8 */
        case 4: s = i > n ? i : n; break;         /* ecl */
        case 5: s = i < n ? i : n; break;         /* ecr */
        case 6: s = (n & 1) * 2 + (i & 1); break; /* rc16 */
        default: s = c >> (4 * i) & 15; break;
        }
        u32 byte = (u32)(v >> (8 * (s & 7))) & 0xff;
        if (s & 8)
            byte = byte & 0x80 ? 0xff : 0;
        r |= byte << (8 * i);
    }
    return r;
}

LANE u32 dp4a(u32 a, u32 b, u32 c, bool sa, bool sb)
{
    for (int i = 0; i < 4; i++) {
        u32 x = a >> (8 * i) & 0xff, y = b >> (8 * i) & 0xff;
        x = sa ? (u32)(s32)(s8)x : x;
        y = sb ? (u32)(s32)(s8)y : y;
        c += x * y;
    }
    return c;
}

LANE u32 dp2a(u32 a, u32 b, u32 c, bool sa, bool sb, int first)
{
    for (int i = 0; i < 2; i++) {
        u32 x = a >> (16 * i) & 0xffff, y = b >> (8 * (i + first)) & 0xff;
        x = sa ? (u32)(s32)(s16)x : x;
        y = sb ? (u32)(s32)(s8)y : y;
        c += x * y;
    }
    return c;
}

/* Integer to integer with .sat */
#define SAT_SIGNED(D, S, LO, HI)                                                                   \
    LANE D sat_##D##_##S(S a)                                                                      \
    {                                                                                              \
        return (s64)a > (HI) ? (D)(HI) : (s64)a < (LO) ? (D)(LO) : (D)a;                           \
    }
#define SAT_UNSIGNED(D, S, HI)                                                                     \
    LANE D sat_##D##_##S(S a)                                                                      \
    {                                                                                              \
        return (u64)a > (u64)(HI) ? (D)(HI) : (D)a;                                                \
    }
#define SAT_FROM_SIGNED(S)                                                                         \
    SAT_SIGNED(u8, S, 0, 255)                                                                      \
    SAT_SIGNED(s8, S, -128, 127)                                                                   \
    SAT_SIGNED(u16, S, 0, 65535)                                                                   \
    SAT_SIGNED(s16, S, -32768, 32767)                                                              \
    SAT_SIGNED(u32, S, 0, UINT32_MAX)                                                              \
    SAT_SIGNED(s32, S, INT32_MIN, INT32_MAX)                                                       \
    SAT_SIGNED(s64, S, INT64_MIN, INT64_MAX)                                                       \
    LANE u64 sat_u64_##S(S a)                                                                      \
    {                                                                                              \
        return a < 0 ? 0 : (u64)a;                                                                 \
    }
#define SAT_FROM_UNSIGNED(S)                                                                       \
    SAT_UNSIGNED(u8, S, 255)                                                                       \
    SAT_UNSIGNED(s8, S, 127)                                                                       \
    SAT_UNSIGNED(u16, S, 65535)                                                                    \
    SAT_UNSIGNED(s16, S, 32767)                                                                    \
    SAT_UNSIGNED(u32, S, UINT32_MAX)                                                               \
    SAT_UNSIGNED(s32, S, INT32_MAX)                                                                \
    SAT_UNSIGNED(u64, S, UINT64_MAX)                                                               \
    SAT_UNSIGNED(s64, S, INT64_MAX)
SAT_FROM_SIGNED(s8)
SAT_FROM_SIGNED(s16)
SAT_FROM_SIGNED(s32)
SAT_FROM_SIGNED(s64)
SAT_FROM_UNSIGNED(u8)
SAT_FROM_UNSIGNED(u16)
SAT_FROM_UNSIGNED(u32)
SAT_FROM_UNSIGNED(u64)

/* --- floating point --------------------------------------------------------------------------- */

LANE f32 abs_f32(f32 x)
{
    return f32_bits(bits_f32(x) & 0x7fffffffu);
}
LANE f64 abs_f64(f64 x)
{
    return f64_bits(bits_f64(x) & ~SIGN64);
}
LANE f32 neg_f32(f32 x)
{
    return f32_bits(bits_f32(x) ^ 0x80000000u);
}
LANE f64 neg_f64(f64 x)
{
    return f64_bits(bits_f64(x) ^ SIGN64);
}
LANE f32 sqrt_f32(f32 x)
{
    return __builtin_sqrtf(x);
}
LANE f64 sqrt_f64(f64 x)
{
    return __builtin_sqrt(x);
}

/* Subnormals become a zero of the same sign. */
LANE f32 ftz(f32 x)
{
    u32 u = bits_f32(x);
    return f32_bits((u & 0x7f800000u) ? u : u & 0x80000000u);
}

/* The sum, rounded to odd at the last bit of f32: rounding that to f32 is the same as rounding the
 * exact sum. */
LANE f64 add_odd(f64 p, f64 c)
{
    f64 s = p + c, t = s - p;
    f64 e = (p - (s - t)) + (c - t);
    u64 u = bits_f64(s);
    bool fix = e == e && e != 0 && !(u & 1);
    bool up = (e > 0) == !(u >> 63);
    return f64_bits(fix ? (up ? u + 1 : u - 1) : u);
}

LANE f32 fma_f32(f32 a, f32 b, f32 c)
{
#if defined(__FMA__) || defined(__aarch64__)
    return __builtin_fmaf(a, b, c);
#else
    return (f32)add_odd((f64)a * b, c); /* libm's is ten times slower; the product is exact */
#endif
}

LANE f64 fma_f64(f64 a, f64 b, f64 c)
{
    return __builtin_fma(a, b, c);
}

#define MINMAX(T, U, QNAN)                                                                         \
    LANE T min_##T(T a, T b)                                                                       \
    {                                                                                              \
        T r = a < b ? a : b < a ? b : T##_bits(bits_##T(a) | bits_##T(b)); /* -0 < +0 */           \
        r = a != a ? b : r;                                                                        \
        r = b != b ? a : r;                                                                        \
        return ((a != a) & (b != b)) ? T##_bits(QNAN) : r;                                         \
    }                                                                                              \
    LANE T max_##T(T a, T b)                                                                       \
    {                                                                                              \
        T r = a > b ? a : b > a ? b : T##_bits(bits_##T(a) & bits_##T(b));                         \
        r = a != a ? b : r;                                                                        \
        r = b != b ? a : r;                                                                        \
        return ((a != a) & (b != b)) ? T##_bits(QNAN) : r;                                         \
    }
MINMAX(f32, u32, 0x7fffffffu)
MINMAX(f64, u64, UINT64_C(0x7fffffffffffffff))
LANE f32 minnan_f32(f32 a, f32 b)
{
    return ((a != a) | (b != b)) ? f32_bits(0x7fffffff) : min_f32(a, b);
}
LANE f32 maxnan_f32(f32 a, f32 b)
{
    return ((a != a) | (b != b)) ? f32_bits(0x7fffffff) : max_f32(a, b);
}
LANE f32 xorsign(f32 a, f32 b, f32 r)
{
    return f32_bits(bits_f32(r) ^ ((bits_f32(a) ^ bits_f32(b)) & 0x80000000u));
}
LANE f64 high_half(f64 x)
{
    return f64_bits(bits_f64(x) & ~UINT64_C(0xffffffff));
}
LANE f32 sat_lane(f32 a)
{
    return a > 0 ? (a < 1 ? a : 1) : 0;
}

#if defined(__SSE4_1__) || defined(__aarch64__)
LANE f32 rint_f32(f32 x)
{
    return __builtin_rintf(x);
}
LANE f32 trunc_f32(f32 x)
{
    return __builtin_truncf(x);
}
LANE f32 floor_f32(f32 x)
{
    return __builtin_floorf(x);
}
LANE f32 ceil_f32(f32 x)
{
    return __builtin_ceilf(x);
}
LANE f64 rint_f64(f64 x)
{
    return __builtin_rint(x);
}
LANE f64 trunc_f64(f64 x)
{
    return __builtin_trunc(x);
}
LANE f64 floor_f64(f64 x)
{
    return __builtin_floor(x);
}
LANE f64 ceil_f64(f64 x)
{
    return __builtin_ceil(x);
}
#else
/* Without roundps: adding and subtracting 2^23 (2^52) rounds. The sign of zero is kept. */
#define ROUNDERS(T, BIG)                                                                           \
    LANE T rint_##T(T x)                                                                           \
    {                                                                                              \
        T m = abs_##T(x);                                                                          \
        T r = (m + (T)BIG) - (T)BIG;                                                               \
        r = T##_bits(bits_##T(r) | (bits_##T(x) & bits_##T((T)-0.0)));                             \
        return m < (T)BIG ? r : x;                                                                 \
    }                                                                                              \
    LANE T floor_##T(T x)                                                                          \
    {                                                                                              \
        T r = rint_##T(x);                                                                         \
        T d = r > x ? r - 1 : r;                                                                   \
        return T##_bits(bits_##T(d) | (bits_##T(x) & bits_##T((T)-0.0)));                          \
    }                                                                                              \
    LANE T ceil_##T(T x)                                                                           \
    {                                                                                              \
        return neg_##T(floor_##T(neg_##T(x)));                                                     \
    }                                                                                              \
    LANE T trunc_##T(T x)                                                                          \
    {                                                                                              \
        T r = floor_##T(abs_##T(x));                                                               \
        return T##_bits(bits_##T(r) | (bits_##T(x) & bits_##T((T)-0.0)));                          \
    }
ROUNDERS(f32, 8388608.0)
ROUNDERS(f64, 4503599627370496.0)
#endif

/* To integers: out of range is clamped, NaN becomes 0 (64 bits: the sign bit alone). */
LANE s32 f2i_s32(f64 x, f64 lo, f64 hi)
{
    x = x > lo ? x : x == x ? lo : 0;
    x = x < hi ? x : hi;
    return (s32)x;
}
LANE s32 f2i_u16(f64 x, f64 lo, f64 hi)
{
    return f2i_s32(x, lo, hi);
}
LANE u32 f2i_u32(f64 x)
{
    x = x > 0 ? x : 0;
    x = x < 4294967295.0 ? x : 4294967295.0;
    return (u32)(s64)x;
}
LANE u64 f2i_u64(f64 x)
{
    if (x != x)
        return SIGN64;
    if (x >= 9223372036854775808.0)
        return x >= 18446744073709551616.0 ? ~UINT64_C(0)
                                           : (u64)(s64)(x - 9223372036854775808.0) ^ SIGN64;
    return x > 0 ? (u64)(s64)x : 0;
}
LANE s64 f2i_s64(f64 x)
{
    if (!(x < 9223372036854775808.0))
        return x != x ? INT64_MIN : INT64_MAX;
    return x < -9223372036854775808.0 ? INT64_MIN : (s64)x;
}

/* --- halves ----------------------------------------------------------------------------------- */

LANE f32 f16_to(u16 h)
{
#if defined(__F16C__)
    return _cvtsh_ss(h);
#else
    u32 em = h & 0x7fffu, sign = (u32)(h & 0x8000u) << 16;
    f32 x = f32_bits(em << 13) * f32_bits(0x77800000u); /* 2^112 */
    u32 u = em >= 0x7c00u ? em << 13 | 0x7f800000u : bits_f32(x);
    return f32_bits(u | sign);
#endif
}

LANE u16 f16_from_soft(f32 x, bool nearest)
{
    u32 u = bits_f32(x), sign = u >> 16 & 0x8000u, a = u & 0x7fffffffu;
    if (a > 0x7f800000u)
        return 0x7fff;
    if (a >= 0x47800000u)
        return (u16)(sign | (nearest || a == 0x7f800000u ? 0x7c00u : 0x7bffu));
    u32 shift = 13, m = a - 0x38000000u;
    if (a < 0x38800000u) { /* subnormal */
        u32 e = a >> 23;
        if (e < 102)
            return (u16)sign;
        shift = 126 - e;
        m = (a & 0x7fffffu) | 0x800000u;
    }
    u32 r = m >> shift, rest = m & ((1u << shift) - 1), half = 1u << (shift - 1);
    if (nearest)
        r += rest > half || (rest == half && r & 1);
    return (u16)(sign | r);
}

LANE u16 f16_from(f32 x)
{
#if defined(__F16C__)
    return x != x ? 0x7fff : _cvtss_sh(x, 0);
#else
    return f16_from_soft(x, true);
#endif
}
LANE u16 f16_from_rz(f32 x)
{
    return f16_from_soft(x, false);
}

LANE f32 bf16_to(u16 h)
{
    return f32_bits((u32)h << 16);
}
LANE u16 bf16_from(f32 x)
{
    u32 u = bits_f32(x);
    return x != x ? 0x7fff : (u16)((u + 0x7fffu + (u >> 16 & 1)) >> 16);
}
LANE u16 bf16_from_rz(f32 x)
{
    return x != x ? 0x7fff : (u16)(bits_f32(x) >> 16);
}

/* f64 to f32 for another rounding after it: towards zero, with the last bit set if inexact. */
LANE f32 to_odd(f64 x)
{
    f32 f = (f32)x;
    if ((f64)f == x || x != x)
        return f;
    u32 u = bits_f32(f);
    if (abs_f64((f64)f) > abs_f64(x))
        u--;
    return f32_bits(u | 1);
}

/* The product of two halves is exact in f64; the sum is rounded to odd. */
LANE u16 f16_fma(u16 a, u16 b, u16 c)
{
    return f16_from(to_odd(add_odd((f64)f16_to(a) * f16_to(b), f16_to(c))));
}
LANE u16 bf16_fma(u16 a, u16 b, u16 c)
{
    return bf16_from(to_odd(add_odd((f64)bf16_to(a) * bf16_to(b), bf16_to(c))));
}
LANE u16 half_relu(u16 h, u16 inf)
{
    return (h & 0x7fff) > inf ? 0x7fff : h & 0x8000 ? 0 : h;
}
LANE u16 f16_relu(u16 h)
{
    return half_relu(h, 0x7c00);
}
LANE u16 bf16_relu(u16 h)
{
    return half_relu(h, 0x7f80);
}

/* --- approximations --------------------------------------------------------------------------- */

LANE f32 ex2_lane(f32 x)
{
    f32 c = x < 130.0f ? x : 130.0f;
    c = c > -160.0f ? c : -160.0f;
    f32 n = (c + 12582912.0f) - 12582912.0f, f = c - n;
    f32 p = 1.525273380e-5f;
    p = p * f + 1.540353039e-4f;
    p = p * f + 1.333355815e-3f;
    p = p * f + 9.618129108e-3f;
    p = p * f + 5.550410866e-2f;
    p = p * f + 2.402265070e-1f;
    p = p * f + 6.931471806e-1f;
    p = p * f + 1.0f;
    s32 k = (s32)n, half = k >> 1; /* in two steps, for subnormal results */
    f32 r = p * f32_bits((u32)(127 + half) << 23) * f32_bits((u32)(127 + k - half) << 23);
    return x != x ? x : r;
}

LANE f32 lg2_lane(f32 x)
{
    f32 y = x < 1.17549435e-38f ? x * 16777216.0f : x;
    u32 u = bits_f32(y);
    u32 m = (u & 0x7fffffu) | 0x3f800000u;
    s32 e = (s32)(u >> 23 & 0xff) - 127 - (x < 1.17549435e-38f ? 24 : 0);
    bool big = m > 0x3fb504f3u;
    f64 z = f32_bits(big ? m - 0x800000u : m);
    f64 t = (z - 1) / (z + 1), s = t * t;
    f64 p = 1.0 / 13;
    p = p * s + 1.0 / 11;
    p = p * s + 1.0 / 9;
    p = p * s + 1.0 / 7;
    p = p * s + 1.0 / 5;
    p = p * s + 1.0 / 3;
    p = p * s + 1.0;
    f32 r = (f32)(p * t * 2.8853900817779268 + (f64)(e + big));
    r = x > 3.4028234e38f ? x : r;
    r = x == 0 ? f32_bits(0xff800000u) : r;
    return x < 0 || x != x ? f32_bits(0x7fffffffu) : r;
}

LANE f32 sincos_lane(f32 v, u32 add)
{
    f64 x = v;
    f64 big = x * 0.63661977236758134 + 6755399441055744.0; /* rounds to a quadrant */
    f64 k = big - 6755399441055744.0;
    f64 r = (x - k * 1.5707963267948966) - k * 6.123233995736766e-17, s = r * r;
    u32 q = (u32)bits_f64(big) + add;
    f64 sn = -2.5052108385441718e-8, cs = -2.755731922398589e-7;
    sn = sn * s + 2.7557319223985893e-6;
    sn = sn * s - 1.9841269841269841e-4;
    sn = sn * s + 8.3333333333333333e-3;
    sn = sn * s - 1.6666666666666667e-1;
    sn = sn * s * r + r;
    cs = cs * s + 2.4801587301587302e-5;
    cs = cs * s - 1.3888888888888889e-3;
    cs = cs * s + 4.1666666666666664e-2;
    cs = cs * s - 0.5;
    cs = cs * s + 1.0;
    f64 y = q & 1 ? cs : sn;
    y = q & 2 ? -y : y;
    f32 out = (f32)y;
    /* The phase of an argument of 2^40 or more is not known. */
    out = abs_f32(v) < 1.0995116e12f ? out : add ? 1.0f : 0.0f;
    return abs_f32(v) <= 3.4028234e38f ? out : f32_bits(0x7fffffffu);
}

LANE f32 tanh_lane(f32 x)
{
    f32 a = abs_f32(x), s = x * x;
    f32 small = ((-5.396825e-2f * s + 1.3333333e-1f) * s - 3.3333333e-1f) * s * a + a;
    f32 big = 1.0f - 2.0f / (ex2_lane(a * 2.885390082f) + 1.0f);
    f32 r = a < 0.25f ? small : big;
    r = f32_bits(bits_f32(r) | (bits_f32(x) & 0x80000000u));
    return x != x ? x : r;
}

#endif
