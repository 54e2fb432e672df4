/* What the PTX parser takes, what it refuses, and on which line it says so. */
/* links: obj/libscptx.a -lcmocka -lm */
#include "tests/unit/ptx_harness.h"
#include "tests/unit/ptx_sample.h"

#define BODY(text)                                                                                 \
    H_HEAD ".visible .entry k(.param .u64 o)\n{\n.reg .b32 %r<4>;.reg .b64 %d<4>;"                 \
           ".reg .pred %p<4>;.reg .b16 %h<2>;\n" text "\nret;\n}\n"

static void test_sample(void **state)
{
    (void)state;
    struct sc_module *m = h_load(ptx_sample);
    assert_int_equal(sc_module_func_count(m), 1);
    const struct sc_func_info *i = sc_func_info(sc_module_find(m, "k"));
    assert_string_equal(i->name, "k");
    assert_int_equal(i->param_count, 2);
    assert_int_equal(i->params[0].offset, 0);
    assert_int_equal(i->params[0].size, 8);
    assert_int_equal(i->params[1].offset, 8);
    assert_int_equal(i->params[1].size, 4);
    assert_int_equal(i->param_bytes, 12);
    assert_int_equal(i->static_shared, 512);
    assert_int_equal(i->max_threads, 128);
    assert_int_equal(i->ptx_version, 78);
    assert_int_equal(i->target, 80);
    assert_true(i->local_bytes >= 32);
    assert_true(i->registers > 0);
    assert_int_equal(sc_module_var_count(m), 4);
    assert_string_equal(sc_module_var(m, 1)->name, "half");
    assert_true(sc_module_var(m, 1)->constant);
    assert_int_equal(sc_module_var(m, 0)->size, 16);
    assert_null(sc_module_find(m, "rec"));
    assert_null(sc_module_func(m, 1));
    sc_module_destroy(m);
    h_reset();
}

static void test_param_layout(void **state)
{
    (void)state;
    struct sc_module *m =
        h_load(H_HEAD ".visible .entry k(.param .u8 a,.param .u16 b,.param .align 16 .b8 c[20],"
                      ".param .f64 d,.param .align 1 .b8 e[3]){ret;}\n");
    static const struct sc_param want[] = {{0, 1}, {2, 2}, {16, 20}, {40, 8}, {48, 3}};
    const struct sc_func_info *i = sc_func_info(sc_module_func(m, 0));
    assert_int_equal(i->param_count, 5);
    assert_memory_equal(i->params, want, sizeof(want));
    assert_int_equal(i->param_bytes, 51);
    sc_module_destroy(m);
}

/* A variable that two kernels share has one place; others overlap. */
static void test_shared_layout(void **state)
{
    (void)state;
    struct sc_module *m =
        h_load(H_HEAD ".shared .align 4 .b8 a[100];.shared .align 8 .b8 b[1000];\n"
                      ".func f(){.reg .b32 %r;mov.u32 %r,a;ret;}\n"
                      ".visible .entry k1(){call f;ret;}\n"
                      ".visible .entry k2(){.reg .b32 %r;mov.u32 %r,b;ret;}\n"
                      ".visible .entry k3(){.reg .b32 %r;mov.u32 %r,b;call f;ret;}\n"
                      ".visible .entry k4(){ret;}\n");
    assert_int_equal(sc_func_info(sc_module_find(m, "k1"))->static_shared, 100);
    assert_int_equal(sc_func_info(sc_module_find(m, "k3"))->static_shared, 1104);
    assert_int_equal(sc_func_info(sc_module_find(m, "k4"))->static_shared, 0);
    sc_module_destroy(m);
}

/* The module loads, and its kernel k cannot be launched. */
enum { REFUSED = -1 };

static const struct {
    const char *ptx;
    int st;
    unsigned line;
    const char *word;
} bad[] = {
    {"", SC_ERR_SYNTAX, 1, ".version"},
    {"hello", SC_ERR_SYNTAX, 1, "hello"},
    {"\n\n.target sm_80", SC_ERR_SYNTAX, 3, ".version"},
    {".version 7.8\n.target sm_80\n.address_size 32\n", SC_ERR_UNSUPPORTED, 3, "address_size"},
    {H_HEAD ".texref t;", SC_ERR_UNSUPPORTED, 4, ".texref"},
    {H_HEAD ".global .b32 x[1099511627777];", SC_ERR_UNSUPPORTED, 4, "x"},
    {H_HEAD ".global .b64 x[1048576][1048576][1048576];", SC_ERR_UNSUPPORTED, 4, "too large"},
    {H_HEAD ".global .b32 x;\n.global .b32 x;", SC_ERR_SYNTAX, 5, "twice"},
    {H_HEAD ".global .b32 x[2] = {1,2,3};", SC_ERR_SYNTAX, 4, "more initial values"},
    {H_HEAD ".global .b32 x = y;", SC_ERR_SYNTAX, 4, "y"},
    {H_HEAD ".visible .entry k()\n{\n", SC_ERR_SYNTAX, 6, "end of text"},
    {H_HEAD ".visible .entry k();\n", SC_ERR_SYNTAX, 4, "body"},
    {H_HEAD ".visible .entry k(){ret;}\n.visible .entry k(){ret;}\n", SC_ERR_SYNTAX, 5, "k"},
    {H_HEAD ".func f();\n.visible .entry k(){call f;ret;}\n", SC_ERR_UNRESOLVED, 4, "f"},
    {H_HEAD ".func f(.param .b32 a){ret;}\n.visible .entry k(){call f;ret;}\n", SC_ERR_SYNTAX, 5,
     "f"},
    {BODY("frobnicate.u32 %r0,%r1;"), REFUSED, 7, "frobnicate"},
    {BODY("add.u32.zebra %r0,%r1,%r2;"), REFUSED, 7, "zebra"},
    {BODY("add.u32 %r0,%r1;"), SC_ERR_SYNTAX, 7, "operands"},
    {BODY("add.u32 %r0,%r1,%r2"), SC_ERR_SYNTAX, 8, "ret"},
    {BODY("\n\nadd.u32 %r0,%r1,%r9;"), REFUSED, 9, "%r9"},
    {BODY("add.u32 %r0,%r1,%d1;"), SC_ERR_SYNTAX, 7, "%d1"},
    {BODY("add.u32 %d0,%r1,%r1;"), SC_ERR_SYNTAX, 7, "%d0"},
    {BODY("add.u32 5,%r1,%r1;"), SC_ERR_SYNTAX, 7, "register"},
    {BODY("setp.eq.u32 %r0,%r1,%r1;"), SC_ERR_SYNTAX, 7, "%r0"},
    {BODY("@%r0 ret;"), SC_ERR_SYNTAX, 7, "predicate"},
    {BODY("bra NOWHERE;"), SC_ERR_SYNTAX, 7, "NOWHERE"},
    {BODY("bra %r0;"), SC_ERR_SYNTAX, 7, "label"},
    {BODY("A: bar.sync 0;\nA: bar.sync 0;"), SC_ERR_SYNTAX, 8, "A"},
    {BODY("{A: bar.sync 0;}\nbra A;"), SC_ERR_SYNTAX, 8, "A"},
    {BODY("mov.u32 %r0,%nothing;"), REFUSED, 7, "%nothing"},
    {BODY("mov.u32 %r0,nothing;"), SC_ERR_SYNTAX, 7, "nothing"},
    {BODY("ld.global.u32 %r0,%d0;"), SC_ERR_SYNTAX, 7, "[]"},
    {BODY("ld.param.u32 %r0,[o+8];"), SC_ERR_SYNTAX, 7, "o"},
    {BODY("ld.param.u64 %d0,[o+-4];"), SC_ERR_SYNTAX, 7, "o"},
    {BODY("st.param.u64 [o],%d0;"), SC_ERR_SYNTAX, 7, "parameters"},
    {BODY("ld.global.u32 %r0,[o];"), SC_ERR_SYNTAX, 7, "o"},
    {BODY("ld.global.v4.u32 {%r0,%r1},[%d0];"), SC_ERR_SYNTAX, 7, "vector"},
    {BODY("ld.global.u32 %r0,[%d0+99999999999];"), SC_ERR_SYNTAX, 7, "range"},
    {BODY("mov.u32 %r0,0x123456789abcdef01;"), SC_ERR_SYNTAX, 7, "0x123456789abcdef01"},
    {BODY("mov.f32 %r0,0f12;"), SC_ERR_SYNTAX, 7, "0f12"},
    {BODY("tex.2d.v4.f32.f32 {%r0,%r1,%r2,%r3},[o,{%r0,%r1}];"), REFUSED, 7, "tex.2d.v4"},
    {BODY("wmma.load.a.sync.aligned.row.m16n16k16.f16 {%r0},[%d0];"), REFUSED, 7, "wmma"},
    {BODY(".reg .b32 %r<4>;\n.reg .b32 %r<4>;"), SC_ERR_SYNTAX, 7, "%r"},
    {BODY(".reg .b32 %x<99999999>;"), REFUSED, 7, "registers"},
    {BODY(".local .b8 l[99999999];"), REFUSED, 7, "local"},
    {BODY("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
          "{%r0,%r0,%r0,%r0},{%r1,%r1},{%r2},{%r0,%r0,%r0,%r0};"),
     REFUSED, 7, "mma.sync.aligned.m16n8k8"},
    {BODY("strange.op <%r0>, [[%d0]];\nadd.u32 %r0,%r1;"), REFUSED, 7,
     "strange.op"}, /* what is behind is not looked at */
    {BODY("strange.op %r0;\n{ strange {%r0,%r1};"), SC_ERR_SYNTAX, 11,
     "'}'"}, /* but for its braces */
    {H_HEAD ".visible .entry k(){.shared .b8 s[50000];st.shared.u8 [s],1;ret;}\n", REFUSED, 4,
     "50000 bytes of shared"},
    {BODY("call (%r0),%r1,(%r2);"), SC_ERR_SYNTAX, 7, "function"},
    {BODY("brx.idx %r0,%r1;"), SC_ERR_SYNTAX, 7, "branchtargets"},
    {BODY("shfl.sync.sideways.b32 %r0,%r1,1,31,-1;"), REFUSED, 7, "shfl"},
    {BODY("\x01"), SC_ERR_SYNTAX, 7, "statement"},
    {BODY("\"abc"), SC_ERR_SYNTAX, 7, "statement"},
};

static void test_bad(void **state)
{
    (void)state;
    for (unsigned n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
        struct sc_module *m = (void *)1;
        char line[32];
        int st = (int)sc_module_create(bad[n].ptx, strlen(bad[n].ptx), h_log, sizeof(h_log), &m);
        const char *text = h_log, head[] = "kernel 'k' cannot be used: ";
        if (st == SC_OK) {
            st = sc_func_info(sc_module_find(m, "k"))->refused ? REFUSED : SC_OK;
            if (strncmp(h_log, head, strlen(head)))
                fail_msg("%s\n-> loaded, %s\n", bad[n].ptx, h_log);
            text += strlen(head);
            sc_module_destroy(m);
            m = NULL; /* on failure it must be that already */
        }
        snprintf(line, sizeof(line), "ptx line %u: ", bad[n].line);
        if (st != bad[n].st || strncmp(text, line, strlen(line)) || !strstr(text, bad[n].word))
            fail_msg("%s\n-> %d %s\n", bad[n].ptx, st, h_log);
        assert_null(m);
    }
}

/* What softcuda does not have costs the kernels that come to it, and no other one. */
static void test_refused(void **state)
{
    static const struct {
        const char *name, *why; /* NULL: can be used */
    } want[] = {
        {"plain", NULL},
        {"own", "ptx line 12: 'wmma.mma.sync'"},
        {"after", NULL},
        {"caller", "ptx line 6: 'tcgen05.ld'"},
        {"twice", "in function 'deep', which it calls"},
        {"indirect", "ptx line 6: 'tcgen05.ld'"},
        {"textured", "ptx line 22: 'tex.1d.v4.f32.s32'"},
    };
    (void)state;
    struct sc_module *m = h_load(
        H_HEAD
        ".func deep() {\n.local .b32 l[4];\ntcgen05.ld %r0, [ {x} ]; }\n"
        ".func hop() { call deep; ret; }\n"
        ".visible .entry plain(.param .u64 o) {.reg .b64 %d;ld.param.u64 %d,[o];st.global.u32 "
        "[%d],7;ret;}\n"
        ".global .u64 table = deep;\n"
        ".visible .entry own(.param .u64 o, .param .u16 h) {\n"
        ".reg .b32 %r<9>;.shared .b32 s[100];.reg .b64 %d;mov.u64 %d,table;call hop;add.u32 "
        "%r0,s,%r2;\n"
        "wmma.mma.sync {%r0},{%r1},{%r2},{%r3};\nL: bra M;}\n"
        ".visible .entry after(.param .u64 o) {.reg .b32 %r;.reg .b64 %d;.shared .b32 s[10];\n"
        "ld.param.u64 %d,[o];mov.u32 %r,8;st.shared.u32 [s],%r;ld.shared.u32 %r,[s];st.global.u32 "
        "[%d],%r;ret;}\n"
        ".visible .entry caller() { call deep; ret; }\n"
        ".visible .entry twice() {.shared .b8 big[9000]; call hop; ret; }\n"
        ".visible .entry indirect() { .reg .b64 %d; P: .callprototype _ (); ld.global.u64 "
        "%d,[table];call %d,P; ret; }\n"
        ".visible .global .texref picture;\n.global .samplerref how = { addr_mode_0 = wrap, "
        "filter_mode = nearest };\n"
        ".visible .entry textured() {.reg .f32 %f<4>;.reg .s32 %r;\n"
        "tex.1d.v4.f32.s32 {%f0,%f1,%f2,%f3}, [picture, {%r}];ret;}\n");
    int *o = h_alloc(4);
    for (unsigned n = 0; n < sizeof(want) / sizeof(want[0]); n++) {
        const char *why = sc_func_info(sc_module_find(m, want[n].name))->refused;
        if (!why != !want[n].why || (why && !strstr(why, want[n].why)))
            fail_msg("%s: %s", want[n].name, why ? why : "can be used");
        assert_int_equal(h_run(m, want[n].name, 1, 1, &o), why ? SC_ERR_UNSUPPORTED : SC_OK);
    }
    assert_int_equal(*o, 8);
    assert_int_equal(sc_func_info(sc_module_find(m, "own"))->param_bytes,
                     10); /* it is still described */
    sc_module_destroy(m);
    h_reset();
}

/* A variable that is only declared may be placed where it is already; until then it is missing, and
 * its memory is not written. */
static void test_external(void **state)
{
    static const char ptx[] = H_HEAD ".extern .global .b32 x;\n.global .b64 p = x;\n";
    uint32_t x = 77;
    uint64_t p = 0;
    struct sc_module *m;

    (void)state;
    assert_int_equal(sc_module_create(ptx, strlen(ptx), h_log, sizeof(h_log), &m), SC_OK);
    assert_true(sc_module_var(m, 0)->external && !sc_module_var(m, 1)->external);
    assert_int_equal(sc_module_resolved(m, h_log, sizeof(h_log)), SC_ERR_UNRESOLVED);
    assert_non_null(strstr(h_log, "ptx line 4: extern variable 'x'"));
    sc_module_place(m, 1, &p);
    assert_int_equal(sc_module_link(m, h_log, sizeof(h_log)), SC_ERR_UNRESOLVED);
    sc_module_place(m, 0, &x);
    assert_int_equal(sc_module_link(m, h_log, sizeof(h_log)), SC_OK);
    assert_int_equal(p, (uintptr_t)&x);
    assert_int_equal(x, 77);
    sc_module_destroy(m);
}

static const char *const good[] = {
    BODY("{L: bra L;} {L: bra L;}"), /* labels are of their scope */
    BODY("bra X;{.reg .b32 %r0;mov.u32 %r0,1;}X:"),
    BODY("mov.u32 %r0,%tid.x;mov.u16 %h0,%ctaid.y;cvt.u64.u32 %d0,%ntid.z;mov.u64 %d1,%clock64;"),
    BODY("setp.lt.s32 _|%p1,%r0,%r1;mov.b64 {%r0,_},%d0;"),
    BODY("add.u32 %r0,%r1,0x7U;add.u32 %r0,%r1,0b101;add.u32 %r0,%r1,017;add.s32 %r0,%r1,-3;"),
    BODY("ld.global.L1::no_allocate.L2::128B.v2.u32 {%r0,%r1},[%d0+-8];"),
    BODY("st.volatile.global.u8 [%d0],%r0;ld.relaxed.gpu.global.u32 %r1,[%d0];"),
    BODY("membar.sys;fence.acq_rel.gpu;griddepcontrol.wait;nanosleep.u32 %r0;prefetch.global.L2 "
         "[%d0];"),
    BODY("/* a\nb */ mov.u32 %r0,1; // end"),
    BODY(".pragma \"nounroll\";\n.loc 1 2 3, function_name $L, inlined_at 1 2 3"),
    BODY("add.cc.u32 %r0,%r1,%r2;addc.cc.u32 %r0,%r1,%r2;addc.u32 %r0,%r1,%r2;"),
    BODY("bar.red.popc.u32 %r0,1,64,!%p0;barrier.sync.aligned 2;barrier.cta.arrive 3,%r0;"),
    BODY("mov.u32 %r0,WARP_SZ;mov.u32 %r1,%lanemask_gt;mov.u32 %r2,%envreg7;"),
    H_HEAD ".section .debug_str { .b8 1,2,3 \n A: .b32 B+4 }\n.visible .entry k(){ret;}\n",
    H_HEAD ".visible .entry k() .reqntid 32,1,1 .minnctapersm 2 .maxnreg 64 {}\n",
    H_HEAD ".weak .func (.param .align 8 .b8 r[16]) f(.param .align 4 .b8 a[12],.param .b64 b)\n"
           ".noreturn {trap;}\n",
    H_HEAD ".visible .global .attribute(.managed) .align 4 .u32 x = 5;\n",
    H_HEAD ".weak .global .u32 x;\n.weak .global .u32 x;\n",
    H_HEAD ".extern .global .u32 x;\n.visible .global .u32 x = 3;\n",
};

static void test_good(void **state)
{
    (void)state;
    for (unsigned n = 0; n < sizeof(good) / sizeof(good[0]); n++) {
        struct sc_module *m = h_load(good[n]);
        sc_module_destroy(m);
        h_reset();
    }
}

/* A declaration after the definition changes nothing: the body's frame stays as large as it is. */
static void test_late_declaration(void **state)
{
    (void)state;
    struct sc_module *m =
        h_load(H_HEAD ".func f(.param .b32 a){.local .align 8 .b8 l[4096];.reg .b32 %r;"
                      "st.local.u32 [l+4092],%r;ret;}\n.func f(.param .b32 a);\n"
                      ".visible .entry k(){.param .b32 a;call f,(a);ret;}\n");
    assert_true(sc_func_info(sc_module_func(m, 0))->local_bytes >= 4100);
    assert_int_equal(h_run(m, "k", 2, 64, NULL), SC_OK);
    sc_module_destroy(m);
}

/* The text needs no NUL, and a short log is cut, not overrun. */
static void test_bounds_of_buffers(void **state)
{
    (void)state;
    size_t n = strlen(ptx_sample);
    char *copy = malloc(n);
    struct sc_module *m;
    memcpy(copy, ptx_sample, n);
    assert_int_equal(sc_module_create(copy, n, NULL, 0, &m), SC_OK);
    sc_module_destroy(m);
    char log[12] = "###########";
    assert_int_equal(sc_module_create(copy, n - 2, log, 8, &m), SC_ERR_SYNTAX);
    assert_int_equal(strlen(log), 7);
    assert_int_equal(log[8], '#');
    assert_null(m);
    free(copy);
}

static void test_unplaced(void **state)
{
    (void)state;
    struct sc_module *m;
    assert_int_equal(sc_module_create(ptx_sample, strlen(ptx_sample), h_log, sizeof(h_log), &m),
                     SC_OK);
    assert_int_equal(sc_module_link(m, h_log, sizeof(h_log)), SC_ERR_INVALID);
    assert_non_null(strstr(h_log, "tab"));
    sc_module_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample),        cmocka_unit_test(test_param_layout),
        cmocka_unit_test(test_shared_layout), cmocka_unit_test(test_bad),
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_external),
        cmocka_unit_test(test_good),          cmocka_unit_test(test_bounds_of_buffers),
        cmocka_unit_test(test_unplaced),      cmocka_unit_test(test_late_declaration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
