/* Arrays and textures; 77 where the driver has none. */
#include "rt.h"

__global__ void fetch(cudaTextureObject_t t, float *out, int w, int h)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x < w && y < h)
        out[y * w + x] = tex2D<float>(t, x + 0.5f, y + 0.5f);
}

int main()
{
    const int w = 24, h = 10;
    float in[h][w], back[h][w], *out;
    cudaChannelFormatDesc f = cudaCreateChannelDesc<float>(), g;
    cudaArray_t array;
    cudaExtent extent;
    unsigned int flags;
    cudaError_t e = cudaMallocArray(&array, &f, w, h);
    cudaResourceDesc r = {};
    cudaTextureDesc t = {};
    cudaTextureObject_t texture;

    if (e == cudaErrorNotSupported) {
        printf("this driver has no arrays\n");
        return 77;
    }
    CHECK(e);
    for (int i = 0; i < w * h; i++)
        in[i / w][i % w] = (float)i;
    CHECK(cudaArrayGetInfo(&g, &extent, &flags, array));
    EXPECT(g.x == 32 && g.f == cudaChannelFormatKindFloat && extent.width == w &&
           extent.height == h);
    CHECK(cudaMemcpy2DToArray(array, 0, 0, in, sizeof(in[0]), sizeof(in[0]), h,
                              cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy2DFromArray(back, sizeof(back[0]), array, 0, 0, sizeof(back[0]), h,
                                cudaMemcpyDeviceToHost));
    for (int i = 0; i < w * h; i++)
        EXPECT(back[i / w][i % w] == (float)i);
    r.resType = cudaResourceTypeArray;
    r.res.array.array = array;
    t.addressMode[0] = t.addressMode[1] = cudaAddressModeClamp;
    e = cudaCreateTextureObject(&texture, &r, &t, nullptr);
    if (e == cudaErrorNotSupported) {
        printf("this driver has no textures\n");
        return 77;
    }
    CHECK(e);
    CHECK(cudaMalloc(&out, sizeof(in)));
    fetch<<<dim3(2, 1), dim3(16, 16)>>>(texture, out, w, h);
    CHECK(cudaMemcpy(back, out, sizeof(back), cudaMemcpyDeviceToHost));
    for (int i = 0; i < w * h; i++)
        EXPECT(back[i / w][i % w] == (float)i);
    CHECK(cudaDestroyTextureObject(texture));
    CHECK(cudaFreeArray(array));
    CHECK(cudaFree(out));
    printf("textures: passed\n");
    return 0;
}
