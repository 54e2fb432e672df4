/* Arrays, their formats, textures and surfaces. */
#include "interposer/cudart/runtime.h"

#include <string.h>

/* --- formats: bits of each component in the runtime, names in the driver ---------------------- */

static cudaError_t format_of_bits(enum cudaChannelFormatKind kind, int bits, CUarray_format *format)
{
    static const struct {
        enum cudaChannelFormatKind kind;
        int bits;
        CUarray_format format;
    } known[] = {
        {cudaChannelFormatKindUnsigned, 8, CU_AD_FORMAT_UNSIGNED_INT8},
        {cudaChannelFormatKindUnsigned, 16, CU_AD_FORMAT_UNSIGNED_INT16},
        {cudaChannelFormatKindUnsigned, 32, CU_AD_FORMAT_UNSIGNED_INT32},
        {cudaChannelFormatKindSigned, 8, CU_AD_FORMAT_SIGNED_INT8},
        {cudaChannelFormatKindSigned, 16, CU_AD_FORMAT_SIGNED_INT16},
        {cudaChannelFormatKindSigned, 32, CU_AD_FORMAT_SIGNED_INT32},
        {cudaChannelFormatKindFloat, 16, CU_AD_FORMAT_HALF},
        {cudaChannelFormatKindFloat, 32, CU_AD_FORMAT_FLOAT},
    };

    for (size_t i = 0; i < XG_ARRAY_LEN(known); i++)
        if (known[i].kind == kind && known[i].bits == bits) {
            *format = known[i].format;
            return cudaSuccess;
        }
    return cudaErrorInvalidChannelDescriptor;
}

cudaError_t rt_format_to_driver(const struct cudaChannelFormatDesc *desc, CUarray_format *format,
                                unsigned int *channels)
{
    const int bits[4] = {desc->x, desc->y, desc->z, desc->w};
    unsigned int n = 0;

    while (n < 4 && bits[n])
        n++;
    for (unsigned int i = 1; i < 4; i++)
        if (bits[i] != (i < n ? bits[0] : 0))
            return cudaErrorInvalidChannelDescriptor;
    if (!n || n == 3)
        return cudaErrorInvalidChannelDescriptor;
    *channels = n;
    return format_of_bits(desc->f, bits[0], format);
}

struct cudaChannelFormatDesc rt_format_from_driver(CUarray_format format, unsigned int channels)
{
    struct cudaChannelFormatDesc d = {.f = cudaChannelFormatKindNone};
    int bits[4] = {0}, width;

    switch (format) {
    case CU_AD_FORMAT_UNSIGNED_INT8: width = 8, d.f = cudaChannelFormatKindUnsigned; break;
    case CU_AD_FORMAT_UNSIGNED_INT16: width = 16, d.f = cudaChannelFormatKindUnsigned; break;
    case CU_AD_FORMAT_UNSIGNED_INT32: width = 32, d.f = cudaChannelFormatKindUnsigned; break;
    case CU_AD_FORMAT_SIGNED_INT8: width = 8, d.f = cudaChannelFormatKindSigned; break;
    case CU_AD_FORMAT_SIGNED_INT16: width = 16, d.f = cudaChannelFormatKindSigned; break;
    case CU_AD_FORMAT_SIGNED_INT32: width = 32, d.f = cudaChannelFormatKindSigned; break;
    case CU_AD_FORMAT_HALF: width = 16, d.f = cudaChannelFormatKindFloat; break;
    case CU_AD_FORMAT_FLOAT: width = 32, d.f = cudaChannelFormatKindFloat; break;
    default: return d;
    }
    for (unsigned int i = 0; i < channels && i < 4; i++)
        bits[i] = width;
    d.x = bits[0], d.y = bits[1], d.z = bits[2], d.w = bits[3];
    return d;
}

size_t rt_array_element(CUarray array)
{
    CUDA_ARRAY3D_DESCRIPTOR d;
    struct cudaChannelFormatDesc f;

    if (drv.cuArray3DGetDescriptor_v2(&d, array) != CUDA_SUCCESS)
        return 0;
    f = rt_format_from_driver(d.Format, d.NumChannels);
    return (size_t)(f.x + f.y + f.z + f.w) / 8;
}

struct cudaChannelFormatDesc cudaCreateChannelDesc(int x, int y, int z, int w,
                                                   enum cudaChannelFormatKind f)
{
    return (struct cudaChannelFormatDesc){x, y, z, w, f};
}

/* --- arrays ----------------------------------------------------------------------------------- */

static cudaError_t array_descriptor(const struct cudaChannelFormatDesc *desc,
                                    struct cudaExtent extent, unsigned int flags,
                                    CUDA_ARRAY3D_DESCRIPTOR *out)
{
    RT_NEED(desc);
    *out = (CUDA_ARRAY3D_DESCRIPTOR){
        .Width = extent.width,
        .Height = extent.height,
        .Depth = extent.depth,
        .Flags = flags, /* the driver's numbers */
    };
    return rt_recorded(rt_format_to_driver(desc, &out->Format, &out->NumChannels));
}

cudaError_t cudaMalloc3DArray(cudaArray_t *array, const struct cudaChannelFormatDesc *desc,
                              struct cudaExtent extent, unsigned int flags)
{
    CUDA_ARRAY3D_DESCRIPTOR d;

    RT_NEED(array);
    RT_ENTER();
    RT_TRY(array_descriptor(desc, extent, flags, &d));
    return rt_result(drv.cuArray3DCreate_v2((CUarray *)array, &d));
}

cudaError_t cudaMallocArray(cudaArray_t *array, const struct cudaChannelFormatDesc *desc,
                            size_t width, size_t height, unsigned int flags)
{
    return cudaMalloc3DArray(array, desc, (struct cudaExtent){width, height, 0}, flags);
}

cudaError_t cudaMallocMipmappedArray(cudaMipmappedArray_t *array,
                                     const struct cudaChannelFormatDesc *desc,
                                     struct cudaExtent extent, unsigned int levels,
                                     unsigned int flags)
{
    CUDA_ARRAY3D_DESCRIPTOR d;

    RT_NEED(array);
    RT_ENTER();
    RT_TRY(array_descriptor(desc, extent, flags, &d));
    return rt_result(drv.cuMipmappedArrayCreate((CUmipmappedArray *)array, &d, levels));
}

cudaError_t cudaFreeArray(cudaArray_t array)
{
    RT_ENTER();
    return array ? rt_result(drv.cuArrayDestroy((CUarray)array)) : cudaSuccess;
}

cudaError_t cudaFreeMipmappedArray(cudaMipmappedArray_t array)
{
    RT_ENTER();
    return array ? rt_result(drv.cuMipmappedArrayDestroy((CUmipmappedArray)array)) : cudaSuccess;
}

cudaError_t cudaArrayGetInfo(struct cudaChannelFormatDesc *desc, struct cudaExtent *extent,
                             unsigned int *flags, cudaArray_t array)
{
    CUDA_ARRAY3D_DESCRIPTOR d;

    RT_ENTER();
    RT_TRY(rt_result(drv.cuArray3DGetDescriptor_v2(&d, (CUarray)array)));
    if (desc)
        *desc = rt_format_from_driver(d.Format, d.NumChannels);
    if (extent)
        *extent = (struct cudaExtent){d.Width, d.Height, d.Depth};
    if (flags)
        *flags = d.Flags;
    return cudaSuccess;
}

cudaError_t cudaGetChannelDesc(struct cudaChannelFormatDesc *desc, cudaArray_const_t array)
{
    RT_NEED(desc);
    return cudaArrayGetInfo(desc, NULL, NULL, (cudaArray_t)(uintptr_t)array);
}

/* --- textures --------------------------------------------------------------------------------- */

static cudaError_t resource_to_driver(const struct cudaResourceDesc *in, CUDA_RESOURCE_DESC *out)
{
    cudaError_t e = cudaSuccess;

    memset(out, 0, sizeof(*out));
    out->resType = (CUresourcetype)in->resType;
#if RT_VERSION >= 13
    out->flags = in->flags;
#endif
    switch (in->resType) {
    case cudaResourceTypeArray: out->res.array.hArray = (CUarray)in->res.array.array; break;
    case cudaResourceTypeMipmappedArray:
        out->res.mipmap.hMipmappedArray = (CUmipmappedArray)in->res.mipmap.mipmap;
        break;
    case cudaResourceTypeLinear:
        out->res.linear.devPtr = rt_address(in->res.linear.devPtr);
        out->res.linear.sizeInBytes = in->res.linear.sizeInBytes;
        e = rt_format_to_driver(&in->res.linear.desc, &out->res.linear.format,
                                &out->res.linear.numChannels);
        break;
    case cudaResourceTypePitch2D:
        out->res.pitch2D.devPtr = rt_address(in->res.pitch2D.devPtr);
        out->res.pitch2D.width = in->res.pitch2D.width;
        out->res.pitch2D.height = in->res.pitch2D.height;
        out->res.pitch2D.pitchInBytes = in->res.pitch2D.pitchInBytes;
        e = rt_format_to_driver(&in->res.pitch2D.desc, &out->res.pitch2D.format,
                                &out->res.pitch2D.numChannels);
        break;
    default: e = cudaErrorInvalidValue;
    }
    return e;
}

static void resource_from_driver(const CUDA_RESOURCE_DESC *in, struct cudaResourceDesc *out)
{
    memset(out, 0, sizeof(*out));
    out->resType = (enum cudaResourceType)in->resType;
#if RT_VERSION >= 13
    out->flags = in->flags;
#endif
    switch (out->resType) {
    case cudaResourceTypeArray: out->res.array.array = (cudaArray_t)in->res.array.hArray; break;
    case cudaResourceTypeMipmappedArray:
        out->res.mipmap.mipmap = (cudaMipmappedArray_t)in->res.mipmap.hMipmappedArray;
        break;
    case cudaResourceTypeLinear:
        out->res.linear.devPtr = (void *)(uintptr_t)in->res.linear.devPtr;
        out->res.linear.sizeInBytes = in->res.linear.sizeInBytes;
        out->res.linear.desc =
            rt_format_from_driver(in->res.linear.format, in->res.linear.numChannels);
        break;
    case cudaResourceTypePitch2D:
        out->res.pitch2D.devPtr = (void *)(uintptr_t)in->res.pitch2D.devPtr;
        out->res.pitch2D.width = in->res.pitch2D.width;
        out->res.pitch2D.height = in->res.pitch2D.height;
        out->res.pitch2D.pitchInBytes = in->res.pitch2D.pitchInBytes;
        out->res.pitch2D.desc =
            rt_format_from_driver(in->res.pitch2D.format, in->res.pitch2D.numChannels);
        break;
    }
}

/* The driver's numbers of CU_TRSF_DISABLE_TRILINEAR_OPTIMIZATION and CU_TRSF_SEAMLESS_CUBEMAP. */
enum { TRSF_NO_TRILINEAR = 0x20, TRSF_SEAMLESS_CUBEMAP = 0x40 };

static void texture_to_driver(const struct cudaTextureDesc *in, CUDA_TEXTURE_DESC *out)
{
    memset(out, 0, sizeof(*out));
    for (int i = 0; i < 3; i++)
        out->addressMode[i] = (CUaddress_mode)in->addressMode[i];
    out->filterMode = (CUfilter_mode)in->filterMode;
    out->flags = (in->readMode == cudaReadModeElementType ? CU_TRSF_READ_AS_INTEGER : 0u) |
                 (in->normalizedCoords ? CU_TRSF_NORMALIZED_COORDINATES : 0u) |
                 (in->sRGB ? CU_TRSF_SRGB : 0u) |
                 (in->disableTrilinearOptimization ? TRSF_NO_TRILINEAR : 0u) |
                 (in->seamlessCubemap ? TRSF_SEAMLESS_CUBEMAP : 0u);
    out->maxAnisotropy = in->maxAnisotropy;
    out->mipmapFilterMode = (CUfilter_mode)in->mipmapFilterMode;
    out->mipmapLevelBias = in->mipmapLevelBias;
    out->minMipmapLevelClamp = in->minMipmapLevelClamp;
    out->maxMipmapLevelClamp = in->maxMipmapLevelClamp;
    memcpy(out->borderColor, in->borderColor, sizeof(out->borderColor));
}

cudaError_t cudaCreateTextureObject(cudaTextureObject_t *out,
                                    const struct cudaResourceDesc *resource,
                                    const struct cudaTextureDesc *texture,
                                    const struct cudaResourceViewDesc *view)
{
    CUDA_RESOURCE_DESC r;
    CUDA_TEXTURE_DESC t;
    cudaError_t e;

    RT_NEED(out);
    RT_NEED(resource);
    RT_NEED(texture);
    RT_ENTER();
    e = resource_to_driver(resource, &r);
    if (e)
        return rt_fail(e);
    texture_to_driver(texture, &t);
    return rt_result(drv.cuTexObjectCreate(out, &r, &t, (const CUDA_RESOURCE_VIEW_DESC *)view));
}

cudaError_t cudaDestroyTextureObject(cudaTextureObject_t texture)
{
    RT_ENTER();
    return texture ? rt_result(drv.cuTexObjectDestroy(texture)) : cudaSuccess;
}

cudaError_t cudaGetTextureObjectResourceDesc(struct cudaResourceDesc *desc,
                                             cudaTextureObject_t texture)
{
    CUDA_RESOURCE_DESC r;

    RT_NEED(desc);
    RT_ENTER();
    RT_TRY(rt_result(drv.cuTexObjectGetResourceDesc(&r, texture)));
    resource_from_driver(&r, desc);
    return cudaSuccess;
}

cudaError_t cudaGetTextureObjectTextureDesc(struct cudaTextureDesc *desc,
                                            cudaTextureObject_t texture)
{
    CUDA_TEXTURE_DESC t;

    RT_NEED(desc);
    RT_ENTER();
    RT_TRY(rt_result(drv.cuTexObjectGetTextureDesc(&t, texture)));
    *desc = (struct cudaTextureDesc){
        .filterMode = (enum cudaTextureFilterMode)t.filterMode,
        .readMode = t.flags & CU_TRSF_READ_AS_INTEGER ? cudaReadModeElementType
                                                      : cudaReadModeNormalizedFloat,
        .sRGB = !!(t.flags & CU_TRSF_SRGB),
        .normalizedCoords = !!(t.flags & CU_TRSF_NORMALIZED_COORDINATES),
        .maxAnisotropy = t.maxAnisotropy,
        .mipmapFilterMode = (enum cudaTextureFilterMode)t.mipmapFilterMode,
        .mipmapLevelBias = t.mipmapLevelBias,
        .minMipmapLevelClamp = t.minMipmapLevelClamp,
        .maxMipmapLevelClamp = t.maxMipmapLevelClamp,
        .disableTrilinearOptimization = !!(t.flags & TRSF_NO_TRILINEAR),
        .seamlessCubemap = !!(t.flags & TRSF_SEAMLESS_CUBEMAP),
    };
    for (int i = 0; i < 3; i++)
        desc->addressMode[i] = (enum cudaTextureAddressMode)t.addressMode[i];
    memcpy(desc->borderColor, t.borderColor, sizeof(desc->borderColor));
    return cudaSuccess;
}

cudaError_t cudaCreateSurfaceObject(cudaSurfaceObject_t *out,
                                    const struct cudaResourceDesc *resource)
{
    CUDA_RESOURCE_DESC r;
    cudaError_t e;

    RT_NEED(out);
    RT_NEED(resource);
    RT_ENTER();
    e = resource_to_driver(resource, &r);
    return e ? rt_fail(e) : rt_result(drv.cuSurfObjectCreate(out, &r));
}

cudaError_t cudaDestroySurfaceObject(cudaSurfaceObject_t surface)
{
    RT_ENTER();
    return surface ? rt_result(drv.cuSurfObjectDestroy(surface)) : cudaSuccess;
}

cudaError_t cudaGetSurfaceObjectResourceDesc(struct cudaResourceDesc *desc,
                                             cudaSurfaceObject_t surface)
{
    CUDA_RESOURCE_DESC r;

    RT_NEED(desc);
    RT_ENTER();
    RT_TRY(rt_result(drv.cuSurfObjectGetResourceDesc(&r, surface)));
    resource_from_driver(&r, desc);
    return cudaSuccess;
}
