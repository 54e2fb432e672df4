/* The arena's allocator against a map of who owns which byte. */
/* links: obj/libfrontend.a obj/libprotocol.a */
#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "frontend/internal.h"

enum { SIZE = 1 << 20, UNITS = SIZE / 64, LIVE = 300 };

static void random_use(void **state)
{
    struct xg_arena *a;
    static uint8_t owned[UNITS];
    struct {
        uint64_t offset, size;
    } live[LIVE] = {{0}};
    unsigned given = 0, refused = 0;

    srand(7);
    assert_int_equal(xg_arena_create(SIZE, 0, &a), 0);
    for (int i = 0; i < 60000; i++) {
        unsigned k = (unsigned)rand() % LIVE;
        if (live[k].size) {
            assert_true(xg_arena_give(a, live[k].offset));
            memset(owned + live[k].offset / 64, 0, (live[k].size + 63) / 64);
            live[k].size = 0;
            continue;
        }
        uint64_t size = 1 + (uint64_t)rand() % (rand() % 8 ? 3000 : 60000),
                 align = 64ull << rand() % 7;
        if (xg_arena_take(a, size, align, &live[k].offset)) {
            refused++;
            continue;
        }
        given++;
        live[k].size = size;
        assert_int_equal(live[k].offset % align, 0);
        assert_true(live[k].offset + size <= SIZE);
        for (uint64_t u = live[k].offset / 64; u < (live[k].offset + size + 63) / 64; u++) {
            assert_int_equal(owned[u], 0);
            owned[u] = 1;
        }
    }
    assert_true(given > 1000 && refused > 10);
    for (unsigned k = 0; k < LIVE; k++) {
        if (live[k].size)
            assert_true(xg_arena_give(a, live[k].offset));
    }
    uint64_t offset;
    assert_int_equal(xg_arena_take(a, SIZE, 64, &offset), 0); /* all of it came together again */
    assert_int_equal(offset, 0);
    xg_arena_destroy(a);
}

static void limits(void **state)
{
    struct xg_arena *a;
    uint64_t offset;
    assert_int_equal(xg_arena_create(SIZE, 0, &a), 0);
    assert_int_equal(xg_arena_take(a, SIZE + 1, 64, &offset), -ENOMEM);
    assert_int_equal(xg_arena_take(a, UINT64_MAX - 10, 64, &offset), -ENOMEM);
    assert_int_equal(xg_arena_take(a, 0, 64, &offset), 0);
    assert_false(xg_arena_give(a, offset + 64));
    assert_true(xg_arena_give(a, offset));
    assert_false(xg_arena_give(a, offset));
    xg_arena_destroy(a);
}

/* Alignment counts from where the pages start, not from where the arena does. */
static void origin(void **state)
{
    enum { ORIGIN = 5 * 4096 };
    struct xg_arena *a;
    uint64_t first, second;
    assert_int_equal(xg_arena_create(SIZE, ORIGIN, &a), 0);
    assert_int_equal(xg_arena_take(a, 100, 65536, &first), 0);
    assert_int_equal(xg_arena_take(a, 100, 65536, &second), 0);
    assert_int_equal((ORIGIN + first) % 65536, 0);
    assert_int_equal((ORIGIN + second) % 65536, 0);
    assert_true(first != second);
    assert_true(xg_arena_give(a, first) && xg_arena_give(a, second));
    assert_int_equal(xg_arena_take(a, SIZE, 64, &first), 0); /* the gaps in front are not lost */
    assert_int_equal(first, 0);
    xg_arena_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_use), cmocka_unit_test(limits),
                                       cmocka_unit_test(origin)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
