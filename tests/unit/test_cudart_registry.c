/* libcudart over a driver of nothing: registered kernels and variables, lazy loading, launches. */
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
#include <cmocka.h>

#include "interposer/cudart/runtime.h"
#include "tests/unit/cudart_fake.h"

enum { MANY = 5000 };

static char stub[MANY], variable[8]; /* their addresses are the program's names */
static void *managed;
static const dim3 one = {1, 1, 1};

static void **add_module(const void *image)
{
    return __cudaRegisterFatBinary((void *)(uintptr_t)image);
}

static void add_kernel(void **m, const char *host, const char *name)
{
    __cudaRegisterFunction(m, host, NULL, name, -1, NULL, NULL, NULL, NULL, NULL);
}

static void nothing_is_loaded_before_its_use(void **state)
{
    void **m = add_module("image");

    add_kernel(m, &stub[0], "first");
    add_kernel(m, &stub[1], "second");
    __cudaRegisterFatBinaryEnd(m);
    assert_int_equal(fake.opened, 0);
    assert_int_equal(cudaLaunchKernel(&stub[0], one, one, NULL, 0, NULL), cudaSuccess);
    assert_int_equal(fake.loads, 1);
    assert_string_equal(fake.image, "image");
    assert_int_equal(fake.kernels, 1);
    assert_int_equal(cudaLaunchKernel(&stub[0], one, one, NULL, 0, NULL), cudaSuccess);
    assert_int_equal(cudaLaunchKernel(&stub[1], one, one, NULL, 0, NULL), cudaSuccess);
    assert_int_equal(fake.loads, 1);
    assert_int_equal(fake.kernels, 2);
    assert_int_equal(fake.launches, 3);
    __cudaUnregisterFatBinary(m);
    assert_int_equal(fake.unloads, 1);
    assert_int_equal(cudaLaunchKernel(&stub[0], one, one, NULL, 0, NULL),
                     cudaErrorInvalidDeviceFunction);
    __cudaUnregisterFatBinary(m); /* not known any more; no harm */
    __cudaUnregisterFatBinary(NULL);
    assert_int_equal(fake.unloads, 1);
}

static void configuration_reaches_the_driver(void **state)
{
    void **m = add_module("image");
    dim3 grid, block;
    size_t shared;
    cudaStream_t stream;
    cudaKernel_t k;

    add_kernel(m, &stub[0], "kernel");
    assert_int_equal(__cudaPushCallConfiguration((dim3){2, 3, 4}, (dim3){5, 6, 7}, 80, (void *)9),
                     0);
    assert_int_equal(__cudaPushCallConfiguration(one, one, 0, NULL), 0); /* an argument launches */
    assert_int_equal(__cudaPopCallConfiguration(&grid, &block, &shared, &stream), cudaSuccess);
    assert_int_equal(grid.x, 1);
    assert_int_equal(__cudaPopCallConfiguration(&grid, &block, &shared, &stream), cudaSuccess);
    assert_int_equal(__cudaGetKernel(&k, &stub[0]), cudaSuccess);
    assert_int_equal(fake.loads, 0);
    assert_int_equal(__cudaLaunchKernel(k, grid, block, NULL, shared, stream), cudaSuccess);
    assert_int_equal(fake.grid[0] * 100 + fake.grid[1] * 10 + fake.grid[2], 234);
    assert_int_equal(fake.block[0] * 100 + fake.block[1] * 10 + fake.block[2], 567);
    assert_int_equal(fake.shared, 80);
    assert_ptr_equal(fake.stream, (void *)9);
    assert_int_equal(__cudaPopCallConfiguration(&grid, &block, &shared, &stream),
                     cudaErrorMissingConfiguration);
    assert_int_equal(__cudaLaunchKernel_ptsz(k, one, one, NULL, 0, NULL), cudaSuccess);
    assert_ptr_equal(fake.stream, cudaStreamPerThread);
    __cudaUnregisterFatBinary(m);
}

static void failure_to_load_is_told_at_each_launch(void **state)
{
    void **m = add_module("image");
    cudaKernel_t k;

    add_kernel(m, &stub[0], "kernel");
    add_kernel(m, &stub[1], "missing");
    assert_int_equal(__cudaGetKernel(&k, &stub[0]), cudaSuccess);
    for (int i = 0; i < 2; i++) {
        fake.next = CUDA_ERROR_NO_BINARY_FOR_GPU;
        assert_int_equal(__cudaLaunchKernel(k, one, one, NULL, 0, NULL),
                         cudaErrorNoKernelImageForDevice);
        assert_int_equal(cudaGetLastError(), cudaErrorNoKernelImageForDevice);
    }
    assert_int_equal(__cudaLaunchKernel(k, one, one, NULL, 0, NULL), cudaSuccess);
    assert_int_equal(cudaLaunchKernel(&stub[1], one, one, NULL, 0, NULL),
                     cudaErrorInvalidDeviceFunction);
    assert_int_equal(cudaLaunchKernel(&stub[2], one, one, NULL, 0, NULL),
                     cudaErrorInvalidDeviceFunction);
    assert_int_equal(__cudaGetKernel(&k, &stub[2]), cudaErrorInvalidDeviceFunction);
    assert_null(k);
    assert_int_equal(__cudaLaunchKernel(k, one, one, NULL, 0, NULL),
                     cudaErrorInvalidDeviceFunction);
    __cudaUnregisterFatBinary(m);
}

static void bad_shapes_are_told_from_bad_arguments(void **state)
{
    void **m = add_module("image");

    add_kernel(m, &stub[0], "kernel");
    fake.next = CUDA_SUCCESS;
    assert_int_equal(cudaLaunchKernel(&stub[0], one, one, NULL, 0, NULL), cudaSuccess);
    fake.next = CUDA_ERROR_INVALID_VALUE;
    assert_int_equal(cudaLaunchKernel(&stub[0], one, (dim3){2048, 1, 1}, NULL, 0, NULL),
                     cudaErrorInvalidConfiguration);
    fake.next = CUDA_ERROR_INVALID_VALUE;
    assert_int_equal(cudaLaunchKernel(&stub[0], (dim3){1, 0, 1}, one, NULL, 0, NULL),
                     cudaErrorInvalidConfiguration);
    fake.next = CUDA_ERROR_INVALID_VALUE;
    assert_int_equal(cudaLaunchKernel(&stub[0], one, (dim3){64, 64, 1}, NULL, 0, NULL),
                     cudaErrorInvalidConfiguration);
    fake.next = CUDA_ERROR_INVALID_VALUE;
    assert_int_equal(cudaLaunchKernel(&stub[0], one, one, NULL, 1 << 20, NULL),
                     cudaErrorInvalidValue);
    assert_int_equal(cudaLaunchKernel(&stub[0], one, one, NULL, (size_t)1 << 33, NULL),
                     cudaErrorInvalidValue);
    __cudaUnregisterFatBinary(m);
}

static void driver_handles_launch_too(void **state)
{
    void **m = add_module("image");
    cudaKernel_t k;
    cudaFunction_t f;
    cudaLibrary_t lib;

    add_kernel(m, &stub[0], "kernel");
    assert_int_equal(cudaGetKernel(&k, &stub[0]), cudaSuccess);
    assert_int_equal(cudaLaunchKernel(k, one, one, NULL, 0, NULL), cudaSuccess);
    assert_ptr_equal(fake.launched, k);
    assert_int_equal(__cudaLaunchKernel(k, one, one, NULL, 0, NULL), cudaSuccess);
    assert_ptr_equal(fake.launched, k);
    assert_int_equal(cudaGetFuncBySymbol(&f, &stub[0]), cudaSuccess);
    assert_int_equal(cudaLaunchKernel(f, one, one, NULL, 0, NULL), cudaSuccess);
    assert_ptr_equal(fake.launched, k);

    assert_int_equal(cudaLibraryLoadData(&lib, "other", NULL, NULL, 0, NULL, NULL, 0), cudaSuccess);
    assert_int_equal(cudaLibraryGetKernel(&k, lib, "kernel"), cudaSuccess);
    assert_int_equal(cudaLaunchKernel(k, one, one, NULL, 0, NULL), cudaSuccess);
    assert_ptr_equal(fake.launched, k);
    assert_int_equal(cudaLibraryUnload(lib), cudaSuccess);
    assert_int_equal(cudaLaunchKernel(k, one, one, NULL, 0, NULL), cudaErrorInvalidDeviceFunction);
    __cudaUnregisterFatBinary(m);
}

static void symbols_are_found_and_bounded(void **state)
{
    void **m = add_module("image"), *p = NULL;
    size_t size;
    char h[128] = {0};

    __cudaRegisterVar(m, variable, NULL, "variable", 0, 64, 0, 0);
    __cudaRegisterVar(m, variable + 1, NULL, "missing", 0, 64, 0, 0);
    assert_int_equal(cudaGetSymbolAddress(&p, variable), cudaSuccess);
    assert_int_equal(cudaGetSymbolSize(&size, variable), cudaSuccess);
    assert_int_equal(size, 64);
    assert_int_equal(cudaMemcpyToSymbol(variable, h, 60, 4, cudaMemcpyHostToDevice), cudaSuccess);
    assert_int_equal(fake.copied_to, (uintptr_t)p + 4);
    assert_int_equal(cudaMemcpyToSymbol(variable, h, 61, 4, cudaMemcpyHostToDevice),
                     cudaErrorInvalidValue);
    assert_int_equal(cudaMemcpyToSymbol(variable, h, 4, SIZE_MAX, cudaMemcpyHostToDevice),
                     cudaErrorInvalidValue);
    assert_int_equal(cudaMemcpyToSymbol(variable, h, 4, 0, cudaMemcpyDeviceToHost),
                     cudaErrorInvalidMemcpyDirection);
    assert_int_equal(cudaGetSymbolAddress(&p, variable + 1), cudaErrorInvalidSymbol);
    assert_int_equal(cudaGetSymbolAddress(&p, h), cudaErrorInvalidSymbol);
    assert_int_equal(cudaGetSymbolAddress(&p, NULL), cudaErrorInvalidSymbol);
    assert_int_equal(cudaLaunchKernel(variable, one, one, NULL, 0, NULL),
                     cudaErrorInvalidDeviceFunction);
    __cudaUnregisterFatBinary(m);
}

static void managed_variables_get_their_address(void **state)
{
    void **m = add_module("image"), *p = NULL;
    char *stand_in;

    __cudaRegisterManagedVar(m, &managed, NULL, "managed", 0, 64, 0, 0);
    fake.next = CUDA_ERROR_INVALID_IMAGE;
    assert_int_equal(__cudaInitModule(m), 0);
    stand_in = managed; /* the program reads and writes it whatever the driver says */
    assert_non_null(stand_in);
    assert_int_equal(stand_in[63], 0);
    stand_in[63] = 1;
    assert_int_equal(cudaGetLastError(), cudaErrorInvalidKernelImage);
    fake.next = CUDA_ERROR_NOT_SUPPORTED;
    assert_int_equal(cudaGetSymbolAddress(&p, &managed), cudaErrorNotSupported);
    assert_int_equal(__cudaInitModule(m), 1);
    assert_ptr_not_equal(managed, stand_in);
    free(stand_in);
    assert_int_equal(cudaGetSymbolAddress(&p, managed), cudaSuccess); /* as the compiler names it */
    assert_ptr_equal(p, managed);
    __cudaUnregisterFatBinary(m);
    assert_int_equal(cudaGetSymbolAddress(&p, managed), cudaErrorInvalidSymbol);
}

/* Growth, removal and reuse of the table, with readers in it. */
static atomic_bool stop;

static void *reader(void *arg)
{
    while (!atomic_load(&stop))
        if (cudaLaunchKernel(&stub[MANY - 1], one, one, NULL, 0, NULL))
            return "launch failed";
    return NULL;
}

static void many_modules_come_and_go_under_readers(void **state)
{
    void **fixed = add_module("fixed"), *said;
    pthread_t t;

    add_kernel(fixed, &stub[MANY - 1], "fixed");
    assert_int_equal(pthread_create(&t, NULL, reader, NULL), 0);
    for (int round = 0; round < 20; round++) {
        void **m = add_module("image");

        for (int i = 0; i < MANY - 1; i++)
            add_kernel(m, &stub[i], "kernel");
        for (int i = 0; i < MANY - 1; i += 997)
            assert_int_equal(cudaLaunchKernel(&stub[i], one, one, NULL, 0, NULL), cudaSuccess);
        __cudaUnregisterFatBinary(m);
        assert_int_equal(cudaLaunchKernel(&stub[0], one, one, NULL, 0, NULL),
                         cudaErrorInvalidDeviceFunction);
    }
    atomic_store(&stop, true);
    assert_int_equal(pthread_join(t, &said), 0);
    assert_null(said);
    __cudaUnregisterFatBinary(fixed);
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
        cmocka_unit_test_setup(nothing_is_loaded_before_its_use, before_each),
        cmocka_unit_test_setup(configuration_reaches_the_driver, before_each),
        cmocka_unit_test_setup(failure_to_load_is_told_at_each_launch, before_each),
        cmocka_unit_test_setup(bad_shapes_are_told_from_bad_arguments, before_each),
        cmocka_unit_test_setup(driver_handles_launch_too, before_each),
        cmocka_unit_test_setup(symbols_are_found_and_bounded, before_each),
        cmocka_unit_test_setup(managed_variables_get_their_address, before_each),
        cmocka_unit_test_setup(many_modules_come_and_go_under_readers, before_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
