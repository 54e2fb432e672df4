/* The agent's platform in memory: see fake_platform.h. */
#include "tests/unit/fake_platform.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

static struct {
    char path[96], value[128];
} nodes[64];
uint64_t fake_kernel_limit, fake_pages_shared;
unsigned fake_ports_open;
bool fake_control_bound;
char fake_watched[96];

char *fake_node(const char *path, bool make)
{
    for (unsigned i = 0; i < XG_ARRAY_LEN(nodes); i++)
        if (!strcmp(nodes[i].path, path))
            return nodes[i].value;
    for (unsigned i = 0; i < XG_ARRAY_LEN(nodes) && make; i++)
        if (!nodes[i].path[0]) {
            snprintf(nodes[i].path, sizeof(nodes[i].path), "%s", path);
            return nodes[i].value;
        }
    return NULL;
}

void fake_set(const char *path, const char *value)
{
    char *v = fake_node(path, true);
    if (v)
        snprintf(v, sizeof(nodes[0].value), "%s", value);
}

void fake_unset(const char *path)
{
    for (unsigned i = 0; i < XG_ARRAY_LEN(nodes); i++)
        if (!strcmp(nodes[i].path, path))
            nodes[i].path[0] = 0;
}

void fake_nodes_drop(void)
{
    memset(nodes, 0, sizeof(nodes));
}

static void must(bool good)
{
    if (!good)
        abort();
}

static int fake_read(struct xg_guest_platform *g, const char *path, char *value, size_t size)
{
    const char *v = fake_node(path, false);
    return v ? (size_t)snprintf(value, size, "%s", v) < size ? 0 : -ENOBUFS : -ENOENT;
}

static int fake_write(struct xg_guest_platform *g, const char *path, const char *value)
{
    fake_set(path, value);
    return 0;
}

static int fake_watch(struct xg_guest_platform *g, const char *path)
{
    snprintf(fake_watched, sizeof(fake_watched), "%s", path);
    return 0;
}

static void fake_unwatch(struct xg_guest_platform *g, const char *path)
{
    must(!strcmp(path, fake_watched));
    fake_watched[0] = 0;
}

static int fake_pages_alloc(struct xg_guest_platform *g, uint64_t shown, uint64_t extra,
                            struct xg_guest_pages *out)
{
    uint64_t count = shown + extra;
    if (fake_pages_shared + count > fake_kernel_limit)
        return -ENOSPC;
    *out = (struct xg_guest_pages){.count = count, .shown = shown};
    out->fd = memfd_create("pages", MFD_CLOEXEC);
    must(!ftruncate(out->fd, (off_t)(count << XG_PAGE_SHIFT)));
    out->map = mmap(NULL, count << XG_PAGE_SHIFT, PROT_READ | PROT_WRITE, MAP_SHARED, out->fd, 0);
    out->ref = calloc(count, sizeof(*out->ref));
    fake_pages_shared += count;
    return 0;
}

static void fake_pages_free(struct xg_guest_platform *g, struct xg_guest_pages *p)
{
    fake_pages_shared -= p->count;
    munmap(p->map, p->count << XG_PAGE_SHIFT);
    close(p->fd);
    free(p->ref);
    *p = (struct xg_guest_pages){.fd = -1};
}

static int fake_ports_alloc(struct xg_guest_platform *g, struct xg_guest_port *out, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        out[i].event = (struct xg_event){.wait_fd = fd, .kick_fd = fd};
        fake_ports_open++;
    }
    return 0;
}

static void fake_ports_free(struct xg_guest_platform *g, struct xg_guest_port *p, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        close(p[i].event.wait_fd);
        fake_ports_open--;
    }
}

static void fake_wake(struct xg_guest_port *p)
{
}

static int fake_bind(struct xg_guest_platform *g, const struct xg_guest_pages *page, uint32_t *port)
{
    must(!fake_control_bound);
    fake_control_bound = true;
    *port = 3;
    return 0;
}

static void fake_unbind(struct xg_guest_platform *g)
{
    fake_control_bound = false;
}

static void fake_notify(struct xg_guest_platform *g)
{
}

const struct xg_guest_ops fake_platform = {
    .read = fake_read,
    .write = fake_write,
    .watch = fake_watch,
    .unwatch = fake_unwatch,
    .pages_alloc = fake_pages_alloc,
    .pages_free = fake_pages_free,
    .ports_alloc = fake_ports_alloc,
    .ports_free = fake_ports_free,
    .port_wake = fake_wake,
    .control_bind = fake_bind,
    .control_unbind = fake_unbind,
    .control_notify = fake_notify,
};
