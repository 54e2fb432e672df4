/* The agent's platform on Xen, on a kernel in memory that forgets all event channels at a resume,
 * as Linux does: whatever would make that one BUG fails the test. */
/* with: frontend/platform/xen.c frontend/platform/xen_kernel.c */
/* links: obj/libprotocol.a */
#include "frontend/platform/guest.h"
#include "frontend/platform/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <xen/gntalloc.h>
#include <xenevtchn.h>
#include <xenstore.h>

#include <cmocka.h>

#define FILES 1024
#define PORTS 256

/* --- the kernel ------------------------------------------------------------------------------- */

/* What a descriptor is, by its number. A port is a number that is known only in its own life. */
static struct file {
    enum { NONE, EVTCHN, GNTALLOC } kind;
    unsigned port, life; /* bound, or named by the page's end; 0: none */
    bool kept;
} files[FILES];
static unsigned users[PORTS]; /* of a port: its owner, and a page; 0: free */
static unsigned life = 1;
static unsigned unbound, pages, keeper_starts;
static bool keeper_fails;
static char domid[8] = "3";
static bool watch_fires;

static bool stale(const struct file *f)
{
    return f->port && f->life != life;
}

static void port_put(struct file *f)
{
    assert_false(stale(f)); /* BUG, or another driver's */
    if (f->port)
        assert_true(users[f->port]-- > 0);
    f->port = 0;
}

/* The last descriptor is closed; of those in the keeper it is not the last. */
static void file_end(int fd)
{
    struct file *f = &files[fd];
    if (!f->kept)
        port_put(f);
    pages -= f->kind == GNTALLOC;
    *f = (struct file){0};
}

static void resume(const char *number)
{
    life++;
    memset(users, 0, sizeof(users));
    strcpy(domid, number);
    watch_fires = true;
}

/* These take the places of libc's. */
int access(const char *path, int mode)
{
    (void)mode;
    assert_int_equal(strncmp(path, "/dev/xen/", 9), 0);
    return 0;
}

int open(const char *path, int flags, ...)
{
    if (strcmp(path, XG_GNTALLOC))
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0600);
    int fd = memfd_create("gntalloc", MFD_CLOEXEC);
    files[fd].kind = GNTALLOC;
    pages++;
    return fd;
}

int close(int fd)
{
    if (fd >= 0 && fd < FILES)
        file_end(fd);
    return (int)syscall(SYS_close, fd);
}

static int alarm_set(struct file *f, const struct ioctl_gntalloc_unmap_notify *op)
{
    unsigned port = op->event_channel_port;
    if (!(op->action & UNMAP_NOTIFY_SEND_EVENT))
        return 0;
    if (port >= PORTS || !users[port]) {
        errno = EINVAL;
        return -1;
    }
    users[port]++;
    if (f->port == port && f->life != life)
        users[port]--; /* it takes its old one back by the number */
    else
        port_put(f);
    f->port = port;
    f->life = life;
    return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list ap;
    va_start(ap, request);
    void *arg = va_arg(ap, void *);
    va_end(ap);
    struct file *f = &files[fd];
    if (f->kind != GNTALLOC)
        return (int)syscall(SYS_ioctl, fd, request, arg);
    switch (request) {
    case IOCTL_GNTALLOC_ALLOC_GREF: {
        struct ioctl_gntalloc_alloc_gref *op = arg;
        assert_int_equal(ftruncate(fd, (off_t)op->count << XG_PAGE_SHIFT), 0);
        op->index = 0;
        for (unsigned i = 0; i < op->count; i++)
            op->gref_ids[i] = 8 + i;
        return 0;
    }
    case IOCTL_GNTALLOC_DEALLOC_GREF: port_put(f); return 0;
    case IOCTL_GNTALLOC_SET_UNMAP_NOTIFY: return alarm_set(f, arg);
    default: fail(); return -1;
    }
}

/* --- libraries -------------------------------------------------------------------------------- */

static struct xenevtchn_handle {
    int fd;
} handles[FILES]; /* by descriptor */

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger, unsigned flags)
{
    (void)logger;
    (void)flags;
    int fd = eventfd(0, EFD_CLOEXEC);
    files[fd].kind = EVTCHN;
    handles[fd].fd = fd;
    return &handles[fd];
}

int xenevtchn_close(xenevtchn_handle *h)
{
    close(h->fd);
    return 0;
}

int xenevtchn_fd(xenevtchn_handle *h)
{
    return h->fd;
}

xenevtchn_port_or_error_t xenevtchn_bind_unbound_port(xenevtchn_handle *h, uint32_t domain)
{
    (void)domain;
    unsigned port = 1;
    while (users[port])
        port++;
    users[port] = 1;
    files[h->fd].port = port;
    files[h->fd].life = life;
    return (int)port;
}

int xenevtchn_unbind(xenevtchn_handle *h, evtchn_port_t port)
{
    assert_int_equal(files[h->fd].port, port);
    port_put(&files[h->fd]);
    unbound++;
    return 0;
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *h)
{
    assert_false(stale(&files[h->fd]));
    errno = EAGAIN;
    return -1;
}

int xenevtchn_unmask(xenevtchn_handle *h, evtchn_port_t port)
{
    (void)h;
    (void)port;
    return 0;
}

int xenevtchn_notify(xenevtchn_handle *h, evtchn_port_t port)
{
    (void)port;
    assert_false(stale(&files[h->fd])); /* an event to somebody else */
    return 0;
}

static int store_fd;

struct xs_handle *xs_open(unsigned long flags)
{
    (void)flags;
    store_fd = eventfd(0, EFD_CLOEXEC);
    return (struct xs_handle *)&store_fd;
}

void xs_close(struct xs_handle *xs)
{
    (void)xs;
    close(store_fd);
}

int xs_fileno(struct xs_handle *xs)
{
    (void)xs;
    return store_fd;
}

void *xs_read(struct xs_handle *xs, xs_transaction_t t, const char *path, unsigned *length)
{
    (void)xs;
    (void)t;
    assert_string_equal(path, "domid");
    *length = (unsigned)strlen(domid);
    return strdup(domid);
}

bool xs_write(struct xs_handle *xs, xs_transaction_t t, const char *path, const void *data,
              unsigned length)
{
    (void)xs, (void)t, (void)path, (void)data, (void)length;
    return true;
}

bool xs_watch(struct xs_handle *xs, const char *path, const char *token)
{
    (void)xs, (void)path, (void)token;
    return true;
}

bool xs_unwatch(struct xs_handle *xs, const char *path, const char *token)
{
    (void)xs, (void)path, (void)token;
    return true;
}

char **xs_check_watch(struct xs_handle *xs)
{
    (void)xs;
    errno = EAGAIN;
    if (!watch_fires)
        return NULL;
    watch_fires = false;
    return calloc(1, sizeof(char *));
}

int xg_keeper_give(int *keeper, const int *fds, unsigned count)
{
    if (keeper_fails)
        return -ENOMEM;
    if (*keeper < 0) {
        *keeper = eventfd(0, EFD_CLOEXEC);
        keeper_starts++;
    }
    for (unsigned i = 0; i < count; i++) {
        assert_true(stale(&files[fds[i]]));
        files[fds[i]].kept = true;
    }
    return 0;
}

/* --- tests ------------------------------------------------------------------------------------ */

#define RINGS 4u

static struct xg_guest_platform *guest;
static struct xg_guest_pages control, channel;
static struct xg_guest_port port[RINGS];
static uint32_t control_port;

static void channel_open(void)
{
    assert_int_equal(guest->ops->pages_alloc(guest, 8, 1, &channel), 0);
    assert_int_equal(guest->ops->ports_alloc(guest, port, RINGS), 0);
}

static void channel_close(void)
{
    guest->ops->ports_free(guest, port, RINGS);
    guest->ops->pages_free(guest, &channel);
}

static void device_open(void)
{
    assert_int_equal(guest->ops->pages_alloc(guest, 1, 0, &control), 0);
    assert_int_equal(guest->ops->control_bind(guest, &control, &control_port), 0);
}

static void device_close(void)
{
    guest->ops->control_unbind(guest);
    guest->ops->pages_free(guest, &control);
}

static bool resumed(char *text)
{
    char none[256];
    return guest->ops->resumed(guest, text ? text : none, sizeof(none));
}

static int setup(void **state)
{
    char error[256];
    (void)state;
    memset(files, 0, sizeof(files));
    memset(users, 0, sizeof(users));
    strcpy(domid, "3");
    unbound = keeper_starts = pages = 0;
    keeper_fails = watch_fires = false;
    assert_int_equal(xg_guest_open_xen(&guest, error, sizeof(error)), 0);
    device_open();
    channel_open();
    assert_int_equal(pages, 2);
    assert_false(resumed(NULL));
    return 0;
}

static void nothing_left(void)
{
    for (unsigned i = 0; i < PORTS; i++)
        assert_int_equal(users[i], 0);
    assert_int_equal(pages, 0);
}

/* A program may have its descriptors for longer than the agent: they are empty by then. */
static void what_ends_is_unbound(void **state)
{
    (void)state;
    channel_close();
    assert_int_equal(unbound, RINGS);
    device_close();
    assert_int_equal(unbound, RINGS + 1);
    assert_int_equal(keeper_starts, 0);
    guest->ops->close(guest);
    nothing_left();
}

static void all_is_kept_and_begins_anew(void)
{
    channel_close();
    device_close();
    assert_int_equal(unbound, 0);
    assert_int_equal(keeper_starts, 1);
    assert_false(resumed(NULL));
    device_open();
    channel_open();
    guest->ops->control_notify(guest);
    assert_int_equal(guest->ops->dispatch(guest), 0);
    assert_false(resumed(NULL));
    channel_close();
    device_close();
    assert_int_equal(unbound, RINGS + 1);
    guest->ops->close(guest);
    nothing_left();
}

static void restored(void **state)
{
    (void)state;
    resume("4");
    assert_int_equal(guest->ops->dispatch(guest), XG_GUEST_STORE);
    assert_true(resumed(NULL));
    all_is_kept_and_begins_anew();
}

/* To another host, where it has the same number: the kernel knows. */
static void migrated(void **state)
{
    (void)state;
    resume("3");
    assert_true(resumed(NULL));
    assert_int_equal(guest->ops->dispatch(guest), XG_GUEST_STORE);
    all_is_kept_and_begins_anew();
}

/* Somebody else has bound a port of the control port's number: the store knows. */
static void restored_and_the_port_is_taken(void **state)
{
    (void)state;
    resume("4");
    users[control_port] = 1;
    assert_int_equal(guest->ops->dispatch(guest), XG_GUEST_STORE);
    assert_true(resumed(NULL));
    users[control_port] = 0;
    all_is_kept_and_begins_anew();
}

/* A program ends before the agent has noticed. */
static void noticed_by_what_ends_first(void **state)
{
    (void)state;
    resume("3");
    channel_close();
    assert_int_equal(unbound, 0);
    assert_true(resumed(NULL));
    device_close();
    device_open();
    channel_open();
    channel_close();
    device_close();
    assert_int_equal(unbound, RINGS + 1);
    guest->ops->close(guest);
}

static void no_event_goes_to_others(void **state)
{
    (void)state;
    resume("3");
    guest->ops->control_notify(guest);
    assert_true(resumed(NULL));
    watch_fires = false;
    all_is_kept_and_begins_anew();
}

static void twice(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        resume(i ? "5" : "4");
        assert_true(resumed(NULL));
        channel_close();
        device_close();
        device_open();
        channel_open();
    }
    assert_int_equal(keeper_starts, 1);
    channel_close();
    device_close();
    guest->ops->close(guest);
}

/* Then they stay open here, and people are told. */
static void no_keeper(void **state)
{
    char text[256];
    (void)state;
    keeper_fails = true;
    resume("4");
    assert_true(resumed(text));
    assert_non_null(strstr(text, "BUG"));
    channel_close();
    device_close();
    assert_int_equal(unbound, 0);
    device_open();
    channel_open();
    channel_close();
    device_close();
    assert_int_equal(unbound, RINGS + 1);
    guest->ops->close(guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_ends_is_unbound, setup),
        cmocka_unit_test_setup(restored, setup),
        cmocka_unit_test_setup(migrated, setup),
        cmocka_unit_test_setup(restored_and_the_port_is_taken, setup),
        cmocka_unit_test_setup(noticed_by_what_ends_first, setup),
        cmocka_unit_test_setup(no_event_goes_to_others, setup),
        cmocka_unit_test_setup(twice, setup),
        cmocka_unit_test_setup(no_keeper, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
