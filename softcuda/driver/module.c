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
    for (unsigned i = 0; jit && i < jit->symbols; i++)
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

static CUresult make_functions(struct sc_module_obj *m)
{
    m->function_count = sc_module_func_count(m->module);
    m->functions = calloc(m->function_count + 1, sizeof(*m->functions));
    if (!m->functions)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (unsigned i = 0; i < m->function_count; i++) {
        struct sc_function *f = &m->functions[i];
        f->module = m;
        f->func = sc_module_func(m->module, i);
        f->info = sc_func_info(f->func);
        f->max_dynamic = sc_func_max_dynamic(f->info);
        f->carveout = CU_SHAREDMEM_CARVEOUT_DEFAULT;
        f->handle = sc_handle_new(SC_FUNCTION, f);
        if (!f->handle)
            return CUDA_ERROR_OUT_OF_MEMORY;
    }
    return CUDA_SUCCESS;
}

static void drop_handles(struct sc_module_obj *m)
{
    sc_handle_drop(SC_MODULE, m->handle);
    for (unsigned i = 0; m->functions && i < m->function_count; i++)
        sc_handle_drop(SC_FUNCTION, m->functions[i].handle);
}

CUresult sc_module_load(struct sc_ctx *ctx, const char *ptx, size_t len,
                        const struct xg_cuda_jit *jit, char *log, size_t log_size,
                        struct sc_module_obj **out)
{
    struct sc_module_obj *m = calloc(1, sizeof(*m));
    CUresult r;

    if (!m)
        return CUDA_ERROR_OUT_OF_MEMORY;
    atomic_init(&m->refs, 1);
    m->ctx = ctx;
    if (log_size)
        log[0] = 0;
    r = sc_result(sc_module_create(ptx, len, log, log_size, &m->module));
    if (!r && memmem(ptx, len, "malloc", 6) && !sc_heap_prepare(ctx))
        r = CUDA_ERROR_OUT_OF_MEMORY;
    if (!r)
        r = place_vars(ctx, m, jit, log, log_size);
    if (!r)
        r = make_functions(m);
    if (!r && !(m->handle = sc_handle_new(SC_MODULE, m)))
        r = CUDA_ERROR_OUT_OF_MEMORY;
    if (r) {
        sc_say("module: %s", log_size && log[0] ? log : "does not load");
        drop_handles(m);
        sc_module_put(m);
        return r;
    }
    pthread_mutex_lock(&sc_lock);
    m->next = ctx->modules;
    ctx->modules = m;
    ctx->prints |= memmem(ptx, len, "vprintf", 7) != NULL;
    pthread_mutex_unlock(&sc_lock);
    *out = m;
    return CUDA_SUCCESS;
}

/* sc_lock held */
void sc_module_unload(struct sc_module_obj *m)
{
    struct sc_module_obj **link = &m->ctx->modules;

    while (*link && *link != m)
        link = &(*link)->next;
    if (*link)
        *link = m->next;
    drop_handles(m);
    sc_module_put(m);
}

/* --- images ----------------------------------------------------------------------------------- */

static CUresult fatbin_result(int err)
{
    return err == -ENOENT   ? CUDA_ERROR_NO_BINARY_FOR_GPU
           : err == -ENOMEM ? CUDA_ERROR_OUT_OF_MEMORY
           : err            ? CUDA_ERROR_INVALID_IMAGE
                            : CUDA_SUCCESS;
}

CUresult sc_image_ptx(const void *image, char **ptx, size_t *len)
{
    const void *start;
    size_t size;
    enum xg_image_kind kind;
    unsigned arch = (unsigned)(sc_settings.cc_major * 10 + sc_settings.cc_minor);

    if (!image)
        return CUDA_ERROR_INVALID_VALUE;
    if (xg_image_bounds(image, &start, &size, &kind))
        return CUDA_ERROR_INVALID_IMAGE;
    switch (kind) {
    case XG_IMAGE_FATBIN: return fatbin_result(xg_fatbin_ptx(start, size, arch, ptx, len));
    case XG_IMAGE_PTX:
        *ptx = strndup(start, size);
        *len = size;
        return *ptx ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
    default: return CUDA_ERROR_NO_BINARY_FOR_GPU;
    }
}

static CUresult load_image(struct sc_ctx *ctx, const void *image, struct xg_cuda_jit *jit,
                           CUmodule *out)
{
    struct sc_module_obj *m;
    char *ptx, log[2048];
    size_t len;

    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = sc_image_ptx(image, &ptx, &len);
    if (r)
        return r;
    log[0] = 0;
    sc_print_flush(ctx);
    r = sc_module_load(ctx, ptx, len, jit, log, sizeof(log), &m);
    free(ptx);
    xg_cuda_jit_report(jit, r, log);
    if (!r)
        *out = m->handle;
    if (!r && log[0])
        sc_say("module: %s", log);
    return r;
}

CUresult cuModuleLoadDataEx(CUmodule *out, const void *image, unsigned count, CUjit_option *options,
                            void **values)
{
    struct xg_cuda_jit jit;
    SC_ENTER(ctx);
    CUresult r = xg_cuda_jit_parse(&jit, count, options, values);

    return r ? r : load_image(ctx, image, &jit, out);
}

CUresult cuModuleLoadData(CUmodule *out, const void *image)
{
    return cuModuleLoadDataEx(out, image, 0, NULL, NULL);
}

CUresult cuModuleLoadFatBinary(CUmodule *out, const void *image)
{
    return cuModuleLoadDataEx(out, image, 0, NULL, NULL);
}

CUresult cuModuleLoad(CUmodule *out, const char *path)
{
    void *data;
    SC_ENTER(ctx);

    if (!out || !path)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = xg_cuda_file_read(path, &data);
    if (r)
        return r;
    r = cuModuleLoadData(out, data);
    free(data);
    return r;
}

CUresult cuModuleUnload(CUmodule handle)
{
    SC_READY();
    SC_UNSAFE();
    pthread_mutex_lock(&sc_lock);
    struct sc_module_obj *m = sc_handle_get(SC_MODULE, handle);
    if (!m || m->library) {
        pthread_mutex_unlock(&sc_lock);
        return CUDA_ERROR_INVALID_HANDLE;
    }
    struct sc_ctx *ctx = m->ctx;
    sc_ctx_sync(ctx); /* its variables go with it */
    sc_module_unload(m);
    pthread_mutex_unlock(&sc_lock);
    sc_print_flush(ctx);
    return (CUresult)atomic_load(&ctx->sticky);
}

CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode *mode)
{
    CUresult r = sc_ready();

    if (r)
        return r;
    if (!mode)
        return CUDA_ERROR_INVALID_VALUE;
    *mode = CU_MODULE_EAGER_LOADING;
    return CUDA_SUCCESS;
}

/* --- names ------------------------------------------------------------------------------------ */

CUresult cuModuleGetFunction(CUfunction *out, CUmodule handle, const char *name)
{
    SC_ENTER_OF(ctx, SC_MODULE, handle);
    struct sc_module_obj *m = sc_handle_get(SC_MODULE, handle);
    if (!out || !name || !*name)
        return CUDA_ERROR_INVALID_VALUE;
    if (!m)
        return CUDA_ERROR_INVALID_HANDLE;
    struct sc_func *f = sc_module_find(m->module, name);
    for (unsigned i = 0; f && i < m->function_count; i++)
        if (m->functions[i].func == f) {
            CUresult r;
            if (sc_function_get(ctx, m->functions[i].handle, &r))
                *out = m->functions[i].handle;
            return r;
        }
    return CUDA_ERROR_NOT_FOUND;
}

CUresult cuModuleGetFunctionCount(unsigned *count, CUmodule handle)
{
    XG_CUDA_NEED(count, CUDA_ERROR_INVALID_VALUE);
    SC_ENTER_OF(ctx, SC_MODULE, handle);
    struct sc_module_obj *m = sc_handle_get(SC_MODULE, handle);
    if (!m)
        return CUDA_ERROR_INVALID_HANDLE;
    *count = m->function_count;
    return CUDA_SUCCESS;
}

CUresult cuModuleEnumerateFunctions(CUfunction *functions, unsigned count, CUmodule handle)
{
    XG_CUDA_NEED(functions, CUDA_ERROR_INVALID_VALUE);
    SC_ENTER_OF(ctx, SC_MODULE, handle);
    struct sc_module_obj *m = sc_handle_get(SC_MODULE, handle);
    if (!m)
        return CUDA_ERROR_INVALID_HANDLE;
    for (unsigned i = 0; i < count && i < m->function_count; i++)
        functions[i] = m->functions[i].handle;
    return CUDA_SUCCESS;
}

CUresult sc_module_global(struct sc_module_obj *m, const char *name, bool managed,
                          CUdeviceptr *address, size_t *size)
{
    for (unsigned i = 0; i < m->var_count; i++) {
        const struct sc_var *v = sc_module_var(m->module, i);
        if (strcmp(v->name, name) || (managed && !v->managed))
            continue;
        if (address)
            *address = m->vars[i];
        if (size)
            *size = v->size;
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_NOT_FOUND;
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *size, CUmodule handle, const char *name)
{
    SC_ENTER_OF(ctx, SC_MODULE, handle);
    struct sc_module_obj *m = sc_handle_get(SC_MODULE, handle);
    if (!name || !*name || (!address && !size))
        return CUDA_ERROR_INVALID_VALUE;
    return m ? sc_module_global(m, name, false, address, size) : CUDA_ERROR_INVALID_HANDLE;
}
