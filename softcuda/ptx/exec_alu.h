/* Elementwise handlers, made from ops.def. */

#define UN(name, TD, TA, expr)                                                                     \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        const TA *pa = SRC(TA, 1);                                                                 \
        TD *pd = RESULT(TD);                                                                       \
        const int64_t imm = i->imm;                                                                \
        (void)imm;                                                                                 \
        LANES                                                                                      \
        {                                                                                          \
            TA a = pa[l];                                                                          \
            pd[l] = (TD)(expr);                                                                    \
        }                                                                                          \
        FINISH(TD);                                                                                \
        NEXT;                                                                                      \
    }
#define BIN(name, TD, TA, TB, expr)                                                                \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        const TA *pa = SRC(TA, 1);                                                                 \
        const TB *pb = SRC(TB, 2);                                                                 \
        TD *pd = RESULT(TD);                                                                       \
        LANES                                                                                      \
        {                                                                                          \
            TA a = pa[l];                                                                          \
            TB b = pb[l];                                                                          \
            pd[l] = (TD)(expr);                                                                    \
        }                                                                                          \
        FINISH(TD);                                                                                \
        NEXT;                                                                                      \
    }
#define TER(name, TD, TA, TB, TC, expr)                                                            \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        const TA *pa = SRC(TA, 1);                                                                 \
        const TB *pb = SRC(TB, 2);                                                                 \
        const TC *pc = SRC(TC, 3);                                                                 \
        TD *pd = RESULT(TD);                                                                       \
        const int64_t imm = i->imm;                                                                \
        (void)imm;                                                                                 \
        LANES                                                                                      \
        {                                                                                          \
            TA a = pa[l];                                                                          \
            TB b = pb[l];                                                                          \
            TC c = pc[l];                                                                          \
            (void)c;                                                                               \
            pd[l] = (TD)(expr);                                                                    \
        }                                                                                          \
        FINISH(TD);                                                                                \
        NEXT;                                                                                      \
    }
#define CMP_BODY(T, S, load, expr)                                                                 \
    {                                                                                              \
        const S *pa = SRC(S, 1), *pb = SRC(S, 2);                                                  \
        uint32_t *t = ALIGNED(w->tmp);                                                             \
        LANES                                                                                      \
        {                                                                                          \
            T a = load(pa[l]), b = load(pb[l]);                                                    \
            t[l] = (expr) ? UINT32_MAX : 0;                                                        \
        }                                                                                          \
        blend_pred(w, i->o[0], pack_mask(t));                                                      \
        NEXT;                                                                                      \
    }
#define CMP(name, T, expr)  HANDLER(name) CMP_BODY(T, T, , expr)
#define CMPH(name, H, expr) HANDLER(name) CMP_BODY(f32, u16, H##_to, expr)
#define PRED(name, expr)                                                                           \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        uint32_t a = SRCP(1), b = name##_second(w, i);                                             \
        (void)b;                                                                                   \
        blend_pred(w, i->o[0], expr);                                                              \
        NEXT;                                                                                      \
    }
#define SPECIAL(name)

/* Applies an expression for one half to both halves of a pair. */
#define PAIR1(x, expr)                                                                             \
    ({                                                                                             \
        u32 xa_ = (x), lo_, hi_;                                                                   \
        {                                                                                          \
            u16 a = (u16)xa_;                                                                      \
            lo_ = (u16)(expr);                                                                     \
        }                                                                                          \
        {                                                                                          \
            u16 a = (u16)(xa_ >> 16);                                                              \
            hi_ = (u16)(expr);                                                                     \
        }                                                                                          \
        hi_ << 16 | lo_;                                                                           \
    })
#define PAIR2(x, y, expr)                                                                          \
    ({                                                                                             \
        u32 xa_ = (x), xb_ = (y), lo_, hi_;                                                        \
        {                                                                                          \
            u16 a = (u16)xa_, b = (u16)xb_;                                                        \
            lo_ = (u16)(expr);                                                                     \
        }                                                                                          \
        {                                                                                          \
            u16 a = (u16)(xa_ >> 16), b = (u16)(xb_ >> 16);                                        \
            hi_ = (u16)(expr);                                                                     \
        }                                                                                          \
        hi_ << 16 | lo_;                                                                           \
    })
#define PAIR3(x, y, z, expr)                                                                       \
    ({                                                                                             \
        u32 xa_ = (x), xb_ = (y), xc_ = (z), lo_, hi_;                                             \
        {                                                                                          \
            u16 a = (u16)xa_, b = (u16)xb_, c = (u16)xc_;                                          \
            lo_ = (u16)(expr);                                                                     \
        }                                                                                          \
        {                                                                                          \
            u16 a = (u16)(xa_ >> 16), b = (u16)(xb_ >> 16), c = (u16)(xc_ >> 16);                  \
            hi_ = (u16)(expr);                                                                     \
        }                                                                                          \
        hi_ << 16 | lo_;                                                                           \
    })

#define and_pred_second(w, i) SRCP(2)
#define or_pred_second(w, i)  SRCP(2)
#define xor_pred_second(w, i) SRCP(2)
#define not_pred_second(w, i) 0
#define mov_pred_second(w, i) 0

#include "softcuda/ptx/ops.def"

#undef UN
#undef BIN
#undef TER
#undef CMP
#undef CMPH
#undef PRED
#undef SPECIAL

/* --- handlers that need their own code -------------------------------------------------------- */

#define SELP(T)                                                                                    \
    HANDLER(selp_##T)                                                                              \
    {                                                                                              \
        const T *pa = SRC(T, 1), *pb = SRC(T, 2);                                                  \
        T *pd = RESULT(T);                                                                         \
        const uint32_t p = SRCP(3);                                                                \
        LANES pd[l] = p >> l & 1 ? pa[l] : pb[l];                                                  \
        FINISH(T);                                                                                 \
        NEXT;                                                                                      \
    }
SELP(u16)
SELP(u32)
SELP(u64)

#define BFI(T)                                                                                     \
    HANDLER(bfi_##T)                                                                               \
    {                                                                                              \
        const T *pa = SRC(T, 1), *pb = SRC(T, 2);                                                  \
        const u32 *pc = SRC(u32, 3), *pe = SRC(u32, 4);                                            \
        T *pd = RESULT(T);                                                                         \
        LANES pd[l] = (T)bfi(pa[l], pb[l], pc[l], pe[l], sizeof(T) * 8);                           \
        FINISH(T);                                                                                 \
        NEXT;                                                                                      \
    }
BFI(u32)
BFI(u64)

/* o[0] result, o[1] carry out; o[2], o[3] operands, o[4] carry in */
#define CARRY(name, T, sum, out)                                                                   \
    HANDLER(name##_carry_##T)                                                                      \
    {                                                                                              \
        const T *pa = SRC(T, 2), *pb = SRC(T, 3);                                                  \
        const uint32_t cin = SRCP(4);                                                              \
        T *pd = (T *)w->tmp;                                                                       \
        uint32_t carry = 0;                                                                        \
        for (int l = 0; l < SC_WARP; l++) {                                                        \
            T a = pa[l], b = pb[l], c = cin >> l & 1, r = (T)(sum);                                \
            carry |= (uint32_t)(out) << l;                                                         \
            pd[l] = r;                                                                             \
        }                                                                                          \
        if (w->full)                                                                               \
            memcpy(w->base[0] + i->o[0], pd, sizeof(T) * SC_WARP);                                 \
        FINISH(T);                                                                                 \
        blend_pred(w, i->o[1], carry);                                                             \
        NEXT;                                                                                      \
    }
CARRY(add, u32, a + b + c, c ? r <= a : r < a)
CARRY(add, u64, a + b + c, c ? r <= a : r < a)
CARRY(sub, u32, a - b - c, c ? a <= b : a < b)
CARRY(sub, u64, a - b - c, c ? a <= b : a < b)

#define TESTP(name, T, U, expr)                                                                    \
    HANDLER(testp_##name##_##T)                                                                    \
    {                                                                                              \
        const T *pa = SRC(T, 1);                                                                   \
        uint32_t r = 0;                                                                            \
        for (int l = 0; l < SC_WARP; l++) {                                                        \
            T m = abs_##T(pa[l]);                                                                  \
            r |= (uint32_t)(expr) << l;                                                            \
        }                                                                                          \
        blend_pred(w, i->o[0], r);                                                                 \
        NEXT;                                                                                      \
    }
#define TESTPS(T, U, INF, TINY)                                                                    \
    TESTP(finite, T, U, m < (T)INF)                                                                \
    TESTP(infinite, T, U, m == (T)INF)                                                             \
    TESTP(number, T, U, m == m)                                                                    \
    TESTP(notanumber, T, U, m != m)                                                                \
    TESTP(normal, T, U, m >= (T)TINY && m < (T)INF)                                                \
    TESTP(subnormal, T, U, m > 0 && m < (T)TINY)
TESTPS(f32, u32, INFINITY, 1.17549435e-38f)
TESTPS(f64, u64, INFINITY, 2.2250738585072014e-308)

HANDLER(pack4_u64_u16)
{
    const u16 *pa = SRC(u16, 1), *pb = SRC(u16, 2), *pc = SRC(u16, 3), *pe = SRC(u16, 4);
    u64 *pd = RESULT(u64);
    LANES pd[l] = (u64)pe[l] << 48 | (u64)pc[l] << 32 | (u64)pb[l] << 16 | pa[l];
    FINISH(u64);
    NEXT;
}

HANDLER(pack4_u32_u8)
{
    const u8 *pa = SRC(u8, 1), *pb = SRC(u8, 2), *pc = SRC(u8, 3), *pe = SRC(u8, 4);
    u32 *pd = RESULT(u32);
    LANES pd[l] = (u32)pe[l] << 24 | (u32)pc[l] << 16 | (u32)pb[l] << 8 | pa[l];
    FINISH(u32);
    NEXT;
}

HANDLER(isspacep)
{
    const u64 *pa = SRC(u64, 1);
    const u64 space = (u64)i->imm;
    uint32_t r = 0;
    for (int l = 0; l < SC_WARP; l++)
        r |= (uint32_t)(pa[l] >> SC_SPACE_SHIFT == space) << l;
    blend_pred(w, i->o[0], r);
    NEXT;
}

HANDLER(sreg_lanes)
{
    u32 *pd = RESULT(u32);
    if (i->imm <= SREG_TID_Z) {
        const u32 *s = w->tid[i->imm];
        LANES pd[l] = s[l];
    } else {
        for (u32 l = 0; l < SC_WARP; l++) {
            u32 eq = 1u << l, lt = eq - 1;
            switch ((enum sreg)i->imm) {
            case SREG_LANEID: pd[l] = l; break;
            case SREG_LANEMASK_EQ: pd[l] = eq; break;
            case SREG_LANEMASK_LE: pd[l] = lt | eq; break;
            case SREG_LANEMASK_LT: pd[l] = lt; break;
            case SREG_LANEMASK_GE: pd[l] = ~lt; break;
            default: pd[l] = ~(lt | eq); break;
            }
        }
    }
    FINISH(u32);
    NEXT;
}

HANDLER(sreg_32)
{
    u32 *pd = RESULT(u32);
    const u32 v = (u32)sc_sreg(w, (enum sreg)i->imm);
    LANES pd[l] = v;
    FINISH(u32);
    NEXT;
}

HANDLER(sreg_64)
{
    u64 *pd = RESULT(u64);
    const u64 v = sc_sreg(w, (enum sreg)i->imm);
    LANES pd[l] = v;
    FINISH(u64);
    NEXT;
}

HANDLER(frame_addr)
{
    u64 *pd = RESULT(u64);
    const u64 v = (u64)i->imm + w->frame->local;
    LANES pd[l] = v;
    FINISH(u64);
    NEXT;
}

HANDLER(round)
{
#if defined(__SSE2__)
    unsigned bits = i->imm == 'z' ? 0x6000 : i->imm == 'm' ? 0x2000 : i->imm == 'p' ? 0x4000 : 0;
    _mm_setcsr(0x1f80 | bits);
#else
    fesetround(i->imm == 'z'   ? FE_TOWARDZERO
               : i->imm == 'm' ? FE_DOWNWARD
               : i->imm == 'p' ? FE_UPWARD
                               : FE_TONEAREST);
#endif
    NEXT;
}
