#include "protocol/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *log_program = "xengpu";
static int log_fd = STDERR_FILENO;
static enum { LOG_PLAIN, LOG_JOURNAL, LOG_RELAY } log_form;

/* A descriptor that was closed would be given to the next file that is opened, and the log would be
 * written into that. */
static void descriptors_fill(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", O_RDWR); /* the lowest that is free: this one */
}

/* JOURNAL_STREAM says which stream is the journal's: standard error may be another by now. */
void xg_log_start(const char *program)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;
    log_program = program;
    descriptors_fill();
    if (stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && !fstat(STDERR_FILENO, &st) &&
        st.st_dev == device && st.st_ino == inode)
        log_form = LOG_JOURNAL;
    tzset(); /* later, a sandbox may not read the time zone's file */
}

void xg_log_relay(void)
{
    log_form = LOG_RELAY;
}

void xg_log_move(int fd)
{
    log_fd = fd;
}

static const char *level_name(enum xg_log_level level)
{
    return level == XG_LOG_ERROR ? "error" : level == XG_LOG_WARNING ? "warning" : "info";
}

/* "2026-03-01T12:00:00.123+01:00": RFC 3339, local time. */
static void time_text(char *text, size_t size)
{
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &tm);
    size_t n = strftime(text, size, "%Y-%m-%dT%H:%M:%S", &tm);
    long minutes = tm.tm_gmtoff / 60;
    snprintf(text + n, size - n, ".%03ld%c%02ld:%02ld", now.tv_nsec / 1000000,
             minutes < 0 ? '-' : '+', labs(minutes) / 60, labs(minutes) % 60);
}

void xg_log_write(enum xg_log_level level, const char *guest, const char *fmt, va_list ap)
{
    char line[XG_LOG_MAX], when[64];
    int n;
    if (log_form == LOG_PLAIN) {
        time_text(when, sizeof(when));
        n = snprintf(line, sizeof(line), "%s %s %s: ", when, level_name(level), log_program);
    } else if (log_form == LOG_JOURNAL) {
        n = snprintf(line, sizeof(line), "<%d>%s: ", (int)level, log_program);
    } else {
        n = snprintf(line, sizeof(line), "<%d>", (int)level);
    }
    if (guest && *guest && log_form != LOG_RELAY)
        n += snprintf(line + n, sizeof(line) - (size_t)n, "%.64s: ", guest);
    n += vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
    size_t length = xg_min_u64((uint64_t)n, sizeof(line) - 1);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?';
    line[length++] = '\n';
    while (write(log_fd, line, length) < 0 && errno == EINTR)
        ;
}

void xg_log_line(enum xg_log_level level, const char *guest, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    xg_log_write(level, guest, fmt, ap);
    va_end(ap);
}

#define LIMIT_LINES   200u
#define LIMIT_LINE_NS 50000000u

bool xg_log_allowed(struct xg_log_limit *l, const char *guest)
{
    uint64_t now = xg_now_ns();
    l->until = xg_max_u64(l->until, now);
    if (l->until - now > (LIMIT_LINES - 1) * (uint64_t)LIMIT_LINE_NS) {
        l->dropped++;
        return false;
    }
    l->until += LIMIT_LINE_NS;
    if (l->dropped)
        xg_log_line(XG_LOG_WARNING, guest, "%u more lines were not written", l->dropped);
    l->dropped = 0;
    return true;
}
