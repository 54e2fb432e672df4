/*
 * fork: a child has only the thread that forked, and locks in the state that they had. Other
 * threads, the presenters among them, may have held some. So all locks are taken before the fork (a
 * lock that is taken inside another one comes last), and are initialised again in the child.
 */
#include "interposer/wsi/internal.h"

#define LOCKS_MAX 8

/* None of these is taken while another one is held. */
static pthread_mutex_t *locks_outer[LOCKS_MAX];
static unsigned outer_count;
static pthread_mutex_t *const locks_inner[] = {&xg_wsi_windows_lock, &xg_wsi_host_lock,
                                               &xg_wsi_lock};

void xg_wsi_fork_lock(pthread_mutex_t *lock)
{
    if (outer_count < LOCKS_MAX)
        locks_outer[outer_count++] = lock;
}

static void fork_before(void)
{
    for (unsigned i = 0; i < outer_count; i++)
        pthread_mutex_lock(locks_outer[i]);
    for (unsigned i = 0; i < XG_ARRAY_LEN(locks_inner); i++)
        pthread_mutex_lock(locks_inner[i]);
}

static void in_parent(void)
{
    for (unsigned i = XG_ARRAY_LEN(locks_inner); i-- > 0;)
        pthread_mutex_unlock(locks_inner[i]);
    for (unsigned i = outer_count; i-- > 0;)
        pthread_mutex_unlock(locks_outer[i]);
}

/* They are not unlocked but initialised: they belong to a thread of the parent. */
static void in_child(void)
{
    for (unsigned i = 0; i < XG_ARRAY_LEN(locks_inner); i++)
        xg_lock_init(locks_inner[i]);
    for (unsigned i = 0; i < outer_count; i++)
        xg_lock_init(locks_outer[i]);
}

void xg_wsi_fork_watch(void)
{
    static bool watching;

    if (!watching)
        watching = pthread_atfork(fork_before, in_parent, in_child) == 0;
}
