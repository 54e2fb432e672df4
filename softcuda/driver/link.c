/* The linker: it takes one PTX text, which is then the image. */
#include <stdlib.h>
#include <string.h>

#include "softcuda/driver/sc.h"

struct link {
    char *ptx;
    size_t len;
};

CUresult sc_link_new(CUcontext ctx, void **own)
{
    *own = calloc(1, sizeof(struct link));
    return *own ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* Separate compilation would need a linker of PTX; one unit needs none. */
CUresult sc_link_add(void *own, CUjitInputType type, const char *name, const void *data,
                     size_t size)
{
    struct xg_cuda_image image = {data, size, XG_IMAGE_PTX};
    struct link *l = own;

    if (l->ptx)
        return CUDA_ERROR_NOT_SUPPORTED;
    switch (type) {
    case CU_JIT_INPUT_PTX: image.size = strnlen(data, size); break;
    case CU_JIT_INPUT_FATBINARY:
        if (xg_image_kind(data, size, &image.kind) || image.kind != XG_IMAGE_FATBIN)
            return CUDA_ERROR_INVALID_IMAGE;
        break;
    case CU_JIT_INPUT_CUBIN: return CUDA_ERROR_NO_BINARY_FOR_GPU;
    default: return CUDA_ERROR_NOT_SUPPORTED;
    }
    return sc_image_ptx(&image, &l->ptx, &l->len);
}

CUresult sc_link_complete(void *own, const struct xg_cuda_jit *jit, void **image, size_t *size)
{
    char log[2048] = "";
    struct link *l = own;
    struct sc_module *m;

    if (!l->ptx)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = sc_result(sc_module_create(l->ptx, l->len, log, sizeof(log), &m));
    if (!r) {
        r = sc_result(sc_module_resolved(m, log, sizeof(log)));
        sc_module_destroy(m);
    }
    xg_cuda_jit_report(jit, r, log);
    *image = l->ptx;
    *size = l->len + 1;
    return r;
}

CUresult sc_link_free(void *own)
{
    struct link *l = own;

    free(l->ptx);
    free(l);
    return CUDA_SUCCESS;
}
