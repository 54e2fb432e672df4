/*
 * A stand-in for softcuda's engine, so that tests see the driver alone. Its "PTX" is a list of the
 * kernels below, one ".entry NAME" per line; ".global NAME SIZE" lines are variables.
 *
 *   empty()                    nothing
 *   add(u64 address, u32 n)    atomically adds n to a u32
 *   nap(u64 ns)                sleeps, in pieces; ends early when aborted
 *   forever()                  runs until aborted or the timeout
 *   touch(u64 address)         writes one byte, or faults
 *   log(u64 address, u32 n)    appends n to a list of u32 whose length is its first element
 */
#ifndef SOFTCUDA_FAKE_H
#define SOFTCUDA_FAKE_H

#include <stdatomic.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "softcuda/engine.h"
#include "protocol/base.h"
#include "cuda/abi/alias.h"

static const struct sc_param fake_address[] = {{0, 8}}, fake_address_n[] = {{0, 8}, {8, 4}};

static const struct sc_func_info fake_infos[] = {
    {.name = "empty"},
    {.name = "add", .params = fake_address_n, .param_count = 2, .param_bytes = 12},
    {.name = "nap", .params = fake_address, .param_count = 1, .param_bytes = 8},
    {.name = "forever"},
    {.name = "touch", .params = fake_address, .param_count = 1, .param_bytes = 8},
    {.name = "log", .params = fake_address_n, .param_count = 2, .param_bytes = 12},
};

enum { FAKE_FUNCS = XG_ARRAY_LEN(fake_infos), FAKE_VARS = 4 };

struct sc_func {
    struct sc_func_info info;
};

struct sc_module {
    struct sc_func funcs[FAKE_FUNCS];
    unsigned func_count;
    struct sc_var vars[FAKE_VARS];
    char names[FAKE_VARS][32];
    unsigned var_count;
};

static _Atomic unsigned fake_modules; /* alive */

enum sc_status sc_module_create(const char *ptx, size_t len, char *log, size_t log_size,
                                struct sc_module **out)
{
    struct sc_module *m = calloc(1, sizeof(*m));
    char line[128];

    *out = NULL;
    for (size_t at = 0; at < len;) {
        const char *end = memchr(ptx + at, '\n', len - at);
        size_t n = (end ? (size_t)(end - ptx) : len) - at;
        char name[32];
        unsigned size;
        snprintf(line, sizeof(line), "%.*s", (int)n, ptx + at);
        at += n + 1;
        if (sscanf(line, ".entry %31s", name) == 1) {
            for (unsigned i = 0; i < FAKE_FUNCS; i++)
                if (!strcmp(name, fake_infos[i].name)) {
                    m->funcs[m->func_count].info = fake_infos[i];
                    m->funcs[m->func_count].info.max_threads = SC_MAX_THREADS;
                    m->funcs[m->func_count++].info.registers = 8;
                }
        } else if (sscanf(line, ".global %31s %u", name, &size) == 2) {
            strcpy(m->names[m->var_count], name);
            m->vars[m->var_count] = (struct sc_var){m->names[m->var_count], size, 8};
            m->var_count++;
        } else if (n) {
            snprintf(log, log_size, "line 1: not understood: %s", line);
            free(m);
            return SC_ERR_SYNTAX;
        }
    }
    fake_modules++;
    *out = m;
    return SC_OK;
}

void sc_module_destroy(struct sc_module *m)
{
    fake_modules--;
    free(m);
}

enum sc_status sc_module_resolved(const struct sc_module *m, char *log, size_t log_size)
{
    (void)m;
    (void)log;
    (void)log_size;
    return SC_OK;
}

unsigned sc_module_var_count(const struct sc_module *m)
{
    return m->var_count;
}

const struct sc_var *sc_module_var(const struct sc_module *m, unsigned i)
{
    return &m->vars[i];
}

void sc_module_place(struct sc_module *m, unsigned i, void *address)
{
}

enum sc_status sc_module_link(struct sc_module *m, char *log, size_t log_size)
{
    return SC_OK;
}

unsigned sc_module_func_count(const struct sc_module *m)
{
    return m->func_count;
}

struct sc_func *sc_module_func(struct sc_module *m, unsigned i)
{
    return &m->funcs[i];
}

struct sc_func *sc_module_find(struct sc_module *m, const char *name)
{
    for (unsigned i = 0; i < m->func_count; i++)
        if (!strcmp(m->funcs[i].info.name, name))
            return &m->funcs[i];
    return NULL;
}

const struct sc_func_info *sc_func_info(const struct sc_func *f)
{
    return &f->info;
}

unsigned sc_func_resident(const struct sc_func *f, uint32_t threads, uint32_t dynamic_shared)
{
    return SC_BLOCKS_PER_SM;
}

unsigned sc_engine_threads(void)
{
    return 2;
}

static bool fake_allowed(const struct sc_memmap *map, uint64_t at, uint64_t n)
{
    for (unsigned i = 0; i < map->count; i++)
        if (at >= map->ranges[i].start && at + n <= map->ranges[i].end)
            return map->ranges[i].writable;
    return false;
}

static enum sc_status fake_sleep(const struct sc_launch *l, uint64_t ns)
{
    uint64_t start = xg_now_ns();

    while (xg_now_ns() - start < ns) {
        struct timespec ts = {0, 200000};
        nanosleep(&ts, NULL);
        if (l->abort && atomic_load_explicit(l->abort, memory_order_relaxed))
            return SC_ERR_ABORTED;
        if (l->timeout_ns && xg_now_ns() - start > l->timeout_ns)
            return SC_ERR_TIMEOUT;
    }
    return SC_OK;
}

enum sc_status sc_launch_run(const struct sc_launch *l, struct sc_fault *fault)
{
    const char *name = l->func->info.name;
    uint64_t address = 0;
    uint32_t n = 0;

    if (l->func->info.param_bytes >= 8)
        memcpy(&address, l->params, 8);
    if (l->func->info.param_bytes >= 12)
        memcpy(&n, (const char *)l->params + 8, 4);
    switch (name[0]) {
    case 'e': return SC_OK;
    case 'n': return fake_sleep(l, address);
    case 'f': return fake_sleep(l, UINT64_MAX);
    }
    if (!fake_allowed(l->memmap, address, name[0] == 't' ? 1 : 4)) {
        *fault = (struct sc_fault){.address = address, .size = 4, .write = true};
        return SC_ERR_FAULT;
    }
    if (name[0] == 't')
        *(uint8_t *)address = 1;
    else if (name[0] == 'a')
        __atomic_fetch_add((uint32_t *)address, n, __ATOMIC_RELAXED);
    else
        __atomic_store_n((uint32_t *)address + 1 +
                             __atomic_fetch_add((uint32_t *)address, 1, __ATOMIC_RELAXED),
                         n, __ATOMIC_RELAXED);
    return SC_OK;
}

/* --- for tests -------------------------------------------------------------------------------- */

#define FAKE_PTX                                                                                   \
    ".entry empty\n.entry add\n.entry nap\n.entry forever\n.entry touch\n.entry log\n"             \
    ".global counter 4\n"

#define OK(call) assert_int_equal(call, CUDA_SUCCESS)

static inline CUfunction fake_function(const char *name)
{
    CUmodule m;
    CUfunction f;

    OK(cuModuleLoadData(&m, FAKE_PTX));
    OK(cuModuleGetFunction(&f, m, name));
    return f;
}

static inline CUresult fake_launch(CUfunction f, CUstream s, uint64_t a, uint32_t n)
{
    void *params[] = {&a, &n};

    return cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, s, params, NULL);
}

static inline int fake_context(void **state)
{
    CUcontext c;

    OK(cuInit(0));
    OK(cuCtxCreate_v2(&c, 0, 0));
    *state = c;
    return 0;
}

static inline int fake_context_end(void **state)
{
    OK(cuCtxDestroy(*state));
    return 0;
}

#endif
