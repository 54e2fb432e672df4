/* Start and settings, and what this library exports. */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "softcuda/driver/device.h"
#include "softcuda/driver/sc.h"

struct sc_settings sc_settings;
pthread_mutex_t sc_lock = PTHREAD_MUTEX_INITIALIZER;

void sc_say(const char *format, ...)
{
    va_list args;

    if (!sc_settings.verbose)
        return;
    va_start(args, format);
    fputs("softcuda: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

CUresult sc_result(enum sc_status status)
{
    switch (status) {
    case SC_OK: return CUDA_SUCCESS;
    case SC_ERR_NO_MEMORY: return CUDA_ERROR_OUT_OF_MEMORY;
    case SC_ERR_SYNTAX: return CUDA_ERROR_INVALID_PTX;
    case SC_ERR_UNSUPPORTED: return CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
    case SC_ERR_UNRESOLVED: return CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND;
    case SC_ERR_INVALID: return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
    case SC_ERR_FAULT: return CUDA_ERROR_ILLEGAL_ADDRESS;
    case SC_ERR_MISALIGNED: return CUDA_ERROR_MISALIGNED_ADDRESS;
    case SC_ERR_ASSERT: return CUDA_ERROR_ASSERT;
    case SC_ERR_TRAP: return CUDA_ERROR_LAUNCH_FAILED;
    case SC_ERR_STACK: return CUDA_ERROR_HARDWARE_STACK_ERROR;
    case SC_ERR_TIMEOUT: return CUDA_ERROR_LAUNCH_TIMEOUT;
    case SC_ERR_ABORTED: return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    }
    return CUDA_ERROR_UNKNOWN;
}

/* "4G", "512M", "65536"; 0 if it is none of that. */
static uint64_t parse_size(const char *text)
{
    char *end;
    unsigned long long v = strtoull(text, &end, 0);

    switch (*end) {
    case 'T':
    case 't': v <<= 10; /* fall through */
    case 'G':
    case 'g': v <<= 10; /* fall through */
    case 'M':
    case 'm': v <<= 10; /* fall through */
    case 'K':
    case 'k':
        v <<= 10;
        end++;
        break;
    }
    return *end ? 0 : v;
}

/* Three quarters of what this process may have at all. */
static uint64_t default_memory(void)
{
    uint64_t total = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    FILE *f = fopen("/sys/fs/cgroup/memory.max", "re");
    unsigned long long limit;

    if (f) {
        if (fscanf(f, "%llu", &limit) == 1 && limit < total)
            total = limit;
        fclose(f);
    }
    return total / 4 * 3 & ~(((uint64_t)2 << 20) - 1);
}

static void read_settings(void)
{
    const char *s;

    sc_settings.memory = default_memory();
    if ((s = getenv("SOFTCUDA_MEMORY")) && parse_size(s))
        sc_settings.memory = parse_size(s);
    sc_settings.timeout_ns = 30 * 1000000000ull;
    if ((s = getenv("SOFTCUDA_TIMEOUT_MS")))
        sc_settings.timeout_ns = strtoull(s, NULL, 0) * 1000000;
    /* 9.0: the highest for which common programs ship PTX and whose PTX needs nothing that only
     * later devices have; every lower one loads as well. */
    sc_settings.cc_major = 9;
    if ((s = getenv("SOFTCUDA_COMPUTE_CAPABILITY"))) {
        int major = 0, minor = 0;
        if (sscanf(s, "%d.%d", &major, &minor) >= 1 && major >= 3 && major < 100 && minor >= 0 &&
            minor < 10) {
            sc_settings.cc_major = major;
            sc_settings.cc_minor = minor;
        }
    }
    s = getenv("SOFTCUDA_VERBOSE");
    sc_settings.verbose = s && *s && strcmp(s, "0") != 0;
}

/* The executors do not exist in a child; like a real driver, it refuses to work there. */
CUresult sc_start(bool forked)
{
    if (forked)
        return CUDA_ERROR_NOT_INITIALIZED;
    read_settings();
    if (!sc_device_init())
        return CUDA_ERROR_NO_DEVICE;
    return sc_mem_init() ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
}

CUresult sc_not_supported(void)
{
    CUresult r = xg_cuda_ready();

    return r ? r : CUDA_ERROR_NOT_SUPPORTED;
}

/* --- what this library exports ---------------------------------------------------------------- */

/* Looks in this library alone: another libcuda in the process is not ours to hand out. */
void *sc_symbol_find(const char *symbol)
{
    static _Atomic(void *) self;
    void *handle = atomic_load(&self);
    Dl_info info;

    if (!handle) {
        if (!dladdr((void *)cuInit, &info) || !info.dli_fname)
            return NULL;
        handle = dlopen(info.dli_fname, RTLD_NOLOAD | RTLD_LAZY);
        if (!handle) /* linked into a program */
            handle = dlopen(NULL, RTLD_LAZY);
        atomic_store(&self, handle);
    }
    return handle ? dlsym(handle, symbol) : NULL;
}
