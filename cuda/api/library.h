/*
 * Libraries and kernels, for cuda/api alone. A library has a lock of its own, outside of the
 * device's, under which it is loaded into a context.
 */
#ifndef XG_CUDA_API_LIBRARY_H
#define XG_CUDA_API_LIBRARY_H

#include "cuda/api/handle.h"
#include "cuda/api/image.h"

/* Where a library is a module. Launches look here without a lock: what is looked up stays until the
 * library is unloaded, and a place serves another context only when its own has ended. */
struct xg_cuda_loaded {
    struct xg_cuda_loaded *next;
    CUcontext _Atomic ctx;
    struct xg_cuda_module *module;
    CUmodule handle; /* the module's: who ends it looks whether it is still there */
    struct xg_cuda_function *_Atomic function[]; /* by index; NULL: not asked for yet */
};

struct xg_cuda_kernel {
    CUkernel handle;
    struct xg_cuda_library *library;
    unsigned index;
    char *name;
    CUresult refused; /* what every use of it is answered, as far as it was known at once */
    /* What was set, for contexts to come. */
    uint32_t set; /* a bit for each attribute */
    int value[CU_FUNC_ATTRIBUTE_MAX];
};

struct xg_cuda_library {
    CUlibrary handle;
    struct xg_cuda_library *next; /* libraries_lock */
    pthread_mutex_t lock;         /* outside of the device's, and of libraries_lock */
    struct xg_cuda_image image;   /* a copy: the application may free its own */
    unsigned max_registers;
    void *own;
    bool retained; /* the primary context, to look into the image with */
    struct xg_cuda_loaded *_Atomic loaded;
    struct xg_cuda_kernel *kernel; /* by index */
    unsigned kernels;
};

/* Where it is in that context, loaded if need be. */
CUresult xg_cuda_library_in(struct xg_cuda_library *l, CUcontext ctx, struct xg_cuda_loaded **out);
/* Where it is in the thread's context; without one, where it can be asked about. */
CUresult xg_cuda_library_look(struct xg_cuda_library *l, struct xg_cuda_loaded **out);

int xg_cuda_device_number(CUdevice_attribute a); /* 0: it is not known */

/* --- function.c: of a function, which may be used --------------------------------------------- */

CUresult xg_cuda_function_use(const struct xg_cuda_function *f); /* whether it may */
CUresult xg_cuda_attribute_get(struct xg_cuda_function *f, CUfunction_attribute a, int *value);
CUresult xg_cuda_attribute_set(struct xg_cuda_function *f, CUfunction_attribute a, int value);
CUresult xg_cuda_cache_prefer(struct xg_cuda_function *f, CUfunc_cache config);
/* Of any. `size` may be NULL. */
CUresult xg_cuda_param_info(const struct xg_cuda_function *f, size_t index, size_t *offset,
                            size_t *size);

#endif
