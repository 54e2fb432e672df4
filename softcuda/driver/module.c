/* Modules: PTX compiled for a context, its variables placed in device memory. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "softcuda/driver/sc.h"
#include "cuda/fatbin.h"

void sc_module_ref(struct sc_module_obj *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
}

/* The last reference may go on a stream's thread: nothing here takes a lock of the API's. */
void sc_module_put(struct sc_module_obj *m)
{
    if (atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned i = 0; m->vars && i < m->var_count; i++) {
        struct sc_mem mem;
        if (m->vars[i] && !sc_module_var(m->module, i)->external &&
            sc_mem_remove(m->vars[i], SC_MASK_MODULE, &mem))
            sc_mem_release(&mem);
    }
    if (m->module)
        sc_module_destroy(m->module);
    free(m->vars);
    free(m->functions);
    free(m);
}

static uint64_t symbol_address(const struct xg_cuda_jit *jit, const char *name)
{
    for (unsigned i = 0; i < jit->symbols; i++)
        if (jit->symbol[i] && !strcmp(jit->symbol[i], name))
            return (uintptr_t)jit->symbol_address[i];
    return 0;
}

static CUresult place_vars(struct sc_ctx *ctx, struct sc_module_obj *m,
                           const struct xg_cuda_jit *jit, char *log, size_t log_size)
{
    m->var_count = sc_module_var_count(m->module);
    m->vars = calloc(m->var_count + 1, sizeof(*m->vars));
    if (!m->vars)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (unsigned i = 0; i < m->var_count; i++) {
        const struct sc_var *v = sc_module_var(m->module, i);
        uint64_t size = v->size ? v->size : 1;
        if (v->external) {
            m->vars[i] = symbol_address(jit, v->name);
            sc_module_place(m->module, i, (void *)m->vars[i]);
            continue;
        }
        m->vars[i] = sc_mem_alloc(ctx, size, v->align, v->managed ? SC_MEM_VARIABLE : SC_MEM_MODULE,
                                  NULL, !v->constant);
        if (!m->vars[i])
            return CUDA_ERROR_OUT_OF_MEMORY;
        memset((void *)m->vars[i], 0, size);
        sc_module_place(m->module, i, (void *)m->vars[i]);
    }
    return sc_result(sc_module_link(m->module, log, log_size));
}

_Static_assert(sizeof(struct xg_cuda_place) == sizeof(struct sc_param) &&
                   offsetof(struct xg_cuda_place, size) == offsetof(struct sc_param, size),
               "both say where a parameter lies");

static CUresult make_functions(struct sc_module_obj *m)
{
    unsigned count = sc_module_func_count(m->module);

    m->functions = calloc(count + 1, sizeof(*m->functions));
    if (!m->functions)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (; m->api.functions < count; m->api.functions++) {
        struct sc_function *f = &m->functions[m->api.functions];
        f->module = m;
        f->func = sc_module_func(m->module, m->api.functions);
        f->info = sc_func_info(f->func);
        f->carveout = CU_SHAREDMEM_CARVEOUT_DEFAULT;
        f->api = (struct xg_cuda_function){
            .handle = xg_cuda_handle_new(SC_FUNCTION, f),
            .module = &m->api,
            .name = f->info->name,
            .params = {(const struct xg_cuda_place *)f->info->params, f->info->param_count,
                       f->info->param_bytes},
            .refused = f->info->refused ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS,
            .max_threads = f->info->max_threads,
            .max_dynamic =
                SC_MAX_SHARED - (uint32_t)xg_min_u64(f->info->static_shared, SC_MAX_SHARED),
        };
        if (!f->api.handle)
            return CUDA_ERROR_OUT_OF_MEMORY;
    }
    return CUDA_SUCCESS;
}

static void drop_handles(struct sc_module_obj *m)
{
    xg_cuda_handle_drop(SC_MODULE, m->api.handle);
    for (unsigned i = 0; i < m->api.functions; i++)
        xg_cuda_handle_drop(SC_FUNCTION, m->functions[i].api.handle);
}

/* sc_lock held */
static void module_end(struct sc_module_obj *m)
{
    struct sc_module_obj **link = m->ctx ? &m->ctx->modules : NULL;

    while (link && *link != m)
        link = &(*link)->next;
    if (link)
        *link = m->next;
    drop_handles(m);
    sc_module_put(m);
}

void sc_modules_end(struct sc_ctx *ctx)
{
    while (ctx->modules)
        module_end(ctx->modules);
}

/* --- images ----------------------------------------------------------------------------------- */

static CUresult fatbin_result(int err)
{
    return err == -ENOENT   ? CUDA_ERROR_NO_BINARY_FOR_GPU
           : err == -ENOMEM ? CUDA_ERROR_OUT_OF_MEMORY
           : err            ? CUDA_ERROR_INVALID_IMAGE
                            : CUDA_SUCCESS;
}

CUresult sc_image_ptx(const struct xg_cuda_image *image, char **ptx, size_t *len)
{
    unsigned arch = (unsigned)(sc_settings.cc_major * 10 + sc_settings.cc_minor);

    switch (image->kind) {
    case XG_IMAGE_FATBIN:
        return fatbin_result(xg_fatbin_ptx(image->start, image->size, arch, ptx, len));
    case XG_IMAGE_PTX:
        *ptx = strndup(image->start, image->size);
        *len = image->size;
        return *ptx ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
    default: return CUDA_ERROR_NO_BINARY_FOR_GPU;
    }
}

static CUresult module_make(struct sc_module_obj *m, const char *ptx, size_t len,
                            const struct xg_cuda_jit *jit, char *log, size_t log_size)
{
    CUresult r = sc_result(sc_module_create(ptx, len, log, log_size, &m->module));

    if (!r && !m->ctx)
        r = sc_result(sc_module_resolved(m->module, log, log_size));
    if (!r && m->ctx && memmem(ptx, len, "malloc", 6) && !sc_heap_prepare(m->ctx))
        r = CUDA_ERROR_OUT_OF_MEMORY;
    if (!r && m->ctx)
        r = place_vars(m->ctx, m, jit, log, log_size);
    if (!r)
        r = make_functions(m);
    if (!r && !(m->api.handle = xg_cuda_handle_new(SC_MODULE, m)))
        r = CUDA_ERROR_OUT_OF_MEMORY;
    return r;
}

/* Unless the context has ended meanwhile. */
static CUresult module_enter(struct sc_module_obj *m, bool prints)
{
    pthread_mutex_lock(&sc_lock);
    bool there = !atomic_load(&m->ctx->api.ended);
    if (there) {
        m->next = m->ctx->modules;
        m->ctx->modules = m;
        m->ctx->prints |= prints;
    }
    pthread_mutex_unlock(&sc_lock);
    return there ? CUDA_SUCCESS : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

/* The log's lines end in a newline, as does what is said. */
static void load_say(const char *what, const char *log)
{
    size_t size = strlen(log);

    while (size && log[size - 1] == '\n')
        size--;
    if (size)
        sc_say("%s: %.*s", what, (int)size, log);
    else
        sc_say("%s: does not load", what);
}

CUresult sc_module_load(CUcontext handle, const struct xg_cuda_image *image,
                        const struct xg_cuda_jit *jit, void **own, struct xg_cuda_module **out)
{
    struct sc_ctx *ctx = sc_ctx_of(xg_cuda_ctx_get(handle));
    char *ptx, log[2048] = "";
    size_t len;

    if (handle && !ctx)
        return CUDA_ERROR_INVALID_CONTEXT;
    CUresult r = sc_image_ptx(image, &ptx, &len);
    if (r)
        return r;
    if (ctx)
        sc_print_flush(ctx);
    struct sc_module_obj *m = calloc(1, sizeof(*m));
    if (m) {
        atomic_init(&m->refs, 1);
        m->ctx = ctx;
    }
    r = m ? module_make(m, ptx, len, jit, log, sizeof(log)) : CUDA_ERROR_OUT_OF_MEMORY;
    xg_cuda_jit_report(jit, r, log);
    if (r || (log[0] && !jit->again))
        load_say(own ? "library" : "module", log);
    if (!r && ctx)
        r = module_enter(m, memmem(ptx, len, "vprintf", 7) != NULL);
    if (!r) {
        *out = &m->api;
    } else if (m) {
        drop_handles(m);
        sc_module_put(m);
    }
    free(ptx);
    return r;
}

/* sc_lock held; NULL: it is no such module. */
static struct sc_module_obj *module_of_library(CUmodule handle,
                                               const struct xg_cuda_library *library)
{
    struct sc_module_obj *m = xg_cuda_handle_get(SC_MODULE, handle);

    return m && m->api.library == library ? m : NULL;
}

/* Waits without the lock: what is waited for may take long, or need another thread. */
CUresult sc_module_unload(CUmodule handle, const struct xg_cuda_library *library)
{
    pthread_mutex_lock(&sc_lock);
    struct sc_module_obj *m = module_of_library(handle, library);
    struct sc_ctx *ctx = m ? m->ctx : NULL;
    pthread_mutex_unlock(&sc_lock);
    if (ctx)
        sc_ctx_sync(ctx); /* its variables go with it */
    pthread_mutex_lock(&sc_lock);
    m = module_of_library(handle, library);
    if (m)
        module_end(m);
    pthread_mutex_unlock(&sc_lock);
    if (!m)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!ctx)
        return CUDA_SUCCESS;
    sc_print_flush(ctx);
    return (CUresult)atomic_load(&ctx->sticky);
}

/* --- what is in one --------------------------------------------------------------------------- */

static struct sc_module_obj *module_of(struct xg_cuda_module *m)
{
    return xg_container_of(m, struct sc_module_obj, api);
}

CUresult sc_module_enter(CUmodule handle, struct xg_cuda_module **out)
{
    struct sc_module_obj *m = xg_cuda_handle_get(SC_MODULE, handle);
    struct xg_cuda_ctx *ctx;

    *out = m ? &m->api : NULL;
    return xg_cuda_ctx_enter_in(m ? &m->ctx->api : NULL, &ctx);
}

const char *sc_function_name(const struct xg_cuda_module *m, unsigned index, CUresult *refused)
{
    const struct sc_function *f =
        &xg_container_of(m, const struct sc_module_obj, api)->functions[index];

    if (refused)
        *refused = f->api.refused;
    return f->api.name;
}

CUresult sc_function_at(struct xg_cuda_module *m, unsigned index, struct xg_cuda_function **f)
{
    *f = &module_of(m)->functions[index].api;
    return CUDA_SUCCESS;
}

CUresult sc_variable_find(struct xg_cuda_module *api, const char *name, bool managed,
                          CUdeviceptr *address, size_t *size)
{
    struct sc_module_obj *m = module_of(api);

    for (unsigned i = 0; i < sc_module_var_count(m->module); i++) {
        const struct sc_var *v = sc_module_var(m->module, i);
        if (strcmp(v->name, name) || (managed && !v->managed))
            continue;
        if (!m->ctx)
            return CUDA_ERROR_INVALID_CONTEXT;
        if (address)
            *address = m->vars[i];
        if (size)
            *size = v->size;
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_NOT_FOUND;
}
