/* __managed__ variables: in the arena, at an address that holds on both sides, and that stands in
 * the text of the module. */
#include "cuda/send.h"
#include "interposer/cuda/managed_ptx.h"
#include "cuda/hints.h"

#include <stdio.h>
#include <stdlib.h>

struct cu_managed {
    _Atomic unsigned refs;
    unsigned count;
    struct cu_managed_decl *decl;
    bool filled; /* the initial values are there */
};

/* What the variables belong to: they are not the application's to free. */
static struct cu_object owner = {.kind = CU_KIND_MODULE};

void cu_managed_put(void *managed)
{
    struct cu_managed *v = managed;
    struct cu_mem m;

    if (!v || atomic_fetch_sub(&v->refs, 1) != 1)
        return;
    for (unsigned i = 0; i < v->count; i++)
        if (v->decl[i].address && cu_mem_remove(v->decl[i].address, CU_MEM_MANAGED, &m))
            cu_shown_free((void *)(uintptr_t)v->decl[i].address, m.size);
    cu_managed_decls_free(v->decl, v->count);
    free(v);
}

struct cu_managed *cu_managed_get(struct cu_managed *v)
{
    if (v)
        atomic_fetch_add(&v->refs, 1);
    return v;
}

static CUresult variables_place(struct cu_ctx *ctx, struct cu_managed *v)
{
    for (unsigned i = 0; i < v->count; i++) {
        struct cu_mem m = {
            .size = v->decl[i].size, .kind = CU_MEM_MANAGED, .ctx = ctx, .owner = &owner};
        void *p;
        CUresult r = cu_shown_alloc(m.size, &p);
        if (r != CUDA_SUCCESS)
            return r;
        m.start = m.device = (uintptr_t)p;
        r = m.start % xg_max_u64(v->decl[i].align, 1) ? CUDA_ERROR_OUT_OF_MEMORY : cu_mem_enter(&m);
        if (r != CUDA_SUCCESS) {
            cu_shown_free(p, m.size);
            return r;
        }
        v->decl[i].address = m.start;
        memset(p, 0, m.size);
        xg_cuda_hint_forget(m.start, m.size);
    }
    return CUDA_SUCCESS;
}

/* `like`: variables that the same image has in another context already. */
static struct cu_managed *managed_make(struct cu_ctx *ctx, struct cu_managed_decl *decl,
                                       unsigned count, struct cu_managed *like)
{
    struct cu_managed *v;

    if (like && like->count == count) {
        cu_managed_decls_free(decl, count);
        return cu_managed_get(like);
    }
    v = calloc(1, sizeof(*v));
    if (!v) {
        cu_managed_decls_free(decl, count);
        return NULL;
    }
    atomic_init(&v->refs, 1);
    v->decl = decl;
    v->count = count;
    if (variables_place(ctx, v) == CUDA_SUCCESS)
        return v;
    cu_managed_put(v);
    return NULL;
}

struct cu_managed *cu_managed_of(struct cu_ctx *ctx, const char *ptx, size_t length,
                                 struct cu_managed *like, char **text)
{
    struct cu_managed_decl *decl;
    struct cu_managed *v = NULL;
    unsigned count;

    *text = NULL;
    if (!(cu.snap.flags & XG_CUDA_ARENA_SAME) || !ptx)
        return NULL;
    if (cu_managed_find_all(ptx, length, &decl, &count) || !count)
        return NULL;
    v = managed_make(ctx, decl, count, like);
    if (v && cu_managed_text(ptx, length, v->decl, v->count, text)) {
        cu_managed_put(v);
        v = NULL;
    }
    return v;
}

static CUresult variable_fill(struct cu_ctx *ctx, uint64_t to, uint64_t from, uint64_t size)
{
    uint32_t where, offset;
    struct cu_cmd c;

    if (!cu_arena_place((void *)(uintptr_t)to, size, &where, &offset))
        return CUDA_ERROR_INVALID_VALUE;
    cu_begin_call(&c, ctx);
    cu_put_dtoh_wait(
        &c, &(struct xg_cuda_dtoh_wait){
                .alone = cu_alone(), .src = from, .where = where, .offset = offset, .size = size});
    return cu_end(&c);
}

CUresult cu_managed_fill(struct cu_module *m)
{
    struct cu_managed *v = m->managed;
    CUresult r = CUDA_SUCCESS;

    for (unsigned i = 0; !v->filled && i < v->count && r == CUDA_SUCCESS; i++) {
        char *name = NULL;
        CUdeviceptr p = 0;
        size_t size = 0;

        if (!v->decl[i].initial)
            continue;
        if (asprintf(&name, "%s" CU_MANAGED_INITIAL, v->decl[i].name) < 0)
            return CUDA_ERROR_OUT_OF_MEMORY;
        r = cu_module_global(m, name, &p, &size);
        free(name);
        if (r == CUDA_SUCCESS)
            r = variable_fill(m->ctx, v->decl[i].address, p, xg_min_u64(size, v->decl[i].size));
    }
    v->filled |= r == CUDA_SUCCESS;
    return r;
}

void cu_managed_again(void *managed)
{
    struct cu_managed *v = managed;

    for (unsigned i = 0; i < v->count; i++)
        if (v->decl[i].address)
            memset((void *)(uintptr_t)v->decl[i].address, 0, v->decl[i].size);
    v->filled = false;
}

bool cu_managed_find(const struct cu_managed *v, const char *name, CUdeviceptr *p, size_t *size)
{
    for (unsigned i = 0; v && i < v->count; i++) {
        if (strcmp(v->decl[i].name, name) != 0)
            continue;
        if (p)
            *p = v->decl[i].address;
        if (size)
            *size = v->decl[i].size;
        return true;
    }
    return false;
}
