/*
 * What libraries in this process write to descriptors 1 and 2: printf in kernels, asserts, messages
 * of a driver. It belongs to the application and is caused by its guest, so it goes to that
 * application and never into the operator's log.
 *
 * Each descriptor is a file in memory of a fixed size. Writing to it never waits, and text that
 * finds no room is lost, as in a GPU's own buffer. The file is mapped, so looking for text takes no
 * system call. When half of a file is used up and read, a second, empty file takes its place.
 */
#include "backend/worker/internal.h"
#include "protocol/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define TEXT_SIZE                                                                                  \
    ((size_t)2 << 20) /* at least half of it has room whenever the text was read:                  \
                         CU_LIMIT_PRINTF_FIFO_SIZE's default */

struct half {
    int fd;
    uint8_t *map; /* zero behind the text */
};

static struct text_stream {
    struct half half[2];
    unsigned from, to; /* which half is being read, and which written */
    size_t at;         /* read up to here */
    uint64_t taken;    /* bytes read since the beginning */
    uint64_t mark;     /* `taken` up to the text that was there when it was marked */
} text_streams[2];     /* descriptors 1 and 2 */
static pthread_mutex_t text_lock = PTHREAD_MUTEX_INITIALIZER;

/* Where a sanitizer writes its report. */
__attribute__((weak)) void __sanitizer_set_report_fd(void *fd);

static int half_open(struct half *h)
{
    h->fd = memfd_create("xengpu-text", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (h->fd < 0 || ftruncate(h->fd, TEXT_SIZE) < 0 ||
        fcntl(h->fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) < 0)
        return -errno;
    h->map = mmap(NULL, TEXT_SIZE, PROT_READ, MAP_SHARED, h->fd, 0);
    return h->map == MAP_FAILED ? -errno : 0;
}

int xg_worker_text_capture(void)
{
    int keep = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

    if (keep < 0)
        return -errno;
    xg_log_move(keep);
    if (__sanitizer_set_report_fd)
        __sanitizer_set_report_fd((void *)(intptr_t)keep);
    fflush(stdout); /* what was written before does not belong to this worker */
    for (int i = 0; i < 2; i++) {
        int rc = half_open(&text_streams[i].half[0]);
        if (rc == 0)
            rc = half_open(&text_streams[i].half[1]);
        if (rc < 0)
            return rc;
        if (dup2(text_streams[i].half[0].fd, i + 1) < 0)
            return -errno;
    }
    return 0;
}

/* The file's position is where the next writer will write. */
static size_t half_end(const struct half *h)
{
    off_t end = lseek(h->fd, 0, SEEK_CUR);
    return end < 0 ? 0 : xg_min_u64((uint64_t)end, TEXT_SIZE);
}

static bool text_there(const struct text_stream *t)
{
    uint64_t next;

    if (t->from != t->to || t->at > TEXT_SIZE - sizeof(next))
        return true; /* there may be text */
    memcpy(&next, t->half[t->from].map + t->at, sizeof(next));
    return next != 0;
}

bool xg_worker_text_there(void)
{
    if (XG_UNLIKELY(!text_streams[0].half[0].map))
        return false;
    fflush(stdout);
    return text_there(&text_streams[0]) || text_there(&text_streams[1]);
}

/* Under the lock. The other half takes over once this one is half full. Text that a slow writer
 * still puts into this one is read next time. */
static void half_turn(struct text_stream *t, int descriptor)
{
    struct half *old = &t->half[t->from];

    if (t->from != t->to) {
        fallocate(old->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, TEXT_SIZE);
        lseek(old->fd, 0, SEEK_SET);
        t->from = t->to;
        t->at = 0;
    } else if (t->at >= TEXT_SIZE / 2 && dup2(t->half[!t->to].fd, descriptor) >= 0) {
        t->to = !t->to;
    }
}

/* Under the lock. */
static void text_mark(struct text_stream *t)
{
    size_t more = half_end(&t->half[t->from]) - t->at;

    if (t->from != t->to)
        more += half_end(&t->half[t->to]);
    t->mark = t->taken + more;
}

void xg_worker_text_mark(void)
{
    if (XG_LIKELY(!xg_worker_text_there()))
        return; /* all is read: nothing is behind the last mark */
    pthread_mutex_lock(&text_lock);
    text_mark(&text_streams[0]);
    text_mark(&text_streams[1]);
    pthread_mutex_unlock(&text_lock);
}

static size_t text_take(struct text_stream *t, int descriptor, uint8_t *to, size_t room,
                        bool marked)
{
    size_t got = 0;

    if (marked)
        room = xg_min_u64(room, t->mark > t->taken ? t->mark - t->taken : 0);
    for (unsigned turn = 0; turn < 3 && got < room; turn++) {
        const struct half *h = &t->half[t->from];
        size_t n = xg_min_u64(half_end(h) - t->at, room - got);
        memcpy(to + got, h->map + t->at, n);
        t->at += n;
        got += n;
        if (t->at == half_end(h) || t->from == t->to)
            half_turn(t, descriptor);
    }
    t->taken += got;
    return got;
}

void xg_worker_text_take(uint8_t *to, size_t room, bool marked, size_t *out, size_t *err)
{
    *out = *err = 0;
    if (!text_streams[0].half[0].map)
        return;
    pthread_mutex_lock(&text_lock);
    fflush(stdout);
    *out = text_take(&text_streams[0], STDOUT_FILENO, to, room, marked);
    *err = text_take(&text_streams[1], STDERR_FILENO, to + *out, room - *out, marked);
    pthread_mutex_unlock(&text_lock);
}
