/*
 * cuda_table_module: modules, functions, variables, libraries, the linker; what a launch does with
 * its shape, its parameters and its shared memory; occupancy.
 */
/* links: -lcuda */
#include "tests/programs/cuda_table.h"

static const char image[] =
    ".version 6.4\n.target sm_70\n.address_size 64\n"
    ".visible .global .align 4 .u32 var = 7;\n"
    ".visible .global .align 8 .b8 room[100];\n"
    ".visible .const .align 4 .u32 fixed[2] = {21, 22};\n"
    /* Each thread writes its number, counted over the whole grid, where it is told. */
    ".visible .entry shape(.param .u64 to)\n{\n"
    "    .reg .b32 %r<20>;\n    .reg .b64 %d<4>;\n"
    "    ld.param.u64 %d1, [to];\n"
    "    mov.u32 %r1, %ctaid.z;\n    mov.u32 %r2, %nctaid.y;\n    mov.u32 %r3, %ctaid.y;\n"
    "    mad.lo.u32 %r1, %r1, %r2, %r3;\n"
    "    mov.u32 %r2, %nctaid.x;\n    mov.u32 %r3, %ctaid.x;\n"
    "    mad.lo.u32 %r1, %r1, %r2, %r3;\n"
    "    mov.u32 %r2, %ntid.z;\n    mov.u32 %r3, %tid.z;\n    mad.lo.u32 %r1, %r1, %r2, %r3;\n"
    "    mov.u32 %r2, %ntid.y;\n    mov.u32 %r3, %tid.y;\n    mad.lo.u32 %r1, %r1, %r2, %r3;\n"
    "    mov.u32 %r2, %ntid.x;\n    mov.u32 %r3, %tid.x;\n    mad.lo.u32 %r1, %r1, %r2, %r3;\n"
    "    mul.wide.u32 %d2, %r1, 4;\n    add.u64 %d3, %d1, %d2;\n"
    "    st.global.u32 [%d3], %r1;\n    ret;\n}\n"
    /* Writes its parameters behind one another: 1, 8, 2 and 4 bytes wide. */
    ".visible .entry mixed(.param .u8 a, .param .u64 to, .param .u16 c, .param .f32 d)\n{\n"
    "    .reg .b32 %r<4>;\n    .reg .b64 %d<2>;\n    .reg .f32 %f<2>;\n    .reg .b16 %h<2>;\n"
    "    ld.param.u8 %r1, [a];\n    ld.param.u64 %d1, [to];\n    ld.param.u16 %r2, [c];\n"
    "    ld.param.f32 %f1, [d];\n    st.global.u32 [%d1], %r1;\n    st.global.u32 [%d1+4], %r2;\n"
    "    st.global.f32 [%d1+8], %f1;\n    ret;\n}\n"
    /* The last word of as much shared memory as the launch gave, and 64 bytes of its own. */
    ".extern .shared .align 16 .b8 given[];\n"
    ".visible .entry shared(.param .u64 to, .param .u32 at)\n{\n"
    "    .shared .align 4 .b8 own[64];\n"
    "    .reg .b32 %r<6>;\n    .reg .b64 %d<2>;\n"
    "    ld.param.u64 %d1, [to];\n    ld.param.u32 %r1, [at];\n"
    "    mov.u32 %r2, given;\n    add.u32 %r2, %r2, %r1;\n    mov.u32 %r3, 4711;\n"
    "    st.shared.u32 [own+60], %r1;\n    st.shared.u32 [%r2], %r3;\n"
    "    ld.shared.u32 %r4, [%r2];\n    ld.shared.u32 %r5, [own+60];\n"
    "    st.global.u32 [%d1], %r4;\n    st.global.u32 [%d1+4], %r5;\n    ret;\n}\n"
    ".visible .entry few()\n.maxntid 64, 1, 1\n{\n    ret;\n}\n"
    ".visible .entry bump()\n{\n    .reg .b32 %r<2>;\n"
    "    atom.global.add.u32 %r1, [var], 1;\n    ret;\n}\n";

static const char shown[] = ".version 6.4\n.target sm_70\n.address_size 64\n"
                            ".visible .global .attribute(.managed) .align 4 .u32 shown = 5;\n"
                            ".visible .entry none()\n{\n    ret;\n}\n";

static CUmodule module;

static CUfunction function(const char *name)
{
    CUfunction f;

    if (!module)
        CHECK(cuModuleLoadData(&module, image));
    CHECK(cuModuleGetFunction(&f, module, name));
    return f;
}

static CUresult run(CUfunction f)
{
    return cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL);
}

/* --- modules ---------------------------------------------------------------------------------- */

static void modules(void)
{
    CUmodule a, b, m = NULL;
    CUfunction f, g, all[8];
    CUdeviceptr v, w, room;
    const char *name;
    size_t size;
    unsigned count;
    uint32_t seen = 0;

    OK(cuModuleLoadData(&a, image), a);
    OK(cuModuleLoadData(&b, image), b, a != b);
    OK(cuModuleGetGlobal(&v, &size, a, "var"), v, size == 4);
    OK(cuModuleGetGlobal(&w, &size, b, "var"), w != v, size == 4); /* each has its own */
    SEE(word_is(v, 7));
    OK(cuModuleGetGlobal(&room, &size, a, "room"), size == 100, room % 8 == 0);
    SEE(bytes_are(room, 100, 0)); /* without a value it is zero */
    OK(cuModuleGetGlobal(&room, &size, a, "fixed"), size == 8, word_is(room, 21),
       word_is(room + 4, 22));
    OK(cuModuleGetGlobal(&room, NULL, a, "room"), room);
    size = 0;
    OK(cuModuleGetGlobal(NULL, &size, a, "room"), size == 100);
    NO(INVALID_VALUE, cuModuleGetGlobal(NULL, NULL, a, "room")); /* not both */
    OK(cuMemsetD8(room, 1, 100), bytes_are(room, 100, 1));
    NO(INVALID_VALUE, cuMemFree(v));                           /* it is the module's */
    NO(NOT_FOUND, cuModuleGetGlobal(&room, &size, a, "bump")); /* a function is none */

    OK(cuModuleGetFunction(&f, a, "bump"), f);
    OK(cuModuleGetFunction(&g, b, "bump"), g != f);
    NO(NOT_FOUND, cuModuleGetFunction(&g, a, "var")); /* nor is a variable a function */
    OK(run(f));
    OK(run(f));
    OK(cuCtxSynchronize(), word_is(v, 9), word_is(w, 7));
    OK(cuMemcpyHtoD(v, &(uint32_t){100}, 4));
    OK(run(f));
    OK(cuMemcpyDtoH(&seen, v, 4), seen == 101); /* kernels see what the host wrote */
    OK(cuFuncGetName(&name, f), !strcmp(name, "bump"));
    OK(cuFuncGetModule(&m, f), m == a);
    OK(cuModuleGetFunctionCount(&count, a), count == 5);
    memset(all, 0, sizeof(all));
    OK(cuModuleEnumerateFunctions(all, 8, a), all[4], !all[5]); /* as many as there are */
    memset(all, 0, sizeof(all));
    OK(cuModuleEnumerateFunctions(all, 2, a), all[1], !all[2]); /* as many as are asked for */
    OK(cuFuncLoad(f));
    OK(cuFuncIsLoaded((CUfunctionLoadingState *)&count, f),
       count == CU_FUNCTION_LOADING_STATE_LOADED);
    OK(cuModuleUnload(a));
    OK(run(g)); /* the other one is as good as ever */
    OK(cuCtxSynchronize(), word_is(w, 8));
    if (on_softcuda()) { /* a driver follows it */
        NO(INVALID_HANDLE, cuModuleUnload(a));
        NO(INVALID_HANDLE, cuModuleGetFunction(&f, a, "bump"));
        NO(INVALID_HANDLE, cuModuleGetGlobal(&v, &size, a, "var"));
        NO(INVALID_HANDLE, run(f));
        NO(INVALID_VALUE, cuMemcpyDtoH(&seen, v, 4));
    }
    OK(cuModuleUnload(b));
    OK(cuModuleLoadData(&a, image)); /* loaded anew, with its first values */
    OK(cuModuleGetGlobal(&v, &size, a, "var"), word_is(v, 7));
    OK(cuModuleUnload(a));
}

static const struct {
    const char *text;
    CUresult want;
} wrong[] = {
    {".version 6.4\n.target sm_70\n.address_size 64\n", CUDA_SUCCESS}, /* nothing is in it */
    {".version 6.4\n.target sm_70\n.address_size 64\n.visible .entry k(\n", CUDA_ERROR_INVALID_PTX},
    {".version 6.4\n.target sm_70\n.address_size 64\n.visible .global .u32 a;\n"
     ".visible .global .u32 a;\n",
     CUDA_ERROR_INVALID_PTX}, /* twice the same name */
    {"no image at all", CUDA_ERROR_INVALID_IMAGE},
    {"", CUDA_ERROR_INVALID_IMAGE},
};

static void images(void)
{
    char path[] = "/tmp/cuda_table.XXXXXX";
    CUmodule m;
    CUdeviceptr v;
    int fd;

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        note("%u", i);
        if (wrong[i].want == CUDA_SUCCESS) {
            OK(cuModuleLoadData(&m, wrong[i].text));
            OK(cuModuleUnload(m));
        } else if (wrong[i].want == CUDA_ERROR_INVALID_PTX) {
            NO(INVALID_PTX, cuModuleLoadData(&m, wrong[i].text));
        } else {
            NO(INVALID_IMAGE, cuModuleLoadData(&m, wrong[i].text));
        }
    }
    note("%s", "");
    fd = mkstemp(path);
    MUST(fd >= 0 && write(fd, image, sizeof(image) - 1) == sizeof(image) - 1 && close(fd) == 0);
    OK(cuModuleLoad(&m, path));
    unlink(path); /* what is loaded is loaded */
    OK(cuModuleGetGlobal(&v, NULL, m, "var"), word_is(v, 7));
    OK(cuModuleUnload(m));
    NO(FILE_NOT_FOUND, cuModuleLoad(&m, path));
}

/* --- functions -------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    CUfunction_attribute which;
    int least, most;
} function_attributes[] = {
    {"shared", CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, 64, 64}, /* its own; not what launches give */
    {"bump", CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, 0, 0},
    {"bump", CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES, 0, 64},
    {"bump", CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES, 0, 64 << 10},
    {"bump", CU_FUNC_ATTRIBUTE_NUM_REGS, 1, 255},
    {"bump", CU_FUNC_ATTRIBUTE_PTX_VERSION, 70, 70}, /* for sm_70 */
    {"bump", CU_FUNC_ATTRIBUTE_BINARY_VERSION, 70, 999},
    {"bump", CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 1024, 1024},
    {"few", CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 64, 64}, /* .maxntid */
    {"bump", CU_FUNC_ATTRIBUTE_CACHE_MODE_CA, 0, 1},
    {"bump", CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, -1, -1},
};

static void functions(void)
{
    static const size_t layout[][2] = {{0, 1}, {8, 8}, {16, 2}, {20, 4}};
    CUfunction f = function("shared"), mixed = function("mixed");
    size_t at, size;
    int v, optin = attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);

    for (unsigned i = 0; i < sizeof(function_attributes) / sizeof(function_attributes[0]); i++) {
        note("%s, %d", function_attributes[i].name, (int)function_attributes[i].which);
        OK(cuFuncGetAttribute(&v, function_attributes[i].which,
                              function(function_attributes[i].name)),
           v >= function_attributes[i].least, v <= function_attributes[i].most);
    }
    for (unsigned i = 0; i < 4; i++) {
        note("parameter %u", i);
        OK(cuFuncGetParamInfo(mixed, i, &at, &size), at == layout[i][0], size == layout[i][1]);
    }
    note("%s", "");
    NO(INVALID_VALUE, cuFuncGetParamInfo(mixed, 4, &at, &size));
    OK(cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, optin - 1024));
    OK(cuFuncGetAttribute(&v, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, f),
       v == optin - 1024);
    /* Own and given together must have room. */
    NO(INVALID_VALUE,
       cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, optin));
    OK(cuFuncGetAttribute(&v, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, f),
       v == optin - 1024);
    OK(cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, 50));
    OK(cuFuncGetAttribute(&v, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, f), v == 50);
    NO(INVALID_VALUE, cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_NUM_REGS, 10)); /* only to be read */
    OK(cuFuncSetCacheConfig(f, CU_FUNC_CACHE_PREFER_L1));
    CHECK(cuModuleUnload(module));
    module = NULL;
}

/* --- launches --------------------------------------------------------------------------------- */

static const unsigned grids[][6] = {
    {1, 1, 1, 1, 1, 1},   {5, 1, 1, 1, 1, 1},  {1, 1, 1, 33, 1, 1},   {2, 3, 4, 1, 1, 1},
    {1, 1, 1, 4, 3, 2},   {3, 2, 2, 7, 3, 2},  {1, 1, 1, 1024, 1, 1}, {1, 1, 1, 16, 1, 64},
    {40, 1, 1, 32, 1, 1}, {1, 70, 1, 8, 1, 1},
};

static void shapes(void)
{
    enum { MOST = 4096 };
    CUdeviceptr p = upload(NULL, MOST * 4);
    uint32_t want[MOST];
    void *params[] = {&p};
    CUfunction f = function("shape");

    for (unsigned i = 0; i < sizeof(grids) / sizeof(grids[0]); i++) {
        const unsigned *g = grids[i];
        unsigned count = g[0] * g[1] * g[2] * g[3] * g[4] * g[5];
        note("%u %u %u, %u %u %u", g[0], g[1], g[2], g[3], g[4], g[5]);
        memset(want, 0xff, sizeof(want));
        CHECK(cuMemsetD8(p, 0xff, sizeof(want)));
        for (uint32_t k = 0; k < count; k++)
            want[k] = k;
        OK(cuLaunchKernel(f, g[0], g[1], g[2], g[3], g[4], g[5], 0, NULL, params, NULL));
        OK(cuCtxSynchronize(), holds(p, want, sizeof(want))); /* each of them once, and no other */
    }
    note("%s", "");
    CHECK(cuMemFree(p));
}

static void parameters(void)
{
    CUdeviceptr p = upload(NULL, 64);
    uint8_t a = 200;
    uint16_t c = 60000;
    float d = 1.5f, seen = 0;
    void *params[] = {&a, &p, &c, &d};
    struct {
        uint8_t a;
        CUdeviceptr to;
        uint16_t c;
        float d;
    } buffer = {201, p, 60001, 2.5f};
    size_t size = sizeof(buffer);
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &buffer, CU_LAUNCH_PARAM_BUFFER_SIZE, &size,
                     CU_LAUNCH_PARAM_END};
    CUlaunchConfig config = {.gridDimX = 1,
                             .gridDimY = 1,
                             .gridDimZ = 1,
                             .blockDimX = 1,
                             .blockDimY = 1,
                             .blockDimZ = 1};
    CUfunction f = function("mixed");
    CUgraph graph = NULL;
    size_t nodes = 0;

    OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
    a = 1; /* they are taken during the call */
    c = 2;
    OK(cuMemcpyDtoH(&seen, p + 8, 4), seen == 1.5f, word_is(p, 200), word_is(p + 4, 60000));
    OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra));
    memset(&buffer, 0, sizeof(buffer));
    OK(cuMemcpyDtoH(&seen, p + 8, 4), seen == 2.5f, word_is(p, 201), word_is(p + 4, 60001));
    OK(cuLaunchKernelEx(&config, f, params, NULL));
    OK(cuCtxSynchronize(), word_is(p, 1), word_is(p + 4, 2));
    OK(cuStreamBeginCapture_v2(CU_STREAM_PER_THREAD, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cuLaunchKernelEx_ptsz(&config, f, params, NULL)); /* there NULL is the thread's stream */
    OK(cuStreamEndCapture(CU_STREAM_PER_THREAD, &graph));
    OK(cuGraphGetNodes(graph, NULL, &nodes), nodes == 1);
    OK(cuGraphDestroy(graph));
    NO(INVALID_VALUE, cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, params, extra)); /* one of two */
    NO(INVALID_VALUE, cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    a = 9;
    OK(cuLaunchCooperativeKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, params));
    OK(cuCtxSynchronize(), word_is(p, 9));
    CHECK(cuMemFree(p));
}

static void shared_memory(void)
{
    CUdeviceptr p = upload(NULL, 64);
    CUfunction f = function("shared");
    uint32_t at = 996, normal = 48 << 10;
    unsigned optin = (unsigned)attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
    void *params[] = {&p, &at};

    OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 1000, NULL, params, NULL));
    OK(cuCtxSynchronize(), word_is(p, 4711), word_is(p + 4, 996));
    at = normal - 64 - 4;
    OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, normal - 64, NULL, params,
                      NULL)); /* with its own: all */
    OK(cuCtxSynchronize(), word_is(p + 4, at));
    if (optin > normal) { /* more of it has to be asked for */
        NO(INVALID_VALUE, cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, optin - 64, NULL, params, NULL));
        OK(cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, (int)optin - 64));
        at = optin - 64 - 4;
        OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, optin - 64, NULL, params, NULL));
        OK(cuCtxSynchronize(), word_is(p + 4, at));
    }
    NO(INVALID_VALUE, cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, optin, NULL, params, NULL));
    CHECK(cuMemFree(p));
    CHECK(cuModuleUnload(module));
    module = NULL;
}

/* --- libraries -------------------------------------------------------------------------------- */

static void libraries(void)
{
    CUlibrary l, again, whose = NULL;
    CUlibraryOption table = CU_LIBRARY_HOST_UNIVERSAL_FUNCTION_AND_DATA_TABLE;
    CUkernel k, shared, all[8];
    CUfunction f, g;
    CUmodule m;
    CUdeviceptr v, w, x;
    CUcontext other;
    const char *name;
    size_t size, at;
    unsigned count;
    int n;

    OK(cuLibraryLoadData(&l, image, NULL, NULL, 0, NULL, NULL, 0), l);
    OK(cuLibraryLoadData(&again, image, NULL, NULL, 0, NULL, NULL, 0), again != l);
    OK(cuLibraryGetKernelCount(&count, l), count == 5);
    memset(all, 0, sizeof(all));
    OK(cuLibraryEnumerateKernels(all, 8, l), all[4], !all[5]);
    OK(cuLibraryGetKernel(&k, l, "bump"), k);
    OK(cuKernelGetName(&name, k), !strcmp(name, "bump"));
    OK(cuKernelGetLibrary(&whose, k), whose == l);
    OK(cuKernelGetFunction(&f, k), f);
    OK(cuFuncGetName(&name, f), !strcmp(name, "bump"));
    OK(cuLibraryGetGlobal(&v, &size, l, "var"), size == 4, word_is(v, 7));
    OK(cuLibraryGetGlobal(&w, &size, again, "var"), w != v);
    OK(run(f));
    OK(run((CUfunction)k)); /* a kernel serves as a function, in the current context */
    OK(cuCtxSynchronize(), word_is(v, 9), word_is(w, 7));
    OK(cuLibraryGetModule(&m, l), m);
    OK(cuModuleGetGlobal(&x, &size, m, "var"), x == v); /* the same, seen as a module */
    NO(NOT_FOUND, cuLibraryGetKernel(&k, l, "var"));
    NO(NOT_FOUND, cuLibraryGetGlobal(&x, &size, l, "bump"));
    NO(NOT_FOUND, cuLibraryGetManaged(&x, &size, l, "var")); /* it is not managed */

    OK(cuLibraryGetKernel(&shared, l, "shared"));
    OK(cuKernelGetAttribute(&n, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, shared, dev), n == 64);
    OK(cuKernelGetParamInfo(shared, 1, &at, &size), at == 8, size == 4);
    OK(cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 20000, shared, dev));
    OK(cuKernelGetAttribute(&n, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, shared, dev),
       n == 20000);

    OK(cuCtxCreate_v2(&other, 0, dev)); /* a library is in every context */
    OK(cuLibraryGetGlobal(&x, &size, l, "var"), x != v, word_is(x, 7));
    OK(cuLibraryGetKernel(&k, l, "bump"));
    OK(cuKernelGetFunction(&g, k), g != f);
    OK(run((CUfunction)k));
    OK(cuCtxSynchronize(), word_is(x, 8), word_is(v, 9));
    OK(cuKernelGetFunction(&g, shared)); /* what was set of a kernel holds in each */
    OK(cuFuncGetAttribute(&n, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, g), n == 20000);
    OK(cuKernelGetName(&name, shared));
    OK(cuCtxDestroy(other), !strcmp(name, "shared"));
    OK(run((CUfunction)k));
    OK(cuCtxSynchronize(), word_is(v, 10));
    OK(cuLibraryUnload(l));
    if (on_softcuda()) { /* a driver follows it */
        NO(INVALID_HANDLE, cuLibraryUnload(l));
        NO(INVALID_HANDLE, cuLibraryGetKernel(&k, l, "bump"));
        NO(INVALID_HANDLE, cuKernelGetFunction(&f, k));
        NO(NOT_SUPPORTED, cuLibraryLoadData(&l, image, NULL, NULL, 0, &table, &(void *){&l}, 1));
    }
    OK(cuLibraryUnload(again));
}

/* In the context that has it, whatever contexts there were before. */
static void managed_without_context(void)
{
    CUcontext own, a, b;
    CUdeviceptr v, w;
    CUlibrary l;
    CUkernel k;
    size_t size;
    int n;

    CHECK(cuCtxCreate_v2(&a, 0, dev));
    OK(cuLibraryLoadData(&l, shown, NULL, NULL, 0, NULL, NULL, 0), l);
    CHECK(cuCtxCreate_v2(&b, 0, dev));
    OK(cuLibraryGetManaged(&v, &size, l, "shown"), size == 4, *(unsigned *)v == 5);
    CHECK(cuCtxDestroy(b));
    CHECK(cuCtxDestroy(a));
    CHECK(cuCtxPopCurrent(&own));
    OK(cuLibraryGetKernel(&k, l, "none"), k);
    OK(cuKernelGetAttribute(&n, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, k, dev), n == 0);
    CHECK(cuCtxPushCurrent(own));
    OK(cuLibraryGetManaged(&v, &size, l, "shown"), *(unsigned *)v == 5);
    CHECK(cuCtxPopCurrent(&own));
    OK(cuLibraryGetManaged(&w, &size, l, "shown"), w == v);
    NO(NOT_FOUND, cuLibraryGetManaged(&w, &size, l, "none"));
    CHECK(cuCtxPushCurrent(own));
    OK(cuLibraryUnload(l));
}

static void without_context(void)
{
    CUcontext own;
    CUlibrary l;
    CUkernel k;
    const char *name;
    unsigned count, flags;
    int n, active;

    OK(cuDevicePrimaryCtxGetState(dev, &flags, &active), !active);
    CHECK(cuCtxPopCurrent(&own));
    OK(cuLibraryLoadData(&l, image, NULL, NULL, 0, NULL, NULL, 0), l);
    OK(cuLibraryGetKernelCount(&count, l), count == 5);
    OK(cuLibraryGetKernel(&k, l, "shared"), k);
    OK(cuKernelGetName(&name, k), !strcmp(name, "shared"));
    OK(cuKernelGetAttribute(&n, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, k, dev), n == 64);
    OK(cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 20000, k, dev));
    CHECK(cuCtxPushCurrent(own));
    OK(cuKernelGetAttribute(&n, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, k, dev),
       n == 20000); /* nor was it for one */
    OK(cuLibraryUnload(l));
    if (attribute(CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY))
        managed_without_context();
    OK(cuDevicePrimaryCtxGetState(dev, &flags, &active), !active);
}

/* --- the linker ------------------------------------------------------------------------------- */

static void linker(void)
{
    static const char one[] = ".version 6.4\n.target sm_70\n.address_size 64\n"
                              ".visible .global .align 4 .u32 shared_var = 3;\n";
    static const char two[] = ".version 6.4\n.target sm_70\n.address_size 64\n"
                              ".visible .global .align 4 .u32 own = 5;\n"
                              ".visible .entry grow()\n{\n    .reg .b32 %r<2>;\n"
                              "    atom.global.add.u32 %r1, [own], 1;\n    ret;\n}\n";
    CUlinkState l;
    CUcontext other;
    CUmodule m;
    CUfunction f;
    CUdeviceptr v;
    void *made = NULL;
    size_t size = 0;

    OK(cuLinkCreate(0, NULL, NULL, &l), l);
    OK(cuLinkAddData(l, CU_JIT_INPUT_PTX, (void *)one, sizeof(one), "one", 0, NULL, NULL));
    OK(cuLinkAddData(l, CU_JIT_INPUT_PTX, (void *)two, sizeof(two), "two", 0, NULL, NULL));
    OK(cuLinkComplete(l, &made, &size), made, size > 0);
    OK(cuModuleLoadData(&m, made));
    OK(cuLinkDestroy(l)); /* the image goes with it, what was loaded stays */
    OK(cuModuleGetGlobal(&v, &size, m, "shared_var"), size == 4, word_is(v, 3));
    OK(cuModuleGetGlobal(&v, &size, m, "own"), word_is(v, 5));
    OK(cuModuleGetFunction(&f, m, "grow"));
    OK(run(f));
    OK(cuCtxSynchronize(), word_is(v, 6));
    OK(cuModuleUnload(m));

    OK(cuLinkCreate(0, NULL, NULL, &l));
    NO(INVALID_VALUE,
       cuLinkAddData(l, (CUjitInputType)99, (void *)one, sizeof(one), "one", 0, NULL, NULL));
    NO(INVALID_VALUE,
       cuLinkAddData(l, CU_JIT_INPUT_PTX, (void *)one, sizeof(one), "one", 1, NULL, NULL));
    NO(FILE_NOT_FOUND, cuLinkAddFile(l, CU_JIT_INPUT_PTX, "/no/such/file", 0, NULL, NULL));
    OK(cuLinkAddData(l, CU_JIT_INPUT_PTX, (void *)two, sizeof(two), "two", 0, NULL, NULL));
    OK(cuLinkComplete(l, &made, &size), made); /* what was refused is not in it */
    OK(cuLinkDestroy(l));
    if (on_softcuda()) { /* a driver follows it, and what becomes of one without its context */
        NO(INVALID_HANDLE, cuLinkDestroy(l));
        CHECK(cuCtxCreate_v2(&other, 0, dev));
        OK(cuLinkCreate(0, NULL, NULL, &l));
        OK(cuLinkAddData(l, CU_JIT_INPUT_PTX, (void *)two, sizeof(two), "two", 0, NULL, NULL));
        CHECK(cuCtxDestroy(other));
        NO(INVALID_CONTEXT,
           cuLinkAddData(l, CU_JIT_INPUT_PTX, (void *)one, sizeof(one), "one", 0, NULL, NULL));
        NO(INVALID_CONTEXT, cuLinkComplete(l, &made, &size));
        OK(cuLinkDestroy(l));
        OK(cuCtxSynchronize());
    }
}

/* --- occupancy -------------------------------------------------------------------------------- */

static size_t shared_of(int block)
{
    return (size_t)block * 64;
}

static void occupancy(void)
{
    CUfunction f = function("bump"), few = function("few");
    int per_sm = attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR);
    int most = attribute(CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR);
    int n, m, grid, block;
    size_t size;

    OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&n, f, 1024, 0), n >= 1, n * 1024 <= per_sm);
    OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&n, f, 1, 0), n >= 1, n <= most);
    OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&m, f, 32, 0), m == n); /* a warp is a warp */
    OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&m, f, 64, 40 << 10), m <= n);
    OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&m, f, 64, 1 << 30), m == 0); /* it cannot be */
    OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&m, few, 65, 0), m == 0);
    OK(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&m, f, 32, 0, CU_OCCUPANCY_DEFAULT),
       m == n);
    OK(cuOccupancyMaxPotentialBlockSize(&grid, &block, f, NULL, 0, 0), block % 32 == 0, block >= 32,
       block <= 1024, grid >= 1);
    OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&n, f, block, 0),
       grid == n * attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT));
    OK(cuOccupancyMaxPotentialBlockSize(&grid, &block, f, NULL, 0, 96), block <= 96);
    OK(cuOccupancyMaxPotentialBlockSize(&grid, &block, few, NULL, 0, 0), block <= 64);
    OK(cuOccupancyMaxPotentialBlockSize(&grid, &block, f, shared_of, 0, 0), block >= 32);
    OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&n, f, block, shared_of(block)), n >= 1);
    OK(cuOccupancyAvailableDynamicSMemPerBlock(&size, f, 1, 128), size >= 48 << 10);
    OK(cuOccupancyAvailableDynamicSMemPerBlock(&size, f, 2, 128));
    OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&n, f, 128, size), n >= 2);
    CHECK(cuModuleUnload(module));
    module = NULL;
}

static const struct table tables[] = {
    {"modules", modules},
    {"images", images},
    {"functions", functions},
    {"shapes", shapes},
    {"parameters", parameters},
    {"shared memory", shared_memory},
    {"libraries", libraries},
    {"without context", without_context},
    {"linker", linker},
    {"occupancy", occupancy},
    {0},
};

int main(void)
{
    return tables_run("module", tables);
}
