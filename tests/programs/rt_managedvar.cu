/* Variables that host and device share by name; 77 where the driver cannot place them. */
#include "rt.h"

__managed__ int value = 11;
__managed__ double array[64];
__device__ int plain = 3;

__global__ void use(int by)
{
    int i = threadIdx.x;

    array[i] = i * 0.5 + plain;
    if (!i)
        value += by;
}

static void run()
{
    void *address;
    int got;

    EXPECT(value == 11);
    value = 1;
    use<<<1, 64>>>(41);
    CHECK(cudaGetLastError());
    CHECK(cudaDeviceSynchronize());
    EXPECT(value == 42);
    for (int i = 0; i < 64; i++)
        EXPECT(array[i] == i * 0.5 + 3);
    CHECK(cudaGetSymbolAddress(&address, value));
    EXPECT(address == &value);
    CHECK(cudaMemcpyFromSymbol(&got, value, sizeof(got)));
    EXPECT(got == 42);
}

/* Without a device: the program can still read and write its variables, and its calls say what is
 * wrong. */
static void run_without()
{
    EXPECT(value == 0);
    EXPECT(cudaGetLastError() == cudaErrorNoDevice);
    value = 3;
    array[63] = 1.5;
    EXPECT(value == 3 && array[63] == 1.5);
    use<<<1, 64>>>(1);
    EXPECT(cudaGetLastError() == cudaErrorNoDevice);
    FAILS(cudaErrorNoDevice, cudaDeviceSynchronize());
    EXPECT(value == 3);
}

static void run_attributes()
{
    cudaPointerAttributes a;
    const int five = 5;

    CHECK(cudaPointerGetAttributes(&a, &value));
    EXPECT(a.type == cudaMemoryTypeManaged && a.devicePointer == &value && a.hostPointer == &value);
    CHECK(cudaMemcpyToSymbol(value, &five, sizeof(five)));
    EXPECT(value == 5);
    CHECK(cudaMemset(array, 0, sizeof(array)));
    CHECK(cudaDeviceSynchronize());
    EXPECT(array[10] == 0.0);
    FAILS(cudaErrorInvalidValue, cudaFree(&value));
    value = 6;
    EXPECT(value == 6);
}

/* The next launch after a reset begins anew, with the values of the source text; on a driver
 * whatever its libraries do, which outlive contexts. */
static void run_reset()
{
    cudaDeviceProp p;

    CHECK(cudaGetDeviceProperties(&p, 0));
    if (strncmp(p.name, "softcuda", 8)) {
        CHECK(cudaDeviceReset());
        use<<<1, 32>>>(1);
        CHECK(cudaDeviceSynchronize());
        EXPECT(array[31] == 31 * 0.5 + 3);
        return;
    }
    for (int turn = 0; turn < 2; turn++) {
        value = 77;
        array[63] = -1;
        CHECK(cudaDeviceReset());
        use<<<1, 32>>>(1);
        CHECK(cudaDeviceSynchronize());
        EXPECT(value == 12);
        EXPECT(array[31] == 31 * 0.5 + 3 && array[63] == 0.0);
    }
}

int main(int argc, char **argv)
{
    void *address;
    cudaError_t e =
        argc > 1 ? cudaSuccess
                 : cudaGetSymbolAddress(&address, plain); /* loads the module, and so places them */

    if (e == cudaErrorNotSupported) {
        printf("this driver has no managed variables\n");
        return 77;
    }
    CHECK(e);
    if (argc > 1) {
        run_without();
        printf("managed variables without a device: passed\n");
        return 0;
    }
    run();
    run_attributes();
    run_reset();
    printf("managed variables: passed\n");
    return 0;
}
