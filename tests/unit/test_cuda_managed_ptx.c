/* PTX whose managed variables are taken out: what remains, what was found, and what is left alone. */
/* with: interposer/cuda/managed_ptx.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "interposer/cuda/managed_ptx.h"

#define HEAD ".version 7.8\n.target sm_80\n.address_size 64\n"

static char *text;
static struct cu_managed_decl *decl;
static unsigned count;

static int rewrite(const char *ptx)
{
    cu_managed_decls_free(decl, count);
    free(text);
    return cu_managed_rewrite(ptx, strlen(ptx), &text, &decl, &count);
}

static void one(const char *ptx, const char *want, const char *name, uint64_t size, uint64_t align, bool initial)
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
    one(HEAD ".global .attribute(.managed) .align 8 .b8 a[512];\n", HEAD ".extern .global .align 8 .b8 a[512];\n\n", "a", 512, 8, false);
    one(HEAD ".visible .global .attribute(.managed) .align 4 .u32 mv = 5;", HEAD ".extern .global .align 4 .u32 mv;\n"
        ".visible .global .align 4 .u32 mv" CU_MANAGED_INITIAL " = 5;\n", "mv", 4, 4, true);
    one(HEAD ".weak .global .attribute( .managed, .unified(1, 2) ) .f64 $x_1 [ 2 ] [3] = {0d3FF0000000000000, 0};\n.global .u32 y;",
        HEAD ".extern .global .f64 $x_1 [ 2 ] [3];\n"
        ".visible .global .f64 $x_1" CU_MANAGED_INITIAL " [ 2 ] [3] = {0d3FF0000000000000, 0};\n\n.global .u32 y;", "$x_1", 48, 8, true);
    one(HEAD ".global .align 16 .attribute(.managed) .v4 .f32 v;", HEAD ".extern .global .align 16 .v4 .f32 v;\n", "v", 16, 16, false);
    one(HEAD ".global .u32 before = 1;\n.global .attribute(.managed) .u64 p = generic(before);",
        HEAD ".global .u32 before = 1;\n.extern .global .u64 p;\n.visible .global .u64 p" CU_MANAGED_INITIAL " = generic(before);\n", "p", 8, 8,
        true);
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
    assert_int_equal(rewrite(HEAD ".global .attribute(.managed) .u8 a;\n.entry k()\n{\n mov.u32 %r1, a;\n}\n"
                                  ".visible .global .attribute(.managed) .u16 b[7];\n.func f() { { ret; } }\n"
                                  ".global .attribute(.managed) .u32 c = 3;\n"), 0);
    assert_int_equal(count, 3);
    assert_string_equal(decl[1].name, "b");
    assert_int_equal(decl[1].size, 14);
    assert_non_null(strstr(text, " mov.u32 %r1, a;\n}\n.extern .global .u16 b[7];"));
    assert_null(strstr(text, "managed"));
}

/* The module is then loaded as it is. */
static void not_understood(void **state)
{
    static const char *const bad[] = {".u32 a, b;", ".frob a;", ".u32 a", ".u32 a[;", ".u32 a[] = {1};", ".u32 = 1;", ".align 3 .u32 a;",
                                      ".b64 a[1048576][1048576][1048576][1048576];", "", ".u32 a[0];", ".u32 a = {1, 2"};
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(definitions), cmocka_unit_test(others), cmocka_unit_test(several),
                                       cmocka_unit_test(not_understood)};
    return cmocka_run_group_tests(tests, NULL, teardown);
}
