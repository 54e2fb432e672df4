/* Small allocations: four size classes per power of two, carved from chunks, never merged. */
#include <stdlib.h>

#include "softcuda/driver/memory.h"

enum { CLASSES = 64 };
#define CHUNK_SIZE ((uint64_t)16 << 20)

struct stack {
    uint64_t *items;
    unsigned count, room;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct stack free_blocks[CLASSES];
static uint64_t chunk_at, chunk_left;

/* The class whose blocks hold `need` bytes, and their size: 1024, 1280, 1536, 1792, 2048, ... */
static unsigned class_of(uint64_t need, uint64_t *size)
{
    uint64_t base = 1024;
    unsigned c = 0;

    for (;; base *= 2)
        for (unsigned quarter = 0; quarter < 4; quarter++, c++) {
            *size = base + base / 4 * quarter;
            if (need <= *size)
                return c;
        }
}

uint64_t sc_block_take(uint64_t size, uint64_t *slot)
{
    uint64_t start = 0;
    unsigned c = class_of(size + SC_GAP, slot);

    pthread_mutex_lock(&lock);
    if (free_blocks[c].count) {
        start = free_blocks[c].items[--free_blocks[c].count];
    } else {
        if (chunk_left < *slot) {
            uint64_t chunk = sc_space_take(CHUNK_SIZE, SC_HUGE);
            if (chunk && sc_space_commit(chunk, CHUNK_SIZE)) {
                chunk_at = chunk;
                chunk_left = CHUNK_SIZE;
            }
        }
        if (chunk_left >= *slot) {
            start = chunk_at;
            /* Class sizes are multiples of 256; addresses keep the API's 512. */
            uint64_t step = xg_align_up(*slot, 512);
            chunk_at += step;
            chunk_left -= xg_min_u64(step, chunk_left);
        }
    }
    pthread_mutex_unlock(&lock);
    return start;
}

void sc_block_give(uint64_t start, uint64_t slot)
{
    uint64_t size;
    struct stack *s = &free_blocks[class_of(slot, &size)];

    pthread_mutex_lock(&lock);
    if (s->count == s->room) {
        unsigned room = s->room ? s->room * 2 : 64;
        uint64_t *grown = realloc(s->items, room * sizeof(*grown));
        if (!grown) { /* the block is lost; nothing else suffers */
            pthread_mutex_unlock(&lock);
            return;
        }
        s->items = grown;
        s->room = room;
    }
    s->items[s->count++] = start;
    pthread_mutex_unlock(&lock);
}
