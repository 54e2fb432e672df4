/* Opens the process's channel through the guest agent, and keeps what all rings share. */
#include "frontend/internal.h"
#include "protocol/device.h"
#include "protocol/fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static pthread_mutex_t the_lock = XG_LOCK_INITIALIZER;
static struct xg_channel *_Atomic the_channel;
static _Atomic uint64_t the_generation = 1;

void xg_lock_init(pthread_mutex_t *lock)
{
    pthread_mutexattr_t a;

    pthread_mutexattr_init(&a);
    pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(lock, &a);
    pthread_mutexattr_destroy(&a);
}

static int channel_fail(struct xg_channel *ch, int error, const char *fmt, ...) XG_PRINTF(3, 4);
static int channel_fail(struct xg_channel *ch, int error, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(ch->text, sizeof(ch->text), fmt, ap);
    va_end(ap);
    atomic_store(&ch->error, error);
    return error;
}

/* --- the device socket ------------------------------------------------------------------------ */

static int agent_connect(struct xg_channel *ch)
{
    const char *path = getenv("XENGPU_SOCKET");
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    if (!path || !*path)
        path = XG_DEFAULT_SOCKET;
    if (strlen(path) >= sizeof(addr.sun_path))
        return channel_fail(ch, -ENAMETOOLONG,
                            "the path of the agent's socket is too long (%zu, at most %zu): %s",
                            strlen(path), sizeof(addr.sun_path) - 1, path);
    strcpy(addr.sun_path, path);
    ch->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (ch->socket < 0)
        return channel_fail(ch, -errno, "socket: %s", strerror(errno));
    if (connect(ch->socket, (struct sockaddr *)&addr, sizeof(addr)) == 0)
        return 0;
    if (errno == EACCES || errno == EPERM)
        return channel_fail(
            ch, -EACCES,
            "no permission to use the agent's socket %s: this guest is another user's "
            "(user= of its guest)",
            path);
    return channel_fail(
        ch, -ENODEV,
        "no xengpu agent at %s (%s): in a guest start xengpu-agent; with xengpud --local use "
        "'xengpu run -- CMD', or set XENGPU_SOCKET",
        path, strerror(errno));
}

/* Receives the welcome; returns the number of descriptors, or a negative errno. */
static int welcome_receive(int sock, struct xg_welcome *w, int *fds, unsigned max)
{
    unsigned n = max;
    _Alignas(struct xg_welcome) char greeting[XG_GREETING_MAX] = {0};
    ssize_t got = xg_fds_recv(sock, greeting, sizeof(greeting), fds, &n, 0);

    memcpy(w, greeting, sizeof(*w));
    if (got < 0)
        return (int)got;
    /* Magic and version are the first fields of a welcome of any version. */
    bool known =
        got >= (ssize_t)offsetof(struct xg_welcome, status) && w->magic == XG_WELCOME_MAGIC;
    if (!known || (w->version == XG_PROTOCOL_VERSION && got != sizeof(*w))) {
        xg_fds_close(fds, n);
        return got == 0 ? -ECONNRESET : -EPROTO;
    }
    w->text[sizeof(w->text) - 1] = w->guest[sizeof(w->guest) - 1] = '\0';
    return (int)n;
}

static int hello_exchange(struct xg_channel *ch, struct xg_welcome *w, int *fds, unsigned max)
{
    struct xg_hello h = {
        .magic = XG_HELLO_MAGIC, .version = XG_PROTOCOL_VERSION, .pid = (uint32_t)getpid()};

    snprintf(h.command, sizeof(h.command), "%s", program_invocation_short_name);
    if (send(ch->socket, &h, sizeof(h), MSG_NOSIGNAL) != sizeof(h))
        return channel_fail(ch, -errno, "the xengpu agent hung up: %s", strerror(errno));
    int n = welcome_receive(ch->socket, w, fds, max);
    if (n < 0)
        return channel_fail(ch, n, "the xengpu agent's answer makes no sense (%s)", strerror(-n));
    if (w->version != XG_PROTOCOL_VERSION) {
        xg_fds_close(fds, (unsigned)n);
        return channel_fail(ch, -EPROTONOSUPPORT,
                            "libxengpu.so " XG_RELEASE
                            " speaks protocol version " XG_PROTOCOL_VERSION_TEXT
                            ", the guest's xengpu-agent speaks version %u; " XG_VERSION_ADVICE,
                            w->version);
    }
    if (w->status) {
        xg_fds_close(fds, (unsigned)n);
        return channel_fail(ch, w->status < 0 ? w->status : -EPROTO, "%s",
                            w->text[0] ? w->text : strerror(w->status < 0 ? -w->status : EPROTO));
    }
    return n;
}

/* --- memory and rings ------------------------------------------------------------------------- */

static int rings_create(struct xg_channel *ch, const struct xg_event *events)
{
    ch->rings = calloc(ch->geometry.ring_count, sizeof(*ch->rings));
    if (!ch->rings)
        return -ENOMEM;
    for (uint32_t i = 0; i < ch->geometry.ring_count; i++) {
        int rc = xg_ring_setup(ch, i, events ? &events[i] : NULL);
        if (rc)
            return rc;
    }
    return 0;
}

static int channel_map(struct xg_channel *ch, const struct xg_welcome *w, int *fds, unsigned n)
{
    struct xg_event events[XG_RINGS_MAX];
    unsigned per_ring = w->platform == XG_PLATFORM_LOCAL ? 2 : 1;
    unsigned count = w->geometry.ring_count;

    if (!xg_geometry_valid(&w->geometry) || n != 1 + per_ring * count) {
        xg_fds_close(fds, n);
        return channel_fail(ch, -EPROTO, "the xengpu agent's answer makes no sense");
    }
    ch->geometry = w->geometry;
    ch->platform = w->platform;
    ch->map_offset = w->map_offset;
    ch->memory_limit = w->memory_limit;
    ch->pages_fd = fds[0];
    for (unsigned i = 0; i < count; i++) {
        int wait = fds[1 + per_ring * i], kick = fds[per_ring * (i + 1)];
        fcntl(wait, F_SETFL, O_NONBLOCK);
        fcntl(kick, F_SETFL, O_NONBLOCK);
        events[i] = (struct xg_event){w->platform, wait, kick, w->port[i]};
    }
    ch->size = xg_geometry_pages(&ch->geometry) << XG_PAGE_SHIFT;
    /* The address is only a hint. It is far from where libraries go, so that the worker has a
     * chance to map the same addresses (CUDA's pinned memory). */
    ch->base = mmap((void *)0x100000000000, ch->size, PROT_READ | PROT_WRITE, MAP_SHARED,
                    ch->pages_fd, (off_t)ch->map_offset);
    if (ch->base == MAP_FAILED) {
        ch->base = NULL;
        return channel_fail(ch, -errno, "cannot map the channel (%llu bytes): %s",
                            (unsigned long long)ch->size, strerror(errno));
    }
    ch->arena_base = ch->base + xg_geometry_arena_offset(&ch->geometry);
    ch->arena_size = (uint64_t)ch->geometry.arena_pages << XG_PAGE_SHIFT;
    /* Where the system gives shared memory huge pages on request
     * (transparent_hugepage/shmem_enabled), large copies become faster. */
    (void)madvise(ch->arena_base, ch->arena_size, MADV_HUGEPAGE);
    uint64_t origin = ch->map_offset + xg_geometry_arena_offset(&ch->geometry);
    if (xg_arena_create(ch->arena_size, origin, &ch->arena) || rings_create(ch, events))
        return channel_fail(ch, -ENOMEM, "out of memory");
    return 0;
}

/* Private memory that looks like a channel, so that callers need not ask whether there is a
 * channel. */
static void channel_make_dummy(struct xg_channel *ch)
{
    ch->geometry =
        (struct xg_geometry){.ring_count = 2, .cmd_order = 6, .reply_order = 0, .arena_pages = 1};
    ch->size = xg_geometry_pages(&ch->geometry) << XG_PAGE_SHIFT;
    ch->base = mmap(NULL, ch->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ch->base == MAP_FAILED)
        abort(); /* 640 KiB: without it nothing else would work either */
    ch->arena_base = ch->base + xg_geometry_arena_offset(&ch->geometry);
    ch->arena_size = 0;
    if (rings_create(ch, NULL))
        abort();
}

static struct xg_channel *channel_new(void)
{
    struct xg_channel *ch = calloc(1, sizeof(*ch));

    if (!ch)
        abort();
    ch->socket = ch->pages_fd = -1;
    xg_lock_init(&ch->arena_lock);
    xg_lock_init(&ch->rings_lock);
    return ch;
}

static struct xg_channel *channel_open(void)
{
    struct xg_channel *ch = channel_new();
    struct xg_welcome w;
    int fds[1 + 2 * XG_RINGS_MAX];
    int n;

    if (agent_connect(ch) == 0 && (n = hello_exchange(ch, &w, fds, XG_ARRAY_LEN(fds))) >= 0)
        (void)channel_map(ch, &w, fds, (unsigned)n);
    if (atomic_load(&ch->error) && !ch->rings)
        channel_make_dummy(ch);
    return ch;
}

/* For a signal handler that interrupted the opening of the channel: its thread cannot finish the
 * opening before the handler returns. */
static struct xg_channel *channel_interrupted(void)
{
    struct xg_channel *ch = channel_new();

    channel_fail(ch, -ENODEV, "a signal handler asked for the channel while it was being opened");
    channel_make_dummy(ch);
    return ch;
}

/* The child must not touch the parent's channel: the rings become private memory, the descriptors
 * are closed. The child's own channel is opened on demand. */
static void after_fork_child(void)
{
    struct xg_channel *ch = atomic_load(&the_channel);

    xg_lock_init(&the_lock);
    if (!ch)
        return;
    xg_stats_reset();
    atomic_fetch_add(&the_generation, 1);
    atomic_store(&the_channel, NULL);
    if (ch->socket >= 0)
        close(ch->socket);
    ch->socket = -1;
    if (ch->pages_fd < 0)
        return;
    size_t private = xg_geometry_arena_offset(&ch->geometry);
    (void)mmap(ch->base, private, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    channel_fail(ch, -EPIPE, "the channel belongs to the parent process");
    xg_lock_init(&ch->arena_lock);
    xg_lock_init(&ch->rings_lock);
    for (uint32_t i = 0; i < ch->geometry.ring_count; i++) {
        struct xg_ring *r = &ch->rings[i];
        xg_ring_die(r);
        xg_lock_init(&r->lock);
        xg_lock_init(&r->priv->lock);
        r->priv->held = 0;
        pthread_cond_init(&r->priv->woken, NULL);
        close(r->priv->nudge_fd);
        r->priv->nudge_fd = -1;
        close(r->priv->event.wait_fd);
        if (r->priv->event.kick_fd != r->priv->event.wait_fd)
            close(r->priv->event.kick_fd);
    }
    close(ch->pages_fd);
    ch->pages_fd = -1;
}

static void fork_prepare(void)
{
    pthread_mutex_lock(&the_lock);
}

static void fork_parent(void)
{
    pthread_mutex_unlock(&the_lock);
}

struct xg_channel *xg_channel_get(void)
{
    static bool registered, opening;
    struct xg_channel *ch = atomic_load_explicit(&the_channel, memory_order_acquire);

    if (XG_LIKELY(ch != NULL))
        return ch;
    pthread_mutex_lock(&the_lock);
    ch = atomic_load(&the_channel);
    if (!ch && opening) {
        ch = channel_interrupted();
    } else if (!ch) {
        opening = true;
        if (!registered)
            registered = pthread_atfork(fork_prepare, fork_parent, after_fork_child) == 0;
        ch = channel_open();
        xg_stats_start(ch);
        atomic_store_explicit(&the_channel, ch, memory_order_release);
        opening = false;
    }
    pthread_mutex_unlock(&the_lock);
    return ch;
}

/* --- what interposers may ask ----------------------------------------------------------------- */

void xg_channel_lost(struct xg_channel *ch, int error, const char *why)
{
    int none = 0;
    if (!atomic_compare_exchange_strong(&ch->error, &none, error))
        return;
    pthread_mutex_lock(&ch->rings_lock);
    snprintf(ch->text, sizeof(ch->text), "the connection to the GPU is lost: %s", why);
    unsigned n = ch->lost_count;
    pthread_mutex_unlock(&ch->rings_lock);
    for (unsigned i = 0; i < n; i++)
        ch->lost[i].fn(ch->lost[i].arg);
}

int xg_channel_on_lost(struct xg_channel *ch, void (*fn)(void *arg), void *arg)
{
    int rc = -ENOSPC;
    pthread_mutex_lock(&ch->rings_lock);
    if (ch->lost_count < XG_LOST_MAX) {
        ch->lost[ch->lost_count].fn = fn;
        ch->lost[ch->lost_count++].arg = arg;
        rc = 0;
    }
    pthread_mutex_unlock(&ch->rings_lock);
    return rc;
}

int xg_channel_error(struct xg_channel *ch)
{
    return atomic_load_explicit(&ch->error, memory_order_acquire);
}

const char *xg_channel_error_text(struct xg_channel *ch)
{
    return xg_channel_error(ch) ? ch->text : "no error";
}

uint64_t xg_channel_generation(void)
{
    return atomic_load_explicit(&the_generation, memory_order_relaxed);
}

const struct xg_geometry *xg_channel_geometry(struct xg_channel *ch)
{
    return &ch->geometry;
}

uint64_t xg_channel_memory_limit(struct xg_channel *ch)
{
    return ch->memory_limit;
}

struct xg_ring *xg_channel_ring0(struct xg_channel *ch)
{
    return &ch->rings[0];
}

/* The last quarter of the rings is shared by contexts that come when the other rings are taken.
 * Which rings are shared never changes: a thread with a ring of its own writes to it without the
 * lock, and could not be told in time. */
static uint32_t shared_rings(const struct xg_channel *ch)
{
    uint32_t n = ch->geometry.ring_count - 1;
    return n < 4 ? (n > 0) : n / 4;
}

struct xg_ring *xg_channel_ring_acquire(struct xg_channel *ch)
{
    uint32_t count = ch->geometry.ring_count, first_shared = count - shared_rings(ch);
    struct xg_ring *best = NULL;

    pthread_mutex_lock(&ch->rings_lock);
    for (uint32_t i = 1; i < count; i++) {
        struct xg_ring *r = &ch->rings[i];
        if (i < first_shared ? !r->priv->users : !best || r->priv->users < best->priv->users)
            best = r;
        if (best == r && i < first_shared)
            break;
    }
    if (!best)
        best = &ch->rings[0]; /* a channel with one ring: everybody uses it, and takes its lock */
    best->shared = best == &ch->rings[0] || best->index >= first_shared;
    best->priv->users++;
    pthread_mutex_unlock(&ch->rings_lock);
    return best;
}

void xg_channel_ring_release(struct xg_ring *r)
{
    struct xg_channel *ch = r->channel;
    pthread_mutex_lock(&ch->rings_lock);
    if (r->priv->users)
        r->priv->users--;
    pthread_mutex_unlock(&ch->rings_lock);
}
