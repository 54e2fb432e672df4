/*
 * The instructions that fuse.c makes: accesses through an address register that a shape_*
 * instruction has examined once for all of them, and chains of multiply-adds on such operands.
 * Where the fast way is not possible, the plain handlers do the same, and report faults.
 */

/* The value of a register of width W_SHAPE. */
struct known_shape {
    u64 delta[2]; /* of the half warps' first lanes from the lowest address */
    s64 step[2];
    u64 lo, extent; /* lowest address; from there to the highest */
    u64 low_bits;
    u64 min, max; /* addresses that may be accessed */
    u64 host;     /* where address 0 would be */
    bool valid, writable;
};
_Static_assert(sizeof(struct known_shape) <= SC_WARP * 4, "fits a register of 32 bits");

static inline void limits_shared(struct warp *w, const struct insn *i, struct known_shape *k,
                                 u64 base)
{
    k->min = base;
    k->max = base + w->shared_size;
    k->host = (u64)(uintptr_t)w->shared - base;
    k->writable = true;
}

static inline void limits_global(struct warp *w, const struct insn *i, struct known_shape *k)
{
    const struct sc_range *r = global_range(w, i, k->lo + (u64)i->imm, 1, false);
    if (!r) {
        k->valid = false;
        return;
    }
    k->min = r->start;
    k->max = r->end;
    k->host = 0;
    k->writable = r->writable;
}

#define LIMITS_global   limits_global(w, i, k)
#define LIMITS_shared   limits_shared(w, i, k, 0)
#define LIMITS_shared32 limits_shared(w, i, k, 0)
#define LIMITS_generic                                                                             \
    do {                                                                                           \
        if ((k->lo + (u64)i->imm) >> SC_SPACE_SHIFT == 1)                                          \
            limits_shared(w, i, k, SC_SHARED_BASE);                                                \
        else                                                                                       \
            limits_global(w, i, k);                                                                \
    } while (0)

/* Whether all lanes may access `bytes` at offset off; *at: host address of the lowest. */
static inline __attribute__((always_inline)) bool known_place(const struct known_shape *k, s64 off,
                                                              u32 bytes, char **at)
{
    const u64 a = k->lo + (u64)off;
    *at = (char *)(uintptr_t)(k->host + a);
    return k->valid && !((k->low_bits | (u64)off) & (bytes - 1)) && a >= k->min && a <= k->max &&
           k->extent + bytes <= k->max - a;
}

#define KNOWN(n) ((const struct known_shape *)(w->base[0] + i->o[n]))

#define SHAPED(F)                                                                                  \
    HANDLER(shape_##F)                                                                             \
    {                                                                                              \
        typedef ADDR_##F AT;                                                                       \
        struct known_shape *k = (struct known_shape *)(w->base[0] + i->o[0]);                      \
        const AT *pa = SRC(AT, 4);                                                                 \
        struct shape shape;                                                                        \
        k->valid = w->mask == UINT32_MAX;                                                          \
        if (XG_UNLIKELY(!k->valid))                                                                \
            NEXT;                                                                                  \
        if (sizeof(AT) == 4)                                                                       \
            shape_u32(&shape, (const u32 *)pa);                                                    \
        else                                                                                       \
            shape_u64(&shape, (const u64 *)pa);                                                    \
        for (int h = 0; h < 2; h++) {                                                              \
            k->delta[h] = shape.base[h] - shape.lo;                                                \
            k->step[h] = shape.step[h];                                                            \
        }                                                                                          \
        k->lo = shape.lo;                                                                          \
        k->extent = shape.hi - shape.lo;                                                           \
        k->valid = !FAR(k->extent);                                                                \
        k->low_bits = shape.low_bits;                                                              \
        LIMITS_##F;                                                                                \
        NEXT;                                                                                      \
    }

#define LDX(F, T, B)                                                                               \
    MEM_HANDLER(ldx_##F##_##B)                                                                     \
    {                                                                                              \
        typedef ADDR_##F AT;                                                                       \
        const struct known_shape *k = KNOWN(5);                                                    \
        char *at;                                                                                  \
        if (XG_UNLIKELY(!known_place(k, i->imm, sizeof(T), &at)))                                  \
            return h_ld_##F##_##B(w, i);                                                           \
        T *pd = DST(T, 0);                                                                         \
        for (int h = 0; h < 2; h++) {                                                              \
            const char *from = at + k->delta[h];                                                   \
            T *to = pd + h * HALF;                                                                 \
            if (k->step[h] == sizeof(T)) {                                                         \
                memcpy(to, from, sizeof(T) * HALF);                                                \
            } else if (k->step[h] == 0) {                                                          \
                const T v = *(const T *)from;                                                      \
                IVDEP for (int l = 0; l < HALF; l++) to[l] = v;                                    \
            } else {                                                                               \
                const AT *pa = SRC(AT, 4) + h * HALF;                                              \
                for (int l = 0; l < HALF; l++)                                                     \
                    to[l] = *(const T *)(at + (AT)(pa[l] - (AT)k->lo));                            \
            }                                                                                      \
        }                                                                                          \
        NEXT;                                                                                      \
    }                                                                                              \
    MEM_HANDLER(stx_##F##_##B)                                                                     \
    {                                                                                              \
        typedef ADDR_##F AT;                                                                       \
        const struct known_shape *k = KNOWN(5);                                                    \
        char *at;                                                                                  \
        if (XG_UNLIKELY(!known_place(k, i->imm, sizeof(T), &at) || !k->writable))                  \
            return h_st_##F##_##B(w, i);                                                           \
        const T *ps = SRC(T, 0);                                                                   \
        for (int h = 0; h < 2; h++) {                                                              \
            const AT *pa = SRC(AT, 4) + h * HALF;                                                  \
            if (k->step[h] == sizeof(T))                                                           \
                memcpy(at + k->delta[h], ps + h * HALF, sizeof(T) * HALF);                         \
            else                                                                                   \
                for (int l = 0; l < HALF; l++)                                                     \
                    *(T *)(at + (AT)(pa[l] - (AT)k->lo)) = ps[h * HALF + l];                       \
        }                                                                                          \
        NEXT;                                                                                      \
    }

#define SHAPED_FAMILY(F)                                                                           \
    SHAPED(F)                                                                                      \
    LDX(F, u8, 8)                                                                                  \
    LDX(F, u16, 16)                                                                                \
    LDX(F, u32, 32)                                                                                \
    LDX(F, u64, 64)
SHAPED_FAMILY(global)
SHAPED_FAMILY(shared)
SHAPED_FAMILY(shared32)
SHAPED_FAMILY(generic)

/*
 * Chains (struct chain): o[0] the last result, o[1], o[2] shapes of x and y, o[3] the first addend.
 * The plain instructions follow, and are skipped when the chain could be done at once.
 */
enum { KIND_NONE, KIND_SAME, KIND_SIDE };

static inline int half_kind(const struct known_shape *k, int h)
{
    return k->step[h] == 0 ? KIND_SAME : k->step[h] == 4 ? KIND_SIDE : KIND_NONE;
}

static inline bool chain_place(const struct known_shape *k, s32 least, s32 most, char **at)
{
    char *end;
    return known_place(k, most, 4, &end) && known_place(k, least, 4, at);
}

#if defined(__AVX512F__)
typedef __m512 vec;
enum { VEC = 16 };
static inline vec vec_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
static inline vec vec_fill(const float *p)
{
    return _mm512_set1_ps(*p);
}
static inline void vec_store(float *p, vec v)
{
    _mm512_storeu_ps(p, v);
}
static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}
#elif defined(__FMA__)
typedef __m256 vec;
enum { VEC = 8 };
static inline vec vec_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
static inline vec vec_fill(const float *p)
{
    return _mm256_broadcast_ss(p);
}
static inline void vec_store(float *p, vec v)
{
    _mm256_storeu_ps(p, v);
}
static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}
#else
typedef float vec;
enum { VEC = 1 };
static inline vec vec_load(const float *p)
{
    return *p;
}
static inline vec vec_fill(const float *p)
{
    return *p;
}
static inline void vec_store(float *p, vec v)
{
    *p = v;
}
static inline vec vec_fma(vec a, vec b, vec c)
{
    return fma_f32(a, b, c);
}
#endif
enum { VECS = HALF / VEC };

static inline __attribute__((always_inline)) void
chain_half(const struct chain *c, const char *x, const char *y, int kx, int ky, float *acc)
{
    vec v[VECS];
    for (int n = 0; n < VECS; n++)
        v[n] = vec_load(acc + n * VEC);
    for (u32 s = 0; s < c->steps; s++) {
        const float *px = (const float *)(x + c->offset[s][0]);
        const float *py = (const float *)(y + c->offset[s][1]);
        for (int n = 0; n < VECS; n++) {
            vec a = kx == KIND_SIDE ? vec_load(px + n * VEC) : vec_fill(px);
            vec b = ky == KIND_SIDE ? vec_load(py + n * VEC) : vec_fill(py);
            v[n] = vec_fma(a, b, v[n]);
        }
    }
    for (int n = 0; n < VECS; n++)
        vec_store(acc + n * VEC, v[n]);
}

static inline void chain_any(const struct chain *c, const char *x, const char *y, int kx, int ky,
                             float *acc)
{
    if (kx == KIND_SIDE && ky == KIND_SIDE)
        chain_half(c, x, y, KIND_SIDE, KIND_SIDE, acc);
    else if (kx == KIND_SIDE)
        chain_half(c, x, y, KIND_SIDE, KIND_SAME, acc);
    else if (ky == KIND_SIDE)
        chain_half(c, x, y, KIND_SAME, KIND_SIDE, acc);
    else
        chain_half(c, x, y, KIND_SAME, KIND_SAME, acc);
}

MEM_HANDLER(fma_chain)
{
    const struct chain *c = i->ptr;
    const struct known_shape *x = KNOWN(1), *y = KNOWN(2);
    char *px, *py;
    if (XG_UNLIKELY(!chain_place(x, c->least[0], c->most[0], &px) ||
                    !chain_place(y, c->least[1], c->most[1], &py)))
        NEXT;
    const int kx0 = half_kind(x, 0), kx1 = half_kind(x, 1);
    const int ky0 = half_kind(y, 0), ky1 = half_kind(y, 1);
    if (XG_UNLIKELY(!kx0 || !kx1 || !ky0 || !ky1))
        NEXT;
    float *pd = DST(float, 0);
    const float *pc = SRC(float, 3);
    if (pd != pc)
        memcpy(pd, pc, sizeof(float) * SC_WARP);
    px = (char *)((uintptr_t)px - (uintptr_t)(intptr_t)c->least[0]);
    py = (char *)((uintptr_t)py - (uintptr_t)(intptr_t)c->least[1]);
    chain_any(c, px + x->delta[0], py + y->delta[0], kx0, ky0, pd);
    chain_any(c, px + x->delta[1], py + y->delta[1], kx1, ky1, pd + HALF);
    GO(i + 1 + c->skip);
}
