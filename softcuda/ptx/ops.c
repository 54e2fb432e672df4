/* The names of handlers, and the choice of their build for this CPU. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include "protocol/base.h"
#include "softcuda/ptx/exec.h"

#define UN(name, ...)   #name,
#define BIN(name, ...)  #name,
#define TER(name, ...)  #name,
#define CMP(name, ...)  #name,
#define CMPH(name, ...) #name,
#define PRED(name, ...) #name,
#define SPECIAL(name)   #name,
static const char *const names[] = {
    "",
#include "softcuda/ptx/ops.def"
};

enum { COUNT = XG_ARRAY_LEN(names), TABLE = 4096 };
static uint16_t table[TABLE];
static sc_handler *const *handlers;
unsigned sc_op_label;

static uint32_t table_index(const char *name)
{
    uint32_t h = sc_name_hash(name, strlen(name));
    return (h ^ h >> 13) & (TABLE - 1);
}

#if defined(__x86_64__) && !defined(SC_BASE_ONLY)
static bool cpu_has_v3(void)
{
    unsigned a, b, c, d;
    __builtin_cpu_init();
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_F16C))
        return false;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

static bool cpu_has_v4(void)
{
    return cpu_has_v3() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

static void table_init(void)
{
    _Static_assert(COUNT < TABLE / 2 && COUNT < UINT16_MAX, "table of handlers");
    for (unsigned i = 1; i < COUNT; i++) {
        uint32_t n = table_index(names[i]);
        while (table[n])
            n = (n + 1) & (TABLE - 1);
        table[n] = (uint16_t)i;
    }
    for (unsigned i = 1; i < COUNT; i++)
        if (!strcmp(names[i], "label"))
            sc_op_label = i;
    /* For tests, SOFTCUDA_ISA=base|v3|v4 chooses a build for older CPUs. */
    const char *want = getenv("SOFTCUDA_ISA");
    handlers = sc_table_base;
    (void)want;
#if defined(__x86_64__) && !defined(SC_BASE_ONLY)
    bool base = want && !strcmp(want, "base"), v3 = want && !strcmp(want, "v3");
    if (!base && cpu_has_v3())
        handlers = sc_table_v3;
    if (!base && !v3 && cpu_has_v4())
        handlers = sc_table_v4;
#endif
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

unsigned sc_op_find(const char *name)
{
    pthread_once(&once, table_init);
    for (uint32_t n = table_index(name); table[n]; n = (n + 1) & (TABLE - 1))
        if (!strcmp(names[table[n]], name))
            return table[n];
    return 0;
}

const char *sc_op_name(unsigned op)
{
    return op < COUNT ? names[op] : "";
}

sc_handler *sc_op_handler(unsigned op)
{
    pthread_once(&once, table_init);
    return handlers[op];
}
