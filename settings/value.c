#include "settings/value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void xg_why_set(struct xg_why *why, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why->text, sizeof(why->text), fmt, ap);
    va_end(ap);
}

bool xg_name_valid(const char *name)
{
    size_t n = strlen(name);
    if (n < 1 || n >= XG_NAME_MAX || !strcmp(name, ".") || !strcmp(name, ".."))
        return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && !strchr("_.-", *name))
            return false;
    return true;
}

int xg_name_take(char out[XG_NAME_MAX], const char *text, struct xg_why *why)
{
    if (!xg_name_valid(text))
        return xg_refuse(why, -EINVAL, "not a name: " XG_NAME_RULE);
    strcpy(out, text);
    return 0;
}

int xg_yesno_take(bool *out, const char *text, struct xg_why *why)
{
    if (strcmp(text, "yes") && strcmp(text, "no"))
        return xg_refuse(why, -EINVAL, "neither yes nor no");
    *out = !strcmp(text, "yes");
    return 0;
}

int xg_number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    char *end;
    errno = 0;
    uint64_t v = strtoull(text, &end, 10);
    if (errno || !isdigit((unsigned char)*text) || *end || v < min || v > max)
        return -EINVAL;
    *out = v;
    return 0;
}

int xg_number_take(uint64_t *out, const char *text, uint64_t min, uint64_t max, struct xg_why *why)
{
    int err = xg_number_parse(text, min, max, out);
    if (err)
        xg_why_set(why, "not a number from %" PRIu64 " to %" PRIu64, min, max);
    return err;
}

int xg_size_parse(const char *text, uint64_t *bytes)
{
    static const char units[] = "KMGT";
    char *end;
    errno = 0;
    uint64_t v = strtoull(text, &end, 10);
    if (errno || !isdigit((unsigned char)*text))
        return -EINVAL;
    const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if ((*end && (!unit || end[1])) || v > UINT64_MAX >> 1 >> shift)
        return -EINVAL;
    *bytes = v << shift;
    return 0;
}

void xg_socket_dir_default(char *dir, size_t size)
{
    const char *run = getenv("XDG_RUNTIME_DIR");
    int n = geteuid() && run ? snprintf(dir, size, "%s/xengpu", run) : -1;
    if (n < 0 || (size_t)n + 1 >= size) /* options allow no longer one either */
        snprintf(dir, size, "/run/xengpu");
}
