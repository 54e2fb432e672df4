/*
 * A CUDA driver that is an application's: in the worker that loads it, its cuInit tries to get out,
 * as XG_ESCAPE in the daemon's environment says.
 *
 *   kill   signals to the daemon, to the spawner and to other workers
 *   look   files and names that are not a worker's business
 *   flood  refused calls, for some seconds
 *   page   garbage into the page that it shares with the scheduler, as long
 *
 * All else is softcuda's, which must be in the library path.
 */
/* links: -lcuda */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
enum { VICTIMS_MAX = 64, INVALID_VALUE = 1, NOT_INITIALIZED = 3, SECONDS = 8 };

EXPORT int cuInit(unsigned flags);
int cuDriverGetVersion(int *version);

static pid_t victims[VICTIMS_MAX];
static int victim_count;

static int in_worker(void)
{
    char name[16] = "";
    prctl(PR_GET_NAME, name);
    return !strcmp(name, "xengpu-worker");
}

/* While it may: before the sandbox. */
__attribute__((constructor)) static void victims_find(void)
{
    DIR *d = in_worker() ? opendir("/proc") : NULL;
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[300], name[32] = "";
        snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
        FILE *f = fopen(path, "re");
        if (f && fgets(name, sizeof(name), f) && !strncmp(name, "xengpu", 6) &&
            atoi(e->d_name) > 0 && atoi(e->d_name) != getpid() && victim_count < VICTIMS_MAX)
            victims[victim_count++] = (pid_t)atoi(e->d_name);
        if (f)
            fclose(f);
    }
    if (d)
        closedir(d);
}

static void kill_all(void)
{
    struct rlimit none = {0};
    siginfo_t si = {.si_code = SI_QUEUE};
    for (int i = 0; i < victim_count; i++) {
        pid_t p = victims[i];
        kill(p, SIGKILL);
        syscall(SYS_tgkill, p, p, SIGKILL);
        syscall(SYS_tkill, p, SIGKILL);
        syscall(SYS_rt_sigqueueinfo, p, SIGKILL, &si);
        syscall(SYS_rt_tgsigqueueinfo, p, p, SIGKILL, &si);
        syscall(SYS_prlimit64, p, RLIMIT_NOFILE, &none, NULL);
    }
    kill(-1, SIGKILL);
    kill(0, SIGKILL);
}

/* A name that XG_ESCAPED ends, so that tests beside each other have their own. */
static const char *name_in(const char *folder)
{
    static char path[256];
    const char *own = getenv("XG_ESCAPED");
    snprintf(path, sizeof(path), "%s/xg-escaped-%s", folder, own ? own : "");
    return path;
}

static void look_around(void)
{
    (void)!open("/etc/hostname", O_RDONLY);
    (void)!open(name_in("/dev/shm"), O_CREAT | O_WRONLY, 0600);
    mkdir(name_in("/tmp"), 0700);
    rmdir(name_in("/tmp"));
}

static bool over(const struct timespec *begun)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec - begun->tv_sec >= SECONDS;
}

static void flood(const struct timespec *begun)
{
    while (!over(begun))
        mkdir(name_in("/tmp"), 0700);
}

static volatile uint32_t *page_find(size_t *words)
{
    FILE *f = fopen("/proc/self/maps", "re");
    unsigned long start = 0, end = 0;
    char line[512];
    while (f && fgets(line, sizeof(line), f))
        if (strstr(line, "xengpu-sched"))
            (void)sscanf(line, "%lx-%lx", &start, &end);
    if (f)
        fclose(f);
    *words = (end - start) / sizeof(uint32_t);
    return (uint32_t *)start;
}

/* Whatever of its descriptors wakes the scheduler is written to as well. */
static void page_scribble(const struct timespec *begun)
{
    uint64_t seed = 88172645463325252u, one = 1;
    size_t words;
    volatile uint32_t *page = page_find(&words);
    for (unsigned n = 0; words && (n % 4096 || !over(begun)); n++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        page[(seed >> 8) % words] = (uint32_t)(seed >> 32) & (seed & 1 ? 1 : UINT32_MAX);
        for (int fd = 3; n % 64 == 0 && fd < 12; fd++)
            (void)!write(fd, &one, sizeof(one));
    }
}

int cuInit(unsigned flags)
{
    const char *what = getenv("XG_ESCAPE");
    int (*init)(unsigned) = (int (*)(unsigned))dlsym(RTLD_NEXT, "cuInit");
    int version;
    struct timespec begun;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    if (flags || !init || cuDriverGetVersion(&version))
        return INVALID_VALUE;
    if (!in_worker() || !what)
        return init(flags);
    if (!strcmp(what, "kill"))
        kill_all();
    else if (!strcmp(what, "look"))
        look_around();
    else if (!strcmp(what, "flood"))
        flood(&begun);
    else
        page_scribble(&begun);
    return NOT_INITIALIZED;
}
