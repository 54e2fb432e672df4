/*
 * Values as people write them, in the configuration, to `xengpu` and as options: how they are read,
 * and what is said of one that is wrong. All return 0 or -EINVAL; `why` is for people.
 */
#ifndef XG_VALUE_H
#define XG_VALUE_H

#include "settings/limits.h"

#define XG_NAME_RULE "1 to 63 of A-Z a-z 0-9 . _ -, not . or .."

bool xg_name_valid(const char *name);
int xg_name_take(char out[XG_NAME_MAX], const char *text, char *why, size_t size);
/* "yes" or "no". */
int xg_yesno_take(bool *out, const char *text, char *why, size_t size);
/* A decimal number from min to max. */
int xg_number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *out);
int xg_number_take(uint64_t *out, const char *text, uint64_t min, uint64_t max, char *why,
                   size_t size);
/* "512M", "2G", bytes without a unit. */
int xg_size_parse(const char *text, uint64_t *bytes);

#endif
