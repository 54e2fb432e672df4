/* Lengths of GL's arrays and images, which both sides of the wire must agree on. */
/* with: protocol/gl/sizes.c */
#include "protocol/gl/sizes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static struct xg_gl_pixel_store plain(void)
{
    struct xg_gl_pixel_store s;
    xg_gl_pixel_store_init(&s);
    return s;
}

static void image(void **state)
{
    struct xg_gl_pixel_store s = plain();
    struct xg_gl_layout l;

    assert_true(xg_gl_layout(&s, 2, 5, 3, 1, GL_RGB, GL_UNSIGNED_BYTE, &l));
    assert_int_equal(l.row_stride, 16); /* 15 bytes, aligned to 4 */
    assert_int_equal(l.row_bytes, 15);
    assert_int_equal(l.size, 2 * 16 + 15); /* the last row is not padded */
    assert_int_equal(l.skip, 0);
    s.alignment = 1;
    assert_true(xg_gl_layout(&s, 2, 5, 3, 1, GL_RGB, GL_UNSIGNED_BYTE, &l));
    assert_int_equal(l.size, 45);
}

static void image_in_another(void **state)
{
    struct xg_gl_pixel_store s = plain();
    struct xg_gl_layout l;

    s.row_length = 10;
    s.skip_rows = 2;
    s.skip_pixels = 3;
    s.image_height = 7;
    s.skip_images = 1;
    assert_true(xg_gl_layout(&s, 3, 4, 5, 2, GL_RGBA, GL_UNSIGNED_BYTE, &l));
    assert_int_equal(l.row_stride, 40);
    assert_int_equal(l.image_stride, 280);
    assert_int_equal(l.skip, 280 + 2 * 40 + 3 * 4);
    assert_int_equal(l.size, 280 + 4 * 40 + 16);
    /* Images and their heights mean nothing in two dimensions. */
    assert_true(xg_gl_layout(&s, 2, 4, 5, 1, GL_RGBA, GL_UNSIGNED_BYTE, &l));
    assert_int_equal(l.skip, 2 * 40 + 3 * 4);
    assert_int_equal(l.size, 4 * 40 + 16);
}

static void bitmap(void **state)
{
    struct xg_gl_pixel_store s = plain();
    struct xg_gl_layout l;

    assert_true(xg_gl_layout(&s, 2, 27, 8, 1, GL_COLOR_INDEX, GL_BITMAP, &l));
    assert_int_equal(l.row_stride, 4);
    assert_int_equal(l.size, 32);
    s.skip_pixels = 7; /* the row then ends in the fifth byte */
    assert_true(xg_gl_layout(&s, 2, 27, 1, 1, GL_COLOR_INDEX, GL_BITMAP, &l));
    assert_int_equal(l.skip, 0);
    assert_int_equal(l.row_bytes, 5);
}

static void absurd(void **state)
{
    struct xg_gl_pixel_store s = plain();
    struct xg_gl_layout l;

    assert_false(xg_gl_layout(&s, 2, -1, 3, 1, GL_RGBA, GL_UNSIGNED_BYTE, &l));
    assert_false(xg_gl_layout(&s, 2, 1 << 30, 1, 1, GL_RGBA, GL_UNSIGNED_BYTE, &l));
    assert_false(xg_gl_layout(&s, 3, 65536, 65536, 65536, GL_RGBA, GL_FLOAT, &l));
    assert_false(xg_gl_layout(&s, 2, 4, 4, 1, 0x1234, GL_UNSIGNED_BYTE, &l));
    assert_false(xg_gl_layout(&s, 2, 4, 4, 1, GL_RGBA, 0x1234, &l));
    assert_true(xg_gl_layout(&s, 2, 0, 4, 1, GL_RGBA, GL_UNSIGNED_BYTE, &l));
    assert_int_equal(l.size, 0);
    s.row_length = s.skip_rows = s.skip_pixels = s.skip_images = s.image_height = 1 << 24;
    assert_false(xg_gl_layout(&s, 3, 4, 4, 4, GL_RGBA, GL_FLOAT, &l));
    s.row_length = s.skip_rows = s.skip_pixels = s.skip_images = s.image_height = INT32_MAX;
    assert_false(xg_gl_layout(&s, 3, 4, 4, 4, GL_RGBA, GL_FLOAT, &l));
    /* Strides that nothing is counted by may be anything; those that something is, fit into int. */
    s = plain();
    s.row_length = s.image_height = INT32_MAX;
    assert_true(xg_gl_layout(&s, 3, 4, 1, 1, GL_RGBA, GL_FLOAT, &l));
    assert_int_equal(l.size, 64);
    assert_false(xg_gl_layout(&s, 3, 4, 2, 1, GL_RGBA, GL_FLOAT, &l));
    assert_false(xg_gl_layout(&s, 3, 4, 1, 2, GL_RGBA, GL_FLOAT, &l));
    s.skip_rows = 1;
    assert_false(xg_gl_layout(&s, 3, 4, 1, 1, GL_RGBA, GL_FLOAT, &l));
    s = plain();
    s.row_length = 1 << 14;
    s.image_height = 1 << 14;
    s.skip_images = 1 << 30; /* 2^60 bytes, were it counted */
    assert_false(xg_gl_layout(&s, 3, 4, 1, 1, GL_RGBA, GL_FLOAT, &l));
    assert_true(xg_gl_layout(&s, 2, 4, 1, 1, GL_RGBA, GL_FLOAT, &l));
    /* One-dimensional images skip rows, too. */
    s = plain();
    s.skip_rows = 3;
    assert_true(xg_gl_layout(&s, 1, 4, 1, 1, GL_RGBA, GL_UNSIGNED_BYTE, &l));
    assert_int_equal(l.skip, 48);
}

static void pixel_store(void **state)
{
    struct xg_gl_pixel_store pack = plain(), unpack = plain();

    assert_true(xg_gl_pixel_store_set(&pack, &unpack, GL_UNPACK_ALIGNMENT, 8));
    assert_int_equal(unpack.alignment, 8);
    assert_int_equal(pack.alignment, 4);
    assert_false(xg_gl_pixel_store_set(&pack, &unpack, GL_PACK_ALIGNMENT, 3));
    assert_false(xg_gl_pixel_store_set(&pack, &unpack, GL_PACK_ALIGNMENT, 0));
    assert_false(xg_gl_pixel_store_set(&pack, &unpack, GL_PACK_ROW_LENGTH, -1));
    assert_false(xg_gl_pixel_store_set(&pack, &unpack, 0x1234, 1));
    assert_int_equal(pack.alignment, 4);
}

static void lengths(void **state)
{
    assert_int_equal(xg_gl_pixel_size(GL_RGB, GL_UNSIGNED_SHORT_5_6_5), 2);
    assert_int_equal(xg_gl_pixel_size(GL_RGBA, GL_HALF_FLOAT), 8);
    assert_int_equal(xg_gl_pixel_size(GL_DEPTH_STENCIL, GL_FLOAT_32_UNSIGNED_INT_24_8_REV), 8);
    assert_int_equal(xg_gl_params_count(GL_AMBIENT), 4);
    assert_int_equal(xg_gl_params_count(GL_SPOT_DIRECTION), 3);
    assert_int_equal(xg_gl_params_count(GL_SHININESS), 1);
    assert_int_equal(xg_gl_list_size(GL_3_BYTES), 3);
    assert_int_equal(xg_gl_map1_count(GL_MAP1_VERTEX_3, 5, 4), 5 * 3 + 3);
    assert_int_equal(xg_gl_map1_count(GL_MAP1_VERTEX_3, 2, 4),
                     0); /* refused: the stride is too small */
    assert_int_equal(xg_gl_map2_count(GL_MAP2_VERTEX_4, 4, 3, 12, 2), 4 * 2 + 12 + 4);
    assert_int_equal(xg_gl_map1_count(GL_MAP1_VERTEX_3, 1 << 30, 1 << 30), 0);
    assert_int_equal(xg_gl_index_size(GL_FLOAT), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image),  cmocka_unit_test(image_in_another), cmocka_unit_test(bitmap),
        cmocka_unit_test(absurd), cmocka_unit_test(pixel_store),      cmocka_unit_test(lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
