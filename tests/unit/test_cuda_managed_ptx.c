/* PTX whose managed variables are taken out: what remains, what was found, and what is left alone.
 */
/* with: interposer/cuda/managed_ptx.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "interposer/cuda/managed_ptx.h"

#define HEAD ".version 7.8\n.target sm_80\n.address_size 64\n"

static char *text;
static struct cu_managed_decl *decl;
static unsigned count;

/* With addresses 0x7f0000001000, 0x7f0000002000, ... */
static int rewrite(const char *ptx)
{
    cu_managed_decls_free(decl, count);
    free(text);
    text = NULL;
    int err = cu_managed_find_all(ptx, strlen(ptx), &decl, &count);
    for (unsigned i = 0; i < count; i++)
        decl[i].address = 0x7f0000001000 + 4096 * i;
    return err || !count ? err : cu_managed_text(ptx, strlen(ptx), decl, count, &text);
}

static void one(const char *ptx, const char *want, const char *name, uint64_t size, uint64_t align,
                bool initial)
{
    assert_int_equal(rewrite(ptx), 0);
    assert_int_equal(count, 1);
    assert_string_equal(decl[0].name, name);
    assert_int_equal(decl[0].size, size);
    assert_int_equal(decl[0].align, align);
    assert_int_equal(decl[0].initial, initial);
    assert_string_equal(text, want);
}

static void definitions(void **state)
{
    (void)state;
    one(HEAD ".global .attribute(.managed) .align 8 .b8 a[512];\n", HEAD "\n", "a", 512, 8, false);
    one(HEAD ".visible .global .attribute(.managed) .align 4 .u32 mv = 5;",
        HEAD ".visible .global .align 4 .u32 mv" CU_MANAGED_INITIAL " = 5;", "mv", 4, 4, true);
    one(HEAD ".weak .global .attribute( .managed, .unified(1, 2) ) .f64 $x_1 [ 2 ] [3] = "
             "{0d3FF0000000000000, 0};\n.global .u32 y;",
        HEAD ".visible .global .f64 $x_1" CU_MANAGED_INITIAL
             " [ 2 ] [3] = {0d3FF0000000000000, 0};\n.global .u32 y;",
        "$x_1", 48, 8, true);
    one(HEAD ".global .align 16 .attribute(.managed) .v4 .f32 v;", HEAD, "v", 16, 16, false);
    one(HEAD ".global .u32 before = 1;\n.global .attribute(.managed) .u64 p = generic(before);",
        HEAD ".global .u32 before = 1;\n.visible .global .u64 p" CU_MANAGED_INITIAL
             " = generic(before);",
        "p", 8, 8, true);
}

#define A    ".global .attribute(.managed) .u32 a[4];\n"
#define AT   "0x7f0000001000"
#define R(n) "%xg_managed_" #n

/* What stands behind A, in the module or in a function. */
static void use(const char *before, const char *after)
{
    char ptx[1000], want[1000];

    snprintf(ptx, sizeof(ptx), HEAD A "%s", before);
    snprintf(want, sizeof(want), HEAD "\n%s", after);
    assert_int_equal(rewrite(ptx), 0);
    assert_string_equal(text, want);
}

static void in_function(const char *before, const char *after)
{
    char ptx[800], want[800];

    snprintf(ptx, sizeof(ptx), ".entry k(.param .u64 p)\n{\n%s\n}\n", before);
    snprintf(want, sizeof(want), ".entry k(.param .u64 p)\n{\n%s\n}\n", after);
    use(ptx, want);
}

static void uses(void **state)
{
    (void)state;
    use(".global .u64 p = generic(a);", ".global .u64 p = " AT ";");
    use(".const .u64 p[3] = {a, generic(b), generic ( a )+4};",
        ".const .u64 p[3] = {" AT ", generic(b), " AT "+4};");
    use(".visible .global .attribute(.managed) .u64 q = a;",
        ".visible .global .u64 q" CU_MANAGED_INITIAL " = " AT ";");
    use(".section .debug_info {\n.b64 a\n.b8 1,2\n}",
        ".section .debug_info {\n.b64 " AT "\n.b8 1,2\n}");
    use(".section .debug_a.b\n{\n.b8 1\n}\n.global .u32 aa;",
        ".section .debug_a.b\n{\n.b8 1\n}\n.global .u32 aa;");
    in_function("ret;", "ret;");
    in_function("ld.global.u32 %r1, [a];", "{ .reg .b64 " R(<1>) "; mov.b64 " R(
                                               0) ", " AT "; ld.global.u32 %r1, [" R(0) "]; }");
    in_function("add.u32 %r1, %r2, aa;\n@%p1 st.global.u32 [ a+4 ], %r1; ret;",
                "add.u32 %r1, %r2, aa;\n{ .reg .b64 " R(<1>) "; mov.b64 " R(
                    0) ", 0x7f0000001004; @%p1 st.global.u32 [ " R(0) " ], %r1; } ret;");
    in_function("$L1: mov.u64 %d1, a+-4;", "$L1: { .reg .b64 " R(<1>) "; mov.b64 " R(
                                               0) ", 0x7f0000000ffc; mov.u64 %d1, " R(0) "; }");
    in_function("$L1:\n.loc 1 a 2\n{ .reg .b32 x; // a\nld.v2.u32 {%r1, %r2}, [a]; "
                "}\n$L2:\n}\n.func f()\n{ .pragma \"a\"; bra $L1;",
                "$L1:\n.loc 1 a 2\n{ .reg .b32 x; // a\n{ .reg .b64 " R(<1>) "; mov.b64 " R(
                    0) ", " AT
                       "; ld.v2.u32 {%r1, %r2}, [" R(
                           0) "]; } }\n$L2:\n}\n.func f()\n{ .pragma \"a\"; bra $L1;");
    in_function("selp.b64 %d1, a, a+8, %p1;",
                "{ .reg .b64 " R(<2>) "; mov.b64 " R(0) ", " AT "; mov.b64 " R(
                    1) ", 0x7f0000001008; selp.b64 %d1, " R(0) ", " R(1) ", %p1; }");
}

/* The module is then loaded as it is. */
static void uses_not_understood(void **state)
{
    static const char *const bad[] = {".reg .u32 a;", "ld.global.u32 %r1, [a+%r2];",
                                      "mov.u64 %d1, generic(a);", "foo a, a, a, a, a, a, a, a, a;"};
    char ptx[400];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(ptx, sizeof(ptx), HEAD A ".entry k()\n{\n%s\nret;\n}\n", bad[i]);
        assert_int_equal(rewrite(ptx), -EBADMSG);
        assert_null(text);
    }
}

/* It ends wherever the text does. */
static void cut_off(void **state)
{
    static const char whole[] = HEAD A ".visible .global .attribute(.managed) .u64 q[2] = {a, "
                                       "generic(a)};\n.entry k()\n{\n$L: .loc 1 2 3\n"
                                       "{ ld.u32 %r1, [a+4]; }\n}\n.section .x { .b64 a }\n";
    char ptx[sizeof(whole)];

    (void)state;
    for (size_t n = 0; n < sizeof(whole); n++) {
        memcpy(ptx, whole, n);
        ptx[n] = 0;
        int err = rewrite(ptx);
        assert_true(err == 0 || err == -EBADMSG);
    }
}

static void alone(const char *ptx)
{
    assert_int_equal(rewrite(ptx), 0);
    assert_int_equal(count, 0);
    assert_null(text);
}

static void others(void **state)
{
    (void)state;
    alone("");
    alone(HEAD ".global .u32 x = 1;");
    alone(HEAD "// .global .attribute(.managed) .u32 x;\n");
    alone(HEAD "/* .global .attribute(.managed) .u32 x; */");
    alone(HEAD ".file 1 \".global .attribute(.managed) .u32 x;\"\n");
    alone(HEAD ".extern .global .attribute(.managed) .u32 x;"); /* another unit has it */
    alone(HEAD ".entry k() { .reg .b32 %r<2>; /* .managed */ ret; }");
}

static void several(void **state)
{
    (void)state;
    assert_int_equal(
        rewrite(HEAD ".global .attribute(.managed) .u8 a;\n.entry k()\n{\n mov.u32 %r1, a;\n}\n"
                     ".visible .global .attribute(.managed) .u16 b[7];\n.func f() { { ret; } }\n"
                     ".global .attribute(.managed) .u32 c = 3;\n"),
        0);
    assert_int_equal(count, 3);
    assert_string_equal(decl[1].name, "b");
    assert_int_equal(decl[1].size, 14);
    assert_int_equal(decl[2].size, 4);
    assert_non_null(
        strstr(text, "\n}\n\n.func f() { { ret; } }\n.visible .global .u32 c" CU_MANAGED_INITIAL
                     " = 3;\n"));
    assert_null(strstr(text, ".managed"));
}

/* The module is then loaded as it is. */
static void not_understood(void **state)
{
    static const char *const bad[] = {".u32 a, b;",
                                      ".frob a;",
                                      ".u32 a",
                                      ".u32 a[;",
                                      ".u32 a[] = {1};",
                                      ".u32 = 1;",
                                      ".align 3 .u32 a;",
                                      ".b64 a[1048576][1048576][1048576][1048576];",
                                      "",
                                      ".u32 a[0];",
                                      ".u32 a = {1, 2"};
    char ptx[200];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        strcpy(ptx, HEAD ".global .attribute(.managed) ");
        strcat(ptx, bad[i]);
        assert_int_equal(rewrite(ptx), -EBADMSG);
        assert_int_equal(count, 0);
        assert_null(text);
    }
}

static int teardown(void **state)
{
    (void)state;
    return rewrite("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(definitions), cmocka_unit_test(others),
        cmocka_unit_test(several),     cmocka_unit_test(not_understood),
        cmocka_unit_test(uses),        cmocka_unit_test(uses_not_understood),
        cmocka_unit_test(cut_off)};
    return cmocka_run_group_tests(tests, NULL, teardown);
}
