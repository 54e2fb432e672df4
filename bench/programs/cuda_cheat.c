/*
 * cuda_cheat MODE [ROUNDS]: a guest that takes as much as it can; bench/fairness.py measures what
 * the others still get. It runs until it is killed, or until a call fails: status 3 then.
 *   flood    commands that do nearly nothing, as many as possible
 *   nosync   kernels of ROUNDS (tests/kernels/busy.cu), and it never waits for one
 *   endless  one kernel that does not end
 *   sleep    host functions that sleep, with work behind them
 *   copies   copies on the device, of 64 MiB, and it never waits for one
 *   load     modules are loaded and unloaded
 *   sets     memory is set, 64 MiB of it, and it never waits
 *   sends    64 MiB go to the device and come back, from memory of the program's own
 *   graphs   a graph of a thousand nodes, and it never waits for one
 *   big      a module of many functions is loaded and unloaded
 *   link     the same, linked
 */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

enum { AHEAD = 100, COPY = 64 << 20, NODES = 1000, FUNCTIONS = 64, LINES = 1000 };

static CUfunction function;
static CUdeviceptr memory, sink;
static uint64_t rounds;

static CUresult flood_step(void)
{
    return cuMemsetD32Async(memory, 1, 1, NULL);
}

static CUresult nosync_step(void)
{
    void *params[] = {&rounds, &memory, &sink};

    return cuLaunchKernel(function, 1, 1, 1, 64, 1, 1, 0, NULL, params, NULL);
}

static CUresult endless_step(void)
{
    void *params[] = {&memory};
    CUresult r = cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0, NULL, params, NULL);

    return r ? r : cuCtxSynchronize();
}

static void host_sleep(void *arg)
{
    (void)arg;
    sleep(1);
}

static CUresult sleep_step(void)
{
    CUresult r = cuLaunchHostFunc(NULL, host_sleep, NULL);

    for (unsigned i = 0; i < AHEAD && !r; i++)
        r = cuMemsetD32Async(memory, i, 16, NULL);
    return r ? r : cuCtxSynchronize();
}

static CUresult copies_step(void)
{
    return cuMemcpyDtoDAsync(memory, sink, COPY, NULL);
}

static CUresult load_step(void)
{
    CUmodule m;
    CUresult r = cuModuleLoad(&m, kernel_path("busy.ptx"));

    return r ? r : cuModuleUnload(m);
}

static CUresult sets_step(void)
{
    return cuMemsetD32Async(memory, 7, COPY / 4, NULL);
}

static CUresult sends_step(void)
{
    static char *mine;

    if (!mine)
        mine = calloc(1, COPY);
    CUresult r = cuMemcpyHtoD_v2(memory, mine, COPY);

    return r ? r : cuMemcpyDtoH_v2(mine, memory, COPY);
}

static CUgraphExec graph_make(void)
{
    CUDA_KERNEL_NODE_PARAMS kernel = {.func = function,
                                      .gridDimX = 1,
                                      .gridDimY = 1,
                                      .gridDimZ = 1,
                                      .blockDimX = 64,
                                      .blockDimY = 1,
                                      .blockDimZ = 1,
                                      .kernelParams = (void *[]){&rounds, &memory, &sink}};
    CUgraphNode node, before = NULL;
    CUgraphExec exec;
    CUgraph graph;

    CHECK(cuGraphCreate(&graph, 0));
    for (unsigned i = 0; i < NODES; i++, before = node)
        CHECK(cuGraphAddKernelNode_v2(&node, graph, before ? &before : NULL, before != NULL,
                                      &kernel));
    CHECK(cuGraphInstantiateWithFlags(&exec, graph, 0));
    return exec;
}

static CUresult graph_step(void)
{
    static CUgraphExec exec;

    if (!exec)
        exec = graph_make();
    return cuGraphLaunch(exec, NULL);
}

static const char *text_make(void)
{
    static char *text;
    size_t n = 0, room = FUNCTIONS * 65536u;

    if (text)
        return text;
    text = malloc(room);
    n += (size_t)snprintf(text, room, ".version 7.0\n.target sm_50\n.address_size 64\n");
    for (unsigned f = 0; f < FUNCTIONS; f++) {
        n += (size_t)snprintf(text + n, room - n,
                              ".visible .entry f%u(.param .u64 p)\n{\n.reg .b32 %%r<%u>;\n"
                              "mov.u32 %%r0, %%tid.x;\n",
                              f, LINES + 1);
        for (unsigned i = 0; i < LINES; i++)
            n += (size_t)snprintf(text + n, room - n, "mad.lo.u32 %%r%u, %%r%u, %%r0, %u;\n", i + 1,
                                  i, f + i);
        n += (size_t)snprintf(text + n, room - n, "ret;\n}\n");
    }
    return text;
}

static CUresult big_step(void)
{
    CUmodule m;
    CUresult r = cuModuleLoadData(&m, text_make());

    return r ? r : cuModuleUnload(m);
}

static CUresult link_step(void)
{
    CUlinkState state;
    void *image;
    size_t size;
    char *text = (char *)text_make();
    CUresult r = cuLinkCreate_v2(0, NULL, NULL, &state);

    if (!r)
        r = cuLinkAddData_v2(state, CU_JIT_INPUT_PTX, text, strlen(text) + 1, "big", 0, NULL, NULL);
    if (!r)
        r = cuLinkComplete(state, &image, &size);
    return r ? r : cuLinkDestroy(state);
}

static const struct mode {
    const char *name;
    CUresult (*step)(void);
    const char *file, *function;
} modes[] = {{"flood", flood_step, NULL, NULL},
             {"nosync", nosync_step, "busy.ptx", "busy"},
             {"endless", endless_step, "spin.ptx", "spin"},
             {"sleep", sleep_step, NULL, NULL},
             {"copies", copies_step, NULL, NULL},
             {"load", load_step, NULL, NULL},
             {"sets", sets_step, NULL, NULL},
             {"sends", sends_step, NULL, NULL},
             {"graphs", graph_step, "busy.ptx", "busy"},
             {"big", big_step, NULL, NULL},
             {"link", link_step, NULL, NULL}};

static const struct mode *mode_find(const char *name)
{
    for (size_t i = 0; name && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, name))
            return &modes[i];
    fprintf(stderr,
            "usage: cuda_cheat flood | nosync ROUNDS | endless | sleep | copies | load | sets | "
            "sends | graphs ROUNDS | big | link\n");
    exit(2);
}

int main(int argc, char **argv)
{
    const struct mode *mode = mode_find(argv[1]);
    CUresult r = CUDA_SUCCESS;

    rounds = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    open_device();
    if (mode->file)
        function = load_function(mode->file, mode->function);
    memory = upload(NULL, COPY);
    sink = upload(NULL, COPY);
    CHECK(cuMemsetD32(memory, 0, 16));
    puts("at work");
    fflush(stdout);
    while (!r)
        r = mode->step();
    printf("lost %s\n", error_name(r));
    return 3;
}
