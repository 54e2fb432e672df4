/*
 * The arguments of cuda_codes.c's calls: a word for each, which stands for a value as it should be
 * and for others that are wrong or at an edge. Labels need no driver (the supervising process makes
 * them); values do.
 *
 *   5|0|huge         a number, then others; "huge" is 2^50, "granule" what virtual memory comes in
 *   "a|b|            a text, then others, the last one empty here; and NULL
 *   out, zero        room for an answer (or NULL); always NULL
 *   stream           the program's object of that kind; NULL; one that is no more (risky: a driver
 *                    may follow it)
 *   new:stream       one that was made for this call alone
 *   others           kinds[] below
 */
#ifndef XG_TEST_CUDA_CODES_ARGS_H
#define XG_TEST_CUDA_CODES_ARGS_H

#include "tests/programs/cuda_common.h"

enum { ARGS = 12, ROOM = 16384, MEMORY = 4096, HOST = 1 << 20 };

struct arg {
    uint64_t value;
    char label[64];
    bool risky;   /* may crash a driver */
    bool missing; /* this device has no such object: the call is not made */
};

static bool live; /* in a process with a driver and a context */
static _Alignas(64) uint8_t room[ARGS][ROOM];
static _Alignas(4096) uint8_t host[HOST];

static const char image[] = ".version 6.4\n.target sm_70\n.address_size 64\n"
                            ".visible .global .align 4 .u32 var = 7;\n"
                            ".visible .entry kern(.param .u64 p)\n{\n    ret;\n}\n";

/* --- objects ---------------------------------------------------------------------------------- */

/* What the program keeps; 0 where the device has none. */
static struct {
    uint64_t context, stream, event, module, library, graph, exec, pool, link, array, memory,
        pinned, managed, physical;
    uint64_t function, kernel, granule;
    uint64_t empty, kern, memcpy, memset, host, child; /* nodes of the graph */
} has;

#define MADE(what, call) return (call) == CUDA_SUCCESS ? (uint64_t)(uintptr_t)(what) : 0
#define H(type, value)   ((type)(uintptr_t)(value))

static void nothing(void *unused)
{
    (void)unused;
}

static uint64_t context_new(void)
{
    CUcontext c = NULL, popped;
    CUresult r = cuCtxCreate_v2(&c, 0, 0);

    if (r == CUDA_SUCCESS)
        cuCtxPopCurrent(&popped);
    MADE(c, r);
}

static uint64_t stream_new(void)
{
    CUstream s = NULL;
    MADE(s, cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
}

static uint64_t event_new(void)
{
    CUevent e = NULL;
    MADE(e, cuEventCreate(&e, 0));
}

static uint64_t untimed_new(void)
{
    CUevent e = NULL;

    if (cuEventCreate(&e, CU_EVENT_DISABLE_TIMING) == CUDA_SUCCESS)
        cuEventRecord(e, NULL);
    return (uint64_t)(uintptr_t)e;
}

static uint64_t module_new(void)
{
    CUmodule m = NULL;
    MADE(m, cuModuleLoadData(&m, image));
}

static uint64_t function_new(void)
{
    CUfunction f = NULL;
    MADE(f, cuModuleGetFunction(&f, H(CUmodule, module_new()), "kern"));
}

static uint64_t library_new(void)
{
    CUlibrary l = NULL;
    MADE(l, cuLibraryLoadData(&l, image, NULL, NULL, 0, NULL, NULL, 0));
}

static uint64_t kernel_new(void)
{
    CUkernel k = NULL;
    MADE(k, cuLibraryGetKernel(&k, H(CUlibrary, library_new()), "kern"));
}

static uint64_t graph_new(void)
{
    CUgraph g = NULL;
    MADE(g, cuGraphCreate(&g, 0));
}

static uint64_t exec_new(void)
{
    CUgraphExec x = NULL;
    MADE(x, cuGraphInstantiateWithFlags(&x, H(CUgraph, has.graph), 0));
}

static uint64_t node_new(void)
{
    CUgraphNode n = NULL;
    MADE(n, cuGraphAddEmptyNode(&n, H(CUgraph, graph_new()), NULL, 0));
}

static uint64_t pool_new(void)
{
    CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                            .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    CUmemoryPool p = NULL;
    MADE(p, cuMemPoolCreate(&p, &props));
}

static uint64_t link_new(void)
{
    CUlinkState l = NULL;

    if (cuLinkCreate(0, NULL, NULL, &l) == CUDA_SUCCESS)
        cuLinkAddData(l, CU_JIT_INPUT_PTX, (void *)image, sizeof(image), "first", 0, NULL, NULL);
    return (uint64_t)(uintptr_t)l;
}

static uint64_t array_new(void)
{
    CUDA_ARRAY_DESCRIPTOR d = {64, 4, CU_AD_FORMAT_FLOAT, 1};
    CUarray a = NULL;
    MADE(a, cuArrayCreate(&a, &d));
}

static uint64_t memory_new(void)
{
    CUdeviceptr p = 0;
    MADE(p, cuMemAlloc(&p, MEMORY));
}

static uint64_t pooled_new(void)
{
    CUdeviceptr p = 0;
    MADE(p, cuMemAllocAsync(&p, MEMORY, H(CUstream, has.stream)));
}

static uint64_t pinned_new(void)
{
    void *p = NULL;
    MADE(p, cuMemHostAlloc(&p, MEMORY, CU_MEMHOSTALLOC_DEVICEMAP));
}

static uint64_t managed_new(void)
{
    CUdeviceptr p = 0;
    MADE(p, cuMemAllocManaged(&p, MEMORY, CU_MEM_ATTACH_GLOBAL));
}

static uint64_t registered_new(void)
{
    static unsigned turn;
    uint8_t *p = host + HOST / 2 + (size_t)(turn++ % 64) * 8192;
    MADE(p, cuMemHostRegister(p, 4096, 0));
}

static const CUmemAllocationProp allocation = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                               .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};

static uint64_t physical_new(void)
{
    CUmemGenericAllocationHandle h = 0;
    MADE(h, has.granule ? cuMemCreate(&h, has.granule, &allocation, 0) : CUDA_ERROR_NOT_SUPPORTED);
}

static uint64_t range_new(void)
{
    CUdeviceptr p = 0;
    MADE(p, has.granule ? cuMemAddressReserve(&p, has.granule, 0, 0, 0) : CUDA_ERROR_NOT_SUPPORTED);
}

static uint64_t mapped_new(void)
{
    uint64_t h = physical_new(), p = range_new();
    MADE(p, h && p ? cuMemMap(p, has.granule, 0, h, 0) : CUDA_ERROR_NOT_SUPPORTED);
}

#define GONE(name, type, call)                                                                     \
    static void name##_gone(uint64_t h)                                                            \
    {                                                                                              \
        call(H(type, h));                                                                          \
    }
GONE(context, CUcontext, cuCtxDestroy)
GONE(stream, CUstream, cuStreamDestroy)
GONE(event, CUevent, cuEventDestroy)
GONE(module, CUmodule, cuModuleUnload)
GONE(library, CUlibrary, cuLibraryUnload)
GONE(graph, CUgraph, cuGraphDestroy)
GONE(exec, CUgraphExec, cuGraphExecDestroy)
GONE(node, CUgraphNode, cuGraphDestroyNode)
GONE(pool, CUmemoryPool, cuMemPoolDestroy)
GONE(link, CUlinkState, cuLinkDestroy)
GONE(array, CUarray, cuArrayDestroy)
GONE(memory, CUdeviceptr, cuMemFree)
GONE(pinned, void *, cuMemFreeHost)
GONE(managed, CUdeviceptr, cuMemFree)
GONE(registered, void *, cuMemHostUnregister)
GONE(physical, CUmemGenericAllocationHandle, cuMemRelease)

/* Device addresses are looked up, so a wrong one is harmless. Where a call takes host memory as
 * well, what is not known is followed; so are handles, which are pointers in most drivers. */
enum risk { LOOKED_UP = 1, FOLLOWED };

static const struct object {
    const char *word;
    uint64_t (*make)(void);
    void (*gone)(uint64_t);
    uint64_t *kept;
    enum risk address; /* 0: a handle */
} objects[] = {
    {"context", context_new, context_gone, &has.context, 0},
    {"stream", stream_new, stream_gone, &has.stream, 0},
    {"event", event_new, event_gone, &has.event, 0},
    {"unrecorded", event_new, event_gone, NULL, 0},
    {"untimed", untimed_new, event_gone, NULL, 0},
    {"module", module_new, module_gone, &has.module, 0},
    {"library", library_new, library_gone, &has.library, 0},
    {"graph", graph_new, graph_gone, &has.graph, 0},
    {"empty-graph", graph_new, graph_gone, NULL, 0},
    {"node", node_new, node_gone, NULL, 0},
    {"exec", exec_new, exec_gone, &has.exec, 0},
    {"pool", pool_new, pool_gone, &has.pool, 0},
    {"link", link_new, link_gone, &has.link, 0},
    {"array", array_new, array_gone, &has.array, 0},
    {"memory", memory_new, memory_gone, &has.memory, LOOKED_UP},
    {"unified", memory_new, memory_gone, &has.memory, FOLLOWED},
    {"pooled", pooled_new, NULL, NULL, LOOKED_UP},
    {"pinned", pinned_new, pinned_gone, &has.pinned, FOLLOWED},
    {"managed", managed_new, managed_gone, &has.managed, LOOKED_UP},
    {"registered", registered_new, registered_gone, NULL, LOOKED_UP},
    {"physical", physical_new, physical_gone, &has.physical, 0},
    {"range", range_new, NULL, NULL, LOOKED_UP},
    {"mapped", mapped_new, NULL, NULL, LOOKED_UP},
    {"function", function_new, NULL, &has.function, 0},
    {"kernel", kernel_new, NULL, &has.kernel, 0},
    {"node:empty", NULL, NULL, &has.empty, 0},
    {"node:kernel", NULL, NULL, &has.kern, 0},
    {"node:memcpy", NULL, NULL, &has.memcpy, 0},
    {"node:memset", NULL, NULL, &has.memset, 0},
    {"node:host", NULL, NULL, &has.host, 0},
    {"node:child", NULL, NULL, &has.child, 0},
};

static bool object_arg(const struct object *o, bool fresh, unsigned v, struct arg *a)
{
    static const char *const states[] = {"", "NULL", "gone", "inside", "none", "pageable"};

    if (v > (o->address ? 5 : o->gone ? 2 : 1))
        return false;
    snprintf(a->label, sizeof(a->label), "%s%s%s", v == 1 ? "" : o->word, v > 1 ? " " : "",
             states[v]);
    a->risky = (v == 2 && o->address != LOOKED_UP) || (v == 4 && o->address == FOLLOWED);
    if (!live || v == 1)
        return true;
    a->value = v == 2 || fresh ? (o->make ? o->make() : 0) : *o->kept;
    a->missing = !a->value;
    if (v == 2 && o->gone && a->value)
        o->gone(a->value);
    else if (v == 3)
        a->value += 16;
    else if (v == 4)
        a->value = 0x10000;
    else if (v == 5)
        a->value = (uint64_t)(uintptr_t)host;
    return true;
}

/* --- structures: as they should be for 0, then one member wrong; NULL comes last -------------- */

#define VARIANTS(...)                                                                              \
    switch (v) {                                                                                   \
    case 0: return ""; __VA_ARGS__                                                                 \
    default: return NULL;                                                                          \
    }
#define WRONG(number, assignment)                                                                  \
    case number: c->assignment; return #assignment;

static const char *copy2d(unsigned v, void *at)
{
    CUDA_MEMCPY2D *c = at;

    *c = (CUDA_MEMCPY2D){.srcMemoryType = CU_MEMORYTYPE_HOST,
                         .srcHost = host,
                         .srcPitch = 64,
                         .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                         .dstDevice = has.memory,
                         .dstPitch = 64,
                         .WidthInBytes = 32,
                         .Height = 4};
    VARIANTS(WRONG(1, srcHost = NULL) WRONG(2, dstDevice = 0) WRONG(3, srcPitch = 16)
                 WRONG(4, dstPitch = 16) WRONG(5, srcPitch = 0) WRONG(6, srcMemoryType = 0)
                     WRONG(7, srcMemoryType = 99) WRONG(8, dstMemoryType = 99)
                         WRONG(9, WidthInBytes = 0) WRONG(10, Height = 0) WRONG(11, Height = 4096)
                             WRONG(12, srcXInBytes = 33) WRONG(13, dstXInBytes = 33)
                                 WRONG(14, dstY = 4096) WRONG(15, dstDevice = 0x10000)
                                     WRONG(16, dstMemoryType = CU_MEMORYTYPE_ARRAY)
                                         WRONG(17, dstMemoryType = CU_MEMORYTYPE_UNIFIED)
                                             WRONG(18, dstPitch = 1ull << 40)
                                                 WRONG(19, Height = 1ull << 40))
}

static const char *copy3d(unsigned v, void *at)
{
    CUDA_MEMCPY3D *c = at;

    *c = (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_HOST,
                         .srcHost = host,
                         .srcPitch = 64,
                         .srcHeight = 4,
                         .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                         .dstDevice = has.memory,
                         .dstPitch = 64,
                         .dstHeight = 4,
                         .WidthInBytes = 32,
                         .Height = 4,
                         .Depth = 2};
    VARIANTS(WRONG(1, srcHost = NULL) WRONG(2, dstDevice = 0) WRONG(3, srcPitch = 16)
                 WRONG(4, dstPitch = 16) WRONG(5, srcHeight = 2) WRONG(6, dstHeight = 2) WRONG(
                     7, srcMemoryType = 99) WRONG(8, dstMemoryType = 0) WRONG(9, WidthInBytes = 0)
                     WRONG(10, Height = 0) WRONG(11, Depth = 0) WRONG(12, Depth = 4096)
                         WRONG(13, srcLOD = 1) WRONG(14, dstLOD = 1) WRONG(15, reserved0 = host)
                             WRONG(16, reserved1 = host) WRONG(17, dstZ = 4096)
                                 WRONG(18, dstMemoryType = CU_MEMORYTYPE_ARRAY)
                                     WRONG(19, dstDevice = 0x10000) WRONG(20, srcHeight = 0))
}

static const char *copy3d_peer(unsigned v, void *at)
{
    CUDA_MEMCPY3D_PEER *c = at;

    *c = (CUDA_MEMCPY3D_PEER){.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                              .srcDevice = has.memory + 2048,
                              .srcPitch = 64,
                              .srcHeight = 4,
                              .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                              .dstDevice = has.memory,
                              .dstPitch = 64,
                              .dstHeight = 4,
                              .srcContext = H(CUcontext, has.context),
                              .dstContext = H(CUcontext, has.context),
                              .WidthInBytes = 32,
                              .Height = 4,
                              .Depth = 2};
    VARIANTS(WRONG(1, srcDevice = 0) WRONG(2, dstDevice = 0) WRONG(3, srcContext = NULL)
                 WRONG(4, dstContext = NULL) WRONG(5, srcPitch = 16) WRONG(6, srcMemoryType = 99)
                     WRONG(7, Depth = 0) WRONG(8, Depth = 4096))
}

static uint64_t parameter;
static void *parameters[] = {&parameter, NULL};
static size_t parameter_size = sizeof(parameter);

static const char *kernel_node(unsigned v, void *at)
{
    CUDA_KERNEL_NODE_PARAMS *c = at;

    *c = (CUDA_KERNEL_NODE_PARAMS){.func = H(CUfunction, has.function),
                                   .gridDimX = 1,
                                   .gridDimY = 1,
                                   .gridDimZ = 1,
                                   .blockDimX = 32,
                                   .blockDimY = 1,
                                   .blockDimZ = 1,
                                   .kernelParams = parameters};
    VARIANTS(WRONG(1, func = NULL) WRONG(2, gridDimX = 0) WRONG(3, blockDimX = 0)
                 WRONG(4, blockDimX = 2048) WRONG(5, sharedMemBytes = 1u << 30)
                     WRONG(6, kernelParams = NULL) WRONG(7, extra = parameters))
}

static const char *memset_node(unsigned v, void *at)
{
    CUDA_MEMSET_NODE_PARAMS *c = at;

    *c = (CUDA_MEMSET_NODE_PARAMS){
        .dst = has.memory, .pitch = 64, .value = 1, .elementSize = 4, .width = 4, .height = 2};
    VARIANTS(WRONG(1, dst = 0) WRONG(2, elementSize = 3) WRONG(3, elementSize = 0)
                 WRONG(4, width = 0) WRONG(5, height = 0) WRONG(6, width = 4096) WRONG(7, pitch = 8)
                     WRONG(8, pitch = 0) WRONG(9, dst += 1) WRONG(10, dst = 0x10000))
}

static const char *host_node(unsigned v, void *at)
{
    CUDA_HOST_NODE_PARAMS *c = at;

    *c = (CUDA_HOST_NODE_PARAMS){.fn = nothing};
    VARIANTS(WRONG(1, fn = NULL))
}

static const char *config(unsigned v, void *at)
{
    static CUlaunchAttribute attribute;
    CUlaunchConfig *c = at;

    *c = (CUlaunchConfig){.gridDimX = 1,
                          .gridDimY = 1,
                          .gridDimZ = 1,
                          .blockDimX = 32,
                          .blockDimY = 1,
                          .blockDimZ = 1,
                          .hStream = H(CUstream, has.stream),
                          .attrs = &attribute};
    attribute = (CUlaunchAttribute){.id = v == 6   ? (CUlaunchAttributeID)99
                                          : v == 7 ? CU_LAUNCH_ATTRIBUTE_COOPERATIVE
                                                   : CU_LAUNCH_ATTRIBUTE_IGNORE,
                                    .value.cooperative = 1};
    VARIANTS(WRONG(1, gridDimX = 0) WRONG(2, blockDimX = 0) WRONG(3, blockDimX = 2048)
                 WRONG(4, sharedMemBytes = 1u << 30) WRONG(5, attrs = NULL) case 6
             : c->numAttrs = 1;
             return "attribute 99"; case 7
             : c->numAttrs = 1;
             return "cooperative"; WRONG(8, hStream = NULL))
}

static const char *allocation_prop(unsigned v, void *at)
{
    CUmemAllocationProp *c = at;

    *c = allocation;
    VARIANTS(WRONG(1, type = 0) WRONG(2, type = 99) WRONG(3, location.type = 0)
                 WRONG(4, location.type = 99) WRONG(5, location.id = 99) WRONG(6, location.id = -1)
                     WRONG(7, requestedHandleTypes = 99) WRONG(8, win32HandleMetaData = host))
}

static const char *access_desc(unsigned v, void *at)
{
    CUmemAccessDesc *c = at;

    *c = (CUmemAccessDesc){{CU_MEM_LOCATION_TYPE_DEVICE, 0}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    VARIANTS(WRONG(1, flags = 99) WRONG(2, flags = CU_MEM_ACCESS_FLAGS_PROT_NONE)
                 WRONG(3, flags = CU_MEM_ACCESS_FLAGS_PROT_READ) WRONG(4, location.id = 99)
                     WRONG(5, location.type = 0))
}

static const char *location(unsigned v, void *at)
{
    CUmemLocation *c = at;

    *c = (CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, 0};
    VARIANTS(WRONG(1, id = 99) WRONG(2, type = 0) WRONG(3, type = 99) WRONG(4, id = -1))
}

static const char *pool_props(unsigned v, void *at)
{
    CUmemPoolProps *c = at;

    *c = (CUmemPoolProps){.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                          .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    VARIANTS(WRONG(1, allocType = 0) WRONG(2, allocType = 99) WRONG(3, location.id = 99)
                 WRONG(4, location.type = 99) WRONG(5, handleTypes = 99) WRONG(6, maxSize = 1))
}

static const char *instantiate(unsigned v, void *at)
{
    CUDA_GRAPH_INSTANTIATE_PARAMS *c = at;

    *c = (CUDA_GRAPH_INSTANTIATE_PARAMS){0};
    VARIANTS(WRONG(1, flags = 16) WRONG(2, flags = 2) WRONG(3, flags = -1ull))
}

static const char *memops(unsigned v, void *at)
{
    CUstreamBatchMemOpParams *c = at;

    *c = (CUstreamBatchMemOpParams){
        .writeValue = {CU_STREAM_MEM_OP_WRITE_VALUE_32, has.memory, {1}, 0, 0}};
    VARIANTS(WRONG(1, operation = 0) WRONG(2, operation = 99) WRONG(3, writeValue.address = 0)
                 WRONG(4, writeValue.address += 1) WRONG(5, writeValue.flags = 99))
}

static const char *array_desc(unsigned v, void *at)
{
    CUDA_ARRAY_DESCRIPTOR *c = at;

    *c = (CUDA_ARRAY_DESCRIPTOR){64, 4, CU_AD_FORMAT_FLOAT, 1};
    VARIANTS(WRONG(1, Width = 0) WRONG(2, Width = 1ull << 40) WRONG(3, Height = 0) WRONG(
        4, Format = 0) WRONG(5, Format = 99) WRONG(6, NumChannels = 0) WRONG(7, NumChannels = 3))
}

static const char *array3d_desc(unsigned v, void *at)
{
    CUDA_ARRAY3D_DESCRIPTOR *c = at;

    *c = (CUDA_ARRAY3D_DESCRIPTOR){8, 4, 2, CU_AD_FORMAT_FLOAT, 1, 0};
    VARIANTS(WRONG(1, Width = 0) WRONG(2, Height = 0) WRONG(3, Depth = 0)
                 WRONG(4, Depth = 1ull << 40) WRONG(5, Format = 99) WRONG(6, NumChannels = 3)
                     WRONG(7, Flags = -1u) WRONG(8, Flags = CUDA_ARRAY3D_CUBEMAP))
}

static const char *resource(unsigned v, void *at)
{
    CUDA_RESOURCE_DESC *c = at;

    *c = (CUDA_RESOURCE_DESC){.resType = CU_RESOURCE_TYPE_ARRAY,
                              .res.array = {H(CUarray, has.array)}};
    VARIANTS(WRONG(1, res.array.hArray = NULL) WRONG(2, resType = 99) WRONG(3, flags = 1))
}

static const char *texture(unsigned v, void *at)
{
    CUDA_TEXTURE_DESC *c = at;

    *c = (CUDA_TEXTURE_DESC){.addressMode = {CU_TR_ADDRESS_MODE_CLAMP, CU_TR_ADDRESS_MODE_CLAMP,
                                             CU_TR_ADDRESS_MODE_CLAMP}};
    VARIANTS(WRONG(1, addressMode[0] = 99) WRONG(2, filterMode = 99) WRONG(3, flags = -1u))
}

/* --- the rest: values that have only one or two ways to be wrong ------------------------------ */

static const char *extra(unsigned v, void *at)
{
    void **c = at;

    c[0] = CU_LAUNCH_PARAM_BUFFER_POINTER;
    c[1] = &parameter;
    c[2] = CU_LAUNCH_PARAM_BUFFER_SIZE;
    c[3] = &parameter_size;
    c[4] = CU_LAUNCH_PARAM_END;
    VARIANTS(case 1
             : c[1] = NULL;
             return "no buffer"; case 2
             : c[2] = CU_LAUNCH_PARAM_END;
             return "no size"; case 3
             : c[2] = (void *)(uintptr_t)99;
             return "name 99";)
}

static const char *params(unsigned v, void *at)
{
    memcpy(at, parameters, sizeof(parameters));
    VARIANTS()
}

static const char *zeros(unsigned v, void *at)
{
    VARIANTS()
}

static const char *one(unsigned v, void *at)
{
    *(uint64_t *)at = 1;
    VARIANTS()
}

static const char *count(unsigned v, void *at)
{
    *(size_t *)at = v ? 0 : 16;
    VARIANTS(case 1 : return "0";)
}

static const char *node_list(unsigned v, void *at)
{
    *(uint64_t *)at = has.empty;
    VARIANTS()
}

static const char *outs(unsigned v, void *at)
{
    *(void **)at = (uint8_t *)at + 512;
    VARIANTS(case 1 : *(void **)at = NULL; return "one NULL";)
}

static const char *sizes(unsigned v, void *at)
{
    *(size_t *)at = v ? 3 : 4;
    VARIANTS(case 1 : return "3";)
}

static const char *range_attributes(unsigned v, void *at)
{
    *(CUmem_range_attribute *)at =
        v ? (CUmem_range_attribute)99 : CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY;
    VARIANTS(case 1 : return "99";)
}

static const char *pointer_attributes(unsigned v, void *at)
{
    *(CUpointer_attribute *)at = v ? (CUpointer_attribute)99 : CU_POINTER_ATTRIBUTE_MEMORY_TYPE;
    VARIANTS(case 1 : return "99";)
}

static const char *image_arg(unsigned v, void *at)
{
    static const char *const images[] = {
        image, "nonsense",
        ".version 6.4\n.target sm_70\n.address_size 64\n.visible .entry k()\n{\n no ptx;\n}\n",
        ".version 99.0\n.target sm_70\n.address_size 64\n",
        ".version 6.4\n.target sm_999\n.address_size 64\n"};

    snprintf(at, ROOM, "%s", images[v < 5 ? v : 0]);
    VARIANTS(case 1
             : return "nonsense";
             case 2
             : return "wrong PTX";
             case 3
             : return "PTX of version 99";
             case 4
             : return "PTX for sm_999";)
}

static const struct {
    const char *word;
    const char *(*make)(unsigned v, void *at);
} kinds[] = {
    {"copy2d", copy2d},
    {"copy3d", copy3d},
    {"copy3d-peer", copy3d_peer},
    {"kernel-node", kernel_node},
    {"memset-node", memset_node},
    {"host-node", host_node},
    {"config", config},
    {"allocation", allocation_prop},
    {"access", access_desc},
    {"location", location},
    {"pool-props", pool_props},
    {"instantiate", instantiate},
    {"memops", memops},
    {"array-desc", array_desc},
    {"array3d-desc", array3d_desc},
    {"resource", resource},
    {"texture", texture},
    {"extra", extra},
    {"params", params},
    {"zeros", zeros},
    {"one", one},
    {"count", count},
    {"node-list", node_list},
    {"outs", outs},
    {"sizes", sizes},
    {"range-attributes", range_attributes},
    {"pointer-attributes", pointer_attributes},
    {"image", image_arg},
    {"out", zeros},
};

static bool kind_arg(unsigned kind, unsigned v, void *at, struct arg *a)
{
    const char *label = kinds[kind].make(v, at);

    if (!label) {
        if (v && !kinds[kind].make(v - 1, at))
            return false; /* the one before was NULL, the last */
        snprintf(a->label, sizeof(a->label), "NULL");
        return true;
    }
    a->value = (uint64_t)(uintptr_t)at;
    a->missing = live && !strcmp(kinds[kind].word, "resource") && !has.array;
    snprintf(a->label, sizeof(a->label), "%s%s%s", kinds[kind].word, *label ? ": " : "", label);
    return true;
}

/* The v-th of the alternatives that "|" separates. */
static bool alternative(const char *word, unsigned v, char *into, size_t size)
{
    for (; v; v--) {
        if (!(word = strchr(word, '|')))
            return false;
        word++;
    }
    snprintf(into, size, "%.*s", (int)strcspn(word, "|"), word);
    return true;
}

static bool text_arg(const char *word, unsigned v, void *at, struct arg *a)
{
    char text[64];

    if (alternative(word, v, text, sizeof(text))) {
        snprintf(at, ROOM, "%s", text);
        snprintf(a->label, sizeof(a->label), "\"%.60s\"", text);
        a->value = (uint64_t)(uintptr_t)at;
        return true;
    }
    snprintf(a->label, sizeof(a->label), "NULL");
    return !v || alternative(word, v - 1, text, sizeof(text));
}

static bool number_arg(const char *word, unsigned v, struct arg *a)
{
    if (!alternative(word, v, a->label, sizeof(a->label)))
        return false;
    a->value = !strcmp(a->label, "huge")      ? 1ull << 50
               : !strcmp(a->label, "granule") ? has.granule
                                              : strtoull(a->label, NULL, 0);
    return true;
}

/* Small ones by value. */
static bool place_arg(const char *word, unsigned v, struct arg *a)
{
    static const struct {
        const char *label;
        CUmemLocation place;
    } places[] = {{"device 0", {CU_MEM_LOCATION_TYPE_DEVICE, 0}},
                  {"host", {CU_MEM_LOCATION_TYPE_HOST, 0}},
                  {"device 99", {CU_MEM_LOCATION_TYPE_DEVICE, 99}},
                  {"place 0", {0, 0}},
                  {"place 99", {99, 0}}};
    static const int devices[] = {0, -1, 99};

    if (!strcmp(word, "place")) {
        if (v >= sizeof(places) / sizeof(places[0]))
            return false;
        memcpy(&a->value, &places[v].place, sizeof(places[v].place));
        snprintf(a->label, sizeof(a->label), "%s", places[v].label);
        return true;
    }
    if (v >= sizeof(devices) / sizeof(devices[0]))
        return false;
    a->value = (uint64_t)devices[v];
    snprintf(a->label, sizeof(a->label), "device %d", devices[v]);
    return true;
}

/* The v-th way to give the argument that `word` describes, at place `at` of the call; false if
 * there is none. */
static bool arg_make(const char *word, unsigned v, unsigned at, struct arg *a)
{
    bool fresh = !strncmp(word, "new:", 4);

    memset(a, 0, sizeof(*a));
    if (*word == '"')
        return text_arg(word + 1, v, room[at], a);
    if ((*word >= '0' && *word <= '9') || *word == '-' || !strncmp(word, "granule", 7) ||
        !strncmp(word, "huge", 4))
        return number_arg(word, v, a);
    if (!strcmp(word, "dev") || !strcmp(word, "place"))
        return place_arg(word, v, a);
    if (!strcmp(word, "zero") || !strcmp(word, "function-of-host")) {
        bool null = v || *word == 'z';
        a->value = null ? 0 : (uint64_t)(uintptr_t)nothing;
        snprintf(a->label, sizeof(a->label), "%s", null ? "NULL" : word);
        return v <= (*word != 'z');
    }
    if (!strcmp(word, "host") || !strcmp(word, "pages")) {
        a->value = v ? 0 : (uint64_t)(uintptr_t)(host + 8192);
        snprintf(a->label, sizeof(a->label), "%s", v ? "NULL" : word);
        return v <= 1;
    }
    if (!strcmp(word, "odd")) {
        a->value = has.memory + 1;
        snprintf(a->label, sizeof(a->label), "memory + 1");
        return !v;
    }
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (!strcmp(word, kinds[i].word))
            return kind_arg(i, v, room[at], a);
    for (unsigned i = 0; i < sizeof(objects) / sizeof(objects[0]); i++)
        if (!strcmp(fresh ? word + 4 : word, objects[i].word))
            return object_arg(&objects[i], fresh, v, a);
    fprintf(stderr, "cuda_codes: no argument is called %s\n", word);
    exit(2);
}

/* --- the program's objects -------------------------------------------------------------------- */

static void graph_fill(CUgraph g, CUgraph small)
{
    union {
        CUDA_MEMCPY3D copy;
        CUDA_MEMSET_NODE_PARAMS fill;
        CUDA_KERNEL_NODE_PARAMS kernel;
        CUDA_HOST_NODE_PARAMS host;
    } u;
    CUgraphNode n;

    memset(&u, 0, sizeof(u));
#define NODE(slot, call) has.slot = (call) == CUDA_SUCCESS ? (uint64_t)(uintptr_t)n : 0
    NODE(empty, cuGraphAddEmptyNode(&n, g, NULL, 0));
    kernel_node(0, &u);
    NODE(kern, cuGraphAddKernelNode(&n, g, NULL, 0, &u.kernel));
    copy3d(0, &u);
    NODE(memcpy, cuGraphAddMemcpyNode(&n, g, NULL, 0, &u.copy, H(CUcontext, has.context)));
    memset_node(0, &u);
    NODE(memset, cuGraphAddMemsetNode(&n, g, NULL, 0, &u.fill, H(CUcontext, has.context)));
    host_node(0, &u);
    NODE(host, cuGraphAddHostNode(&n, g, NULL, 0, &u.host));
    NODE(child, cuGraphAddChildGraphNode(&n, g, NULL, 0, small));
#undef NODE
}

/* In this order, because some are made of others. */
static void objects_make(void)
{
    CUfunction f = NULL;
    CUkernel k = NULL;
    CUcontext ctx = NULL;

    live = true;
    CHECK(cuInit(0));
    CHECK(cuCtxCreate_v2(&ctx, 0, 0));
    has.context = (uint64_t)(uintptr_t)ctx;
    has.stream = stream_new();
    has.event = event_new();
    cuEventRecord(H(CUevent, has.event), NULL);
    if (cuMemGetAllocationGranularity(&has.granule, &allocation,
                                      CU_MEM_ALLOC_GRANULARITY_RECOMMENDED))
        has.granule = 0;
    has.module = module_new();
    cuModuleGetFunction(&f, H(CUmodule, has.module), "kern");
    has.function = (uint64_t)(uintptr_t)f;
    has.library = library_new();
    cuLibraryGetKernel(&k, H(CUlibrary, has.library), "kern");
    has.kernel = (uint64_t)(uintptr_t)k;
    has.memory = memory_new();
    has.pinned = pinned_new();
    has.managed = managed_new();
    has.physical = physical_new();
    has.pool = pool_new();
    has.link = link_new();
    has.array = array_new();
    has.graph = graph_new();
    graph_fill(H(CUgraph, has.graph), H(CUgraph, graph_new()));
    has.exec = exec_new();
    CHECK(cuCtxSynchronize());
}

#endif
