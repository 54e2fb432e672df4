/* xenstore in memory: see fake_xen.h. */
#include "tests/unit/fake_xen_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xenstore.h>

#define PERMS 4

struct node {
    char *path, *value;
    uint32_t hash; /* of the path */
    unsigned length;
    struct xs_permissions perms[PERMS];
    unsigned perm_count;
};

struct tree {
    struct node *node;
    unsigned count;
};

struct event {
    struct event *next;
    char *path, *token;
};

struct watch {
    struct watch *next;
    char *path, *token; /* as given */
    bool relative;
};

struct xs_handle {
    struct xs_handle *next;
    uint32_t domid;
    int pipe[2];
    struct watch *watches;
    struct event *events;
};

#define TRANSACTIONS 8

static struct tree live;
static uint64_t generation;
static struct transaction {
    bool used;
    uint64_t generation;
    struct tree tree;
    char *changed[256];
    unsigned changes;
} transactions[TRANSACTIONS + 1];
static struct xs_handle *handles;
static uint32_t open_as;
static bool introduced[65536];

/* --- the tree --------------------------------------------------------------------------------- */

static uint32_t hash_of(const char *path)
{
    uint32_t h = 2166136261u;
    for (; *path; path++)
        h = (h ^ (uint8_t)*path) * 16777619u;
    return h;
}

static struct node *find(struct tree *t, const char *path)
{
    uint32_t hash = hash_of(path);
    for (unsigned i = 0; i < t->count; i++)
        if (t->node[i].hash == hash && !strcmp(t->node[i].path, path))
            return &t->node[i];
    return NULL;
}

static bool below(const char *path, const char *ancestor)
{
    size_t n = strlen(ancestor);
    return !strncmp(path, ancestor, n) && (path[n] == '/' || !path[n] || !strcmp(ancestor, "/"));
}

static void node_drop(struct tree *t, unsigned i)
{
    free(t->node[i].path);
    free(t->node[i].value);
    t->node[i] = t->node[--t->count];
}

static void tree_free(struct tree *t)
{
    while (t->count)
        node_drop(t, 0);
    free(t->node);
    *t = (struct tree){0};
}

static struct tree tree_copy(const struct tree *t)
{
    struct tree c = {.node = malloc((t->count + 1) * sizeof(*t->node)), .count = t->count};
    for (unsigned i = 0; i < t->count; i++) {
        c.node[i] = t->node[i];
        c.node[i].path = strdup(t->node[i].path);
        c.node[i].value =
            memcpy(malloc(t->node[i].length + 1), t->node[i].value, t->node[i].length + 1);
    }
    return c;
}

static bool parent_of(const char *path, char *out, size_t size)
{
    snprintf(out, size, "%s", path);
    char *slash = strrchr(out, '/');
    if (!slash || !out[1])
        return false;
    if (slash == out)
        slash++;
    *slash = 0;
    return true;
}

static bool allowed(const struct node *n, uint32_t domid, bool write)
{
    unsigned p = 0;
    if (!domid || n->perms[0].id == domid)
        return true;
    for (unsigned i = 1; i <= n->perm_count && !p; i++)
        if (i < n->perm_count && n->perms[i].id == domid)
            p = n->perms[i].perms + 16;
    p = p ? p - 16 : n->perms[0].perms;
    return p & (write ? XS_PERM_WRITE : XS_PERM_READ);
}

/* The node, made if need be with what its nearest ancestor allows. */
static struct node *make(struct tree *t, const char *path, uint32_t domid)
{
    char above[512];
    struct node *n = find(t, path), *p;
    if (n) {
        errno = EACCES;
        return allowed(n, domid, true) ? n : NULL;
    }
    if (!parent_of(path, above, sizeof(above)))
        return NULL;
    p = find(t, above);
    if (!p)
        p = make(t, above, domid);
    if (!p || !allowed(p, domid, true)) {
        errno = EACCES;
        return NULL;
    }
    struct node fresh = *p;
    fresh.path = strdup(path);
    fresh.hash = hash_of(path);
    fresh.value = strdup("");
    fresh.length = 0;
    if (domid)
        fresh.perms[0].id = domid;
    t->node = realloc(t->node, (t->count + 1) * sizeof(*t->node));
    t->node[t->count] = fresh;
    return &t->node[t->count++];
}

/* --- watches ---------------------------------------------------------------------------------- */

static void push(struct xs_handle *h, const char *path, const char *token)
{
    struct event *e = calloc(1, sizeof(*e)), **p = &h->events;
    e->path = strdup(path);
    e->token = strdup(token);
    if (!h->events && h->pipe[1] >= 0 && write(h->pipe[1], "x", 1) != 1)
        abort();
    while (*p)
        p = &(*p)->next;
    *p = e;
}

static void absolute(uint32_t domid, const char *path, char *out, size_t size)
{
    if (path[0] == '/' || path[0] == '@')
        snprintf(out, size, "%s", path);
    else
        snprintf(out, size, "/local/domain/%u/%s", domid, path);
}

static void fire(const char *path)
{
    char whole[512], home[64];
    struct node *n = path[0] == '@' ? NULL : find(&live, path);
    for (struct xs_handle *h = handles; h; h = h->next) {
        snprintf(home, sizeof(home), "/local/domain/%u/", h->domid);
        for (struct watch *w = h->watches; w; w = w->next) {
            absolute(h->domid, w->path, whole, sizeof(whole));
            if (!below(path, whole) || (n && !allowed(n, h->domid, false)))
                continue;
            push(h, w->relative && below(path, home) ? path + strlen(home) : path, w->token);
        }
    }
}

/* --- what the tests say ----------------------------------------------------------------------- */

static void changed(xs_transaction_t t, const char *path)
{
    if (!t) {
        generation++;
        fire(path);
    } else if (transactions[t].changes < XG_ARRAY_LEN(transactions[t].changed)) {
        transactions[t].changed[transactions[t].changes++] = strdup(path);
    }
}

static struct tree *tree_of(xs_transaction_t t)
{
    return t ? &transactions[t].tree : &live;
}

static int node_write(xs_transaction_t t, uint32_t domid, const char *path, const void *value,
                      unsigned length)
{
    if (length > 4096)
        return -EINVAL;
    struct node *n = make(tree_of(t), path, domid);
    if (!n)
        return -errno;
    free(n->value);
    n->value = malloc(length + 1);
    memcpy(n->value, value, length);
    n->value[length] = 0;
    n->length = length;
    changed(t, path);
    return 0;
}

static int node_remove(xs_transaction_t t, uint32_t domid, const char *path)
{
    struct tree *tree = tree_of(t);
    struct node *n = find(tree, path);
    char *gone[512];
    unsigned count = 0;
    if (!n || !allowed(n, domid, true))
        return n ? -EACCES : -ENOENT;
    for (unsigned i = 0; i < tree->count;)
        if (below(tree->node[i].path, path)) {
            if (count < XG_ARRAY_LEN(gone))
                gone[count++] = strdup(tree->node[i].path);
            node_drop(tree, i);
        } else {
            i++;
        }
    while (count) {
        changed(t, gone[--count]);
        free(gone[count]);
    }
    return 0;
}

void fake_open_as(uint32_t domid)
{
    open_as = domid;
}

static void allow(const char *path, uint32_t owner)
{
    struct node *n = make(&live, path, 0);
    n->perms[0] = (struct xs_permissions){.id = owner, .perms = XS_PERM_NONE};
    n->perm_count = 1;
}

void fake_domain(uint32_t domid, const char *name)
{
    char path[64], text[16];
    snprintf(text, sizeof(text), "%u", domid);
    snprintf(path, sizeof(path), "/local/domain/%u", domid);
    struct node *n = make(&live, path, 0);
    n->perms[0] = (struct xs_permissions){.id = 0, .perms = XS_PERM_NONE};
    n->perms[1] = (struct xs_permissions){.id = domid, .perms = XS_PERM_READ};
    n->perm_count = 2;
    snprintf(path, sizeof(path), "/local/domain/%u/domid", domid);
    node_write(XBT_NULL, 0, path, text, (unsigned)strlen(text));
    snprintf(path, sizeof(path), "/local/domain/%u/device", domid);
    make(&live, path, 0);
    snprintf(path, sizeof(path), "/local/domain/%u/backend", domid);
    allow(path, domid);
    snprintf(path, sizeof(path), "/local/domain/%u/data", domid);
    allow(path, domid);
    if (name)
        fake_domain_name(domid, name);
}

void fake_domain_name(uint32_t domid, const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "/local/domain/%u/name", domid);
    node_write(XBT_NULL, 0, path, name, (unsigned)strlen(name));
}

void fake_introduce(uint32_t domid)
{
    introduced[domid] = true;
    fire("@introduceDomain");
}

void fake_release(uint32_t domid)
{
    char path[64];
    introduced[domid] = false;
    fire("@releaseDomain");
    snprintf(path, sizeof(path), "/local/domain/%u", domid);
    node_remove(XBT_NULL, 0, path);
}

int fake_write(uint32_t domid, const char *path, const char *value)
{
    char whole[512];
    absolute(domid, path, whole, sizeof(whole));
    return value ? node_write(XBT_NULL, domid, whole, value, (unsigned)strlen(value))
                 : node_remove(XBT_NULL, domid, whole);
}

int fake_write_bytes(uint32_t domid, const char *path, const void *value, size_t size)
{
    char whole[512];
    absolute(domid, path, whole, sizeof(whole));
    return node_write(XBT_NULL, domid, whole, value, (unsigned)size);
}

const char *fake_value(const char *path)
{
    struct node *n = find(&live, path);
    return n ? n->value : NULL;
}

unsigned fake_nodes(void)
{
    return live.count;
}

void fake_store_reset(void)
{
    while (handles)
        xs_close(handles);
    for (unsigned i = 0; i <= TRANSACTIONS; i++)
        if (transactions[i].used)
            xs_transaction_end(NULL, i, true);
    tree_free(&live);
    memset(introduced, 0, sizeof(introduced));
    introduced[0] = true;
    open_as = 0;
    live.node = calloc(1, sizeof(*live.node));
    live.count = 1;
    live.node[0] = (struct node){
        .path = strdup("/"), .hash = hash_of("/"), .value = strdup(""), .perm_count = 1};
    fake_domain(0, "Domain-0");
}

/* --- libxenstore ------------------------------------------------------------------------------ */

static bool result(int err)
{
    errno = -err;
    return err == 0;
}

struct xs_handle *xs_open(unsigned long flags)
{
    (void)flags;
    if (!fake_may(FAKE_OPEN, "xs_open"))
        return NULL;
    struct xs_handle *h = calloc(1, sizeof(*h));
    h->domid = open_as;
    h->pipe[0] = h->pipe[1] = -1;
    h->next = handles;
    handles = h;
    fake_handle_count(1);
    return h;
}

static void event_free(struct event *e)
{
    free(e->path);
    free(e->token);
    free(e);
}

void xs_close(struct xs_handle *h)
{
    struct xs_handle **p = &handles;
    while (*p != h)
        p = &(*p)->next;
    *p = h->next;
    while (h->watches)
        xs_unwatch(h, h->watches->path, h->watches->token);
    for (struct event *e = h->events, *next; e; e = next) {
        next = e->next;
        event_free(e);
    }
    if (h->pipe[0] >= 0) {
        if (fake_closed)
            fake_closed(h->pipe[0]);
        close(h->pipe[0]);
        close(h->pipe[1]);
    }
    free(h);
    fake_handle_count(-1);
}

void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned *length)
{
    char whole[512];
    if (!fake_may(FAKE_STORE, "xs_read"))
        return NULL;
    absolute(h->domid, path, whole, sizeof(whole));
    struct node *n = find(tree_of(t), whole);
    if (!n || !allowed(n, h->domid, false)) {
        errno = n ? EACCES : ENOENT;
        return NULL;
    }
    *length = n->length;
    return memcpy(malloc(n->length + 1), n->value, n->length + 1);
}

bool xs_write(struct xs_handle *h, xs_transaction_t t, const char *path, const void *data,
              unsigned length)
{
    char whole[512];
    absolute(h->domid, path, whole, sizeof(whole));
    return fake_may(FAKE_STORE, "xs_write") && result(node_write(t, h->domid, whole, data, length));
}

bool xs_mkdir(struct xs_handle *h, xs_transaction_t t, const char *path)
{
    char whole[512];
    if (!fake_may(FAKE_STORE, "xs_mkdir"))
        return false;
    absolute(h->domid, path, whole, sizeof(whole));
    if (find(tree_of(t), whole))
        return true;
    if (!make(tree_of(t), whole, h->domid))
        return false;
    changed(t, whole);
    return true;
}

bool xs_rm(struct xs_handle *h, xs_transaction_t t, const char *path)
{
    char whole[512];
    absolute(h->domid, path, whole, sizeof(whole));
    return fake_may(FAKE_STORE, "xs_rm") && result(node_remove(t, h->domid, whole));
}

bool xs_set_permissions(struct xs_handle *h, xs_transaction_t t, const char *path,
                        struct xs_permissions *perms, unsigned count)
{
    char whole[512];
    if (!fake_may(FAKE_STORE, "xs_set_permissions"))
        return false;
    absolute(h->domid, path, whole, sizeof(whole));
    struct node *n = find(tree_of(t), whole);
    if (!n || count > PERMS)
        return result(-ENOENT);
    if (h->domid && n->perms[0].id != h->domid)
        return result(-EACCES);
    memcpy(n->perms, perms, count * sizeof(*perms));
    n->perm_count = count;
    return true;
}

char **xs_directory(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned *count)
{
    char whole[512];
    if (!fake_may(FAKE_STORE, "xs_directory"))
        return NULL;
    absolute(h->domid, path, whole, sizeof(whole));
    struct tree *tree = tree_of(t);
    struct node *d = find(tree, whole);
    size_t n = strlen(whole);
    if (!d || !allowed(d, h->domid, false)) {
        errno = d ? EACCES : ENOENT;
        return NULL;
    }
    /* One block, as the library's: pointers first, then the names. */
    char **list = calloc(1, (tree->count + 1) * (sizeof(char *) + 64));
    char *at = (char *)(list + tree->count + 1);
    *count = 0;
    for (unsigned i = 0; i < tree->count; i++) {
        const char *p = tree->node[i].path;
        if (strncmp(p, whole, n) || p[n] != '/' || strchr(p + n + 1, '/'))
            continue;
        list[(*count)++] = strcpy(at, p + n + 1);
        at += strlen(at) + 1;
    }
    return list;
}

bool xs_watch(struct xs_handle *h, const char *path, const char *token)
{
    if (!fake_may(FAKE_WATCH, "xs_watch"))
        return false;
    if (path[0] == '@' && h->domid)
        return result(-EACCES);
    for (struct watch *w = h->watches; w; w = w->next)
        if (!strcmp(w->path, path) && !strcmp(w->token, token))
            return result(-EEXIST);
    struct watch *w = calloc(1, sizeof(*w));
    w->path = strdup(path);
    w->token = strdup(token);
    w->relative = path[0] != '/' && path[0] != '@';
    w->next = h->watches;
    h->watches = w;
    push(h, path, token);
    return true;
}

bool xs_unwatch(struct xs_handle *h, const char *path, const char *token)
{
    for (struct watch **p = &h->watches; *p; p = &(*p)->next) {
        struct watch *w = *p;
        if (strcmp(w->path, path) || strcmp(w->token, token))
            continue;
        *p = w->next;
        free(w->path);
        free(w->token);
        free(w);
        return true;
    }
    return result(-ENOENT);
}

int xs_fileno(struct xs_handle *h)
{
    if (h->pipe[0] < 0) {
        if (pipe2(h->pipe, O_CLOEXEC) < 0)
            abort();
        if (h->events && write(h->pipe[1], "x", 1) != 1)
            abort();
    }
    return h->pipe[0];
}

char **xs_check_watch(struct xs_handle *h)
{
    struct event *e = h->events;
    char c;
    if (!e) {
        errno = EAGAIN;
        return NULL;
    }
    h->events = e->next;
    if (!h->events && h->pipe[0] >= 0 && read(h->pipe[0], &c, 1) != 1)
        abort();
    size_t path = strlen(e->path) + 1, token = strlen(e->token) + 1;
    char **v = malloc(2 * sizeof(char *) + path + token);
    v[XS_WATCH_PATH] = memcpy(v + 2, e->path, path);
    v[XS_WATCH_TOKEN] = memcpy((char *)(v + 2) + path, e->token, token);
    event_free(e);
    return v;
}

bool xs_is_domain_introduced(struct xs_handle *h, unsigned domid)
{
    (void)h;
    return domid < XG_ARRAY_LEN(introduced) && introduced[domid];
}

xs_transaction_t xs_transaction_start(struct xs_handle *h)
{
    (void)h;
    if (!fake_may(FAKE_TRANSACTION, "xs_transaction_start"))
        return XBT_NULL;
    for (unsigned i = 1; i <= TRANSACTIONS; i++)
        if (!transactions[i].used) {
            transactions[i] = (struct transaction){
                .used = true, .generation = generation, .tree = tree_copy(&live)};
            return i;
        }
    errno = ENOSPC;
    return XBT_NULL;
}

bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool abandon)
{
    struct transaction *x = &transactions[t];
    bool good = abandon || (fake_may(FAKE_TRANSACTION, "xs_transaction_end") &&
                            result(x->generation == generation ? 0 : -EAGAIN));
    (void)h;
    x->used = false;
    if (good && !abandon) {
        tree_free(&live);
        live = x->tree;
        x->tree = (struct tree){0};
        generation++;
    } else {
        int err = errno;
        tree_free(&x->tree);
        errno = err;
    }
    for (unsigned i = 0; i < x->changes; i++) {
        if (good && !abandon)
            fire(x->changed[i]);
        free(x->changed[i]);
    }
    x->changes = 0;
    return good;
}
