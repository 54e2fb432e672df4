/* A driver that can be stopped in the middle of a kernel: softcuda. The device goes back as soon as
 * it is asked for. */
#include "backend/cuda/replay.h"

#include <dlfcn.h>

#include "softcuda/gate.h"

/* On a thread of the driver's, or on one that is in a call of it: so no lock that such a one may
 * hold. */
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
    w->gated = true;
}
