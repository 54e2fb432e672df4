/* INIT: what the guest must know of the device, and the addresses that both sides agree on. */
#include "backend/cuda/replay.h"
#include "cuda/identity.h"

#include "cuda/handlers.h"

#define WINDOW_ALIGN ((uint64_t)2 << 20)
#define WINDOW_MAX   ((uint64_t)4 << 40)

/* The guest's address is a hint for the driver, which may choose another one, or refuse the hint
 * and accept any other. */
static bool window_find(struct cu_worker *w, uint64_t hint, uint64_t size, CUdeviceptr *got)
{
    return w->d.cuMemAddressReserve(got, size, WINDOW_ALIGN, hint, 0) == CUDA_SUCCESS ||
           w->d.cuMemAddressReserve(got, size, WINDOW_ALIGN, 0, 0) == CUDA_SUCCESS;
}

/* If the driver chose another address than the guest proposed, it is kept and offered to the guest,
 * which tries to reserve it too and sends INIT again. A new reservation could lie elsewhere. */
static void window_reserve(struct cu_worker *w, const struct xg_cuda_init *a,
                           struct xg_cuda_init_reply *rep)
{
    CUdeviceptr address = w->window;

    if (!w->d.cuMemAddressReserve || !w->d.cuMemAddressFree || !w->d.cuMemCreate ||
        !w->d.cuMemMap || !w->d.cuMemSetAccess || !w->d.cuMemUnmap || !w->d.cuMemRelease ||
        !w->d.cuMemGetAllocationGranularity)
        return;
    if (w->window_size && (a->window != w->window || a->window_size != w->window_size)) {
        w->d.cuMemAddressFree(w->window, w->window_size);
        w->window_size = 0;
    }
    if (a->window_size == 0 || a->window_size > WINDOW_MAX ||
        ((a->window | a->window_size) & (WINDOW_ALIGN - 1)))
        return;
    if (!w->window_size && !window_find(w, a->window, a->window_size, &address))
        return;
    w->window = rep->window = address;
    w->window_size = rep->window_size = a->window_size;
    if (address == a->window)
        w->flags |= XG_CUDA_HAS_WINDOW;
}

static uint64_t map_granularity(struct cu_worker *w)
{
    CUmemAllocationProp prop = {
        .type = CU_MEM_ALLOCATION_TYPE_PINNED,
        .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = w->device},
    };
    size_t size = 0;

    if (!w->d.cuMemGetAllocationGranularity ||
        w->d.cuMemGetAllocationGranularity(&size, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM) !=
            CUDA_SUCCESS)
        return 0;
    return size && (size & (size - 1)) == 0 ? size : 0;
}

static void snapshot_attributes(struct cu_worker *w, struct xg_cuda_snapshot *snap)
{
    for (int i = 1; i < CU_DEVICE_ATTRIBUTE_MAX; i++) {
        int value;
        if (w->d.cuDeviceGetAttribute(&value, (CUdevice_attribute)i, w->device) == CUDA_SUCCESS) {
            snap->attribute[i] = value;
            snap->attribute_known[i / 32] |= 1u << (i % 32);
        }
    }
}

static void context_failed(struct cu_worker *w, const struct xg_cuda_snapshot *snap, CUresult r)
{
    int mode = snap->attribute[CU_DEVICE_ATTRIBUTE_COMPUTE_MODE];

    xg_worker_log(w->worker, "CUDA: no context can be made: %s%s", xg_cu_error_text(r),
                  mode == CU_COMPUTEMODE_DEFAULT
                      ? ""
                      : "; the device's compute mode keeps other programs out, which 'nvidia-smi "
                        "-c DEFAULT' changes");
}

/* Limits and priorities belong to a context. So one is made and asked; the application's first
 * context will be this one. */
static void snapshot_context(struct cu_worker *w, struct xg_cuda_snapshot *snap)
{
    CUcontext ctx = NULL;

    memset(snap->limit, 0xff, sizeof(snap->limit));
    memcpy(w->limit, snap->limit, sizeof(w->limit));
    xg_cu_device_pause(w);
    CUresult r = xg_cu_ctx_first(w, &ctx);
    xg_cu_device_resume(w);
    if (r != CUDA_SUCCESS) {
        context_failed(w, snap, r);
        return;
    }
    xg_cu_arena_register(w, ctx);
    w->d.cuCtxSetCurrent(ctx);
    for (unsigned i = 0; i < XG_CUDA_LIMITS; i++) {
        size_t value;
        if (w->d.cuCtxGetLimit(&value, (CUlimit)i) == CUDA_SUCCESS)
            snap->limit[i] = value;
    }
    memcpy(w->limit, snap->limit, sizeof(w->limit));
    if (w->d.cuCtxGetStreamPriorityRange)
        w->d.cuCtxGetStreamPriorityRange(&snap->priority_least, &snap->priority_greatest);
}

/* Made for each guest: two guests on one pGPU have two UUIDs, which stay the same over restarts. */
static void snapshot_uuid(struct cu_worker *w, struct xg_cuda_snapshot *snap)
{
    char device[XG_CUDA_UUID_TEXT] = "";
    const char *const part[] = {xg_worker_guest(w->worker), w->pgpu, device};
    CUuuid uuid;

    if (w->d.cuDeviceGetUuid_v2 && w->d.cuDeviceGetUuid_v2(&uuid, w->device) == CUDA_SUCCESS)
        xg_cuda_uuid_text((const uint8_t *)uuid.bytes, device);
    xg_cuda_uuid_make(snap->uuid, part, XG_ARRAY_LEN(part));
}

static CUresult snapshot_take(struct cu_worker *w, struct xg_cuda_snapshot *snap, bool pins)
{
    int version = 0;
    size_t total = 0;
    CUresult r = w->d.cuDriverGetVersion(&version);

    if (r == CUDA_SUCCESS)
        r = w->d.cuDeviceTotalMem_v2(&total, w->device);
    if (r == CUDA_SUCCESS)
        r = w->d.cuDeviceGetName(snap->name, sizeof(snap->name), w->device);
    if (r != CUDA_SUCCESS)
        return r;
    snap->driver_version = (uint32_t)version;
    snap->total_memory = w->total_memory = total;
    atomic_store(&w->device_free, (int64_t)total);
    snapshot_attributes(w, snap);
    w->threads = (uint64_t)snap->attribute[CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT] *
                 (uint64_t)snap->attribute[CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR];
    w->integrated = snap->attribute[CU_DEVICE_ATTRIBUTE_INTEGRATED] == 1;
    /* After such an error a vendor's driver is useless in all of the process, softcuda only in the
     * context. */
    w->errors_spread = strncmp(snap->name, "softcuda", 8) != 0;
    if (pins) {
        w->flags |= XG_CUDA_PINS;
        xg_cu_arena_pieces(
            w, snap->attribute[CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM] == 1);
    }
    w->flags |= XG_CUDA_HOST_RING;
    snapshot_uuid(w, snap);
    if (w->d.cuDeviceGetLuid &&
        w->d.cuDeviceGetLuid(snap->luid, &snap->node_mask, w->device) == CUDA_SUCCESS)
        snap->luid_known = 1;
    if (w->d.cuDeviceGetPCIBusId)
        w->d.cuDeviceGetPCIBusId(snap->pci_bus, sizeof(snap->pci_bus), w->device);
    snapshot_context(w, snap);
    return CUDA_SUCCESS;
}

uint32_t xg_cu_init(struct cu_worker *w, const struct xg_cuda_init *a)
{
    struct xg_cuda_init_reply rep = {.result = CUDA_SUCCESS};
    static struct xg_cuda_snapshot snap; /* one worker per process, one INIT per worker */

    if (a->version != XG_CUDA_WIRE_VERSION)
        return CUDA_ERROR_SYSTEM_DRIVER_MISMATCH;
    if (!w->arena)
        w->arena = w->ring->arena;
    struct xg_cuda_shared *shared = xg_cu_arena_at(w, a->shared, 0, sizeof(*shared));
    void *where = xg_cu_arena_at(w, a->snapshot, 0, sizeof(snap));
    if (!shared || !where)
        return xg_cu_protocol_fail(w, "INIT names no place in the arena");
    if (w->flags & XG_CUDA_HAS_WINDOW)
        return xg_cu_protocol_fail(w, "INIT twice");
    if (!w->ready) {
        xg_cu_arena_place(w, a->arena);
        CUresult r = snapshot_take(w, &snap, a->options & XG_CUDA_INIT_PINS);
        if (r != CUDA_SUCCESS)
            return r;
        w->shared = shared;
    }
    w->granularity = map_granularity(w);
    if (w->granularity)
        window_reserve(w, a, &rep);
    snap.granularity = w->granularity;
    snap.flags = w->flags;
    snap.arena_device = w->arena_device;
    memcpy(where, &snap, sizeof(snap));
    rep.flags = w->flags;
    w->ready = true;
    xg_cu_memory_word(w);
    xg_cu_reply(w, &rep, sizeof(rep));
    return CUDA_SUCCESS;
}
