/* cudarem_fork: a child must not use its parent's session, may begin one of its own, and harms
 * neither by ending. */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

#include <sys/wait.h>

static void add_up(CUfunction f, const char *who)
{
    float h[1000];
    int n = 1000;

    for (int i = 0; i < n; i++)
        h[i] = (float)i;
    CUdeviceptr p = upload(h, sizeof(h));
    void *params[] = {&p, &p, &p, &n};
    CHECK(cuLaunchKernel(f, 8, 1, 1, 128, 1, 1, 0, NULL, params, NULL));
    CHECK(cuMemcpyDtoH(h, p, sizeof(h)));
    for (int i = 0; i < n; i++)
        MUST(h[i] == 2.0f * (float)i);
    CHECK(cuMemFree(p));
    printf("%s: right\n", who);
    fflush(stdout);
}

static int child(CUfunction parents)
{
    CUdeviceptr p;

    EXPECT(cuMemAlloc(&p, 100), CUDA_ERROR_NOT_INITIALIZED);
    EXPECT(cuLaunchKernel(parents, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL),
           CUDA_ERROR_NOT_INITIALIZED);
    open_device();
    EXPECT(cuLaunchKernel(parents, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL),
           CUDA_ERROR_INVALID_HANDLE);
    add_up(load_function("vectoradd.ptx", "vectoradd"), "child");
    return 0;
}

int main(void)
{
    int status;

    open_device();
    CUfunction f = load_function("vectoradd.ptx", "vectoradd");
    add_up(f, "parent");
    for (int i = 0; i < 2; i++) {
        pid_t pid = fork();
        MUST(pid >= 0);
        if (pid == 0)
            exit(child(f));
        MUST(waitpid(pid, &status, 0) == pid);
        MUST(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        add_up(f, "parent afterwards");
    }
    return 0;
}
