/* Modules: loaded into a context, and what is in one by name. */
#include "cuda/api/capture.h"
#include "cuda/api/graph.h"
#include "cuda/api/image.h"
#include "cuda/api/library.h"

#include <stdlib.h>
#include <string.h>

/* --- loading ---------------------------------------------------------------------------------- */

CUresult cuModuleLoadDataEx(CUmodule *out, const void *code, unsigned count, CUjit_option *option,
                            void **value)
{
    struct xg_cuda_image image;
    struct xg_cuda_module *m;
    struct xg_cuda_jit jit;
    CUcontext ctx;
    CUresult r = xg_cuda_enter(&ctx);

    if (r == CUDA_SUCCESS && (!out || !code))
        r = CUDA_ERROR_INVALID_VALUE;
    if (r == CUDA_SUCCESS)
        r = xg_cuda_jit_parse(&jit, count, option, value);
    if (r == CUDA_SUCCESS)
        r = xg_cuda_image_find(code, &image);
    if (r == CUDA_SUCCESS)
        r = xg_cuda_device.module_load(ctx, &image, &jit, NULL, &m);
    if (r == CUDA_SUCCESS)
        *out = m->handle;
    return r;
}

CUresult cuModuleLoadData(CUmodule *out, const void *code)
{
    return cuModuleLoadDataEx(out, code, 0, NULL, NULL);
}

CUresult cuModuleLoadFatBinary(CUmodule *out, const void *code)
{
    return cuModuleLoadDataEx(out, code, 0, NULL, NULL);
}

CUresult cuModuleLoad(CUmodule *out, const char *path)
{
    void *code;
    CUcontext ctx;
    CUresult r = xg_cuda_enter(&ctx);

    if (r == CUDA_SUCCESS && (!out || !path))
        r = CUDA_ERROR_INVALID_VALUE;
    if (r == CUDA_SUCCESS)
        r = xg_cuda_file_read(path, &code);
    if (r != CUDA_SUCCESS)
        return r;
    r = cuModuleLoadData(out, code);
    free(code);
    return r;
}

/* A library's goes with the library. */
CUresult cuModuleUnload(CUmodule h)
{
    XG_CUDA_READY();
    XG_CUDA_UNSAFE();
    return xg_cuda_device.module_unload(h, NULL);
}

CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode *mode)
{
    XG_CUDA_READY();
    if (!mode)
        return CUDA_ERROR_INVALID_VALUE;
    *mode = CU_MODULE_EAGER_LOADING;
    return CUDA_SUCCESS;
}

/* --- names ------------------------------------------------------------------------------------ */

/* `valid`: the other arguments are. */
static CUresult module_look(CUmodule h, bool valid, struct xg_cuda_module **m)
{
    CUresult r = xg_cuda_device.module_enter(h, m);

    return r != CUDA_SUCCESS ? r
           : !valid          ? CUDA_ERROR_INVALID_VALUE
           : !*m             ? CUDA_ERROR_INVALID_HANDLE
                             : CUDA_SUCCESS;
}

static CUresult function_find(const struct xg_cuda_module *m, const char *name, unsigned *index)
{
    for (*index = 0; *index < m->functions; ++*index)
        if (!strcmp(xg_cuda_device.function_name(m, *index, NULL), name))
            return CUDA_SUCCESS;
    return CUDA_ERROR_NOT_FOUND;
}

CUresult cuModuleGetFunction(CUfunction *out, CUmodule h, const char *name)
{
    struct xg_cuda_function *f;
    struct xg_cuda_module *m;
    unsigned index;
    CUresult r = module_look(h, out && name && *name, &m);

    if (r == CUDA_SUCCESS)
        r = function_find(m, name, &index);
    if (r == CUDA_SUCCESS)
        r = xg_cuda_device.function_load(m, index, &f);
    if (r == CUDA_SUCCESS)
        r = xg_cuda_function_use(f);
    if (r == CUDA_SUCCESS)
        *out = f->handle;
    return r;
}

CUresult cuModuleGetFunctionCount(unsigned *count, CUmodule h)
{
    XG_CUDA_NEED(count, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_module *m;
    CUresult r = module_look(h, true, &m);

    if (r == CUDA_SUCCESS)
        *count = m->functions;
    return r;
}

CUresult cuModuleEnumerateFunctions(CUfunction *functions, unsigned count, CUmodule h)
{
    XG_CUDA_NEED(functions, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_function *f;
    struct xg_cuda_module *m;
    CUresult r = module_look(h, true, &m);

    for (unsigned i = 0; r == CUDA_SUCCESS && i < count && i < m->functions; i++) {
        r = xg_cuda_device.function_load(m, i, &f);
        if (r == CUDA_SUCCESS)
            functions[i] = f->handle;
    }
    return r;
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *size, CUmodule h, const char *name)
{
    struct xg_cuda_module *m;
    CUresult r = module_look(h, name && *name && (address || size), &m);

    return r == CUDA_SUCCESS ? xg_cuda_device.variable(m, name, false, address, size) : r;
}
