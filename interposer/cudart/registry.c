/*
 * What the compiler's start-up code registers: modules (fatbins) with their kernels and variables,
 * each of which an address in the program identifies. Nothing is loaded before it is used.
 *
 * A lookup takes no lock: a slot of the hash table is filled before its key is published. Symbols
 * are in one reserved range of addresses, which tells our handles from the driver's.
 */
#include "interposer/cudart/runtime.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum symbol_kind { SYM_FREE, SYM_KERNEL, SYM_VARIABLE, SYM_MANAGED, SYM_HANDLE };

struct symbol {
    enum symbol_kind kind;
    const void *key;
    const char *name;      /* in the program's image; NULL for SYM_HANDLE */
    struct module *module; /* NULL for SYM_HANDLE */
    CUlibrary library;     /* SYM_HANDLE only */
    _Atomic(CUkernel) kernel;
    void **managed;      /* where the program keeps the variable's address */
    size_t size;         /* of a managed variable */
    struct symbol *next; /* in the module, or in the list of free ones */
};

struct module {
    void *self; /* the program has a void ** to this, and may read through it */
    const void *wrapper;
    _Atomic(CUlibrary) library;
    atomic_bool managed_ready;
    struct symbol *symbols;
    struct module *next;
};

struct slot {
    _Atomic(const void *) key;
    _Atomic(struct symbol *) symbol;
};

struct table {
    /* Kept: a thread may still read it. As sizes double, all older tables are as large as this. */
    struct table *older;
    size_t mask, used; /* used: slots that are not empty, removed ones too */
    struct slot slots[];
};

enum { SYMBOLS_MAX = 1 << 20, TABLE_FIRST = 256 };

static const char slot_removed; /* its address is the key of a slot that was removed */

static struct {
    pthread_mutex_t lock;
    struct symbol *pool, *free;
    size_t pool_used;
    _Atomic(struct table *) table;
    struct module *modules;
} reg = {.lock = RT_LOCK_INITIALIZER};

/* --- the table -------------------------------------------------------------------------------- */

static size_t key_hash(const void *key)
{
    uint64_t h = (uint64_t)(uintptr_t)key * 0x9e3779b97f4a7c15u;
    return (size_t)(h ^ (h >> 32));
}

static struct symbol *table_find(const void *key)
{
    struct table *t = atomic_load_explicit(&reg.table, memory_order_acquire);

    if (!t || !key)
        return NULL;
    for (size_t i = key_hash(key);; i++) {
        struct slot *s = &t->slots[i & t->mask];
        const void *k = atomic_load_explicit(&s->key, memory_order_acquire);

        if (k == key)
            return atomic_load_explicit(&s->symbol, memory_order_relaxed);
        if (!k)
            return NULL;
    }
}

static void table_put(struct table *t, const void *key, struct symbol *symbol)
{
    size_t i = key_hash(key);
    const void *k;

    while ((k = atomic_load_explicit(&t->slots[i & t->mask].key, memory_order_relaxed)) &&
           k != &slot_removed)
        i++;
    atomic_store_explicit(&t->slots[i & t->mask].symbol, symbol, memory_order_relaxed);
    atomic_store_explicit(&t->slots[i & t->mask].key, key, memory_order_release);
    t->used += !k;
}

static struct table *table_grow(struct table *old)
{
    size_t size = old ? 2 * (old->mask + 1) : TABLE_FIRST;
    struct table *t = calloc(1, sizeof(*t) + size * sizeof(t->slots[0]));

    if (!t)
        return NULL;
    t->older = old;
    t->mask = size - 1;
    for (size_t i = 0; old && i <= old->mask; i++) {
        const void *key = atomic_load(&old->slots[i].key);

        if (key && key != &slot_removed)
            table_put(t, key, atomic_load(&old->slots[i].symbol));
    }
    atomic_store_explicit(&reg.table, t, memory_order_release);
    return t;
}

static struct slot *slot_of(struct table *t, const void *key)
{
    for (size_t i = key_hash(key); t; i++) {
        const void *k = atomic_load(&t->slots[i & t->mask].key);

        if (!k)
            return NULL;
        if (k == key)
            return &t->slots[i & t->mask];
    }
    return NULL;
}

static bool table_insert(const void *key, struct symbol *symbol)
{
    struct table *t = atomic_load(&reg.table);
    struct slot *s = slot_of(t, key);

    if (s) { /* two modules register the same stub: the later one is used */
        atomic_store(&s->symbol, symbol);
        return true;
    }
    if (!t || t->used >= (t->mask + 1) / 2)
        t = table_grow(t);
    if (t)
        table_put(t, key, symbol);
    return t != NULL;
}

static void table_remove(const struct symbol *symbol, const void *key)
{
    struct slot *s = slot_of(atomic_load(&reg.table), key);

    if (s && atomic_load(&s->symbol) == symbol)
        atomic_store(&s->key, &slot_removed);
}

/* --- symbols ---------------------------------------------------------------------------------- */

static struct symbol *symbol_new(enum symbol_kind kind, const void *key)
{
    struct symbol *s = reg.free;

    if (!reg.pool) {
        void *p = mmap(NULL, SYMBOLS_MAX * sizeof(*s), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED)
            return NULL;
        reg.pool = p;
    }
    if (s)
        reg.free = s->next;
    else if (reg.pool_used < SYMBOLS_MAX)
        s = &reg.pool[reg.pool_used++];
    else
        return NULL;
    memset(s, 0, sizeof(*s));
    s->kind = kind;
    s->key = key;
    if (!table_insert(key, s)) {
        s->next = reg.free;
        reg.free = s;
        return NULL;
    }
    return s;
}

static void symbol_free(struct symbol *s)
{
    table_remove(s, s->key);
    if (s->managed)
        table_remove(s, *s->managed);
    s->kind = SYM_FREE;
    s->next = reg.free;
    reg.free = s;
}

static struct symbol *symbol_of_handle(cudaKernel_t handle)
{
    uintptr_t off = (uintptr_t)handle - (uintptr_t)reg.pool;

    return reg.pool && off < SYMBOLS_MAX * sizeof(struct symbol) ? (struct symbol *)handle : NULL;
}

static struct symbol *module_add(void **handle, enum symbol_kind kind, const void *key,
                                 const char *name)
{
    struct module *m = (struct module *)handle;
    struct symbol *s = NULL;

    if (!m || !key || !name)
        return NULL;
    pthread_mutex_lock(&reg.lock);
    s = symbol_new(kind, key);
    if (s) {
        s->name = name;
        s->module = m;
        s->next = m->symbols;
        m->symbols = s;
    }
    pthread_mutex_unlock(&reg.lock);
    if (!s)
        rt_fail(cudaErrorMemoryAllocation);
    return s;
}

/* --- registration, called before main --------------------------------------------------------- */

void **__cudaRegisterFatBinary(void *wrapper)
{
    struct module *m = calloc(1, sizeof(*m));

    if (!m) {
        rt_fail(cudaErrorMemoryAllocation);
        return NULL;
    }
    m->self = m;
    m->wrapper = wrapper;
    pthread_mutex_lock(&reg.lock);
    m->next = reg.modules;
    reg.modules = m;
    pthread_mutex_unlock(&reg.lock);
    return (void **)m;
}

void __cudaRegisterFatBinaryEnd(void **handle)
{
}

void __cudaRegisterFunction(void **handle, const char *host, char *device, const char *name,
                            int thread_limit, void *tid, void *bid, dim3 *block, dim3 *grid,
                            int *warp)
{
    module_add(handle, SYM_KERNEL, host, name);
}

void __cudaRegisterVar(void **handle, char *host, char *device, const char *name, int ext,
                       size_t size, int constant, int global)
{
    module_add(handle, SYM_VARIABLE, host, name);
}

void __cudaRegisterManagedVar(void **handle, void **host, char *device, const char *name, int ext,
                              size_t size, int constant, int global)
{
    struct symbol *s = module_add(handle, SYM_MANAGED, host, name);

    if (s) {
        s->managed = host;
        s->size = size;
    }
}

void __cudaUnregisterFatBinary(void **handle)
{
    struct module *m = (struct module *)handle, **at;
    struct symbol *s, *next;

    if (!m)
        return;
    pthread_mutex_lock(&reg.lock);
    for (at = &reg.modules; *at && *at != m; at = &(*at)->next)
        ;
    if (!*at) { /* not ours, or unregistered before */
        pthread_mutex_unlock(&reg.lock);
        return;
    }
    *at = m->next;
    for (s = m->symbols; s; s = next) {
        next = s->next;
        symbol_free(s);
    }
    pthread_mutex_unlock(&reg.lock);
    if (atomic_load(&m->library) && !atomic_load(&rt_exiting))
        drv.cuLibraryUnload(atomic_load(&m->library));
    free(m);
}

/* --- loading ---------------------------------------------------------------------------------- */

/* The program reads a managed variable through a pointer that only the driver can fill. */
static CUresult managed_find_locked(struct module *m)
{
    CUresult r = CUDA_SUCCESS;

    for (struct symbol *s = m->symbols; s && r == CUDA_SUCCESS; s = s->next) {
        CUdeviceptr p = 0;
        size_t size;

        if (s->kind != SYM_MANAGED)
            continue;
        r = drv.cuLibraryGetManaged(&p, &size, atomic_load(&m->library), s->name);
        if (r != CUDA_SUCCESS)
            break;
        table_remove(s, *s->managed); /* its address before a reset */
        *s->managed = (void *)(uintptr_t)p;
        if (!table_insert(*s->managed, s))
            r = CUDA_ERROR_OUT_OF_MEMORY;
    }
    return r;
}

/* Without a driver that places them, calls report the error. The program must not crash before
 * that, when it reads or writes such a variable: it gets memory of its own, which nobody else sees.
 */
static void managed_substitute(struct module *m)
{
    pthread_mutex_lock(&reg.lock);
    for (struct symbol *s = m->symbols; s; s = s->next)
        if (s->kind == SYM_MANAGED && !*s->managed)
            *s->managed = calloc(1, s->size ? s->size : 1);
    pthread_mutex_unlock(&reg.lock);
}

static CUresult module_load_locked(struct module *m)
{
    CUlibrary library = atomic_load(&m->library);
    CUresult r;

    if (!library) {
        r = rt_library_load(m->wrapper, &library);
        if (r != CUDA_SUCCESS)
            return r;
        atomic_store(&m->library, library);
    }
    if (!atomic_load(&m->managed_ready)) {
        r = managed_find_locked(m);
        if (r != CUDA_SUCCESS)
            return r;
        atomic_store(&m->managed_ready, true);
    }
    return CUDA_SUCCESS;
}

static CUresult module_load(struct module *m)
{
    CUresult r;

    if (atomic_load_explicit(&m->managed_ready, memory_order_acquire))
        return CUDA_SUCCESS;
    pthread_mutex_lock(&reg.lock);
    r = module_load_locked(m);
    pthread_mutex_unlock(&reg.lock);
    return r;
}

char __cudaInitModule(void **handle)
{
    struct module *m = (struct module *)handle;
    CUresult r;

    if (!m)
        return 0;
    if (rt_enter()) {
        managed_substitute(m);
        return 0;
    }
    r = module_load(m);
    if (r != CUDA_SUCCESS) {
        managed_substitute(m);
        rt_fail_driver(r);
    }
    return r == CUDA_SUCCESS;
}

static __attribute__((noinline)) cudaError_t symbol_load(struct symbol *s, CUkernel *kernel)
{
    CUresult r = module_load(s->module);

    if (r == CUDA_SUCCESS)
        r = drv.cuLibraryGetKernel(kernel, atomic_load(&s->module->library), s->name);
    if (r == CUDA_ERROR_NOT_FOUND)
        return rt_fail(cudaErrorInvalidDeviceFunction);
    if (r != CUDA_SUCCESS)
        return rt_fail_driver(r);
    atomic_store_explicit(&s->kernel, *kernel, memory_order_release);
    return cudaSuccess;
}

static inline cudaError_t symbol_kernel(struct symbol *s, CUkernel *kernel)
{
    *kernel = atomic_load_explicit(&s->kernel, memory_order_acquire);
    if (XG_LIKELY(*kernel != NULL))
        return cudaSuccess;
    if (s->kind != SYM_KERNEL)
        return rt_fail(cudaErrorInvalidDeviceFunction);
    return symbol_load(s, kernel);
}

/* --- for the other files ---------------------------------------------------------------------- */

cudaError_t rt_kernel_of_handle(cudaKernel_t handle, CUkernel *kernel)
{
    struct symbol *s = symbol_of_handle(handle);

    if (XG_LIKELY(s != NULL))
        return symbol_kernel(s, kernel);
    if (!handle)
        return rt_fail(cudaErrorInvalidDeviceFunction);
    *kernel = handle; /* the driver's, from cudaGetKernel or cudaLibraryGetKernel */
    return cudaSuccess;
}

cudaError_t rt_kernel(const void *func, CUkernel *kernel)
{
    struct symbol *s = table_find(func);

    if (XG_UNLIKELY(!s))
        s = symbol_of_handle((cudaKernel_t)(uintptr_t)func);
    return s ? symbol_kernel(s, kernel) : rt_fail(cudaErrorInvalidDeviceFunction);
}

cudaError_t rt_function(const void *func, CUfunction *function)
{
    CUkernel kernel;

    RT_TRY(rt_kernel(func, &kernel));
    return rt_result(drv.cuKernelGetFunction(function, kernel));
}

cudaError_t rt_variable(const void *symbol, CUdeviceptr *address, size_t *size)
{
    struct symbol *s = table_find(symbol);
    CUlibrary library;
    CUresult r;

    if (!s || (s->kind != SYM_VARIABLE && s->kind != SYM_MANAGED))
        return rt_fail(cudaErrorInvalidSymbol);
    r = module_load(s->module);
    if (r != CUDA_SUCCESS)
        return rt_fail_driver(r);
    library = atomic_load(&s->module->library);
    r = s->kind == SYM_MANAGED ? drv.cuLibraryGetManaged(address, size, library, s->name)
                               : drv.cuLibraryGetGlobal(address, size, library, s->name);
    return r == CUDA_ERROR_NOT_FOUND ? rt_fail(cudaErrorInvalidSymbol) : rt_result(r);
}

cudaError_t rt_variable_part(const void *symbol, size_t size, size_t offset, void **at)
{
    CUdeviceptr base;
    size_t whole;

    RT_TRY(rt_variable(symbol, &base, &whole));
    if (offset > whole || size > whole - offset)
        return rt_fail(cudaErrorInvalidValue);
    *at = (void *)(uintptr_t)(base + offset);
    return cudaSuccess;
}

cudaError_t rt_kernel_publish(const void *key, CUkernel kernel, CUlibrary library)
{
    struct symbol *s;

    pthread_mutex_lock(&reg.lock);
    s = table_find(key);
    if (!s || s->kind != SYM_HANDLE)
        s = symbol_new(SYM_HANDLE, key);
    if (s) {
        s->library = library;
        atomic_store(&s->kernel, kernel);
    }
    pthread_mutex_unlock(&reg.lock);
    return s ? cudaSuccess : rt_fail(cudaErrorMemoryAllocation);
}

void rt_managed_forget(void)
{
    pthread_mutex_lock(&reg.lock);
    for (struct module *m = reg.modules; m; m = m->next) {
        bool has = false;
        for (struct symbol *s = m->symbols; s && !has; s = s->next)
            has = s->kind == SYM_MANAGED;
        if (!has)
            continue;
        atomic_store(&m->managed_ready, false);
        for (struct symbol *s = m->symbols; s; s = s->next)
            atomic_store(&s->kernel, NULL); /* so that its next launch calls module_load */
    }
    pthread_mutex_unlock(&reg.lock);
}

void rt_library_forget(CUlibrary library)
{
    pthread_mutex_lock(&reg.lock);
    for (size_t i = 0; i < reg.pool_used; i++)
        if (reg.pool[i].kind == SYM_HANDLE && reg.pool[i].library == library)
            symbol_free(&reg.pool[i]);
    pthread_mutex_unlock(&reg.lock);
}

/* A driver may answer with the kernel, the function, or the kernel in place of the function. */
static bool symbol_is_kernel(struct symbol *s, CUkernel kernel, CUfunction function)
{
    CUkernel k = s->kind == SYM_FREE ? NULL : atomic_load(&s->kernel);
    CUfunction f = NULL;

    if (!k)
        return false;
    if (k == kernel || k == (CUkernel)function)
        return true;
    return !kernel && drv.cuKernelGetFunction(&f, k) == CUDA_SUCCESS && f == function;
}

const void *rt_kernel_name(CUkernel kernel, CUfunction function)
{
    const void *key = NULL;

    pthread_mutex_lock(&reg.lock);
    for (size_t i = 0; i < reg.pool_used && !key; i++)
        if (symbol_is_kernel(&reg.pool[i], kernel, function))
            key = reg.pool[i].key;
    pthread_mutex_unlock(&reg.lock);
    return key;
}

/* The handle is ours and needs no driver. The compiler's code asks once per kernel and keeps the
 * answer, so a kernel that cannot be loaded is an error of each launch, not of this call. */
cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *host)
{
    RT_NEED(kernel);
    *kernel = (cudaKernel_t)table_find(host);
    return *kernel ? cudaSuccess : rt_fail(cudaErrorInvalidDeviceFunction);
}
