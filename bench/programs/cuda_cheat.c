/*
 * cuda_cheat MODE [ROUNDS]: a guest that takes no care of others; bench/fairness.py measures what
 * they have left. It goes on until it is killed, or until a call fails: status 3 then.
 *   flood    commands that do nearly nothing, as many as go in
 *   nosync   kernels of ROUNDS (tests/kernels/busy.cu), and it never waits for one
 *   endless  one kernel that does not end
 *   sleep    host functions that sleep, with work behind them
 *   copies   copies on the device, of 64 MiB, and it never waits for one
 *   load     modules are loaded and unloaded
 */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

enum { AHEAD = 100, COPY = 64 << 20 };

static CUfunction function;
static CUdeviceptr memory, sink;
static uint64_t rounds;

static void lost(CUresult r)
{
    printf("lost %s\n", error_name(r));
    exit(3);
}

static CUresult flood(void)
{
    return cuMemsetD32Async(memory, 1, 1, NULL);
}

static CUresult nosync(void)
{
    void *params[] = {&rounds, &memory, &sink};

    return cuLaunchKernel(function, 1, 1, 1, 64, 1, 1, 0, NULL, params, NULL);
}

static CUresult endless(void)
{
    void *params[] = {&memory};
    CUresult r = cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0, NULL, params, NULL);

    return r ? r : cuCtxSynchronize();
}

static void doze(void *arg)
{
    (void)arg;
    sleep(1);
}

static CUresult sleeping(void)
{
    CUresult r = cuLaunchHostFunc(NULL, doze, NULL);

    for (unsigned i = 0; i < AHEAD && !r; i++)
        r = cuMemsetD32Async(memory, i, 16, NULL);
    return r ? r : cuCtxSynchronize();
}

static CUresult copies(void)
{
    return cuMemcpyDtoDAsync(memory, sink, COPY, NULL);
}

static CUresult load(void)
{
    CUmodule m;
    CUresult r = cuModuleLoad(&m, kernel_path("busy.ptx"));

    return r ? r : cuModuleUnload(m);
}

static const struct mode {
    const char *name;
    CUresult (*step)(void);
    const char *file, *function;
} modes[] = {{"flood", flood, NULL, NULL},
             {"nosync", nosync, "busy.ptx", "busy"},
             {"endless", endless, "spin.ptx", "spin"},
             {"sleep", sleeping, NULL, NULL},
             {"copies", copies, NULL, NULL},
             {"load", load, NULL, NULL}};

static const struct mode *mode_find(const char *name)
{
    for (size_t i = 0; name && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, name))
            return &modes[i];
    fprintf(stderr, "usage: cuda_cheat flood | nosync ROUNDS | endless | sleep | copies | load\n");
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
    lost(r);
    return 3;
}
