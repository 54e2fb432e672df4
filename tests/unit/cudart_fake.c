/* See cudart_fake.h. */
#include "protocol/base.h"
#include "tests/unit/cudart_fake.h"

#include <dlfcn.h>
#include <string.h>

struct fake fake;

static _Thread_local CUcontext bound;
static uintptr_t minted = 0x100000;

void fake_reset(void)
{
    fake = (struct fake){.version = 13000, .devices = 2};
}

static CUresult answer(void)
{
    CUresult r = fake.next;

    fake.next = CUDA_SUCCESS;
    return r;
}

static void *mint(void)
{
    return (void *)(minted += 0x10);
}

CUresult cuInit(unsigned int flags)
{
    fake.inits++;
    return answer();
}

CUresult cuDriverGetVersion(int *v)
{
    *v = fake.version;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *n)
{
    *n = fake.devices;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char *name, int len, CUdevice d)
{
    if (d < 0 || d >= fake.devices)
        return CUDA_ERROR_INVALID_DEVICE;
    strncpy(name, d ? "second" : "first", (size_t)len);
    return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem_v2(size_t *size, CUdevice d)
{
    *size = (size_t)(d + 1) << 33;
    return CUDA_SUCCESS;
}

/* Every attribute is its own number, but for the shape of a launch. */
CUresult cuDeviceGetAttribute(int *v, CUdevice_attribute a, CUdevice d)
{
    if (d < 0 || d >= fake.devices)
        return CUDA_ERROR_INVALID_DEVICE;
    *v = a <= CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z ? 1024 : (int)a;
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *ctx, CUdevice d)
{
    fake.retains++;
    *ctx = fake_context(d);
    return answer();
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice d)
{
    fake.releases++;
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice d)
{
    fake.resets++;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext *ctx)
{
    *ctx = bound;
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext ctx)
{
    fake.sets++;
    bound = ctx;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice(CUdevice *d)
{
    *d = (int)((uintptr_t)bound - 0x1000);
    return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize(void)
{
    return answer();
}

CUresult cuMemAlloc_v2(CUdeviceptr *p, size_t size)
{
    *p = (CUdeviceptr)(uintptr_t)mint();
    return answer();
}

CUresult cuMemFree_v2(CUdeviceptr p)
{
    return answer();
}

CUresult cuLibraryLoadData(CUlibrary *lib, const void *image, CUjit_option *jo, void **jv,
                           unsigned int jn, CUlibraryOption *o, void **v, unsigned int n)
{
    fake.loads++;
    fake.image = image;
    *lib = mint();
    return answer();
}

CUresult cuLibraryUnload(CUlibrary lib)
{
    fake.unloads++;
    return CUDA_SUCCESS;
}

CUresult cuLibraryGetKernel(CUkernel *k, CUlibrary lib, const char *name)
{
    if (!strcmp(name, "missing"))
        return CUDA_ERROR_NOT_FOUND;
    fake.kernels++;
    *k = mint();
    return answer();
}

static char global[64];

CUresult cuLibraryGetGlobal(CUdeviceptr *p, size_t *size, CUlibrary lib, const char *name)
{
    if (!strcmp(name, "missing"))
        return CUDA_ERROR_NOT_FOUND;
    *p = (CUdeviceptr)(uintptr_t)global;
    *size = sizeof(global);
    return answer();
}

CUresult cuLibraryGetManaged(CUdeviceptr *p, size_t *size, CUlibrary lib, const char *name)
{
    return cuLibraryGetGlobal(p, size, lib, name);
}

CUresult cuKernelGetFunction(CUfunction *f, CUkernel k)
{
    *f = (CUfunction)((uintptr_t)k + 1);
    return CUDA_SUCCESS;
}

CUresult cuLaunchKernel(CUfunction f, unsigned int gx, unsigned int gy, unsigned int gz,
                        unsigned int bx, unsigned int by, unsigned int bz, unsigned int shared,
                        CUstream stream, void **params, void **extra)
{
    fake.launches++;
    fake.launched = f;
    fake.grid[0] = gx, fake.grid[1] = gy, fake.grid[2] = gz;
    fake.block[0] = bx, fake.block[1] = by, fake.block[2] = bz;
    fake.shared = shared;
    fake.stream = stream;
    return answer();
}

static CUresult copied(char how, CUdeviceptr to, size_t size, CUstream stream)
{
    fake.copied = how;
    fake.copied_size = size;
    fake.copied_to = to;
    fake.stream = stream;
    return answer();
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr d, const void *s, size_t n)
{
    return copied('H', d, n, NULL);
}

CUresult cuMemcpyDtoH_v2(void *d, CUdeviceptr s, size_t n)
{
    return copied('D', (CUdeviceptr)(uintptr_t)d, n, NULL);
}

CUresult cuMemcpyDtoD_v2(CUdeviceptr d, CUdeviceptr s, size_t n)
{
    return copied('P', d, n, NULL);
}

CUresult cuMemcpy(CUdeviceptr d, CUdeviceptr s, size_t n)
{
    return copied('U', d, n, NULL);
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr d, const void *s, size_t n, CUstream stream)
{
    return copied('h', d, n, stream);
}

CUresult cuStreamSynchronize(CUstream s)
{
    fake.waited++;
    fake.stream = s;
    return answer();
}

CUresult cuStreamQuery(CUstream s)
{
    fake.stream = s;
    return answer();
}

/* --- instead of the dynamic loader, as far as libcudart is concerned -------------------------- */

#define F(name)                                                                                    \
    {                                                                                              \
#name, (void *)name                                                                        \
    }
static const struct {
    const char *name;
    void *function;
} functions[] = {
    F(cuInit),
    F(cuDriverGetVersion),
    F(cuDeviceGetCount),
    F(cuDeviceGetName),
    F(cuDeviceTotalMem_v2),
    F(cuDeviceGetAttribute),
    F(cuDevicePrimaryCtxRetain),
    F(cuDevicePrimaryCtxRelease_v2),
    F(cuDevicePrimaryCtxReset_v2),
    F(cuCtxGetCurrent),
    F(cuCtxSetCurrent),
    F(cuCtxGetDevice),
    F(cuCtxSynchronize),
    F(cuMemAlloc_v2),
    F(cuMemFree_v2),
    F(cuLibraryLoadData),
    F(cuLibraryUnload),
    F(cuLibraryGetKernel),
    F(cuLibraryGetGlobal),
    F(cuLibraryGetManaged),
    F(cuKernelGetFunction),
    F(cuLaunchKernel),
    F(cuMemcpyHtoD_v2),
    F(cuMemcpyDtoH_v2),
    F(cuMemcpyDtoD_v2),
    F(cuMemcpy),
    F(cuMemcpyHtoDAsync_v2),
    F(cuStreamSynchronize),
    F(cuStreamQuery),
};

XG_EXPORT void *dlopen(const char *name, int flags)
{
    static void *(*real)(const char *, int);

    if (name && !strcmp(name, "libcuda.so.1")) {
        fake.opened++;
        return fake.absent ? NULL : &fake;
    }
    if (!real)
        real = (void *(*)(const char *, int))dlvsym(RTLD_NEXT, "dlopen", "GLIBC_2.34");
    return real(name, flags);
}

XG_EXPORT void *dlsym(void *handle, const char *name)
{
    static void *(*real)(void *, const char *);

    if (handle == &fake) {
        for (size_t i = 0; i < XG_ARRAY_LEN(functions); i++)
            if (!strcmp(functions[i].name, name))
                return functions[i].function;
        return NULL;
    }
    if (!real)
        real = (void *(*)(void *, const char *))dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.34");
    return real(handle, name);
}
