/* The daemon's messages (protocol/log.h); `guest` may be NULL. What is said
 * of one guest is limited in number, so that no guest can fill the log. */
#ifndef XG_LOOP_LOG_H
#define XG_LOOP_LOG_H

#include "protocol/log.h"

#define xg_log(...)         xg_log_at(XG_LOG_INFO, __VA_ARGS__)
#define xg_log_warning(...) xg_log_at(XG_LOG_WARNING, __VA_ARGS__)
#define xg_log_error(...)   xg_log_at(XG_LOG_ERROR, __VA_ARGS__)
void xg_log_at(enum xg_log_level level, const char *guest, const char *fmt, ...) XG_PRINTF(3, 4);

#endif
