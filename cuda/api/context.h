/*
 * Contexts: which one the thread has, and whether a call may be made in it.
 *
 * A context's structure stays when it has ended: it may be on the stack of any thread.
 */
#ifndef XG_CUDA_API_CONTEXT_H
#define XG_CUDA_API_CONTEXT_H

#include "cuda/api/handle.h"
#include "cuda/api/init.h"

struct xg_cuda_ctx *xg_cuda_current(void); /* NULL: the thread has none */

static inline struct xg_cuda_ctx *xg_cuda_ctx_get(CUcontext handle)
{
    return xg_cuda_handle_get(XG_CUDA_KIND_CTX, handle); /* NULL: not a context, or it has ended */
}

static inline CUcontext xg_cuda_ctx_handle(const struct xg_cuda_ctx *ctx)
{
    return ctx ? ctx->handle : NULL;
}

/* What a call begins with that works in the thread's context: that one, or why it cannot be used.
 */
CUresult xg_cuda_ctx_enter(struct xg_cuda_ctx **ctx);
/* For calls that name a thing of `home` (NULL: of none): a thread without a context makes them
 * there. */
CUresult xg_cuda_ctx_enter_in(struct xg_cuda_ctx *home, struct xg_cuda_ctx **ctx);
/* The same for what is still right in a spoilt context (destroying). */
CUresult xg_cuda_ctx_enter_any(struct xg_cuda_ctx *home, struct xg_cuda_ctx **ctx);
/* For calls that do without: *ctx may become NULL. */
CUresult xg_cuda_ctx_enter_none(struct xg_cuda_ctx **ctx);

/* For the rest of this folder, which knows contexts by their handles. */
CUresult xg_cuda_enter(CUcontext *ctx);
CUresult xg_cuda_enter_none(CUcontext *ctx);
/* A thread without a context enters that of the memory at `p`; `spoilt`: even a spoilt one. */
CUresult xg_cuda_enter_at(CUdeviceptr p, bool spoilt, CUcontext *ctx);

#define XG_CUDA_CONTEXT(ctx)                                                                       \
    struct xg_cuda_ctx *ctx;                                                                       \
    do {                                                                                           \
        CUresult enter_ = xg_cuda_ctx_enter(&ctx);                                                 \
        if (XG_UNLIKELY(enter_ != CUDA_SUCCESS))                                                   \
            return enter_;                                                                         \
    } while (0)

/* After fork: the child's thread has none; and, before the device starts anew, there are none. */
void xg_cuda_stack_reset(void);
void xg_cuda_contexts_reset(void);

#endif
