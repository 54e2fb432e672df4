/*
 * cuda_load FILE...: loads each module and prints what the driver makes of it: kernels with the
 * layout of their parameters and what they need of the device, or the error that it does not load
 * with. Status 1 if any does not.
 */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

enum { KERNELS = 64 };

static void kernel_print(CUfunction f)
{
    static const struct {
        CUfunction_attribute attribute;
        const char *name;
    } numbers[] = {
        {CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, "threads"},
        {CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, "shared"},
        {CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES, "const"},
        {CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES, "local"},
        {CU_FUNC_ATTRIBUTE_NUM_REGS, "registers"},
        {CU_FUNC_ATTRIBUTE_BINARY_VERSION, "binary"},
    };
    size_t offset, size;
    const char *name;
    int value, blocks;
    CUresult r;

    CHECK(cuFuncGetName(&name, f));
    printf("  %s(", name);
    for (size_t i = 0; (r = cuFuncGetParamInfo(f, i, &offset, &size)) == CUDA_SUCCESS; i++)
        printf("%s%zu at %zu", i ? ", " : "", size, offset);
    MUST(r == CUDA_ERROR_INVALID_VALUE);
    printf(")");
    CHECK(cuFuncLoad(f)); /* a driver that loads lazily knows some of these of a loaded one only */
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        CHECK(cuFuncGetAttribute(&value, numbers[i].attribute, f));
        printf(" %s %d", numbers[i].name, value);
    }
    CHECK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, f, 128, 0));
    printf(" blocks %d\n", blocks);
}

static int by_name(const void *a, const void *b)
{
    const char *x, *y;

    CHECK(cuFuncGetName(&x, *(const CUfunction *)a));
    CHECK(cuFuncGetName(&y, *(const CUfunction *)b));
    return strcmp(x, y);
}

static bool module_print(const char *path)
{
    const char *slash = strrchr(path, '/');
    CUfunction f[KERNELS];
    unsigned count;
    CUmodule m;
    CUresult r = cuModuleLoad(&m, path);

    printf("%s: %s\n", slash ? slash + 1 : path, error_name(r));
    if (r)
        return false;
    CHECK(cuModuleGetFunctionCount(&count, m));
    MUST(count <= KERNELS);
    CHECK(cuModuleEnumerateFunctions(f, count, m));
    qsort(f, count, sizeof(f[0]), by_name);
    for (unsigned i = 0; i < count; i++)
        kernel_print(f[i]);
    CHECK(cuModuleUnload(m));
    return true;
}

int main(int argc, char **argv)
{
    bool all = true;

    MUST(argc > 1);
    open_device();
    for (int i = 1; i < argc; i++)
        all &= module_print(argv[i]);
    return !all;
}
