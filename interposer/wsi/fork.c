/*
 * fork: a child has only the thread that forked, and locks as they were. Other threads, the
 * presenters among them, may have held some; so all are taken before, what is taken inside another
 * one last, and are new ones in the child.
 */
#include "interposer/wsi/internal.h"

#define LOCKS_MAX 8

static pthread_mutex_t *outer[LOCKS_MAX]; /* these take none of each other's */
static unsigned outer_count;
static pthread_mutex_t *const inner[] = {&xg_wsi_windows_lock, &xg_wsi_host_lock, &xg_wsi_lock};

void xg_wsi_fork_lock(pthread_mutex_t *lock)
{
    if (outer_count < LOCKS_MAX)
        outer[outer_count++] = lock;
}

static void before(void)
{
    for (unsigned i = 0; i < outer_count; i++)
        pthread_mutex_lock(outer[i]);
    for (unsigned i = 0; i < XG_ARRAY_LEN(inner); i++)
        pthread_mutex_lock(inner[i]);
}

static void in_parent(void)
{
    for (unsigned i = XG_ARRAY_LEN(inner); i-- > 0;)
        pthread_mutex_unlock(inner[i]);
    for (unsigned i = outer_count; i-- > 0;)
        pthread_mutex_unlock(outer[i]);
}

/* Not unlocked: they belong to a thread of the parent's. */
static void in_child(void)
{
    for (unsigned i = 0; i < XG_ARRAY_LEN(inner); i++)
        xg_lock_init(inner[i]);
    for (unsigned i = 0; i < outer_count; i++)
        xg_lock_init(outer[i]);
}

void xg_wsi_fork_watch(void)
{
    static bool watching;

    if (!watching)
        watching = pthread_atfork(before, in_parent, in_child) == 0;
}
