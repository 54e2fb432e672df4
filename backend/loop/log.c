#include "backend/loop/log.h"
#include "settings/limits.h"

#include <stdio.h>
#include <string.h>

/* The guest's own limit. If the table is full, the guest that was silent longest loses its place.
 */
static struct xg_log_limit *log_limit(const char *guest)
{
    static struct {
        char guest[XG_NAME_MAX];
        struct xg_log_limit limit;
    } known[XG_GUESTS_MAX];
    unsigned oldest = 0;
    for (unsigned i = 0; i < XG_ARRAY_LEN(known); i++) {
        if (!strcmp(known[i].guest, guest))
            return &known[i].limit;
        if (known[i].limit.until < known[oldest].limit.until)
            oldest = i;
    }
    snprintf(known[oldest].guest, sizeof(known[oldest].guest), "%s", guest);
    known[oldest].limit = (struct xg_log_limit){0};
    return &known[oldest].limit;
}

void xg_log_at(enum xg_log_level level, const char *guest, const char *fmt, ...)
{
    va_list ap;
    if (guest && !xg_log_allowed(log_limit(guest), guest))
        return;
    va_start(ap, fmt);
    xg_log_write(level, guest, fmt, ap);
    va_end(ap);
}
