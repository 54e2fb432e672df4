/* Where kernels and copies stop when the device is wanted back; see softcuda/gate.h. */
#ifndef SC_GATE_H
#define SC_GATE_H

#include <stdbool.h>
#include "protocol/base.h"
#include "softcuda/gate.h"

extern struct softcuda_gate sc_gate;

void sc_gate_enter_slow(void);
void sc_gate_leave_slow(void);
void sc_gate_stop(void);
/* Nanoseconds for which everything has been stopped, in all. */
uint64_t sc_gate_stopped_ns(void);

/* Around all that uses the device. The caller holds no lock that a thread inside may need. */
static inline void sc_gate_enter(void)
{
    if (XG_UNLIKELY(sc_gate.word != NULL))
        sc_gate_enter_slow();
}

static inline void sc_gate_leave(void)
{
    if (XG_UNLIKELY(sc_gate.word != NULL))
        sc_gate_leave_slow();
}

/* In between: may stop here. */
static inline void sc_gate_pass(void)
{
    if (XG_UNLIKELY(sc_gate.word != NULL) &&
        XG_UNLIKELY(atomic_load_explicit(sc_gate.word, memory_order_relaxed) & sc_gate.mask))
        sc_gate_stop();
}

#endif
