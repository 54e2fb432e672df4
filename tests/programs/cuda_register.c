/*
 * cuda_register: registered memory that kernels reach. The program's memory stays where it is and
 * keeps what is in it, whatever happens: kernels and copies see it by its device pointer, a child
 * has its own, the end of the registration or of the context gives it back.
 */
/* links: -lcuda -lpthread */
#include "tests/programs/cuda_common.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { PAGE = 4096, PAGES = 16, SIZE = PAGES * PAGE, N = SIZE / 4 };

static CUfunction add;
static int by_host_pointer; /* registered memory of any shape, at one address for both */
static bool
    known; /* device pointers to host memory are addresses of this process, and copies take them */

static float *pages(unsigned count)
{
    void *p = mmap(NULL, (size_t)count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                   -1, 0);
    MUST(p != MAP_FAILED);
    return p;
}

static void fill(float *p, float first)
{
    for (int i = 0; i < N; i++)
        p[i] = first + (float)i;
}

static bool filled(const float *p, float first, float step)
{
    for (int i = 0; i < N; i++)
        if (p[i] != first + step * (float)i)
            return false;
    return true;
}

static CUdeviceptr view_of(void *p)
{
    CUdeviceptr view;

    CHECK(cuMemHostRegister(p, SIZE, CU_MEMHOSTREGISTER_DEVICEMAP));
    CHECK(cuMemHostGetDevicePointer(&view, p, 0));
    return view;
}

/* c = a + b */
static void add_in(CUstream s, CUdeviceptr a, CUdeviceptr b, CUdeviceptr c)
{
    int n = N;
    void *params[] = {&a, &b, &c, &n};

    CHECK(cuLaunchKernel(add, N / 128, 1, 1, 128, 1, 1, 0, s, params, NULL));
}

/* The pages in the middle of what the program has: the others stay as they are. */
static void kernels(void)
{
    float *all = pages(PAGES + 2), *own = all + PAGE / 4, v;
    void *host = NULL;

    memset(all, 7, (PAGES + 2) * PAGE);
    fill(own, 1);
    CUdeviceptr view = view_of(own), same = 0;
    MUST(filled(own, 1, 1));
    add_in(NULL, view, view, view);
    CHECK(cuCtxSynchronize());
    MUST(filled(own, 2, 2));
    fill(own, 5); /* seen by the next kernel, with no call in between */
    add_in(NULL, view, view, view);
    CHECK(cuCtxSynchronize());
    MUST(filled(own, 10, 2));
    if (known) {
        CHECK(cuMemcpyDtoH(&v, view + 4, sizeof(v)));
        MUST(v == 12);
        CHECK(cuPointerGetAttribute(&host, CU_POINTER_ATTRIBUTE_HOST_POINTER, view + 8));
        MUST(host == (char *)own + 8);
        EXPECT(cuMemFreeHost((void *)(uintptr_t)view), CUDA_ERROR_INVALID_VALUE);
    }
    CHECK(cuPointerGetAttribute(&same, CU_POINTER_ATTRIBUTE_DEVICE_POINTER,
                                (CUdeviceptr)(uintptr_t)own + 8));
    MUST(same == view + 8);
    MUST(by_host_pointer == (view == (CUdeviceptr)(uintptr_t)own));
    EXPECT(cuMemHostRegister(own + PAGE / 4, SIZE, CU_MEMHOSTREGISTER_DEVICEMAP),
           CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    EXPECT(cuMemFreeHost(own), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuMemHostUnregister(own));
    EXPECT(cuMemHostUnregister(own), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
    MUST(filled(own, 10, 2));
    for (int i = 0; i < PAGE; i++)
        MUST(((char *)all)[i] == 7 && ((char *)all)[SIZE + PAGE + i] == 7);
    munmap(all, (PAGES + 2) * PAGE);
    puts("kernels: ok");
}

/* Copies of it keep their place in the stream, as those of pinned memory. */
static void copies(void)
{
    float *own = pages(PAGES), *back = allocate(SIZE);
    CUdeviceptr p = upload(NULL, 2 * SIZE);
    CUstream s;

    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    fill(own, 0);
    CUdeviceptr view = view_of(own);
    for (int i = 0; i < 20; i++)
        add_in(s, view, view, view);
    CHECK(cuMemcpyHtoDAsync(p, own, SIZE, s));
    CHECK(cuMemsetD32Async(p + SIZE, 0, N, s));
    CHECK(cuMemcpyDtoHAsync(own, p + SIZE, SIZE, s));
    CHECK(cuStreamSynchronize(s));
    MUST(filled(own, 0, 0));
    CHECK(cuMemcpyDtoHAsync(own, p, SIZE, s));
    add_in(s, view, view, view);
    CHECK(cuStreamSynchronize(s));
    MUST(filled(own, 0, 1 << 21));
    CUDA_MEMCPY2D box = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                         .srcHost = own,
                         .srcPitch = 256,
                         .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                         .dstDevice = p,
                         .dstPitch = 256,
                         .WidthInBytes = 256,
                         .Height = SIZE / 256};
    CHECK(cuMemcpy2DAsync(&box, s));
    CHECK(cuStreamSynchronize(s));
    CHECK(cuMemcpyDtoH(back, p, SIZE));
    MUST(filled(back, 0, 1 << 21));
    CHECK(cuMemHostUnregister(own));
    CHECK(cuStreamDestroy(s));
    CHECK(cuMemFree(p));
    munmap(own, SIZE);
    free(back);
    puts("copies: ok");
}

static void children(void)
{
    float *own = pages(PAGES);
    int status, go[2];
    char c;

    fill(own, 3);
    CUdeviceptr view = view_of(own);
    add_in(NULL, view, view, view);
    CHECK(cuCtxSynchronize());
    MUST(!pipe(go));
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        MUST(read(go[0], &c, 1) == 1); /* the parent has changed its own meanwhile */
        MUST(filled(own, 6, 2));
        memset(own, 0, SIZE);
        EXPECT(cuMemHostUnregister(own), CUDA_ERROR_NOT_INITIALIZED);
        _exit(0);
    }
    fill(own, 50);
    MUST(write(go[1], "", 1) == 1);
    MUST(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    MUST(filled(own, 50, 1));
    add_in(NULL, view, view, view);
    CHECK(cuCtxSynchronize());
    MUST(filled(own, 100, 2));
    CHECK(cuMemHostUnregister(own));
    munmap(own, SIZE);
    close(go[0]);
    close(go[1]);
    puts("children: ok");
}

/* The end of the context is the end of the registration. */
static void contexts(CUdevice device)
{
    float *own = pages(PAGES);
    CUcontext ctx;

    fill(own, 9);
    CHECK(cuCtxCreate_v2(&ctx, 0, device));
    view_of(own);
    CHECK(cuCtxDestroy(ctx));
    MUST(filled(own, 9, 1));
    view_of(own);
    CHECK(cuMemHostUnregister(own));
    munmap(own, SIZE);
    puts("contexts: ok");
}

/* What cannot be registered is refused, and stays as it is. */
static void refused(void)
{
    CUresult want = by_host_pointer ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
    float *own = pages(PAGES);
    float *shared = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    MUST(shared != MAP_FAILED);
    fill(shared, 1);
    EXPECT(cuMemHostRegister(shared, SIZE, CU_MEMHOSTREGISTER_DEVICEMAP),
           want); /* others see it, too */
    pid_t pid = fork();
    if (pid == 0) {
        fill(shared, 2);
        _exit(0);
    }
    MUST(waitpid(pid, NULL, 0) == pid && filled(shared, 2, 1));
    if (want == CUDA_SUCCESS)
        CHECK(cuMemHostUnregister(shared));
    EXPECT(cuMemHostRegister((char *)own + 100, PAGE, CU_MEMHOSTREGISTER_DEVICEMAP),
           want); /* not whole pages */
    if (want == CUDA_SUCCESS)
        CHECK(cuMemHostUnregister((char *)own + 100));
    munmap((char *)own + PAGE, PAGE); /* a hole */
    MUST(cuMemHostRegister(own, SIZE, CU_MEMHOSTREGISTER_DEVICEMAP) != CUDA_SUCCESS);
    if (!by_host_pointer) {
        size_t huge = (size_t)1 << 33; /* more than there can be: the guest's arena */
        char *much = mmap(NULL, huge, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        MUST(much != MAP_FAILED);
        much[5] = 5;
        EXPECT(cuMemHostRegister(much, huge, CU_MEMHOSTREGISTER_DEVICEMAP),
               CUDA_ERROR_OUT_OF_MEMORY);
        MUST(much[5] == 5);
        munmap(much, huge);
    }
    munmap(shared, SIZE);
    munmap(own, SIZE);
    puts("refused: ok");
}

/* What the program has put there since is not taken from it. */
static void forgotten(void)
{
    float *own = pages(PAGES);

    view_of(own);
    munmap((char *)own + 2 * PAGE, SIZE - 3 * PAGE);
    char *new = mmap((char *)own + 4 * PAGE, PAGE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    MUST(new == (char *)own + 4 * PAGE);
    memset(new, 3, PAGE);
    CHECK(cuMemHostUnregister(own));
    for (int i = 0; i < PAGE; i++)
        MUST(new[i] == 3);
    MUST(msync((char *)own + 2 * PAGE, PAGE, MS_ASYNC) < 0); /* still a hole */
    munmap(own, SIZE);
    puts("forgotten: ok");
}

/* Threads that come and go get each other's pages of the arena. */
static void *one_thread(void *ctx)
{
    CHECK(cuCtxSetCurrent(ctx));
    for (int i = 0; i < 50; i++) {
        float *own = pages(PAGES);
        fill(own, (float)i);
        CUdeviceptr view = view_of(own);
        add_in(NULL, view, view, view);
        CHECK(cuMemHostUnregister(own));
        MUST(filled(own, 2 * (float)i, 2));
        munmap(own, SIZE);
    }
    return NULL;
}

static void threads(CUcontext ctx)
{
    pthread_t t[4];

    for (int i = 0; i < 4; i++)
        MUST(!pthread_create(&t[i], NULL, one_thread, ctx));
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    puts("threads: ok");
}

int main(void)
{
    CUcontext ctx = open_device();
    CUdevice device;

    CHECK(cuDeviceGet(&device, 0));
    CHECK(cuDeviceGetAttribute(
        &by_host_pointer, CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM, device));
    void *pinned;
    CUdeviceptr view;
    CHECK(cuMemAllocHost(&pinned, PAGE));
    CHECK(cuMemHostGetDevicePointer(&view, pinned, 0));
    known = view == (CUdeviceptr)(uintptr_t)pinned;
    CHECK(cuMemFreeHost(pinned));
    add = load_function("vectoradd.ptx", "vectoradd");
    kernels();
    copies();
    children();
    contexts(device);
    refused();
    forgotten();
    threads(ctx);
    return 0;
}
