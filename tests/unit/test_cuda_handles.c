/* cuda/api's handles: what is made up is nothing, names are dense and used again when they were
 * given back, and each use has another handle. */
/* links: obj/libcuda_api.a obj/libcuda_common.a */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cuda/api/handle.h"

enum { KIND = XG_CUDA_KIND_OWN, OTHER, MANY = 3000 };
static int thing[MANY];

static void names(void **state)
{
    void *a = xg_cuda_handle_new(KIND, &thing[0]), *b = xg_cuda_handle_new(KIND, &thing[1]),
         *c = xg_cuda_handle_new(OTHER, &thing[2]);

    assert_int_equal(xg_cuda_handle_name(a), 1);
    assert_int_equal(xg_cuda_handle_name(b), 2);
    assert_int_equal(xg_cuda_handle_name(c), 1); /* each kind has its own */
    assert_ptr_equal(xg_cuda_handle_get(KIND, a), &thing[0]);
    assert_ptr_equal(xg_cuda_handle_named(KIND, 2), &thing[1]);
    assert_ptr_equal(xg_cuda_handle_named(OTHER, 1), &thing[2]);
    assert_null(xg_cuda_handle_get(OTHER, a));

    assert_true(xg_cuda_handle_hide(KIND, a));
    assert_false(xg_cuda_handle_hide(KIND, a));
    assert_null(xg_cuda_handle_get(KIND, a));
    assert_null(xg_cuda_handle_named(KIND, 1));
    void *d = xg_cuda_handle_new(KIND, &thing[3]);
    assert_int_equal(xg_cuda_handle_name(d), 3); /* 1 is taken until it is given back */
    xg_cuda_handle_free(KIND, a);
    void *e = xg_cuda_handle_new(KIND, &thing[4]);
    assert_int_equal(xg_cuda_handle_name(e), 1);
    assert_ptr_not_equal(e, a);
    assert_null(xg_cuda_handle_get(KIND, a));
    assert_false(xg_cuda_handle_drop(KIND, a));
    assert_true(xg_cuda_handle_drop(KIND, b));
    assert_true(xg_cuda_handle_drop(OTHER, c));
    assert_true(xg_cuda_handle_drop(KIND, d));
    assert_true(xg_cuda_handle_drop(KIND, e));
}

static void made_up(void **state)
{
    void *h = xg_cuda_handle_new(KIND, &thing[0]);

    for (unsigned bit = 0; bit < 64; bit++) {
        const void *wrong = (const void *)((uintptr_t)h ^ (uintptr_t)1 << bit);
        assert_null(xg_cuda_handle_get(KIND, wrong));
        assert_false(xg_cuda_handle_drop(KIND, wrong));
    }
    assert_null(xg_cuda_handle_get(KIND, NULL));
    assert_null(xg_cuda_handle_named(KIND, 0));
    assert_null(xg_cuda_handle_named(KIND, XG_CUDA_NAMES));
    assert_null(xg_cuda_handle_named(KIND, UINT32_MAX));
    assert_true(xg_cuda_handle_drop(KIND, h));
}

static unsigned met;

static void meet(void *object, void *arg)
{
    assert_ptr_equal(arg, &met);
    (*(int *)object)++;
    met++;
}

/* Over several of its pieces of memory; and a child begins anew. */
static void many(void **state)
{
    static void *h[MANY];

    for (unsigned i = 0; i < MANY; i++) {
        h[i] = xg_cuda_handle_new(OTHER, &thing[i]);
        assert_non_null(h[i]);
    }
    for (unsigned i = 0; i < MANY; i += 2)
        assert_true(xg_cuda_handle_drop(OTHER, h[i]));
    xg_cuda_handle_each(OTHER, meet, &met);
    assert_int_equal(met, MANY / 2);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(thing[i], i % 2);

    xg_cuda_handles_reset();
    for (unsigned i = 0; i < MANY; i++)
        assert_null(xg_cuda_handle_get(OTHER, h[i]));
    void *first = xg_cuda_handle_new(OTHER, &thing[0]);
    assert_int_equal(xg_cuda_handle_name(first), 1);
    for (unsigned i = 0; i < MANY; i++)
        assert_ptr_not_equal(first, h[i]);
    assert_true(xg_cuda_handle_drop(OTHER, first));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(made_up),
        cmocka_unit_test(many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
