/* Staging slots: arena memory through which pageable memory is copied, chunk by chunk, while the
 * worker copies the chunk before. */
#include "cuda/send.h"

static pthread_mutex_t lock = XG_LOCK_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct {
    uint8_t *data;
    uint32_t where;
    uint64_t sent; /* seq of the last command that read it */
    bool taken;
} slots[XG_CUDA_SLOTS];
static unsigned slot_count, next_slot;
static bool ready;
static uint64_t next_seq;

static uint64_t slot_done(unsigned i)
{
    return atomic_load_explicit(&cu.shared->slot_done[i], memory_order_acquire);
}

static void slots_make(void)
{
    for (slot_count = 0; slot_count < XG_CUDA_SLOTS; slot_count++) {
        slots[slot_count].data =
            xg_arena_alloc(cu.channel, CU_SLOT_SIZE, XG_PAGE_SIZE, &slots[slot_count].where);
        if (!slots[slot_count].data)
            break;
        cu_slot_show(slots[slot_count].data, CU_SLOT_SIZE); /* copies work all the same, slower */
    }
    ready = slot_count > 0;
}

/* A free one, else -1 and the one that has been under way longest (-1: all are being filled). */
static int slot_find(int *oldest)
{
    *oldest = -1;
    for (unsigned n = 0; n < slot_count; n++) {
        unsigned i = (next_slot + n) % slot_count;
        if (slots[i].taken)
            continue;
        if (slot_done(i) >= slots[i].sent) {
            next_slot = i + 1;
            return (int)i;
        }
        if (*oldest < 0 || slots[i].sent < slots[*oldest].sent)
            *oldest = (int)i;
    }
    return -1;
}

static CUresult slot_wait(unsigned i, uint64_t seq)
{
    return cu_call_slot_wait(NULL, &(struct xg_cuda_slot_wait){.slot = i, .seq = seq});
}

/* The worker is usually nearly done with it. */
static bool slot_spin(unsigned i)
{
    for (unsigned n = 0; n < 2000; n++) {
        if (slot_done(i) >= slots[i].sent)
            return true;
        xg_cpu_relax();
    }
    return false;
}

CUresult cu_slot_take(struct cu_slot *s)
{
    CUresult r = CUDA_SUCCESS;
    int i, oldest;

    pthread_mutex_lock(&lock);
    if (!ready)
        slots_make();
    if (!ready) {
        pthread_mutex_unlock(&lock);
        return cu_lost() ? CU_LOST : CUDA_ERROR_OUT_OF_MEMORY;
    }
    while ((i = slot_find(&oldest)) < 0) {
        if (oldest < 0) {
            pthread_cond_wait(&changed, &lock);
            continue;
        }
        slots[oldest].taken = true;
        pthread_mutex_unlock(&lock);
        if (!slot_spin((unsigned)oldest))
            r = slot_wait((unsigned)oldest, slots[oldest].sent);
        pthread_mutex_lock(&lock);
        slots[oldest].taken = false;
        pthread_cond_broadcast(&changed);
        if (r != CUDA_SUCCESS) {
            pthread_mutex_unlock(&lock);
            return r;
        }
    }
    slots[i].taken = true;
    *s = (struct cu_slot){
        .index = (uint32_t)i, .where = slots[i].where, .data = slots[i].data, .seq = ++next_seq};
    pthread_mutex_unlock(&lock);
    return CUDA_SUCCESS;
}

void cu_slot_sent(const struct cu_slot *s, bool used)
{
    pthread_mutex_lock(&lock);
    if (used)
        slots[s->index].sent = s->seq;
    slots[s->index].taken = false;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

void cu_slots_reset(void)
{
    xg_lock_init(&lock);
    pthread_cond_init(&changed, NULL);
    memset(slots, 0, sizeof(slots));
    ready = false;
    next_seq = 0;
}
