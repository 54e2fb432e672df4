#include "backend/loop/meter.h"

static void wait_end(struct xg_timer *t)
{
    struct xg_meter *m = xg_container_of(t, struct xg_meter, over);
    m->resume(m);
}

void xg_meter_wait(struct xg_meter *m, uint64_t ns)
{
    xg_timer_arm(&m->over, ns, wait_end);
}

void xg_meter_stop(struct xg_meter *m)
{
    xg_timer_disarm(&m->over);
}

static void account_charge(struct xg_meter *m, uint64_t spent)
{
    const int64_t full = XG_METER_BURST;
    uint64_t now = xg_loop_now();
    int64_t credit = m->credit_ns + (int64_t)((now - m->filled) / XG_METER_SHARE);
    m->credit_ns = (!m->filled || credit > full ? full : credit) - (int64_t)spent;
    m->filled = now;
}

/* False: in debt, until the timer fires. */
static bool account_pay(struct xg_meter *m, uint64_t spent)
{
    account_charge(m, spent);
    if (m->credit_ns < 0 && !xg_meter_spent(m))
        xg_meter_wait(m, (uint64_t)(XG_METER_AGAIN - m->credit_ns) * XG_METER_SHARE);
    return !xg_meter_spent(m);
}

void xg_meter_charge(struct xg_meter *m)
{
    account_charge(m, xg_loop_spent());
}

bool xg_meter_pay(struct xg_meter *m)
{
    return account_pay(m, xg_loop_spent());
}

bool xg_meter_pay_more(struct xg_meter *m)
{
    return account_pay(m, xg_loop_spent() * 3 / 2);
}
