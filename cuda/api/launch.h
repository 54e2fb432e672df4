/*
 * What of a launch is the same for every device: its parameters, and whether its shape is possible.
 * Inline, as nothing is called more often.
 */
#ifndef XG_CUDA_API_LAUNCH_H
#define XG_CUDA_API_LAUNCH_H

#include <string.h>

#include "cuda/device.h"

/* --- parameters, in one of CUDA's two ways ---------------------------------------------------- */

struct xg_cuda_args {
    const void *block; /* whole, from `extra` */
    void **each;       /* or one by one */
};

/* An `extra` that says nothing of the buffer's size is as good as none. */
static inline bool xg_cuda_extra_given(void *const *extra)
{
    for (; extra && *extra != CU_LAUNCH_PARAM_END; extra += 2)
        if (*extra != CU_LAUNCH_PARAM_BUFFER_POINTER)
            return true;
    return false;
}

static inline CUresult xg_cuda_args_find(const struct xg_cuda_layout *l, void **params,
                                         void **extra, struct xg_cuda_args *a)
{
    *a = (struct xg_cuda_args){.each = params};
    if (XG_LIKELY(!extra || (params && !xg_cuda_extra_given(extra)))) {
        if (XG_UNLIKELY(l->count && !params))
            return CUDA_ERROR_INVALID_VALUE;
        for (unsigned i = 0; i < l->count; i++)
            if (XG_UNLIKELY(!params[i]))
                return CUDA_ERROR_INVALID_VALUE;
        return CUDA_SUCCESS;
    }
    if (params)
        return CUDA_ERROR_INVALID_VALUE;
    size_t size = 0;
    for (; *extra != CU_LAUNCH_PARAM_END; extra += 2) {
        if (extra[0] == CU_LAUNCH_PARAM_BUFFER_POINTER)
            a->block = extra[1];
        else if (extra[0] == CU_LAUNCH_PARAM_BUFFER_SIZE && extra[1])
            size = *(const size_t *)extra[1];
        else
            return CUDA_ERROR_INVALID_VALUE;
    }
    return size < l->bytes || (size && !a->block) ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

/* l->bytes, each written once: the gaps between parameters are cleared as they come. */
static inline void xg_cuda_args_write(const struct xg_cuda_layout *l, const struct xg_cuda_args *a,
                                      void *block)
{
    uint8_t *to = block;
    uint32_t end = 0;

    if (a->block) {
        memcpy(to, a->block, l->bytes);
        return;
    }
    for (unsigned i = 0; i < l->count; i++) {
        struct xg_cuda_place p = l->place[i];
        if (XG_UNLIKELY(p.offset > end))
            memset(to + end, 0, p.offset - end);
        if (XG_LIKELY(p.size == 8))
            memcpy(to + p.offset, a->each[i], 8);
        else if (p.size == 4)
            memcpy(to + p.offset, a->each[i], 4);
        else
            memcpy(to + p.offset, a->each[i], p.size);
        end = p.offset + p.size;
    }
}

/* --- its shape -------------------------------------------------------------------------------- */

/* Of any launch on the device. */
struct xg_cuda_limits {
    unsigned grid[3], block[3];
    unsigned threads; /* of a block */
};

static inline CUresult xg_cuda_block_fits(const struct xg_cuda_function *f, uint64_t threads,
                                          size_t dynamic)
{
    if (XG_UNLIKELY(threads > f->max_threads))
        return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
    return XG_UNLIKELY(dynamic > f->max_dynamic) ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

static inline CUresult xg_cuda_shape_check(const struct xg_cuda_limits *most,
                                           const struct xg_cuda_function *f, const unsigned grid[3],
                                           const unsigned block[3], size_t dynamic)
{
    uint64_t threads = (uint64_t)block[0] * block[1] * block[2];

    if (XG_UNLIKELY(!grid[0] || !grid[1] || !grid[2] || !threads))
        return CUDA_ERROR_INVALID_VALUE;
    if (XG_UNLIKELY(grid[0] > most->grid[0] || grid[1] > most->grid[1] || grid[2] > most->grid[2] ||
                    block[0] > most->block[0] || block[1] > most->block[1] ||
                    block[2] > most->block[2] || threads > most->threads))
        return CUDA_ERROR_INVALID_VALUE;
    return xg_cuda_block_fits(f, threads, dynamic);
}

#endif
