/* Modules: images come once, function tables go back. */
#include "backend/cuda/replay.h"
#include "cuda/fatbin.h"

#include <stdlib.h>

#include "cuda/handlers.h"

#define IMAGE_MAX ((uint64_t)512 << 20)
#define CACHE_MAX ((uint64_t)256 << 20) /* bytes of all images that are kept */
#define LOG_SIZE  8192u                 /* bytes of the compiler's messages */

/* --- images ----------------------------------------------------------------------------------- */

static struct cu_image *image_find(struct cu_worker *w, uint64_t hash, uint64_t size)
{
    for (struct cu_image *i = w->images; i; i = i->next)
        if (i->hash == hash && i->size == size)
            return i;
    return NULL;
}

/* A private copy that ends in NUL: the driver parses it, so the guest must not be able to change it
 * meanwhile. */
static void *image_copy(const void *bytes, uint64_t size)
{
    char *copy = malloc(size + 1);
    if (copy) {
        memcpy(copy, bytes, size);
        copy[size] = 0;
    }
    return copy;
}

static void image_keep(struct cu_worker *w, uint64_t hash, uint64_t size, void *bytes)
{
    bool room = w->image_bytes + size <= CACHE_MAX && xg_cu_account_take(w, size);
    struct cu_image *i = room ? malloc(sizeof(*i)) : NULL;

    if (!i) {
        if (room)
            xg_cu_account_give(w, size);
        free(bytes);
        return;
    }
    *i = (struct cu_image){hash, size, bytes, w->images};
    w->images = i;
    w->image_bytes += size;
}

/* Checks what the driver does not, which would read past the end of a wrong image. */
static bool image_sound(const void *image, uint64_t size)
{
    struct xg_fatbin_entry entry;
    enum xg_image_kind kind;
    size_t pos = 0;
    int more;

    if (xg_image_kind(image, size, &kind))
        return false;
    if (kind != XG_IMAGE_FATBIN)
        return true;
    while ((more = xg_fatbin_next(image, size, &pos, &entry)) == 1)
        ;
    return more == 0;
}

/* --- the function table ----------------------------------------------------------------------- */

struct table {
    uint8_t *data;
    size_t used, size;
    bool failed;
};

static void *table_add(struct table *t, size_t size)
{
    size_t padded = (size + 7) & ~(size_t)7;

    if (t->used + padded > t->size) {
        size_t bigger = (t->used + padded) * 2;
        uint8_t *more = realloc(t->data, bigger);
        if (!more) {
            t->failed = true;
            return NULL;
        }
        t->data = more;
        t->size = bigger;
    }
    void *at = memset(t->data + t->used, 0, padded);
    t->used += padded;
    return at;
}

static void attributes_fill(struct cu_worker *w, CUfunction f, struct xg_cuda_func *head)
{
    for (unsigned i = 0; i < XG_CUDA_FUNC_ATTRIBUTES && i < CU_FUNC_ATTRIBUTE_MAX; i++) {
        int value;
        CUresult r = w->d.cuFuncGetAttribute(&value, (CUfunction_attribute)i, f);
        if (r == CUDA_SUCCESS) {
            head->attribute[i] = value;
            head->attribute_known |= 1u << i;
        } else if (i == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK &&
                   r != CUDA_ERROR_FUNCTION_NOT_LOADED) {
            /* Every driver knows this one, so the function itself is wrong. If it is not loaded
             * yet, its attributes are known once FUNC_GET has loaded it. */
            head->refused = r;
            return;
        }
    }
}

static CUresult table_function(struct cu_worker *w, CUfunction f, struct table *t)
{
    struct xg_cuda_func head = {0};
    struct xg_cuda_param param[1024];
    const char *name = NULL;
    CUresult r = w->d.cuFuncGetName(&name, f);

    if (r != CUDA_SUCCESS)
        return r;
    for (; head.param_count < XG_ARRAY_LEN(param); head.param_count++) {
        size_t offset, size;
        if (w->d.cuFuncGetParamInfo(f, head.param_count, &offset, &size) != CUDA_SUCCESS)
            break;
        if (offset > XG_CUDA_PARAM_BYTES_MAX || size > XG_CUDA_PARAM_BYTES_MAX)
            return CUDA_ERROR_NOT_SUPPORTED;
        param[head.param_count] =
            (struct xg_cuda_param){.offset = (uint32_t)offset, .size = (uint32_t)size};
        head.param_bytes = (uint32_t)xg_max_u64(head.param_bytes, offset + size);
    }
    attributes_fill(w, f, &head);
    head.name_size = (uint32_t)strlen(name) + 1;
    size_t at = t->used, params = head.param_count * sizeof(param[0]);
    void *p = table_add(t, sizeof(head) + params + head.name_size);
    if (!p)
        return CUDA_ERROR_OUT_OF_MEMORY;
    head.size = (uint32_t)(t->used - at);
    memcpy(p, &head, sizeof(head));
    memcpy((char *)p + sizeof(head), param, params);
    memcpy((char *)p + sizeof(head) + params, name, head.name_size);
    return CUDA_SUCCESS;
}

static CUresult table_make(struct cu_worker *w, struct cu_module *m, struct table *t)
{
    CUresult r = w->d.cuModuleGetFunctionCount(&m->func_count, m->h);

    if (r != CUDA_SUCCESS)
        return r;
    if (m->func_count == 0)
        return CUDA_SUCCESS;
    m->func = calloc(m->func_count, sizeof(*m->func));
    if (!m->func)
        return CUDA_ERROR_OUT_OF_MEMORY;
    r = w->d.cuModuleEnumerateFunctions(m->func, m->func_count, m->h);
    for (unsigned i = 0; r == CUDA_SUCCESS && i < m->func_count; i++)
        r = table_function(w, m->func[i], t);
    return r;
}

/* --- loading ---------------------------------------------------------------------------------- */

static CUresult module_open(struct cu_worker *w, const struct xg_cuda_module_load *a,
                            const void *image, struct cu_module *m, char *log)
{
    CUjit_option option[3] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
                              CU_JIT_MAX_REGISTERS};
    void *value[3] = {log, (void *)(uintptr_t)LOG_SIZE, (void *)(uintptr_t)a->max_registers};
    CUresult r;

    xg_cu_device_pause(w); /* the driver compiles */
    r = w->d.cuModuleLoadDataEx(&m->h, image, a->max_registers ? 3 : 2, option, value);
    xg_cu_device_resume(w);
    return r;
}

static CUresult module_add(struct cu_worker *w, const struct xg_cuda_module_load *a,
                           const void *image, struct table *t, unsigned *functions, char *log)
{
    struct cu_module *m = calloc(1, sizeof(*m));
    bool mallocs;
    uint64_t bytes = xg_cu_image_bytes(w, image, a->size, &mallocs);
    CUresult r;

    if (!m || bytes > INT64_MAX / 2 || !xg_cu_device_charge(w, bytes += XG_CUDA_COST_MODULE)) {
        free(m);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    m->bytes = bytes;
    m->ctx = w->ctx;
    m->name = a->module;
    r = mallocs ? xg_cu_quota_heap(w, w->ctx) : CUDA_SUCCESS;
    if (r == CUDA_SUCCESS)
        r = module_open(w, a, image, m, log);
    if (r != CUDA_SUCCESS)
        goto fail;
    r = table_make(w, m, t);
    if (r == CUDA_SUCCESS && t->failed)
        r = CUDA_ERROR_OUT_OF_MEMORY;
    if (r == CUDA_SUCCESS && xg_table_set(&w->modules, a->module, m))
        r = CUDA_ERROR_INVALID_VALUE;
    if (r != CUDA_SUCCESS)
        goto unload;
    *functions = m->func_count;
    return CUDA_SUCCESS;
unload:
    w->d.cuModuleUnload(m->h);
fail:
    xg_cu_device_uncharge(w, bytes);
    free(m->func);
    free(m);
    return r;
}

/* If the table does not fit, the guest asks again with more room, and names the image by its hash.
 */
static void table_send(struct cu_worker *w, const struct xg_cuda_module_load *a,
                       const struct table *t, struct xg_cuda_module_load_reply *rep,
                       const char *log)
{
    uint8_t *out = xg_cu_arena_at(w, a->table, 0, a->table_size);
    size_t log_size = strnlen(log, LOG_SIZE - 1) + 1;

    rep->table_need = (uint32_t)xg_min_u64(t->used + log_size, UINT32_MAX);
    if (t->used <= a->table_size) {
        if (t->used)
            memcpy(out, t->data, t->used);
        rep->table_used = (uint32_t)t->used;
        if (t->used + log_size <= a->table_size) {
            memcpy(out + t->used, log, log_size);
            rep->log = (uint32_t)log_size;
        }
    }
}

uint32_t xg_cu_module_load(struct cu_worker *w, const struct xg_cuda_module_load *a,
                           const void *image, uint32_t image_size)
{
    struct xg_cuda_module_load_reply rep = {.result = CUDA_SUCCESS};
    struct cu_image *kept = image_find(w, a->hash, a->size);
    struct table t = {0};
    char log[LOG_SIZE] = "";
    void *bytes = kept ? kept->bytes : NULL;
    CUresult r = CUDA_SUCCESS;

    if (!xg_cu_arena_at(w, a->table, 0, a->table_size))
        return xg_cu_protocol_fail(w, "MODULE_LOAD names no place in the arena");
    if (!w->ctx)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (!bytes && a->kind == XG_CUDA_LOAD_HASH)
        return CUDA_ERROR_NOT_FOUND;
    if (a->kind != XG_CUDA_LOAD_HASH) {
        if (!image || image_size != a->size || a->size > IMAGE_MAX)
            return xg_cu_protocol_fail(w, "MODULE_LOAD without its image");
        if (!bytes ||
            memcmp(bytes, image, a->size)) /* the image that was sent counts, not its hash */
            bytes = image_copy(image, a->size);
        if (!bytes)
            return CUDA_ERROR_OUT_OF_MEMORY;
    }
    bool own = !kept || bytes != kept->bytes;
    if (!image_sound(bytes, a->size))
        r = CUDA_ERROR_INVALID_IMAGE;
    unsigned functions = 0;
    if (r == CUDA_SUCCESS)
        r = module_add(w, a, bytes, &t, &functions, log);
    rep.result = r;
    rep.functions = functions;
    table_send(w, a, &t, &rep, log);
    free(t.data);
    if (!kept && r == CUDA_SUCCESS)
        image_keep(w, a->hash, a->size, bytes);
    else if (own)
        free(bytes);
    if (r == CUDA_SUCCESS && !rep.table_used && functions) {
        /* The guest gave too little room: the module is unloaded, and the guest asks again. */
        const struct xg_cuda_module_unload u = {.module = a->module};
        xg_cu_module_unload(w, &u);
        rep.result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    xg_cu_reply(w, &rep, sizeof(rep));
    return r;
}

struct drop {
    struct cu_worker *w;
    struct cu_module *m;
};

static void drop_func(uint32_t name, void *object, void *arg)
{
    struct drop *d = arg;
    struct cu_func *f = object;

    if (f->module == d->m) {
        xg_table_remove(&d->w->funcs, name);
        xg_cu_account_give(d->w, XG_CUDA_COST_FUNC);
        free(f);
    }
}

uint32_t xg_cu_module_unload(struct cu_worker *w, const struct xg_cuda_module_unload *a)
{
    struct cu_module *m = xg_table_remove(&w->modules, a->module);
    struct drop d = {w, m};
    CUresult r;

    if (!m)
        return CUDA_ERROR_INVALID_HANDLE;
    xg_cu_queue_drain(w);
    xg_table_each(&w->funcs, drop_func, &d);
    xg_cu_range_drop_module(w, a->module);
    r = w->d.cuModuleUnload(m->h);
    xg_cu_device_uncharge(w, m->bytes);
    free(m->func);
    free(m);
    return r;
}

/* The driver shares managed memory with this process: its address means nothing in the guest. */
static bool is_managed(struct cu_worker *w, CUdeviceptr va)
{
    unsigned managed = 0;

    return w->d.cuPointerGetAttribute &&
           w->d.cuPointerGetAttribute(&managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, va) ==
               CUDA_SUCCESS &&
           managed;
}

uint32_t xg_cu_module_global(struct cu_worker *w, const struct xg_cuda_module_global *a,
                             const char *name)
{
    struct cu_module *m = xg_table_get(&w->modules, a->module);
    struct xg_cuda_module_global_reply rep = {.result = CUDA_SUCCESS};
    CUdeviceptr va = 0;
    size_t size = 0;
    CUresult r;

    if (!m)
        return CUDA_ERROR_INVALID_HANDLE;
    r = w->d.cuModuleGetGlobal_v2(&va, &size, m->h, name);
    if (r == CUDA_SUCCESS && size && is_managed(w, va))
        r = CUDA_ERROR_NOT_SUPPORTED;
    if (r != CUDA_SUCCESS)
        return r;
    struct cu_range range = {
        .start = va, .end = va + size, .kind = CU_RANGE_GLOBAL, .module = a->module, .ctx = w->ctx};
    if (size && !xg_cu_range_ok(w, va, size) && xg_cu_range_add(w, &range))
        return CUDA_ERROR_OUT_OF_MEMORY;
    rep.va = va;
    rep.size = size;
    xg_cu_reply(w, &rep, sizeof(rep));
    return r;
}

/* --- functions -------------------------------------------------------------------------------- */

/* A driver that loads lazily returns functions that are not on the device yet. They are loaded
 * here, as cuModuleGetFunction does, so that the attributes are known, and an error in a function
 * is reported here and not at its launch. */
static CUresult func_load(struct cu_worker *w, CUfunction f)
{
    int threads;

    if (!w->d.cuFuncLoad ||
        w->d.cuFuncGetAttribute(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, f) !=
            CUDA_ERROR_FUNCTION_NOT_LOADED)
        return CUDA_SUCCESS;
    xg_cu_device_pause(w);
    CUresult r = w->d.cuFuncLoad(f);
    xg_cu_device_resume(w);
    return r;
}

uint32_t xg_cu_func_get(struct cu_worker *w, const struct xg_cuda_func_get *a)
{
    struct cu_module *m = xg_table_get(&w->modules, a->module);
    struct cu_func *f;
    CUresult r;

    if (!m || a->index >= m->func_count)
        return CUDA_ERROR_INVALID_HANDLE;
    r = func_load(w, m->func[a->index]);
    if (r != CUDA_SUCCESS)
        return r;
    f = calloc(1, sizeof(*f));
    if (!f || !xg_cu_account_take(w, XG_CUDA_COST_FUNC)) {
        free(f);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    f->h = m->func[a->index];
    f->module = m;
    f->ctx = m->ctx;
    for (size_t i = 0, offset, size;
         w->d.cuFuncGetParamInfo(f->h, i, &offset, &size) == CUDA_SUCCESS; i++)
        f->param_bytes = (uint32_t)xg_max_u64(f->param_bytes, offset + size);
    int local = 0;
    if (w->d.cuFuncGetAttribute(&local, CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES, f->h) == CUDA_SUCCESS &&
        local > 0)
        f->local_bytes = (uint32_t)local;
    if (xg_table_set(&w->funcs, a->func, f)) {
        xg_cu_account_give(w, XG_CUDA_COST_FUNC);
        free(f);
        return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

uint32_t xg_cu_func_drop(struct cu_worker *w, const struct xg_cuda_func_drop *a)
{
    struct cu_func *f = xg_table_remove(&w->funcs, a->func);

    if (f)
        xg_cu_account_give(w, XG_CUDA_COST_FUNC);
    free(f);
    return f ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

uint32_t xg_cu_func_set_attr(struct cu_worker *w, const struct xg_cuda_func_set_attr *a)
{
    struct cu_func *f = xg_table_get(&w->funcs, a->func);
    return f ? w->d.cuFuncSetAttribute(f->h, (CUfunction_attribute)a->attribute, a->value)
             : CUDA_ERROR_INVALID_HANDLE;
}

uint32_t xg_cu_func_get_attr(struct cu_worker *w, const struct xg_cuda_func_get_attr *a)
{
    struct cu_func *f = xg_table_get(&w->funcs, a->func);
    struct xg_cuda_func_get_attr_reply rep = {.result = CUDA_SUCCESS};
    CUresult r;

    if (!f)
        return CUDA_ERROR_INVALID_HANDLE;
    r = w->d.cuFuncGetAttribute(&rep.value, (CUfunction_attribute)a->attribute, f->h);
    if (r != CUDA_SUCCESS)
        return r;
    xg_cu_reply(w, &rep, sizeof(rep));
    return r;
}

uint32_t xg_cu_func_config(struct cu_worker *w, const struct xg_cuda_func_config *a)
{
    struct cu_func *f = xg_table_get(&w->funcs, a->func);

    if (!f)
        return CUDA_ERROR_INVALID_HANDLE;
    if (a->what == XG_CUDA_CONFIG_CACHE)
        return w->d.cuFuncSetCacheConfig ? w->d.cuFuncSetCacheConfig(f->h, (CUfunc_cache)a->value)
                                         : CUDA_ERROR_NOT_SUPPORTED;
    if (a->what == XG_CUDA_CONFIG_SHARED)
        return w->d.cuFuncSetSharedMemConfig
                   ? w->d.cuFuncSetSharedMemConfig(f->h, (CUsharedconfig)a->value)
                   : CUDA_ERROR_NOT_SUPPORTED;
    return xg_cu_protocol_fail(w, "FUNC_CONFIG of something unknown");
}

uint32_t xg_cu_occupancy(struct cu_worker *w, const struct xg_cuda_occupancy *a)
{
    struct cu_func *f = xg_table_get(&w->funcs, a->func);
    struct xg_cuda_occupancy_reply rep = {.result = CUDA_SUCCESS};
    CUresult r = CUDA_ERROR_NOT_SUPPORTED;
    size_t bytes = 0;
    int blocks = 0;

    if (!f)
        return CUDA_ERROR_INVALID_HANDLE;
    if (a->what == XG_CUDA_OCC_BLOCKS &&
        w->d.cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags) {
        r = w->d.cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&blocks, f->h, (int)a->a,
                                                                      a->b, (unsigned)a->c);
        rep.value = (uint64_t)(int64_t)blocks;
    } else if (a->what == XG_CUDA_OCC_DYNAMIC && w->d.cuOccupancyAvailableDynamicSMemPerBlock) {
        r = w->d.cuOccupancyAvailableDynamicSMemPerBlock(&bytes, f->h, (int)a->a, (int)a->b);
        rep.value = bytes;
    }
    if (r != CUDA_SUCCESS)
        return r;
    xg_cu_reply(w, &rep, sizeof(rep));
    return r;
}
