/* Modules: the image crosses once, the function table comes back, and what a function is like is
 * then known here. */
#include "cuda/send.h"
#include "cuda/fatbin.h"

#include <stdlib.h>
#include <sys/random.h>
#define XXH_INLINE_ALL /* nothing to link with */
#include <xxhash.h>

#define TABLE_FIRST (256u << 10)
#define TABLE_MAX   (256u << 20)

/* --- images that the worker has --------------------------------------------------------------- */

static pthread_mutex_t lock = XG_LOCK_INITIALIZER;
static struct sent {
    uint64_t hash, size;
} * sent;
static unsigned sent_count, sent_size;
static uint8_t secret[XXH3_SECRET_DEFAULT_SIZE];
static bool secret_made; /* else every image is sent, and the worker compares */

static void secret_make(void)
{
    secret_made = getrandom(secret, sizeof(secret), 0) == sizeof(secret);
}

/* The worker knows an image by this sum. It is made with a secret: who gives a program images must
 * not be able to make two that it takes for one. */
static uint64_t image_hash(const void *image, size_t size)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, secret_make);
    return XXH3_64bits_withSecret(image, size, secret, sizeof(secret));
}

static bool image_known(uint64_t hash, uint64_t size)
{
    bool known = false;

    pthread_mutex_lock(&lock);
    for (unsigned i = 0; secret_made && i < sent_count && !known; i++)
        known = sent[i].hash == hash && sent[i].size == size;
    pthread_mutex_unlock(&lock);
    return known;
}

static void image_note(uint64_t hash, uint64_t size)
{
    pthread_mutex_lock(&lock);
    if (sent_count == sent_size) {
        unsigned more = sent_size ? sent_size * 2 : 16;
        struct sent *p = realloc(sent, more * sizeof(*p));
        if (p) {
            sent = p;
            sent_size = more;
        }
    }
    if (sent_count < sent_size)
        sent[sent_count++] = (struct sent){hash, size};
    pthread_mutex_unlock(&lock);
}

void cu_images_reset(void)
{
    xg_lock_init(&lock);
    sent_count = 0;
}

/* --- loading ---------------------------------------------------------------------------------- */

struct load {
    const void *image;
    size_t size;
    uint64_t hash;
    uint8_t *table; /* arena memory */
    uint32_t where, room;
    struct xg_cuda_module_load_reply reply;
};

static CUresult load_send(struct cu_ctx *ctx, struct load *l, struct cu_module *m, bool bytes,
                          unsigned registers)
{
    const struct xg_cuda_module_load f = {
        .module = m->o.name,
        .kind = bytes ? XG_CUDA_LOAD_IMAGE : XG_CUDA_LOAD_HASH,
        .hash = l->hash,
        .size = l->size,
        .table = l->where,
        .table_size = l->room,
        .max_registers = registers,
    };

    if (bytes && l->size > xg_blob_max(cu.ring))
        return CUDA_ERROR_OUT_OF_MEMORY;
    return cu_call_module_load(ctx, &f, bytes ? l->image : NULL, l->size, &l->reply);
}

/* With room for the table made as needed. */
static CUresult load_call(struct cu_ctx *ctx, struct load *l, struct cu_module *m,
                          unsigned registers)
{
    bool bytes = !image_known(l->hash, l->size);
    CUresult r = CUDA_ERROR_OUT_OF_MEMORY;

    for (unsigned turn = 0; turn < 4; turn++) {
        if (!l->table) {
            l->table = xg_arena_alloc(cu.channel, l->room, 64, &l->where);
            if (!l->table)
                return CUDA_ERROR_OUT_OF_MEMORY;
        }
        memset(&l->reply, 0, sizeof(l->reply));
        r = load_send(ctx, l, m, bytes, registers);
        if (r == CUDA_ERROR_NOT_FOUND && !bytes) {
            bytes = true; /* the worker did not keep it */
            continue;
        }
        if (r != CUDA_ERROR_OUT_OF_MEMORY || l->reply.table_need <= l->room ||
            l->reply.table_need > TABLE_MAX)
            break;
        xg_arena_free(cu.channel, l->table);
        l->table = NULL;
        l->room = (uint32_t)xg_align_up(l->reply.table_need, 4096);
    }
    return r;
}

/* The worker is trusted with the device, not with this process's memory: the table is checked like
 * anything from outside. */
static CUresult table_take(struct cu_module *m, const struct load *l)
{
    uint32_t used = l->reply.table_used, at = 0;

    if (used > l->room)
        return CUDA_ERROR_UNKNOWN;
    m->table = malloc(used + 1);
    m->func = calloc((size_t)l->reply.functions + 1, sizeof(*m->func));
    m->record = calloc((size_t)l->reply.functions + 1, sizeof(*m->record));
    if (!m->table || !m->func || !m->record)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memcpy(m->table, l->table, used);
    m->table_size = used;
    for (m->api.functions = 0; m->api.functions < l->reply.functions; m->api.functions++) {
        const struct xg_cuda_func *f = (const struct xg_cuda_func *)(m->table + at);
        if (used - at < sizeof(*f) || f->size > used - at || (f->size & 7) || f->param_count > 4096)
            return CUDA_ERROR_UNKNOWN;
        uint64_t need =
            sizeof(*f) + f->param_count * sizeof(struct xg_cuda_param) + (uint64_t)f->name_size;
        const char *name = (const char *)(f + 1) + f->param_count * sizeof(struct xg_cuda_param);
        if (need > f->size || f->name_size == 0 || name[f->name_size - 1] != 0 ||
            f->param_bytes > XG_CUDA_PARAM_BYTES_MAX)
            return CUDA_ERROR_UNKNOWN;
        m->record[m->api.functions] = f;
        at += f->size;
    }
    return CUDA_SUCCESS;
}

/* Its names serve other modules and functions from now on. */
static void module_free(struct cu_module *m)
{
    for (unsigned i = 0; i < m->api.functions; i++)
        if (m->func[i])
            cu_object_free(&m->func[i]->o);
    cu_managed_put(m->managed);
    free(m->table);
    free(m->func);
    free(m->record);
    cu_object_free(&m->o);
}

/* The text that the device would be given of an image, to be freed; NULL: none. */
static char *image_ptx(const struct xg_cuda_image *image, size_t *length)
{
    const int32_t *a = cu.snap.attribute;
    char *ptx = NULL;

    if (image->kind == XG_IMAGE_FATBIN)
        return xg_fatbin_ptx(image->start, image->size,
                             (unsigned)(a[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR] * 10 +
                                        a[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR]),
                             &ptx, length)
                   ? NULL
                   : ptx;
    *length = image->size;
    return image->kind == XG_IMAGE_PTX ? strndup(image->start, image->size) : NULL;
}

static bool names_vprintf(const void *data, size_t size)
{
    return memmem(data, size, "vprintf", strlen("vprintf")) != NULL;
}

/* Whether its kernels may print; of a fatbin without PTX, some entry's. */
static bool image_prints(const struct xg_cuda_image *image, const char *ptx, size_t length)
{
    struct xg_fatbin_entry entry;
    size_t raw, pos = 0;
    bool prints = false;
    char *data;

    if (ptx)
        return names_vprintf(ptx, length);
    if (image->kind != XG_IMAGE_FATBIN)
        return names_vprintf(image->start, image->size);
    while (!prints && xg_fatbin_next(image->start, image->size, &pos, &entry) == 1) {
        if (xg_fatbin_extract(&entry, &data, &raw))
            continue;
        prints = names_vprintf(data, raw);
        free(data);
    }
    return prints;
}

/* One image, as it is or with its managed variables taken out. */
static CUresult bytes_load(struct cu_ctx *ctx, const void *image, size_t size,
                           const struct xg_cuda_jit *jit, struct cu_module *m)
{
    struct load l = {
        .image = image, .size = size, .hash = image_hash(image, size), .room = TABLE_FIRST};
    char *log = "";

    CUresult r = load_call(ctx, &l, m, jit->max_registers);
    if (l.table && l.reply.log && (uint64_t)l.reply.table_used + l.reply.log <= l.room) {
        log = (char *)l.table + l.reply.table_used;
        log[l.reply.log - 1] = 0;
    }
    xg_cuda_jit_report(jit, r, log);
    if (r == CUDA_SUCCESS) {
        image_note(l.hash, l.size);
        r = table_take(m, &l);
    }
    if (l.table)
        xg_arena_free(cu.channel, l.table);
    return r;
}

/* With the managed variables that the image has in other contexts. */
static CUresult load_image(struct cu_module *m, const struct xg_cuda_image *image,
                           const struct xg_cuda_jit *jit, struct cu_managed *like)
{
    char *text, *ptx;
    size_t length = 0;
    CUresult r = CUDA_ERROR_NOT_SUPPORTED;

    ptx = image_ptx(image, &length);
    m->managed = cu_managed_of(m->ctx, ptx, length, like, &text);
    if (m->managed)
        r = bytes_load(m->ctx, text, strlen(text), jit, m);
    if (r == CUDA_SUCCESS) {
        r = cu_managed_fill(m);
    } else { /* not from the text, or there is none: the module works, those variables do not */
        cu_managed_put(m->managed);
        m->managed = NULL;
        r = bytes_load(m->ctx, image->start, image->size, jit, m);
    }
    cu_text_look();
    if (r == CUDA_SUCCESS && image_prints(image, ptx, length))
        atomic_store(&cu_text_expected, true);
    free(text);
    free(ptx);
    return r;
}

CUresult cu_module_load(CUcontext h, const struct xg_cuda_image *image,
                        const struct xg_cuda_jit *jit, void **own, struct xg_cuda_module **out)
{
    struct cu_ctx *ctx = cu_ctx_of(xg_cuda_ctx_get(h));

    if (!ctx)
        return CUDA_ERROR_INVALID_CONTEXT;
    struct cu_module *m = cu_object_new(CU_KIND_MODULE, sizeof(*m));
    if (!m)
        return CUDA_ERROR_OUT_OF_MEMORY;
    m->ctx = ctx;
    m->api.handle = cu_handle(&m->o);
    CUresult r = load_image(m, image, jit, own ? *own : NULL);
    if (r != CUDA_SUCCESS) {
        cu_object_hide(&m->o);
        module_free(m);
        return r;
    }
    if (own && !*own)
        *own = cu_managed_get(m->managed);
    *out = &m->api;
    return CUDA_SUCCESS;
}

/* --- unloading -------------------------------------------------------------------------------- */

static bool of_module(const struct cu_mem *mem, void *m)
{
    return mem->kind == CU_MEM_GLOBAL && mem->owner == m;
}

/* Nobody finds what is in it any more. */
static void module_hide(struct cu_module *m)
{
    struct cu_mem mem;

    while (cu_mem_remove_where(of_module, m, &mem))
        ;
    for (unsigned i = 0; i < m->api.functions; i++)
        if (m->func[i])
            cu_object_hide(&m->func[i]->o);
}

CUresult cu_module_unload(CUmodule h, const struct xg_cuda_library *library)
{
    struct cu_module *m = xg_cuda_handle_get(CU_KIND_MODULE, h);

    if (!m || m->api.library != library || !cu_object_hide(&m->o))
        return CUDA_ERROR_INVALID_HANDLE;
    if (m->managed)
        cu_ctx_sync(m->ctx); /* kernels may still be using them */
    else
        cu_host_settle(m->ctx);
    CUresult r =
        cu_send_module_unload(m->ctx, &(struct xg_cuda_module_unload){.module = m->o.name});
    cu_text_look();
    module_hide(m);
    module_free(m);
    return r;
}

static void hide_of(void *object, void *arg)
{
    struct cu_module *m = object;
    struct cu_ctx *ctx = arg;

    if (m->ctx != ctx || !cu_object_hide(&m->o))
        return;
    module_hide(m);
    m->hidden = ctx->hidden;
    ctx->hidden = m;
}

void cu_ctx_hide_modules(struct cu_ctx *ctx)
{
    xg_cuda_handle_each(CU_KIND_MODULE, hide_of, ctx);
}

void cu_ctx_free_modules(struct cu_ctx *ctx)
{
    while (ctx->hidden) {
        struct cu_module *m = ctx->hidden;
        ctx->hidden = m->hidden;
        module_free(m);
    }
}

/* --- looking inside --------------------------------------------------------------------------- */

static const char *record_name(const struct xg_cuda_func *f)
{
    return (const char *)(f + 1) + f->param_count * sizeof(struct xg_cuda_param);
}

static struct cu_module *module_of(struct xg_cuda_module *m)
{
    return xg_container_of(m, struct cu_module, api);
}

CUresult cu_module_enter(CUmodule h, struct xg_cuda_module **out)
{
    struct cu_module *m = xg_cuda_handle_get(CU_KIND_MODULE, h);
    struct xg_cuda_ctx *ctx;

    *out = m ? &m->api : NULL;
    return xg_cuda_ctx_enter_in(m ? &m->ctx->api : NULL, &ctx);
}

const char *cu_func_name(const struct xg_cuda_module *m, unsigned index, CUresult *refused)
{
    const struct xg_cuda_func *f = xg_container_of(m, const struct cu_module, api)->record[index];

    if (refused)
        *refused = (CUresult)f->refused;
    return record_name(f);
}

_Static_assert(sizeof(struct xg_cuda_place) == sizeof(struct xg_cuda_param) &&
                   offsetof(struct xg_cuda_place, size) == offsetof(struct xg_cuda_param, size),
               "both say where a parameter lies");

static struct cu_func *func_make(struct cu_module *m, unsigned index)
{
    const struct xg_cuda_func *rec = m->record[index];
    struct cu_func *f = cu_object_new(CU_KIND_FUNC, sizeof(*f));

    if (!f)
        return NULL;
    f->module = m;
    f->ctx = m->ctx;
    f->index = index;
    f->api = (struct xg_cuda_function){
        .handle = cu_handle(&f->o),
        .module = &m->api,
        .name = record_name(rec),
        .params = {(const struct xg_cuda_place *)(rec + 1), rec->param_count, rec->param_bytes},
        .refused = (CUresult)rec->refused,
    };
    memcpy(f->attribute, rec->attribute, sizeof(f->attribute));
    f->attribute_known = rec->attribute_known;
    return f;
}

static bool func_knows(const struct cu_func *f, CUfunction_attribute a)
{
    return f->attribute_known & (1u << a);
}

static uint32_t func_limit(const struct cu_func *f, CUfunction_attribute a)
{
    return func_knows(f, a) ? (uint32_t)f->attribute[a] : UINT32_MAX;
}

/* A driver that loads functions lazily knows these of a loaded one only: launches are checked
 * against two of them. */
static void func_complete(struct cu_func *f)
{
    static const CUfunction_attribute late[] = {CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK,
                                                CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES,
                                                CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES};

    for (unsigned i = 0; i < XG_ARRAY_LEN(late); i++)
        if (!func_knows(f, late[i]) &&
            cu_func_attribute(&f->api, late[i], &f->attribute[late[i]]) == CUDA_SUCCESS)
            f->attribute_known |= 1u << late[i];
}

/* Under the context's lock. One that is loaded already, and one that is refused, is sent for and
 * nobody waits. */
static CUresult func_send(struct cu_func *f)
{
    bool lazy = !f->api.refused && !func_knows(f, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
    struct cu_cmd c;

    if (lazy)
        cu_begin_call(&c, f->ctx);
    else
        cu_begin_take(&c, f->ctx, XG_CUDA_COST_FUNC);
    cu_put_func_get(&c, &(struct xg_cuda_func_get){
                            .func = f->o.name, .module = f->module->o.name, .index = f->index});
    CUresult r = cu_end(&c);
    if (r == CUDA_SUCCESS && lazy) {
        func_complete(f);
    } else if (lazy && r != CU_LOST && r != CUDA_ERROR_OUT_OF_MEMORY) {
        f->api.refused = r;
        r = CUDA_SUCCESS;
    }
    f->api.max_threads = func_limit(f, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
    f->api.max_dynamic = func_limit(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
    return r;
}

CUresult cu_module_func(struct xg_cuda_module *api, unsigned index, struct xg_cuda_function **out)
{
    struct cu_module *m = module_of(api);
    CUresult r = CUDA_SUCCESS;

    pthread_mutex_lock(&m->ctx->lock);
    if (!m->func[index]) {
        struct cu_func *f = func_make(m, index);
        r = f ? func_send(f) : CUDA_ERROR_OUT_OF_MEMORY;
        if (f && r != CUDA_SUCCESS) { /* perhaps the next time */
            cu_object_hide(&f->o);
            cu_object_free(&f->o);
        } else {
            m->func[index] = f;
        }
    }
    *out = m->func[index] ? &m->func[index]->api : NULL;
    pthread_mutex_unlock(&m->ctx->lock);
    return r;
}

CUresult cu_module_global(struct cu_module *m, const char *name, CUdeviceptr *p, size_t *size)
{
    struct xg_cuda_module_global_reply reply;

    if (cu_managed_find(m->managed, name, p, size))
        return CUDA_SUCCESS;
    if (strlen(name) >= XG_BLOB_INLINE_MAX)
        return CUDA_ERROR_NOT_FOUND;
    CUresult r = cu_call_module_global(m->ctx, &(struct xg_cuda_module_global){.module = m->o.name},
                                       name, &reply);
    if (r != CUDA_SUCCESS)
        return r;
    struct cu_mem mem = {.start = reply.va,
                         .size = reply.size,
                         .kind = CU_MEM_GLOBAL,
                         .ctx = m->ctx,
                         .owner = &m->o};
    if (reply.size)
        cu_mem_enter(&mem); /* known already if it was asked for before */
    if (p)
        *p = reply.va;
    if (size)
        *size = reply.size;
    return CUDA_SUCCESS;
}

/* A managed variable that could not be placed is in the device's memory, where this process cannot
 * reach it. */
CUresult cu_module_variable(struct xg_cuda_module *api, const char *name, bool managed,
                            CUdeviceptr *p, size_t *size)
{
    struct cu_module *m = module_of(api);

    if (!managed)
        return cu_module_global(m, name, p, size);
    if (cu_managed_find(m->managed, name, p, size))
        return CUDA_SUCCESS;
    CUresult r = cu_module_global(m, name, NULL, NULL);
    return r == CUDA_SUCCESS ? m->managed ? CUDA_ERROR_NOT_FOUND : CUDA_ERROR_NOT_SUPPORTED : r;
}
