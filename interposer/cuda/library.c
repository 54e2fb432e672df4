/* Libraries and kernels: not bound to a context. In each context where one is used, a library is a
 * module. */
#include "interposer/cuda/cu.h"

#include <stdlib.h>

#include "cuda/fatbin.h"

struct cu_library {
    struct cu_object o;
    pthread_mutex_t lock;
    void *image;               /* a copy: the application may free its own */
    struct cu_module **module; /* one per context */
    unsigned count;
    struct cu_kernel **kernel; /* by index of the function table */
    unsigned kernels;
    struct cu_managed *managed; /* one set for all contexts */
};

struct cu_kernel {
    struct cu_object o;
    struct cu_library *library;
    unsigned index;
};

/* The library's module in a context; loaded at first use, with `jit` or NULL. Under the library's
 * lock. */
static CUresult module_in(struct cu_library *l, struct cu_ctx *ctx, const struct xg_cuda_jit *jit,
                          struct cu_module **out)
{
    struct cu_module **more;
    CUresult r;

    for (unsigned i = 0; i < l->count; i++) {
        if (l->module[i]->ctx == ctx && !atomic_load(&ctx->destroyed)) {
            *out = l->module[i];
            return CUDA_SUCCESS;
        }
    }
    more = realloc(l->module, (l->count + 1) * sizeof(*more));
    if (!more)
        return CUDA_ERROR_OUT_OF_MEMORY;
    l->module = more;
    r = cu_module_load(ctx, l->image, jit, l->managed, out);
    if (r != CUDA_SUCCESS)
        return r;
    (*out)->library = &l->o;
    if (!l->managed)
        l->managed = cu_managed_get((*out)->managed);
    l->module[l->count++] = *out;
    if (!l->kernel) {
        l->kernels = (*out)->func_count;
        l->kernel = calloc(l->kernels + 1, sizeof(*l->kernel));
        if (!l->kernel)
            return CUDA_ERROR_OUT_OF_MEMORY;
    }
    return r;
}

/* A context to look into the library with: the thread's, else the primary one, which any program
 * that loads libraries without a context is about to use. */
static CUresult any_ctx(struct cu_ctx **ctx, bool *retained)
{
    CUcontext h;
    CUresult r;

    *retained = false;
    *ctx = cu_ctx_current();
    if (*ctx && !atomic_load(&(*ctx)->destroyed))
        return cu_enter(ctx);
    r = cuDevicePrimaryCtxRetain(&h, 0);
    if (r != CUDA_SUCCESS)
        return r;
    *retained = true; /* kept: the library's module lives in it */
    *ctx = cu_object_get(CU_KIND_CTX, h);
    return *ctx ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

static CUresult library_load(struct cu_library *l, const struct xg_cuda_jit *jit,
                             struct cu_module **out)
{
    struct cu_ctx *ctx;
    bool retained;
    CUresult r = any_ctx(&ctx, &retained);

    if (r != CUDA_SUCCESS)
        return r;
    pthread_mutex_lock(&l->lock);
    r = module_in(l, ctx, jit, out);
    pthread_mutex_unlock(&l->lock);
    return r;
}

static CUresult library_module(struct cu_library *l, struct cu_module **out)
{
    return library_load(l, NULL, out);
}

static CUresult library_get(CUlibrary h, struct cu_library **l)
{
    CU_READY();
    *l = cu_object_get(CU_KIND_LIBRARY, h);
    return *l ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* --- libraries -------------------------------------------------------------------------------- */

CUresult cuLibraryLoadData(CUlibrary *out, const void *image, CUjit_option *jit, void **jit_values,
                           unsigned jits, CUlibraryOption *option, void **values, unsigned options)
{
    XG_CUDA_NEED(out && image, CUDA_ERROR_INVALID_VALUE);
    enum xg_image_kind kind;
    struct cu_library *l;
    struct cu_module *m;
    struct xg_cuda_jit parsed;
    const void *start;
    size_t size;

    CU_READY();
    if ((options && !option) || xg_cuda_jit_parse(&parsed, jits, jit, jit_values))
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < options; i++)
        if (option[i] == CU_LIBRARY_HOST_UNIVERSAL_FUNCTION_AND_DATA_TABLE)
            return CUDA_ERROR_NOT_SUPPORTED;
    (void)values;
    if (xg_image_bounds(image, &start, &size, &kind))
        return CUDA_ERROR_INVALID_IMAGE;
    l = cu_object_new(CU_KIND_LIBRARY, sizeof(*l));
    if (!l)
        return CUDA_ERROR_OUT_OF_MEMORY;
    xg_lock_init(&l->lock);
    l->image = malloc(size + 1);
    CUresult r = CUDA_ERROR_OUT_OF_MEMORY;
    if (l->image) {
        memcpy(l->image, start, size);
        ((char *)l->image)[size] = 0;
        /* Loaded at once: what is wrong with the image is known now. */
        r = library_load(l, &parsed, &m);
    }
    if (r != CUDA_SUCCESS) {
        free(l->image);
        free(l->module);
        cu_object_hide(&l->o);
        cu_object_free(&l->o);
        return r;
    }
    *out = cu_handle(&l->o);
    return CUDA_SUCCESS;
}

CUresult cuLibraryLoadFromFile(CUlibrary *out, const char *path, CUjit_option *jit,
                               void **jit_values, unsigned jits, CUlibraryOption *option,
                               void **values, unsigned options)
{
    XG_CUDA_NEED(out && path && *path, CUDA_ERROR_INVALID_VALUE);
    void *image;

    CU_READY();
    CUresult r = xg_cuda_file_read(path, &image);
    if (r != CUDA_SUCCESS)
        return r;
    r = cuLibraryLoadData(out, image, jit, jit_values, jits, option, values, options);
    free(image);
    return r;
}

CUresult cuLibraryUnload(CUlibrary h)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    struct cu_library *l;
    CUresult r = library_get(h, &l);

    if (r != CUDA_SUCCESS)
        return r;
    CU_UNSAFE();
    if (!cu_object_hide(&l->o))
        return CUDA_ERROR_INVALID_HANDLE;
    for (unsigned i = 0; i < l->kernels; i++)
        if (l->kernel[i] && cu_object_hide(&l->kernel[i]->o))
            cu_object_free(&l->kernel[i]->o);
    for (unsigned i = 0; i < l->count; i++) {
        struct cu_module *m = l->module[i];
        m->library = NULL;
        cu_module_unload(m);
    }
    cu_managed_put(l->managed);
    free(l->kernel);
    free(l->module);
    free(l->image);
    cu_object_free(&l->o);
    return CUDA_SUCCESS;
}

/* A context that goes takes its modules along: libraries forget theirs. */
static void forget_in(void *object, void *ctx)
{
    struct cu_library *l = object;

    pthread_mutex_lock(&l->lock);
    for (unsigned i = 0; i < l->count; i++)
        if (l->module[i]->ctx == ctx)
            l->module[i--] = l->module[--l->count];
    if (!l->count && l->managed)
        cu_managed_again(l->managed);
    pthread_mutex_unlock(&l->lock);
}

void cu_ctx_forget_libraries(struct cu_ctx *ctx)
{
    cu_object_each(CU_KIND_LIBRARY, forget_in, ctx);
}

CUresult cuLibraryGetModule(CUmodule *out, CUlibrary h)
{
    XG_CUDA_NEED(out, CUDA_ERROR_INVALID_VALUE);
    struct cu_library *l;
    struct cu_module *m;

    CU_ENTER(ctx);
    CUresult r = library_get(h, &l);
    if (r == CUDA_SUCCESS)
        r = library_module(l, &m);
    if (r == CUDA_SUCCESS)
        *out = cu_handle(&m->o);
    return r;
}

CUresult cuLibraryGetGlobal(CUdeviceptr *p, size_t *size, CUlibrary h, const char *name)
{
    XG_CUDA_NEED(name && *name, CUDA_ERROR_INVALID_VALUE);
    struct cu_library *l;
    struct cu_module *m;

    CU_ENTER(ctx);
    CUresult r = library_get(h, &l);
    if (r == CUDA_SUCCESS)
        r = library_module(l, &m);
    return r == CUDA_SUCCESS ? cu_module_global(m, name, p, size) : r;
}

CUresult cuLibraryGetManaged(CUdeviceptr *p, size_t *size, CUlibrary h, const char *name)
{
    XG_CUDA_NEED(name && *name, CUDA_ERROR_INVALID_VALUE);
    struct cu_library *l;
    struct cu_module *m;
    CUresult r = library_get(h, &l);

    if (r == CUDA_SUCCESS)
        r = library_module(l, &m);
    if (r != CUDA_SUCCESS || cu_managed_find(m->managed, name, p, size))
        return r;
    /* If it is one that could not be placed, it is in the device's memory, where this process
     * cannot reach it. */
    r = cu_module_global(m, name, NULL, NULL);
    return r == CUDA_SUCCESS ? m->managed ? CUDA_ERROR_NOT_FOUND : CUDA_ERROR_NOT_SUPPORTED : r;
}

/* --- kernels ---------------------------------------------------------------------------------- */

static CUresult kernel_make(struct cu_library *l, unsigned index, struct cu_kernel **out)
{
    CUresult r = CUDA_SUCCESS;

    pthread_mutex_lock(&l->lock);
    if (!l->kernel[index]) {
        struct cu_kernel *k = cu_object_new(CU_KIND_KERNEL, sizeof(*k));
        if (k) {
            k->library = l;
            k->index = index;
            l->kernel[index] = k;
        } else {
            r = CUDA_ERROR_OUT_OF_MEMORY;
        }
    }
    *out = l->kernel[index];
    pthread_mutex_unlock(&l->lock);
    return r;
}

CUresult cuLibraryGetKernel(CUkernel *out, CUlibrary h, const char *name)
{
    XG_CUDA_NEED(out && name, CUDA_ERROR_INVALID_VALUE);
    struct cu_library *l;
    struct cu_kernel *k;
    struct cu_module *m;
    CUresult r = library_get(h, &l);

    if (r != CUDA_SUCCESS)
        return r;
    r = library_module(l, &m);
    if (r != CUDA_SUCCESS)
        return r;
    int i = cu_module_find(m, name);
    if (i < 0)
        return CUDA_ERROR_NOT_FOUND;
    r = cu_module_refuses(m, (unsigned)i);
    if (r == CUDA_SUCCESS)
        r = kernel_make(l, (unsigned)i, &k);
    if (r == CUDA_SUCCESS)
        *out = cu_handle(&k->o);
    return r;
}

CUresult cuLibraryGetKernelCount(unsigned int *count, CUlibrary h)
{
    XG_CUDA_NEED(count, CUDA_ERROR_INVALID_VALUE);
    struct cu_library *l;
    CUresult r = library_get(h, &l);

    if (r == CUDA_SUCCESS)
        *count = l->kernels;
    return r;
}

CUresult cuLibraryEnumerateKernels(CUkernel *out, unsigned int count, CUlibrary h)
{
    XG_CUDA_NEED(out, CUDA_ERROR_INVALID_VALUE);
    struct cu_library *l;
    struct cu_kernel *k;
    CUresult r = library_get(h, &l);

    for (unsigned i = 0; r == CUDA_SUCCESS && i < count && i < l->kernels; i++) {
        r = kernel_make(l, i, &k);
        if (r == CUDA_SUCCESS)
            out[i] = cu_handle(&k->o);
    }
    return r;
}

CUresult cu_kernel_func(struct cu_ctx *ctx, struct cu_kernel *k, struct cu_func **out)
{
    struct cu_library *l = k->library;
    struct cu_module *m;

    pthread_mutex_lock(&l->lock);
    CUresult r = module_in(l, ctx, NULL, &m);
    pthread_mutex_unlock(&l->lock);
    return r == CUDA_SUCCESS ? cu_module_func(m, k->index, out) : r;
}

/* The function in whatever context serves to ask about it. */
static CUresult kernel_any(CUkernel h, struct cu_ctx **ctx, struct cu_func **f)
{
    struct cu_kernel *k;
    bool retained;
    CUresult r;

    CU_READY();
    k = cu_object_get(CU_KIND_KERNEL, h);
    if (!k)
        return CUDA_ERROR_INVALID_HANDLE;
    r = any_ctx(ctx, &retained);
    return r == CUDA_SUCCESS ? cu_kernel_func(*ctx, k, f) : r;
}

CUresult cuKernelGetFunction(CUfunction *out, CUkernel h)
{
    XG_CUDA_NEED(out, CUDA_ERROR_INVALID_VALUE);
    struct cu_func *f;

    CU_ENTER(ctx);
    struct cu_kernel *k = cu_object_get(CU_KIND_KERNEL, h);
    if (!k)
        return CUDA_ERROR_INVALID_HANDLE;
    CUresult r = cu_kernel_func(ctx, k, &f);
    if (r == CUDA_SUCCESS)
        r = f->refused;
    if (r == CUDA_SUCCESS)
        *out = cu_handle(&f->o);
    return r;
}

CUresult cuKernelGetLibrary(CUlibrary *out, CUkernel h)
{
    XG_CUDA_NEED(out, CUDA_ERROR_INVALID_VALUE);
    CU_READY();
    struct cu_kernel *k = cu_object_get(CU_KIND_KERNEL, h);
    if (!k)
        return CUDA_ERROR_INVALID_HANDLE;
    *out = cu_handle(&k->library->o);
    return CUDA_SUCCESS;
}

CUresult cuKernelGetName(const char **name, CUkernel h)
{
    XG_CUDA_NEED(name && h, CUDA_ERROR_INVALID_VALUE);
    CU_READY();
    struct cu_ctx *ctx;
    struct cu_func *f;
    CUresult r = kernel_any(h, &ctx, &f);

    if (r == CUDA_SUCCESS)
        *name = f->label;
    return r;
}

CUresult cuKernelGetParamInfo(CUkernel h, size_t index, size_t *offset, size_t *size)
{
    XG_CUDA_NEED(h && offset, CUDA_ERROR_INVALID_VALUE);
    CU_ENTER(ctx);
    struct cu_func *f;
    CUresult r = kernel_any(h, &ctx, &f);

    if (r == CUDA_SUCCESS && index >= f->param_count)
        r = CUDA_ERROR_INVALID_VALUE;
    if (r == CUDA_SUCCESS) {
        *offset = f->param[index].offset;
        if (size)
            *size = f->param[index].size;
    }
    return r;
}

CUresult cuKernelGetAttribute(int *value, CUfunction_attribute a, CUkernel h, CUdevice device)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    CU_READY();
    struct cu_ctx *ctx;
    struct cu_func *f;
    CUresult r = value ? kernel_any(h, &ctx, &f) : CUDA_ERROR_INVALID_VALUE;

    if (r == CUDA_SUCCESS && device != 0)
        r = CUDA_ERROR_INVALID_DEVICE;
    if (r == CUDA_SUCCESS)
        r = f->refused;
    return r == CUDA_SUCCESS ? cu_func_attribute(ctx, f, a, value) : r;
}

CUresult cuKernelSetAttribute(CUfunction_attribute a, int value, CUkernel h, CUdevice device)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    struct cu_ctx *ctx;
    struct cu_func *f;
    CUresult r = kernel_any(h, &ctx, &f);

    if (r == CUDA_SUCCESS && device != 0)
        r = CUDA_ERROR_INVALID_DEVICE;
    if (r == CUDA_SUCCESS)
        r = f->refused;
    return r == CUDA_SUCCESS ? cu_func_set_attribute(ctx, f, a, value) : r;
}

CUresult cuKernelSetCacheConfig(CUkernel h, CUfunc_cache config, CUdevice device)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    struct cu_ctx *ctx;
    struct cu_func *f;
    CUresult r = kernel_any(h, &ctx, &f);

    if (r == CUDA_SUCCESS && device != 0)
        r = CUDA_ERROR_INVALID_DEVICE;
    return r == CUDA_SUCCESS ? cuFuncSetCacheConfig(cu_handle(&f->o), config) : r;
}
