/*
 * cuda_module: modules and libraries from files, text and fatbins, compiler logs, variables,
 * functions' attributes, parameter layouts, occupancy, and images that cannot be loaded.
 */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

static const char text[] = ".version 6.4\n.target sm_70\n.address_size 64\n"
                           ".visible .global .align 4 .u32 counter = 7;\n"
                           ".visible .const .align 8 .u64 table[2] = {11, 22};\n"
                           ".visible .entry bump(.param .u32 by)\n{\n"
                           "    .reg .b32 %r<4>;\n"
                           "    ld.param.u32 %r1, [by];\n"
                           "    atom.global.add.u32 %r2, [counter], %r1;\n"
                           "    ret;\n}\n"
                           ".visible .entry mixed(.param .u8 a, .param .u64 b, .param .u16 c, "
                           ".param .align 16 .b8 d[20])\n{\n"
                           "    ret;\n}\n";

static char *slurp(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    char *data = calloc(1, 1 << 20);

    if (!f)
        return NULL;
    *size = fread(data, 1, (1 << 20) - 1, f);
    fclose(f);
    return data;
}

static void launch(CUfunction f, uint32_t by)
{
    void *params[] = {&by};

    CHECK(cuLaunchKernel(f, 2, 1, 1, 8, 1, 1, 0, NULL, params, NULL));
}

static void from_text(void)
{
    static const struct {
        size_t offset, size;
    } layout[] = {{0, 1}, {8, 8}, {16, 2}, {32, 20}};
    CUmodule m, other;
    CUfunction bump, mixed, back;
    CUdeviceptr p;
    size_t size, offset;
    uint32_t v;
    uint64_t table[2];
    unsigned count;
    const char *name;
    int value, grid, block;

    CHECK(cuModuleLoadData(&m, text));
    CHECK(cuModuleLoadData(&other, text)); /* has variables of its own */
    CHECK(cuModuleGetFunction(&bump, m, "bump"));
    CHECK(cuModuleGetFunction(&mixed, m, "mixed"));
    CHECK(cuModuleGetGlobal(&p, &size, m, "counter"));
    MUST(size == 4);
    launch(bump, 3);
    CHECK(cuMemcpyDtoH(&v, p, 4));
    printf("counter: %u\n", v);
    MUST(v == 7 + 16 * 3);
    CHECK(cuModuleGetGlobal(&p, NULL, other, "counter"));
    CHECK(cuMemcpyDtoH(&v, p, 4));
    MUST(v == 7);
    CHECK(cuModuleGetGlobal(&p, &size, m, "table"));
    MUST(size == 16);
    CHECK(cuMemcpyDtoH(table, p, 16));
    MUST(table[0] == 11 && table[1] == 22);

    for (unsigned i = 0; i < 4; i++) {
        CHECK(cuFuncGetParamInfo(mixed, i, &offset, &size));
        printf("parameter %u: %zu bytes at %zu\n", i, size, offset);
        MUST(offset == layout[i].offset && size == layout[i].size);
    }
    EXPECT(cuFuncGetParamInfo(mixed, 4, &offset, &size), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuFuncGetName(&name, mixed));
    MUST(!strcmp(name, "mixed"));
    CHECK(cuFuncGetModule(&other, mixed));
    MUST(other == m);
    CHECK(cuModuleGetFunctionCount(&count, m));
    MUST(count == 2);
    CHECK(cuModuleEnumerateFunctions(&back, 1, m));
    MUST(back == bump || back == mixed);
    CHECK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, bump));
    MUST(value >= 32 && value <= 1024);
    CHECK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_PTX_VERSION, bump));
    printf("PTX for %d\n", value);
    CHECK(cuFuncSetAttribute(bump, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 60000));
    EXPECT(cuFuncSetAttribute(bump, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 1 << 28),
           CUDA_ERROR_INVALID_VALUE);
    CHECK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&value, bump, 128, 0));
    MUST(value > 0);
    CHECK(cuOccupancyMaxPotentialBlockSize(&grid, &block, bump, NULL, 0, 0));
    MUST(grid > 0 && block >= 32);
    CHECK(cuModuleUnload(m));
}

static void libraries(void)
{
    CUlibrary l;
    CUkernel k, all[2];
    CUfunction f;
    CUmodule m;
    CUdeviceptr p;
    const char *name;
    unsigned count;
    uint32_t v;

    CHECK(cuLibraryLoadData(&l, text, NULL, NULL, 0, NULL, NULL, 0));
    CHECK(cuLibraryGetKernelCount(&count, l));
    MUST(count == 2);
    CHECK(cuLibraryEnumerateKernels(all, 2, l));
    CHECK(cuLibraryGetKernel(&k, l, "bump"));
    MUST(k == all[0] || k == all[1]);
    CHECK(cuKernelGetName(&name, k));
    MUST(!strcmp(name, "bump"));
    launch((CUfunction)k, 1); /* a kernel serves as a function */
    CHECK(cuKernelGetFunction(&f, k));
    launch(f, 1);
    CHECK(cuLibraryGetGlobal(&p, NULL, l, "counter"));
    CHECK(cuMemcpyDtoH(&v, p, 4));
    printf("library's counter: %u\n", v);
    MUST(v == 7 + 32);
    CHECK(cuLibraryGetModule(&m, l));
    CHECK(cuModuleGetFunction(&f, m, "bump"));
    EXPECT(cuLibraryGetKernel(&k, l, "no_such_kernel"), CUDA_ERROR_NOT_FOUND);
    CHECK(cuLibraryUnload(l));
    if (on_softcuda())
        EXPECT(cuKernelGetFunction(&f, k), CUDA_ERROR_INVALID_HANDLE);
}

/* What a driver cannot run costs the kernel that has it; the others of its file are as good as
 * ever. */
static void one_bad_kernel(void)
{
    static const char ptx[] =
        ".version 6.4\n.target sm_70\n.address_size 64\n"
        ".visible .entry bad(.param .u32 x)\n{\n    no.such.instruction [x, {1}];\n}\n"
        ".func helper()\n{\n    another.one;\n}\n"
        ".visible .entry caller()\n{\n    call helper;\n    ret;\n}\n"
        ".visible .global .u32 sum;\n"
        ".visible .entry good(.param .u32 by)\n{\n    .reg .b32 %r<2>;\n"
        "    ld.param.u32 %r0, [by];\n    red.global.add.u32 [sum], %r0;\n    ret;\n}\n";
    char log[1000] = "";
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, (void *)sizeof(log)};
    CUmodule m;
    CUlibrary l;
    CUfunction f = NULL, all[3];
    CUkernel k = NULL, kernels[3];
    CUdeviceptr p;
    CUstream s;
    CUgraph graph;
    const char *name;
    unsigned count, bad = 0;
    int value;
    uint32_t v;

    CUresult r = cuModuleLoadDataEx(&m, ptx, 2, options, values);
    if (r == CUDA_ERROR_INVALID_PTX) /* a compiler that must know every word */
        return;
    CHECK(r);
    MUST(strstr(log, "'bad'") && strstr(log, "line 6") && strstr(log, "no.such.instruction"));
    MUST(strstr(log, "'caller'") && strstr(log, "another.one") && !strstr(log, "'good'"));
    MUST((size_t)values[1] == strlen(log) + 1);
    EXPECT(cuModuleGetFunction(&f, m, "bad"), CUDA_ERROR_NOT_SUPPORTED);
    EXPECT(cuModuleGetFunction(&f, m, "caller"), CUDA_ERROR_NOT_SUPPORTED);
    EXPECT(cuModuleGetFunction(&f, m, "missing"), CUDA_ERROR_NOT_FOUND);
    MUST(!f);
    CHECK(cuModuleGetFunction(&f, m, "good"));
    launch(f, 2);

    /* They are in the file, and can be looked at, not used. */
    CHECK(cuModuleGetFunctionCount(&count, m));
    MUST(count == 3);
    CHECK(cuModuleEnumerateFunctions(all, 3, m));
    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    for (unsigned i = 0; i < 3; i++) {
        uint32_t by = 1;
        void *params[] = {&by};
        CHECK(cuFuncGetName(&name, all[i]));
        if (!strcmp(name, "good"))
            continue;
        bad++;
        EXPECT(cuLaunchKernel(all[i], 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL),
               CUDA_ERROR_NOT_SUPPORTED);
        EXPECT(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_NUM_REGS, all[i]),
               CUDA_ERROR_NOT_SUPPORTED);
        EXPECT(cuFuncLoad(all[i]), CUDA_ERROR_NOT_SUPPORTED);
        EXPECT(cuOccupancyMaxActiveBlocksPerMultiprocessor(&value, all[i], 32, 0),
               CUDA_ERROR_NOT_SUPPORTED);
        CHECK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
        EXPECT(cuLaunchKernel(all[i], 1, 1, 1, 1, 1, 1, 0, s, params, NULL),
               CUDA_ERROR_NOT_SUPPORTED);
        CHECK(cuStreamEndCapture(s, &graph));
        CHECK(cuGraphDestroy(graph));
    }
    MUST(bad == 2);
    launch(f, 2);
    CHECK(cuModuleGetGlobal(&p, NULL, m, "sum"));
    CHECK(cuMemcpyDtoH(&v, p, 4));
    MUST(v == 64);
    CHECK(cuStreamDestroy(s));
    CHECK(cuModuleUnload(m));

    char short_log[10] = "";
    void *short_values[] = {short_log, (void *)sizeof(short_log)};
    CHECK(cuLibraryLoadData(&l, ptx, options, short_values, 2, NULL, NULL, 0));
    MUST(!strncmp(short_log, log, sizeof(short_log) - 1) &&
         (size_t)short_values[1] == sizeof(short_log));
    EXPECT(cuLibraryGetKernel(&k, l, "bad"), CUDA_ERROR_NOT_SUPPORTED);
    CHECK(cuLibraryGetKernelCount(&count, l));
    MUST(count == 3 && !k);
    CHECK(cuLibraryEnumerateKernels(kernels, 3, l));
    for (unsigned i = 0; i < 3; i++) {
        CHECK(cuKernelGetName(&name, kernels[i]));
        EXPECT(cuKernelGetFunction(&f, kernels[i]),
               strcmp(name, "good") ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS);
        EXPECT(cuKernelGetAttribute(&value, CU_FUNC_ATTRIBUTE_NUM_REGS, kernels[i], 0),
               strcmp(name, "good") ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS);
    }
    CHECK(cuLibraryGetKernel(&k, l, "good"));
    launch((CUfunction)k, 1);
    CHECK(cuCtxSynchronize());
    CHECK(cuLibraryUnload(l));
    puts("one bad kernel: ok");
}

/* "Amount of log buffer filled": drivers may count the NUL or not; they write the option's low
 * half. */
static bool is_filled(const char *log, const void *size)
{
    size_t n = (unsigned)(uintptr_t)size, length = strlen(log);

    if (n != length && n != length + 1)
        fprintf(stderr, "a log of %zu characters is said to be of %zu: %s\n", length, n, log);
    return n == length || n == length + 1;
}

static void bad_images(void)
{
    CUmodule m = NULL;
    char log[1000] = "";
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, (void *)sizeof(log)};

    EXPECT(cuModuleLoadDataEx(&m,
                              ".version 6.4\n.target sm_70\n.address_size 64\n.visible .entry "
                              "k()\n{\nthis is no ptx;\n}\n",
                              2, options, values),
           CUDA_ERROR_INVALID_PTX);
    MUST(log[0] && is_filled(log, values[1]));
    CUlibrary l;
    char again[1000] = "";
    void *more[] = {again, (void *)sizeof(again)};
    CUresult r = cuLibraryLoadData(&l,
                                   ".version 6.4\n.target sm_70\n.address_size 64\n.visible .entry "
                                   "k()\n{\nthis is no ptx;\n}\n",
                                   options, more, 2, NULL, NULL, 0);
    if (r == CUDA_SUCCESS && !on_softcuda()) { /* a driver may compile what is asked for only */
        MUST(cuLibraryGetModule(&m, l) != CUDA_SUCCESS);
        CHECK(cuLibraryUnload(l));
    } else {
        EXPECT(r, CUDA_ERROR_INVALID_PTX);
        MUST(!strcmp(again, log) && more[1] == values[1]);
    }
    /* Nothing to say is nothing. */
    CUjit_option both[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
                           CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES,
                           CU_JIT_WALL_TIME};
    void *quiet[] = {log, (void *)sizeof(log), again, (void *)sizeof(again), (void *)-1};
    float took;
    CHECK(cuModuleLoadDataEx(&m, text, 5, both, quiet));
    memcpy(&took, &quiet[4], sizeof(took));
    MUST(!log[0] && is_filled(log, quiet[1]) && took >= 0 && took < 1e6f);
    CHECK(cuModuleUnload(m));
    EXPECT(cuModuleLoad(&m, "/no/such/file"), CUDA_ERROR_FILE_NOT_FOUND);
    EXPECT(cuModuleLoadData(&m, NULL), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuModuleLoadData(NULL, text), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuModuleLoadData(&m, "\1\2\3\4 nonsense"), CUDA_ERROR_INVALID_IMAGE);
    puts("bad images: refused");
}

/* nvcc's container; only where the build found nvcc. */
static void fatbin(void)
{
    size_t size;
    char *image = slurp(kernel_path("vectoradd.fatbin"), &size);
    CUmodule m;
    CUfunction f;
    float a[100], c[100];
    int n = 100;

    if (!image)
        return;
    CHECK(cuModuleLoadFatBinary(&m, image));
    memset(image, 0, size); /* loaded is loaded */
    free(image);
    CHECK(cuModuleGetFunction(&f, m, "vectoradd"));
    for (int i = 0; i < n; i++)
        a[i] = (float)i;
    CUdeviceptr p = upload(a, sizeof(a)), q = upload(NULL, sizeof(c));
    void *params[] = {&p, &p, &q, &n};
    CHECK(cuLaunchKernel(f, 1, 1, 1, 128, 1, 1, 0, NULL, params, NULL));
    CHECK(cuMemcpyDtoH(c, q, sizeof(c)));
    for (int i = 0; i < n; i++)
        MUST(c[i] == 2.0f * a[i]);
    puts("fatbin: ok");
}

static void linker(void)
{
    CUlinkState l;
    CUmodule m;
    void *image;
    size_t size;

    CHECK(cuLinkCreate(0, NULL, NULL, &l));
    CHECK(cuLinkAddData(l, CU_JIT_INPUT_PTX, (void *)text, sizeof(text), "text", 0, NULL, NULL));
    CHECK(cuLinkComplete(l, &image, &size));
    MUST(size > 0);
    CHECK(cuModuleLoadData(&m, image));
    CHECK(cuLinkDestroy(l));
    CHECK(cuModuleUnload(m));
    puts("linker: ok");
}

/* Two texts as somebody makes them who wants the second to be taken for the first: of one length,
 * and equal under the sum by which images used to be told apart. */
#define TWIN(line)                                                                                 \
    ".version 6.4\n.target sm_70\n.address_size 64\n.visible .entry put(.param .u64 to)\n{\n"      \
    "    .reg .b32 %r;\n    .reg .b64 %d;\n    ld.param.u64 %d, [to];\n                   "        \
    "mov.b32 %r, " line "\n    st.global.u32 [%d], %r;\n    ret;\n}\n"

static void twins(void)
{
    static const char *const twin[] = {TWIN("1;//FEKdgva7ph9l@!!!@!!@!!@@!!#!"),
                                       TWIN("2;//woRoWD8s7bA1nO2^glF{!gg~Ho-f")};

    for (uint32_t i = 0; i < 2; i++) {
        CUdeviceptr p;
        CUmodule m;
        CUfunction put;
        uint32_t v;
        void *params[] = {&p};

        CHECK(cuMemAlloc(&p, 4));
        CHECK(cuModuleLoadData(&m, twin[i]));
        CHECK(cuModuleGetFunction(&put, m, "put"));
        CHECK(cuLaunchKernel(put, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
        CHECK(cuMemcpyDtoH(&v, p, 4));
        MUST(v == i + 1);
        CHECK(cuModuleUnload(m));
        CHECK(cuMemFree(p));
    }
    puts("twins: ok");
}

int main(void)
{
    open_device();
    from_text();
    twins();
    libraries();
    linker();
    one_bad_kernel();
    bad_images();
    fatbin();
    return 0;
}
