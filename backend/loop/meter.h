/*
 * What one guest costs the daemon, in processor time. Whatever a guest makes the daemon do (events,
 * changes of its nodes, requests, messages of its agent) is paid for from one account, which fills
 * at XG_METER_SHARE of a processor. In debt a guest is not listened to until it has saved something
 * again: nothing is lost meanwhile, and it alone waits. A daemon on a slow machine takes fewer
 * events, not more of the processor.
 */
#ifndef XG_METER_H
#define XG_METER_H

#include "backend/loop/loop.h"

#define XG_METER_SHARE 24u       /* one part of so many of a processor */
#define XG_METER_BURST 30000000u /* ns of processor time that a guest may have saved up */
#define XG_METER_AGAIN 5000000u  /* ns of it that a guest needs to be listened to again */

struct xg_meter {
    uint64_t filled;   /* xg_loop_now; 0: full */
    int64_t credit_ns; /* < 0: debt */
    struct xg_timer over;
    /* Does what was left, whose cost may mean debt again, and else listens again. */
    void (*resume)(struct xg_meter *m);
};

/* Pays for what the daemon has done since the last payment or the end of the last turn; false: in
 * debt from now on or already, stop listening. `resume` follows. */
bool xg_meter_pay(struct xg_meter *m);
/* The same, for work that took others half as much time again. */
bool xg_meter_pay_more(struct xg_meter *m);
/* The same for listening or not itself: it costs, and is no reason to change that at once. */
void xg_meter_charge(struct xg_meter *m);
/* Not before so many ns have passed, whatever the account says. */
void xg_meter_wait(struct xg_meter *m, uint64_t ns);
void xg_meter_stop(struct xg_meter *m);

static inline bool xg_meter_spent(const struct xg_meter *m)
{
    return m->over.armed;
}

#endif
