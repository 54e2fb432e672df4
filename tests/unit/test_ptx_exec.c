/* Kernels as a whole: control flow, memory, other lanes and warps, calls, faults, time limits. */
/* links: obj/libscptx.a -lcmocka -lm */
/* san: thread */
#include "tests/unit/ptx_harness.h"
#include <pthread.h>
#include <unistd.h>
#include "softcuda/ptx/exec.h"
#include "protocol/base.h"

#define KERNEL(params) H_HEAD ".visible .entry k(" params "){\n"
#define REGS                                                                                       \
    ".reg .b64 %d<20>;.reg .b32 %r<30>;.reg .b16 %h<4>;.reg .pred %p<8>;.reg .f32 %f<20>;\n"
/* %d0: the output pointer, %r0: thread, %r1: global thread, %d1: address of its int */
#define START                                                                                      \
    REGS "ld.param.u64 %d0,[o];mov.u32 %r0,%tid.x;mov.u32 %r2,%ctaid.x;mov.u32 %r3,%ntid.x;"       \
         "mad.lo.u32 %r1,%r2,%r3,%r0;mul.wide.u32 %d2,%r1,4;add.u64 %d1,%d0,%d2;\n"
#define SIMPLE(body) KERNEL(".param .u64 o") START body "\nret;}\n"

static int *run_ints(const char *ptx, unsigned grid, unsigned block, unsigned n)
{
    int *o = h_alloc(n * 4);
    struct {
        void *o;
    } p = {o};
    assert_int_equal(h_once(ptx, grid, block, &p), SC_OK);
    return o;
}

/* --- control flow ----------------------------------------------------------------------------- */

static void test_divergence(void **state)
{
    (void)state;
    /* Collatz: each lane loops another number of times, with an if inside. */
    int *o = run_ints(SIMPLE("add.u32 %r4,%r1,1;mov.u32 %r5,0;\n"
                             "L: setp.eq.u32 %p0,%r4,1;@%p0 bra D;\n"
                             "and.b32 %r6,%r4,1;setp.eq.u32 %p1,%r6,0;@%p1 bra E;\n"
                             "mad.lo.u32 %r4,%r4,3,1;bra.uni J;\n"
                             "E: shr.u32 %r4,%r4,1;\n"
                             "J: add.u32 %r5,%r5,1;bra L;\n"
                             "D: st.global.u32 [%d1],%r5;"),
                      3, 70, 210);
    for (unsigned i = 0; i < 210; i++) {
        int steps = 0;
        for (unsigned v = i + 1; v != 1; steps++)
            v = v & 1 ? 3 * v + 1 : v / 2;
        assert_int_equal(o[i], steps);
    }
    h_reset();
}

static void test_reconvergence(void **state)
{
    (void)state;
    /* After an if all lanes are together again. */
    int *o = run_ints(SIMPLE("and.b32 %r4,%r0,3;setp.lt.u32 %p0,%r4,2;mov.u32 %r5,0;\n"
                             "@%p0 bra A;\nadd.u32 %r5,%r5,1;bra B;\nA: add.u32 %r5,%r5,2;\n"
                             "B: activemask.b32 %r6;st.global.u32 [%d1],%r6;"),
                      1, 40, 40);
    for (int i = 0; i < 40; i++)
        assert_int_equal(o[i], i < 32 ? -1 : 0xff);
    h_reset();
}

static void test_guards(void **state)
{
    (void)state;
    int *o = run_ints(SIMPLE("and.b32 %r4,%r0,1;setp.eq.u32 %p0,%r4,0;setp.eq.u32 %p1,%r0,%r0;"
                             "mov.u32 %r5,10;\n@%p0 mov.u32 %r5,20;\n@!%p0 add.u32 %r5,%r5,%r0;\n"
                             "@!%p1 mov.u32 %r5,99;\n@%p0 st.global.u32 [%d1],%r5;\n"
                             "@%p0 ret;\nst.global.u32 [%d1],%r5;"),
                      1, 64, 64);
    for (int i = 0; i < 64; i++)
        assert_int_equal(o[i], i & 1 ? 10 + i : 20);
    h_reset();
}

static void test_brx(void **state)
{
    (void)state;
    int *o =
        run_ints(SIMPLE("and.b32 %r4,%r0,3;\nT: .branchtargets A,B,C,B;\nbrx.idx %r4,T;\n"
                        "A: mov.u32 %r5,100;bra E;\nB: mov.u32 %r5,200;bra E;\n"
                        "C: mov.u32 %r5,300;\nE: add.u32 %r5,%r5,%r0;st.global.u32 [%d1],%r5;"),
                 1, 50, 50);
    static const int base[] = {100, 200, 300, 200};
    for (int i = 0; i < 50; i++)
        assert_int_equal(o[i], base[i & 3] + i);
    h_reset();
    /* An index outside of the list is a fault, not a jump. */
    o = h_alloc(256);
    struct {
        void *o;
    } p = {o};
    assert_int_equal(
        h_once(SIMPLE("T: .branchtargets A;\nbrx.idx %r0,T;\nA: st.global.u32 [%d1],1;"), 1, 8, &p),
        SC_ERR_TRAP);
    h_reset();
}

static void test_special_registers(void **state)
{
    (void)state;
    unsigned *o = h_alloc(4096 * 4);
    struct {
        void *o;
    } p = {o};
    struct sc_module *m =
        h_load(KERNEL(".param .u64 o") REGS
               "ld.param.u64 %d0,[o];mov.u32 %r0,%tid.x;mov.u32 %r1,%tid.y;mov.u32 %r2,%tid.z;"
               "mov.u32 %r3,%ntid.x;mov.u32 %r4,%ntid.y;mad.lo.u32 %r5,%r2,%r4,%r1;"
               "mad.lo.u32 %r5,%r5,%r3,%r0;mul.wide.u32 %d2,%r5,16;add.u64 %d1,%d0,%d2;"
               "mov.u32 %r6,%laneid;mov.u32 %r7,%lanemask_lt;mov.u32 %r8,%warpid;"
               "shl.b32 %r9,%r1,8;or.b32 %r9,%r9,%r0;shl.b32 %r10,%r2,16;or.b32 %r9,%r9,%r10;"
               "st.global.v4.u32 [%d1],{%r6,%r7,%r8,%r9};ret;}");
    struct sc_launch l = h_launch(m, "k", 1, 1, &p);
    l.block[0] = 5;
    l.block[1] = 7;
    l.block[2] = 3;
    assert_int_equal(sc_launch_run(&l, NULL), SC_OK);
    for (unsigned i = 0; i < 105; i++) {
        assert_int_equal(o[4 * i], i % 32);
        assert_int_equal(o[4 * i + 1], (1u << i % 32) - 1);
        assert_int_equal(o[4 * i + 2], i / 32);
        assert_int_equal(o[4 * i + 3], i % 5 | i / 5 % 7 << 8 | i / 35 << 16);
    }
    sc_module_destroy(m);
    h_reset();
}

/* --- memory ----------------------------------------------------------------------------------- */

/* Every size and vector, contiguous, strided, scattered and uniform, through every space. */
static void test_access_patterns(void **state)
{
    static const struct {
        const char *type, *vec;
        unsigned bytes;
    } kinds[] = {{"u8", "", 1},      {"u16", "", 2},    {"u32", "", 4},    {"u64", "", 8},
                 {"u8", ".v4", 4},   {"u16", ".v2", 4}, {"u32", ".v2", 8}, {"u32", ".v4", 16},
                 {"u64", ".v2", 16}, {"s8", "", 1},     {"s16", "", 2}};
    static const char *const spaces[] = {".global", "", ".shared", ".shared generic", ".local"};
    (void)state;
    for (unsigned k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
        for (unsigned s = 0; s < 5; s++)
            for (unsigned pattern = 0; pattern < 5; pattern++) {
                enum { BLOCK = 77 };
                char ptx[4096];
                unsigned b = kinds[k].bytes;
                const char *regs = !*kinds[k].vec           ? "%x0"
                                   : kinds[k].vec[2] == '2' ? "{%x0,%x1}"
                                                            : "{%x0,%x1,%x2,%x3}";
                const char *type = kinds[k].type;
                const char *reg = strstr(type, "64") ? "b64" : strstr(type, "8") ? "b16" : type;
                if (*type == 's')
                    reg = "b32"; /* sign extended */
                bool shared = strstr(spaces[s], "shared"), local = s == 4;
                const char *space = s == 3 ? "" : spaces[s];
                /* in: a table; copied into the space, then read back lane by lane by pattern */
                snprintf(
                    ptx, sizeof(ptx),
                    H_HEAD
                    ".visible .entry k(.param .u64 o,.param .u64 in,.param .u64 at){\n%s"
                    ".reg .%s %%x<4>;.shared .align 16 .b8 sm[4096];.local .align 16 .b8 lm[64];\n"
                    "ld.param.u64 %%d0,[o];ld.param.u64 %%d3,[in];ld.param.u64 %%d4,[at];"
                    "mov.u32 %%r0,%%tid.x;mul.wide.u32 %%d5,%%r0,4;add.u64 %%d4,%%d4,%%d5;"
                    "ld.global.u32 %%r4,[%%d4];mul.wide.u32 %%d5,%%r4,%u;\n"
                    "mov.u64 %%d6,%s;%s%s"
                    "add.u64 %%d7,%%d6,%%d5;add.u64 %%d8,%%d3,%%d5;\n"
                    "ld.global%s.%s %s,[%%d8];st%s%s.%s [%%d7],%s;bar.sync 0;\n"
                    "ld%s%s.%s %s,[%%d7];mul.wide.u32 %%d9,%%r0,%u;add.u64 %%d0,%%d0,%%d9;\n"
                    "st.global%s.%s [%%d0],%s;ret;}\n",
                    REGS, reg, b,
                    shared  ? "sm"
                    : local ? "lm"
                            : "%d3",
                    s == 3 ? "cvta.shared.u64 %d6,%d6;" : "",
                    local ? "mov.u64 %d9,0;and.b64 %d5,%d5,0;" : "", kinds[k].vec, type, regs,
                    space, kinds[k].vec, type, regs, space, kinds[k].vec, type, regs, b,
                    kinds[k].vec, type, regs);
                uint8_t *in = h_alloc(4096), *o = h_alloc(4096);
                uint32_t *at = h_alloc(BLOCK * 4);
                for (int i = 0; i < 4096; i++)
                    in[i] = (uint8_t)(i * 37 + i / 256);
                for (unsigned i = 0; i < BLOCK; i++)
                    at[i] = pattern == 0   ? i
                            : pattern == 1 ? BLOCK - 1 - i
                            : pattern == 2 ? (i * 29) % BLOCK
                            : pattern == 3 ? 5
                                           : i / 16;
                struct {
                    void *o, *in, *at;
                } p = {o, in, at};
                assert_int_equal(h_once(ptx, 1, BLOCK, &p), SC_OK);
                for (unsigned i = 0; i < BLOCK; i++)
                    assert_memory_equal(o + i * b, in + (local ? 0 : at[i] * b), b);
                h_reset();
            }
}

/* The windows of shared and local memory have addresses of 32 bits: a register below 0 and an
 * offset meet where their sum is. Thread t puts 1000 + t at s[t]; %r4 is 8 less than the address of
 * that, below 0 in threads 0 and 1. */
static void test_window_wrap(void **state)
{
    static const struct {
        const char *body; /* makes %r7 */
        int more;         /* than 1000 + t */
    } cases[] = {
        {"ld.shared.u32 %r7,[%r4+8];", 0},
        {"ld.shared.u16 %h0,[%r4+8];cvt.u32.u16 %r7,%h0;", 0},
        {"and.b32 %r4,%r4,-8;ld.shared.v2.u32 {%r6,%r7},[%r4+8];and.b32 %r8,%r0,1;"
         "sub.u32 %r7,%r7,1;add.u32 %r7,%r7,%r8;",
         0},
        {"ld.shared.u32 %r6,[%r4+1032];ld.shared.u32 %r7,[%r4+8];add.u32 %r7,%r7,%r6;", 0},
        {"st.shared.u32 [%r4+1032],%r0;ld.shared.u32 %r7,[%r5+1024];add.u32 %r7,%r7,1000;", 0},
        {"atom.shared.add.u32 %r7,[%r4+8],5;", 0},
        {"atom.shared.exch.b32 %r7,[%r4+8],5;", 0},
        {"red.shared.add.u32 [%r4+8],5;ld.shared.u32 %r7,[%r5];", 5},
        {"cvt.u64.u32 %d5,%r4;ld.shared.u32 %r7,[%d5+8];", 0},
        {"cvt.s64.s32 %d5,%r4;ld.shared.u32 %r7,[%d5+8];", 0},
        {"cvt.u64.u32 %d5,%r4;atom.shared.add.u32 %r7,[%d5+8],5;", 0},
        {"st.global.u32 [%d1],%r0;cp.async.ca.shared.global [%r4+1032],[%d1],4;cp.async.wait_all;"
         "ld.shared.u32 %r7,[%r5+1024];add.u32 %r7,%r7,1000;",
         0},
        {"mul.lo.u32 %r4,%r4,2;mbarrier.init.shared.b64 [%r4+1040],7;"
         "mul.lo.u32 %r6,%r5,2;ld.shared.u32 %r7,[%r6+1024];and.b32 %r7,%r7,7;"
         "add.u32 %r7,%r7,%r0;",
         -993},
        {"mov.u32 %r6,-8;st.local.u32 [%r6+8],%r0;ld.local.u32 %r7,[l];add.u32 %r7,%r7,1000;", 0},
        {"mov.u64 %d5,-8;st.local.u32 [%d5+8],%r0;ld.local.u32 %r7,[l];add.u32 %r7,%r7,1000;", 0},
    };
    (void)state;
    for (unsigned k = 0; k < sizeof(cases) / sizeof(cases[0]); k++)
        for (unsigned block = 1; block <= 96; block += 19) { /* up to whole warps */
            char ptx[4096];
            snprintf(
                ptx, sizeof(ptx),
                "%s.shared .align 16 .b32 s[512];.local .align 16 .b32 l[4];\n"
                "shl.b32 %%r4,%%r0,2;mov.u32 %%r5,s;add.u32 %%r5,%%r5,%%r4;"
                "add.u32 %%r6,%%r0,1000;st.shared.u32 [%%r5],%%r6;sub.u32 %%r4,%%r5,8;"
                "st.shared.u32 [%%r5+1024],0;bar.sync 0;\n%s\nst.global.u32 [%%d1],%%r7;ret;}\n",
                KERNEL(".param .u64 o") START, cases[k].body);
            int *o = run_ints(ptx, 1, block, block);
            unsigned n = strstr(cases[k].body, ".v2") ? block & ~1u : block; /* pairs: whole ones */
            for (unsigned t = 0; t < n; t++)
                if (o[t] != 1000 + (int)t + cases[k].more)
                    fail_msg("%s: thread %u of %u has %d", cases[k].body, t, block, o[t]);
            h_reset();
        }
}

/* From the first address to the last, round the end of all addresses: every lane is checked all the
 * same. */
static void test_round_the_end(void **state)
{
    static const char *const bodies[] = {
        "ld.shared.u64 %d5,[%d4];",
        "st.shared.u64 [%d4],%d1;",
        "ld.shared.v2.u64 {%d5,%d6},[%d4+-8];",
        "ld.shared.u64 %d5,[%d4];ld.shared.u64 %d6,[%d4+8];st.shared.u64 [%d4+16],%d6;",
        "ld.global.u64 %d5,[%d4];",
    };
    char ptx[4096];

    (void)state;
    for (unsigned k = 0; k < sizeof(bodies) / sizeof(bodies[0]); k++) {
        struct {
            int *o;
        } p = {h_alloc(32 * 8)};
        snprintf(ptx, sizeof(ptx),
                 "%s.shared .align 16 .b64 s[64];mov.u64 %%d4,-65536;setp.eq.u32 "
                 "%%p0,%%r0,1;selp.b64 %%d4,-8,%%d4,%%p0;"
                 "setp.eq.u32 %%p0,%%r0,0;selp.b64 %%d4,0,%%d4,%%p0;\n%s\nret;}\n",
                 KERNEL(".param .u64 o") START, bodies[k]);
        struct sc_module *m = h_load(ptx);
        struct sc_launch l = h_launch(m, "k", 1, 32, &p);
        enum sc_status st = sc_launch_run(&l, NULL);
        if (st != SC_ERR_FAULT && st != SC_ERR_MISALIGNED)
            fail_msg("%s: %d", bodies[k], st);
        sc_module_destroy(m);
        h_reset();
    }
}

static void test_sign_extension(void **state)
{
    (void)state;
    int *o = h_alloc(256);
    struct {
        void *o;
    } p = {o};
    o[32] = (int)0x8180ff7f;
    assert_int_equal(h_once(SIMPLE("add.u64 %d3,%d0,128;add.u64 %d4,%d3,%d2;cvt.u64.u32 %d5,%r0;"
                                   "add.u64 %d6,%d3,%d5;ld.global.s8 %r4,[%d6];"
                                   "st.global.u32 [%d1],%r4;ld.global.u8 %r5,[%d6];"
                                   "st.global.u32 [%d1+32],%r5;"),
                            1, 4, &p),
                     SC_OK);
    static const int want[] = {0x7f, -1, -128, -127};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(o[i], want[i]);
        assert_int_equal(o[8 + i], want[i] & 0xff);
    }
    h_reset();
}

static void test_variables(void **state)
{
    (void)state;
    const char *ptx =
        H_HEAD ".global .align 4 .b32 tab[4] = {10, -20, 0x1e, 40};\n"
               ".const .align 8 .f64 half = 0d3FE0000000000000;\n"
               ".global .align 8 .u64 link[2] = {tab, generic(tab)+8};\n"
               ".global .align 1 .b8 text[6] = {104, 101, 108, 108, 111, 0};\n"
               ".global .f32 real[2] = {1.5, 0f40000000};\n"
               ".visible .entry k(.param .u64 o){\n" START
               "ld.const.f64 %d3,[half];mov.u64 %d4,link;ld.global.u64 %d5,[%d4+8];"
               "ld.global.u32 %r4,[%d5];ld.global.u32 %r5,[tab+4];ld.global.u8 %r6,[text+1];"
               "ld.global.f32 %f0,[real];ld.global.f32 %f1,[real+4];add.f32 %f0,%f0,%f1;"
               "st.global.u32 [%d0],%r4;st.global.u32 [%d0+4],%r5;st.global.u32 [%d0+8],%r6;"
               "st.global.f32 [%d0+12],%f0;st.global.f64 [%d0+16],%d3;\n"
               "ld.global.u64 %d6,[link];ld.global.u32 %r7,[%d6];st.global.u32 [%d0+24],%r7;ret;}";
    int *o = run_ints(ptx, 1, 1, 16);
    float f;
    double d;
    memcpy(&f, o + 3, 4);
    memcpy(&d, o + 4, 8);
    assert_int_equal(o[0], 30);
    assert_int_equal(o[1], -20);
    assert_int_equal(o[2], 'e');
    assert_true(f == 3.5f);
    assert_true(d == 0.5);
    assert_int_equal(o[6], 10);
    h_reset();
}

static void test_dynamic_shared(void **state)
{
    (void)state;
    const char *ptx = H_HEAD ".extern .shared .align 16 .b8 dyn[];\n"
                             ".visible .entry k(.param .u64 o){\n.shared .b32 fixed[3];\n" START
                             "mov.u32 %r4,dyn;shl.b32 %r5,%r0,2;add.u32 %r6,%r4,%r5;"
                             "st.shared.u32 [%r6],%r0;bar.sync 0;sub.u32 %r7,%r3,1;"
                             "sub.u32 %r7,%r7,%r0;shl.b32 %r7,%r7,2;add.u32 %r8,%r4,%r7;"
                             "ld.shared.u32 %r9,[%r8];st.global.u32 [%d1],%r9;ret;}";
    struct sc_module *m = h_load(ptx);
    int *o = h_alloc(400);
    struct {
        void *o;
    } p = {o};
    struct sc_launch l = h_launch(m, "k", 1, 100, &p);
    l.dynamic_shared = 400;
    assert_int_equal(sc_launch_run(&l, NULL), SC_OK);
    for (int i = 0; i < 100; i++)
        assert_int_equal(o[i], 99 - i);
    l.dynamic_shared = 399; /* the last thread's word does not fit */
    struct sc_fault f;
    assert_int_equal(sc_launch_run(&l, &f), SC_ERR_FAULT);
    assert_int_equal(f.thread[0], 99);
    l.dynamic_shared = SC_MAX_SHARED + 1;
    assert_int_equal(sc_launch_run(&l, NULL), SC_ERR_INVALID);
    l.max_shared = SC_MAX_SHARED_OPTIN;
    assert_int_equal(sc_launch_run(&l, NULL), SC_OK);
    sc_module_destroy(m);
    h_reset();
}

/* --- other lanes and warps -------------------------------------------------------------------- */

static void test_shuffles(void **state)
{
    static const char *const modes[] = {"up", "down", "bfly", "idx"};
    (void)state;
    for (int mode = 0; mode < 4; mode++)
        for (int by = 0; by < 32; by += 5)
            for (int width = 8; width <= 32; width *= 2) {
                char ptx[2048];
                unsigned c = (unsigned)(32 - width) << 8 | (mode == 0 ? 0 : 31);
                snprintf(
                    ptx, sizeof(ptx),
                    KERNEL(
                        ".param .u64 o") "%s"
                                         "shfl.sync.%s.b32 "
                                         "%%r4|%%p0,%%r0,%d,%u,0xffffffff;selp.b32 "
                                         "%%r5,1000,0,%%p0;"
                                         "add.u32 %%r4,%%r4,%%r5;st.global.u32 [%%d1],%%r4;ret;}",
                    START, modes[mode], by, c);
                int *o = run_ints(ptx, 1, 32, 32);
                for (int i = 0; i < 32; i++) {
                    int first = i / width * width, last = first + width - 1;
                    int j = mode == 0   ? i - by
                            : mode == 1 ? i + by
                            : mode == 2 ? i ^ by
                                        : first + by % width;
                    /* b's bits above the segment are cut off for idx only */
                    bool in = mode == 0 ? j >= first : j <= last;
                    assert_int_equal(o[i], (in ? j + 1000 : i));
                }
                h_reset();
            }
}

static void test_votes(void **state)
{
    (void)state;
    int *o = run_ints(
        SIMPLE("and.b32 %r4,%r0,3;setp.eq.u32 %p0,%r4,1;setp.ge.u32 %p1,%r0,0;\n"
               "vote.sync.ballot.b32 %r5,%p0,0xffffffff;"
               "vote.sync.all.pred %p2,%p0,0xffffffff;"
               "vote.sync.any.pred %p3,%p0,0xffffffff;"
               "vote.sync.uni.pred %p4,%p1,0xffffffff;"
               "selp.b32 %r6,1,0,%p2;selp.b32 %r7,2,0,%p3;selp.b32 %r8,4,0,%p4;"
               "or.b32 %r6,%r6,%r7;or.b32 %r6,%r6,%r8;\n"
               "match.any.sync.b32 %r9,%r4,0xffffffff;\n"
               "match.all.sync.b32 %r10|%p5,%r3,0xffffffff;\n"
               "redux.sync.add.s32 %r11,%r0,0xffffffff;redux.sync.max.u32 %r12,%r0,0xffffffff;"
               "add.u32 %r11,%r11,%r12;\n"
               "mul.wide.u32 %d3,%r0,20;add.u64 %d4,%d0,%d3;"
               "st.global.u32 [%d4],%r5;st.global.u32 [%d4+4],%r6;"
               "st.global.u32 [%d4+8],%r9;st.global.u32 [%d4+12],%r10;"
               "st.global.u32 [%d4+16],%r11;"),
        1, 32, 32 * 5);
    for (int i = 0; i < 32; i++) {
        assert_int_equal(o[5 * i], 0x22222222);
        assert_int_equal(o[5 * i + 1], 6);
        assert_int_equal(o[5 * i + 2], (int)(0x11111111u << i % 4));
        assert_int_equal(o[5 * i + 3], -1);
        assert_int_equal(o[5 * i + 4], 31 * 16 + 31);
    }
    h_reset();
}

/* Lanes that a shuffle names wait for each other, though they come from two branches. */
static void test_sync_across_branches(void **state)
{
    (void)state;
    int *o =
        run_ints(SIMPLE("and.b32 %r4,%r0,1;setp.eq.u32 %p0,%r4,0;mov.u32 %r5,%r0;\n"
                        "@%p0 bra A;\nadd.u32 %r5,%r5,100;add.u32 %r6,%r6,1;\n"
                        "A: shfl.sync.bfly.b32 %r7,%r5,1,31,0xffffffff;st.global.u32 [%d1],%r7;"),
                 1, 32, 32);
    for (int i = 0; i < 32; i++)
        assert_int_equal(o[i], i & 1 ? i - 1 : i + 101);
    h_reset();
}

/* The vendor's own reduction sums lanes that are not there: a GPU gives nothing for them, and so
 * must we, not what their registers held. */
static void test_shuffle_from_inactive(void **state)
{
    (void)state;
    int *o = run_ints(
        SIMPLE("setp.lt.u32 %p0,%r0,8;add.u32 %r5,%r0,1;mov.u32 %r7,77;@!%p0 bra B;\n"
               "shfl.sync.down.b32 %r7,%r5,16,31,0xff;shfl.sync.down.b32 %r8,%r5,4,31,0xff;"
               "add.u32 %r7,%r7,%r8;\nB: st.global.u32 [%d1],%r7;"),
        1, 32, 32);
    for (int i = 0; i < 32; i++)
        assert_int_equal(o[i], i < 4 ? i + 5 : i < 8 ? 0 : 77);
    h_reset();
}

static void test_failed_assert(void **state)
{
    (void)state;
    struct {
        void *o;
    } p = {h_alloc(64)};
    assert_int_equal(
        h_once(H_HEAD
               ".extern .func __assertfail(.param .b64 a,.param .b64 b,.param .b32 c,.param .b64 d,"
               ".param .b64 e);\n"
               ".visible .entry k(.param .u64 o){.param .b64 p0;.param .b64 p1;.param .b32 p2;"
               ".param .b64 p3;.param .b64 p4;st.param.b64 [p0],0;st.param.b64 [p1],0;"
               "st.param.b32 [p2],7;st.param.b64 [p3],0;st.param.b64 [p4],1;\n"
               "call.uni __assertfail,(p0,p1,p2,p3,p4);ret;}",
               1, 32, &p),
        SC_ERR_ASSERT);
    h_reset();
}

static void test_barriers(void **state)
{
    (void)state;
    /* Three rounds of passing values along a ring of warps. */
    int *o =
        run_ints(H_HEAD ".visible .entry k(.param .u64 o){\n.shared .b32 s[300];\n" START
                        "mov.u32 %r4,s;shl.b32 %r5,%r0,2;add.u32 %r4,%r4,%r5;mov.u32 %r6,%r0;"
                        "mov.u32 %r7,0;add.u32 %r8,%r0,41;rem.u32 %r8,%r8,300;shl.b32 %r8,%r8,2;"
                        "mov.u32 %r9,s;add.u32 %r8,%r8,%r9;\n"
                        "L: st.shared.u32 [%r4],%r6;bar.sync 0;ld.shared.u32 %r6,[%r8];bar.sync 0;"
                        "add.u32 %r7,%r7,1;setp.lt.u32 %p0,%r7,3;@%p0 bra L;\n"
                        "st.global.u32 [%d1],%r6;ret;}",
                 2, 300, 600);
    for (int i = 0; i < 600; i++)
        assert_int_equal(o[i], (i % 300 + 123) % 300);
    h_reset();
}

static void test_barrier_after_exit(void **state)
{
    (void)state;
    /* Warps and single lanes that are gone do not hold the others up. */
    int *o = run_ints(SIMPLE("setp.ge.u32 %p0,%r0,70;@%p0 exit;and.b32 %r4,%r0,7;"
                             "setp.eq.u32 %p1,%r4,3;@%p1 exit;bar.sync 0;st.global.u32 [%d1],1;"),
                      1, 128, 128);
    for (int i = 0; i < 128; i++)
        assert_int_equal(o[i], i < 70 && i % 8 != 3);
    h_reset();
}

static void test_named_barriers(void **state)
{
    (void)state;
    /* Warps 0, 1 produce and arrive on barrier 3; warps 2, 3 wait for all 128 and consume. */
    int *o =
        run_ints(H_HEAD ".visible .entry k(.param .u64 o){\n.shared .b32 s[64];\n" START
                        "mov.u32 %r4,s;and.b32 %r5,%r0,63;shl.b32 %r5,%r5,2;add.u32 %r4,%r4,%r5;"
                        "setp.ge.u32 %p0,%r0,64;@%p0 bra C;\n"
                        "add.u32 %r6,%r0,7;st.shared.u32 [%r4],%r6;bar.arrive 3,128;ret;\n"
                        "C: bar.sync 3,128;ld.shared.u32 %r7,[%r4];st.global.u32 [%d1],%r7;ret;}",
                 1, 128, 128);
    for (int i = 64; i < 128; i++)
        assert_int_equal(o[i], i - 64 + 7);
    h_reset();
}

static void test_barrier_reductions(void **state)
{
    (void)state;
    int *o = run_ints(SIMPLE("setp.lt.u32 %p0,%r0,50;bar.red.popc.u32 %r4,0,%p0;"
                             "bar.red.and.pred %p1,0,%p0;bar.red.or.pred %p2,0,!%p0;"
                             "selp.b32 %r5,1000,0,%p1;selp.b32 %r6,2000,0,%p2;add.u32 %r4,%r4,%r5;"
                             "add.u32 %r4,%r4,%r6;st.global.u32 [%d1],%r4;"),
                      1, 100, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(o[i], 2050);
    h_reset();
}

static void test_spin_between_warps(void **state)
{
    (void)state;
    /* Warp 0 spins on shared memory until the last warp has written. */
    int *o =
        run_ints(H_HEAD ".visible .entry k(.param .u64 o){\n.shared .b32 flag[1];\n" START
                        "setp.ne.u32 %p0,%r0,0;@%p0 bra Z;st.shared.u32 [flag],0;\nZ: bar.sync 0;"
                        "setp.ge.u32 %p1,%r0,224;@%p1 bra W;\n"
                        "L: ld.volatile.shared.u32 %r4,[flag];setp.eq.u32 %p2,%r4,0;@%p2 bra L;\n"
                        "st.global.u32 [%d1],%r4;ret;\n"
                        "W: st.volatile.shared.u32 [flag],77;st.global.u32 [%d1],5;ret;}",
                 1, 256, 256);
    for (int i = 0; i < 256; i++)
        assert_int_equal(o[i], i < 224 ? 77 : 5);
    h_reset();
}

/* A lock that lanes of one warp take in turn: the holder must get on while the others spin. */
static void test_lock_within_warp(void **state)
{
    (void)state;
    int *o =
        run_ints(SIMPLE("add.u64 %d3,%d0,64;\n"
                        "L: atom.global.cas.b32 %r4,[%d0],0,1;setp.ne.u32 %p0,%r4,0;@%p0 bra L;\n"
                        "ld.volatile.global.u32 %r5,[%d3];add.u32 %r5,%r5,1;"
                        "st.volatile.global.u32 [%d3],%r5;membar.gl;"
                        "atom.global.exch.b32 %r6,[%d0],0;"),
                 2, 64, 64);
    assert_int_equal(o[16], 128);
    h_reset();
}

static void test_atomics(void **state)
{
    (void)state;
    static const struct {
        const char *op;
        int start, want;
    } cases[] = {
        {"atom.global.add.u32 %r4,[%d3],1;", 5, 5 + 2000},
        {"red.global.add.u32 [%d3],%r0;", 0, 8 * (249 * 250 / 2)},
        {"atom.global.max.s32 %r4,[%d3],%r1;", -5, 1999},
        {"atom.global.min.s32 %r4,[%d3],%r1;", 77, 0},
        {"atom.global.or.b32 %r4,[%d3],%r1;", 0, 2047},
        {"atom.global.xor.b32 %r4,[%d3],%r1;", 0, 0},
        {"atom.global.inc.u32 %r4,[%d3],99;", 0, 0},
        {"atom.global.dec.u32 %r4,[%d3],99;", 0, 0},
        {"atom.add.u32 %r4,[%d3],2;", 0, 4000},
        {"red.global.add.f32 [%d3],0f3F800000;", 0, 0x44fa0000},
    };
    for (unsigned k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        char ptx[2048];
        snprintf(ptx, sizeof(ptx), "%s%s%s", KERNEL(".param .u64 o") START "mov.u64 %d3,%d0;",
                 cases[k].op, "ret;}");
        int *o = h_alloc(2000 * 4);
        struct {
            void *o;
        } p = {o};
        o[0] = cases[k].start;
        assert_int_equal(h_once(ptx, 8, 250, &p), SC_OK);
        int want = cases[k].want;
        if (strstr(cases[k].op, "xor"))
            for (int i = 0; i < 2000; i++)
                want ^= i;
        assert_int_equal(o[0], want);
        h_reset();
    }
    /* Each thread gets another old value, from global and from shared memory. */
    for (int shared = 0; shared < 2; shared++) {
        int *o = run_ints(
            shared ? H_HEAD ".visible .entry k(.param .u64 o){\n.shared .b32 n[1];\n" START
                            "st.shared.u32 [n],0;bar.sync 0;atom.shared.add.u32 %r4,[n],1;"
                            "mul.wide.u32 %d3,%r4,4;add.u64 %d3,%d0,%d3;st.global.u32 [%d3],1;ret;}"
                   : SIMPLE("add.u64 %d3,%d0,2000;atom.global.add.u32 %r4,[%d3],1;"
                            "mul.wide.u32 %d3,%r4,4;add.u64 %d3,%d0,%d3;st.global.u32 [%d3],1;"),
            1, 500, 501);
        for (int i = 0; i < 500; i++)
            assert_int_equal(o[i], 1);
        h_reset();
    }
}

static void test_mbarrier(void **state)
{
    (void)state;
    int *o = run_ints(
        H_HEAD ".visible .entry k(.param .u64 o){\n.shared .align 8 .b64 mb[1];"
               ".shared .b32 s[128];\n" START "mov.u32 %r10,mb;setp.ne.u32 %p0,%r0,0;@%p0 bra Z;"
               "mbarrier.init.shared.b64 [%r10],128;\nZ: bar.sync 0;"
               "mov.u32 %r4,s;shl.b32 %r5,%r0,2;add.u32 %r4,%r4,%r5;"
               "st.shared.u32 [%r4],%r0;mbarrier.arrive.shared.b64 %d3,[%r10];\n"
               "L: mbarrier.test_wait.shared.b64 %p1,[%r10],%d3;@!%p1 bra L;\n"
               "xor.b32 %r6,%r0,127;shl.b32 %r6,%r6,2;mov.u32 %r7,s;add.u32 %r6,%r6,%r7;"
               "ld.shared.u32 %r8,[%r6];st.global.u32 [%d1],%r8;ret;}",
        1, 128, 128);
    for (int i = 0; i < 128; i++)
        assert_int_equal(o[i], 127 - i);
    h_reset();
}

static void test_cp_async(void **state)
{
    (void)state;
    int *o = h_alloc(64 * 16);
    for (int i = 0; i < 64 * 4; i++)
        o[i] = i;
    struct {
        void *o;
    } p = {o};
    assert_int_equal(
        h_once(H_HEAD ".visible .entry k(.param .u64 o){\n.shared .align 16 .b8 s[1024];\n" START
                      "mov.u32 %r4,s;shl.b32 %r5,%r0,4;add.u32 %r4,%r4,%r5;mul.wide.u32 %d3,%r0,16;"
                      "add.u64 %d4,%d0,%d3;cp.async.cg.shared.global [%r4],[%d4],16;"
                      "cp.async.commit_group;cp.async.wait_group 0;bar.sync 0;"
                      "xor.b32 %r6,%r0,63;shl.b32 %r6,%r6,4;mov.u32 %r7,s;add.u32 %r6,%r6,%r7;"
                      "ld.shared.v4.u32 {%r8,%r9,%r10,%r11},[%r6];"
                      "st.global.v4.u32 [%d4],{%r8,%r9,%r10,%r11};ret;}",
               1, 64, &p),
        SC_OK);
    for (int i = 0; i < 256; i++)
        assert_int_equal(o[i], (63 - i / 4) * 4 + i % 4);
    h_reset();
}

/* Blocks that wait for each other: all of them take turns. */
static void test_cooperative(void **state)
{
    (void)state;
    struct sc_module *m = h_load(SIMPLE(
        "mov.u32 %r10,%nctaid.x;mov.u32 %r11,0;add.u64 %d3,%d0,4000;\n"
        "L: bar.sync 0;setp.ne.u32 %p0,%r0,0;@%p0 bra W;\n"
        "membar.gl;atom.global.add.u32 %r4,[%d3],1;add.u32 %r5,%r11,1;mul.lo.u32 %r5,%r5,%r10;\n"
        "S: ld.volatile.global.u32 %r6,[%d3];setp.lt.u32 %p1,%r6,%r5;@%p1 bra S;\n"
        "W: bar.sync 0;add.u32 %r11,%r11,1;setp.lt.u32 %p2,%r11,5;@%p2 bra L;\n"
        "st.global.u32 [%d1],%r6;"));
    int *o = h_alloc(4004);
    struct {
        void *o;
    } p = {o};
    struct sc_launch l = h_launch(m, "k", 20, 40, &p);
    l.cooperative = true;
    assert_int_equal(sc_launch_run(&l, NULL), SC_OK);
    assert_int_equal(o[1000], 100);
    l.grid[0] = 1 << 20;
    assert_int_equal(sc_launch_run(&l, NULL), SC_ERR_INVALID);
    sc_module_destroy(m);
    h_reset();
}

/* --- calls ------------------------------------------------------------------------------------ */

#define FIB                                                                                        \
    ".func (.param .b32 r) fib(.param .b32 n){\n.reg .b32 %r<8>;.reg .pred %p;\n"                  \
    "ld.param.u32 %r0,[n];setp.lt.u32 %p,%r0,2;@%p bra B;\n"                                       \
    "sub.u32 %r1,%r0,1;{.param .b32 a;.param .b32 q;st.param.b32 [a],%r1;"                         \
    "call.uni (q),fib,(a);ld.param.b32 %r2,[q];}\n"                                                \
    "sub.u32 %r1,%r0,2;{.param .b32 a;.param .b32 q;st.param.b32 [a],%r1;"                         \
    "call.uni (q),fib,(a);ld.param.b32 %r3,[q];}\n"                                                \
    "add.u32 %r0,%r2,%r3;\nB: st.param.b32 [r],%r0;ret;}\n"

static void test_calls(void **state)
{
    (void)state;
    /* Recursion of different depth in each lane. */
    int *o = run_ints(H_HEAD FIB
                      ".visible .entry k(.param .u64 o){\n" START
                      "rem.u32 %r4,%r0,12;{.param .b32 a;.param .b32 q;st.param.b32 [a],%r4;"
                      "call.uni (q),fib,(a);ld.param.b32 %r5,[q];}st.global.u32 [%d1],%r5;ret;}",
                      2, 50, 100);
    static const int fib[] = {0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89};
    for (int i = 0; i < 100; i++)
        assert_int_equal(o[i], fib[i % 50 % 12]);
    h_reset();
    /* Registers as parameters, and an indirect call to two targets. */
    o = run_ints(H_HEAD
                 ".func (.reg .b32 %q) twice(.reg .b32 %a){shl.b32 %q,%a,1;ret;}\n"
                 ".func (.reg .b32 %q) plus(.reg .b32 %a){add.u32 %q,%a,1000;ret;}\n"
                 ".global .u64 table[2] = {twice, plus};\n"
                 ".visible .entry k(.param .u64 o){\n" START
                 "and.b32 %r4,%r0,1;mul.wide.u32 %d3,%r4,8;mov.u64 %d4,table;add.u64 %d4,%d4,%d3;"
                 "ld.global.u64 %d5,[%d4];\nP: .callprototype (.reg .b32 _) _ (.reg .b32 _);\n"
                 "call (%r5),%d5,(%r0),P;call (%r5),twice,(%r5);st.global.u32 [%d1],%r5;ret;}",
                 1, 50, 50);
    for (int i = 0; i < 50; i++)
        assert_int_equal(o[i], 2 * (i & 1 ? i + 1000 : 2 * i));
    h_reset();
}

static void test_bad_calls(void **state)
{
    (void)state;
    int *o = h_alloc(1024);
    struct {
        void *o;
    } p = {o};
    /* Endless recursion; a pointer that is no function. */
    assert_int_equal(h_once(H_HEAD
                            ".func f(){call f;ret;}\n.visible .entry k(.param .u64 o){call f;ret;}",
                            1, 32, &p),
                     SC_ERR_STACK);
    assert_int_equal(h_once(H_HEAD
                            ".visible .entry k(.param .u64 o){.reg .b64 %d;mov.u64 %d,4096;\n"
                            "P: .callprototype _ ();\ncall %d,P;ret;}",
                            1, 32, &p),
                     SC_ERR_TRAP);
    h_reset();
}

struct output {
    char text[4096];
    size_t n;
};

static void collect(void *opaque, const char *text, size_t len)
{
    struct output *t = opaque;
    assert_true(t->n + len < sizeof(t->text));
    memcpy(t->text + t->n, text, len);
    t->n += len;
}

static void test_printf(void **state)
{
    (void)state;
    struct output out = {{0}, 0};
    const char *ptx = H_HEAD
        ".extern .func (.param .b32 r) vprintf(.param .b64 a,.param .b64 b);\n"
        ".global .align 1 .b8 fmt[20] = "
        "{37,100,32,37,115,32,37,46,50,102,32,37,108,108,120,37,37,10,0};\n"
        ".global .align 1 .b8 str[3] = {104,105,0};\n"
        ".visible .entry k(.param .u64 o){\n.local .align 8 .b8 buf[32];.reg .b64 %b,%l;\n" START
        "mov.u64 %l,buf;cvta.local.u64 %b,%l;sub.u32 %r4,%r0,1;st.local.u32 [%l],%r4;"
        "mov.u64 %d3,str;st.local.u64 [%l+8],%d3;mov.u64 %d4,0d3FF8000000000000;"
        "st.local.u64 [%l+16],%d4;mov.u64 %d5,0xabcdef0123;st.local.u64 [%l+24],%d5;"
        "mov.u64 %d6,fmt;{.param .b64 a;.param .b64 b;.param .b32 q;st.param.b64 [a],%d6;"
        "st.param.b64 [b],%b;call.uni (q),vprintf,(a,b);ld.param.b32 %r5,[q];}ret;}";
    struct sc_module *m = h_load(ptx);
    struct {
        void *o;
    } p = {h_alloc(16)};
    struct sc_launch l = h_launch(m, "k", 1, 2, &p);
    l.print = collect;
    l.print_opaque = &out;
    assert_int_equal(sc_launch_run(&l, NULL), SC_OK);
    out.text[out.n] = 0;
    assert_string_equal(out.text, "-1 hi 1.50 abcdef0123%\n0 hi 1.50 abcdef0123%\n");
    sc_module_destroy(m);
    h_reset();
}

/* One vprintf by one thread, with the device's buffer of arguments; *result: what the kernel got
 * back. */
static const char *print_one(const char *format, const void *args, size_t size, int *result)
{
    static struct output out;
    struct sc_module *m = h_load(
        H_HEAD
        ".extern .func (.param .b32 r) vprintf(.param .b64 a,.param .b64 b);\n"
        ".visible .entry k(.param .u64 f,.param .u64 a,.param .u64 o){\n.reg .b64 %d<3>;.reg .b32 "
        "%r;\n"
        "ld.param.u64 %d0,[f];ld.param.u64 %d1,[a];ld.param.u64 %d2,[o];\n"
        "{.param .b64 x;.param .b64 y;.param .b32 q;st.param.b64 [x],%d0;st.param.b64 [y],%d1;\n"
        "call.uni (q),vprintf,(x,y);ld.param.b32 %r,[q];}st.global.u32 [%d2],%r;ret;}");
    struct {
        char *f;
        uint64_t *a;
        int *o;
    } p = {format ? h_alloc(strlen(format) + 1) : NULL, h_alloc(size), h_alloc(4)};
    struct sc_launch l = h_launch(m, "k", 1, 1, &p);

    if (format)
        strcpy(p.f, format);
    memcpy(p.a, args, size);
    out.n = 0;
    l.print = collect;
    l.print_opaque = &out;
    assert_int_equal(sc_launch_run(&l, NULL), SC_OK);
    out.text[out.n] = 0;
    *result = *p.o;
    sc_module_destroy(m);
    h_reset();
    return out.text;
}

/* It gives the number of arguments back, not of characters; what C's printf would take does no
 * harm. */
static void test_printf_result(void **state)
{
    const int two[] = {300, -3}, stars[] = {4, 7, 0, 0};
    const uint64_t null[] = {0, 0x12};
    int r;

    (void)state;
    assert_string_equal(print_one("plain%%", two, sizeof(two), &r), "plain%");
    assert_int_equal(r, 0);
    assert_string_equal(print_one("%d %d", two, sizeof(two), &r), "300 -3");
    assert_int_equal(r, 2);
    assert_string_equal(print_one("%hhu %hu", two, sizeof(two), &r), "44 65533");
    assert_int_equal(r, 2);
    assert_string_equal(print_one("%*d", stars, sizeof(stars), &r), "   7");
    assert_int_equal(r, 2);
    assert_string_equal(print_one("%s %6p", null, sizeof(null), &r), "(null)   0x12");
    assert_int_equal(r, 2);
    assert_string_equal(print_one("a %q %d", two, sizeof(two), &r), "a ");
    assert_string_equal(print_one("b %99999d", two, sizeof(two), &r), "b ");
    assert_string_equal(print_one(NULL, two, sizeof(two), &r), "");
    assert_int_equal(r, -1);
}

/* --- faults and limits ------------------------------------------------------------------------ */

static void test_faults(void **state)
{
    static const struct {
        const char *body;
        enum sc_status want;
        bool write;
    } cases[] = {
        {"ld.global.u32 %r4,[%d1];st.global.u32 [%d1+400],%r4;", SC_ERR_FAULT, true},
        {"ld.global.u32 %r4,[%d1+-4];", SC_ERR_FAULT, false},
        {"ld.global.u64 %d4,[%d1];", SC_ERR_MISALIGNED, false},
        {"mov.u64 %d4,0;ld.u32 %r4,[%d4];", SC_ERR_FAULT, false},
        {"mov.u64 %d4,0;st.global.u8 [%d4],%r4;", SC_ERR_FAULT, true},
        {"mov.u64 %d4,-1;ld.global.u8 %r4,[%d4];", SC_ERR_FAULT, false},
        {"mov.u64 %d4,-4;ld.global.v4.u32 {%r4,%r5,%r6,%r7},[%d4+4];", SC_ERR_FAULT, false},
        {"mov.u64 %d4,-4;atom.global.add.u32 %r4,[%d4],1;", SC_ERR_FAULT, true},
        /* Lane 0 at the memory's start less the offset, lane 1 just below 2^64, others outside: the
           distance and an element are 2^64. */
        {"setp.eq.u32 %p1,%r0,1;selp.u64 %d4,-4,0x7ff000,%p1;setp.eq.u32 %p1,%r0,0;selp.u64 "
         "%d4,0,%d4,%p1;ld.shared.u32 %r4,[%d4+4];",
         SC_ERR_FAULT, false},
        {"setp.eq.u32 %p1,%r0,1;selp.u64 %d4,-4,0x7ff000,%p1;setp.eq.u32 %p1,%r0,0;selp.u64 "
         "%d4,0,%d4,%p1;st.shared.u32 [%d4+4],%r4;",
         SC_ERR_FAULT, true},
        {"mov.u32 %r4,-4;ld.shared.u32 %r5,[%r4];", SC_ERR_FAULT, false},
        {"mov.u32 %r4,4;ld.shared.u32 %r5,[%r4+-8];", SC_ERR_FAULT, false},
        {"mov.u32 %r4,64;st.shared.u32 [%r4],%r5;", SC_ERR_FAULT, true},
        {"mov.u64 %d4,0x0200000000000000;ld.u32 %r4,[%d4];", SC_ERR_FAULT, false},
        {"mov.u64 %d4,0x0300000000000004;st.u32 [%d4],%r4;", SC_ERR_FAULT, true},
        {"mov.u64 %d4,0x0300000000000008;ld.u32 %r4,[%d4];", SC_ERR_FAULT, false},
        {"mov.u64 %d4,0x0500000000000000;ld.u32 %r4,[%d4];", SC_ERR_FAULT, false},
        {"trap;", SC_ERR_TRAP, false},
    };
    (void)state;
    for (unsigned k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        char ptx[2048];
        int *o = h_alloc(200);
        /* 50 threads of one int each: exactly what is there. %r1 = 0 makes %d1 the start. */
        snprintf(ptx, sizeof(ptx),
                 H_HEAD ".visible .entry k(.param .u64 o){\n.shared .b32 s[16];\n"
                        "%s mov.u32 %%r5,s;mov.u32 %%r4,1;\n%s\nret;}\n",
                 START, cases[k].body);
        struct {
            void *o;
        } p = {o};
        struct sc_module *m = h_load(ptx);
        enum sc_status st = h_run(m, "k", 1, 50, &p);
        if (st != cases[k].want)
            print_error("%s\n", cases[k].body);
        assert_int_equal(st, cases[k].want);
        assert_int_equal(h_fault.line, 9);
        assert_int_equal(h_fault.write, cases[k].write);
        sc_module_destroy(m);
        h_reset();
    }
}

static void test_read_only(void **state)
{
    (void)state;
    int *o = h_alloc(128);
    struct {
        void *o;
    } p = {o};
    h_range[0].writable = false;
    assert_int_equal(h_once(SIMPLE("ld.global.u32 %r4,[%d1];"), 1, 32, &p), SC_OK);
    assert_int_equal(h_once(SIMPLE("st.global.u32 [%d1],1;"), 1, 32, &p), SC_ERR_FAULT);
    assert_int_equal(h_once(SIMPLE("red.global.add.u32 [%d1],1;"), 1, 32, &p), SC_ERR_FAULT);
    /* Twice through one address register: the shape that is kept knows it too. */
    assert_int_equal(h_once(SIMPLE("ld.global.u32 %r4,[%d1];st.global.u32 [%d1],%r4;"), 1, 32, &p),
                     SC_ERR_FAULT);
    assert_int_equal(o[0], 0);
    h_reset();
}

/* The fault names block and thread. */
static void test_fault_place(void **state)
{
    (void)state;
    int *o = h_alloc(64 * 3 * 4);
    struct {
        void *o;
    } p = {o};
    struct sc_module *m =
        h_load(SIMPLE("setp.eq.u32 %p0,%r1,170;@!%p0 bra E;\n"
                      "st.global.u32 [%d1+4096],%r0;\nE: st.global.u32 [%d1],1;"));
    assert_int_equal(h_run(m, "k", 3, 64, &p), SC_ERR_FAULT);
    assert_int_equal(h_fault.block[0], 2);
    assert_int_equal(h_fault.thread[0], 42);
    assert_int_equal(h_fault.address, (uintptr_t)(o + 170) + 4096);
    assert_int_equal(h_fault.size, 4);
    sc_module_destroy(m);
    h_reset();
}

static void test_timeout(void **state)
{
    static const char *const bodies[] = {
        "L: bra L;",
        "L: add.u32 %r4,%r4,1;setp.ne.u32 %p0,%r4,-1;@%p0 bra L;bra L;",
        "L: ld.volatile.global.u32 %r4,[%d0];setp.eq.u32 %p0,%r4,0;@%p0 bra L;",
        "and.b32 %r4,%r0,1;setp.eq.u32 %p0,%r4,0;@%p0 bra M;\nL: bra L;\nM: bra M;",
        "T: .branchtargets L;\nmov.u32 %r4,0;\nL: brx.idx %r4,T;",
        "setp.lt.u32 %p0,%r0,32;@%p0 bar.sync 1;bar.sync 0;", /* never complete */
        "L: bar.sync 0;bra L;",
    };
    (void)state;
    for (unsigned k = 0; k < sizeof(bodies) / sizeof(bodies[0]); k++) {
        char ptx[2048];
        int *o = h_alloc(256 * 4);
        snprintf(ptx, sizeof(ptx), "%s%s\nret;}\n", KERNEL(".param .u64 o") START, bodies[k]);
        struct {
            void *o;
        } p = {o};
        struct sc_module *m = h_load(ptx);
        struct sc_launch l = h_launch(m, "k", 2, 64, &p);
        l.timeout_ns = 50000000;
        assert_int_equal(sc_launch_run(&l, NULL), SC_ERR_TIMEOUT);
        sc_module_destroy(m);
        h_reset();
    }
}

/* Exponentially many calls without a backward branch. */
static void test_timeout_of_calls(void **state)
{
    (void)state;
    static char ptx[8192];
    size_t n = (size_t)snprintf(ptx, sizeof(ptx), H_HEAD ".func f0(){ret;}\n");
    for (int i = 1; i < 40; i++)
        n += (size_t)snprintf(ptx + n, sizeof(ptx) - n, ".func f%d(){call f%d;call f%d;ret;}\n", i,
                              i - 1, i - 1);
    snprintf(ptx + n, sizeof(ptx) - n, ".visible .entry k(){call f39;ret;}\n");
    struct sc_module *m = h_load(ptx);
    struct sc_launch l = h_launch(m, "k", 1, 32, NULL);
    l.timeout_ns = 50000000;
    assert_int_equal(sc_launch_run(&l, NULL), SC_ERR_TIMEOUT);
    sc_module_destroy(m);
}

/* Nearly no work per block, but blocks without end. */
/* Two threads look at the clock; the one that looked later is the first to store it as the start.
 */
static void test_timeout_started_later(void **state)
{
    (void)state;
    struct sc_launch l = {.timeout_ns = 50000000};
    struct job j = {.launch = &l, .start_ns = xg_now_ns() + 1000000000};
    assert_int_equal(sc_job_check(&j), SC_OK);
    j.start_ns -= 2000000000;
    assert_int_equal(sc_job_check(&j), SC_ERR_TIMEOUT);
}

static void test_timeout_of_blocks(void **state)
{
    (void)state;
    struct sc_module *m = h_load(H_HEAD ".visible .entry k(){ret;}\n");
    struct sc_launch l = h_launch(m, "k", INT32_MAX, 32, NULL);
    l.grid[1] = l.grid[2] = 65535;
    l.timeout_ns = 50000000;
    assert_int_equal(sc_launch_run(&l, NULL), SC_ERR_TIMEOUT);
    l.grid[0] = l.grid[1] = l.grid[2] = UINT32_MAX;
    assert_int_equal(sc_launch_run(&l, NULL), SC_ERR_INVALID);
    sc_module_destroy(m);
}

/* What is known of one group's addresses must not end up in registers of lanes that are elsewhere.
 */
static void test_shapes_and_divergence(void **state)
{
    (void)state;
    int *o =
        run_ints(SIMPLE("and.b32 %r4,%r0,1;setp.eq.u32 %p0,%r4,0;mul.lo.u32 %r5,%r0,3;\n"
                        "@%p0 bra A;\n"
                        "ld.global.u32 %r6,[%d1];ld.global.u32 %r7,[%d1+512];add.u32 %r6,%r6,%r7;"
                        "st.global.u32 [%d1+512],%r6;bra B;\n"
                        "A: add.u32 %r8,%r5,1;add.u32 %r9,%r5,2;add.u32 %r10,%r5,3;"
                        "add.u32 %r11,%r5,4;bar.warp.sync 0x55555555;add.u32 %r5,%r8,%r9;"
                        "add.u32 %r5,%r5,%r10;add.u32 %r5,%r5,%r11;\n"
                        "B: st.global.u32 [%d1],%r5;"),
                 1, 64, 256);
    for (int i = 0; i < 64; i++)
        assert_int_equal(o[i], i & 1 ? 3 * i : 12 * i + 10);
    h_reset();
}

static _Atomic int stop;

static void *stopper(void *unused)
{
    usleep(30000);
    stop = 1;
    return unused;
}

static void test_abort(void **state)
{
    (void)state;
    struct sc_module *m = h_load(SIMPLE("L: bra L;"));
    struct {
        void *o;
    } p = {h_alloc(16)};
    struct sc_launch l = h_launch(m, "k", 4, 64, &p);
    pthread_t t;
    l.timeout_ns = 0;
    l.abort = &stop;
    pthread_create(&t, NULL, stopper, NULL);
    assert_int_equal(sc_launch_run(&l, NULL), SC_ERR_ABORTED);
    pthread_join(t, NULL);
    sc_module_destroy(m);
    h_reset();
}

static void test_launch_checks(void **state)
{
    (void)state;
    struct sc_module *m = h_load(H_HEAD ".visible .entry k() .maxntid 64,1,1 {ret;}\n");
    struct sc_launch l = h_launch(m, "k", 1, 64, NULL);
    assert_int_equal(sc_launch_run(&l, NULL), SC_OK);
    l.block[0] = 65;
    assert_int_equal(sc_launch_run(&l, NULL), SC_ERR_INVALID);
    l.block[0] = 0;
    assert_int_equal(sc_launch_run(&l, NULL), SC_ERR_INVALID);
    l.block[0] = 8;
    l.grid[2] = 0;
    assert_int_equal(sc_launch_run(&l, NULL), SC_ERR_INVALID);
    sc_module_destroy(m);
}

struct caller {
    struct sc_module *m;
    int *o;
    enum sc_status st;
};

static void *call_often(void *opaque)
{
    struct caller *c = opaque;
    struct {
        void *o;
    } p = {c->o};
    for (int i = 0; i < 40 && !c->st; i++) {
        struct sc_launch l = h_launch(c->m, "k", 200, 64, &p);
        c->st = sc_launch_run(&l, NULL);
    }
    return NULL;
}

/* Several threads launch at once and share the pool. */
static void test_concurrent_launches(void **state)
{
    enum { CALLERS = 3 };
    struct caller c[CALLERS];
    pthread_t t[CALLERS];
    (void)state;
    struct sc_module *m =
        h_load(SIMPLE("mov.u32 %r4,0;\nL: add.u32 %r4,%r4,1;setp.lt.u32 %p0,%r4,50;@%p0 bra L;\n"
                      "red.global.add.u32 [%d0],%r4;"));
    for (int i = 0; i < CALLERS; i++) {
        c[i] = (struct caller){m, h_alloc(64), SC_OK};
    }
    for (int i = 0; i < CALLERS; i++)
        pthread_create(&t[i], NULL, call_often, &c[i]);
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(t[i], NULL);
        assert_int_equal(c[i].st, SC_OK);
        assert_int_equal(c[i].o[0], 40 * 200 * 64 * 50);
    }
    sc_module_destroy(m);
    h_reset();
}

/* Loads, loads and a multiply-add in a row are done as one: the same numbers, and the same faults.
 */
static void test_fused_chain(void **state)
{
    (void)state;
    const char *ptx = H_HEAD
        ".visible .entry k(.param .u64 o,.param .u32 shift){\n.shared .align 4 .b8 s[1024];\n" START
        "ld.param.u32 %r10,[shift];mov.u32 %r4,s;shl.b32 %r5,%r0,2;add.u32 %r6,%r4,%r5;"
        "cvt.rn.f32.u32 %f0,%r0;st.shared.f32 [%r6],%f0;bar.sync 0;and.b32 %r7,%r0,16;shl.b32 "
        "%r7,%r7,2;"
        "add.u32 %r7,%r7,%r4;add.u32 %r7,%r7,%r10;mov.f32 %f1,0f00000000;\n"
        "ld.shared.f32 %f2,[%r6];ld.shared.f32 %f3,[%r7];fma.rn.f32 %f4,%f2,%f3,%f1;\n"
        "ld.shared.f32 %f5,[%r6+64];ld.shared.f32 %f6,[%r7+4];fma.rn.f32 %f7,%f6,%f5,%f4;\n"
        "ld.shared.f32 %f8,[%r6+128];ld.shared.f32 %f9,[%r7+8];fma.rn.f32 %f10,%f8,%f9,%f7;\n"
        "st.global.f32 [%d1],%f10;ret;}";
    struct sc_module *m = h_load(ptx);
    float *o = h_alloc(256 * 4);
    struct {
        void *o;
        unsigned shift;
    } p = {o, 0};
    for (unsigned block = 20; block <= 224; block += 68) {
        assert_int_equal(h_run(m, "k", 1, block, &p), SC_OK);
        for (unsigned i = 0; i < block && block == 224; i++) {
            float want = 0;
            for (unsigned k = 0; k < 3 && i + 32 < block; k++)
                want += (float)(i + 16 * k) * (float)((i & 16) + k);
            if (i + 32 < block)
                assert_true(o[i] == want);
        }
    }
    p.shift = 2;
    assert_int_equal(h_run(m, "k", 1, 64, &p), SC_ERR_MISALIGNED);
    assert_int_equal(h_fault.line, 9);
    p.shift = 1020 - 64;
    assert_int_equal(h_run(m, "k", 1, 64, &p), SC_ERR_FAULT);
    assert_int_equal(h_fault.line, 10);
    sc_module_destroy(m);
    h_reset();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_divergence),
        cmocka_unit_test(test_reconvergence),
        cmocka_unit_test(test_guards),
        cmocka_unit_test(test_brx),
        cmocka_unit_test(test_special_registers),
        cmocka_unit_test(test_access_patterns),
        cmocka_unit_test(test_window_wrap),
        cmocka_unit_test(test_round_the_end),
        cmocka_unit_test(test_sign_extension),
        cmocka_unit_test(test_variables),
        cmocka_unit_test(test_dynamic_shared),
        cmocka_unit_test(test_shuffles),
        cmocka_unit_test(test_votes),
        cmocka_unit_test(test_sync_across_branches),
        cmocka_unit_test(test_shuffle_from_inactive),
        cmocka_unit_test(test_failed_assert),
        cmocka_unit_test(test_barriers),
        cmocka_unit_test(test_barrier_after_exit),
        cmocka_unit_test(test_named_barriers),
        cmocka_unit_test(test_barrier_reductions),
        cmocka_unit_test(test_spin_between_warps),
        cmocka_unit_test(test_lock_within_warp),
        cmocka_unit_test(test_atomics),
        cmocka_unit_test(test_mbarrier),
        cmocka_unit_test(test_cp_async),
        cmocka_unit_test(test_cooperative),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_bad_calls),
        cmocka_unit_test(test_printf),
        cmocka_unit_test(test_printf_result),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_fault_place),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_timeout_of_calls),
        cmocka_unit_test(test_timeout_of_blocks),
        cmocka_unit_test(test_timeout_started_later),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_launch_checks),
        cmocka_unit_test(test_concurrent_launches),
        cmocka_unit_test(test_fused_chain),
        cmocka_unit_test(test_shapes_and_divergence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
