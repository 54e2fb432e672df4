/* softcuda's contexts: the threads' stacks, the primary one, what they own; modules and libraries
 * in them. */
/* links: obj/libsoftcuda_driver.a obj/libcuda_api.a obj/libcuda_common.a -lzstd -llz4 -lm */
#include "tests/unit/softcuda_fake.h"

static void stack(void **state)
{
    CUcontext a, b, c;

    OK(cuCtxCreate_v2(&a, CU_CTX_SCHED_SPIN, 0));
    OK(cuCtxCreate_v2(&b, 0, 0));
    OK(cuCtxGetCurrent(&c));
    assert_ptr_equal(c, b);
    OK(cuCtxPopCurrent(&c));
    assert_ptr_equal(c, b);
    OK(cuCtxGetCurrent(&c));
    assert_ptr_equal(c, a);
    OK(cuCtxSetCurrent(b)); /* replaces a */
    OK(cuCtxPushCurrent(a));
    OK(cuCtxDestroy(b)); /* not on top: stays there as a dead handle */
    OK(cuCtxDestroy(a));
    CUdeviceptr p;
    assert_int_equal(cuMemAlloc(&p, 4), CUDA_ERROR_CONTEXT_IS_DESTROYED);
    OK(cuCtxPopCurrent(NULL));
    OK(cuCtxGetCurrent(&c));
    assert_ptr_equal(c, *state);
    assert_int_equal(cuCtxDestroy(a), CUDA_ERROR_INVALID_CONTEXT);
    assert_int_equal(cuCtxSetCurrent(a), CUDA_ERROR_INVALID_CONTEXT);
    assert_int_equal(cuCtxCreate_v2(&a, 0, 1), CUDA_ERROR_INVALID_DEVICE);
    assert_int_equal(cuCtxCreate_v2(NULL, 0, 0), CUDA_ERROR_INVALID_VALUE);
}

static void primary(void **state)
{
    CUcontext a, b;
    CUdeviceptr p;
    unsigned flags;
    int active;
    size_t before, after, total;

    OK(cuMemGetInfo(&before, &total));
    OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
    assert_int_equal(active, 0);
    assert_int_equal(cuDevicePrimaryCtxRelease(0), CUDA_ERROR_INVALID_CONTEXT);
    OK(cuDevicePrimaryCtxRetain(&a, 0));
    OK(cuDevicePrimaryCtxRetain(&b, 0));
    assert_ptr_equal(a, b);
    assert_int_equal(cuCtxDestroy(a), CUDA_ERROR_INVALID_CONTEXT);
    OK(cuCtxPushCurrent(a));
    OK(cuMemAlloc(&p, 1 << 20));
    OK(cuDevicePrimaryCtxRelease(0));
    OK(cuMemsetD8(p, 0, 1 << 20)); /* still retained once */
    OK(cuDevicePrimaryCtxRelease(0));
    assert_int_equal(cuMemsetD8(p, 0, 1), CUDA_ERROR_CONTEXT_IS_DESTROYED);
    OK(cuCtxPopCurrent(NULL));
    OK(cuMemGetInfo(&after, &total));
    assert_int_equal(before, after);

    /* A reset heals what a fault has broken. */
    OK(cuDevicePrimaryCtxRetain(&a, 0));
    OK(cuCtxPushCurrent(a));
    OK(fake_launch(fake_function("touch"), NULL, 64, 0));
    assert_int_equal(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
    OK(cuDevicePrimaryCtxReset(0));
    OK(cuDevicePrimaryCtxRetain(&a, 0));
    OK(cuCtxSetCurrent(a));
    OK(fake_launch(fake_function("empty"), NULL, 0, 0));
    OK(cuCtxSynchronize());
    OK(cuCtxPopCurrent(NULL));
    OK(cuDevicePrimaryCtxRelease(0));
}

static void foreign_functions(void **state)
{
    CUcontext c;
    CUfunction mine = fake_function("empty");

    OK(cuCtxCreate_v2(&c, 0, 0));
    assert_int_equal(fake_launch(mine, NULL, 0, 0), CUDA_ERROR_INVALID_CONTEXT);
    OK(cuCtxDestroy(c));
    OK(fake_launch(mine, NULL, 0, 0));
}

static void modules(void **state)
{
    CUmodule m;
    CUfunction f;
    CUdeviceptr p;
    size_t size;
    unsigned alive = fake_modules;
    char log[64] = "?", tiny[4] = "???";
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
                              CU_JIT_WALL_TIME, CU_JIT_TARGET};
    void *values[] = {log, (void *)sizeof(log), NULL, (void *)75};

    OK(cuModuleLoadDataEx(&m, FAKE_PTX, 4, options, values));
    assert_string_equal(log, "");
    OK(cuModuleGetGlobal(&p, &size, m, "counter"));
    assert_int_equal(size, 4);
    OK(cuModuleGetFunction(&f, m, "add"));
    OK(cuMemsetD32(p, 0, 1));
    OK(fake_launch(f, NULL, p, 3));
    OK(cuModuleUnload(m)); /* waits for the launch, takes the variable along */
    assert_int_equal(fake_modules, alive);
    assert_int_equal(cuMemsetD32(p, 0, 1), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(fake_launch(f, NULL, p, 3), CUDA_ERROR_INVALID_HANDLE);

    values[1] = (void *)sizeof(log);
    assert_int_equal(cuModuleLoadDataEx(&m, "// what\n", 2, options, values),
                     CUDA_ERROR_INVALID_PTX);
    assert_non_null(strstr(log, "what"));
    assert_int_equal((size_t)values[1], strlen(log) + 1);
    values[0] = tiny;
    values[1] = (void *)sizeof(tiny);
    assert_int_equal(cuModuleLoadDataEx(&m, "// what\n", 2, options, values),
                     CUDA_ERROR_INVALID_PTX);
    assert_int_equal(strlen(tiny), 3);
    options[0] = (CUjit_option)4711;
    assert_int_equal(cuModuleLoadDataEx(&m, FAKE_PTX, 1, options, values),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(cuModuleLoadDataEx(&m, FAKE_PTX, 1, NULL, NULL), CUDA_ERROR_INVALID_VALUE);
}

static void libraries(void **state)
{
    CUlibrary l;
    CUkernel k;
    CUfunction f, g;
    CUcontext c;
    CUdeviceptr p, q;
    CUmodule m;
    unsigned alive = fake_modules;

    OK(cuLibraryLoadData(&l, FAKE_PTX, NULL, NULL, 0, NULL, NULL, 0));
    OK(cuLibraryGetKernel(&k, l, "add"));
    OK(cuKernelGetFunction(&f, k));
    OK(cuLibraryGetGlobal(&p, NULL, l, "counter"));
    /* Another context has its own function and variable. */
    OK(cuCtxCreate_v2(&c, 0, 0));
    OK(cuKernelGetFunction(&g, k));
    assert_ptr_not_equal(f, g);
    OK(cuLibraryGetGlobal(&q, NULL, l, "counter"));
    assert_int_not_equal(p, q);
    OK(fake_launch((CUfunction)k, NULL, q, 1));
    OK(cuLibraryGetModule(&m, l));
    assert_int_equal(cuModuleUnload(m), CUDA_ERROR_INVALID_HANDLE); /* the library's */
    OK(cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 60000, k, 0));
    OK(cuCtxDestroy(c));
    OK(fake_launch(f, NULL, p, 1));
    OK(cuLibraryUnload(l));
    assert_int_equal(cuLibraryUnload(l), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(fake_launch(f, NULL, p, 1), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(fake_modules, alive);
}

static _Atomic bool held;

static void holds(void *arg)
{
    while (held)
        usleep(1000);
}

struct unload {
    CUcontext ctx;
    CUmodule m; /* NULL: the library */
    CUlibrary l;
};

static void *unloader(void *arg)
{
    const struct unload *u = arg;

    if (cuCtxSetCurrent(u->ctx) || (u->m ? cuModuleUnload(u->m) : cuLibraryUnload(u->l)))
        return arg;
    return NULL;
}

/* What unloading waits for may need other threads, which load modules and make contexts. */
static void unloading_stalls_nobody(void **state)
{
    struct unload u = {.ctx = *state};
    CUmodule m;
    CUstream s;
    CUcontext c;
    pthread_t t;
    void *wrong;

    alarm(60); /* else this could hang */
    OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cuLibraryLoadData(&u.l, FAKE_PTX, NULL, NULL, 0, NULL, NULL, 0));
    OK(cuLibraryGetModule(&m, u.l));
    OK(cuModuleLoadData(&u.m, FAKE_PTX));
    for (unsigned turn = 0; turn < 2; turn++, u.m = NULL) {
        held = true;
        OK(cuLaunchHostFunc(s, holds, NULL));
        assert_int_equal(pthread_create(&t, NULL, unloader, &u), 0);
        for (unsigned i = 0; i < 20; i++) {
            usleep(2000);
            OK(cuCtxCreate_v2(&c, 0, 0));
            OK(cuModuleLoadData(&m, FAKE_PTX));
            OK(cuCtxDestroy(c));
        }
        held = false;
        pthread_join(t, &wrong);
        assert_null(wrong);
    }
    alarm(0);
    OK(cuStreamDestroy(s));
}

static void *other_thread(void *arg)
{
    CUcontext c;
    CUdeviceptr p;

    if (cuCtxGetCurrent(&c) || c)
        return "a new thread has a context";
    if (cuMemAlloc(&p, 4) != CUDA_ERROR_INVALID_CONTEXT)
        return "works without one";
    if (cuCtxSetCurrent(arg) || cuMemAlloc(&p, 4) || cuMemFree(p))
        return "does not work with one";
    return NULL;
}

static void threads(void **state)
{
    pthread_t t;
    void *failed;

    pthread_create(&t, NULL, other_thread, *state);
    pthread_join(t, &failed);
    assert_null(failed);
}

static void takes_long(void *done)
{
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    atomic_store((_Atomic int *)done, 1);
}

/* What frees memory waits for each context, also for one that is behind others which have gone. */
static void freeing_waits_for_older_contexts(void **state)
{
    static _Atomic int done;
    CUcontext old, between[3], last;
    CUdeviceptr p;

    OK(cuCtxCreate_v2(&old, 0, 0));
    for (unsigned i = 0; i < 3; i++)
        OK(cuCtxCreate_v2(&between[i], 0, 0));
    OK(cuCtxCreate_v2(&last, 0, 0));
    OK(cuMemAlloc(&p, 4));
    OK(cuCtxDestroy(between[1]));
    OK(cuCtxDestroy(between[0]));
    OK(cuCtxDestroy(between[2]));
    OK(cuCtxSetCurrent(old));
    OK(cuLaunchHostFunc(NULL, takes_long, (void *)&done));
    OK(cuCtxSetCurrent(last));
    OK(cuMemFree(p));
    assert_int_equal(atomic_load(&done), 1);
    OK(cuCtxDestroy(last));
    OK(cuCtxDestroy(old));
    OK(cuCtxSetCurrent(*state));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stack),     cmocka_unit_test(primary),
        cmocka_unit_test(modules),   cmocka_unit_test(foreign_functions),
        cmocka_unit_test(libraries), cmocka_unit_test(unloading_stalls_nobody),
        cmocka_unit_test(threads),   cmocka_unit_test(freeing_waits_for_older_contexts),
    };
    return cmocka_run_group_tests(tests, fake_context, fake_context_end);
}
