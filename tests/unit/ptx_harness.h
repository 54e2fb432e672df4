/* What the PTX engine's tests share: device memory, loading, launching. */
#ifndef PTX_HARNESS_H
#define PTX_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "softcuda/engine.h"

enum { H_RANGES = 64 };
static struct sc_range h_range[H_RANGES];
static struct sc_memmap h_map = {0, h_range};
static char h_log[1024];
static struct sc_fault h_fault;

/* Zeroed device memory; lives until h_reset. */
static inline void *h_alloc(size_t size)
{
    size_t room = (size + 255) & ~(size_t)255;
    char *p = aligned_alloc(256, room ? room : 256);
    assert_non_null(p);
    memset(p, 0, room);
    unsigned k = h_map.count++;
    assert_true(k < H_RANGES);
    for (; k && h_range[k - 1].start > (uintptr_t)p; k--)
        h_range[k] = h_range[k - 1];
    h_range[k] = (struct sc_range){(uintptr_t)p, (uintptr_t)p + size, true};
    return p;
}

static inline void h_reset(void)
{
    for (unsigned i = 0; i < h_map.count; i++)
        free((void *)(uintptr_t)h_range[i].start);
    h_map.count = 0;
}

static inline struct sc_module *h_load(const char *ptx)
{
    struct sc_module *m;
    enum sc_status st = sc_module_create(ptx, strlen(ptx), h_log, sizeof(h_log), &m);
    if (st)
        print_error("load: status %d: %s\n", st, h_log);
    assert_int_equal(st, SC_OK);
    for (unsigned i = 0; i < sc_module_var_count(m); i++)
        sc_module_place(m, i, h_alloc(sc_module_var(m, i)->size));
    assert_int_equal(sc_module_link(m, h_log, sizeof(h_log)), SC_OK);
    return m;
}

static inline struct sc_launch h_launch(struct sc_module *m, const char *name, unsigned grid,
                                        unsigned block, const void *params)
{
    struct sc_func *f = name ? sc_module_find(m, name) : sc_module_func(m, 0);
    assert_non_null(f);
    return (struct sc_launch){.func = f,
                              .grid = {grid, 1, 1},
                              .block = {block, 1, 1},
                              .max_shared = SC_MAX_SHARED,
                              .params = params,
                              .memmap = &h_map,
                              .timeout_ns = 20000000000u};
}

static inline enum sc_status h_run(struct sc_module *m, const char *name, unsigned grid,
                                   unsigned block, const void *params)
{
    struct sc_launch l = h_launch(m, name, grid, block, params);
    memset(&h_fault, 0, sizeof(h_fault));
    return sc_launch_run(&l, &h_fault);
}

/* Loads, runs with parameters, unloads. */
static inline enum sc_status h_once(const char *ptx, unsigned grid, unsigned block,
                                    const void *params)
{
    struct sc_module *m = h_load(ptx);
    enum sc_status st = h_run(m, NULL, grid, block, params);
    sc_module_destroy(m);
    return st;
}

#define H_HEAD ".version 7.8\n.target sm_80\n.address_size 64\n"

#endif
