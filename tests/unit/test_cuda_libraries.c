/* cuda/api's libraries and kernels, options and parameters, over a device that only counts. */
/* links: obj/libcuda_api.a obj/libcuda_common.a -lzstd -llz4 */
/* san: thread */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cuda/api/context.h"
#include "cuda/api/image.h"
#include "cuda/api/launch.h"
#include "cuda/api/module.h"

#define OK(call)          assert_int_equal(call, CUDA_SUCCESS)
#define FAILS(call, with) assert_int_equal(call, with)

/* --- the device ------------------------------------------------------------------------------- */

enum { MODULES = 64, FUNCTIONS = 3, REFUSED = 2 };

static struct xg_cuda_ctx contexts[6], *primary;
#define CTX(n)  (contexts[n].handle)
#define PRIMARY (primary->handle)

struct function {
    struct xg_cuda_function api;
    struct module *module;
    int dynamic; /* as it was set; 0: was not */
};

struct module {
    struct xg_cuda_module api;
    CUcontext ctx;
    bool alive;
    struct function function[FUNCTIONS];
};

static struct module modules[MODULES]; /* each is used once */
static _Atomic unsigned loads, alive;
static unsigned again, puts, functions = FUNCTIONS, max_registers;
static bool unloadable;
static CUcontext ends; /* while a module is loaded into it */
static int own;
static const char *const names[] = {"first", "second", "refused"};

static CUresult lost(void)
{
    return CUDA_SUCCESS;
}

static CUresult ctx_start(struct xg_cuda_ctx *ctx)
{
    primary = ctx;
    return CUDA_SUCCESS;
}

static CUresult ctx_end(struct xg_cuda_ctx *ctx)
{
    primary = NULL;
    return CUDA_SUCCESS;
}

static CUresult ctx_error(struct xg_cuda_ctx *ctx)
{
    return CUDA_SUCCESS;
}

static CUresult stream_start(struct xg_cuda_stream *s)
{
    return CUDA_SUCCESS;
}

static CUresult module_load(CUcontext ctx, const struct xg_cuda_image *image,
                            const struct xg_cuda_jit *jit, void **kept, struct xg_cuda_module **out)
{
    struct module *m = &modules[atomic_fetch_add(&loads, 1)];

    assert_true(m < modules + MODULES);
    assert_int_equal(image->kind, XG_IMAGE_PTX);
    assert_int_equal(jit->symbols, 0);
    max_registers = jit->max_registers;
    if (unloadable)
        return CUDA_ERROR_INVALID_PTX;
    m->ctx = ctx;
    m->alive = true;
    m->api = (struct xg_cuda_module){.handle = (CUmodule)m, .functions = functions};
    for (unsigned i = 0; i < FUNCTIONS; i++) {
        m->function[i].module = m;
        m->function[i].api = (struct xg_cuda_function){
            .handle = (CUfunction)&m->function[i],
            .module = &m->api,
            .name = names[i],
            .refused = i == REFUSED ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS};
    }
    *kept = &own;
    alive++;
    *out = &m->api;
    if (ctx == ends)
        xg_cuda_handle_hide(XG_CUDA_KIND_CTX, ctx);
    if (ctx == ends)
        xg_cuda_libraries_forget(ctx);
    return CUDA_SUCCESS;
}

static CUresult module_unload(CUmodule h, const struct xg_cuda_library *library)
{
    struct module *m = (struct module *)h;

    assert_true(m->alive);
    assert_ptr_equal(m->api.library, library);
    m->alive = false;
    alive--;
    return CUDA_SUCCESS;
}

static void image_again(void *kept)
{
    assert_ptr_equal(kept, &own);
    again++;
}

static void image_put(void *kept)
{
    assert_ptr_equal(kept, &own);
    puts++;
}

static const char *function_name(const struct xg_cuda_module *m, unsigned index, CUresult *refused)
{
    assert_true(xg_container_of(m, const struct module, api)->alive);
    *refused = index == REFUSED ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS;
    return names[index];
}

static CUresult variable(struct xg_cuda_module *m, const char *name, bool managed,
                         CUdeviceptr *address, size_t *size)
{
    assert_true(xg_container_of(m, struct module, api)->alive);
    *address = (CUdeviceptr)(uintptr_t)m;
    return CUDA_SUCCESS;
}

static CUresult function_load(struct xg_cuda_module *m, unsigned index, struct xg_cuda_function **f)
{
    *f = &xg_container_of(m, struct module, api)->function[index].api;
    return CUDA_SUCCESS;
}

static CUresult function_attribute(struct xg_cuda_function *f, CUfunction_attribute a, int *value)
{
    *value = xg_container_of(f, struct function, api)->dynamic;
    return CUDA_SUCCESS;
}

static CUresult function_set(struct xg_cuda_function *f, CUfunction_attribute a, int value)
{
    if (a != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || value < 0)
        return CUDA_ERROR_INVALID_VALUE;
    xg_container_of(f, struct function, api)->dynamic = value;
    return CUDA_SUCCESS;
}

const struct xg_cuda_device xg_cuda_device = {
    .lost = lost,
    .ctx_size = sizeof(struct xg_cuda_ctx),
    .ctx_start = ctx_start,
    .ctx_end = ctx_end,
    .ctx_error = ctx_error,
    .stream_size = sizeof(struct xg_cuda_stream),
    .stream_start = stream_start,
    .module_load = module_load,
    .image_needs_context = true,
    .module_unload = module_unload,
    .image_again = image_again,
    .image_put = image_put,
    .function_name = function_name,
    .function_load = function_load,
    .function_attribute = function_attribute,
    .function_set = function_set,
    .variable = variable,
};

/* Unless it has a handle. */
static void context_new(unsigned i)
{
    if (!xg_cuda_ctx_get(contexts[i].handle))
        contexts[i].handle = xg_cuda_handle_new(XG_CUDA_KIND_CTX, &contexts[i]);
}

static int begin(void **state)
{
    memset(modules, 0, sizeof(modules));
    loads = alive = again = puts = max_registers = 0;
    functions = FUNCTIONS;
    unloadable = false;
    xg_cuda_state = XG_CUDA_STARTED;
    for (unsigned i = 0; i < XG_ARRAY_LEN(contexts); i++)
        context_new(i);
    OK(cuCtxSetCurrent(CTX(1)));
    ends = NULL;
    return 0;
}

static CUlibrary library(void)
{
    CUlibrary l;

    OK(cuLibraryLoadData(&l, ".version 6.4\n", NULL, NULL, 0, NULL, NULL, 0));
    return l;
}

static CUkernel kernel(CUlibrary l, const char *name)
{
    CUkernel k;

    OK(cuLibraryGetKernel(&k, l, name));
    return k;
}

static struct function *function_in(CUcontext ctx, CUkernel k)
{
    struct xg_cuda_function *f;

    OK(xg_cuda_kernel_function(ctx, k, &f));
    return xg_container_of(f, struct function, api);
}

static bool primary_active(void)
{
    unsigned flags;
    int active;

    OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
    return active;
}

/* The device ends a context's modules itself. */
static void context_end(CUcontext ctx)
{
    xg_cuda_libraries_forget(ctx);
    for (unsigned i = 0; i < MODULES; i++)
        if (modules[i].alive && modules[i].ctx == ctx) {
            modules[i].alive = false;
            alive--;
        }
}

/* --- libraries -------------------------------------------------------------------------------- */

/* It is loaded where it is used, once, and unloaded where it is. */
static void each_context(void **state)
{
    CUlibrary l = library();
    CUkernel k = kernel(l, "second");

    assert_int_equal(loads, 1);
    assert_ptr_equal(function_in(CTX(1), k)->module->ctx, CTX(1));
    assert_int_equal(loads, 1);
    struct function *f = function_in(CTX(2), k);
    assert_ptr_equal(f->module->ctx, CTX(2));
    assert_ptr_equal(f->api.name, names[1]);
    assert_ptr_equal(function_in(CTX(2), k), f);
    assert_int_equal(loads, 2);
    context_end(CTX(1));
    assert_int_equal(alive, 1);
    OK(cuLibraryUnload(l));
    assert_int_equal(alive, 0);
    assert_int_equal(puts, 1);
    assert_int_equal(again, 0);
    FAILS(cuLibraryUnload(l), CUDA_ERROR_INVALID_HANDLE);
    FAILS(xg_cuda_kernel_function(CTX(2), k, &(struct xg_cuda_function *){NULL}),
          CUDA_ERROR_INVALID_HANDLE);
}

/* What the device keeps for all contexts begins anew when there is none, and not before. */
static void no_context_left(void **state)
{
    CUlibrary l = library();
    CUkernel k = kernel(l, "first");

    for (unsigned i = 0; i < 5; i++) {
        context_end(CTX(1));
        assert_true(function_in(CTX(1), k)->module->alive);
        assert_int_equal(again, i + 1);
    }
    assert_ptr_equal(function_in(CTX(2), k)->module->ctx, CTX(2));
    context_end(CTX(1));
    function_in(CTX(1), k);
    assert_int_equal(again, 5);
    OK(cuLibraryUnload(l));
}

static void without_context(void **state)
{
    unsigned count;
    int n;

    OK(cuCtxSetCurrent(NULL));
    CUlibrary l = library();
    CUkernel k = kernel(l, "first");
    assert_true(primary_active());
    assert_ptr_equal(function_in(PRIMARY, k)->module->ctx, PRIMARY);
    assert_int_equal(loads, 1);
    context_end(PRIMARY);
    OK(cuLibraryGetKernelCount(&count, l));
    assert_int_equal(count, FUNCTIONS);
    OK(cuKernelGetAttribute(&n, CU_FUNC_ATTRIBUTE_NUM_REGS, k, 0)); /* looks again */
    assert_int_equal(loads, 2);
    assert_true(primary_active());
    FAILS(cuLibraryGetModule(&(CUmodule){NULL}, l), CUDA_ERROR_INVALID_CONTEXT);
    FAILS(cuKernelGetFunction(&(CUfunction){NULL}, k), CUDA_ERROR_INVALID_CONTEXT);
    OK(cuLibraryUnload(l));
    assert_false(primary_active()); /* as often as it was retained */
}

/* What is in it is known without any module, which may end at any time. */
static void names_stay(void **state)
{
    CUlibrary l = library();
    CUkernel k = kernel(l, "second");
    const char *name;

    context_end(CTX(1));
    assert_ptr_equal(kernel(l, "second"), k);
    FAILS(cuLibraryGetKernel(&k, l, "refused"), CUDA_ERROR_NOT_SUPPORTED);
    FAILS(cuLibraryGetKernel(&k, l, "third"), CUDA_ERROR_NOT_FOUND);
    OK(cuKernelGetName(&name, k));
    assert_string_equal(name, "second");
    assert_int_equal(loads, 1);
    OK(cuLibraryUnload(l));
}

/* A thread without a context asks in one that is there, and makes no other. */
static void managed_anywhere(void **state)
{
    CUlibrary l = library();
    CUkernel k = kernel(l, "first");
    CUdeviceptr p;

    struct function *f = function_in(CTX(2), k);
    context_end(CTX(1));
    OK(cuCtxSetCurrent(NULL));
    OK(cuLibraryGetManaged(&p, NULL, l, "v"));
    assert_int_equal(p, (uintptr_t)f->module);
    assert_int_equal(loads, 2);
    assert_false(primary_active());
    context_end(CTX(2));
    OK(cuLibraryGetManaged(&p, NULL, l, "v"));
    assert_ptr_equal(((struct module *)(uintptr_t)p)->ctx, PRIMARY);
    OK(cuLibraryUnload(l));
}

/* No place remains of a context that ends while the library is loaded into it. */
static void ends_meanwhile(void **state)
{
    CUlibrary l = library();
    CUkernel k = kernel(l, "first");
    struct xg_cuda_function *f;

    ends = CTX(2);
    FAILS(xg_cuda_kernel_function(CTX(2), k, &f), CUDA_ERROR_CONTEXT_IS_DESTROYED);
    assert_int_equal(alive, 1);
    ends = NULL;
    context_new(2);
    assert_true(function_in(CTX(2), k)->module->alive);
    OK(cuCtxSetCurrent(CTX(3))); /* of a new library, too */
    ends = CTX(3);
    FAILS(cuLibraryLoadData(&(CUlibrary){NULL}, ".version 6.4\n", NULL, NULL, 0, NULL, NULL, 0),
          CUDA_ERROR_CONTEXT_IS_DESTROYED);
    assert_int_equal(alive, 2);
    OK(cuLibraryUnload(l));
    assert_int_equal(alive, 0);
}

static void refusals(void **state)
{
    CUlibrary l, none = (CUlibrary)7;
    CUkernel all[FUNCTIONS];
    const char *name;
    int n;

    unloadable = true;
    FAILS(cuLibraryLoadData(&none, ".version 6.4\n", NULL, NULL, 0, NULL, NULL, 0),
          CUDA_ERROR_INVALID_PTX);
    assert_ptr_equal(none, 7);
    unloadable = false;
    l = library();
    FAILS(cuLibraryGetKernel(all, l, "refused"), CUDA_ERROR_NOT_SUPPORTED);
    FAILS(cuLibraryGetKernel(all, l, "third"), CUDA_ERROR_NOT_FOUND);
    OK(cuLibraryEnumerateKernels(all, FUNCTIONS, l));
    OK(cuKernelGetName(&name, all[REFUSED]));
    assert_string_equal(name, "refused");
    FAILS(cuKernelGetAttribute(&n, 0, all[REFUSED], 0), CUDA_ERROR_NOT_SUPPORTED);
    FAILS(cuKernelGetFunction(&(CUfunction){NULL}, all[REFUSED]), CUDA_ERROR_NOT_SUPPORTED);
    functions--; /* the same image, and less in it */
    OK(cuCtxSetCurrent(CTX(2)));
    FAILS(cuLibraryGetModule(&(CUmodule){NULL}, l), CUDA_ERROR_UNKNOWN);
    assert_int_equal(alive, 1);
    OK(cuLibraryUnload(l));
}

/* What is set of a kernel holds where it is loaded, and where it will be. */
static void attributes(void **state)
{
    const CUfunction_attribute a = CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
    CUlibrary l = library();
    CUkernel k = kernel(l, "first");
    int n;

    function_in(CTX(2), k);
    OK(cuKernelSetAttribute(a, 1000, k, 0));
    FAILS(cuKernelSetAttribute(a, -1, k, 0), CUDA_ERROR_INVALID_VALUE);
    FAILS(cuKernelSetAttribute(99, 1, k, 0), CUDA_ERROR_INVALID_VALUE);
    FAILS(cuKernelSetAttribute(a, 1, k, 1), CUDA_ERROR_INVALID_DEVICE);
    for (unsigned i = 1; i < 4; i++)
        assert_int_equal(function_in(CTX(i), k)->dynamic, 1000);
    assert_int_equal(function_in(CTX(1), kernel(l, "second"))->dynamic, 0);
    OK(cuCtxSetCurrent(CTX(4)));
    OK(cuKernelGetAttribute(&n, a, k, 0));
    assert_int_equal(n, 1000);
    OK(cuLibraryUnload(l));
}

static void *user(void *k)
{
    for (unsigned i = 0; i < 1000; i++)
        for (unsigned c = 1; c < 4; c++)
            assert_ptr_equal(function_in(CTX(c), k)->module->ctx, CTX(c));
    return NULL;
}

/* Contexts that nobody uses come and go meanwhile. */
static void threads(void **state)
{
    CUlibrary l = library();
    CUkernel k = kernel(l, "first");
    pthread_t t[4];

    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, user, k), 0);
    for (unsigned i = 0; i < 50; i++) {
        function_in(CTX(5), k);
        xg_cuda_libraries_forget(CTX(5));
    }
    for (unsigned i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(loads, 3 + 50);
    OK(cuLibraryUnload(l));
}

/* --- options ---------------------------------------------------------------------------------- */

static void options(void **state)
{
    char error[8], info[100];
    CUjit_option names_of[] = {
        CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
        CU_JIT_INFO_LOG_BUFFER,  CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES,
        CU_JIT_MAX_REGISTERS,
    };
    void *values[] = {error, (void *)sizeof(error), info, (void *)sizeof(info), (void *)32};
    CUjit_option symbols = CU_JIT_GLOBAL_SYMBOL_COUNT, unknown = CU_JIT_NUM_OPTIONS;
    struct xg_cuda_jit jit;
    CUlibrary l;

    OK(xg_cuda_jit_parse(&jit, 5, names_of, values));
    xg_cuda_jit_report(&jit, CUDA_ERROR_INVALID_PTX, "a long text");
    assert_string_equal(error, "a long ");
    assert_int_equal((uintptr_t)values[1], 8);
    assert_int_equal((uintptr_t)values[3], 0);
    FAILS(xg_cuda_jit_parse(&jit, 1, &symbols, &(void *){(void *)1}), CUDA_ERROR_INVALID_VALUE);
    FAILS(xg_cuda_jit_parse(&jit, 1, &unknown, &(void *){NULL}), CUDA_ERROR_INVALID_VALUE);
    FAILS(xg_cuda_jit_parse(&jit, 1, NULL, NULL), CUDA_ERROR_INVALID_VALUE);

    OK(cuLibraryLoadData(&l, ".version 6.4\n", names_of, values, 5, NULL, NULL, 0));
    assert_int_equal(max_registers, 32);
    function_in(CTX(2), kernel(l, "first"));
    assert_int_equal(max_registers, 32); /* in each context */
    OK(cuLibraryUnload(l));
}

/* --- parameters ------------------------------------------------------------------------------- */

static void parameters(void **state)
{
    static const struct xg_cuda_place place[] = {{0, 1}, {8, 8}, {16, 2}};
    const struct xg_cuda_layout layout = {place, 3, 18};
    const uint8_t want[18] = {1, [8] = 2, 2, 2, 2, 2, 2, 2, 2, 3, 3};
    uint8_t block[18], a = 1;
    uint64_t b = 0x0202020202020202;
    uint16_t c = 0x0303;
    void *params[] = {&a, &b, &c};
    size_t size = sizeof(want);
    void *buffer[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, (void *)want, CU_LAUNCH_PARAM_BUFFER_SIZE,
                      &size, CU_LAUNCH_PARAM_END};
    void *no_size[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, (void *)want, CU_LAUNCH_PARAM_END};
    void *wrong[] = {(void *)99, (void *)want, CU_LAUNCH_PARAM_END};
    struct xg_cuda_args args;

    memset(block, 0xff, sizeof(block));
    OK(xg_cuda_args_find(&layout, params, no_size, &args));
    xg_cuda_args_write(&layout, &args, block);
    assert_memory_equal(block, want, sizeof(want));
    memset(block, 0xff, sizeof(block));
    OK(xg_cuda_args_find(&layout, NULL, buffer, &args));
    xg_cuda_args_write(&layout, &args, block);
    assert_memory_equal(block, want, sizeof(want));
    FAILS(xg_cuda_args_find(&layout, params, buffer, &args), CUDA_ERROR_INVALID_VALUE);
    FAILS(xg_cuda_args_find(&layout, NULL, no_size, &args), CUDA_ERROR_INVALID_VALUE);
    FAILS(xg_cuda_args_find(&layout, NULL, wrong, &args), CUDA_ERROR_INVALID_VALUE);
    FAILS(xg_cuda_args_find(&layout, NULL, NULL, &args), CUDA_ERROR_INVALID_VALUE);
    params[1] = NULL;
    FAILS(xg_cuda_args_find(&layout, params, NULL, &args), CUDA_ERROR_INVALID_VALUE);
    size--;
    FAILS(xg_cuda_args_find(&layout, NULL, buffer, &args), CUDA_ERROR_INVALID_VALUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_context, begin),
        cmocka_unit_test_setup(no_context_left, begin),
        cmocka_unit_test_setup(without_context, begin),
        cmocka_unit_test_setup(names_stay, begin),
        cmocka_unit_test_setup(managed_anywhere, begin),
        cmocka_unit_test_setup(ends_meanwhile, begin),
        cmocka_unit_test_setup(refusals, begin),
        cmocka_unit_test_setup(attributes, begin),
        cmocka_unit_test_setup(threads, begin),
        cmocka_unit_test_setup(options, begin),
        cmocka_unit_test(parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
