/*
 * What a child of the spawner writes to its standard output and error: its own messages, those of
 * its drivers, or, if an application has taken a worker over, anything. It comes through a pipe,
 * and goes into the log as lines that name the guest and the child, no more lines than the log
 * accepts for one guest. So nobody can write in another guest's name, or truncate the log's file.
 */
#include "backend/broker/relay.h"
#include "backend/loop/log.h"
#include "backend/loop/loop.h"
#include "settings/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define READ_MAX 4096u
#define PAUSE_NS 20000000u /* between two reads, so that a flood of text costs little */
#define REST_MAX 16u       /* reads of what a dead child has left in the pipe */

struct xg_relay {
    struct xg_source source;
    struct xg_timer pause;
    struct xg_log_limit limit; /* for a child that works for no guest */
    char guest[XG_NAME_MAX], who[96];
    char line[XG_LOG_MAX / 2];
    size_t used;
};

/* A line of xg_log_relay begins with its level. */
static void line_log(struct xg_relay *r)
{
    enum xg_log_level level = XG_LOG_INFO;
    const char *text = r->line;
    r->line[r->used] = 0;
    r->used = 0;
    if (text[0] == '<' && text[1] && text[2] == '>' && strchr("346", text[1])) {
        level = (enum xg_log_level)(text[1] - '0');
        text += 3;
    }
    if (*text && (r->guest[0] || xg_log_allowed(&r->limit, NULL)))
        xg_log_at(level, r->guest[0] ? r->guest : NULL, "%s: %s", r->who, text);
}

/* False: there is no more, now or at all. */
static bool relay_read(struct xg_relay *r)
{
    char data[READ_MAX];
    ssize_t n = read(r->source.fd, data, sizeof(data));
    if (n == 0) /* a child may close it and live on */
        xg_loop_close(&r->source);
    for (ssize_t i = 0; i < n; i++) {
        if (data[i] != '\n')
            r->line[r->used++] = data[i] ? data[i] : '?';
        if (data[i] == '\n' || r->used == sizeof(r->line) - 1)
            line_log(r);
    }
    return n > 0;
}

static void pause_over(struct xg_timer *t)
{
    struct xg_relay *r = xg_container_of(t, struct xg_relay, pause);
    xg_loop_events(&r->source, EPOLLIN);
}

static void relay_readable(struct xg_source *s, uint32_t events)
{
    struct xg_relay *r = xg_container_of(s, struct xg_relay, source);
    (void)events;
    if (!relay_read(r) && s->fd < 0)
        return;
    xg_loop_events(s, 0);
    xg_timer_arm(&r->pause, PAUSE_NS, pause_over);
}

void xg_relay_name(struct xg_relay *r, const char *fmt, ...)
{
    va_list ap;
    if (!r)
        return;
    va_start(ap, fmt);
    vsnprintf(r->who, sizeof(r->who), fmt, ap);
    va_end(ap);
}

int xg_relay_create(const char *guest, const char *who, struct xg_relay **out)
{
    int pipes[2];
    struct xg_relay *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    snprintf(r->guest, sizeof(r->guest), "%s", guest ? guest : "");
    xg_relay_name(r, "%s", who);
    /* Without waiting: a child whose lines nobody reads loses them, and goes on. */
    int err = pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : 0;
    if (err)
        goto fail;
    err = xg_loop_add(&r->source, pipes[0], EPOLLIN, relay_readable);
    if (err)
        goto fail_pipes;
    *out = r;
    return pipes[1];
fail_pipes:
    close(pipes[0]);
    close(pipes[1]);
fail:
    free(r);
    return err;
}

void xg_relay_end(struct xg_relay **relay)
{
    struct xg_relay *r = *relay;
    if (!r)
        return;
    *relay = NULL;
    xg_timer_disarm(&r->pause);
    for (unsigned i = 0; i < REST_MAX && r->source.fd >= 0 && relay_read(r); i++)
        ;
    if (r->used)
        line_log(r);
    xg_loop_close(&r->source);
    free(r);
}
