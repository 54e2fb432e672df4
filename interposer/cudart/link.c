/* Relocatable device code (nvcc -rdc=true) that is still PTX: it is linked when it is loaded. */
#include "interposer/cudart/runtime.h"

/* What the compiler registers; `parts` ends with NULL, and is there from version 2 on. */
struct wrapper {
    uint32_t magic, version;
    const void *fatbin;
    void *const *parts;
};

/* A fatbin's header: u32 magic, u16 version, u16 size of itself, u64 size of the rest. */
struct fatbin {
    uint32_t magic;
    uint16_t version, header;
    uint64_t rest;
};

enum { WRAPPER_MAGIC = 0x466243b1, FATBIN_MAGIC = 0xba55ed50 };

/* The device runtime's library is always among the parts, and rarely needed. A linker may refuse it
 * (or every part after the first): if the program needs it, that is an error when it is used. */
static CUresult parts_add(CUlinkState link, void *const *parts)
{
    CUresult r = CUDA_ERROR_NO_BINARY_FOR_GPU;
    bool any = false;

    for (; *parts; parts++) {
        const struct fatbin *f = *parts;

        if (f->magic != (uint32_t)FATBIN_MAGIC)
            return CUDA_ERROR_INVALID_IMAGE;
        r = drv.cuLinkAddData_v2(link, CU_JIT_INPUT_FATBINARY, *parts, f->header + f->rest,
                                 "relocatable device code", 0, NULL, NULL);
        any |= r == CUDA_SUCCESS;
        if (r != CUDA_SUCCESS && r != CUDA_ERROR_NOT_SUPPORTED && r != CUDA_ERROR_NO_BINARY_FOR_GPU)
            return r;
    }
    return any ? CUDA_SUCCESS : r;
}

CUresult rt_library_load(const void *image, CUlibrary *library)
{
    const struct wrapper *w = image;
    CUresult r = drv.cuLibraryLoadData(library, image, NULL, NULL, 0, NULL, NULL, 0);
    CUlinkState link;
    void *linked;
    size_t size;

    if (r != CUDA_ERROR_NO_BINARY_FOR_GPU || w->magic != WRAPPER_MAGIC || w->version < 2 ||
        !w->parts)
        return r;
    r = drv.cuLinkCreate_v2(0, NULL, NULL, &link);
    if (r != CUDA_SUCCESS)
        return r;
    r = parts_add(link, w->parts);
    if (r == CUDA_SUCCESS)
        r = drv.cuLinkComplete(link, &linked, &size);
    if (r == CUDA_SUCCESS) /* the driver copies it, the link may end */
        r = drv.cuLibraryLoadData(library, linked, NULL, NULL, 0, NULL, NULL, 0);
    drv.cuLinkDestroy(link);
    return r;
}
