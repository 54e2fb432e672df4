/* Awkward ways to make a worker hold more memory than was counted.
 *
 *     cuda_hogs WAY    goes on until the first error, says which, and waits for a line on stdin */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

#include <stdarg.h>

#define HEAD ".version 6.4\n.target sm_70\n.address_size 64\n"

static char text[4 << 20];
static size_t text_used;

__attribute__((format(printf, 1, 2))) static void put(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    text_used += (size_t)vsnprintf(text + text_used, sizeof(text) - text_used, format, ap);
    va_end(ap);
    MUST(text_used < sizeof(text));
}

/* Each text is another one: what is loaded already would be found again. */
static CUresult load(unsigned round)
{
    CUmodule m;

    put("// %u\n", round);
    return cuModuleLoadData(&m, text);
}

static CUresult used_streams(unsigned round)
{
    static CUfunction f;
    CUmodule m;
    CUstream s;
    CUresult r;

    if (!f) {
        CHECK(cuModuleLoadData(&m, HEAD ".visible .entry empty()\n{\nret;\n}\n"));
        CHECK(cuModuleGetFunction(&f, m, "empty"));
    }
    r = cuStreamCreate(&s, CU_STREAM_NON_BLOCKING);
    if (r == CUDA_SUCCESS)
        r = cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, s, NULL, NULL);
    return r == CUDA_SUCCESS && round % 64 == 0 ? cuCtxSynchronize() : r;
}

static CUresult variables(unsigned round)
{
    text_used = 0;
    put(HEAD);
    for (unsigned i = 0; i < 20000; i++)
        put(".global .u32 v%u;\n", i);
    return load(round);
}

static CUresult functions(unsigned round)
{
    text_used = 0;
    put(HEAD);
    for (unsigned i = 0; i < 20000; i++)
        put(".entry f%u(){ret;}\n", i);
    return load(round);
}

static CUresult registers(unsigned round)
{
    text_used = 0;
    put(HEAD ".visible .entry f(.param .u64 p)\n{\n.reg .b64 %%r<1000000>;\nld.param.u64 "
             "%%r999999,[p];\nst.u64 [%%r999999],%%r999999;\nret;\n}\n");
    return load(round);
}

static const struct way {
    const char *name;
    CUresult (*once)(unsigned round);
} ways[] = {
#define WAY(name)                                                                                  \
    {                                                                                              \
#name, name                                                                                \
    }
    WAY(used_streams),
    WAY(variables),
    WAY(functions),
    WAY(registers),
};

int main(int argc, char **argv)
{
    CUresult r = CUDA_SUCCESS;
    unsigned round = 0;

    open_device();
    for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        if (argc < 2 || strcmp(argv[1], ways[i].name) != 0)
            continue;
        while (!r && round < 1000000)
            r = ways[i].once(round++);
        printf("%s: %u rounds, then %s\n", ways[i].name, round, error_name(r));
        fflush(stdout);
        (void)!getchar();
        return r == CUDA_ERROR_OUT_OF_MEMORY ? 0 : 1;
    }
    return 1;
}
