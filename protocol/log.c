#include "protocol/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *log_program = "xengpu";
static int log_fd = STDERR_FILENO;
static int log_own = -1; /* the same pipe, opened again by us */
static bool log_socket;  /* log_fd is one */
static enum { LOG_PLAIN, LOG_JOURNAL, LOG_RELAY } log_form;

/* Opens /dev/null for standard descriptors that are closed: otherwise the next file that is opened
 * would get the number, and the log would be written into that file. */
static void descriptors_fill(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", O_RDWR); /* gets the lowest free number, which is this one */
}

/* Maybe nobody reads at the other end of a pipe or socket, and waiting for a reader would stop
 * everything. The setting not to wait must be ours alone, since others may have the same file
 * open. */
static void waits_avoid(mode_t type)
{
    log_socket = S_ISSOCK(type);
    int fd = S_ISFIFO(type) ? open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC) : -1;
    if (fd >= 0)
        log_fd = log_own = fd;
}

/* JOURNAL_STREAM says which stream is the journal's: standard error may be another one by now. */
void xg_log_start(const char *program)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;
    log_program = program;
    descriptors_fill();
    if (!fstat(STDERR_FILENO, &st)) {
        waits_avoid(st.st_mode);
        if (stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && st.st_dev == device &&
            st.st_ino == inode)
            log_form = LOG_JOURNAL;
    }
    tzset(); /* a sandbox may later forbid reading the time zone's file */
}

void xg_log_relay(void)
{
    if (log_own >= 0) { /* it belongs to the daemon: no other program's lines may come there */
        close(log_own);
        log_own = -1;
        log_fd = STDERR_FILENO;
    }
    log_socket = false;
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

/* Writes all bytes or none: a line is shorter than what a pipe takes at once. */
static bool bytes_write(const char *line, size_t length)
{
    ssize_t n;
    do {
        n = log_socket ? send(log_fd, line, length, MSG_DONTWAIT | MSG_NOSIGNAL)
                       : write(log_fd, line, length);
    } while (n < 0 && errno == EINTR);
    return n >= 0;
}

/* The beginning of a line; its length. */
static int line_begin(char *line, size_t size, enum xg_log_level level)
{
    char when[64];
    if (log_form == LOG_JOURNAL)
        return snprintf(line, size, "<%d>%s: ", (int)level, log_program);
    if (log_form == LOG_RELAY)
        return snprintf(line, size, "<%d>", (int)level);
    time_text(when, sizeof(when));
    return snprintf(line, size, "%s %s %s: ", when, level_name(level), log_program);
}

/* Logs how many lines are missing, once there is room again. */
static bool lost_tell(unsigned lost)
{
    char line[256];
    int n = line_begin(line, sizeof(line), XG_LOG_WARNING);
    n += snprintf(line + n, sizeof(line) - (size_t)n,
                  "%u lines could not be written here: there was no room\n", lost);
    return bytes_write(line, (size_t)n);
}

void xg_log_write(enum xg_log_level level, const char *guest, const char *fmt, va_list ap)
{
    static _Atomic unsigned lost;
    char line[XG_LOG_MAX];
    int n = line_begin(line, sizeof(line), level);
    if (guest && *guest && log_form != LOG_RELAY)
        n += snprintf(line + n, sizeof(line) - (size_t)n, "%.64s: ", guest);
    n += vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
    size_t length = xg_min_u64((uint64_t)n, sizeof(line) - 1);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?';
    line[length++] = '\n';
    unsigned missing = lost;
    if (missing && lost_tell(missing))
        lost -= missing;
    if (!bytes_write(line, length))
        lost++;
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
