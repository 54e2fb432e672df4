/*
 * Memory that runs out: preloaded into xengpud, it lets one malloc, calloc, realloc, aligned_alloc,
 * strdup, asprintf, fdopen or open_memstream of xengpud's own code fail, in the daemon, in its
 * spawner, in its workers or in its guests' agents, which are told apart by their command lines.
 * Libraries, drivers among them, always get theirs.
 *
 * XG_FAIL_FILE names a file of four 32-bit numbers, shared with the test: whose (1 the daemon's, 2
 * a worker's, 3 an agent's, 4 the spawner's, 0 nobody's), how many calls succeed before the one
 * that fails, how many there were, and the place in the program that it failed at, for addr2line.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum { NOBODY, DAEMON, WORKER, AGENT, SPAWNER };

struct control {
    _Atomic uint32_t whose, before, calls, place;
};

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t align, size_t size);

static struct control *control;
static uintptr_t exe_base, exe_start, exe_end;
static uint32_t role;
static pid_t self;

static int find_exe(struct dl_phdr_info *info, size_t size, void *arg)
{
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && p->p_flags & PF_X) {
            exe_base = info->dlpi_addr;
            exe_start = info->dlpi_addr + p->p_vaddr;
            exe_end = exe_start + p->p_memsz;
        }
    }
    return 1; /* the program is the first */
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("XG_FAIL_FILE");
    char line[256] = "";
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, line, sizeof(line) - 1);

    close(fd);
    if (!path || n <= 0)
        return;
    role = strstr(line, "xengpud")         ? DAEMON
           : strstr(line, "xengpu-worker") ? WORKER
           : strstr(line, "xengpu-agent")  ? AGENT
                                           : NOBODY;
    fd = role ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    self = getpid();
    dl_iterate_phdr(find_exe, NULL);
    void *at = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at != MAP_FAILED)
        control = at;
}

/* The spawner is the daemon's child, and executes nothing; what it forks does not count before that
 * executes. */
static uint32_t role_now(void)
{
    if (getpid() == self)
        return role;
    return role == DAEMON && getppid() == self ? SPAWNER : NOBODY;
}

static int fails(const void *caller)
{
    uintptr_t at = (uintptr_t)caller;

    if (!control || at < exe_start || at >= exe_end || atomic_load(&control->whose) != role_now())
        return 0;
    if (atomic_fetch_add(&control->calls, 1) != atomic_load(&control->before))
        return 0;
    atomic_store(&control->place, (uint32_t)(at - 1 - exe_base));
    errno = ENOMEM;
    return 1;
}

EXPORT void *malloc(size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

EXPORT void *calloc(size_t n, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

EXPORT void *realloc(void *p, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(p, size);
}

EXPORT void *aligned_alloc(size_t align, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_memalign(align, size);
}

EXPORT char *strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = fails(__builtin_return_address(0)) ? NULL : __libc_malloc(n);

    return copy ? memcpy(copy, text, n) : NULL;
}

EXPORT int asprintf(char **out, const char *fmt, ...)
{
    va_list ap;

    if (fails(__builtin_return_address(0)))
        return -1;
    va_start(ap, fmt);
    int n = vasprintf(out, fmt, ap);
    va_end(ap);
    return n;
}

EXPORT FILE *open_memstream(char **text, size_t *size)
{
    static FILE *(*next)(char **, size_t *);

    if (!next)
        next = (FILE * (*)(char **, size_t *)) dlsym(RTLD_NEXT, "open_memstream");
    return fails(__builtin_return_address(0)) ? NULL : next(text, size);
}

EXPORT FILE *fdopen(int fd, const char *mode)
{
    static FILE *(*next)(int, const char *);

    if (!next)
        next = (FILE * (*)(int, const char *)) dlsym(RTLD_NEXT, "fdopen");
    return fails(__builtin_return_address(0)) ? NULL : next(fd, mode);
}

/* The daemon forgets what was preloaded; its workers shall have this, too. */
EXPORT int unsetenv(const char *name)
{
    extern char **environ;
    size_t n = strlen(name);

    if (!strcmp(name, "LD_PRELOAD"))
        return 0;
    for (char **e = environ; e && *e;) {
        if (strncmp(*e, name, n) || (*e)[n] != '=') {
            e++;
            continue;
        }
        for (char **k = e; (*k = k[1]); k++)
            ;
    }
    return 0;
}
