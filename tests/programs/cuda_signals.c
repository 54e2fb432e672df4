/* cuda_signals LIBCUDART: a signal arrives at one moment or another of a CUDA program, also while
 * the driver is being opened, and its handler calls exit, which runs what the program wants done at
 * its end. All has to end. But in the middle of malloc, which no program may leave in that way, the
 * signal waits. */
/* links: -ldl */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STATUS = 7, TRIES = 40, LIMIT_S = 5, BYTES = 1 << 20, TO_HOST = 2, TO_DEVICE = 1 };

static int (*allocate)(void **, size_t), (*release)(void *), (*wait_all)(void), (*reset)(void);
static int (*copy)(void *, const void *, size_t, int);
static void *memory;

static void at_end(void)
{
    wait_all();
    release(memory);
    reset();
}

/* --- malloc and its like, of every library of this process ------------------------------------ */

static __thread volatile int inside;
static __thread volatile sig_atomic_t pending;

static void on_signal(int signal)
{
    if (inside)
        pending = 1;
    else
        exit(STATUS);
}

static void *leave(void *result)
{
    if (--inside == 0 && pending) {
        pending = 0;
        exit(STATUS);
    }
    return result;
}

void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
    *__libc_memalign(size_t, size_t);
void __libc_free(void *);

void *malloc(size_t size)
{
    inside++;
    return leave(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    inside++;
    return leave(__libc_calloc(count, size));
}

void *realloc(void *old, size_t size)
{
    inside++;
    return leave(__libc_realloc(old, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    inside++;
    return leave(__libc_memalign(alignment, size));
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
    *block = aligned_alloc(alignment, size);
    return *block ? 0 : 12; /* ENOMEM */
}

void free(void *block)
{
    inside++;
    __libc_free(block);
    leave(NULL);
}

/* --- the program ------------------------------------------------------------------------------ */

static void child(int microseconds)
{
    static char host[BYTES];

    signal(SIGALRM, on_signal);
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value.tv_usec = microseconds}, NULL);
    atexit(at_end);
    allocate(&memory, BYTES);
    for (;;) {
        void *more = NULL;
        allocate(&more, 4096);
        copy(memory, host, BYTES, TO_DEVICE);
        copy(host, memory, BYTES, TO_HOST);
        wait_all();
        release(more);
    }
}

static int child_wait(pid_t pid)
{
    int status;

    for (int i = 0; i < LIMIT_S * 100; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
        usleep(10000);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return -SIGKILL;
}

int main(int argc, char **argv)
{
    void *lib = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
    int bad = 0;

    if (!lib)
        return 2;
    allocate = (int (*)(void **, size_t))dlsym(lib, "cudaMalloc");
    release = (int (*)(void *))dlsym(lib, "cudaFree");
    copy = (int (*)(void *, const void *, size_t, int))dlsym(lib, "cudaMemcpy");
    wait_all = (int (*)(void))dlsym(lib, "cudaDeviceSynchronize");
    reset = (int (*)(void))dlsym(lib, "cudaDeviceReset");
    for (int i = 0; i < TRIES && bad < 3; i++) {
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0)
            child(500 + i * 1700);
        int status = child_wait(pid);
        if (status != STATUS) {
            printf("after %d us: %s %d\n", 500 + i * 1700,
                   status == -SIGKILL ? "still there after seconds," : "ended otherwise,", status);
            bad++;
        }
    }
    return bad != 0;
}
