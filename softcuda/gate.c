#include <pthread.h>
#include "softcuda/preempt.h"
#include "protocol/cond.h"

#define LOOK_NS 1000000 /* the word may be taken back while threads wait for the last one */

struct softcuda_gate sc_gate;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;
static atomic_uint inside, stopped; /* threads; those that are inside and stand still */
static atomic_bool out;             /* the device is given away */
static uint64_t turns;              /* how often it came back */
static _Atomic uint64_t stopped_ns;

#pragma GCC visibility push(default)
void softcuda_gate_set(const struct softcuda_gate *gate)
{
    sc_gate = *gate;
}
#pragma GCC visibility pop

/* A full barrier between the two; pairs with the one in give_away. */
void sc_gate_enter_slow(void)
{
    atomic_fetch_add(&inside, 1);
    while (XG_UNLIKELY(atomic_load(&out))) {
        pthread_mutex_lock(&lock);
        atomic_fetch_sub(&inside, 1);
        while (atomic_load(&out))
            pthread_cond_wait(&change, &lock);
        atomic_fetch_add(&inside, 1);
        pthread_mutex_unlock(&lock);
    }
}

void sc_gate_leave_slow(void)
{
    atomic_fetch_sub(&inside, 1);
    if (XG_LIKELY(!atomic_load(&stopped)))
        return;
    pthread_mutex_lock(&lock); /* perhaps the last that they waited for */
    pthread_cond_broadcast(&change);
    pthread_mutex_unlock(&lock);
}

/* Under the lock. False: somebody has come in. */
static bool give_away(void)
{
    atomic_store(&out, true);
    if (atomic_load(&inside) != atomic_load(&stopped)) {
        atomic_store(&out, false);
        pthread_cond_broadcast(&change);
        return false;
    }
    uint64_t since = xg_now_ns();
    pthread_mutex_unlock(&lock);
    sc_gate.yield(sc_gate.arg);
    pthread_mutex_lock(&lock);
    atomic_fetch_add(&stopped_ns, xg_now_ns() - since);
    atomic_store(&out, false);
    turns++;
    pthread_cond_broadcast(&change);
    return true;
}

static bool wanted(void)
{
    return atomic_load(sc_gate.word) & sc_gate.mask;
}

/* The last to stop gives the device away; all go on when it is back, or not wanted any more. One
 * that is slow to notice stays if the device has been given away again meanwhile: it counts as
 * stopped. */
void sc_gate_stop(void)
{
    pthread_mutex_lock(&lock);
    uint64_t turn = turns;
    atomic_fetch_add(&stopped, 1);
    while (atomic_load(&out) || (turn == turns && wanted())) {
        if (atomic_load(&out))
            pthread_cond_wait(&change, &lock);
        else if (atomic_load(&inside) != atomic_load(&stopped) || !give_away())
            (void)xg_cond_wait_ns(&change, &lock, LOOK_NS);
    }
    atomic_fetch_sub(&stopped, 1);
    pthread_mutex_unlock(&lock);
}

uint64_t sc_gate_stopped_ns(void)
{
    return atomic_load_explicit(&stopped_ns, memory_order_relaxed);
}
