/*
 * Values as people write them, in the configuration, to `xengpu` and as options: how they are read,
 * and the text about a wrong one. All return 0 or -EINVAL.
 */
#ifndef XG_VALUE_H
#define XG_VALUE_H

#include "settings/limits.h"

/* Why something is refused, for people: what is wrong, and what would be right. */
struct xg_why {
    char text[256];
};

void xg_why_set(struct xg_why *why, const char *fmt, ...) XG_PRINTF(2, 3);
/* `err`, a negative errno, with its reason. */
#define xg_refuse(why, err, ...) (xg_why_set(why, __VA_ARGS__), (err))

#define XG_NAME_RULE "1 to 63 of A-Z a-z 0-9 . _ -, not . or .."

bool xg_name_valid(const char *name);
int xg_name_take(char out[XG_NAME_MAX], const char *text, struct xg_why *why);
/* "yes" or "no". */
int xg_yesno_take(bool *out, const char *text, struct xg_why *why);
/* A decimal number from min to max. */
int xg_number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *out);
int xg_number_take(uint64_t *out, const char *text, uint64_t min, uint64_t max, struct xg_why *why);
/* "512M", "2G", bytes without a unit. */
int xg_size_parse(const char *text, uint64_t *bytes);

/* The directory of the daemon's sockets if nobody names one: /run/xengpu for root, else
 * $XDG_RUNTIME_DIR/xengpu. `size` is at least 16. */
void xg_socket_dir_default(char *dir, size_t size);

#endif
