/* cuLink*: the linker takes one PTX text, which is then the image. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "softcuda/driver/sc.h"
#include "cuda/fatbin.h"

struct link {
    struct xg_cuda_jit jit;
    char *ptx;
    size_t len;
};

CUresult cuLinkCreate_v2(unsigned count, CUjit_option *options, void **values, CUlinkState *out)
{
    SC_ENTER(ctx);
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    struct link *l = calloc(1, sizeof(*l));
    if (!l)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult r = xg_cuda_jit_parse(&l->jit, count, options, values);
    if (!r && !(*out = sc_handle_new(SC_LINK, l)))
        r = CUDA_ERROR_OUT_OF_MEMORY;
    if (r)
        free(l);
    return r;
}

CUresult cuLinkCreate(unsigned count, CUjit_option *options, void **values, CUlinkState *out)
{
    return cuLinkCreate_v2(count, options, values, out);
}

static CUresult add(struct link *l, CUjitInputType type, const void *data, size_t size)
{
    enum xg_image_kind kind;
    char *ptx;
    size_t len;

    /* Separate compilation would need a linker of PTX; one unit needs none. */
    if ((unsigned)type >= CU_JIT_NUM_INPUT_TYPES)
        return CUDA_ERROR_INVALID_VALUE;
    if (l->ptx)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (type == CU_JIT_INPUT_FATBINARY) {
        unsigned arch = (unsigned)(sc_settings.cc_major * 10 + sc_settings.cc_minor);
        int err = xg_image_kind(data, size, &kind);
        if (!err)
            err = xg_fatbin_ptx(data, size, arch, &ptx, &len);
        if (err)
            return err == -ENOENT ? CUDA_ERROR_NO_BINARY_FOR_GPU : CUDA_ERROR_INVALID_IMAGE;
    } else if (type == CU_JIT_INPUT_PTX) {
        len = strnlen(data, size);
        ptx = strndup(data, len);
        if (!ptx)
            return CUDA_ERROR_OUT_OF_MEMORY;
    } else {
        return type == CU_JIT_INPUT_CUBIN ? CUDA_ERROR_NO_BINARY_FOR_GPU : CUDA_ERROR_NOT_SUPPORTED;
    }
    l->ptx = ptx;
    l->len = len;
    return CUDA_SUCCESS;
}

CUresult cuLinkAddData_v2(CUlinkState state, CUjitInputType type, void *data, size_t size,
                          const char *name, unsigned count, CUjit_option *options, void **values)
{
    XG_CUDA_NEED(state, CUDA_ERROR_INVALID_HANDLE);
    SC_READY();
    struct link *l = sc_handle_get(SC_LINK, state);
    if (!l)
        return CUDA_ERROR_INVALID_HANDLE;
    return data && size ? add(l, type, data, size) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuLinkAddData(CUlinkState state, CUjitInputType type, void *data, size_t size,
                       const char *name, unsigned count, CUjit_option *options, void **values)
{
    return cuLinkAddData_v2(state, type, data, size, name, count, options, values);
}

CUresult cuLinkAddFile_v2(CUlinkState state, CUjitInputType type, const char *path, unsigned count,
                          CUjit_option *options, void **values)
{
    XG_CUDA_NEED(state, CUDA_ERROR_INVALID_HANDLE);
    void *data;
    SC_READY();
    struct link *l = sc_handle_get(SC_LINK, state);

    if (!l)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!path || !*path)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = xg_cuda_file_read(path, &data);
    if (r)
        return r;
    const void *start;
    enum xg_image_kind kind;
    size_t size;
    r = xg_image_bounds(data, &start, &size, &kind) ? CUDA_ERROR_INVALID_IMAGE
                                                    : add(l, type, start, size);
    free(data);
    return r;
}

CUresult cuLinkAddFile(CUlinkState state, CUjitInputType type, const char *path, unsigned count,
                       CUjit_option *options, void **values)
{
    return cuLinkAddFile_v2(state, type, path, count, options, values);
}

CUresult cuLinkComplete(CUlinkState state, void **image, size_t *size)
{
    XG_CUDA_NEED(state, CUDA_ERROR_INVALID_HANDLE);
    struct sc_module *m;
    char log[2048] = "";
    SC_READY();
    struct link *l = sc_handle_get(SC_LINK, state);

    if (!l)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!image || !l->ptx)
        return CUDA_ERROR_INVALID_VALUE;
    l->jit.start = xg_now_ns();
    CUresult r = sc_result(sc_module_create(l->ptx, l->len, log, sizeof(log), &m));
    if (!r) {
        r = sc_result(sc_module_resolved(m, log, sizeof(log)));
        sc_module_destroy(m);
    }
    xg_cuda_jit_report(&l->jit, r, log);
    if (r)
        return r;
    *image = l->ptx;
    if (size)
        *size = l->len + 1;
    return CUDA_SUCCESS;
}

CUresult cuLinkDestroy(CUlinkState state)
{
    XG_CUDA_NEED(state, CUDA_ERROR_INVALID_HANDLE);
    SC_READY();
    struct link *l = sc_handle_get(SC_LINK, state);

    if (!l || !sc_handle_drop(SC_LINK, state))
        return CUDA_ERROR_INVALID_HANDLE;
    free(l->ptx);
    free(l);
    return CUDA_SUCCESS;
}
