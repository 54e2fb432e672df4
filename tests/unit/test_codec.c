/* The reader against frames that are cut, blobs that lie, strings without end; scratch memory and
 * its cap; handle tables. */
/* links: obj/libprotocol.a */
#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "protocol/codec.h"
#include "protocol/wire.h"

static uint8_t arena[4096] __attribute__((aligned(64)));

static void reader_gives_what_was_written(void **state)
{
    uint64_t frame[4] = {1, 2, 3, 4};
    struct xg_reader r;
    xg_reader_init(&r, frame, sizeof(frame), arena, sizeof(arena));
    const uint64_t *a = xg_read(&r, 16);
    assert_int_equal(a[0], 1);
    assert_int_equal(a[1], 2);
    assert_int_equal(*(const uint32_t *)xg_read(&r, 4), 3); /* rounded up to 8 */
    assert_int_equal(*(const uint64_t *)xg_read(&r, 8), 4);
    assert_true(xg_reader_ok(&r));
}

static void error_is_sticky_and_reads_give_zeroes(void **state)
{
    uint64_t frame[3] = {~0ull, ~0ull, ~0ull};
    struct xg_reader r;
    xg_reader_init(&r, frame, sizeof(frame), arena, sizeof(arena));
    const uint64_t *a = xg_read(&r, 32);
    for (int i = 0; i < 4; i++)
        assert_int_equal(a[i], 0);
    assert_string_equal(r.error, "frame too short");
    assert_int_equal(*(const uint64_t *)xg_read(&r, 8), 0); /* though 8 bytes would be there */
    xg_reader_fail(&r, "another");
    assert_string_equal(r.error, "frame too short");
}

/* Every cut of a good frame fails or reads inside it (ASan watches). */
static void every_cut_is_safe(void **state)
{
    for (uint32_t cut = 0; cut <= 64; cut += 8) {
        uint8_t *frame = malloc(cut ? cut : 1);
        struct xg_reader r;
        struct xg_scratch s;
        uint8_t whole[64] = {0};
        *(struct xg_blob *)(whole + 8) = (struct xg_blob){.size = 41};
        memcpy(frame, whole, cut);
        assert_int_equal(xg_scratch_init(&s, 256, 1024), 0);
        xg_reader_init(&r, frame, cut, arena, sizeof(arena));
        xg_read(&r, 8);
        uint32_t size;
        const uint8_t *b = xg_read_blob_private(&r, &s, 1, false, &size);
        if (cut == 64) {
            assert_non_null(b);
            assert_int_equal(size, 41);
        } else {
            assert_null(b);
            assert_int_equal(size, 0);
            assert_false(xg_reader_ok(&r));
        }
        xg_scratch_fini(&s);
        free(frame);
    }
}

static const void *blob_at(uint32_t where, uint32_t size, uint64_t min, bool nullable,
                           const char **error)
{
    struct xg_blob b = {size, where};
    struct xg_reader r;
    xg_reader_init(&r, &b, sizeof(b), arena, sizeof(arena));
    const void *p = xg_read_blob(&r, min, nullable, NULL);
    *error = r.error;
    return p;
}

static void arena_blobs_must_lie_inside(void **state)
{
    const char *e;
    assert_ptr_equal(blob_at(1, 4096, 0, false, &e), arena);
    assert_ptr_equal(blob_at(64, 64, 0, false, &e), arena + 63 * 64);
    assert_null(blob_at(64, 65, 0, false, &e));
    assert_string_equal(e, "not inside the arena");
    assert_null(blob_at(66, 0, 0, false, &e));
    assert_non_null(e);
    assert_null(blob_at(0xffffffff, 16, 0, false, &e));
    assert_non_null(e);
    assert_null(blob_at(1, 0xfffffffe, 0, false, &e));
    assert_non_null(e);
}

static void null_and_short_blobs(void **state)
{
    const char *e;
    assert_null(blob_at(0, XG_NULL_BLOB, 0, true, &e));
    assert_null(e);
    assert_null(blob_at(0, XG_NULL_BLOB, 0, false, &e));
    assert_string_equal(e, "blob missing");
    assert_null(blob_at(1, 15, 16, false, &e));
    assert_string_equal(e, "blob too small");
}

static const char *string_in(const char *bytes, uint32_t size, const char **error)
{
    static uint8_t frame[64];
    static struct xg_scratch s;
    struct xg_reader r;
    if (!s.base)
        assert_int_equal(xg_scratch_init(&s, 256, 1024), 0);
    *(struct xg_blob *)frame = (struct xg_blob){.size = size};
    memcpy(frame + 8, bytes, size);
    xg_reader_init(&r, frame, sizeof(frame), arena, sizeof(arena));
    const char *text = xg_read_string(&r, &s);
    *error = r.error;
    return text;
}

static void strings_end_in_nul(void **state)
{
    const char *e;
    assert_string_equal(string_in("abc", 4, &e), "abc");
    assert_null(e);
    assert_string_equal(string_in("abc", 3, &e), "");
    assert_string_equal(e, "string without end");
    assert_string_equal(string_in("", 0, &e), "");
    assert_non_null(e);
}

/* What is checked must be the private copy: the arena may change in between. */
static void private_blobs_do_not_change(void **state)
{
    struct xg_blob b = {16, 1};
    struct xg_reader r;
    struct xg_scratch s;
    memset(arena, 'a', 16);
    assert_int_equal(xg_scratch_init(&s, 256, 1024), 0);
    xg_reader_init(&r, &b, sizeof(b), arena, sizeof(arena));
    const char *p = xg_read_blob_private(&r, &s, 16, false, NULL);
    memset(arena, 'b', 16);
    for (int i = 0; i < 16; i++)
        assert_int_equal(p[i], 'a');
    xg_scratch_fini(&s);
}

static void scratch_has_a_cap(void **state)
{
    struct xg_scratch s;
    assert_int_equal(xg_scratch_init(&s, 64, 4096), 0);
    for (int round = 0; round < 3; round++) {
        assert_non_null(xg_scratch_alloc(&s, 64));
        assert_non_null(xg_scratch_alloc(&s, 4000));
        assert_null(xg_scratch_alloc(&s, 4000));
        assert_null(xg_scratch_alloc(&s, SIZE_MAX));
        assert_null(xg_scratch_alloc(&s, SIZE_MAX - 14));
        xg_scratch_reset(&s);
    }
    assert_int_equal((uintptr_t)xg_scratch_alloc(&s, 3) % 16, 0);
    assert_int_equal((uintptr_t)xg_scratch_alloc(&s, 100) % 16, 0);
    xg_scratch_fini(&s);
}

static void remove_it(uint32_t name, void *object, void *arg)
{
    assert_ptr_equal(xg_table_remove(arg, name), object);
}

static void count_it(uint32_t name, void *object, void *arg)
{
    ++*(int *)arg;
}

static void table_from_its_end(void **state)
{
    struct xg_table t;
    int a, n = 0;

    assert_int_equal(xg_table_init(&t, 100000), 0);
    xg_table_each(&t, count_it, &n);
    assert_int_equal(n, 0);
    assert_int_equal(xg_table_set(&t, 100000, &a), 0);
    assert_int_equal(xg_table_set(&t, 5, &a), 0);
    assert_int_equal(xg_table_set(&t, 50000, &a), 0);
    xg_table_each(&t, count_it, &n);
    assert_int_equal(n, 3);
    xg_table_fini(&t);
}

/* What lies before the last byte that was written, whatever the length and where that is. */
static void probe_finds_the_last_byte(void **state)
{
    uint8_t b[40];

    for (uint32_t size = 0; size <= sizeof(b); size++)
        for (uint32_t used = 0; used <= size; used++) {
            memset(b, 0xa5, sizeof(b));
            if (used)
                b[used - 1] = 0x5a;
            assert_int_equal(xg_wire_probe(b, size, 0xa5), used);
        }
}

static void tables(void **state)
{
    struct xg_table t;
    int a, b;
    assert_int_equal(xg_table_init(&t, 100000), 0);
    assert_null(xg_table_get(&t, 5));
    assert_int_equal(xg_table_set(&t, 5, &a), 0);
    assert_int_equal(xg_table_set(&t, 5, &b), -EEXIST);
    assert_int_equal(xg_table_set(&t, 100000, &b), 0);
    assert_int_equal(xg_table_set(&t, 100001, &b), -ERANGE);
    assert_int_equal(xg_table_set(&t, UINT32_MAX, &b), -ERANGE);
    assert_null(xg_table_get(&t, UINT32_MAX));
    assert_ptr_equal(xg_table_get(&t, 100000), &b);
    assert_null(xg_table_remove(&t, 6));
    xg_table_each(&t, remove_it, &t);
    assert_null(xg_table_get(&t, 5));
    assert_null(xg_table_get(&t, 100000));
    xg_table_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_gives_what_was_written),
        cmocka_unit_test(error_is_sticky_and_reads_give_zeroes),
        cmocka_unit_test(every_cut_is_safe),
        cmocka_unit_test(arena_blobs_must_lie_inside),
        cmocka_unit_test(null_and_short_blobs),
        cmocka_unit_test(strings_end_in_nul),
        cmocka_unit_test(private_blobs_do_not_change),
        cmocka_unit_test(scratch_has_a_cap),
        cmocka_unit_test(tables),
        cmocka_unit_test(table_from_its_end),
        cmocka_unit_test(probe_finds_the_last_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
