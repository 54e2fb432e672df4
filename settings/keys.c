#include "settings/keys.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

static int type_take(struct xg_settings *s, const char *value, struct xg_why *why)
{
    return xg_name_take(s->policy.type, value, why);
}

static int pgpu_take(struct xg_settings *s, const char *value, struct xg_why *why)
{
    return xg_name_take(s->policy.pgpu, value, why);
}

static int number_take(uint32_t *out, const char *value, uint64_t min, uint64_t max,
                       struct xg_why *why)
{
    uint64_t v;
    int err = xg_number_take(&v, value, min, max, why);
    if (!err)
        *out = (uint32_t)v;
    return err;
}

static int weight_take(struct xg_settings *s, const char *value, struct xg_why *why)
{
    return number_take(&s->policy.weight, value, XG_WEIGHT_MIN, XG_WEIGHT_MAX, why);
}

static int memory_take(struct xg_settings *s, const char *value, struct xg_why *why)
{
    if (!xg_size_parse(value, &s->policy.memory))
        return 0;
    return xg_refuse(why, -EINVAL, "not a size, such as 512M or 2G; 0: no limit");
}

static int cap_take(struct xg_settings *s, const char *value, struct xg_why *why)
{
    return number_take(&s->policy.cap, value, 1, XG_CAP_MAX, why);
}

static int frames_take(struct xg_settings *s, const char *value, struct xg_why *why)
{
    int err = number_take(&s->policy.frames, value, 0, XG_FRAMES_MAX, why);
    if (!err && !s->policy.frames)
        s->policy.frames = XG_FRAMES_ANY;
    return err;
}

static int instances_take(struct xg_settings *s, const char *value, struct xg_why *why)
{
    return number_take(&s->instances, value, 1, XG_INSTANCES_MAX, why);
}

/* No driver works with less. */
#define HOST_MEMORY_MIN (64u << 20)

static int host_memory_take(struct xg_settings *s, const char *value, struct xg_why *why)
{
    uint64_t v;
    if (!strcmp(value, "auto"))
        s->policy.host_memory = XG_HOST_MEMORY_AUTO;
    else if (!xg_size_parse(value, &v) && (!v || v >= HOST_MEMORY_MIN))
        s->policy.host_memory = v ? v : XG_HOST_MEMORY_ANY;
    else
        return xg_refuse(why, -EINVAL, "neither auto nor a size from 64M, such as 2G; 0: no limit");
    return 0;
}

static int rings_take(struct xg_settings *s, const char *value, struct xg_why *why)
{
    return number_take(&s->rings, value, 1, XG_RINGS_MAX, why);
}

static int arena_take(struct xg_settings *s, const char *value, struct xg_why *why)
{
    const uint64_t mib = 1u << 20;
    uint64_t bytes;
    if (xg_size_parse(value, &bytes) || bytes % mib || bytes < mib ||
        bytes / mib > XG_ARENA_MIB_MAX)
        return xg_refuse(why, -EINVAL, "not a size in whole MiB from 1M to %uM", XG_ARENA_MIB_MAX);
    s->arena_mib = (uint32_t)(bytes / mib);
    return 0;
}

static int agent_take(struct xg_settings *s, const char *value, struct xg_why *why)
{
    bool agent;
    int err = xg_yesno_take(&agent, value, why);
    if (!err)
        s->without_agent = !agent;
    return err;
}

static int user_take(struct xg_settings *s, const char *value, struct xg_why *why)
{
    const struct passwd *pw = getpwnam(value);
    uint64_t number;
    if (!strcmp(value, "everybody"))
        s->user = XG_USER_EVERYBODY;
    else if (pw)
        s->user = (uint64_t)pw->pw_uid + 1;
    else if (!xg_number_parse(value, 0, UINT32_MAX - 1, &number))
        s->user = number + 1;
    else
        return xg_refuse(why, -EINVAL,
                         "there is no such user; give a user's name or number, or 'everybody'");
    return 0;
}

static const struct {
    const char *name;
    unsigned places; /* of enum xg_key_place */
    int (*take)(struct xg_settings *s, const char *value, struct xg_why *why);
} keys[] = {
    {"type", XG_IN_GUEST | XG_IN_ATTACH | XG_IN_SET, type_take},
    {"weight", XG_IN_TYPE | XG_IN_GUEST | XG_IN_ATTACH | XG_IN_SET, weight_take},
    {"memory", XG_IN_TYPE | XG_IN_GUEST | XG_IN_ATTACH | XG_IN_SET, memory_take},
    {"host-memory", XG_IN_TYPE | XG_IN_GUEST | XG_IN_ATTACH | XG_IN_SET, host_memory_take},
    {"pgpu", XG_IN_GUEST | XG_IN_ATTACH, pgpu_take},
    {"rings", XG_IN_GUEST | XG_IN_ATTACH, rings_take},
    {"arena", XG_IN_GUEST | XG_IN_ATTACH, arena_take},
    {"user", XG_IN_GUEST | XG_IN_ATTACH, user_take},
    {"agent", XG_IN_ATTACH, agent_take},
    {"cap", XG_IN_TYPE | XG_IN_GUEST | XG_IN_ATTACH | XG_IN_SET, cap_take},
    {"fps-limit", XG_IN_TYPE | XG_IN_GUEST | XG_IN_ATTACH | XG_IN_SET, frames_take},
    {"max-instances", XG_IN_TYPE, instances_take},
};

static int unknown_refuse(enum xg_key_place place, struct xg_why *why)
{
    char known[200] = "";
    size_t n = 0;
    for (unsigned i = 0; i < XG_ARRAY_LEN(keys) && n < sizeof(known); i++)
        if (keys[i].places & place)
            n +=
                (size_t)snprintf(known + n, sizeof(known) - n, "%s%s", n ? ", " : "", keys[i].name);
    return xg_refuse(why, -ENOENT, "there is no such key; known are %s", known);
}

int xg_key_take(struct xg_settings *s, enum xg_key_place place, const char *key, const char *value,
                struct xg_why *why)
{
    for (unsigned i = 0; i < XG_ARRAY_LEN(keys); i++)
        if (!strcmp(keys[i].name, key)) {
            if (keys[i].places & place)
                return keys[i].take(s, value, why);
            if (place != XG_IN_SET)
                break;
            return xg_refuse(why, -ENOENT, "cannot be changed while the guest is attached");
        }
    return unknown_refuse(place, why);
}

void xg_policy_fill(struct xg_policy *p, const struct xg_policy *from)
{
    if (!p->weight)
        p->weight = from->weight;
    if (p->memory == UINT64_MAX)
        p->memory = from->memory;
    if (!p->cap)
        p->cap = from->cap;
    if (!p->frames)
        p->frames = from->frames;
    if (!p->host_memory)
        p->host_memory = from->host_memory;
}

void xg_host_memory_text(uint64_t value, char *text, size_t size)
{
    if (!value)
        text[0] = 0;
    else if (value == XG_HOST_MEMORY_AUTO)
        snprintf(text, size, "auto");
    else
        snprintf(text, size, "%" PRIu64, value == XG_HOST_MEMORY_ANY ? 0 : value);
}
