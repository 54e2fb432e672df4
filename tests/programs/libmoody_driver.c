/*
 * softcuda, but for cuInit: XG_DRIVER_PLAN has a word for each process that calls it, first to
 * last: crash, exit (with 3), hang, and after the last all is well. XG_DRIVER_COUNT is a file that
 * grows by a byte with each. A process that may not write there, such as a worker, has no part in
 * this. links: -lcuda
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void mood(void)
{
    const char *plan = getenv("XG_DRIVER_PLAN"), *file = getenv("XG_DRIVER_COUNT");
    int fd = plan && file ? open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || write(fd, "x", 1) != 1)
        return;
    for (off_t i = 0; i < st.st_size && plan; i++) {
        plan = strchr(plan, ' ');
        plan = plan ? plan + 1 : NULL;
    }
    if (plan && !strncmp(plan, "crash", 5))
        abort();
    if (plan && !strncmp(plan, "exit", 4))
        _exit(3);
    while (plan && !strncmp(plan, "hang", 4))
        pause();
}

int cuDriverGetVersion(int *version); /* softcuda's: what keeps this library linked with it */
__attribute__((visibility("default"))) int cuInit(unsigned flags);
int cuInit(unsigned flags)
{
    static int (*real)(unsigned);
    int version;
    if (!real && !cuDriverGetVersion(&version)) {
        mood();
        real = (int (*)(unsigned))dlsym(RTLD_NEXT, "cuInit");
    }
    return real ? real(flags) : 999;
}
