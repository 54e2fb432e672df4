/* Libraries: see module.h. */
#include "cuda/api/capture.h"
#include "cuda/api/graph.h"
#include "cuda/api/library.h"
#include "cuda/api/module.h"

#include <stdlib.h>
#include <string.h>

#define GONE ((CUcontext)UINTPTR_MAX) /* the place's context has ended: it is free */

static pthread_mutex_t libraries_lock =
    PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP; /* the innermost, but for what finds a variable */
static struct xg_cuda_library *libraries;

/* --- modules of a library --------------------------------------------------------------------- */

static struct xg_cuda_loaded *loaded_find(struct xg_cuda_library *l, CUcontext ctx)
{
    struct xg_cuda_loaded *p = atomic_load_explicit(&l->loaded, memory_order_acquire);

    while (p && atomic_load_explicit(&p->ctx, memory_order_acquire) != ctx)
        p = p->next;
    return p;
}

static bool loaded_anywhere(struct xg_cuda_library *l)
{
    struct xg_cuda_loaded *p = atomic_load_explicit(&l->loaded, memory_order_acquire);

    while (p && atomic_load_explicit(&p->ctx, memory_order_acquire) == GONE)
        p = p->next;
    return p != NULL;
}

/* A free one; NULL: no memory. */
static struct xg_cuda_loaded *loaded_make(struct xg_cuda_library *l, unsigned functions)
{
    struct xg_cuda_loaded *p = loaded_find(l, GONE);

    if (p) {
        for (unsigned i = 0; i < functions; i++)
            atomic_store_explicit(&p->function[i], NULL, memory_order_relaxed);
        return p;
    }
    p = calloc(1, sizeof(*p) + functions * sizeof(p->function[0]));
    if (!p)
        return NULL;
    atomic_init(&p->ctx, GONE);
    p->next = atomic_load(&l->loaded);
    atomic_store_explicit(&l->loaded, p, memory_order_release);
    return p;
}

/* What the first module of the image says is in it. It stays known when that ends. */
static CUresult kernels_make(struct xg_cuda_library *l, const struct xg_cuda_module *m)
{
    l->kernel = calloc(m->functions + 1, sizeof(*l->kernel));
    if (!l->kernel)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (; l->kernels < m->functions; l->kernels++) {
        struct xg_cuda_kernel *k = &l->kernel[l->kernels];
        k->library = l;
        k->index = l->kernels;
        k->name = strdup(xg_cuda_device.function_name(m, k->index, &k->refused));
        k->handle = k->name ? xg_cuda_handle_new(XG_CUDA_KIND_KERNEL, k) : NULL;
        if (!k->handle) {
            free(k->name);
            return CUDA_ERROR_OUT_OF_MEMORY;
        }
    }
    return CUDA_SUCCESS;
}

/* False: the context has ended meanwhile. Its handle ends before xg_cuda_libraries_forget. */
static bool loaded_enter(struct xg_cuda_loaded *p, CUcontext ctx, struct xg_cuda_module *m)
{
    pthread_mutex_lock(&libraries_lock);
    bool there = !ctx || xg_cuda_ctx_get(ctx);
    p->module = m;
    p->handle = m->handle;
    if (there)
        atomic_store_explicit(&p->ctx, ctx, memory_order_release);
    pthread_mutex_unlock(&libraries_lock);
    return there;
}

/* The library's lock is held, or nobody knows the library yet. */
static CUresult library_load(struct xg_cuda_library *l, CUcontext ctx,
                             const struct xg_cuda_jit *jit, struct xg_cuda_loaded **out)
{
    struct xg_cuda_loaded *p = NULL;
    struct xg_cuda_module *m;

    if (l->own && !loaded_anywhere(l))
        xg_cuda_device.image_again(l->own);
    CUresult r = xg_cuda_device.module_load(ctx, &l->image, jit, &l->own, &m);
    if (r != CUDA_SUCCESS)
        return r;
    m->library = l;
    if (!l->kernel)
        r = kernels_make(l, m);
    else if (m->functions != l->kernels) /* the same image has the same in it everywhere */
        r = CUDA_ERROR_UNKNOWN;
    if (r == CUDA_SUCCESS) {
        p = loaded_make(l, l->kernels);
        r = !p                         ? CUDA_ERROR_OUT_OF_MEMORY
            : !loaded_enter(p, ctx, m) ? CUDA_ERROR_CONTEXT_IS_DESTROYED
                                       : CUDA_SUCCESS;
    }
    if (r == CUDA_SUCCESS)
        *out = p;
    else
        xg_cuda_device.module_unload(m->handle, l);
    return r;
}

CUresult xg_cuda_library_in(struct xg_cuda_library *l, CUcontext ctx, struct xg_cuda_loaded **out)
{
    const struct xg_cuda_jit jit = {.max_registers = l->max_registers, .again = true};
    CUresult r = CUDA_SUCCESS;

    *out = loaded_find(l, ctx);
    if (XG_LIKELY(*out != NULL))
        return r;
    pthread_mutex_lock(&l->lock);
    *out = loaded_find(l, ctx);
    if (!*out)
        r = library_load(l, ctx, &jit, out);
    pthread_mutex_unlock(&l->lock);
    return r;
}

/* A context to look into the image with: the thread's; without one none, if the device can do so,
 * or else the primary one, which any program that loads libraries so is about to use. */
static CUresult context_find(struct xg_cuda_library *l, CUcontext *ctx)
{
    CUresult r = xg_cuda_enter_none(ctx);

    if (r != CUDA_SUCCESS || *ctx || !xg_cuda_device.image_needs_context)
        return r;
    r = cuDevicePrimaryCtxRetain(ctx, 0);
    if (r != CUDA_SUCCESS)
        return r;
    pthread_mutex_lock(&l->lock);
    bool again = l->retained;
    l->retained = true;
    pthread_mutex_unlock(&l->lock);
    if (again)
        cuDevicePrimaryCtxRelease_v2(0);
    return CUDA_SUCCESS;
}

CUresult xg_cuda_library_look(struct xg_cuda_library *l, struct xg_cuda_loaded **out)
{
    CUcontext ctx;
    CUresult r = context_find(l, &ctx);

    return r == CUDA_SUCCESS ? xg_cuda_library_in(l, ctx, out) : r;
}

static CUresult library_get(CUlibrary h, struct xg_cuda_library **l)
{
    XG_CUDA_READY();
    *l = xg_cuda_handle_get(XG_CUDA_KIND_LIBRARY, h);
    return *l ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

void xg_cuda_libraries_forget(CUcontext ctx)
{
    pthread_mutex_lock(&libraries_lock);
    for (struct xg_cuda_library *l = libraries; l; l = l->next) {
        struct xg_cuda_loaded *p = loaded_find(l, ctx);
        if (p)
            atomic_store_explicit(&p->ctx, GONE, memory_order_release);
    }
    pthread_mutex_unlock(&libraries_lock);
}

void xg_cuda_libraries_reset(void)
{
    libraries_lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    libraries = NULL;
}

/* --- libraries -------------------------------------------------------------------------------- */

static CUresult options_check(const CUlibraryOption *option, unsigned count)
{
    if (count && !option)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < count; i++)
        if (option[i] == CU_LIBRARY_HOST_UNIVERSAL_FUNCTION_AND_DATA_TABLE)
            return CUDA_ERROR_NOT_SUPPORTED;
    return CUDA_SUCCESS;
}

static struct xg_cuda_library *library_new(const struct xg_cuda_image *image)
{
    struct xg_cuda_library *l = calloc(1, sizeof(*l));
    char *copy = malloc(image->size + 1);

    if (!l || !copy) {
        free(l);
        free(copy);
        return NULL;
    }
    memcpy(copy, image->start, image->size);
    copy[image->size] = 0;
    l->image = (struct xg_cuda_image){copy, image->size, image->kind};
    l->lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    return l;
}

static void library_enter(struct xg_cuda_library *l)
{
    pthread_mutex_lock(&libraries_lock);
    l->next = libraries;
    libraries = l;
    pthread_mutex_unlock(&libraries_lock);
}

static void library_leave(struct xg_cuda_library *l)
{
    struct xg_cuda_library **link;

    pthread_mutex_lock(&libraries_lock);
    for (link = &libraries; *link != l; link = &(*link)->next)
        ;
    *link = l->next;
    pthread_mutex_unlock(&libraries_lock);
}

/* Its handle is nothing any more. */
static void library_free(struct xg_cuda_library *l)
{
    struct xg_cuda_loaded *p, *next;

    library_leave(l);
    for (unsigned i = 0; i < l->kernels; i++) {
        xg_cuda_handle_drop(XG_CUDA_KIND_KERNEL, l->kernel[i].handle);
        free(l->kernel[i].name);
    }
    for (p = atomic_load(&l->loaded); p; p = next) {
        next = p->next;
        if (atomic_load(&p->ctx) != GONE)
            xg_cuda_device.module_unload(p->handle, l);
        free(p);
    }
    if (l->own)
        xg_cuda_device.image_put(l->own);
    if (l->retained)
        cuDevicePrimaryCtxRelease_v2(0);
    free(l->kernel);
    free((void *)(uintptr_t)l->image.start);
    free(l);
}

/* Loaded at once: what is wrong with the image is known now. */
static CUresult library_open(struct xg_cuda_library *l, const struct xg_cuda_jit *jit)
{
    struct xg_cuda_loaded *p;
    CUcontext ctx;
    CUresult r = context_find(l, &ctx);

    if (r == CUDA_SUCCESS)
        r = library_load(l, ctx, jit, &p);
    if (r != CUDA_SUCCESS)
        return r;
    l->handle = xg_cuda_handle_new(XG_CUDA_KIND_LIBRARY, l);
    return l->handle ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuLibraryLoadData(CUlibrary *out, const void *code, CUjit_option *jit_options,
                           void **jit_values, unsigned jits, CUlibraryOption *options,
                           void **values, unsigned count)
{
    XG_CUDA_NEED(out && code, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_image image;
    struct xg_cuda_jit jit;

    XG_CUDA_READY();
    CUresult r = options_check(options, count);
    if (r == CUDA_SUCCESS)
        r = xg_cuda_jit_parse(&jit, jits, jit_options, jit_values);
    if (r == CUDA_SUCCESS)
        r = xg_cuda_image_find(code, &image);
    if (r != CUDA_SUCCESS)
        return r;
    jit.symbols = 0; /* an address holds in one context */
    struct xg_cuda_library *l = library_new(&image);
    if (!l)
        return CUDA_ERROR_OUT_OF_MEMORY;
    l->max_registers = jit.max_registers;
    library_enter(l);
    r = library_open(l, &jit);
    if (r == CUDA_SUCCESS)
        *out = l->handle;
    else
        library_free(l);
    return r;
}

CUresult cuLibraryLoadFromFile(CUlibrary *out, const char *path, CUjit_option *jit_options,
                               void **jit_values, unsigned jits, CUlibraryOption *options,
                               void **values, unsigned count)
{
    XG_CUDA_NEED(out && path && *path, CUDA_ERROR_INVALID_VALUE);
    void *code;

    XG_CUDA_READY();
    CUresult r = xg_cuda_file_read(path, &code);
    if (r != CUDA_SUCCESS)
        return r;
    r = cuLibraryLoadData(out, code, jit_options, jit_values, jits, options, values, count);
    free(code);
    return r;
}

CUresult cuLibraryUnload(CUlibrary h)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    struct xg_cuda_library *l;
    CUresult r = library_get(h, &l);

    if (r != CUDA_SUCCESS)
        return r;
    XG_CUDA_UNSAFE();
    if (!xg_cuda_handle_drop(XG_CUDA_KIND_LIBRARY, h))
        return CUDA_ERROR_INVALID_HANDLE;
    library_free(l);
    return CUDA_SUCCESS;
}

/* Where the library is in the thread's context. */
static CUresult library_here(CUlibrary h, struct xg_cuda_loaded **p)
{
    struct xg_cuda_library *l;
    CUcontext ctx;
    CUresult r = xg_cuda_enter(&ctx);

    if (r == CUDA_SUCCESS)
        r = library_get(h, &l);
    return r == CUDA_SUCCESS ? xg_cuda_library_in(l, ctx, p) : r;
}

CUresult cuLibraryGetModule(CUmodule *out, CUlibrary h)
{
    XG_CUDA_NEED(out, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_loaded *p;
    CUresult r = library_here(h, &p);

    if (r == CUDA_SUCCESS)
        *out = p->handle;
    return r;
}

CUresult cuLibraryGetGlobal(CUdeviceptr *address, size_t *size, CUlibrary h, const char *name)
{
    XG_CUDA_NEED(name && *name, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_loaded *p;
    CUresult r = library_here(h, &p);

    return r == CUDA_SUCCESS ? xg_cuda_device.variable(p->module, name, false, address, size) : r;
}

/* In a context that is another thread's: it does not end before the lock is free. False: it is in
 * none. */
static bool managed_elsewhere(struct xg_cuda_library *l, const char *name, CUdeviceptr *address,
                              size_t *size, CUresult *r)
{
    struct xg_cuda_loaded *p;
    CUcontext ctx = NULL;

    pthread_mutex_lock(&libraries_lock);
    for (p = atomic_load(&l->loaded); p; p = p->next) {
        ctx = atomic_load(&p->ctx);
        if (ctx && ctx != GONE)
            break;
    }
    if (p)
        *r = xg_cuda_device.variable(p->module, name, true, address, size);
    pthread_mutex_unlock(&libraries_lock);
    return p != NULL;
}

/* A thread without a context is told of the variable in whichever has it. */
CUresult cuLibraryGetManaged(CUdeviceptr *address, size_t *size, CUlibrary h, const char *name)
{
    XG_CUDA_NEED(name && *name, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_library *l;
    struct xg_cuda_loaded *p;
    CUcontext ctx;
    CUresult r = library_get(h, &l);

    if (r == CUDA_SUCCESS)
        r = xg_cuda_enter_none(&ctx);
    if (r == CUDA_SUCCESS && !ctx && managed_elsewhere(l, name, address, size, &r))
        return r;
    if (r == CUDA_SUCCESS)
        r = xg_cuda_library_look(l, &p);
    return r == CUDA_SUCCESS ? xg_cuda_device.variable(p->module, name, true, address, size) : r;
}

/* A device without CU_DEVICE_ATTRIBUTE_UNIFIED_FUNCTION_POINTERS answers so. */
CUresult cuLibraryGetUnifiedFunction(void **function, CUlibrary h, const char *symbol)
{
    struct xg_cuda_library *l;

    XG_CUDA_READY();
    if (!function || !symbol)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = library_get(h, &l);
    return r == CUDA_SUCCESS ? CUDA_ERROR_INVALID_VALUE : r;
}

CUresult cuLibraryGetKernel(CUkernel *out, CUlibrary h, const char *name)
{
    XG_CUDA_NEED(out && name, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_library *l;
    CUresult r = library_get(h, &l);

    if (r != CUDA_SUCCESS)
        return r;
    for (const struct xg_cuda_kernel *k = l->kernel; k < l->kernel + l->kernels; k++)
        if (!strcmp(k->name, name)) {
            if (k->refused == CUDA_SUCCESS)
                *out = k->handle;
            return k->refused;
        }
    return CUDA_ERROR_NOT_FOUND;
}

CUresult cuLibraryGetKernelCount(unsigned *count, CUlibrary h)
{
    XG_CUDA_NEED(count, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_library *l;
    CUresult r = library_get(h, &l);

    if (r == CUDA_SUCCESS)
        *count = l->kernels;
    return r;
}

CUresult cuLibraryEnumerateKernels(CUkernel *kernels, unsigned count, CUlibrary h)
{
    XG_CUDA_NEED(kernels, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_library *l;
    CUresult r = library_get(h, &l);

    for (unsigned i = 0; r == CUDA_SUCCESS && i < count && i < l->kernels; i++)
        kernels[i] = l->kernel[i].handle;
    return r;
}
