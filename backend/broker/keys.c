#include "backend/broker/keys.h"
#include "backend/sched/scheduler.h"

#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- values ----------------------------------------------------------------------------------- */

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

int xg_yesno_parse(const char *text, bool *out)
{
    if (strcmp(text, "yes") && strcmp(text, "no"))
        return -EINVAL;
    *out = !strcmp(text, "yes");
    return 0;
}

/* --- keys ------------------------------------------------------------------------------------- */

static int name_take(char *out, const char *value, char *why, size_t size)
{
    if (!xg_name_valid(value)) {
        snprintf(why, size, "not a name: 1 to 63 of A-Z a-z 0-9 . _ -");
        return -EINVAL;
    }
    strcpy(out, value);
    return 0;
}

static int take_type(struct xg_settings *s, const char *value, char *why, size_t size)
{
    return name_take(s->policy.type, value, why, size);
}

static int take_pgpu(struct xg_settings *s, const char *value, char *why, size_t size)
{
    return name_take(s->policy.pgpu, value, why, size);
}

static int number_take(uint32_t *out, const char *value, uint64_t min, uint64_t max, char *why,
                       size_t size)
{
    uint64_t v;
    if (xg_number_parse(value, min, max, &v)) {
        snprintf(why, size, "not a number from %u to %u", (unsigned)min, (unsigned)max);
        return -EINVAL;
    }
    *out = (uint32_t)v;
    return 0;
}

static int take_weight(struct xg_settings *s, const char *value, char *why, size_t size)
{
    return number_take(&s->policy.weight, value, XG_WEIGHT_MIN, XG_WEIGHT_MAX, why, size);
}

static int take_memory(struct xg_settings *s, const char *value, char *why, size_t size)
{
    if (!xg_size_parse(value, &s->policy.memory))
        return 0;
    snprintf(why, size, "not a size, such as 512M or 2G; 0: no limit");
    return -EINVAL;
}

static int take_cap(struct xg_settings *s, const char *value, char *why, size_t size)
{
    return number_take(&s->policy.cap, value, 1, XG_CAP_MAX, why, size);
}

static int take_frames(struct xg_settings *s, const char *value, char *why, size_t size)
{
    int err = number_take(&s->policy.frames, value, 0, XG_FRAMES_MAX, why, size);
    if (!err && !s->policy.frames)
        s->policy.frames = XG_FRAMES_ANY;
    return err;
}

static int take_instances(struct xg_settings *s, const char *value, char *why, size_t size)
{
    return number_take(&s->instances, value, 1, XG_INSTANCES_MAX, why, size);
}

/* Less than that is too little for any driver. */
#define HOST_MEMORY_MIN (64u << 20)

static int take_host_memory(struct xg_settings *s, const char *value, char *why, size_t size)
{
    uint64_t v;
    if (!strcmp(value, "auto"))
        s->policy.host_memory = XG_HOST_MEMORY_AUTO;
    else if (!xg_size_parse(value, &v) && (!v || v >= HOST_MEMORY_MIN))
        s->policy.host_memory = v ? v : XG_HOST_MEMORY_ANY;
    else {
        snprintf(why, size, "neither auto nor a size from 64M, such as 2G; 0: no limit");
        return -EINVAL;
    }
    return 0;
}

static int take_rings(struct xg_settings *s, const char *value, char *why, size_t size)
{
    return number_take(&s->rings, value, 1, XG_RINGS_MAX, why, size);
}

static int take_arena(struct xg_settings *s, const char *value, char *why, size_t size)
{
    const uint64_t mib = 1u << 20, most = XG_ARENA_PAGES_MAX >> 8;
    uint64_t bytes;
    if (xg_size_parse(value, &bytes) || bytes % mib || bytes < mib || bytes / mib > most) {
        snprintf(why, size, "not a size in whole MiB from 1M to %uM", (unsigned)most);
        return -EINVAL;
    }
    s->arena_mib = (uint32_t)(bytes / mib);
    return 0;
}

static int take_agent(struct xg_settings *s, const char *value, char *why, size_t size)
{
    bool agent;
    if (xg_yesno_parse(value, &agent)) {
        snprintf(why, size, "neither yes nor no");
        return -EINVAL;
    }
    s->without_agent = !agent;
    return 0;
}

static int take_user(struct xg_settings *s, const char *value, char *why, size_t size)
{
    const struct passwd *pw = getpwnam(value);
    uint64_t number;
    if (!strcmp(value, "everybody"))
        s->user = XG_USER_EVERYBODY;
    else if (pw)
        s->user = (uint64_t)pw->pw_uid + 1;
    else if (!xg_number_parse(value, 0, UINT32_MAX - 1, &number))
        s->user = number + 1;
    else {
        snprintf(why, size, "there is no such user; a number, or 'everybody', will do too");
        return -EINVAL;
    }
    return 0;
}

static const struct {
    const char *name;
    unsigned places; /* of enum xg_key_place */
    int (*take)(struct xg_settings *s, const char *value, char *why, size_t size);
} keys[] = {
    {"type", XG_IN_GUEST | XG_IN_ATTACH | XG_IN_SET, take_type},
    {"weight", XG_IN_TYPE | XG_IN_GUEST | XG_IN_ATTACH | XG_IN_SET, take_weight},
    {"memory", XG_IN_TYPE | XG_IN_GUEST | XG_IN_ATTACH | XG_IN_SET, take_memory},
    {"host-memory", XG_IN_TYPE | XG_IN_GUEST | XG_IN_ATTACH | XG_IN_SET, take_host_memory},
    {"pgpu", XG_IN_GUEST | XG_IN_ATTACH, take_pgpu},
    {"rings", XG_IN_GUEST | XG_IN_ATTACH, take_rings},
    {"arena", XG_IN_GUEST | XG_IN_ATTACH, take_arena},
    {"user", XG_IN_GUEST | XG_IN_ATTACH, take_user},
    {"agent", XG_IN_ATTACH, take_agent},
    {"cap", XG_IN_TYPE | XG_IN_GUEST | XG_IN_ATTACH | XG_IN_SET, take_cap},
    {"fps-limit", XG_IN_TYPE | XG_IN_GUEST | XG_IN_ATTACH | XG_IN_SET, take_frames},
    {"max-instances", XG_IN_TYPE, take_instances},
};

static void unknown(enum xg_key_place place, char *why, size_t size)
{
    size_t n = (size_t)snprintf(why, size, "there is no such key; known are");
    const char *before = " ";
    for (unsigned i = 0; i < XG_ARRAY_LEN(keys) && n < size; i++) {
        if (!(keys[i].places & place))
            continue;
        n += (size_t)snprintf(why + n, size - n, "%s%s", before, keys[i].name);
        before = ", ";
    }
}

int xg_key_take(struct xg_settings *s, enum xg_key_place place, const char *key, const char *value,
                char *why, size_t size)
{
    for (unsigned i = 0; i < XG_ARRAY_LEN(keys); i++)
        if (!strcmp(keys[i].name, key)) {
            if (keys[i].places & place)
                return keys[i].take(s, value, why, size);
            if (place != XG_IN_SET)
                break;
            snprintf(why, size, "cannot be changed while the guest is attached");
            return -ENOENT;
        }
    unknown(place, why, size);
    return -ENOENT;
}
