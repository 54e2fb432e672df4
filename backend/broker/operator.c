/* The operator's socket: one JSON object per line each way. docs/xengpu.md, "The operator's
 * socket". */
#include "backend/broker/operator.h"
#include "backend/broker/domains.h"
#include "backend/broker/guest.h"
#include "backend/broker/guest_settings.h"
#include "backend/broker/inventory.h"
#include "backend/broker/reload.h"
#include "backend/broker/report.h"
#include "backend/broker/sockets.h"
#include "backend/broker/xenbus.h"
#include "protocol/fdpass.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLIENTS_MAX     64u
#define LINE_MAX_BYTES  16384u
#define ATTACH_LIMIT_NS 20000000000u
#define OUTPUT_MAX      (4u << 20) /* bytes of answers that a client has not read yet */

struct client {
    struct client *next;
    struct xg_operators *operators;
    struct xg_source source;
    char line[LINE_MAX_BYTES];
    size_t length;
    char *out;
    size_t out_size;
    /* attach: until this guest is connected; detach: until it is gone; "": waits for nothing */
    char waits_for[XG_NAME_MAX];
    bool detaching, agent, ended; /* ended: nothing more is read */
    bool found;                   /* attach: the guest was there already */
    struct xg_timer limit;
};

struct xg_operators {
    struct xg_broker *broker;
    struct client *clients;
    unsigned client_count;
    struct xg_source listener;
    char socket_path[108]; /* as long as an address can be */
    int lock;
};

static void client_free(struct client *c)
{
    struct client **p = &c->operators->clients;
    while (*p != c)
        p = &(*p)->next;
    *p = c->next;
    c->operators->client_count--;
    xg_timer_disarm(&c->limit);
    xg_loop_close(&c->source);
    free(c->out);
    free(c);
}

/* Sends what it can; the rest waits in c->out. False: the client is gone. */
static bool client_flush(struct client *c)
{
    while (c->out_size) {
        ssize_t n = send(c->source.fd, c->out, c->out_size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0)
            return false;
        c->out_size -= (size_t)n;
        memmove(c->out, c->out + n, c->out_size);
    }
    uint32_t input = c->ended || c->waits_for[0] ? 0 : EPOLLIN;
    xg_loop_events(&c->source, c->out_size ? EPOLLOUT : input);
    return c->out_size || !c->ended;
}

/* If an answer cannot be sent, the connection ends, so that nobody waits for it. */
static void answer_send(struct client *c, json_t *j)
{
    char *line = json_dumps(j, JSON_COMPACT);
    size_t n = line ? strlen(line) : 0;
    char *out =
        line && c->out_size + n + 1 <= OUTPUT_MAX ? realloc(c->out, c->out_size + n + 1) : NULL;
    json_decref(j);
    if (out) {
        memcpy(out + c->out_size, line, n);
        out[c->out_size + n] = '\n';
        c->out = out;
        c->out_size += n + 1;
    } else {
        xg_log_error(NULL, "an operator's request cannot be answered: %s",
                     line ? "the client does not read earlier answers"
                          : "there is no memory for it");
        c->ended = true;
    }
    free(line);
    c->waits_for[0] = 0;
    c->detaching = false;
    xg_timer_disarm(&c->limit);
}

static void answer_ok(struct client *c, json_t *j)
{
    json_object_set_new(j, "ok", json_true());
    answer_send(c, j);
}

static void answer_error(struct client *c, const char *fmt, ...) XG_PRINTF(2, 3);
static void answer_error(struct client *c, const char *fmt, ...)
{
    char *text = NULL; /* a configuration's errors may have many lines */
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    answer_send(c, json_pack("{s:b, s:o}", "ok", 0, "error", xg_json_text(text ? text : fmt)));
    free(text);
}

/* --- requests --------------------------------------------------------------------------------- */

static const char *string_of(json_t *rq, const char *key)
{
    const char *s = json_string_value(json_object_get(rq, key));
    return s ? s : "";
}

static void attach_answer(struct client *c, const struct xg_guest *g)
{
    char path[256] = "";
    if (!g->broker->options.xen)
        xg_socket_agent(g->broker, g->name, path, sizeof(path));
    answer_ok(c, json_pack("{s:s, s:o, s:b}", "guest", g->name, "socket", xg_json_text(path), "new",
                           !c->found));
}

static void wait_over(struct xg_timer *t)
{
    struct client *c = xg_container_of(t, struct client, limit);
    char waiting[XG_LOOK_TEXT] = "is being detached";
    const struct xg_guest *g = xg_guest_find(c->operators->broker, c->waits_for);
    bool attaching = !c->detaching && g;
    if (c->detaching)
        strcpy(waiting, "its workers do not end");
    else if (g)
        xg_xenbus_waiting(g, waiting, sizeof(waiting));
    answer_error(c, "%s: %s%s", c->waits_for, waiting,
                 attaching && !g->pgpu->settled
                     ? ". The guest stays attached and has its device as soon as it is found"
                     : "; the daemon's log may say why");
    if (!client_flush(c))
        client_free(c);
}

/* `agent`: the guest has an agent, and is ready only when that is connected. */
static bool guest_ready(const struct xg_guest *g, bool agent)
{
    return g->state == XG_XENBUS_CONNECTED || (!agent && g->pgpu->settled);
}

/* The guest's name; Xen: a domain may also be given by its number. "": too long. */
static void guest_name(const struct xg_broker *b, json_t *rq, char *name, size_t size)
{
    const char *given = string_of(rq, "guest");
    uint32_t domid;
    if ((size_t)snprintf(name, size, "%s", given) >= size)
        name[0] = 0;
    if (b->options.xen && *given && given[strspn(given, "0123456789")] == 0 &&
        !xg_guest_find(b, given) && !xg_xen_domain(given, &domid) && xg_xen_name(domid, name, size))
        name[0] = 0;
}

/* The strings of "set", by the rules of `place`. False: an error was sent. */
static bool settings_of(struct client *c, json_t *rq, enum xg_key_place place,
                        struct xg_settings *s)
{
    const char *key, *v;
    struct xg_why why;
    json_t *value, *set = json_object_get(rq, "set");
    *s = XG_SETTINGS_NONE;
    if (set && !json_is_object(set)) {
        answer_error(c, "\"set\" is not an object of strings");
        return false;
    }
    json_object_foreach(set, key, value)
    {
        v = json_string_value(value);
        int err = v ? xg_key_take(s, place, key, v, &why) : -EINVAL;
        if (!v)
            xg_why_set(&why, "its value is not a string");
        if (!err)
            continue;
        if (err == -ENOENT || !v)
            answer_error(c, "%.64s: %s", key, why.text);
        else
            answer_error(c, "%.64s=%.64s: %s", key, v, why.text);
        return false;
    }
    return true;
}

/* An unknown field is an error, not ignored. False: an error was sent. */
static bool fields_known(struct client *c, json_t *rq, const char *const *known, unsigned count)
{
    const char *key;
    json_t *value;
    json_object_foreach(rq, key, value)
    {
        bool found = !strcmp(key, "cmd");
        for (unsigned i = 0; i < count; i++)
            found |= !strcmp(key, known[i]);
        if (found)
            continue;
        answer_error(c, "unknown field \"%.64s\"", key);
        return false;
    }
    return true;
}

static uid_t client_user(const struct client *c)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    return getsockopt(c->source.fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ? geteuid()
                                                                               : peer.uid;
}

static void serve_attach(struct client *c, json_t *rq)
{
    static const char *const known[] = {"guest", "set", "new"};
    struct xg_broker *b = c->operators->broker;
    struct xg_settings own;
    struct xg_why why;
    char name[XG_NAME_MAX];
    if (!fields_known(c, rq, known, XG_ARRAY_LEN(known)) || !settings_of(c, rq, XG_IN_ATTACH, &own))
        return;
    bool agent = b->options.xen || !own.without_agent;
    guest_name(b, rq, name, sizeof(name));
    struct xg_guest *g = xg_guest_find(b, name);
    c->found = g != NULL;
    if (g && json_is_true(json_object_get(rq, "new"))) {
        answer_error(c, "%s: is attached already; 'xengpu set' changes it", g->name);
        return;
    }
    if (g && g->removing) {
        answer_error(c, "%s: is being detached; try again", g->name);
        return;
    }
    if (!g && xg_guest_attach_for(b, name, 0, &own, client_user(c), &g, &why)) {
        answer_error(c, "%s", why.text);
        return;
    }
    if (guest_ready(g, agent)) {
        attach_answer(c, g);
        return;
    }
    snprintf(c->waits_for, sizeof(c->waits_for), "%s", g->name);
    c->agent = agent;
    xg_timer_arm(&c->limit, ATTACH_LIMIT_NS, wait_over);
}

/* A guest's device changed its state: answers the clients that wait for that. */
static void guest_changed(const struct xg_guest *g)
{
    for (struct client *c = g->broker->operators->clients; c; c = c->next)
        if (!c->detaching && !strcmp(c->waits_for, g->name) && guest_ready(g, c->agent)) {
            attach_answer(c, g);
            xg_loop_events(&c->source, EPOLLOUT);
        }
}

static void detach_answer(void *arg, int err)
{
    const struct xg_guest *g = arg;
    const struct xg_operators *o = g->broker->operators;
    (void)err;
    for (struct client *c = o ? o->clients : NULL; c; c = c->next)
        if (c->detaching && !strcmp(c->waits_for, g->name)) {
            answer_ok(c, json_object());
            xg_loop_events(&c->source, EPOLLOUT);
        }
}

static struct xg_guest *guest_of(struct client *c, json_t *rq)
{
    struct xg_broker *b = c->operators->broker;
    char name[XG_NAME_MAX];
    guest_name(b, rq, name, sizeof(name));
    struct xg_guest *g = xg_guest_find(b, name);
    if (!g)
        answer_error(c, "%.64s: there is no such guest; see 'xengpu list'", string_of(rq, "guest"));
    return g;
}

static void serve_detach(struct client *c, json_t *rq)
{
    struct xg_guest *g = guest_of(c, rq);
    if (!g)
        return;
    snprintf(c->waits_for, sizeof(c->waits_for), "%s", g->name);
    c->detaching = true;
    xg_timer_arm(&c->limit, ATTACH_LIMIT_NS, wait_over);
    if (g->broker->options.xen)
        xg_domain_detached(g);
    xg_guest_detach(g, detach_answer, g);
}

static void serve_set(struct client *c, json_t *rq)
{
    static const char *const known[] = {"guest", "set"};
    struct xg_settings s;
    struct xg_why why;
    struct xg_guest *g = guest_of(c, rq);
    if (!g || !fields_known(c, rq, known, XG_ARRAY_LEN(known)) ||
        !settings_of(c, rq, XG_IN_SET, &s))
        return;
    if (xg_guest_set(g, &s, &why))
        answer_error(c, "%s", why.text);
    else
        answer_ok(c, json_object());
}

static void serve_reload(struct client *c)
{
    char *errors = NULL;
    json_t *j = xg_config_reload(c->operators->broker, &errors);
    if (j)
        answer_ok(c, j);
    else
        answer_error(c, "%s", errors ? errors : "there is no memory left");
    free(errors);
}

static void request_serve(struct client *c, const char *line, size_t size)
{
    const struct xg_broker *b = c->operators->broker;
    json_error_t e;
    json_t *rq = json_loadb(line, size, 0, &e);
    const char *cmd = rq ? string_of(rq, "cmd") : "";
    if (!rq || !json_is_object(rq))
        answer_error(c, "not a line with one JSON object");
    else if (!strcmp(cmd, "ping"))
        answer_ok(c, json_pack("{s:i, s:s}", "pid", (int)getpid(), "mode",
                               b->options.xen ? "xen" : "local"));
    else if (!strcmp(cmd, "list"))
        answer_ok(c, xg_report(b));
    else if (!strcmp(cmd, "types"))
        answer_ok(c, xg_report_types(b));
    else if (!strcmp(cmd, "attach"))
        serve_attach(c, rq);
    else if (!strcmp(cmd, "detach"))
        serve_detach(c, rq);
    else if (!strcmp(cmd, "set"))
        serve_set(c, rq);
    else if (!strcmp(cmd, "reload"))
        serve_reload(c);
    else
        answer_error(c,
                     "unknown command; known are ping, list, types, attach, detach, set, reload");
    json_decref(rq);
}

/* --- connections ------------------------------------------------------------------------------ */

static void lines_serve(struct client *c)
{
    char *end;
    while (!c->waits_for[0] && (end = memchr(c->line, '\n', c->length))) {
        size_t n = (size_t)(end - c->line);
        request_serve(c, c->line, n);
        c->length -= n + 1;
        memmove(c->line, end + 1, c->length);
    }
    if (c->length == sizeof(c->line)) {
        answer_error(c, "line too long");
        c->length = 0;
        c->ended = true;
    }
}

static void client_event(struct xg_source *s, uint32_t events)
{
    struct client *c = xg_container_of(s, struct client, source);
    if (events & EPOLLIN && c->length < sizeof(c->line) && !c->ended) {
        ssize_t n = recv(s->fd, c->line + c->length, sizeof(c->line) - c->length, MSG_DONTWAIT);
        if (n > 0)
            c->length += (size_t)n;
        else if (n == 0 || errno != EAGAIN)
            c->ended = true;
    } else if (events & (EPOLLHUP | EPOLLERR)) {
        client_free(c);
        return;
    }
    lines_serve(c);
    if (!client_flush(c))
        client_free(c);
}

static void listener_event(struct xg_source *s, uint32_t events)
{
    (void)events;
    int fd = xg_loop_accept(s);
    if (fd < 0)
        return;
    struct xg_operators *o = xg_container_of(s, struct xg_operators, listener);
    struct client *c = o->client_count < CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
    if (!c || xg_loop_add(&c->source, fd, EPOLLIN, client_event)) {
        close(fd);
        free(c);
        return;
    }
    c->operators = o;
    c->next = o->clients;
    o->clients = c;
    o->client_count++;
}

/* The lock tells whether a daemon lives, not the socket: that of a dead daemon is replaced. */
static int directory_lock(struct xg_operators *o, const char *directory)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/lock", directory);
    o->lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (o->lock < 0) {
        int err = -errno;
        xg_log_error(NULL, "%s: %s", path, strerror(errno));
        return err;
    }
    if (flock(o->lock, LOCK_EX | LOCK_NB) < 0) {
        xg_log_error(NULL,
                     "another xengpud serves %s; end it, or give this one another --socket-dir",
                     directory);
        return -EADDRINUSE;
    }
    return 0;
}

/* Whoever can change the files in it can take the place of the daemon or of guests. */
static int directory_check(const char *directory)
{
    struct stat st;
    if (stat(directory, &st) < 0)
        return -errno;
    bool others = st.st_mode & S_IWOTH && !(st.st_mode & S_ISVTX);
    if ((st.st_uid == geteuid() || st.st_uid == 0) && !others)
        return 0;
    if (others)
        xg_log_error(NULL, "%s: every user may change the files in it; 'chmod o-w' helps",
                     directory);
    else
        xg_log_error(
            NULL,
            "%s: belongs to another user, number %u, who could take the place of the daemon "
            "or of guests; --socket-dir names another directory",
            directory, st.st_uid);
    return -EPERM;
}

/* `directory` becomes an absolute path: clients may have another working directory. */
static int directory_make(char *directory, size_t size)
{
    char real[PATH_MAX];
    if ((mkdir(directory, 0755) < 0 && errno != EEXIST) || !realpath(directory, real) ||
        strlen(real) >= size) {
        int err = errno ? -errno : -ENAMETOOLONG;
        xg_log_error(NULL, "%s: %s; --socket-dir names another directory", directory,
                     strerror(-err));
        return err;
    }
    strcpy(directory, real);
    return directory_check(directory);
}

int xg_operator_start(struct xg_broker *b)
{
    char *directory = b->options.socket_dir;
    struct xg_operators *o = calloc(1, sizeof(*o));
    int err = o ? directory_make(directory, sizeof(b->options.socket_dir)) : -ENOMEM;
    if (!o)
        return err;
    o->broker = b;
    o->listener.fd = o->lock = -1;
    b->operators = o;
    b->guest_changed = guest_changed;
    if (!err)
        err = directory_lock(o, directory);
    if (err)
        return err;
    xg_sockets_start(b);
    snprintf(o->socket_path, sizeof(o->socket_path), "%s/control.sock", directory);
    int fd = xg_unix_listen(o->socket_path, SOCK_STREAM, 0600, 64);
    if (fd < 0) {
        xg_log_error(NULL, "%s: %s", o->socket_path, strerror(-fd));
        return fd;
    }
    return xg_loop_add(&o->listener, fd, EPOLLIN, listener_event);
}

void xg_operator_stop(struct xg_broker *b)
{
    struct xg_operators *o = b->operators;
    char path[128];
    if (!o)
        return;
    while (o->clients)
        client_free(o->clients);
    if (o->listener.fd >= 0) {
        xg_loop_close(&o->listener);
        unlink(o->socket_path);
        xg_sockets_stop(b);
        snprintf(path, sizeof(path), "%s/lock", b->options.socket_dir);
        unlink(path);
    }
    if (o->lock >= 0)
        close(o->lock);
    free(o);
    b->operators = NULL;
    b->guest_changed = NULL;
}
