/*
 * Memory. o[0..3] data, o[4] addresses; hint: the range of the last access, shared by all threads
 * and checked each time. Every access is checked in its whole extent before it happens. Lanes whose
 * addresses follow one another, or are the same, are checked as one.
 */

static __attribute__((noinline, cold)) const struct sc_range *
range_search(struct warp *w, const struct insn *i, uint64_t address, uint64_t len, bool write)
{
    uint32_t n = sc_range_find(w, address);
    if (n == w->range_count)
        return NULL;
    const struct sc_range *r = &w->ranges[n];
    if (address < r->start || len > r->end - address || (write && !r->writable))
        return NULL;
    __atomic_store_n((uint32_t *)&i->hint, n, __ATOMIC_RELAXED);
    return r;
}

/* The hint may be of another launch, with more ranges, and may change at any time: it is read only
 * once. */
static inline const struct sc_range *global_range(struct warp *w, const struct insn *i,
                                                  uint64_t address, uint64_t len, bool write)
{
    uint32_t hint = __atomic_load_n(&i->hint, __ATOMIC_RELAXED);
    if (XG_LIKELY(hint < w->range_count)) {
        const struct sc_range *r = &w->ranges[hint];
        if (XG_LIKELY(address >= r->start && address < r->end && len <= r->end - address &&
                      (!write || r->writable)))
            return r;
    }
    return range_search(w, i, address, len, write);
}

static inline bool global_ok(struct warp *w, const struct insn *i, uint64_t address, uint64_t len,
                             bool write)
{
    return global_range(w, i, address, len, write) != NULL;
}

/* Host memory of [address, address + len), if all lanes see the same there. */
static inline void *span_global(struct warp *w, const struct insn *i, uint64_t address,
                                uint64_t len, bool write)
{
    return global_ok(w, i, address, len, write) ? (void *)address : NULL;
}

static inline void *span_shared(struct warp *w, const struct insn *i, uint64_t address,
                                uint64_t len, bool write)
{
    return address <= w->shared_size && len <= w->shared_size - address ? w->shared + address
                                                                        : NULL;
}
#define span_shared32 span_shared

static inline void *span_generic(struct warp *w, const struct insn *i, uint64_t address,
                                 uint64_t len, bool write)
{
    uint64_t space = address >> SC_SPACE_SHIFT;
    if (!space)
        return span_global(w, i, address, len, write);
    return space == 1 ? span_shared(w, i, address - SC_SHARED_BASE, len, write) : NULL;
}

/* The same for one lane alone: local memory and parameters too. */
#define lane_global(w, i, l, a, len, wr)   span_global(w, i, a, len, wr)
#define lane_shared(w, i, l, a, len, wr)   span_shared(w, i, a, len, wr)
#define lane_shared32(w, i, l, a, len, wr) span_shared(w, i, a, len, wr)

static inline void *lane_generic(struct warp *w, const struct insn *i, uint32_t lane,
                                 uint64_t address, uint64_t len, bool write)
{
    void *p = span_generic(w, i, address, len, write);
    enum sc_status st;
    return XG_LIKELY(p != NULL) ? p : sc_translate(w, lane, address, (uint32_t)len, write, &st);
}

/* The fault of a lane's access: misaligned, or outside of memory. */
static __attribute__((noinline, cold)) const struct insn *mem_fault(struct warp *w,
                                                                    const struct insn *i,
                                                                    uint32_t lane, uint64_t address,
                                                                    uint32_t len, bool write)
{
    return sc_fault_at(w, i, address & (len - 1) ? SC_ERR_MISALIGNED : SC_ERR_FAULT, lane, address,
                       len, write);
}

#define ADDR_global   u64
#define ADDR_shared   u64
#define ADDR_shared32 u32
#define ADDR_generic  u64

/* An address of the shared window has 32 bits, whatever the register has: base and offset together
 * wrap there. */
#define WRAP_global(a)   (a)
#define WRAP_shared(a)   ((u32)(a))
#define WRAP_shared32(a) ((u32)(a))
#define WRAP_generic(a)  (a)

/* Lanes that do not run get the address of the first one that does, so that they change nothing. */
#define PATCH(AT)                                                                                  \
    static __attribute__((noinline)) const AT *patch_##AT(struct warp *w, const AT *from)          \
    {                                                                                              \
        AT *t = (AT *)w->tmp2;                                                                     \
        const uint32_t mask = w->mask;                                                             \
        const AT first = from[__builtin_ctz(mask)];                                                \
        LANES t[l] = mask >> l & 1 ? from[l] : first;                                              \
        return t;                                                                                  \
    }
PATCH(u32)
PATCH(u64)

/*
 * The arrangement of 32 lanes' addresses: per half warp the first one and the distance from lane to
 * lane, if it is the same for all; the lowest, the highest, and the or of all low bits.
 */
enum { HALF = SC_WARP / 2 };
#define IRREGULAR INT64_MIN

struct shape {
    u64 base[2];
    s64 step[2];
    u64 lo, hi, low_bits;
};

#define REGULAR(AT, compare)                                                                       \
    static inline bool regular_##AT(const AT *a, AT first, AT step)                                \
    {                                                                                              \
        compare;                                                                                   \
        AT diff = 0;                                                                               \
        for (int l = 0; l < HALF; l++)                                                             \
            diff |= (AT)(a[l] ^ (AT)(first + (AT)l * step));                                       \
        return !diff;                                                                              \
    }
#if defined(__AVX512F__)
static inline __m512i iota_u32(void)
{
    return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
REGULAR(u32, __m512i want_ = _mm512_add_epi32(_mm512_set1_epi32((int)first),
                                              _mm512_mullo_epi32(iota_u32(),
                                                                 _mm512_set1_epi32((int)step)));
        return _mm512_cmpeq_epi32_mask(_mm512_loadu_si512(a), want_) == 0xffff)
REGULAR(u64, __m512i up_ = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
        __m512i s_ = _mm512_set1_epi64((long long)step);
        __m512i w0_ = _mm512_add_epi64(_mm512_set1_epi64((long long)first),
                                       _mm512_mullo_epi64(up_, s_));
        __m512i w1_ = _mm512_add_epi64(w0_, _mm512_slli_epi64(s_, 3));
        return (_mm512_cmpeq_epi64_mask(_mm512_loadu_si512(a), w0_) &
                _mm512_cmpeq_epi64_mask(_mm512_loadu_si512(a + 8), w1_)) == 0xff)
#else
REGULAR(u32, )
REGULAR(u64, )
#endif

#define SHAPE_OF(AT)                                                                               \
    static __attribute__((noinline)) void extent_##AT(struct shape *s, const AT *a)                \
    {                                                                                              \
        AT lo = a[0], hi = a[0], bits = 0;                                                         \
        LANES                                                                                      \
        {                                                                                          \
            lo = a[l] < lo ? a[l] : lo;                                                            \
            hi = a[l] > hi ? a[l] : hi;                                                            \
            bits |= a[l];                                                                          \
        }                                                                                          \
        s->lo = lo;                                                                                \
        s->hi = hi;                                                                                \
        s->low_bits = bits;                                                                        \
    }                                                                                              \
    static inline __attribute__((always_inline)) void shape_##AT(struct shape *s, const AT *a)     \
    {                                                                                              \
        const AT step0 = a[1] - a[0], step1 = a[HALF + 1] - a[HALF];                               \
        /* Only small steps count as regular: with large ones the ends could wrap around. */       \
        const bool ok0 = (AT)(step0 + 4096) <= 8192 && regular_##AT(a, a[0], step0);               \
        const bool ok1 = (AT)(step1 + 4096) <= 8192 && regular_##AT(a + HALF, a[HALF], step1);     \
        s->base[0] = a[0];                                                                         \
        s->base[1] = a[HALF];                                                                      \
        if (XG_LIKELY(ok0 && ok1)) {                                                               \
            const u64 end0 = (AT)(a[0] + (HALF - 1) * step0);                                      \
            const u64 end1 = (AT)(a[HALF] + (HALF - 1) * step1);                                   \
            const bool back0 = step0 > 4096, back1 = step1 > 4096;                                 \
            const u64 lo0 = back0 ? end0 : a[0], hi0 = back0 ? a[0] : end0;                        \
            const u64 lo1 = back1 ? end1 : a[HALF], hi1 = back1 ? a[HALF] : end1;                  \
            s->lo = lo0 < lo1 ? lo0 : lo1;                                                         \
            s->hi = hi0 > hi1 ? hi0 : hi1;                                                         \
            s->low_bits = a[0] | a[HALF] | step0 | step1;                                          \
            s->step[0] = sizeof(AT) == 4 ? (s64)(s32)step0 : (s64)step0;                           \
            s->step[1] = sizeof(AT) == 4 ? (s64)(s32)step1 : (s64)step1;                           \
            if (XG_LIKELY(lo0 <= hi0 && lo1 <= hi1))                                               \
                return;                                                                            \
        }                                                                                          \
        extent_##AT(s, a);                                                                         \
        s->step[0] = ok0 ? sizeof(AT) == 4 ? (s64)(s32)step0 : (s64)step0 : IRREGULAR;             \
        s->step[1] = ok1 ? sizeof(AT) == 4 ? (s64)(s32)step1 : (s64)step1 : IRREGULAR;             \
    }
SHAPE_OF(u32)
SHAPE_OF(u64)

/* Lanes are further apart than any memory is large: adding an element's size could wrap. */
#define FAR(extent) ((extent) >> 48)

/* pa: the addresses of 32 lanes, those of lanes that do not run being harmless; at: host address of
 * the lowest, with the whole extent checked, or NULL. */
#define PLACE(F, AT, bytes, write)                                                                 \
    const AT *pa = SRC(AT, 4);                                                                     \
    if (XG_UNLIKELY(w->mask != UINT32_MAX))                                                        \
        pa = sizeof(AT) == 4 ? (const AT *)patch_u32(w, (const u32 *)pa)                           \
                             : (const AT *)patch_u64(w, (const u64 *)pa);                          \
    struct shape shape;                                                                            \
    if (sizeof(AT) == 4)                                                                           \
        shape_u32(&shape, (const u32 *)pa);                                                        \
    else                                                                                           \
        shape_u64(&shape, (const u64 *)pa);                                                        \
    char *const at = ((shape.low_bits | (u64)off) & ((bytes)-1)) | FAR(shape.hi - shape.lo)        \
                         ? NULL                                                                    \
                         : (char *)span_##F(w, i, WRAP_##F(shape.lo + (u64)off),                   \
                                            shape.hi - shape.lo + (bytes), write)

/* One half warp from checked memory. */
#define FETCH(T, AT, d, h)                                                                         \
    do {                                                                                           \
        const char *from_ = at + (shape.base[h] - shape.lo);                                       \
        T *const to_ = (d) + (h)*HALF;                                                             \
        if (shape.step[h] == sizeof(T)) {                                                          \
            memcpy(to_, from_, sizeof(T) * HALF);                                                  \
        } else if (shape.step[h] == 0) {                                                           \
            const T v_ = *(const T *)from_;                                                        \
            IVDEP for (int l = 0; l < HALF; l++) to_[l] = v_;                                      \
        } else {                                                                                   \
            const AT *const pa_ = pa + (h)*HALF;                                                   \
            for (int l = 0; l < HALF; l++)                                                         \
                to_[l] = *(const T *)(at + (AT)(pa_[l] - (AT)shape.lo));                           \
        }                                                                                          \
    } while (0)

#define LOAD(F, T, B)                                                                              \
    MEM_HANDLER(ld_##F##_##B)                                                                      \
    {                                                                                              \
        typedef ADDR_##F AT;                                                                       \
        const int64_t off = i->imm;                                                                \
        T *pd = RESULT(T);                                                                         \
        PLACE(F, AT, sizeof(T), false);                                                            \
        if (XG_LIKELY(at != NULL)) {                                                               \
            FETCH(T, AT, pd, 0);                                                                   \
            FETCH(T, AT, pd, 1);                                                                   \
            FINISH(T);                                                                             \
            NEXT;                                                                                  \
        }                                                                                          \
        EACH_ACTIVE(l)                                                                             \
        {                                                                                          \
            uint64_t a = WRAP_##F((u64)pa[l] + (u64)off);                                          \
            const T *p = a & (sizeof(T) - 1) ? NULL : lane_##F(w, i, l, a, sizeof(T), false);      \
            if (!p)                                                                                \
                return mem_fault(w, i, l, a, sizeof(T), false);                                    \
            pd[l] = *p;                                                                            \
        }                                                                                          \
        FINISH(T);                                                                                 \
        NEXT;                                                                                      \
    }

#define STORE(F, T, B)                                                                             \
    MEM_HANDLER(st_##F##_##B)                                                                      \
    {                                                                                              \
        typedef ADDR_##F AT;                                                                       \
        const int64_t off = i->imm;                                                                \
        const T *ps = SRC(T, 0);                                                                   \
        PLACE(F, AT, sizeof(T), true);                                                             \
        if (XG_LIKELY(at != NULL)) {                                                               \
            if (XG_LIKELY(w->mask == UINT32_MAX)) {                                                \
                for (int h = 0; h < 2; h++) {                                                      \
                    if (shape.step[h] == sizeof(T))                                                \
                        memcpy(at + (shape.base[h] - shape.lo), ps + h * HALF, sizeof(T) * HALF);  \
                    else                                                                           \
                        for (int l = h * HALF; l < (h + 1) * HALF; l++)                            \
                            *(T *)(at + (AT)(pa[l] - (AT)shape.lo)) = ps[l];                       \
                }                                                                                  \
            } else {                                                                               \
                EACH_ACTIVE(l) * (T *)(at + (AT)(pa[l] - (AT)shape.lo)) = ps[l];                   \
            }                                                                                      \
            NEXT;                                                                                  \
        }                                                                                          \
        EACH_ACTIVE(l)                                                                             \
        {                                                                                          \
            uint64_t a = WRAP_##F((u64)pa[l] + (u64)off);                                          \
            T *p = a & (sizeof(T) - 1) ? NULL : lane_##F(w, i, l, a, sizeof(T), true);             \
            if (!p)                                                                                \
                return mem_fault(w, i, l, a, sizeof(T), true);                                     \
            *p = ps[l];                                                                            \
        }                                                                                          \
        NEXT;                                                                                      \
    }

/* Vectors: the elements of a lane follow one another. Registers are written last, as one of them
 * may have the addresses. */
#define LOADV(F, T, B, N)                                                                          \
    MEM_HANDLER(ld_v##N##_##F##_##B)                                                               \
    {                                                                                              \
        typedef ADDR_##F AT;                                                                       \
        const int64_t off = i->imm;                                                                \
        const uint32_t bytes = sizeof(T) * N;                                                      \
        _Alignas(64) T v[N][SC_WARP];                                                              \
        PLACE(F, AT, bytes, false);                                                                \
        if (XG_LIKELY(at != NULL)) {                                                               \
            if (!shape.step[0] && !shape.step[1]) {                                                \
                for (int h = 0; h < 2; h++)                                                        \
                    for (int e = 0; e < N; e++) {                                                  \
                        const T x = ((const T *)(at + (shape.base[h] - shape.lo)))[e];             \
                        IVDEP for (int l = 0; l < HALF; l++) v[e][h * HALF + l] = x;               \
                    }                                                                              \
            } else {                                                                               \
                for (int l = 0; l < SC_WARP; l++)                                                  \
                    for (int e = 0; e < N; e++)                                                    \
                        v[e][l] = ((const T *)(at + (AT)(pa[l] - (AT)shape.lo)))[e];               \
            }                                                                                      \
        } else {                                                                                   \
            memset(v, 0, sizeof(v));                                                               \
            EACH_ACTIVE(l)                                                                         \
            {                                                                                      \
                uint64_t a = WRAP_##F((u64)pa[l] + (u64)off);                                      \
                const T *q = a & (bytes - 1) ? NULL : lane_##F(w, i, l, a, bytes, false);          \
                if (!q)                                                                            \
                    return mem_fault(w, i, l, a, bytes, false);                                    \
                for (int e = 0; e < N; e++)                                                        \
                    v[e][l] = q[e];                                                                \
            }                                                                                      \
        }                                                                                          \
        for (int e = 0; e < N; e++) {                                                              \
            if (w->full)                                                                           \
                memcpy(w->base[0] + i->o[e], v[e], sizeof(v[e]));                                  \
            else                                                                                   \
                blend_##T(w, w->base[0] + i->o[e], v[e]);                                          \
        }                                                                                          \
        NEXT;                                                                                      \
    }

#define STOREV(F, T, B, N)                                                                         \
    MEM_HANDLER(st_v##N##_##F##_##B)                                                               \
    {                                                                                              \
        typedef ADDR_##F AT;                                                                       \
        const int64_t off = i->imm;                                                                \
        const uint32_t bytes = sizeof(T) * N;                                                      \
        const T *ps[N];                                                                            \
        for (int e = 0; e < N; e++)                                                                \
            ps[e] = SRC(T, e);                                                                     \
        PLACE(F, AT, bytes, true);                                                                 \
        EACH_ACTIVE(l)                                                                             \
        {                                                                                          \
            uint64_t a = WRAP_##F((u64)pa[l] + (u64)off);                                          \
            T *q = at                ? (T *)(at + (AT)(pa[l] - (AT)shape.lo))                      \
                   : a & (bytes - 1) ? NULL                                                        \
                                     : lane_##F(w, i, l, a, bytes, true);                          \
            if (!q)                                                                                \
                return mem_fault(w, i, l, a, bytes, true);                                         \
            for (int e = 0; e < N; e++)                                                            \
                q[e] = ps[e][l];                                                                   \
        }                                                                                          \
        NEXT;                                                                                      \
    }

#define ACCESS(F, T, B)                                                                            \
    LOAD(F, T, B)                                                                                  \
    STORE(F, T, B)                                                                                 \
    LOADV(F, T, B, 2)                                                                              \
    STOREV(F, T, B, 2)                                                                             \
    LOADV(F, T, B, 4)                                                                              \
    STOREV(F, T, B, 4)
#define FAMILY(F)                                                                                  \
    ACCESS(F, u8, 8)                                                                               \
    ACCESS(F, u16, 16)                                                                             \
    ACCESS(F, u32, 32)                                                                             \
    ACCESS(F, u64, 64)
FAMILY(global)
FAMILY(shared)
FAMILY(shared32)
FAMILY(generic)

/* The frame's memory at a fixed offset, which was checked when the module was loaded. */
#define FRAME(T, B)                                                                                \
    MEM_HANDLER(ld_frame_##B)                                                                      \
    {                                                                                              \
        T *pd = RESULT(T);                                                                         \
        const uint8_t *p = w->local + w->frame->local + i->imm;                                    \
        for (int l = 0; l < SC_WARP; l++)                                                          \
            memcpy(&pd[l], p + (u64)l * w->local_stride, sizeof(T));                               \
        FINISH(T);                                                                                 \
        NEXT;                                                                                      \
    }                                                                                              \
    MEM_HANDLER(st_frame_##B)                                                                      \
    {                                                                                              \
        const T *ps = SRC(T, 0);                                                                   \
        uint8_t *p = w->local + w->frame->local + i->imm;                                          \
        EACH_ACTIVE(l) memcpy(p + (u64)l * w->local_stride, &ps[l], sizeof(T));                    \
        NEXT;                                                                                      \
    }                                                                                              \
    MEM_HANDLER(ld_kparam_##B)                                                                     \
    {                                                                                              \
        T *pd = RESULT(T);                                                                         \
        T v;                                                                                       \
        memcpy(&v, w->block->job->params + i->imm, sizeof(T));                                     \
        LANES pd[l] = v;                                                                           \
        FINISH(T);                                                                                 \
        NEXT;                                                                                      \
    }
FRAME(u8, 8)
FRAME(u16, 16)
FRAME(u32, 32)
FRAME(u64, 64)

/* --- atomics ---------------------------------------------------------------------------------- */

/* A block runs on one thread, so its shared memory needs no locked instruction. */
#define ATOM(name, T, U, next)                                                                     \
    MEM_HANDLER(atom_##name)                                                                       \
    {                                                                                              \
        const u64 *pa = SRC(u64, 4);                                                               \
        const U *pb = SRC(U, 1), *pc = SRC(U, 2);                                                  \
        U *pd = DST(U, 0);                                                                         \
        (void)pc;                                                                                  \
        EACH_ACTIVE(l)                                                                             \
        {                                                                                          \
            uint64_t at = pa[l] + (u64)i->imm;                                                     \
            U *p = at & (sizeof(U) - 1) ? NULL : lane_generic(w, i, l, at, sizeof(U), true);       \
            if (!p)                                                                                \
                return mem_fault(w, i, l, at, sizeof(U), true);                                    \
            const U ub = pb[l], uc = pc[l];                                                        \
            (void)uc;                                                                              \
            (void)ub;                                                                              \
            U old;                                                                                 \
            if (at >> SC_SPACE_SHIFT) {                                                            \
                old = *p;                                                                          \
                *p = (next);                                                                       \
            } else {                                                                               \
                old = __atomic_load_n(p, __ATOMIC_RELAXED);                                        \
                while (!__atomic_compare_exchange_n(p, &old, (U)(next), false, __ATOMIC_SEQ_CST,   \
                                                    __ATOMIC_RELAXED))                             \
                    ;                                                                              \
            }                                                                                      \
            pd[l] = old;                                                                           \
        }                                                                                          \
        NEXT;                                                                                      \
    }
/* Where the CPU has an instruction for it. */
#define ATOM_NATIVE(name, U, next, op)                                                             \
    MEM_HANDLER(atom_##name)                                                                       \
    {                                                                                              \
        const u64 *pa = SRC(u64, 4);                                                               \
        const U *pb = SRC(U, 1);                                                                   \
        U *pd = DST(U, 0);                                                                         \
        EACH_ACTIVE(l)                                                                             \
        {                                                                                          \
            uint64_t at = pa[l] + (u64)i->imm;                                                     \
            U *p = at & (sizeof(U) - 1) ? NULL : lane_generic(w, i, l, at, sizeof(U), true);       \
            if (!p)                                                                                \
                return mem_fault(w, i, l, at, sizeof(U), true);                                    \
            const U ub = pb[l];                                                                    \
            U old;                                                                                 \
            if (at >> SC_SPACE_SHIFT) {                                                            \
                old = *p;                                                                          \
                *p = (U)(next);                                                                    \
            } else {                                                                               \
                old = op(p, ub, __ATOMIC_SEQ_CST);                                                 \
            }                                                                                      \
            pd[l] = old;                                                                           \
        }                                                                                          \
        NEXT;                                                                                      \
    }
#define ATOMS(U, S, s)                                                                             \
    ATOM_NATIVE(add_##U, U, old + ub, __atomic_fetch_add)                                          \
    ATOM_NATIVE(and_##U, U, old &ub, __atomic_fetch_and)                                           \
    ATOM_NATIVE(or_##U, U, old | ub, __atomic_fetch_or)                                            \
    ATOM_NATIVE(xor_##U, U, old ^ ub, __atomic_fetch_xor)                                          \
    ATOM_NATIVE(exch_##U, U, ub, __atomic_exchange_n)                                              \
    ATOM(cas_##U, U, U, old == ub ? uc : old)                                                      \
    ATOM(min_##U, U, U, ub < old ? ub : old)                                                       \
    ATOM(max_##U, U, U, ub > old ? ub : old)                                                       \
    ATOM(min_##S, S, U, (S)ub < (S)old ? ub : old)                                                 \
    ATOM(max_##S, S, U, (S)ub > (S)old ? ub : old)
ATOMS(u32, s32, s)
ATOMS(u64, s64, s)
ATOM(inc_u32, u32, u32, old >= ub ? 0 : old + 1)
ATOM(dec_u32, u32, u32, old == 0 || old > ub ? ub : old - 1)
ATOM(exch_u16, u16, u16, ub)
ATOM(cas_u16, u16, u16, old == ub ? uc : old)
ATOM(add_f32, f32, u32, bits_f32(f32_bits(old) + f32_bits(ub)))
ATOM(add_f64, f64, u64, bits_f64(f64_bits(old) + f64_bits(ub)))
#define ATOM_HALF(H)                                                                               \
    ATOM(add_##H, u16, u16, H##_from(H##_to(old) + H##_to(ub)))                                    \
    ATOM(min_##H, u16, u16, H##_from(min_f32(H##_to(old), H##_to(ub))))                            \
    ATOM(max_##H, u16, u16, H##_from(max_f32(H##_to(old), H##_to(ub))))                            \
    ATOM(add_##H##x2, u32, u32, PAIR2(old, ub, H##_from(H##_to(a) + H##_to(b))))                   \
    ATOM(min_##H##x2, u32, u32, PAIR2(old, ub, H##_from(min_f32(H##_to(a), H##_to(b)))))           \
    ATOM(max_##H##x2, u32, u32, PAIR2(old, ub, H##_from(max_f32(H##_to(a), H##_to(b)))))
ATOM_HALF(f16)
ATOM_HALF(bf16)

HANDLER(fence)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    NEXT;
}

/* o[1] to, o[2] from, o[3] bytes to read; imm: bytes to write, those that are not read are zero */
MEM_HANDLER(cp_async)
{
    const u64 *pt = SRC(u64, 1), *pf = SRC(u64, 2);
    const u32 *pn = SRC(u32, 3);
    const uint32_t size = (uint32_t)i->imm;
    EACH_ACTIVE(l)
    {
        uint32_t n = pn[l] < size ? pn[l] : size;
        uint64_t to = pt[l], from = pf[l];
        void *d = to & (size - 1) ? NULL : lane_generic(w, i, l, to, size, true);
        if (!d)
            return mem_fault(w, i, l, to, size, true);
        const void *s = from & (size - 1) ? NULL : n ? lane_generic(w, i, l, from, n, false) : d;
        if (!s)
            return mem_fault(w, i, l, from, size, false);
        memmove(d, s, n);
        memset((char *)d + n, 0, size - n);
    }
    NEXT;
}

/* --- mbarrier --------------------------------------------------------------------------------- */

/* Bit 63: phase; 62..40: transactions + 2^22; 39..20: expected arrivals; 19..0: pending ones. */

#define MB_PHASE   (UINT64_C(1) << 63)
#define MB_COUNT   UINT64_C(0xfffff)
#define MB_TX_ONE  (UINT64_C(1) << 40)
#define MB_TX_ZERO (MB_TX_ONE << 22)
#define MB_TX      (((UINT64_C(1) << 23) - 1) << 40)

static inline u64 mb_settle(u64 s)
{
    u64 expected = s >> 20 & MB_COUNT;
    if ((s & MB_COUNT) || (s & MB_TX) != MB_TX_ZERO)
        return s;
    return ((s & MB_PHASE) ^ MB_PHASE) | MB_TX_ZERO | expected << 20 | expected;
}

#define MBARRIER(name, body)                                                                       \
    MEM_HANDLER(mbarrier_##name)                                                                   \
    {                                                                                              \
        const u64 *pa = SRC(u64, 4), *pb = SRC(u64, 1);                                            \
        u64 *pd = DST(u64, 0);                                                                     \
        EACH_ACTIVE(l)                                                                             \
        {                                                                                          \
            uint64_t at = pa[l], b = pb[l];                                                        \
            u64 *p = at & 7 ? NULL : lane_generic(w, i, l, at, 8, true);                           \
            if (!p)                                                                                \
                return mem_fault(w, i, l, at, 8, true);                                            \
            const u64 s = *p;                                                                      \
            body;                                                                                  \
            pd[l] = s;                                                                             \
        }                                                                                          \
        NEXT;                                                                                      \
    }
MBARRIER(init, *p = MB_TX_ZERO | (b & MB_COUNT) << 20 | (b & MB_COUNT))
MBARRIER(inval, (void)b; *p = 0)
MBARRIER(arrive, *p = mb_settle(s - (b < (s & MB_COUNT) ? b : s & MB_COUNT)))
MBARRIER(arrive_tx,
         *p = mb_settle((((s & ~MB_TX) | ((s + b * MB_TX_ONE) & MB_TX))) - !!(s & MB_COUNT)))
MBARRIER(arrive_drop, u64 n = b < (s & MB_COUNT) ? b : s & MB_COUNT;
         *p = mb_settle(s - n - (n << 20)))
MBARRIER(expect_tx, *p = (s & ~MB_TX) | ((s + b * MB_TX_ONE) & MB_TX))
MBARRIER(complete_tx, *p = mb_settle((s & ~MB_TX) | ((s - b * MB_TX_ONE) & MB_TX)))

#define MBARRIER_WAIT(name, phase)                                                                 \
    MEM_HANDLER(mbarrier_##name)                                                                   \
    {                                                                                              \
        const u64 *pa = SRC(u64, 4), *pb = SRC(u64, 1);                                            \
        uint32_t r = 0;                                                                            \
        EACH_ACTIVE(l)                                                                             \
        {                                                                                          \
            uint64_t at = pa[l], b = pb[l];                                                        \
            u64 *p = at & 7 ? NULL : lane_generic(w, i, l, at, 8, false);                          \
            if (!p)                                                                                \
                return mem_fault(w, i, l, at, 8, false);                                           \
            r |= (uint32_t)((*p >> 63) != (phase)) << l;                                           \
        }                                                                                          \
        blend_pred(w, i->o[0], r);                                                                 \
        NEXT;                                                                                      \
    }
MBARRIER_WAIT(wait, b >> 63)
MBARRIER_WAIT(wait_parity, b & 1)

HANDLER(mbarrier_pending)
{
    const u64 *pa = SRC(u64, 1);
    u32 *pd = RESULT(u32);
    LANES pd[l] = (u32)(pa[l] & MB_COUNT);
    FINISH(u32);
    NEXT;
}
