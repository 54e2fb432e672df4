/* A driver that can be stopped in the middle of a kernel: softcuda. It gives the device back as
 * soon as another guest wants it. */
#include "backend/cuda/replay.h"

#include <dlfcn.h>

#include "softcuda/gate.h"

/* Runs on a thread of the driver, or on a thread in a call of the driver. Such a thread may hold
 * any of our locks, so this takes none. */
static void device_yield(void *arg)
{
    struct cu_worker *w = arg;
    struct xg_hold *const holds[] = {&w->hold, xg_worker_ring_hold(w->ring)};

    xg_hold_lend(w->worker, holds, XG_ARRAY_LEN(holds));
}

void xg_cu_preempt_start(struct cu_worker *w)
{
    void (*set)(const struct softcuda_gate *) = NULL;
    struct softcuda_gate gate = {.yield = device_yield, .arg = w};

    *(void **)&set = dlsym(w->d.library, "softcuda_gate_set");
    if (!set)
        return;
    gate.word = xg_device_yield_word(w->worker, &gate.mask);
    set(&gate);
    w->preemptible = true;
}
