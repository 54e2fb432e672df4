/* What softcuda says of registers, shared memory and occupancy, and what it launches, agree: for
 * every kernel that we have, many sizes of blocks and of dynamic shared memory. A program that
 * reckons with the one must be able to count on the other. */
/* links: obj/libsoftcuda_driver.a obj/libscptx.a obj/libcuda_api.a obj/libcuda_common.a -lzstd -llz4 -lm -lcmocka */
/* limit: 120 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "protocol/base.h"
#include "cuda/abi/alias.h"

#define OK(call) assert_int_equal((call), CUDA_SUCCESS)

enum { VALUES = 150, FILE_MAX = 1 << 20 };

static int device[CU_DEVICE_ATTRIBUTE_MAX];
static CUstream stream;

static int attribute(CUfunction f, CUfunction_attribute a)
{
    int v;
    OK(cuFuncGetAttribute(&v, a, f));
    return v;
}

static CUresult launch(CUfunction f, unsigned threads, size_t shared)
{
    static char nothing[4096]; /* parameters */
    size_t size = sizeof(nothing);
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, nothing, CU_LAUNCH_PARAM_BUFFER_SIZE, &size,
                     CU_LAUNCH_PARAM_END};
    return cuLaunchKernel(f, 1, 1, 1, threads, 1, 1, (unsigned)shared, stream, NULL, extra);
}

/* Everything that a launch checks, and no kernel runs: it is captured. */
static CUresult launch_try(CUfunction f, unsigned threads, size_t shared)
{
    CUgraph graph;
    OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    CUresult r = launch(f, threads, shared);
    OK(cuStreamEndCapture(stream, &graph));
    OK(cuGraphDestroy(graph));
    return r;
}

static CUresult launch_run(CUfunction f, unsigned threads, size_t shared)
{
    CUresult r = launch(f, threads, shared);
    OK(cuStreamSynchronize(stream)); /* nothing that was taken is refused later */
    return r;
}

typedef CUresult launch_fn(CUfunction f, unsigned threads, size_t shared);

/* The numbers by themselves. */
static void attributes_check(CUfunction f)
{
    int threads = attribute(f, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
    int registers = attribute(f, CU_FUNC_ATTRIBUTE_NUM_REGS);
    int shared = attribute(f, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES);
    int dynamic = attribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);

    assert_in_range(threads, 1, device[CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK]);
    assert_in_range(registers, 1, 255);
    assert_true(registers * threads <= device[CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK]);
    assert_true(shared >= 0 && dynamic >= 0);
    assert_true(shared + dynamic <= device[CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN]);
}

static void shape_check(CUfunction f, const char *name, unsigned threads, size_t shared,
                        launch_fn *run)
{
    int blocks = -1, most = attribute(f, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
    size_t room = 0;

    OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, f, (int)threads, shared));
    CUresult r = run(f, threads, shared), want = CUDA_SUCCESS;
    if (threads > (unsigned)device[CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK])
        want = CUDA_ERROR_INVALID_VALUE;
    else if (threads > (unsigned)most)
        want = CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
    else if (shared > (unsigned)attribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES))
        want = CUDA_ERROR_INVALID_VALUE;
    if (r != want || (blocks > 0) != (r == CUDA_SUCCESS))
        fail_msg("%s: %u threads, %zu bytes: occupancy %d, launch %d, not %d", name, threads,
                 shared, blocks, r, want);
    if (r)
        return;
    /* As many as that are in what a multiprocessor has. */
    int bytes = attribute(f, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES) + (int)shared;
    assert_true(blocks <= device[CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR]);
    assert_true(blocks * (int)threads <=
                device[CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR]);
    assert_true(blocks * bytes <= device[CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR]);
    assert_true(blocks * (int)threads * attribute(f, CU_FUNC_ATTRIBUTE_NUM_REGS) <=
                device[CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR]);
    /* And the other way round. */
    OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, f, (int)threads, 0));
    for (int b = 1; b <= blocks; b *= 2) {
        int again;
        OK(cuOccupancyAvailableDynamicSMemPerBlock(&room, f, b, (int)threads));
        OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&again, f, (int)threads, room));
        assert_true(again >= b);
    }
    assert_int_equal(cuOccupancyAvailableDynamicSMemPerBlock(&room, f, blocks + 1, (int)threads),
                     CUDA_ERROR_INVALID_VALUE);
}

static void function_check(CUfunction f, launch_fn *run)
{
    static const unsigned threads[] = {1,   31,  32,  33,  64,  96,  100, 128,  192,  255,  256,
                                       257, 384, 512, 640, 768, 992, 993, 1023, 1024, 1025, 2048};
    static const int allowed[] = {-1, 0, 100, 49152, 60000, 65536, 98304};
    int optin = device[CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN];
    int fixed = attribute(f, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES), grid, block;
    const char *name;

    OK(cuFuncGetName(&name, f));
    for (unsigned a = 0; a < XG_ARRAY_LEN(allowed); a++) {
        if (allowed[a] >= 0)
            assert_int_equal(
                cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, allowed[a]),
                allowed[a] + fixed <= optin ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
        attributes_check(f);
        size_t top = (size_t)attribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
        const size_t shared[] = {0,     1,   16,      1000,  4096,   16384,   33000,
                                 49152, top, top + 1, 99000, 200000, 1u << 31};
        for (unsigned t = 0; t < XG_ARRAY_LEN(threads); t++)
            for (unsigned s = 0; s < XG_ARRAY_LEN(shared); s++)
                shape_check(f, name, threads[t], shared[s], run);
        OK(cuOccupancyMaxPotentialBlockSize(&grid, &block, f, NULL, 0, 0));
        assert_true(grid >= device[CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT] && block > 0);
        OK(run(f, (unsigned)block, 0));
    }
}

/* --- kernels that the tests have -------------------------------------------------------------- */

static void module_check(const char *ptx, launch_fn *run)
{
    CUmodule m;
    CUfunction f[64];
    unsigned n;

    OK(cuModuleLoadData(&m, ptx));
    OK(cuModuleGetFunctionCount(&n, m));
    assert_in_range(n, 1, XG_ARRAY_LEN(f));
    OK(cuModuleEnumerateFunctions(f, n, m));
    for (unsigned i = 0; i < n; i++)
        function_check(f[i], run);
    OK(cuModuleUnload(m));
}

static void every_kernel(void **state)
{
    static char ptx[FILE_MAX];
    const char *build = getenv("XG_PLAIN_BUILD");
    char path[512];
    unsigned files = 0;
    struct dirent *e;

    (void)state;
    snprintf(path, sizeof(path), "%s/tests/kernels", build ? build : "build");
    DIR *d = opendir(path);
    assert_non_null(d);
    while ((e = readdir(d))) {
        size_t len = strlen(e->d_name);
        if (len < 4 || strcmp(e->d_name + len - 4, ".ptx"))
            continue;
        snprintf(path, sizeof(path), "%s/tests/kernels/%s", build ? build : "build", e->d_name);
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        ptx[fread(ptx, 1, sizeof(ptx) - 1, file)] = 0;
        fclose(file);
        module_check(ptx, launch_try);
        files++;
    }
    closedir(d);
    assert_true(files >= 10);
}

/* --- kernels that ask for much ---------------------------------------------------------------- */

/* Holds VALUES values at a time; declares what `tuning` says, and `shared` bytes of shared memory.
 */
static void hungry(char *out, size_t size, const char *tuning, unsigned shared, unsigned local)
{
    size_t n = (size_t)snprintf(
        out, size,
        ".version 7.0\n.target sm_70\n.address_size 64\n"
        ".visible .entry k(.param .u64 o) %s {\n.reg .b32 %%r<%d>;.reg .b64 %%d;.reg .pred %%p;\n"
        ".shared .align 4 .b8 s[%u];.local .align 4 .b8 l[%u];\n"
        "ld.param.u64 %%d,[o];setp.eq.u64 %%p,%%d,0;@%%p ret;\nst.shared.u8 [s],1;st.local.u8 "
        "[l],1;\n",
        tuning, VALUES, shared, local);
    for (unsigned i = 0; i < VALUES; i++)
        n += (size_t)snprintf(out + n, size - n, "ld.global.u32 %%r%u,[%%d+%u];", i, i * 4);
    for (unsigned i = 0; i < VALUES; i++)
        n += (size_t)snprintf(out + n, size - n, "st.global.u32 [%%d+%u],%%r%u;", i * 4,
                              VALUES - 1 - i);
    snprintf(out + n, size - n, "ret;}\n");
}

static void hungry_kernels(void **state)
{
    static char ptx[FILE_MAX];
    static const char *const tuning[] = {"",
                                         ".maxntid 1024,1,1",
                                         ".maxntid 256",
                                         ".maxntid 10,10,1",
                                         ".maxntid 512 .minnctapersm 4",
                                         ".maxntid 512 .minnctapersm 40",
                                         ".maxnreg 40",
                                         ".reqntid 128",
                                         ".maxntid 128 .maxnreg 200"};
    static const unsigned shared[] = {1, 20, 33000, 49152};

    (void)state;
    for (unsigned t = 0; t < XG_ARRAY_LEN(tuning); t++)
        for (unsigned s = 0; s < XG_ARRAY_LEN(shared); s++) {
            hungry(ptx, sizeof(ptx), tuning[t], shared[s], s == 1 ? 100000 : 16);
            module_check(ptx, launch_run);
        }
}

/* The count of registers is what lives at one time, within what was declared. */
static void registers(void **state)
{
    static char ptx[FILE_MAX];
    static const struct {
        const char *tuning;
        int least, most;
    } cases[] = {
        {".maxntid 256", VALUES, VALUES + 10},
        {".maxntid 1024", 64, 64},
        {"", 64, 64},
        {".maxntid 512 .minnctapersm 4", 32, 32},
        {".maxntid 128 .maxnreg 100", 90, 100},
    };
    CUmodule m;
    CUfunction f;

    (void)state;
    for (unsigned c = 0; c < XG_ARRAY_LEN(cases); c++) {
        hungry(ptx, sizeof(ptx), cases[c].tuning, 4, 4);
        OK(cuModuleLoadData(&m, ptx));
        OK(cuModuleGetFunction(&f, m, "k"));
        assert_in_range(attribute(f, CU_FUNC_ATTRIBUTE_NUM_REGS), cases[c].least, cases[c].most);
        OK(cuModuleUnload(m));
    }
}

/* As many blocks as occupancy says are resident together. */
static void cooperative(void **state)
{
    static char ptx[FILE_MAX];
    CUmodule m;
    CUfunction f;
    CUdeviceptr none = 0;
    void *params[] = {&none};

    (void)state;
    for (unsigned local = 16; local <= 500000; local *= 30) {
        hungry(ptx, sizeof(ptx), "", 1000, local);
        OK(cuModuleLoadData(&m, ptx));
        OK(cuModuleGetFunction(&f, m, "k"));
        for (unsigned threads = 32; threads <= 1024; threads *= 4) {
            int blocks;
            OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, f, (int)threads, 2000));
            unsigned grid = (unsigned)(blocks * device[CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT]);
            OK(cuLaunchCooperativeKernel(f, grid, 1, 1, threads, 1, 1, 2000, stream, params));
            OK(cuStreamSynchronize(stream));
            assert_int_equal(
                cuLaunchCooperativeKernel(f, grid + 1, 1, 1, threads, 1, 1, 2000, stream, params),
                CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
        }
        OK(cuModuleUnload(m));
    }
}

static int setup(void **state)
{
    CUcontext ctx;

    (void)state;
    setenv("SOFTCUDA_THREADS", "3", 1);
    setenv("SOFTCUDA_MEMORY", "256M", 1);
    OK(cuInit(0));
    OK(cuDevicePrimaryCtxRetain(&ctx, 0));
    OK(cuCtxSetCurrent(ctx));
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    for (int a = 1; a < CU_DEVICE_ATTRIBUTE_MAX; a++)
        OK(cuDeviceGetAttribute(&device[a], a, 0));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kernel),
        cmocka_unit_test(hungry_kernels),
        cmocka_unit_test(registers),
        cmocka_unit_test(cooperative),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
