/* Code that the program loads itself, the driver's entry points, and the two APIs side by side. */
#include "rt.h"
#include <cuda.h>
#include <string.h>

static const char ptx[] = R"(
.version 6.4
.target sm_70
.address_size 64

.visible .global .align 4 .u32 lib_value = 5;

.visible .entry lib_add(.param .u64 p, .param .u32 v)
{
    .reg .b32 %r<4>;
    .reg .b64 %rd<3>;
    ld.param.u64 %rd1, [p];
    ld.param.u32 %r1, [v];
    cvta.to.global.u64 %rd2, %rd1;
    ld.global.u32 %r2, [lib_value];
    add.u32 %r3, %r1, %r2;
    st.global.u32 [%rd2], %r3;
    ret;
}
)";

__global__ void twice(int *p)
{
    *p *= 2;
}

static void run_library()
{
    cudaLibrary_t library;
    cudaKernel_t kernel, again;
    unsigned int count;
    int *d, h, v = 37;
    void *args[] = {&d, &v}, *global;
    size_t size;

    CHECK(cudaMalloc(&d, sizeof(int)));
    CHECK(cudaLibraryLoadData(&library, ptx, nullptr, nullptr, 0, nullptr, nullptr, 0));
    CHECK(cudaLibraryGetKernelCount(&count, library));
    EXPECT(count == 1);
    CHECK(cudaLibraryEnumerateKernels(&again, 1, library));
    CHECK(cudaLibraryGetKernel(&kernel, library, "lib_add"));
    EXPECT(kernel == again);
    CHECK(cudaLaunchKernel((const void *)kernel, dim3(1), dim3(1), args, 0, 0));
    CHECK(cudaMemcpy(&h, d, sizeof(h), cudaMemcpyDeviceToHost));
    EXPECT(h == 42);
    CHECK(cudaLibraryGetGlobal(&global, &size, library, "lib_value"));
    EXPECT(size == 4);
    v = 100;
    CHECK(cudaMemcpy(global, &v, 4, cudaMemcpyHostToDevice));
    CHECK(cudaLaunchKernel((const void *)kernel, dim3(1), dim3(1), args, 0, 0));
    CHECK(cudaMemcpy(&h, d, sizeof(h), cudaMemcpyDeviceToHost));
    EXPECT(h == 200);
    FAILS(cudaErrorSymbolNotFound, cudaLibraryGetKernel(&kernel, library, "no_such"));
    CHECK(cudaLibraryUnload(library));
    FAILS(cudaErrorInvalidDeviceFunction,
          cudaLaunchKernel((const void *)again, dim3(1), dim3(1), args, 0, 0));
    CHECK(cudaFree(d));
}

/* A context that the program made through the driver API is the one that the runtime uses. */
static void run_together()
{
    CUresult (*alloc)(CUdeviceptr *, size_t) = nullptr, (*release)(CUdeviceptr) = nullptr;
    CUresult (*current)(CUcontext *) = nullptr, (*set)(CUcontext) = nullptr;
    cudaDriverEntryPointQueryResult status;
    CUcontext ctx = nullptr;
    CUdeviceptr p;
    void *nothing = &p;
    int v = 21;

    CHECK(cudaGetDriverEntryPointByVersion("cuMemAlloc", (void **)&alloc, 12000, 0, &status));
    EXPECT(status == cudaDriverEntryPointSuccess && alloc);
    CHECK(cudaGetDriverEntryPointByVersion("cuMemFree", (void **)&release, 12000, 0, &status));
    CHECK(
        cudaGetDriverEntryPointByVersion("cuCtxGetCurrent", (void **)&current, 12000, 0, &status));
    CHECK(cudaGetDriverEntryPointByVersion("cuCtxSetCurrent", (void **)&set, 12000, 0, &status));
    CHECK(cudaGetDriverEntryPointByVersion("cuNoSuchThing", &nothing, 12000, 0, &status));
    EXPECT(status == cudaDriverEntryPointSymbolNotFound && !nothing);

    CHECK(cudaFree(nullptr));
    EXPECT(current(&ctx) == CUDA_SUCCESS && ctx);
    EXPECT(alloc(&p, 4) == CUDA_SUCCESS);
    CHECK(cudaMemcpy((void *)p, &v, 4, cudaMemcpyHostToDevice));
    twice<<<1, 1>>>((int *)p);
    CHECK(cudaGetLastError());
    CHECK(cudaMemcpy(&v, (void *)p, 4, cudaMemcpyDeviceToHost));
    EXPECT(v == 42);
    EXPECT(set(nullptr) == CUDA_SUCCESS); /* the runtime finds its context again */
    CHECK(cudaMemcpy(&v, (void *)p, 4, cudaMemcpyDeviceToHost));
    EXPECT(release(p) == CUDA_SUCCESS);
}

int main()
{
    run_library();
    run_together();
    printf("libraries and entry points: passed\n");
    return 0;
}
