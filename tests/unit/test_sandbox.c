/* What a sandboxed worker cannot do, tried one by one, and what drivers need, which still works.
 * links: obj/libworker.a obj/libprotocol.a -lseccomp -lxengnttab -lxenevtchn */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>
#include <sys/ptrace.h>

#include "tests/unit/loopback.h"
#include "backend/worker/internal.h"

#define REFUSED(call, why) \
    do { \
        errno = 0; \
        if ((call) >= 0 || errno != (why)) { \
            fprintf(stderr, "%s: errno %d, not %d\n", #call, errno, why); \
            bad++; \
        } \
    } while (0)

static void *thread(void *arg)
{
    *(int *)arg = 1;
    return NULL;
}

static int tries(void)
{
    struct xg_spawn_request req = {.sandbox = true, .guest = "test", .command = "test", .uid = 65534, .gid = 65534};
    struct xg_worker w = {.req = &req};
    char *const argv[] = {"true", NULL};
    struct sched_param sp = {0};
    int bad = 0, ran = 0;
    pthread_t t;

    if (xg_worker_sandbox(&w) != 0)
        return 100;
    REFUSED(execv("/bin/true", argv), EPERM);
    REFUSED(fork(), EPERM);
    REFUSED(socket(AF_UNIX, SOCK_STREAM, 0), EPERM);
    REFUSED(ptrace(PTRACE_TRACEME, 0, 0, 0), EPERM);
    REFUSED(kill(getppid(), 0), EPERM);
    REFUSED(unshare(CLONE_NEWUSER), EPERM);
    REFUSED(setuid(0), EPERM);
    REFUSED(open("/tmp/xg-sandbox-test", O_CREAT | O_WRONLY, 0600), EACCES);
    REFUSED(open("/tmp", O_RDONLY), EACCES);
    REFUSED(unlink("/tmp/xg-sandbox-test"), EPERM);
    if (geteuid() == 0)
        bad++;
    /* What drivers need. */
    if (open("/etc/passwd", O_RDONLY) < 0 || open("/dev/null", O_RDWR) < 0)
        bad++;
    if (pthread_create(&t, NULL, thread, &ran) || pthread_join(t, NULL) || !ran)
        bad++;
    if (mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
        bad++;
    if (sched_getparam(0, &sp) < 0)
        bad++;
    return bad;
}

static void sandbox(void **state)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(tries());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sandbox)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
