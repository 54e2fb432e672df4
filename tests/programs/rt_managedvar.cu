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

int main()
{
    void *address;
    cudaError_t e =
        cudaGetSymbolAddress(&address, plain); /* loads the module, and so places them */

    if (e == cudaErrorNotSupported) {
        printf("this driver has no managed variables\n");
        return 77;
    }
    CHECK(e);
    run();
    printf("managed variables: passed\n");
    return 0;
}
