/* libcudart over a driver of nothing: drivers that are absent or old, devices, contexts, errors,
 * fork. */
/* with: tests/unit/cudart_fake.c */
/* links: -lcudart */
#define RT_VERSION 12
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "interposer/cudart/runtime.h"
#include "tests/unit/cudart_fake.h"

/* In this order: the first ones see the library before it has found a driver. */

static void absent_driver_is_an_error_not_a_crash(void **state)
{
    int n = 7;

    fake.absent = true;
    assert_int_equal(cudaGetDeviceCount(&n), cudaErrorInsufficientDriver);
    assert_int_equal(n, 0);
    assert_int_equal(cudaDriverGetVersion(&n), cudaSuccess);
    assert_int_equal(n, 0);
    assert_int_equal(cudaRuntimeGetVersion(&n), cudaSuccess);
    assert_int_equal(n / 1000, 12);
    assert_int_equal(cudaGetLastError(), cudaErrorInsufficientDriver);
}

static void old_driver_is_refused(void **state)
{
    void *p;

    fake.version = 11080;
    assert_int_equal(cudaMalloc(&p, 4), cudaErrorInsufficientDriver);
}

static void driver_without_devices(void **state)
{
    int n;

    fake.devices = 0;
    assert_int_equal(cudaGetDeviceCount(&n), cudaErrorNoDevice);
    fake.devices = 2;
}

static void failing_start_is_retried(void **state)
{
    void *p;

    fake.next = CUDA_ERROR_SYSTEM_NOT_READY; /* of cuDevicePrimaryCtxRetain */
    assert_int_equal(cudaMalloc(&p, 4), cudaErrorSystemNotReady);
    assert_int_equal(cudaMalloc(&p, 4), cudaSuccess);
    assert_int_equal(fake.retains, 2);
    assert_int_equal(cudaMalloc(&p, 4), cudaSuccess);
    assert_int_equal(fake.retains, 2);
    assert_int_equal(fake.sets, 1);
}

static void devices_are_chosen_per_thread_by_setting(void **state)
{
    CUcontext ctx;
    int d = -1;

    assert_int_equal(cudaGetDevice(&d), cudaSuccess);
    assert_int_equal(d, 0);
    assert_int_equal(cudaSetDevice(1), cudaSuccess);
    cuCtxGetCurrent(&ctx);
    assert_ptr_equal(ctx, fake_context(1));
    assert_int_equal(cudaGetDevice(&d), cudaSuccess);
    assert_int_equal(d, 1);
    assert_int_equal(cudaSetDevice(2), cudaErrorInvalidDevice);
    assert_int_equal(cudaGetDevice(&d), cudaSuccess);
    assert_int_equal(d, 1);
}

static void *other_thread(void *arg)
{
    void *p;
    int d = -1;

    if (cudaPeekAtLastError() != cudaSuccess) /* the main thread has one */
        return "error of another thread";
    if (cudaGetDevice(&d) || d != 0)
        return "device of another thread";
    if (cudaMalloc(&p, 1))
        return "malloc";
    return NULL;
}

static void threads_have_their_own_device_and_error(void **state)
{
    pthread_t t;
    void *said;

    cudaSetDevice(1);
    cudaSetDevice(99);
    assert_int_equal(pthread_create(&t, NULL, other_thread, NULL), 0);
    assert_int_equal(pthread_join(t, &said), 0);
    assert_null(said);
    assert_int_equal(cudaGetLastError(), cudaErrorInvalidDevice);
    assert_int_equal(cudaGetLastError(), cudaSuccess);
    cudaSetDevice(0);
}

static void context_of_the_program_is_used(void **state)
{
    void *p;
    int d;

    cuCtxSetCurrent(fake_context(1)); /* as cuCtxPushCurrent would */
    fake.sets = 0;
    assert_int_equal(cudaMalloc(&p, 4), cudaSuccess);
    assert_int_equal(fake.sets, 0);
    assert_int_equal(cudaGetDevice(&d), cudaSuccess);
    assert_int_equal(d, 1);
    cuCtxSetCurrent(NULL);
    assert_int_equal(cudaMalloc(&p, 4), cudaSuccess); /* back to the thread's device */
    assert_int_equal(cudaGetDevice(&d), cudaSuccess);
    assert_int_equal(d, 0);
}

static void reset_takes_the_context_away_and_use_brings_it_back(void **state)
{
    void *p;

    assert_int_equal(cudaSetDevice(0), cudaSuccess);
    fake.retains = fake.releases = fake.resets = 0;
    assert_int_equal(cudaDeviceReset(), cudaSuccess);
    assert_int_equal(fake.resets, 1);
    assert_int_equal(fake.releases, 1);
    assert_int_equal(cudaMalloc(&p, 4), cudaSuccess);
    assert_int_equal(fake.retains, 1);
    assert_int_equal(cudaMalloc(&p, 4), cudaSuccess);
    assert_int_equal(fake.retains, 1);
}

static void driver_results_become_errors(void **state)
{
    static const struct {
        CUresult r;
        cudaError_t e;
    } cases[] = {
        {CUDA_ERROR_ILLEGAL_ADDRESS, cudaErrorIllegalAddress},
        {CUDA_ERROR_LAUNCH_FAILED, cudaErrorLaunchFailure},
        {CUDA_ERROR_NOT_SUPPORTED, cudaErrorNotSupported},
        {CUDA_ERROR_INVALID_HANDLE, cudaErrorInvalidResourceHandle},
        {CUDA_ERROR_NO_BINARY_FOR_GPU, cudaErrorNoKernelImageForDevice},
        {(CUresult)777, cudaErrorUnknown},
    };

    for (size_t i = 0; i < XG_ARRAY_LEN(cases); i++) {
        fake.next = cases[i].r;
        assert_int_equal(cudaDeviceSynchronize(), cases[i].e);
        assert_int_equal(cudaPeekAtLastError(), cases[i].e);
        assert_int_equal(cudaGetLastError(), cases[i].e);
        assert_int_equal(cudaGetLastError(), cudaSuccess);
    }
}

static void every_error_has_its_name(void **state)
{
    assert_string_equal(cudaGetErrorName(cudaErrorIllegalAddress), "cudaErrorIllegalAddress");
    assert_string_equal(cudaGetErrorName(cudaErrorUnknown), "cudaErrorUnknown");
    assert_string_equal(cudaGetErrorName(cudaSuccess), "cudaSuccess");
    assert_string_equal(cudaGetErrorName((cudaError_t)11), "unrecognized error code");
    assert_string_equal(cudaGetErrorString((cudaError_t)-1), "unrecognized error code");
}

static void null_places_are_errors(void **state)
{
    assert_int_equal(cudaGetDeviceCount(NULL), cudaErrorInvalidValue);
    assert_int_equal(cudaMalloc(NULL, 4), cudaErrorInvalidValue);
    assert_int_equal(cudaStreamCreate(NULL), cudaErrorInvalidValue);
    assert_int_equal(cudaMemGetInfo(NULL, NULL), cudaErrorInvalidValue);
    assert_int_equal(cudaPointerGetAttributes(NULL, NULL), cudaErrorInvalidValue);
    assert_int_equal(cudaGetDeviceProperties_v2(NULL, 0), cudaErrorInvalidValue);
}

static void what_the_driver_lacks_is_not_supported(void **state)
{
    cudaGraph_t g;

    assert_int_equal(cudaGraphCreate(&g, 0), cudaErrorNotSupported);
    assert_int_equal(cudaGLGetDevices(), cudaErrorNotSupported);
}

static void properties_fill_their_layout_and_nothing_behind_it(void **state)
{
    union {
        struct cudaDeviceProp_11 v11;
        struct cudaDeviceProp_12 v12;
        unsigned char bytes[1200];
    } p;

    memset(&p, 0xa5, sizeof(p));
    assert_int_equal(cudaGetDeviceProperties_v2(&p.v12, 1), cudaSuccess);
    assert_string_equal(p.v12.name, "second");
    assert_int_equal(p.v12.warpSize, CU_DEVICE_ATTRIBUTE_WARP_SIZE);
    assert_int_equal(p.v12.sharedMemPerBlockOptin,
                     CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
    assert_int_equal(p.v12.unifiedFunctionPointers, CU_DEVICE_ATTRIBUTE_UNIFIED_FUNCTION_POINTERS);
    assert_int_equal(p.v12.totalGlobalMem, 2ull << 33);
    for (size_t i = sizeof(p.v12); i < sizeof(p); i++)
        assert_int_equal(p.bytes[i], 0xa5);

    memset(&p, 0xa5, sizeof(p));
    assert_int_equal(cudaGetDeviceProperties((struct cudaDeviceProp *)&p, 0), cudaSuccess);
    assert_int_equal(p.v11.maxSurface2D[1], CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACE2D_HEIGHT);
    for (size_t i = sizeof(p.v11); i < sizeof(p); i++)
        assert_int_equal(p.bytes[i], 0xa5);
}

static void kinds_and_streams_choose_the_copy(void **state)
{
    int h = 0, n = 0;

    assert_int_equal(cudaMemcpy((void *)64, &h, 4, cudaMemcpyHostToDevice), cudaSuccess);
    assert_int_equal(fake.copied, 'H');
    assert_int_equal(cudaMemcpy(&h, (void *)64, 4, cudaMemcpyDeviceToHost), cudaSuccess);
    assert_int_equal(fake.copied, 'D');
    assert_int_equal(cudaMemcpy((void *)64, (void *)128, 4, cudaMemcpyDeviceToDevice), cudaSuccess);
    assert_int_equal(fake.copied, 'P');
    assert_int_equal(cudaMemcpy(&h, &n, 4, cudaMemcpyHostToHost), cudaSuccess);
    assert_int_equal(fake.copied, 'U');
    fake.copied = 0;
    assert_int_equal(cudaMemcpy(&h, &n, 4, (enum cudaMemcpyKind)5),
                     cudaErrorInvalidMemcpyDirection);
    assert_int_equal(cudaMemcpy(NULL, &n, 4, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
    assert_int_equal(cudaMemcpy(NULL, NULL, 0, cudaMemcpyHostToDevice), cudaSuccess);
    assert_int_equal(fake.copied, 0);

    /* a thread's own default stream: asynchronous there, then a wait for it */
    assert_int_equal(cudaMemcpy_ptds((void *)64, &h, 4, cudaMemcpyHostToDevice), cudaSuccess);
    assert_int_equal(fake.copied, 'h');
    assert_int_equal(fake.waited, 1);
    assert_ptr_equal(fake.stream, cudaStreamPerThread);
    assert_int_equal(cudaStreamQuery(NULL), cudaSuccess);
    assert_null(fake.stream);
    assert_int_equal(cudaStreamQuery_ptsz(NULL), cudaSuccess);
    assert_ptr_equal(fake.stream, cudaStreamPerThread);
}

static void private_tables_are_not_given(void **state)
{
    const void *table = &table;
    cudaUUID_t id = {{1, 2, 3}};

    assert_int_equal(cudaGetExportTable(&table, &id), cudaErrorNotSupported);
    assert_null(table);
}

/* Last but one: nothing of the parent's driver may be touched by a child. */
static void child_gets_an_error(void **state)
{
    void *p;
    int status;
    pid_t pid;

    assert_int_equal(cudaMalloc(&p, 4), cudaSuccess);
    pid = fork();
    if (!pid) {
        int n, ok = cudaMalloc(&p, 4) == cudaErrorInitializationError;
        ok &= cudaGetDeviceCount(&n) == cudaErrorInitializationError;
        ok &= cudaGetLastError() == cudaErrorInitializationError;
        ok &= cudaDeviceSynchronize() == cudaErrorInitializationError;
        _exit(ok ? 0 : 1);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(cudaMalloc(&p, 4), cudaSuccess);
}

static int before_each(void **state)
{
    fake_reset();
    cudaGetLastError();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(absent_driver_is_an_error_not_a_crash, before_each),
        cmocka_unit_test_setup(old_driver_is_refused, before_each),
        cmocka_unit_test_setup(driver_without_devices, before_each),
        cmocka_unit_test_setup(failing_start_is_retried, before_each),
        cmocka_unit_test_setup(devices_are_chosen_per_thread_by_setting, before_each),
        cmocka_unit_test_setup(threads_have_their_own_device_and_error, before_each),
        cmocka_unit_test_setup(context_of_the_program_is_used, before_each),
        cmocka_unit_test_setup(reset_takes_the_context_away_and_use_brings_it_back, before_each),
        cmocka_unit_test_setup(driver_results_become_errors, before_each),
        cmocka_unit_test_setup(every_error_has_its_name, before_each),
        cmocka_unit_test_setup(null_places_are_errors, before_each),
        cmocka_unit_test_setup(what_the_driver_lacks_is_not_supported, before_each),
        cmocka_unit_test_setup(properties_fill_their_layout_and_nothing_behind_it, before_each),
        cmocka_unit_test_setup(kinds_and_streams_choose_the_copy, before_each),
        cmocka_unit_test_setup(private_tables_are_not_given, before_each),
        cmocka_unit_test_setup(child_gets_an_error, before_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
