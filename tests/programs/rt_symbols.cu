/* Variables of the device: plain, constant, initialized, and copies to and from them. */
#include "rt.h"

__device__ int counter = 5;
__device__ float table[256];
__constant__ int factors[4] = {1, 2, 3, 4};
__device__ int offset = 11;

__global__ void use()
{
    int i = threadIdx.x;

    table[i] = (float)(i * factors[i % 4] + offset);
    if (!i)
        counter += 1;
}

int main()
{
    float got[256];
    int value, new_factors[4] = {10, 20, 30, 40};
    void *address;
    size_t size;

    CHECK(cudaMemcpyFromSymbol(&value, counter, sizeof(value)));
    EXPECT(value == 5);
    CHECK(cudaGetSymbolSize(&size, table));
    EXPECT(size == sizeof(table));
    CHECK(cudaGetSymbolAddress(&address, factors));
    EXPECT(address != nullptr);

    use<<<1, 256>>>();
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaMemcpyFromSymbol(got, table, sizeof(got)));
    for (int i = 0; i < 256; i++)
        EXPECT(got[i] == (float)(i * (i % 4 + 1) + 11));

    CHECK(cudaMemcpyToSymbol(factors, new_factors, sizeof(new_factors)));
    value = 1;
    CHECK(cudaMemcpyToSymbol(offset, &value, sizeof(value)));
    use<<<1, 256>>>();
    CHECK(cudaMemcpyFromSymbol(got, table, 8 * sizeof(float), 4 * sizeof(float)));
    for (int i = 0; i < 8; i++)
        EXPECT(got[i] == (float)((i + 4) * 10 * (i % 4 + 1) + 1));

    value = 70;
    CHECK(cudaMemcpyToSymbolAsync(counter, &value, sizeof(value), 0, cudaMemcpyHostToDevice, 0));
    use<<<1, 256>>>();
    CHECK(cudaGetSymbolAddress(&address, counter));
    CHECK(cudaMemcpy(&value, address, sizeof(value), cudaMemcpyDeviceToHost));
    EXPECT(value == 71);

    FAILS(cudaErrorInvalidSymbol, cudaGetSymbolAddress(&address, (const void *)&size));
    FAILS(cudaErrorInvalidValue, cudaMemcpyToSymbol(counter, new_factors, 8));
    FAILS(cudaErrorInvalidValue, cudaMemcpyToSymbol(counter, new_factors, 4, 1));
    FAILS(cudaErrorInvalidMemcpyDirection,
          cudaMemcpyToSymbol(counter, &value, 4, 0, cudaMemcpyDeviceToHost));
    printf("symbols: passed\n");
    return 0;
}
