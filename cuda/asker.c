#include "cuda/asker.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base.h"

#define CALLERS 16u
#define TOLD    8u

/* So many functions only a runtime asks for: it wants some 440. A program asks for those that it
 * uses. */
#define RUNTIME_NAMES 100u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    const void *at; /* a place that calls cuGetProcAddress */
    unsigned calls; /* of all places in the same 64 KiB: a runtime has one for each name */
} callers[CALLERS];
static const void *told[TOLD]; /* the libraries that the user has been told of: their addresses */

void xg_cuda_asker_note(const void *caller)
{
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < CALLERS; i++) {
        if (callers[i].at && (uintptr_t)callers[i].at >> 16 != (uintptr_t)caller >> 16)
            continue;
        callers[i].at = caller;
        callers[i].calls++;
        break;
    }
    pthread_mutex_unlock(&lock);
}

/* The lock is held. */
static bool is_runtime(const void *base)
{
    unsigned calls = 0;
    Dl_info info;

    for (unsigned i = 0; i < CALLERS && callers[i].at; i++)
        if (dladdr(callers[i].at, &info) && info.dli_fbase == base)
            calls += callers[i].calls;
    return calls >= RUNTIME_NAMES;
}

/* True the first time. */
static bool is_news(const void *base)
{
    unsigned i = 0;

    while (i < TOLD && told[i] && told[i] != base)
        i++;
    if (i == TOLD || told[i])
        return false;
    told[i] = base;
    return true;
}

static bool is_program(const char *path)
{
    char self[PATH_MAX], named[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n <= 0)
        return false;
    self[n] = 0;
    return realpath(path, named) && strcmp(self, named) == 0;
}

/* Finds our own runtime of that name: in the folder of the library at `own`, or one above it. */
static bool runtime_find(const void *own, const char *name, char *path, size_t size)
{
    char folder[PATH_MAX];
    Dl_info info;

    if (!dladdr(own, &info) || !realpath(info.dli_fname, folder))
        return false;
    for (unsigned up = 0; up < 2 && strrchr(folder, '/'); up++) {
        *strrchr(folder, '/') = 0;
        if (snprintf(path, size, "%s/%s", folder, name) < (int)size && access(path, R_OK) == 0)
            return true;
    }
    return false;
}

static void say_shared(const char *path, const char *name, const void *own, const char *prefix,
                       char *text, size_t size)
{
    char ours[PATH_MAX];
    int n = snprintf(text, size,
                     "%s: this program has loaded the vendor's CUDA runtime, %s,\n"
                     "%s: which works only with the vendor's own driver library. ",
                     prefix, path, prefix);

    if (n < 0 || n >= (int)size)
        return;
    if (runtime_find(own, name, ours, sizeof(ours)))
        snprintf(text + n, size - (size_t)n,
                 "That folder is in the program or in one of its libraries\n"
                 "%s: (RPATH), or in LD_LIBRARY_PATH. Remove it there (patchelf --remove-rpath), "
                 "or load xengpu's runtime first:\n"
                 "%s: LD_PRELOAD=%s\n",
                 prefix, prefix, ours);
    else
        snprintf(text + n, size - (size_t)n,
                 "xengpu brings libcudart.so.12 and libcudart.so.13:\n"
                 "%s: use a build of the program for one of these.\n",
                 prefix);
}

static void say_program(const char *path, const char *prefix, char *text, size_t size)
{
    snprintf(
        text, size,
        "%s: this program, %s, has the CUDA runtime linked into it statically, which\n"
        "%s: works only with the vendor's own driver library. Build it with the shared runtime "
        "instead: nvcc -cudart shared ...\n"
        "%s: (CMake: CUDA_RUNTIME_LIBRARY Shared); xengpu then brings the runtime, libcudart.so.\n",
        prefix, path, prefix, prefix);
}

static void say_library(const char *path, const char *prefix, char *text, size_t size)
{
    snprintf(text, size,
             "%s: the library %s has the CUDA runtime linked into it statically,\n"
             "%s: which works only with the vendor's own driver library: the library's CUDA calls "
             "fail. If it is yours, build\n"
             "%s: it with nvcc -cudart shared; otherwise use a build of it that was made so, or "
             "make the program work without it.\n",
             prefix, path, prefix, prefix);
}

/* A part of a tool that works inside a driver. Without the tables it may do anything:
 * compute-sanitizer's crashes. */
static bool is_tool(const char *name)
{
    static const char *const parts[] = {"libsanitizer-", "libInterceptorInjection",
                                        "libTreeLauncher", "libToolsInjection", "libcuinj64"};

    for (size_t i = 0; i < XG_ARRAY_LEN(parts); i++)
        if (!strncmp(name, parts[i], strlen(parts[i])))
            return true;
    return false;
}

static void say_tool(const char *path, const char *prefix, char *text, size_t size)
{
    snprintf(text, size,
             "%s: %s is a tool that works only inside the vendor's own driver library,\n"
             "%s: as compute-sanitizer and Nsight do; it may crash here. Use it on the device "
             "itself, without xengpu.\n",
             prefix, path, prefix);
}

bool xg_cuda_asker_fails(const void *caller, const void *own, const char *prefix, char *text,
                         size_t size)
{
    const char *name;
    Dl_info info;
    bool tell;

    if (!dladdr(caller, &info) || !info.dli_fname)
        return false;
    name = strrchr(info.dli_fname, '/');
    name = name ? name + 1 : info.dli_fname;
    bool shared = strncmp(name, "libcudart", strlen("libcudart")) == 0;
    pthread_mutex_lock(&lock);
    tell = (shared || is_tool(name) || is_runtime(info.dli_fbase)) && is_news(info.dli_fbase);
    pthread_mutex_unlock(&lock);
    if (!tell)
        return false;
    if (shared)
        say_shared(info.dli_fname, name, own, prefix, text, size);
    else if (is_tool(name))
        say_tool(info.dli_fname, prefix, text, size);
    else if (is_program(info.dli_fname))
        say_program(info.dli_fname, prefix, text, size);
    else
        say_library(info.dli_fname, prefix, text, size);
    return true;
}

bool xg_cuda_tool_wanted(const char *prefix, char *text, size_t size)
{
    const char *tool = getenv("CUDA_INJECTION64_PATH");

    if (!tool || !*tool)
        return false;
    snprintf(text, size,
             "%s: CUDA_INJECTION64_PATH asks for the tool %s, and tools of its kind "
             "(compute-sanitizer,\n"
             "%s: Nsight, CUPTI) work only inside the vendor's own driver library. It is not "
             "loaded, and the program runs without it.\n"
             "%s: Use the tool on the device itself, without xengpu.\n",
             prefix, tool, prefix, prefix);
    return true;
}
