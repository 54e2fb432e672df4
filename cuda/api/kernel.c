/* Kernels: what a library has in every context. */
#include "cuda/api/graph.h"
#include "cuda/api/library.h"
#include "cuda/api/module.h"

#include <stdlib.h>
#include <string.h>

/* The library's lock is held. With all that was set of the kernel. */
static CUresult function_load(struct xg_cuda_kernel *k, struct xg_cuda_loaded *p,
                              struct xg_cuda_function **f)
{
    CUresult r = xg_cuda_device.function_load(p->module, k->index, f);

    for (unsigned a = 0; r == CUDA_SUCCESS && !(*f)->refused && a < CU_FUNC_ATTRIBUTE_MAX; a++)
        if (k->set & 1u << a)
            r = xg_cuda_device.function_set(*f, a, k->value[a]);
    if (r == CUDA_SUCCESS)
        atomic_store_explicit(&p->function[k->index], *f, memory_order_release);
    return r;
}

static CUresult function_at(struct xg_cuda_kernel *k, struct xg_cuda_loaded *p,
                            struct xg_cuda_function **f)
{
    CUresult r = CUDA_SUCCESS;

    *f = atomic_load_explicit(&p->function[k->index], memory_order_acquire);
    if (XG_LIKELY(*f != NULL))
        return r;
    pthread_mutex_lock(&k->library->lock);
    *f = atomic_load_explicit(&p->function[k->index], memory_order_relaxed);
    if (!*f)
        r = function_load(k, p, f);
    pthread_mutex_unlock(&k->library->lock);
    return r;
}

CUresult xg_cuda_kernel_function(CUcontext ctx, const void *h, struct xg_cuda_function **f)
{
    struct xg_cuda_kernel *k = xg_cuda_handle_get(XG_CUDA_KIND_KERNEL, h);
    struct xg_cuda_loaded *p;

    if (!k)
        return CUDA_ERROR_INVALID_HANDLE;
    CUresult r = xg_cuda_library_in(k->library, ctx, &p);
    return XG_LIKELY(r == CUDA_SUCCESS) ? function_at(k, p, f) : r;
}

static CUresult kernel_get(CUkernel h, struct xg_cuda_kernel **k)
{
    XG_CUDA_READY();
    *k = xg_cuda_handle_get(XG_CUDA_KIND_KERNEL, h);
    return *k ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* The function in whatever context serves to ask how it does on the device. */
static CUresult kernel_on(CUkernel h, CUdevice device, struct xg_cuda_kernel **k,
                          struct xg_cuda_function **f)
{
    struct xg_cuda_loaded *p;
    CUresult r = kernel_get(h, k);

    if (r == CUDA_SUCCESS && device != 0)
        r = CUDA_ERROR_INVALID_DEVICE;
    if (r == CUDA_SUCCESS)
        r = xg_cuda_library_look((*k)->library, &p);
    if (r == CUDA_SUCCESS)
        r = function_at(*k, p, f);
    return r == CUDA_SUCCESS ? xg_cuda_function_use(*f) : r;
}

CUresult cuKernelGetFunction(CUfunction *out, CUkernel h)
{
    XG_CUDA_NEED(out, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_function *f;
    CUcontext ctx;
    CUresult r = xg_cuda_enter(&ctx);

    if (r == CUDA_SUCCESS)
        r = xg_cuda_kernel_function(ctx, h, &f);
    if (r == CUDA_SUCCESS)
        r = xg_cuda_function_use(f);
    if (r == CUDA_SUCCESS)
        *out = f->handle;
    return r;
}

CUresult cuKernelGetLibrary(CUlibrary *out, CUkernel h)
{
    XG_CUDA_NEED(out, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_kernel *k;
    CUresult r = kernel_get(h, &k);

    if (r == CUDA_SUCCESS)
        *out = k->library->handle;
    return r;
}

/* The text stays as long as the library, whatever becomes of contexts. */
CUresult cuKernelGetName(const char **name, CUkernel h)
{
    XG_CUDA_NEED(name && h, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_kernel *k;
    CUresult r = kernel_get(h, &k);

    if (r == CUDA_SUCCESS)
        *name = k->name;
    return r;
}

CUresult cuKernelGetParamInfo(CUkernel h, size_t index, size_t *offset, size_t *size)
{
    XG_CUDA_NEED(h && offset, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_function *f;
    CUcontext ctx;
    CUresult r = xg_cuda_enter(&ctx);

    if (r == CUDA_SUCCESS)
        r = xg_cuda_kernel_function(ctx, h, &f);
    return r == CUDA_SUCCESS ? xg_cuda_param_info(f, index, offset, size) : r;
}

CUresult cuKernelGetAttribute(int *value, CUfunction_attribute attribute, CUkernel h,
                              CUdevice device)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    struct xg_cuda_function *f;
    struct xg_cuda_kernel *k;

    XG_CUDA_READY();
    CUresult r = value ? kernel_on(h, device, &k, &f) : CUDA_ERROR_INVALID_VALUE;
    return r == CUDA_SUCCESS ? xg_cuda_attribute_get(f, attribute, value) : r;
}

/* Where the library is in other contexts, too. */
static void kernel_spread(struct xg_cuda_kernel *k, const struct xg_cuda_function *done)
{
    for (struct xg_cuda_loaded *p = atomic_load(&k->library->loaded); p; p = p->next)
        if (atomic_load(&p->function[k->index]) != done)
            atomic_store(&p->function[k->index], NULL); /* set when it is used next */
}

CUresult cuKernelSetAttribute(CUfunction_attribute attribute, int value, CUkernel h,
                              CUdevice device)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    struct xg_cuda_function *f;
    struct xg_cuda_kernel *k;
    CUresult r = kernel_on(h, device, &k, &f);

    if (r != CUDA_SUCCESS)
        return r;
    pthread_mutex_lock(&k->library->lock);
    r = xg_cuda_attribute_set(f, attribute, value);
    if (r == CUDA_SUCCESS) {
        k->set |= 1u << attribute;
        k->value[attribute] = value;
        kernel_spread(k, f);
    }
    pthread_mutex_unlock(&k->library->lock);
    return r;
}

CUresult cuKernelSetCacheConfig(CUkernel h, CUfunc_cache config, CUdevice device)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    struct xg_cuda_function *f;
    struct xg_cuda_kernel *k;
    CUresult r = kernel_on(h, device, &k, &f);

    return r == CUDA_SUCCESS ? xg_cuda_cache_prefer(f, config) : r;
}
