/*
 * What a worker writes to its standard output and error: its own messages, its drivers', or, if its
 * application has taken it over, anything. It goes through a pipe, and comes into the log as lines
 * with the guest's and the application's names, no more of them than the log takes of a guest. So
 * nobody can write lines in another's name, or cut the file that the log is.
 */
#include "backend/broker/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define READ_MAX 4096u
#define PAUSE_NS 20000000u /* between two reads: what a flood costs is bounded */
#define REST_MAX 16u       /* reads of what a worker that is dead has left */

struct xg_relay {
    struct xg_source source;
    struct xg_timer pause;
    const struct xg_broker_channel *channel;
    char line[XG_LOG_MAX / 2];
    size_t used;
};

/* A line of xg_log_relay begins with its level. */
static void line_log(struct xg_relay *r)
{
    const struct xg_broker_channel *c = r->channel;
    enum xg_log_level level = XG_LOG_INFO;
    const char *text = r->line;
    r->line[r->used] = 0;
    r->used = 0;
    if (text[0] == '<' && text[1] && text[2] == '>' && strchr("346", text[1])) {
        level = (enum xg_log_level)(text[1] - '0');
        text += 3;
    }
    if (*text)
        xg_log_at(level, c->guest->name, "%s (worker %d): %s", c->command, c->worker, text);
}

/* False: there is no more, now or at all. */
static bool relay_read(struct xg_relay *r)
{
    char data[READ_MAX];
    ssize_t n = read(r->source.fd, data, sizeof(data));
    if (n == 0) /* a worker may close it and live on */
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

static void readable(struct xg_source *s, uint32_t events)
{
    struct xg_relay *r = xg_container_of(s, struct xg_relay, source);
    (void)events;
    if (!relay_read(r) && s->fd < 0)
        return;
    xg_loop_events(s, 0);
    xg_timer_arm(&r->pause, PAUSE_NS, pause_over);
}

int xg_relay_create(const struct xg_broker_channel *c, struct xg_relay **out)
{
    int pipes[2];
    struct xg_relay *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->channel = c;
    /* Not to wait: a worker whose lines nobody takes loses them, and goes on. */
    int err = pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : 0;
    if (err)
        goto fail;
    err = xg_loop_add(&r->source, pipes[0], EPOLLIN, readable);
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

void xg_relay_end(struct xg_relay *r)
{
    if (!r)
        return;
    xg_timer_disarm(&r->pause);
    for (unsigned i = 0; i < REST_MAX && r->source.fd >= 0 && relay_read(r); i++)
        ;
    if (r->used)
        line_log(r);
    xg_loop_close(&r->source);
    free(r);
}
