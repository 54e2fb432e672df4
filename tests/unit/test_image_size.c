/* What a module's image says that it will need. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/cuda/replay.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>

/* links: obj/libcuda_common.a -lzstd -llz4 */
/* with: backend/cuda/image_size.c */

static uint64_t taken, room = UINT64_MAX;

bool xg_cu_account_take(struct cu_worker *w, uint64_t size)
{
    (void)w;
    if (size > room)
        return false;
    taken += size;
    return true;
}

void xg_cu_account_give(struct cu_worker *w, uint64_t size)
{
    (void)w;
    taken -= size;
}

#define HEAD ".version 7.0\n.target sm_70\n.address_size 64\n"

/* Of the variables' contents alone, without what the text and each variable cost. */
static uint64_t variables(const char *text, unsigned count)
{
    char all[4096];
    bool mallocs;
    int n = snprintf(all, sizeof(all), HEAD "%s\n", text);

    assert_true(n > 0 && (size_t)n < sizeof(all));
    return xg_cu_image_bytes(NULL, all, (uint64_t)n, &mallocs) - 5 * (uint64_t)n - 1536 * count;
}

static void declarations(void **state)
{
    (void)state;
    assert_int_equal(variables("", 0), 0);
    assert_int_equal(variables(".global .u32 a;", 1), 4);
    assert_int_equal(variables(".visible .global .align 16 .b8 a[10485760];", 1), 10485760);
    assert_int_equal(variables(".global .f64 a[10][20], b, c[0x10];", 3), 1600 + 8 + 128);
    assert_int_equal(variables(".global .v4 .f32 a[8];", 1), 128);
    assert_int_equal(variables(".const .b16 a[3] = {1, 2, 3}; .global .b8 b;", 2), 7);
    assert_int_equal(variables(".global .attribute(.managed) .b32 a[4];", 1), 16);
    /* As long as the initializer: its text is longer. */
    assert_true(variables(".global .b8 a[] = {1, 2, 3, 4, 5};", 1) >= 5);
    assert_true(variables(".global .b64 a[] = {1, 2, 3, 4, 5};", 1) >= 40);
    /* Nothing: elsewhere, state spaces of parameters and of instructions, comments. */
    assert_int_equal(variables(".extern .global .b8 a[1000];", 1), 0);
    assert_int_equal(variables(".extern .global .b8 a[1000]; .global .b8 b[10];", 2), 10);
    assert_int_equal(
        variables(
            ".visible .entry k(.param .u64 .ptr .global .align 4 p) { ld.global.u32 %r1, [%rd1]; }",
            0),
        1024 + 256);
    assert_int_equal(
        variables("// .global .b8 a[1000];\n/* .global .b8 b[1000]; */ .global .b8 c;", 1), 1);
    /* More than there is. */
    assert_true(variables(".global .b64 a[4294967296][4294967296][4294967296];", 0) >= 1ull << 60);
}

/* What else a loader writes down. */
static void names(void **state)
{
    (void)state;
    assert_int_equal(variables(".entry a(){ret;} .func b(){ret;}", 0), 2 * 1024);
    assert_int_equal(variables(".func a(.param .u64 p, .param .u32 q);", 0), 1024 + 2 * 256);
    assert_int_equal(variables(".reg .b32 a, b /*;*/, c; add.s32 a, b, c;", 0), 3 * 256);
    assert_int_equal(variables(".reg .pred %p<1000>, %q<7>;", 0), 2 * 256 + 1007 * 4);
    assert_int_equal(variables(".shared .b8 a[4], b; .local .b8 c; ld.shared.u32 a, [b];", 0),
                     3 * 256);
    assert_int_equal(variables("a: bra a; b: bra b;", 0), 2 * 256);
    assert_true(variables(".reg .b32 %r<18446744073709551615>;", 0) >= 1ull << 60);
}

/* Texts that end anywhere are read to their end and no further. */
static void cut(void **state)
{
    static const char text[] = HEAD ".global .align 8 .v2 .attribute(.managed) .f64 a[10][20] = "
                                    "{1, 2}, b[] = {3}; /* x */ .extern \".\" // y";
    bool mallocs;

    (void)state;
    for (size_t n = 0; n < sizeof(text); n++) {
        char *own = malloc(n + 1);
        memcpy(own, text, n);
        own[n] = 0;
        xg_cu_image_bytes(NULL, own, n, &mallocs);
        free(own);
    }
}

static void heap(void **state)
{
    static const char text[] = HEAD ".extern .func (.param .b64 p) malloc (.param .b64 q);\n";
    bool mallocs = false;

    (void)state;
    xg_cu_image_bytes(NULL, text, sizeof(text) - 1, &mallocs);
    assert_true(mallocs);
    xg_cu_image_bytes(NULL, HEAD, sizeof(HEAD) - 1, &mallocs);
    assert_false(mallocs);
}

static void sections(void **state)
{
    struct {
        Elf64_Ehdr e;
        Elf64_Shdr s[3];
    } image = {.e = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
                     .e_machine = 190,
                     .e_shoff = sizeof(Elf64_Ehdr),
                     .e_shentsize = sizeof(Elf64_Shdr),
                     .e_ehsize = sizeof(Elf64_Ehdr),
                     .e_shnum = 3},
               .s = {{.sh_flags = SHF_ALLOC, .sh_size = 1000, .sh_type = SHT_NOBITS},
                     {.sh_size = 100},
                     {.sh_flags = SHF_ALLOC, .sh_size = 10}}};
    bool mallocs;

    (void)state;
    assert_int_equal(xg_cu_image_bytes(NULL, &image, sizeof(image), &mallocs),
                     sizeof(image) + 1010);
    image.e.e_shoff = UINT64_MAX - 8;
    assert_int_equal(xg_cu_image_bytes(NULL, &image, sizeof(image), &mallocs), sizeof(image));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(declarations), cmocka_unit_test(names),
                                       cmocka_unit_test(cut), cmocka_unit_test(heap),
                                       cmocka_unit_test(sections)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
