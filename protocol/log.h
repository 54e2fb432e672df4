/*
 * What a program of ours tells the person who runs it: one line on standard error for each message.
 * If systemd's journal reads it, a line begins with its level as in sd-daemon(3) ("<4>"), and the
 * journal adds the time; anywhere else it begins with time and level:
 *
 *     2026-03-01T12:00:00.123+01:00 warning xengpud: web: its agent is gone
 *
 * Nothing waits for the reader of the log: lines that a pipe or socket cannot take are dropped, and
 * their number is logged later.
 *
 * A line goes out by one write, so that lines of several processes do not mix. It contains no
 * control characters, whoever wrote its text.
 */
#ifndef XG_LOG_H
#define XG_LOG_H

#include "protocol/base.h"

#include <stdarg.h>

/* The journal's numbers. */
enum xg_log_level { XG_LOG_ERROR = 3, XG_LOG_WARNING = 4, XG_LOG_INFO = 6 };

#define XG_LOG_MAX 1024u /* bytes of a line */

/* Call this once, before anything else of this file; `program`, a literal, is the name in each
 * line. It reads everything that later lines need, so that they work in a sandbox. */
void xg_log_start(const char *program);
/* From now on a line is its level and its text: another process reads standard error, and writes
 * the rest. */
void xg_log_relay(void);
/* From now on lines go to `fd`. */
void xg_log_move(int fd);
/* `guest`: which guest it is about; NULL or "": none. */
void xg_log_write(enum xg_log_level level, const char *guest, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));
/* For messages that somebody else can cause as often as they like: 200 lines at once, and 20 more
 * each second. False: do not log this line. The number of lines that were left out is logged. */
struct xg_log_limit {
    uint64_t until; /* when all of the lines may be written again */
    unsigned dropped;
};
bool xg_log_allowed(struct xg_log_limit *l, const char *guest);
void xg_log_line(enum xg_log_level level, const char *guest, const char *fmt, ...) XG_PRINTF(3, 4);

#endif
