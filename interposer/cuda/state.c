/* The process: its worker, and the window that both sides reserve. */
#include "cuda/names.h"
#include "cuda/send.h"
#include "frontend/stats.h"

#include "cuda/identity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#define WINDOW_LARGE                                                                               \
    ((uint64_t)1 << 40) /* several times what a device has: addresses are not used again at once,  \
                           and each allocation is a piece */
#define WINDOW_SMALL ((uint64_t)64 << 30)
#define WINDOW_FIRST                                                                               \
    ((uint64_t)0x200000000000) /* far from where programs and libraries are put                    \
                                */
#define WINDOW_STEP  ((uint64_t)1 << 40)
#define WINDOW_TRIES 6u

struct cu_process cu;

/* CUDA_VISIBLE_DEVICES does not name the device that this process is connected to. */
static bool hidden;

/* The parent's worker is the parent's: the child has no device until it asks for one. */
void cu_forked(void)
{
    cu_host_ring = NULL;
    hidden = false;
}

/* --- the window ------------------------------------------------------------------------------- */

static bool window_claim(uint64_t address, uint64_t size)
{
    void *at = mmap((void *)(uintptr_t)address, size, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (at == MAP_FAILED)
        return false;
    if ((uintptr_t)at == address)
        return true;
    munmap(at, size);
    return false;
}

static CUresult send_init(uint32_t shared, uint32_t snapshot, uint64_t window, uint64_t size,
                          struct xg_cuda_init_reply *reply)
{
    const struct xg_cuda_init f = {
        .version = XG_CUDA_WIRE_VERSION,
        .shared = shared,
        .window = window,
        .window_size = size,
        .arena = (uintptr_t)cu.arena,
        .snapshot = snapshot,
        .options = XG_CUDA_INIT_PINS,
    };
    return cu_call_init(NULL, &f, reply);
}

/* Looks for a window of this size that is free here and on the device. */
static CUresult window_find(uint32_t shared, uint32_t snapshot, uint64_t size)
{
    struct xg_cuda_init_reply reply;
    uint64_t address = WINDOW_FIRST;
    CUresult r = CUDA_SUCCESS;

    for (unsigned i = 0; i < WINDOW_TRIES; i++) {
        if (!window_claim(address, size)) {
            address = WINDOW_FIRST + (i + 1) * WINDOW_STEP;
            continue;
        }
        r = send_init(shared, snapshot, address, size, &reply);
        if (r == CUDA_SUCCESS && (reply.flags & XG_CUDA_HAS_WINDOW)) {
            cu.window = address;
            cu.window_size = size;
            return r;
        }
        munmap((void *)(uintptr_t)address, size);
        if (r != CUDA_SUCCESS || !reply.window)
            return r; /* not on this device */
        address = reply.window;
    }
    return r;
}

/* Without a window, allocation asks the worker each time. */
static CUresult window_negotiate(uint32_t shared, uint32_t snapshot)
{
    struct xg_cuda_init_reply reply;
    CUresult r = window_find(shared, snapshot, WINDOW_LARGE);

    if (r == CUDA_SUCCESS && !cu.window_size)
        r = window_find(shared, snapshot, WINDOW_SMALL);
    return r != CUDA_SUCCESS || cu.window_size ? r : send_init(shared, snapshot, 0, 0, &reply);
}

/* --- cuInit ----------------------------------------------------------------------------------- */

static void limits_take(const int32_t *a)
{
    cu.limits = (struct xg_cuda_limits){
        .grid = {(unsigned)a[CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X],
                 (unsigned)a[CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y],
                 (unsigned)a[CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z]},
        .block = {(unsigned)a[CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X],
                  (unsigned)a[CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y],
                  (unsigned)a[CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z]},
        .threads = (unsigned)a[CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK],
    };
}

static CUresult connect_worker(void)
{
    struct xg_cuda_snapshot *snap;
    uint32_t where_snap = 0, where_shared = 0;
    uint64_t fd_offset;
    int fd;
    CUresult r;

    cu.channel = xg_channel_get();
    cu.ring = xg_channel_ring0(cu.channel);
    xg_stats_names(XG_API_CUDA, xg_cuda_op_names, XG_ARRAY_LEN(xg_cuda_op_names));
    if (xg_channel_error(cu.channel)) {
        fprintf(stderr, "xengpu: no CUDA: %s\n", xg_channel_error_text(cu.channel));
        return xg_channel_error(cu.channel) == -EPROTONOSUPPORT ? CUDA_ERROR_SYSTEM_DRIVER_MISMATCH
                                                                : CUDA_ERROR_SYSTEM_NOT_READY;
    }
    cu.arena = xg_arena_base(cu.channel, &cu.arena_size, &fd, &fd_offset);
    snap = xg_arena_alloc(cu.channel, sizeof(*snap), 64, &where_snap);
    cu.shared = xg_arena_alloc(cu.channel, sizeof(*cu.shared), 64, &where_shared);
    if (!snap || !cu.shared)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memset(snap, 0, sizeof(*snap));
    memset(cu.shared, 0, sizeof(*cu.shared));
    cu.window = cu.window_size = 0;
    r = window_negotiate(where_shared, where_snap);
    if (r == CUDA_SUCCESS) {
        cu.snap = *snap;
        limits_take(snap->attribute);
        cu_device_describe();
        cu_va_reset(cu.window, cu.window_size);
    } else if (r == CU_LOST || r == CUDA_ERROR_UNKNOWN ||
               r == CUDA_ERROR_NOT_SUPPORTED) { /* or a driver that lacks what is needed */
        fprintf(stderr, "xengpu: no CUDA: %s\n",
                xg_channel_error(cu.channel)
                    ? xg_channel_error_text(cu.channel)
                    : "this guest's GPU offers none (see the daemon's log)");
        r = CUDA_ERROR_NO_DEVICE;
    }
    xg_arena_free(cu.channel, snap);
    return r;
}

/* A program that wants no device gets no worker; only a UUID cannot be judged before there is one.
 */
static CUresult connect_visible(void)
{
    const char *text = getenv("CUDA_VISIBLE_DEVICES");
    unsigned order;
    CUresult r;

    if (hidden || !xg_cuda_visible(text, NULL, 1, &order))
        return CUDA_ERROR_NO_DEVICE;
    r = connect_worker();
    if (r == CUDA_SUCCESS && !xg_cuda_visible(text, &cu.snap.uuid, 1, &order)) {
        hidden = true;
        r = CUDA_ERROR_NO_DEVICE;
    }
    return r;
}

static void forget_parent(void)
{
    cu_mem_reset();
    cu_slots_reset();
    cu_images_reset();
    cu_callbacks_reset();
    cu_text_reset();
    if (cu.window_size)
        munmap((void *)(uintptr_t)cu.window, cu.window_size);
    cu.window = cu.window_size = 0; /* should the child have to ask once more */
}

CUresult cu_start(bool forked)
{
    const char *strict = getenv("XENGPU_CUDA_STRICT");

    if (forked)
        forget_parent();
    cu.strict = strict && *strict && *strict != '0';
    return connect_visible();
}

CUresult cu_not_supported(const char *what)
{
    static _Atomic int trace; /* 1: yes, -1: no */

    if (!atomic_load(&trace)) {
        const char *t = getenv("XENGPU_CUDA_TRACE");
        atomic_store(&trace, t && *t && *t != '0' ? 1 : -1);
    }
    if (atomic_load(&trace) > 0)
        fprintf(stderr, "xengpu: %s is not supported\n", what);
    XG_CUDA_READY();
    return CUDA_ERROR_NOT_SUPPORTED;
}
