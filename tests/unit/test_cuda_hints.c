/* Hints about ranges of managed memory against a model that keeps them for each byte. */
/* links: obj/libcuda_common.a -lzstd -llz4 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cuda/hints.h"

#define BASE    0x7000000000ull
#define SIZE    64u
#define DEVICES 2

static struct {
    int read_mostly, accessed[3]; /* device 0, device 1, the CPU */
    int preferred, prefetched;
} model[SIZE];

static unsigned rnd(unsigned below)
{
    static uint32_t seed = 11;

    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static void forget(unsigned from, unsigned size)
{
    xg_cuda_hint_forget(BASE + from, size);
    for (unsigned i = from; i < from + size; i++) {
        memset(&model[i], 0, sizeof(model[i]));
        model[i].preferred = model[i].prefetched = CU_DEVICE_INVALID;
    }
}

static void advise(unsigned from, unsigned size, CUmem_advise a, CUdevice d)
{
    assert_int_equal(xg_cuda_hint_advise(BASE + from, size, a, xg_cuda_hint_location(d), DEVICES),
                     CUDA_SUCCESS);
    for (unsigned i = from; i < from + size; i++) {
        unsigned by = d == CU_DEVICE_CPU ? 2 : (unsigned)d;
        switch (a) {
        case CU_MEM_ADVISE_SET_READ_MOSTLY: model[i].read_mostly = 1; break;
        case CU_MEM_ADVISE_UNSET_READ_MOSTLY: model[i].read_mostly = 0; break;
        case CU_MEM_ADVISE_SET_PREFERRED_LOCATION: model[i].preferred = d; break;
        case CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION: model[i].preferred = CU_DEVICE_INVALID; break;
        case CU_MEM_ADVISE_SET_ACCESSED_BY: model[i].accessed[by] = 1; break;
        case CU_MEM_ADVISE_UNSET_ACCESSED_BY: model[i].accessed[by] = 0; break;
        }
    }
}

static void prefetch(unsigned from, unsigned size, CUdevice d)
{
    assert_int_equal(xg_cuda_hint_prefetch(BASE + from, size, xg_cuda_hint_location(d), DEVICES),
                     CUDA_SUCCESS);
    for (unsigned i = from; i < from + size; i++)
        model[i].prefetched = d;
}

static int ask(unsigned from, unsigned size, CUmem_range_attribute a)
{
    int v = 99;

    assert_int_equal(xg_cuda_hint_attribute(BASE + from, size, a, &v, sizeof(v)), CUDA_SUCCESS);
    return v;
}

static void compare(unsigned from, unsigned size)
{
    int read_mostly = 1, all[3] = {1, 1, 1}, preferred = model[from].preferred,
        prefetched = model[from].prefetched;
    int want[4], got[4];
    unsigned n = 0;

    for (unsigned i = from; i < from + size; i++) {
        read_mostly &= model[i].read_mostly;
        for (unsigned k = 0; k < 3; k++)
            all[k] &= model[i].accessed[k];
        if (model[i].preferred != preferred)
            preferred = CU_DEVICE_INVALID;
        if (model[i].prefetched != prefetched)
            prefetched = CU_DEVICE_INVALID;
    }
    assert_int_equal(ask(from, size, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY), read_mostly);
    assert_int_equal(ask(from, size, CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION), preferred);
    assert_int_equal(ask(from, size, CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION), prefetched);
    for (int k = 0; k < 3; k++)
        if (all[k])
            want[n++] = k == 2 ? CU_DEVICE_CPU : k;
    while (n < 4)
        want[n++] = CU_DEVICE_INVALID;
    assert_int_equal(xg_cuda_hint_attribute(BASE + from, size, CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY,
                                            got, sizeof(got)),
                     CUDA_SUCCESS);
    assert_memory_equal(got, want, sizeof(got));
}

static void ranges(void **state)
{
    (void)state;
    forget(0, SIZE);
    for (unsigned turn = 0; turn < 20000; turn++) {
        unsigned from = rnd(SIZE), size = 1 + rnd(SIZE - from);
        CUdevice d = (CUdevice)rnd(DEVICES + 1) - 1; /* CU_DEVICE_CPU is -1 */
        switch (rnd(10)) {
        case 0: forget(from, size); break;
        case 1:
        case 2: prefetch(from, size, d); break;
        default: advise(from, size, (CUmem_advise)(1 + rnd(6)), d);
        }
        from = rnd(SIZE);
        compare(from, 1 + rnd(SIZE - from));
    }
}

static void checks(void **state)
{
    CUmemLocation gpu = {CU_MEM_LOCATION_TYPE_DEVICE, 0}, none = {CU_MEM_LOCATION_TYPE_INVALID, 0},
                  third = {CU_MEM_LOCATION_TYPE_DEVICE, DEVICES},
                  node = {CU_MEM_LOCATION_TYPE_HOST_NUMA, 0};
    int v[2];

    (void)state;
    assert_int_equal(
        xg_cuda_hint_advise(BASE, 4, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, third, DEVICES),
        CUDA_ERROR_INVALID_DEVICE);
    assert_int_equal(
        xg_cuda_hint_advise(BASE, 4, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, none, DEVICES),
        CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(xg_cuda_hint_advise(BASE, 4, CU_MEM_ADVISE_SET_ACCESSED_BY, node, DEVICES),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(xg_cuda_hint_advise(BASE, 4, CU_MEM_ADVISE_SET_ACCESSED_BY, third, DEVICES),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(xg_cuda_hint_advise(BASE, 4, CU_MEM_ADVISE_SET_READ_MOSTLY, third, DEVICES),
                     CUDA_SUCCESS); /* not looked at */
    assert_int_equal(xg_cuda_hint_advise(BASE, 4, (CUmem_advise)0, gpu, DEVICES),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(xg_cuda_hint_advise(BASE, 4, (CUmem_advise)7, gpu, DEVICES),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(xg_cuda_hint_advise(BASE, 0, CU_MEM_ADVISE_SET_READ_MOSTLY, gpu, DEVICES),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(
        xg_cuda_hint_advise(BASE, UINT64_MAX, CU_MEM_ADVISE_SET_READ_MOSTLY, gpu, DEVICES),
        CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(xg_cuda_hint_prefetch(BASE, 4, third, DEVICES), CUDA_ERROR_INVALID_DEVICE);
    assert_int_equal(xg_cuda_hint_prefetch(BASE, 4, xg_cuda_hint_location(-2), DEVICES),
                     CUDA_ERROR_INVALID_DEVICE);
    assert_int_equal(xg_cuda_hint_attribute(BASE, 4, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, v, 8),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(xg_cuda_hint_attribute(BASE, 4, CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY, v, 6),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(xg_cuda_hint_attribute(BASE, 4, (CUmem_range_attribute)77, v, 4),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(xg_cuda_hint_attribute(BASE, 4, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, NULL, 4),
                     CUDA_ERROR_INVALID_VALUE);
    xg_cuda_hint_forget(BASE, 4);
    assert_int_equal(xg_cuda_hint_prefetch(BASE, 4, node, DEVICES), CUDA_SUCCESS);
    assert_int_equal(ask(0, 4, CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_TYPE),
                     CU_MEM_LOCATION_TYPE_HOST_NUMA);
    assert_int_equal(ask(0, 4, CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_ID), 0);
    assert_int_equal(ask(0, 4, CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_TYPE),
                     CU_MEM_LOCATION_TYPE_INVALID);
    xg_cuda_hint_forget(BASE, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(checks), cmocka_unit_test(ranges)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
