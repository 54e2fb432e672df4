/* Libraries: an image that each context loads when it first needs it. */
#include <stdlib.h>
#include <string.h>

#include "softcuda/driver/sc.h"

struct loaded {
    struct loaded *next;
    struct sc_ctx *ctx;
    struct sc_module_obj *module;
};

struct sc_library {
    CUlibrary handle;
    struct sc_library *next;
    char *ptx;
    size_t len;
    struct loaded *loaded; /* under list_lock */
    struct sc_kernel *kernels;
    unsigned kernel_count;
    bool managed; /* it has __managed__ variables */
};

static pthread_mutex_t load_lock =
    PTHREAD_MUTEX_INITIALIZER; /* one load at a time; outside of sc_lock */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER; /* inside of it */
static struct sc_library *libraries;

/* --- loading into a context ------------------------------------------------------------------- */

static struct loaded *loaded_find(struct sc_library *l, struct sc_ctx *ctx)
{
    struct loaded *d;

    pthread_mutex_lock(&list_lock);
    for (d = l->loaded; d; d = d->next)
        if (d->ctx == ctx)
            break;
    pthread_mutex_unlock(&list_lock);
    return d;
}

static CUresult module_in(struct sc_library *l, struct sc_ctx *ctx, struct sc_module_obj **out)
{
    char log[1024];
    CUresult r = CUDA_SUCCESS;

    pthread_mutex_lock(&load_lock);
    struct loaded *d = loaded_find(l, ctx);
    if (!d) {
        sc_print_flush(ctx);
        d = calloc(1, sizeof(*d));
        r = d ? sc_module_load(ctx, l->ptx, l->len, NULL, log, sizeof(log), &d->module)
              : CUDA_ERROR_OUT_OF_MEMORY;
        if (r) {
            free(d);
        } else {
            d->ctx = ctx;
            d->module->library = l;
            pthread_mutex_lock(&list_lock);
            d->next = l->loaded;
            l->loaded = d;
            pthread_mutex_unlock(&list_lock);
        }
    }
    if (!r)
        *out = d->module;
    pthread_mutex_unlock(&load_lock);
    return r;
}

/* The context ends; its modules go with it. sc_lock held by the caller, so only the list is
 * touched. */
void sc_library_drop_ctx(struct sc_ctx *ctx)
{
    pthread_mutex_lock(&list_lock);
    for (struct sc_library *l = libraries; l; l = l->next)
        for (struct loaded **link = &l->loaded, *d; (d = *link);) {
            if (d->ctx != ctx) {
                link = &d->next;
                continue;
            }
            *link = d->next;
            free(d);
        }
    pthread_mutex_unlock(&list_lock);
}

static struct sc_function *function_in(struct sc_kernel *k, struct sc_ctx *ctx, CUresult *error)
{
    struct sc_module_obj *m;

    *error = module_in(k->library, ctx, &m);
    if (*error)
        return NULL;
    struct sc_function *f = &m->functions[k->index];
    if (k->max_dynamic >= 0)
        f->max_dynamic = (uint32_t)k->max_dynamic;
    if (k->carveout != CU_SHAREDMEM_CARVEOUT_DEFAULT)
        f->carveout = k->carveout;
    return f;
}

struct sc_function *sc_function_find(struct sc_ctx *ctx, CUfunction handle, CUresult *error)
{
    struct sc_function *f = sc_handle_get(SC_FUNCTION, handle);

    *error = CUDA_SUCCESS;
    if (XG_LIKELY(f != NULL))
        return f;
    struct sc_kernel *k = sc_handle_get(SC_KERNEL, handle);
    if (k)
        return function_in(k, ctx, error);
    *error = CUDA_ERROR_INVALID_HANDLE;
    return NULL;
}

struct sc_function *sc_function_get(struct sc_ctx *ctx, CUfunction handle, CUresult *error)
{
    struct sc_function *f = sc_function_find(ctx, handle, error);

    if (XG_LIKELY(!f || !f->info->refused))
        return f;
    sc_say("kernel %s cannot be used: %s", f->info->name, f->info->refused);
    *error = CUDA_ERROR_NOT_SUPPORTED;
    return NULL;
}

/* --- life ------------------------------------------------------------------------------------- */

static void library_free(struct sc_library *l)
{
    for (unsigned i = 0; l->kernels && i < l->kernel_count; i++) {
        sc_handle_drop(SC_KERNEL, l->kernels[i].handle);
        free(l->kernels[i].name);
    }
    free(l->kernels);
    free(l->ptx);
    free(l);
}

/* Compiled once without a context, for its kernels' names and for errors to show now. */
static CUresult library_scan(struct sc_library *l, char *log, size_t log_size)
{
    struct sc_module *m;
    CUresult r = sc_result(sc_module_create(l->ptx, l->len, log, log_size, &m));

    if (r)
        return r;
    r = sc_result(sc_module_resolved(m, log, log_size));
    l->kernel_count = sc_module_func_count(m);
    l->kernels = calloc(l->kernel_count + 1, sizeof(*l->kernels));
    for (unsigned i = 0; i < sc_module_var_count(m); i++)
        l->managed |= sc_module_var(m, i)->managed;
    for (unsigned i = 0; l->kernels && i < l->kernel_count && !r; i++) {
        const struct sc_func_info *info = sc_func_info(sc_module_func(m, i));
        struct sc_kernel *k = &l->kernels[i];
        *k = (struct sc_kernel){.library = l,
                                .index = i,
                                .info = *info,
                                .max_dynamic = -1,
                                .carveout = CU_SHAREDMEM_CARVEOUT_DEFAULT};
        k->info.name = k->info.refused = NULL;
        k->info.params = NULL;
        k->name = strdup(info->name);
        k->refused = info->refused != NULL;
        k->handle = sc_handle_new(SC_KERNEL, k);
        if (!k->name || !k->handle)
            r = CUDA_ERROR_OUT_OF_MEMORY;
    }
    sc_module_destroy(m);
    return l->kernels ? r : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuLibraryLoadData(CUlibrary *out, const void *code, CUjit_option *jit_options,
                           void **jit_values, unsigned jit_count, CUlibraryOption *options,
                           void **values, unsigned count)
{
    XG_CUDA_NEED(out && code, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_jit jit;
    char log[2048] = "";
    CUresult r = sc_ready();

    if (r)
        return r;
    if (count && !options)
        return CUDA_ERROR_INVALID_VALUE;
    if ((r = xg_cuda_jit_parse(&jit, jit_count, jit_options, jit_values)))
        return r;
    struct sc_library *l = calloc(1, sizeof(*l));
    if (!l)
        return CUDA_ERROR_OUT_OF_MEMORY;
    r = sc_image_ptx(code, &l->ptx, &l->len);
    if (!r) {
        r = library_scan(l, log, sizeof(log));
        xg_cuda_jit_report(&jit, r, log);
    }
    if (!r && !(l->handle = sc_handle_new(SC_LIBRARY, l)))
        r = CUDA_ERROR_OUT_OF_MEMORY;
    if (r) {
        sc_say("library: %s", log[0] ? log : "does not load");
        library_free(l);
        return r;
    }
    pthread_mutex_lock(&list_lock);
    l->next = libraries;
    libraries = l;
    pthread_mutex_unlock(&list_lock);
    *out = l->handle;
    return CUDA_SUCCESS;
}

CUresult cuLibraryLoadFromFile(CUlibrary *out, const char *path, CUjit_option *jit_options,
                               void **jit_values, unsigned jit_count, CUlibraryOption *options,
                               void **values, unsigned count)
{
    XG_CUDA_NEED(out && path && *path, CUDA_ERROR_INVALID_VALUE);
    void *data;
    CUresult r = sc_ready();

    if (r)
        return r;
    if ((r = xg_cuda_file_read(path, &data)))
        return r;
    r = cuLibraryLoadData(out, data, jit_options, jit_values, jit_count, options, values, count);
    free(data);
    return r;
}

CUresult cuLibraryUnload(CUlibrary handle)
{
    XG_CUDA_NEED(handle, CUDA_ERROR_INVALID_HANDLE);
    CUresult r = sc_ready();
    struct sc_library *l = sc_handle_get(SC_LIBRARY, handle), **link;

    if (r)
        return r;
    SC_UNSAFE();
    if (!l || !sc_handle_drop(SC_LIBRARY, handle))
        return CUDA_ERROR_INVALID_HANDLE;
    sc_sync_all();
    pthread_mutex_lock(&sc_lock);
    pthread_mutex_lock(&list_lock);
    for (link = &libraries; *link && *link != l; link = &(*link)->next)
        ;
    if (*link)
        *link = l->next;
    struct loaded *d = l->loaded, *next;
    pthread_mutex_unlock(&list_lock);
    for (; d; d = next) {
        next = d->next;
        sc_print_flush(d->ctx);
        sc_module_unload(d->module);
        free(d);
    }
    pthread_mutex_unlock(&sc_lock);
    library_free(l);
    return CUDA_SUCCESS;
}

/* --- names ------------------------------------------------------------------------------------ */

CUresult cuLibraryGetKernel(CUkernel *out, CUlibrary handle, const char *name)
{
    XG_CUDA_NEED(out && name, CUDA_ERROR_INVALID_VALUE);
    SC_READY();
    struct sc_library *l = sc_handle_get(SC_LIBRARY, handle);

    if (!l)
        return CUDA_ERROR_INVALID_HANDLE;
    for (unsigned i = 0; i < l->kernel_count; i++)
        if (!strcmp(l->kernels[i].name, name)) {
            if (l->kernels[i].refused)
                return CUDA_ERROR_NOT_SUPPORTED;
            *out = l->kernels[i].handle;
            return CUDA_SUCCESS;
        }
    return CUDA_ERROR_NOT_FOUND;
}

CUresult cuLibraryGetKernelCount(unsigned *count, CUlibrary handle)
{
    XG_CUDA_NEED(count, CUDA_ERROR_INVALID_VALUE);
    SC_READY();
    struct sc_library *l = sc_handle_get(SC_LIBRARY, handle);

    if (!l)
        return CUDA_ERROR_INVALID_HANDLE;
    *count = l->kernel_count;
    return CUDA_SUCCESS;
}

CUresult cuLibraryEnumerateKernels(CUkernel *kernels, unsigned count, CUlibrary handle)
{
    XG_CUDA_NEED(kernels, CUDA_ERROR_INVALID_VALUE);
    SC_READY();
    struct sc_library *l = sc_handle_get(SC_LIBRARY, handle);

    if (!l)
        return CUDA_ERROR_INVALID_HANDLE;
    for (unsigned i = 0; i < count && i < l->kernel_count; i++)
        kernels[i] = l->kernels[i].handle;
    return CUDA_SUCCESS;
}

CUresult cuLibraryGetModule(CUmodule *out, CUlibrary handle)
{
    XG_CUDA_NEED(out, CUDA_ERROR_INVALID_VALUE);
    struct sc_module_obj *m;
    SC_ENTER(ctx);
    struct sc_library *l = sc_handle_get(SC_LIBRARY, handle);

    if (!l)
        return CUDA_ERROR_INVALID_HANDLE;
    CUresult r = module_in(l, ctx, &m);
    if (!r)
        *out = m->handle;
    return r;
}

static CUresult library_variable(CUdeviceptr *address, size_t *size, CUlibrary handle,
                                 const char *name, bool managed)
{
    struct sc_module_obj *m;
    SC_READY();
    struct sc_library *l = sc_handle_get(SC_LIBRARY, handle);

    if (!l)
        return CUDA_ERROR_INVALID_HANDLE;
    if (managed && !l->managed)
        return CUDA_ERROR_NOT_FOUND;
    SC_ENTER(ctx);
    CUresult r = module_in(l, ctx, &m);
    return r ? r : sc_module_global(m, name, managed, address, size);
}

CUresult cuLibraryGetGlobal(CUdeviceptr *address, size_t *size, CUlibrary handle, const char *name)
{
    XG_CUDA_NEED(name && *name, CUDA_ERROR_INVALID_VALUE);
    return library_variable(address, size, handle, name, false);
}

CUresult cuLibraryGetManaged(CUdeviceptr *address, size_t *size, CUlibrary handle, const char *name)
{
    XG_CUDA_NEED(name && *name, CUDA_ERROR_INVALID_VALUE);
    return library_variable(address, size, handle, name, true);
}

CUresult cuLibraryGetUnifiedFunction(void **function, CUlibrary handle, const char *symbol)
{
    SC_READY();
    if (!function || !symbol)
        return CUDA_ERROR_INVALID_VALUE;
    /* A device without CU_DEVICE_ATTRIBUTE_UNIFIED_FUNCTION_POINTERS answers so. */
    return sc_handle_get(SC_LIBRARY, handle) ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE;
}

/* --- kernels ---------------------------------------------------------------------------------- */

CUresult cuKernelGetFunction(CUfunction *out, CUkernel kernel)
{
    XG_CUDA_NEED(out, CUDA_ERROR_INVALID_VALUE);
    CUresult r;
    SC_ENTER(ctx);
    struct sc_kernel *k = sc_handle_get(SC_KERNEL, kernel);
    if (!k)
        return CUDA_ERROR_INVALID_HANDLE;
    struct sc_function *f = sc_function_get(ctx, (CUfunction)kernel, &r);
    if (f)
        *out = f->handle;
    return r;
}

CUresult cuKernelGetLibrary(CUlibrary *out, CUkernel kernel)
{
    XG_CUDA_NEED(out, CUDA_ERROR_INVALID_VALUE);
    SC_READY();
    struct sc_kernel *k = sc_handle_get(SC_KERNEL, kernel);

    if (!k)
        return CUDA_ERROR_INVALID_HANDLE;
    *out = k->library->handle;
    return CUDA_SUCCESS;
}

CUresult cuKernelGetName(const char **name, CUkernel kernel)
{
    XG_CUDA_NEED(name && kernel, CUDA_ERROR_INVALID_VALUE);
    SC_READY();
    struct sc_kernel *k = sc_handle_get(SC_KERNEL, kernel);

    if (!k)
        return CUDA_ERROR_INVALID_HANDLE;
    *name = k->name;
    return CUDA_SUCCESS;
}

/* It needs no context: of a kernel that none has loaded, the numbers of the image do. */
static CUresult kernel_enter(CUkernel kernel, CUdevice device, struct sc_kernel **k,
                             struct sc_ctx **ctx)
{
    CUresult r = sc_ctx_enter_none(ctx);

    *k = sc_handle_get(SC_KERNEL, kernel);
    return r        ? r
           : !*k    ? CUDA_ERROR_INVALID_HANDLE
           : device ? CUDA_ERROR_INVALID_DEVICE
                    : CUDA_SUCCESS;
}

CUresult cuKernelGetAttribute(int *value, CUfunction_attribute attribute, CUkernel kernel,
                              CUdevice device)
{
    XG_CUDA_NEED(kernel, CUDA_ERROR_INVALID_HANDLE);
    struct sc_kernel *k;
    struct sc_ctx *ctx;
    CUresult r = kernel_enter(kernel, device, &k, &ctx);

    if (r)
        return r;
    if (ctx)
        return cuFuncGetAttribute(value, attribute, (CUfunction)kernel);
    uint32_t most = k->max_dynamic < 0 ? sc_func_max_dynamic(&k->info) : (uint32_t)k->max_dynamic;
    return !value       ? CUDA_ERROR_INVALID_VALUE
           : k->refused ? CUDA_ERROR_NOT_SUPPORTED
                        : sc_func_attribute(&k->info, most, k->carveout, attribute, value);
}

CUresult cuKernelSetAttribute(CUfunction_attribute attribute, int value, CUkernel kernel,
                              CUdevice device)
{
    XG_CUDA_NEED(kernel, CUDA_ERROR_INVALID_HANDLE);
    struct sc_kernel *k;
    struct sc_ctx *ctx;
    CUresult r = kernel_enter(kernel, device, &k, &ctx);

    if (r)
        return r;
    if (k->refused)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (ctx && (r = cuFuncSetAttribute((CUfunction)kernel, attribute, value)))
        return r;
    uint32_t most = (uint32_t)k->max_dynamic;
    r = sc_func_set_attribute(&k->info, attribute, value, &most, &k->carveout);
    k->max_dynamic = (int)most; /* for contexts to come */
    return r;
}

CUresult cuKernelSetCacheConfig(CUkernel kernel, CUfunc_cache config, CUdevice device)
{
    XG_CUDA_NEED(kernel, CUDA_ERROR_INVALID_HANDLE);
    struct sc_kernel *k;
    struct sc_ctx *ctx;
    CUresult r = kernel_enter(kernel, device, &k, &ctx);

    if (r)
        return r;
    if ((unsigned)config > CU_FUNC_CACHE_PREFER_EQUAL)
        return CUDA_ERROR_INVALID_VALUE;
    return ctx ? cuFuncSetCacheConfig((CUfunction)kernel, config) : CUDA_SUCCESS;
}

CUresult cuKernelGetParamInfo(CUkernel kernel, size_t index, size_t *offset, size_t *size)
{
    XG_CUDA_NEED(kernel && offset, CUDA_ERROR_INVALID_VALUE);
    SC_READY();
    if (!sc_handle_get(SC_KERNEL, kernel))
        return CUDA_ERROR_INVALID_HANDLE;
    return cuFuncGetParamInfo((CUfunction)kernel, index, offset, size);
}
