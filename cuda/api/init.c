/* The start: cuInit, once for the process and each child that asks again. */
#include "cuda/api/init.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>

#include "cuda/api/capture.h"
#include "cuda/api/context.h"
#include "cuda/api/module.h"
#include "cuda/api/pool.h"
#include "cuda/asker.h"

_Atomic int xg_cuda_state = XG_CUDA_NEW;
__thread bool xg_cuda_in_host_function;

/* Recursive: a signal handler may interrupt cuInit with another. */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static bool starting, watched;

/* What the parent has is the parent's. */
static void after_fork(void)
{
    int started = XG_CUDA_STARTED;

    lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    starting = false;
    xg_cuda_in_host_function = false;
    xg_cuda_stack_reset();
    atomic_compare_exchange_strong(&xg_cuda_state, &started, XG_CUDA_FORKED);
    if (xg_cuda_device.forked)
        xg_cuda_device.forked();
}

/* Where a GPU's driver would load a tool. */
static void tool_notice(void)
{
    static bool told;
    char text[2 * PATH_MAX];

    if (!told && xg_cuda_tool_wanted(xg_cuda_device.name, text, sizeof(text)))
        fputs(text, stderr);
    told = true;
}

static void parent_forget(void)
{
    xg_cuda_handles_reset();
    xg_cuda_graphs_reset();
    xg_cuda_pools_reset();
    xg_cuda_libraries_reset();
    xg_cuda_contexts_reset();
}

/* The lock is held. */
static CUresult process_start(void)
{
    if (!watched && pthread_atfork(NULL, NULL, after_fork))
        return CUDA_ERROR_OUT_OF_MEMORY;
    watched = true;
    tool_notice();
    bool forked = atomic_load(&xg_cuda_state) == XG_CUDA_FORKED;
    if (forked)
        parent_forget();
    CUresult r = xg_cuda_device.start(forked);
    if (r == CUDA_SUCCESS)
        atomic_store_explicit(&xg_cuda_state, XG_CUDA_STARTED, memory_order_release);
    return r;
}

CUresult cuInit(unsigned flags)
{
    CUresult r = CUDA_SUCCESS;

    XG_CUDA_NEED(!flags, CUDA_ERROR_INVALID_VALUE);
    pthread_mutex_lock(&lock);
    if (starting) {
        r = CUDA_ERROR_NOT_INITIALIZED; /* in a signal handler that interrupted this very call */
    } else if (!xg_cuda_started()) {
        starting = true;
        r = process_start();
        starting = false;
    }
    pthread_mutex_unlock(&lock);
    return r;
}
