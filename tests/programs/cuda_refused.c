/*
 * cuda_refused: a kernel that softcuda cannot run, in a module and in a library, beside one that it
 * can; what SOFTCUDA_VERBOSE says of it comes between the lines.
 */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

static const char image[] = ".version 7.8\n.target sm_90\n.address_size 64\n"
                            ".visible .entry yes()\n{\n    ret;\n}\n"
                            ".visible .entry no()\n{\n    wgmma.fence.sync.aligned;\n    ret;\n}\n";
static const char nonsense[] = ".version 7.8\n.target sm_90\n.address_size 64\n"
                               ".extern .global .align 4 .u32 nowhere;\n"
                               ".visible .entry k()\n{\n    .reg .b32 %r<2>;\n"
                               "    ld.global.u32 %r1, [nowhere];\n    ret;\n}\n";

static void tell(const char *what, CUresult r)
{
    fflush(stderr);
    printf("%s: %s\n", what, error_name(r));
    fflush(stdout);
}

int main(void)
{
    CUlibrary l;
    CUkernel k[2];
    CUfunction f, all[2];
    CUcontext c;
    CUmodule m;
    int n;

    open_device();
    tell("a module", cuModuleLoadData(&m, image));
    tell("cuModuleGetFunction, yes", cuModuleGetFunction(&f, m, "yes"));
    tell("cuModuleGetFunction, no", cuModuleGetFunction(&f, m, "no"));
    CHECK(cuModuleEnumerateFunctions(all, 2, m));
    tell("cuFuncGetAttribute, no", cuFuncGetAttribute(&n, 0, all[1]));
    tell("cuLaunchKernel, no", cuLaunchKernel(all[1], 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    tell("a module that does not load", cuModuleLoadData(&m, nonsense));
    tell("a library", cuLibraryLoadData(&l, image, NULL, NULL, 0, NULL, NULL, 0));
    CHECK(cuLibraryEnumerateKernels(k, 2, l));
    tell("cuKernelGetFunction, no", cuKernelGetFunction(&f, k[1]));
    CHECK(cuCtxCreate_v2(&c, 0, 0));
    tell("cuKernelGetFunction, yes, elsewhere", cuKernelGetFunction(&f, k[0]));
    tell("cuKernelGetFunction, no, elsewhere", cuKernelGetFunction(&f, k[1]));
    tell("a library that does not load",
         cuLibraryLoadData(&l, nonsense, NULL, NULL, 0, NULL, NULL, 0));
    return 0;
}
