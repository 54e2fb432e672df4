/*
 * What one guest costs the daemon, in processor time. Each guest has an account, and pays from it
 * for whatever it makes the daemon do: events, changes of its nodes, requests, messages of its
 * agent. The account fills with a fixed share of a processor's time. A guest in debt is not
 * listened to until its account has filled again: it loses nothing, and no other guest waits. On a
 * slow machine the daemon so takes fewer events, not more of the processor.
 */
#ifndef XG_METER_H
#define XG_METER_H

#include "backend/loop/loop.h"

#define XG_METER_SHARE 24u       /* a guest may use 1/24 of a processor */
#define XG_METER_BURST 30000000u /* ns of processor time that an account can hold */
#define XG_METER_AGAIN 5000000u  /* ns that it must hold before the guest is listened to again */

struct xg_meter {
    uint64_t filled;      /* xg_loop_now; 0: full */
    int64_t credit_ns;    /* < 0: debt */
    struct xg_timer over; /* armed: in debt; when it fires, the debt is over */
    /* Does the work that waited. If that does not mean debt again, it listens again. */
    void (*resume)(struct xg_meter *m);
};

/* Pays for what the daemon has done since the last payment, or since the loop last waited. False:
 * the guest is in debt, stop listening; `resume` is called when the debt is over. */
bool xg_meter_pay(struct xg_meter *m);
/* The same, for work that cost half as much again in other threads. */
bool xg_meter_pay_more(struct xg_meter *m);
/* Only pays, for starting or stopping to listen: debt is not looked at. */
void xg_meter_charge(struct xg_meter *m);
/* Calls `resume` after so many ns, whatever the account says. */
void xg_meter_wait(struct xg_meter *m, uint64_t ns);
void xg_meter_stop(struct xg_meter *m);

static inline bool xg_meter_spent(const struct xg_meter *m)
{
    return m->over.armed;
}

#endif
