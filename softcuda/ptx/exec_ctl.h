/* Handlers that involve other lanes or other warps, and those of control flow. */

/* --- shuffles --------------------------------------------------------------------------------- */

/* o[0] result, o[1] in-range predicate, o[2] value, o[3] lane argument, o[4] clamp */

#define SHFL(name, from, in_range)                                                                 \
    HANDLER(shfl_##name)                                                                           \
    {                                                                                              \
        const u32 *pa = SRC(u32, 2), *pb = SRC(u32, 3), *pc = SRC(u32, 4);                         \
        u32 *pd = (u32 *)w->tmp;                                                                   \
        uint32_t *t = (uint32_t *)w->tmp2;                                                         \
        const uint32_t active = w->mask;                                                           \
        LANES                                                                                      \
        {                                                                                          \
            const s32 b = (s32)(pb[l] & 31), c = (s32)(pc[l] & 31), m = (s32)(pc[l] >> 8 & 31);    \
            const s32 top = (l & m) | (c & ~m), low = l & m;                                       \
            (void)low;                                                                             \
            (void)top;                                                                             \
            const s32 j = (from);                                                                  \
            const bool in = (in_range);                                                            \
            /* A lane that does not run has no value for others. */                                \
            pd[l] = !in ? pa[l] : (active >> (j & 31) & 1) ? pa[j & 31] : 0;                       \
            t[l] = in ? UINT32_MAX : 0;                                                            \
        }                                                                                          \
        if (w->full)                                                                               \
            memcpy(DST(u32, 0), pd, sizeof(u32) * SC_WARP);                                        \
        FINISH(u32);                                                                               \
        blend_pred(w, i->o[1], pack_mask(t));                                                      \
        NEXT;                                                                                      \
    }
SHFL(up, l - b, j >= top)
SHFL(down, l + b, j <= top)
SHFL(bfly, l ^ b, j <= top)
SHFL(idx, low | (b & ~m), j <= top)

/* --- votes ------------------------------------------------------------------------------------ */

#define VOTE(name, expr)                                                                           \
    HANDLER(vote_##name)                                                                           \
    {                                                                                              \
        const uint32_t in = w->mask, a = SRCP(1) & in;                                             \
        blend_pred(w, i->o[0], (expr) ? UINT32_MAX : 0);                                           \
        NEXT;                                                                                      \
    }
VOTE(all, a == in)
VOTE(any, a != 0)
VOTE(uni, a == in || a == 0)

static inline void put_u32(struct warp *w, uint32_t slot, uint32_t v)
{
    u32 *d = (u32 *)(w->base[0] + slot);
    EACH_ACTIVE(l) d[l] = v;
}

/* Lanes that the member mask does not name are not in the result, even if they run. */
HANDLER(vote_ballot)
{
    const u32 members = SRC(u32, 2)[__builtin_ctz(w->mask)];
    put_u32(w, i->o[0], SRCP(1) & w->mask & members);
    NEXT;
}

HANDLER(activemask)
{
    put_u32(w, i->o[0], w->mask);
    NEXT;
}

HANDLER(elect)
{
    const uint32_t leader = (uint32_t)__builtin_ctz(w->mask);
    put_u32(w, i->o[0], leader);
    blend_pred(w, i->o[1], 1u << leader);
    NEXT;
}

#define MATCH(T)                                                                                   \
    HANDLER(match_any_##T)                                                                         \
    {                                                                                              \
        const T *pa = SRC(T, 2);                                                                   \
        u32 *pd = (u32 *)w->tmp2;                                                                  \
        EACH_ACTIVE(l)                                                                             \
        {                                                                                          \
            pd[l] = 0;                                                                             \
            for (uint32_t k = 0; k < SC_WARP; k++)                                                 \
                pd[l] |= (uint32_t)(pa[k] == pa[l]) << k;                                          \
            pd[l] &= w->mask;                                                                      \
        }                                                                                          \
        EACH_ACTIVE(k) DST(u32, 0)[k] = pd[k];                                                     \
        blend_pred(w, i->o[1], UINT32_MAX);                                                        \
        NEXT;                                                                                      \
    }                                                                                              \
    HANDLER(match_all_##T)                                                                         \
    {                                                                                              \
        const T *pa = SRC(T, 2), v = pa[__builtin_ctz(w->mask)];                                   \
        bool same = true;                                                                          \
        EACH_ACTIVE(l) same &= pa[l] == v;                                                         \
        put_u32(w, i->o[0], same ? w->mask : 0);                                                   \
        blend_pred(w, i->o[1], same ? UINT32_MAX : 0);                                             \
        NEXT;                                                                                      \
    }
MATCH(u32)
MATCH(u64)

#define REDUX(name, T, expr)                                                                       \
    HANDLER(redux_##name)                                                                          \
    {                                                                                              \
        const T *pa = SRC(T, 1);                                                                   \
        T a = pa[__builtin_ctz(w->mask)];                                                          \
        const uint32_t rest = w->mask & (w->mask - 1);                                             \
        for (uint32_t m = rest; m; m &= m - 1) {                                                   \
            T b = pa[__builtin_ctz(m)];                                                            \
            a = (expr);                                                                            \
        }                                                                                          \
        u32 v;                                                                                     \
        memcpy(&v, &a, 4);                                                                         \
        put_u32(w, i->o[0], v);                                                                    \
        NEXT;                                                                                      \
    }
REDUX(add_u32, u32, a + b)
REDUX(and_u32, u32, a &b)
REDUX(or_u32, u32, a | b)
REDUX(xor_u32, u32, a ^ b)
REDUX(min_u32, u32, a < b ? a : b)
REDUX(max_u32, u32, a > b ? a : b)
REDUX(min_s32, s32, a < b ? a : b)
REDUX(max_s32, s32, a > b ? a : b)
REDUX(min_f32, f32, min_f32(a, b))
REDUX(max_f32, f32, max_f32(a, b))

HANDLER(warpsync)
{
    const uint32_t members = SRC(u32, 1)[__builtin_ctz(w->mask)];
    if (XG_LIKELY(!(members & w->live & ~w->mask)))
        NEXT;
    FOLLOW(sc_warpsync(w, i, members));
}

/* --- barriers --------------------------------------------------------------------------------- */

HANDLER(bar)
{
    const uint32_t first = (uint32_t)__builtin_ctz(w->mask);
    FOLLOW(sc_bar(w, i, SRC(u32, 1)[first], SRC(u32, 2)[first], i->imm == 'r' ? SRCP(3) : 0));
}

static inline const struct barrier *bar_of(struct warp *w, const struct insn *i)
{
    return &w->block->barrier[SRC(u32, 1)[__builtin_ctz(w->mask)] & 15];
}

HANDLER(bar_result_popc)
{
    put_u32(w, i->o[0], bar_of(w, i)->result_pop);
    NEXT;
}

HANDLER(bar_result_and)
{
    blend_pred(w, i->o[0], bar_of(w, i)->result_all ? UINT32_MAX : 0);
    NEXT;
}

HANDLER(bar_result_or)
{
    blend_pred(w, i->o[0], bar_of(w, i)->result_any ? UINT32_MAX : 0);
    NEXT;
}

/* --- control ---------------------------------------------------------------------------------- */

HANDLER(label)
{
    if (XG_LIKELY(w->group_count == 1))
        NEXT;
    w->group[w->current].pc = (uint32_t)(i - w->code);
    FOLLOW(sc_group_pick(w));
}

/* All running lanes go to `to`. */
#define JUMP(to)                                                                                   \
    do {                                                                                           \
        const struct insn *at_ = (to);                                                             \
        if (at_ <= i && XG_UNLIKELY(--w->budget < 0))                                              \
            FOLLOW(sc_yield(w, at_));                                                              \
        if (XG_LIKELY(w->group_count == 1))                                                        \
            GO(at_);                                                                               \
        w->group[w->current].pc = (uint32_t)(at_ - w->code);                                       \
        FOLLOW(sc_group_pick(w));                                                                  \
    } while (0)

HANDLER(bra)
{
    JUMP(w->code + i->target);
}

#define BRANCH(name, lanes)                                                                        \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        const uint32_t taken = (lanes)&w->mask;                                                    \
        if (taken == w->mask)                                                                      \
            JUMP(w->code + i->target);                                                             \
        if (XG_LIKELY(!taken)) {                                                                   \
            if (XG_LIKELY(w->group_count == 1))                                                    \
                NEXT;                                                                              \
            w->group[w->current].pc = (uint32_t)(i + 1 - w->code);                                 \
            FOLLOW(sc_group_pick(w));                                                              \
        }                                                                                          \
        FOLLOW(sc_diverge(w, i, taken));                                                           \
    }
BRANCH(bra_if, SRCP(1))
BRANCH(bra_not, ~SRCP(1))

HANDLER(brx)
{
    FOLLOW(sc_branch_many(w, i, SRC(u32, 1)));
}

#define GUARD(name, lanes)                                                                         \
    HANDLER(guard_##name)                                                                          \
    {                                                                                              \
        const uint32_t m = (lanes)&w->mask;                                                        \
        if (!m)                                                                                    \
            GO(w->code + i->target);                                                               \
        w->guard_mask = w->mask;                                                                   \
        if (m != w->mask)                                                                          \
            sc_set_mask(w, m);                                                                     \
        NEXT;                                                                                      \
    }
GUARD(if, SRCP(1))
GUARD(not, ~SRCP(1))

HANDLER(unguard)
{
    if (w->guard_mask != w->mask)
        sc_set_mask(w, w->guard_mask);
    NEXT;
}

HANDLER(poll)
{
    w->budget -= POLL_COST;
    NEXT;
}

HANDLER(yield)
{
    FOLLOW(sc_yield(w, i + 1));
}

HANDLER(call)
{
    const struct call_site *site = i->ptr;
    FOLLOW(sc_call(w, i, site->callee ? NULL : SRC(u64, 1)));
}

HANDLER(ret)
{
    FOLLOW(sc_ret(w, i));
}

HANDLER(exit)
{
    FOLLOW(sc_exit(w, i));
}

HANDLER(trap)
{
    return sc_fault_at(w, i, SC_ERR_TRAP, (uint32_t)__builtin_ctz(w->mask), 0, 0, false);
}

HANDLER(end)
{
    return sc_fault_at(w, i, SC_ERR_TRAP, (uint32_t)__builtin_ctz(w->mask), 0, 0, false);
}
