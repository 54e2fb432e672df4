/* Every elementwise instruction against a plain C computation, with whole and with partial masks.
 */
/* links: obj/libscptx.a -lcmocka -lm */
#include "tests/unit/ptx_harness.h"
#include <fenv.h>
#include <math.h>

typedef uint8_t u8;
typedef int8_t s8;
typedef uint16_t u16;
typedef int16_t s16;
typedef uint32_t u32;
typedef int32_t s32;
typedef uint64_t u64;
typedef int64_t s64;

static float f32_of(u64 x)
{
    float f;
    u32 u = (u32)x;
    memcpy(&f, &u, 4);
    return f;
}

static u64 of_f32(float f)
{
    u32 u;
    memcpy(&u, &f, 4);
    return u;
}

static double f64_of(u64 x)
{
    double d;
    memcpy(&d, &x, 8);
    return d;
}

static u64 of_f64(double d)
{
    u64 u;
    memcpy(&u, &d, 8);
    return u;
}

/* --- what the expressions below use; written for clarity, not taken from the engine ----------- */

static double half_value(u16 h)
{
    int e = h >> 10 & 31, m = h & 1023;
    double v = e == 31 ? (m ? NAN : INFINITY) : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
    return h & 0x8000 ? -v : v;
}

static double bhalf_value(u16 h)
{
    return f32_of((u64)h << 16);
}

/* The nearest value of the format, ties to even, by search over all 65536. */
static u16 nearest_half(long double v, double (*value)(u16))
{
    u16 sign = signbit(v) ? 0x8000 : 0;
    u16 inf = value == half_value ? 0x7c00 : 0x7f80;
    if (v != v)
        return 0x7fff;
    v = fabsl(v);
    u16 lo = 0, hi = inf;
    while (lo + 1 < hi) { /* the largest value not above v */
        u16 mid = (u16)((lo + hi) / 2);
        if (value(mid) <= v)
            lo = mid;
        else
            hi = mid;
    }
    if (v == INFINITY)
        return sign | inf;
    long double below = value(lo), step;
    step = lo + 1 == inf ? below - value(lo - 1) : value(lo + 1) - below;
    long double rest = v - below;
    if (rest > step / 2 || (rest == step / 2 && lo & 1))
        lo++;
    return sign | lo;
}

static u64 halves(u64 a, u64 b, double (*value)(u16), int op)
{
    u64 r = 0;
    for (int i = 0; i < 2; i++) {
        double x = value((u16)(a >> 16 * i)), y = value((u16)(b >> 16 * i));
        double v = op == '+' ? x + y : op == '-' ? x - y : x * y;
        r |= (u64)nearest_half(v, value) << 16 * i;
    }
    return r;
}

static u32 reverse(u32 x)
{
    u32 r = 0;
    for (int i = 0; i < 32; i++)
        r |= (x >> i & 1) << (31 - i);
    return r;
}

static u64 field(u64 a, u32 pos, u32 len, int bits, int sign)
{
    u64 r = 0;
    int msb = bits - 1;
    pos &= 255;
    len &= 255;
    u64 s = !sign || !len ? 0 : a >> ((s32)(pos + len - 1) < msb ? pos + len - 1 : (u32)msb) & 1;
    for (int i = 0; i <= msb; i++)
        r |= ((u32)i < len && (s32)pos + i <= msb ? a >> (pos + (u32)i) & 1 : s) << i;
    return bits == 32 ? (u32)r : r;
}

static u64 insert(u64 a, u64 b, u32 pos, u32 len, int bits)
{
    pos &= 255;
    len &= 255;
    for (u32 i = 0; i < len && pos + i < (u32)bits; i++)
        b = (b & ~(UINT64_C(1) << (pos + i))) | (a >> i & 1) << (pos + i);
    return b;
}

static int find_bit(u64 x, int sign, int bits)
{
    if (sign && x >> (bits - 1) & 1)
        x = ~x;
    for (int i = bits - 1; i >= 0; i--)
        if (x >> i & 1)
            return i;
    return -1;
}

static u32 permute(u32 a, u32 b, u32 sel)
{
    u64 v = (u64)b << 32 | a;
    u32 r = 0;
    for (int i = 0; i < 4; i++) {
        u32 s = sel >> 4 * i & 15, byte = (u32)(v >> 8 * (s & 7)) & 255;
        r |= (s & 8 ? (byte & 128 ? 255 : 0) : byte) << 8 * i;
    }
    return r;
}

static u64 clamp(s64 v, s64 lo, s64 hi)
{
    return (u64)(v < lo ? lo : v > hi ? hi : v);
}

static float flush(float f)
{
    return fpclassify(f) == FP_SUBNORMAL ? copysignf(0, f) : f;
}

static u64 to_int(double v, double lo, double hi)
{
    return v != v ? 0 : v <= lo ? (u64)(s64)lo : v >= hi ? (u64)hi : (u64)(s64)v;
}

static u64 to_s64(double v)
{
    return v != v || v < -9223372036854775808.0 ? UINT64_C(1) << 63
           : v >= 9223372036854775808.0         ? INT64_MAX
                                                : (u64)(s64)v;
}

static float smaller(float a, float b)
{
    if (a != a)
        return b;
    if (b != b)
        return a;
    return a < b || (a == b && signbit(a)) ? a : b;
}

static float rounded(int mode, float a, float b, char op, float c)
{
    volatile float x = a, y = b, z = c, r;
    fesetround(mode);
    if (op == '+')
        r = x + y;
    else if (op == '*')
        r = x * y;
    else if (op == '/')
        r = x / y;
    else if (op == 'q')
        r = sqrtf(x);
    else
        r = fmaf(x, y, z);
    fesetround(FE_TONEAREST);
    return r;
}

static double rounded64(int mode, double a, double b, char op)
{
    volatile double x = a, y = b, r;
    fesetround(mode);
    r = op == '+' ? x + y : x * y;
    fesetround(FE_TONEAREST);
    return r;
}

static float narrowed(int mode, double a)
{
    volatile double x = a;
    volatile float r;
    fesetround(mode);
    r = (float)x;
    fesetround(FE_TONEAREST);
    return r;
}

/* In the expressions: A, B, C are the 64-bit operands. Registers: %ra..%rc 32 bits, %da..%dc 64,
 * %ha..%hc 16, %pa..%pc the lowest bits; results %ro, %do, %ho, %po. Kinds: 3, 6, 1 integers of 32,
 * 64, 16 bits, p predicate, f, d, floats where every NaN is one, h, 2: f16 alone and pairs the same
 * way, b, c: bf16. */
#define FA f32_of(A)
#define FB f32_of(B)
#define FC f32_of(C)
#define DA f64_of(A)
#define DB f64_of(B)
#define DC f64_of(C)
#define OPS(X)                                                                                     \
    X('3', "add.s32 %ro,%ra,%rb;", (u32)(A + B))                                                   \
    X('3', "add.u32 %ro,%ra,-7;", (u32)(A - 7))                                                    \
    X('6', "add.u64 %do,%da,%db;", A + B)                                                          \
    X('1', "add.u16 %ho,%ha,%hb;", (u16)(A + B))                                                   \
    X('3', "sub.s32 %ro,%ra,%rb;", (u32)(A - B))                                                   \
    X('6', "sub.s64 %do,%da,%db;", A - B)                                                          \
    X('1', "sub.s16 %ho,%ha,%hb;", (u16)(A - B))                                                   \
    X('3', "add.sat.s32 %ro,%ra,%rb;", (u32)clamp((s64)(s32)A + (s32)B, INT32_MIN, INT32_MAX))     \
    X('3', "sub.sat.s32 %ro,%ra,%rb;", (u32)clamp((s64)(s32)A - (s32)B, INT32_MIN, INT32_MAX))     \
    X('3', "mul.lo.u32 %ro,%ra,%rb;", (u32)((u32)A * (u32)B))                                      \
    X('3', "mul.hi.u32 %ro,%ra,%rb;", (u32)((u64)(u32)A * (u32)B >> 32))                           \
    X('3', "mul.hi.s32 %ro,%ra,%rb;", (u32)((s64)(s32)A * (s32)B >> 32))                           \
    X('6', "mul.wide.u32 %do,%ra,%rb;", (u64)(u32)A *(u32)B)                                       \
    X('6', "mul.wide.s32 %do,%ra,%rb;", (u64)((s64)(s32)A * (s32)B))                               \
    X('3', "mul.wide.u16 %ro,%ha,%hb;", (u32)(u16)A *(u16)B)                                       \
    X('3', "mul.wide.s16 %ro,%ha,%hb;", (u32)((s32)(s16)A * (s16)B))                               \
    X('6', "mul.lo.s64 %do,%da,%db;", A *B)                                                        \
    X('6', "mul.hi.u64 %do,%da,%db;", (u64)((unsigned __int128)A * B >> 64))                       \
    X('6', "mul.hi.s64 %do,%da,%db;", (u64)((__int128)(s64)A * (s64)B >> 64))                      \
    X('1', "mul.lo.s16 %ho,%ha,%hb;", (u16)((u32)(u16)A * (u16)B))                                 \
    X('1', "mul.hi.s16 %ho,%ha,%hb;", (u16)((s32)(s16)A * (s16)B >> 16))                           \
    X('1', "mul.hi.u16 %ho,%ha,%hb;", (u16)((u32)(u16)A * (u16)B >> 16))                           \
    X('3', "mad.lo.s32 %ro,%ra,%rb,%rc;", (u32)((u32)A * (u32)B + (u32)C))                         \
    X('3', "mad.hi.s32 %ro,%ra,%rb,%rc;", (u32)((u64)((s64)(s32)A * (s32)B >> 32) + C))            \
    X('3', "mad.hi.sat.s32 %ro,%ra,%rb,%rc;",                                                      \
      (u32)clamp(((s64)(s32)A * (s32)B >> 32) + (s32)C, INT32_MIN, INT32_MAX))                     \
    X('6', "mad.wide.u32 %do,%ra,%rb,%dc;", (u64)(u32)A *(u32)B + C)                               \
    X('6', "mad.wide.s32 %do,%ra,%rb,%dc;", (u64)((s64)(s32)A * (s32)B) + C)                       \
    X('6', "mad.lo.u64 %do,%da,%db,%dc;", A *B + C)                                                \
    X('3', "mul24.lo.u32 %ro,%ra,%rb;", (u32)((A & 0xffffff) * (B & 0xffffff)))                    \
    X('3', "mul24.hi.u32 %ro,%ra,%rb;", (u32)((A & 0xffffff) * (B & 0xffffff) >> 16))              \
    X('3', "mad24.lo.s32 %ro,%ra,%rb,%rc;",                                                        \
      (u32)((u64)(((s64)(A << 40) >> 40) * ((s64)(B << 40) >> 40)) + C))                           \
    X('3', "div.u32 %ro,%ra,%rb;", (u32)B ? (u32)A / (u32)B : UINT32_MAX)                          \
    X('3', "div.s32 %ro,%ra,%rb;",                                                                 \
      !(u32)B        ? UINT32_MAX                                                                  \
      : (s32)B == -1 ? (u32)(0 - A)                                                                \
                     : (u32)((s32)A / (s32)B))                                                     \
    X('3', "rem.u32 %ro,%ra,%rb;", (u32)B ? (u32)A % (u32)B : (u32)A)                              \
    X('3', "rem.s32 %ro,%ra,%rb;", !(u32)B ? (u32)A : (s32)B == -1 ? 0 : (u32)((s32)A % (s32)B))   \
    X('6', "div.u64 %do,%da,%db;", B ? A / B : UINT64_MAX)                                         \
    X('6', "div.s64 %do,%da,%db;",                                                                 \
      !B             ? UINT64_MAX                                                                  \
      : (s64)B == -1 ? 0 - A                                                                       \
                     : (u64)((s64)A / (s64)B))                                                     \
    X('6', "rem.u64 %do,%da,%db;", B ? A % B : A)                                                  \
    X('6', "rem.s64 %do,%da,%db;", !B ? A : (s64)B == -1 ? 0 : (u64)((s64)A % (s64)B))             \
    X('1', "div.s16 %ho,%ha,%hb;", (u16)B ? (u16)((s16)A / (s16)B) : 0xffff)                       \
    X('1', "rem.u16 %ho,%ha,%hb;", (u16)B ? (u16)A % (u16)B : (u16)A)                              \
    X('3', "abs.s32 %ro,%ra;", (s32)A < 0 ? (u32)(0 - A) : (u32)A)                                 \
    X('6', "abs.s64 %do,%da;", (s64)A < 0 ? 0 - A : A)                                             \
    X('1', "neg.s16 %ho,%ha;", (u16)(0 - A))                                                       \
    X('3', "neg.s32 %ro,%ra;", (u32)(0 - A))                                                       \
    X('3', "min.s32 %ro,%ra,%rb;", (s32)A < (s32)B ? (u32)A : (u32)B)                              \
    X('3', "max.u32 %ro,%ra,%rb;", (u32)A > (u32)B ? (u32)A : (u32)B)                              \
    X('6', "min.u64 %do,%da,%db;", A < B ? A : B)                                                  \
    X('6', "max.s64 %do,%da,%db;", (s64)A > (s64)B ? A : B)                                        \
    X('1', "min.s16 %ho,%ha,%hb;", (s16)A < (s16)B ? (u16)A : (u16)B)                              \
    X('3', "sad.s32 %ro,%ra,%rb,%rc;",                                                             \
      (u32)(C + ((s32)A < (s32)B ? (u32)B - (u32)A : (u32)A - (u32)B)))                            \
    X('3', "sad.u32 %ro,%ra,%rb,%rc;",                                                             \
      (u32)(C + ((u32)A < (u32)B ? (u32)B - (u32)A : (u32)A - (u32)B)))                            \
    X('3', "and.b32 %ro,%ra,%rb;", (u32)(A & B))                                                   \
    X('6', "or.b64 %do,%da,%db;", A | B)                                                           \
    X('1', "xor.b16 %ho,%ha,%hb;", (u16)(A ^ B))                                                   \
    X('3', "not.b32 %ro,%ra;", (u32)~A)                                                            \
    X('3', "cnot.b32 %ro,%rb;", !(u32)B)                                                           \
    X('p', "and.pred %po,%pa,%pb;", A &B & 1)                                                      \
    X('p', "xor.pred %po,%pa,%pb;", (A ^ B) & 1)                                                   \
    X('p', "or.pred %po,%pa,!%pb;", (A | ~B) & 1)                                                  \
    X('p', "not.pred %po,%pa;", ~A & 1)                                                            \
    X('3', "shl.b32 %ro,%ra,%rb;", (u32)B < 32 ? (u32)A << (B & 31) : 0)                           \
    X('3', "shl.b32 %ro,%ra,5;", (u32)A << 5)                                                      \
    X('3', "shr.u32 %ro,%ra,%rb;", (u32)B < 32 ? (u32)A >> (B & 31) : 0)                           \
    X('3', "shr.s32 %ro,%ra,%rb;", (u32)((s32)A >> ((u32)B < 32 ? (u32)B : 31)))                   \
    X('6', "shl.b64 %do,%da,%rb;", (u32)B < 64 ? A << (B & 63) : 0)                                \
    X('6', "shr.s64 %do,%da,%rb;", (u64)((s64)A >> ((u32)B < 64 ? (u32)B : 63)))                   \
    X('6', "shr.u64 %do,%da,%rb;", (u32)B < 64 ? A >> (B & 63) : 0)                                \
    X('1', "shr.s16 %ho,%ha,%rb;", (u16)((s16)A >> ((u32)B < 16 ? (u32)B : 15)))                   \
    X('1', "shl.b16 %ho,%ha,%rb;", (u32)B < 16 ? (u16)(A << (B & 15)) : 0)                         \
    X('3', "shf.l.wrap.b32 %ro,%ra,%rb,%rc;", (u32)((((B << 32) | (u32)A) << (C & 31)) >> 32))     \
    X('3', "shf.r.wrap.b32 %ro,%ra,%rb,%rc;", (u32)(((B << 32) | (u32)A) >> (C & 31)))             \
    X('3', "shf.l.clamp.b32 %ro,%ra,%rb,%rc;",                                                     \
      (u32)((u32)C >= 32 ? A : (((B << 32) | (u32)A) << (C & 31)) >> 32))                          \
    X('3', "shf.r.clamp.b32 %ro,%ra,%rb,%rc;",                                                     \
      (u32)((u32)C >= 32 ? B : ((B << 32) | (u32)A) >> (C & 31)))                                  \
    X('3', "lop3.b32 %ro,%ra,%rb,%rc,0x96;", (u32)(A ^ B ^ C))                                     \
    X('3', "lop3.b32 %ro,%ra,%rb,%rc,0xe8;", (u32)((A & B) | (B & C) | (A & C)))                   \
    X('3', "popc.b32 %ro,%ra;", (u32)__builtin_popcount((u32)A))                                   \
    X('3', "popc.b64 %ro,%da;", (u32)__builtin_popcountll(A))                                      \
    X('3', "clz.b32 %ro,%ra;", (u32)(31 - find_bit((u32)A, 0, 32)))                                \
    X('3', "clz.b64 %ro,%da;", (u32)(63 - find_bit(A, 0, 64)))                                     \
    X('3', "bfind.u32 %ro,%ra;", (u32)find_bit((u32)A, 0, 32))                                     \
    X('3', "bfind.s32 %ro,%ra;", (u32)find_bit((u32)A, 1, 32))                                     \
    X('3', "bfind.shiftamt.s64 %ro,%da;",                                                          \
      find_bit(A, 1, 64) < 0 ? UINT32_MAX : (u32)(63 - find_bit(A, 1, 64)))                        \
    X('3', "brev.b32 %ro,%ra;", reverse((u32)A))                                                   \
    X('6', "brev.b64 %do,%da;", (u64)reverse((u32)A) << 32 | reverse((u32)(A >> 32)))              \
    X('3', "bfe.u32 %ro,%ra,%rb,%rc;", field((u32)A, (u32)B, (u32)C, 32, 0))                       \
    X('3', "bfe.s32 %ro,%ra,%rb,%rc;", field((u32)A, (u32)B, (u32)C, 32, 1))                       \
    X('6', "bfe.u64 %do,%da,%rb,%rc;", field(A, (u32)B, (u32)C, 64, 0))                            \
    X('6', "bfe.s64 %do,%da,%rb,%rc;", field(A, (u32)B, (u32)C, 64, 1))                            \
    X('3', "bfi.b32 %ro,%ra,%rb,%rc,7;", (u32)insert((u32)A, (u32)B, (u32)C, 7, 32))               \
    X('6', "bfi.b64 %do,%da,%db,%rc,%rb;", insert(A, B, (u32)C, (u32)B, 64))                       \
    X('3', "prmt.b32 %ro,%ra,%rb,%rc;", permute((u32)A, (u32)B, (u32)C))                           \
    X('3', "prmt.b32 %ro,%ra,%rb,0x5140;", permute((u32)A, (u32)B, 0x5140))                        \
    X('3', "prmt.b32.f4e %ro,%ra,%rb,%rc;", (u32)(((u64)(u32)B << 32 | (u32)A) >> 8 * (C & 3)))    \
    X('3', "dp4a.s32.u32 %ro,%ra,%rb,%rc;",                                                        \
      (u32)(C + (u32)((s8)A * (u8)B + (s8)(A >> 8) * (u8)(B >> 8) +                                \
                      (s8)(A >> 16) * (u8)(B >> 16) + (s8)(A >> 24) * (u8)(B >> 24))))             \
    X('3', "dp2a.hi.s32.s32 %ro,%ra,%rb,%rc;",                                                     \
      (u32)(C + (u32)((s16)A * (s8)(B >> 16) + (s16)(A >> 16) * (s8)(B >> 24))))                   \
    X('6',                                                                                         \
      "{.reg .b32 l,h,x,y; cvt.u32.u64 x,%da; cvt.u32.u64 y,%db; add.cc.u32 l,x,y;"                \
      "shr.u64 %do,%da,32; cvt.u32.u64 x,%do; shr.u64 %do,%db,32; cvt.u32.u64 y,%do;"              \
      "addc.u32 h,x,y; mov.b64 %do,{l,h};}",                                                       \
      A + B)                                                                                       \
    X('6',                                                                                         \
      "{.reg .b32 l,h,x,y,z,w; mov.b64 {x,z},%da; mov.b64 {y,w},%db; sub.cc.u32 l,x,y;"            \
      "subc.u32 h,z,w; mov.b64 %do,{l,h};}",                                                       \
      A - B)                                                                                       \
    X('6',                                                                                         \
      "{.reg .b32 l,h,x,y,z,w; mov.b64 {x,z},%da; mov.b64 {y,w},%db;"                              \
      "mad.lo.cc.u32 l,x,y,%rc; madc.hi.u32 h,x,y,0; mov.b64 %do,{l,h};}",                         \
      (u64)(u32)A *(u32)B + (u32)C)                                                                \
    X('6', "add.cc.u64 %do,%da,%db; addc.u64 %do,0,0;", (u64)(A + B < A))                          \
    X('p', "setp.lt.s32 %po,%ra,%rb;", (s32)A < (s32)B)                                            \
    X('p', "setp.lo.u32 %po,%ra,%rb;", (u32)A < (u32)B)                                            \
    X('p', "setp.hs.u64 %po,%da,%db;", A >= B)                                                     \
    X('p', "setp.ne.s16 %po,%ha,%hb;", (u16)A != (u16)B)                                           \
    X('p', "setp.eq.b64 %po,%da,%da;", 1)                                                          \
    X('p', "setp.gt.and.s32 %po,%ra,%rb,!%pc;", (s32)A > (s32)B && !(C & 1))                       \
    X('p', "{.reg .pred q; setp.le.or.u32 q|%po,%ra,%rb,%pc;}", !((u32)A <= (u32)B) || (C & 1))    \
    X('p', "setp.lt.f32 %po,%ra,%rb;", FA < FB)                                                    \
    X('p', "setp.geu.f32 %po,%ra,%rb;", !(FA < FB))                                                \
    X('p', "setp.ne.f32 %po,%ra,%rb;", FA<FB || FA> FB)                                            \
    X('p', "setp.neu.f64 %po,%da,%db;", !(DA == DB))                                               \
    X('p', "setp.nan.f64 %po,%da,%db;", DA != DA || DB != DB)                                      \
    X('p', "setp.num.f32 %po,%ra,%rb;", FA == FA && FB == FB)                                      \
    X('p', "setp.eq.ftz.f32 %po,%ra,%rb;", flush(FA) == flush(FB))                                 \
    X('p', "setp.lt.f16 %po,%ha,%hb;", half_value((u16)A) < half_value((u16)B))                    \
    X('3', "set.lt.u32.s32 %ro,%ra,%rb;", (s32)A < (s32)B ? UINT32_MAX : 0)                        \
    X('3', "set.ge.f32.f32 %ro,%ra,%rb;", FA >= FB ? 0x3f800000u : 0)                              \
    X('3', "selp.b32 %ro,%ra,%rb,%pc;", C & 1 ? (u32)A : (u32)B)                                   \
    X('6', "selp.f64 %do,%da,%db,%pc;", C & 1 ? A : B)                                             \
    X('1', "selp.b16 %ho,%ha,%hb,%pc;", C & 1 ? (u16)A : (u16)B)                                   \
    X('3', "slct.u32.s32 %ro,%ra,%rb,%rc;", (s32)C >= 0 ? (u32)A : (u32)B)                         \
    X('6', "slct.b64.f32 %do,%da,%db,%rc;", FC >= 0 ? A : B)                                       \
    X('3', "mov.b32 %ro,{%ha,%hb};", (u32)(u16)A | (u32)(u16)B << 16)                              \
    X('6', "mov.b64 %do,{%ha,%hb,%hc,%ha};",                                                       \
      (u64)(u16)A | (u64)(u16)B << 16 | (u64)(u16)C << 32 | (u64)(u16)A << 48)                     \
    X('1', "mov.b64 {_,_,%ho,_},%da;", (u16)(A >> 32))                                             \
    X('3', "cvt.u32.u8 %ro,%ra;", (u8)A)                                                           \
    X('3', "cvt.s32.s8 %ro,%ha;", (u32)(s8)A)                                                      \
    X('6', "cvt.s64.s32 %do,%ra;", (u64)(s64)(s32)A)                                               \
    X('6', "cvt.u64.u16 %do,%ha;", (u16)A)                                                         \
    X('3', "cvt.sat.u8.s32 %ro,%ra;", clamp((s32)A, 0, 255))                                       \
    X('3', "cvt.sat.s16.s64 %ro,%da;", (u32)clamp((s64)A, -32768, 32767))                          \
    X('3', "cvt.sat.s32.u64 %ro,%da;", A > INT32_MAX ? INT32_MAX : (u32)A)                         \
    X('f', "cvt.rn.f32.s32 %ro,%ra;", of_f32((float)(s32)A))                                       \
    X('f', "cvt.rn.f32.u64 %ro,%da;", of_f32((float)A))                                            \
    X('d', "cvt.rn.f64.s64 %do,%da;", of_f64((double)(s64)A))                                      \
    X('d', "cvt.rn.f64.u32 %do,%ra;", of_f64((double)(u32)A))                                      \
    X('3', "cvt.rzi.s32.f32 %ro,%ra;", (u32)to_int(FA, -2147483648.0, 2147483647.0))               \
    X('3', "cvt.rni.s32.f32 %ro,%ra;", (u32)to_int(rint(FA), -2147483648.0, 2147483647.0))         \
    X('3', "cvt.rmi.s32.f64 %ro,%da;", (u32)to_int(floor(DA), -2147483648.0, 2147483647.0))        \
    X('3', "cvt.rpi.u32.f32 %ro,%ra;", (u32)to_int(ceil(FA), 0, 4294967295.0))                     \
    X('3', "cvt.rzi.u32.f64 %ro,%da;", (u32)to_int(DA, 0, 4294967295.0))                           \
    X('6', "cvt.rzi.s64.f32 %do,%ra;", to_s64(FA))                                                 \
    X('6', "cvt.rni.s64.f64 %do,%da;", to_s64(rint(DA)))                                           \
    X('f', "cvt.rni.f32.f32 %ro,%ra;", of_f32(rintf(FA)))                                          \
    X('f', "cvt.rzi.f32.f32 %ro,%ra;", of_f32(truncf(FA)))                                         \
    X('d', "cvt.rmi.f64.f64 %do,%da;", of_f64(floor(DA)))                                          \
    X('d', "cvt.f64.f32 %do,%ra;", of_f64(FA))                                                     \
    X('f', "cvt.rn.f32.f64 %ro,%da;", of_f32((float)DA))                                           \
    X('f', "cvt.rz.f32.f64 %ro,%da;", of_f32(narrowed(FE_TOWARDZERO, DA)))                         \
    X('f', "cvt.rp.f32.f64 %ro,%da;", of_f32(narrowed(FE_UPWARD, DA)))                             \
    X('f', "cvt.sat.f32.f32 %ro,%ra;", of_f32(FA > 0 ? FA < 1 ? FA : 1 : 0))                       \
    X('f', "cvt.ftz.f32.f32 %ro,%ra;", of_f32(flush(FA)))                                          \
    X('h', "cvt.rn.f16.f32 %ho,%ra;", nearest_half(FA, half_value))                                \
    X('h', "cvt.rn.f16.f64 %ho,%da;", nearest_half(DA, half_value))                                \
    X('h', "cvt.rn.f16.s32 %ho,%ra;", nearest_half((s32)A, half_value))                            \
    X('f', "cvt.f32.f16 %ro,%ha;", of_f32((float)half_value((u16)A)))                              \
    X('d', "cvt.f64.f16 %do,%ha;", of_f64(half_value((u16)A)))                                     \
    X('3', "cvt.rzi.s32.f16 %ro,%ha;", (u32)to_int(half_value((u16)A), -2147483648., 2147483647.)) \
    X('b', "cvt.rn.bf16.f32 %ho,%ra;", nearest_half(FA, bhalf_value))                              \
    X('f', "cvt.f32.bf16 %ro,%ha;", of_f32((float)bhalf_value((u16)A)))                            \
    X('2', "cvt.rn.f16x2.f32 %ro,%ra,%rb;",                                                        \
      (u64)nearest_half(FA, half_value) << 16 | nearest_half(FB, half_value))                      \
    X('f', "add.f32 %ro,%ra,%rb;", of_f32(FA + FB))                                                \
    X('f', "sub.rn.f32 %ro,%ra,%rb;", of_f32(FA - FB))                                             \
    X('f', "mul.f32 %ro,%ra,%rb;", of_f32(FA *FB))                                                 \
    X('f', "mul.f32 %ro,%ra,0f40490FDB;", of_f32(FA *f32_of(0x40490fdb)))                          \
    X('f', "add.rz.f32 %ro,%ra,%rb;", of_f32(rounded(FE_TOWARDZERO, FA, FB, '+', 0)))              \
    X('f', "mul.rm.f32 %ro,%ra,%rb;", of_f32(rounded(FE_DOWNWARD, FA, FB, '*', 0)))                \
    X('f', "div.rp.f32 %ro,%ra,%rb;", of_f32(rounded(FE_UPWARD, FA, FB, '/', 0)))                  \
    X('f', "fma.rz.f32 %ro,%ra,%rb,%rc;", of_f32(rounded(FE_TOWARDZERO, FA, FB, 'f', FC)))         \
    X('f', "sqrt.rm.f32 %ro,%ra;", of_f32(rounded(FE_DOWNWARD, FA, 0, 'q', 0)))                    \
    X('d', "add.rm.f64 %do,%da,%db;", of_f64(rounded64(FE_DOWNWARD, DA, DB, '+')))                 \
    X('d', "mul.rp.f64 %do,%da,%db;", of_f64(rounded64(FE_UPWARD, DA, DB, '*')))                   \
    X('f', "add.ftz.f32 %ro,%ra,%rb;", of_f32(flush(flush(FA) + flush(FB))))                       \
    X('f', "mul.ftz.f32 %ro,%ra,%rb;", of_f32(flush(flush(FA) * flush(FB))))                       \
    X('f', "fma.rn.f32 %ro,%ra,%rb,%rc;", of_f32(fmaf(FA, FB, FC)))                                \
    X('f', "mad.rn.f32 %ro,%ra,%rb,%rc;", of_f32(fmaf(FA, FB, FC)))                                \
    X('f', "fma.rn.ftz.f32 %ro,%ra,%rb,%rc;",                                                      \
      of_f32(flush(fmaf(flush(FA), flush(FB), flush(FC)))))                                        \
    X('f', "fma.rn.sat.f32 %ro,%ra,%rb,%rc;",                                                      \
      of_f32(fmaf(FA, FB, FC) > 0 ? fmaf(FA, FB, FC) < 1 ? fmaf(FA, FB, FC) : 1 : 0))              \
    X('d', "fma.rn.f64 %do,%da,%db,%dc;", of_f64(fma(DA, DB, DC)))                                 \
    X('d', "add.f64 %do,%da,%db;", of_f64(DA + DB))                                                \
    X('d', "mul.f64 %do,%da,%db;", of_f64(DA *DB))                                                 \
    X('f', "div.rn.f32 %ro,%ra,%rb;", of_f32(FA / FB))                                             \
    X('d', "div.rn.f64 %do,%da,%db;", of_f64(DA / DB))                                             \
    X('f', "rcp.rn.f32 %ro,%ra;", of_f32(1 / FA))                                                  \
    X('f', "sqrt.rn.f32 %ro,%ra;", of_f32(sqrtf(FA)))                                              \
    X('d', "sqrt.rn.f64 %do,%da;", of_f64(sqrt(DA)))                                               \
    X('f', "min.f32 %ro,%ra,%rb;", of_f32(smaller(FA, FB)))                                        \
    X('f', "max.f32 %ro,%ra,%rb;", of_f32(-smaller(-FA, -FB)))                                     \
    X('f', "min.NaN.f32 %ro,%ra,%rb;",                                                             \
      FA != FA || FB != FB ? 0x7fffffff : of_f32(smaller(FA, FB)))                                 \
    X('d', "max.f64 %do,%da,%db;",                                                                 \
      of_f64(DA != DA                                ? DB                                          \
             : DB != DB                              ? DA                                          \
             : DA > DB || (DA == DB && !signbit(DA)) ? DA                                          \
                                                     : DB))                                        \
    X('f', "abs.f32 %ro,%ra;", of_f32(fabsf(FA)))                                                  \
    X('f', "neg.f32 %ro,%ra;", of_f32(-FA))                                                        \
    X('d', "neg.f64 %do,%da;", of_f64(-DA))                                                        \
    X('f', "copysign.f32 %ro,%ra,%rb;", of_f32(copysignf(FB, FA)))                                 \
    X('d', "copysign.f64 %do,%da,%db;", of_f64(copysign(DB, DA)))                                  \
    X('p', "testp.finite.f32 %po,%ra;", !!isfinite(FA))                                            \
    X('p', "testp.infinite.f64 %po,%da;", !!isinf(DA))                                             \
    X('p', "testp.notanumber.f32 %po,%ra;", !!isnan(FA))                                           \
    X('p', "testp.normal.f32 %po,%ra;", !!isnormal(FA))                                            \
    X('p', "testp.subnormal.f64 %po,%da;", fpclassify(DA) == FP_SUBNORMAL)                         \
    X('h', "add.f16 %ho,%ha,%hb;",                                                                 \
      nearest_half(half_value((u16)A) + half_value((u16)B), half_value))                           \
    X('h', "mul.f16 %ho,%ha,%hb;",                                                                 \
      nearest_half(half_value((u16)A) * half_value((u16)B), half_value))                           \
    X('h', "fma.rn.f16 %ho,%ha,%hb,%hc;",                                                          \
      nearest_half((long double)half_value((u16)A) * half_value((u16)B) + half_value((u16)C),      \
                   half_value))                                                                    \
    X('2', "add.f16x2 %ro,%ra,%rb;", halves(A, B, half_value, '+'))                                \
    X('2', "sub.f16x2 %ro,%ra,%rb;", halves(A, B, half_value, '-'))                                \
    X('2', "mul.f16x2 %ro,%ra,%rb;", halves(A, B, half_value, '*'))                                \
    X('c', "add.bf16x2 %ro,%ra,%rb;", halves(A, B, bhalf_value, '+'))                              \
    X('c', "mul.rn.bf16x2 %ro,%ra,%rb;", halves(A, B, bhalf_value, '*'))                           \
    X('h', "neg.f16 %ho,%ha;", (u16)(A ^ 0x8000))                                                  \
    X('p', "isspacep.shared %po,%da;", A >> 56 == 1)

/* Cases are numbered by __COUNTER__, in the order of the table. */
#define CASE(n, e)                                                                                 \
    case n: return (u64)(e);
enum { FIRST = __COUNTER__ + 1 };
static u64 truth(int n, u64 A, u64 B, u64 C)
{
    switch (n) {
#define X(kind, ptx, e) CASE(__COUNTER__ - FIRST, e)
        OPS(X)
#undef X
    }
    return 0;
}

static const struct {
    char kind;
    const char *ptx;
} ops[] = {
#define X(kind, ptx, e) {kind, ptx},
    OPS(X)
#undef X
};

enum { BLOCK = 103, BLOCKS = 5, N = BLOCK * BLOCKS };

static char *kernel_text(const char *body, char kind)
{
    static char text[4096];
    const char *out = kind == '3' || kind == 'f' || kind == '2' || kind == 'c'
                          ? "cvt.u64.u32 %do,%ro;"
                      : kind == '1' || kind == 'h' || kind == 'b' ? "cvt.u64.u16 %do,%ho;"
                      : kind == 'p'                               ? "selp.b64 %do,1,0,%po;"
                                                                  : "";
    snprintf(text, sizeof(text),
             H_HEAD
             ".visible .entry k(.param .u64 pa,.param .u64 pb,.param .u64 pc,.param .u64 po,"
             ".param .u32 skip){\n"
             ".reg .b64 %%da,%%db,%%dc,%%do,%%i,%%q;.reg .b32 %%ra,%%rb,%%rc,%%ro,%%t,%%u,%%s;\n"
             ".reg .b16 %%ha,%%hb,%%hc,%%ho;.reg .pred %%pa,%%pb,%%pc,%%po,%%skip;\n"
             "mov.u32 %%t,%%ctaid.x;mov.u32 %%u,%%ntid.x;mul.lo.u32 %%t,%%t,%%u;"
             "mov.u32 %%u,%%tid.x;add.u32 %%t,%%t,%%u;mul.wide.u32 %%i,%%t,8;\n"
             "ld.param.u64 %%q,[pa];add.u64 %%q,%%q,%%i;ld.global.u64 %%da,[%%q];\n"
             "ld.param.u64 %%q,[pb];add.u64 %%q,%%q,%%i;ld.global.u64 %%db,[%%q];\n"
             "ld.param.u64 %%q,[pc];add.u64 %%q,%%q,%%i;ld.global.u64 %%dc,[%%q];\n"
             "cvt.u32.u64 %%ra,%%da;cvt.u32.u64 %%rb,%%db;cvt.u32.u64 %%rc,%%dc;\n"
             "cvt.u16.u64 %%ha,%%da;cvt.u16.u64 %%hb,%%db;cvt.u16.u64 %%hc,%%dc;\n"
             "and.b32 %%u,%%ra,1;setp.ne.u32 %%pa,%%u,0;and.b32 %%u,%%rb,1;"
             "setp.ne.u32 %%pb,%%u,0;and.b32 %%u,%%rc,1;setp.ne.u32 %%pc,%%u,0;\n"
             "ld.param.u32 %%s,[skip];and.b32 %%u,%%t,%%s;setp.ne.u32 %%skip,%%u,0;\n"
             "ld.param.u64 %%q,[po];add.u64 %%q,%%q,%%i;\n"
             "mov.u32 %%ro,7;mov.u64 %%do,7;mov.u16 %%ho,7;setp.eq.u32 %%po,1,1;\n"
             "@%%skip bra L;\n%s\n%s\nst.global.u64 [%%q],%%do;\nL: ret;}\n",
             body, out);
    return text;
}

static bool same(char kind, u64 got, u64 want)
{
    if (got == want)
        return true;
    switch (kind) {
    case 'f': return isnan(f32_of(got)) && isnan(f32_of(want));
    case 'd': return isnan(f64_of(got)) && isnan(f64_of(want));
    case 'h': return isnan(half_value((u16)got)) && isnan(half_value((u16)want));
    case 'b': return isnan(bhalf_value((u16)got)) && isnan(bhalf_value((u16)want));
    case '2': return same('h', got & 0xffff, want & 0xffff) && same('h', got >> 16, want >> 16);
    case 'c': return same('b', got & 0xffff, want & 0xffff) && same('b', got >> 16, want >> 16);
    default: return false;
    }
}

static u64 random64(void)
{
    static u64 s = 88172645463325252u;
    s ^= s << 13;
    s ^= s >> 7;
    s ^= s << 17;
    return s;
}

static u64 sample(char kind)
{
    static const u64 edge[] = {0,
                               1,
                               2,
                               31,
                               32,
                               33,
                               63,
                               64,
                               0x7f,
                               0x80,
                               0xff,
                               0x7fff,
                               0x8000,
                               0xffff,
                               0x7fffffff,
                               0x80000000,
                               0xffffffff,
                               0x7fffffffffffffff,
                               0x8000000000000000,
                               0xffffffffffffffff,
                               0x0100000000000040};
    static const double reals[] = {
        0.0,          -0.0,         1,      -1,       0.5,       1.5,    2.5,   -2.5,    3.75,
        1e-40,        -1e-45,       1e38,   INFINITY, -INFINITY, NAN,    65504, 65520,   6e-8,
        2147483648.0, 4294967296.0, 9.3e18, -9.3e18,  1e300,     1e-310, 0.1,   16777217};
    u64 r = random64();
    if (strchr("361p", kind) || r % 16 == 0) {
        if (r % 16 == 1) /* a float's bits, for conversions to integers */
            return of_f32((float)((double)(s64)random64() / 1e9));
        if (r % 16 == 2)
            return of_f64((double)(s64)random64() / 1e6);
        return r % 3 == 0 ? edge[r / 16 % (sizeof(edge) / 8)] : r % 3 == 1 ? random64() : r >> 40;
    }
    if (kind == 'd')
        return r % 3 ? of_f64(((double)(s64)random64()) * exp2((double)(r / 8 % 64) - 64))
                     : of_f64(reals[r / 16 % (sizeof(reals) / 8)]);
    if (kind == 'f')
        return r % 3
                   ? (random64() << 32) |
                         of_f32((float)((double)(s64)random64() * exp2((double)(r / 8 % 64) - 96)))
                   : of_f32((float)reals[r / 16 % (sizeof(reals) / 8)]);
    return random64();
}

static void test_ops(void **state)
{
    int bad = 0;
    (void)state;
    for (unsigned n = 0; n < sizeof(ops) / sizeof(ops[0]); n++) {
        u64 *a = h_alloc(N * 8), *b = h_alloc(N * 8), *c = h_alloc(N * 8), *o = h_alloc(N * 8);
        /* Sources by the width of what is read: floats for "f32" in the text, and so on. */
        const char *text = ops[n].ptx;
        char in = strstr(text, ".f64") && !strstr(text, "f64.s") && !strstr(text, "f64.u") ? 'd'
                  : strstr(text, ".f32")                                                   ? 'f'
                  : strchr("hbc2", ops[n].kind)                                            ? 'r'
                                                                                           : '3';
        if (strstr(text, "f64.f32") || strstr(text, ".f16.f32"))
            in = 'f';
        if (strstr(text, "slct"))
            in = '3';
        for (int i = 0; i < N; i++) {
            a[i] = sample(in);
            b[i] = sample(in);
            c[i] = sample(in);
        }
        struct sc_module *m;
        const char *ptx = kernel_text(text, ops[n].kind);
        if (sc_module_create(ptx, strlen(ptx), h_log, sizeof(h_log), &m)) {
            print_error("%s: %s", text, h_log);
            bad++;
            h_reset();
            continue;
        }
        for (u32 skip = 0; skip < 3; skip++) {
            struct {
                void *a, *b, *c, *o;
                u32 skip;
            } p = {a, b, c, o, skip};
            for (int i = 0; i < N; i++)
                o[i] = 0xdeadbeef;
            assert_int_equal(h_run(m, "k", BLOCKS, BLOCK, &p), SC_OK);
            for (int i = 0; i < N; i++) {
                bool off = i & skip;
                u64 want = off ? 0xdeadbeef : truth((int)n, a[i], b[i], c[i]);
                if (off ? o[i] != want : !same(ops[n].kind, o[i], want)) {
                    print_error("%s a=%llx b=%llx c=%llx: %llx, not %llx (skip %u)\n", text,
                                (unsigned long long)a[i], (unsigned long long)b[i],
                                (unsigned long long)c[i], (unsigned long long)o[i],
                                (unsigned long long)want, skip);
                    bad++;
                    break;
                }
            }
        }
        sc_module_destroy(m);
        h_reset();
    }
    assert_int_equal(bad, 0);
}

/* Approximate functions, against the errors that PTX allows. */
static const struct {
    const char *ptx;
    double (*f)(double);
    double lo, hi, absolute, relative;
} approx[] = {
    {"ex2.approx.f32 %ro,%ra;", exp2, -120, 120, 0, 0x1p-22},
    {"ex2.approx.ftz.f32 %ro,%ra;", exp2, -1, 1, 0, 0x1p-22},
    {"lg2.approx.f32 %ro,%ra;", log2, 0.5, 2, 0x1p-22, 0},
    {"lg2.approx.f32 %ro,%ra;", log2, 2, 1e30, 0, 0x1p-22},
    {"sin.approx.f32 %ro,%ra;", sin, -3.14159265, 3.14159265, 0x1p-20, 0},
    {"cos.approx.f32 %ro,%ra;", cos, -3.14159265, 3.14159265, 0x1p-20, 0},
    {"sin.approx.f32 %ro,%ra;", sin, -1000, 1000, 0x1p-20, 0},
    {"tanh.approx.f32 %ro,%ra;", tanh, -8, 8, 0, 0x1p-11},
    {"rcp.approx.f32 %ro,%ra;", NULL, 0.001, 1000, 0, 0x1p-23},
    {"rsqrt.approx.f32 %ro,%ra;", NULL, 0.001, 1000, 0, 0x1p-22},
    {"sqrt.approx.f32 %ro,%ra;", sqrt, 0.001, 1000, 0, 0x1p-22},
};

static void test_approx(void **state)
{
    (void)state;
    for (unsigned n = 0; n < sizeof(approx) / sizeof(approx[0]); n++) {
        u64 *a = h_alloc(N * 8), *o = h_alloc(N * 8);
        for (int i = 0; i < N; i++)
            a[i] = of_f32((float)(approx[n].lo + (approx[n].hi - approx[n].lo) * i / (N - 1)));
        struct {
            void *a, *b, *c, *o;
            u32 skip;
        } p = {a, a, a, o, 0};
        assert_int_equal(h_once(kernel_text(approx[n].ptx, 'f'), BLOCKS, BLOCK, &p), SC_OK);
        for (int i = 0; i < N; i++) {
            double x = f32_of(a[i]), got = f32_of(o[i]);
            double want = approx[n].f               ? approx[n].f(x)
                          : approx[n].ptx[1] == 'c' ? 1 / x
                                                    : 1 / sqrt(x);
            if (fabs(got - want) > approx[n].absolute + approx[n].relative * fabs(want)) {
                print_error("%s of %g: %.9g, not %.9g\n", approx[n].ptx, x, got, want);
                fail();
            }
        }
        h_reset();
    }
}

static float approx_one(const char *ptx, float x)
{
    u64 *a = h_alloc(N * 8), *o = h_alloc(N * 8);
    a[0] = of_f32(x);
    struct {
        void *a, *b, *c, *o;
        u32 skip;
    } p = {a, a, a, o, 0};
    assert_int_equal(h_once(kernel_text(ptx, 'f'), 1, 1, &p), SC_OK);
    float r = f32_of(o[0]);
    h_reset();
    return r;
}

static void test_approx_edges(void **state)
{
    (void)state;
    assert_true(approx_one("ex2.approx.f32 %ro,%ra;", INFINITY) == INFINITY);
    assert_true(approx_one("ex2.approx.f32 %ro,%ra;", -INFINITY) == 0);
    assert_true(approx_one("ex2.approx.f32 %ro,%ra;", -140) == exp2f(-140));
    assert_true(isnan(approx_one("ex2.approx.f32 %ro,%ra;", NAN)));
    assert_true(approx_one("lg2.approx.f32 %ro,%ra;", 0) == -INFINITY);
    assert_true(approx_one("lg2.approx.f32 %ro,%ra;", INFINITY) == INFINITY);
    assert_true(isnan(approx_one("lg2.approx.f32 %ro,%ra;", -1)));
    assert_true(approx_one("lg2.approx.f32 %ro,%ra;", 0x1p-130f) == -130);
    assert_true(isnan(approx_one("sin.approx.f32 %ro,%ra;", INFINITY)));
    assert_true(approx_one("rsqrt.approx.f32 %ro,%ra;", 0) == INFINITY);
    assert_true(approx_one("rcp.approx.ftz.f32 %ro,%ra;", 1e-40f) == INFINITY);
    assert_true(approx_one("tanh.approx.f32 %ro,%ra;", -50) == -1);
}

/* The caller's rounding and flushing neither reach kernels nor are changed by them. */
static void test_fp_environment(void **state)
{
    (void)state;
    fesetround(FE_UPWARD);
    float r = approx_one("div.rn.f32 %ro,%ra,0f40400000;", 1);
    float z = approx_one("add.rz.f32 %ro,%ra,0f33000000;", 1);
    int mode = fegetround();
    fesetround(FE_TONEAREST);
    assert_int_equal(mode, FE_UPWARD);
    assert_true(r == 1.0f / 3.0f);
    assert_true(z == 1.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ops),
        cmocka_unit_test(test_approx),
        cmocka_unit_test(test_approx_edges),
        cmocka_unit_test(test_fp_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
