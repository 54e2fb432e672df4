#include <pthread.h>
#include "softcuda/preempt.h"
#include "protocol/cond.h"

/* How long threads wait for the last one before they look at the word again, which may have been
 * taken back meanwhile. */
#define LOOK_NS 1000000

struct softcuda_gate sc_gate;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;
static atomic_uint inside, stopped; /* threads that use the device; those of them that wait */
static atomic_bool given;           /* the device is given away */
static uint64_t turns;              /* how often it came back */
static _Atomic uint64_t stopped_ns;

#pragma GCC visibility push(default)
void softcuda_gate_set(const struct softcuda_gate *gate)
{
    sc_gate = *gate;
}
#pragma GCC visibility pop

/* A full barrier is between the two accesses; it pairs with the one in device_give. */
void sc_gate_enter_slow(void)
{
    atomic_fetch_add(&inside, 1);
    while (XG_UNLIKELY(atomic_load(&given))) {
        pthread_mutex_lock(&lock);
        atomic_fetch_sub(&inside, 1);
        while (atomic_load(&given))
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
    pthread_mutex_lock(&lock); /* the others may have waited for this one only */
    pthread_cond_broadcast(&change);
    pthread_mutex_unlock(&lock);
}

/* The lock is held. False: another thread uses the device now. */
static bool device_give(void)
{
    atomic_store(&given, true);
    if (atomic_load(&inside) != atomic_load(&stopped)) {
        atomic_store(&given, false);
        pthread_cond_broadcast(&change);
        return false;
    }
    uint64_t since = xg_now_ns();
    pthread_mutex_unlock(&lock);
    sc_gate.yield(sc_gate.arg);
    pthread_mutex_lock(&lock);
    atomic_fetch_add(&stopped_ns, xg_now_ns() - since);
    atomic_store(&given, false);
    turns++;
    pthread_cond_broadcast(&change);
    return true;
}

static bool device_wanted(void)
{
    return atomic_load(sc_gate.word) & sc_gate.mask;
}

/* The last thread to stop gives the device away. All continue when it is back, or when it is not
 * wanted any more. A thread that notices late, when the device is given away again, stays: it still
 * counts as stopped. */
void sc_gate_stop(void)
{
    pthread_mutex_lock(&lock);
    uint64_t turn = turns;
    atomic_fetch_add(&stopped, 1);
    while (atomic_load(&given) || (turn == turns && device_wanted())) {
        if (atomic_load(&given))
            pthread_cond_wait(&change, &lock);
        else if (atomic_load(&inside) != atomic_load(&stopped) || !device_give())
            (void)xg_cond_wait_ns(&change, &lock, LOOK_NS);
    }
    atomic_fetch_sub(&stopped, 1);
    pthread_mutex_unlock(&lock);
}

uint64_t sc_gate_stopped_ns(void)
{
    return atomic_load_explicit(&stopped_ns, memory_order_relaxed);
}
