#include "settings/keys.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

static int take_type(struct xg_settings *s, const char *value, char *why, size_t size)
{
    return xg_name_take(s->policy.type, value, why, size);
}

static int take_pgpu(struct xg_settings *s, const char *value, char *why, size_t size)
{
    return xg_name_take(s->policy.pgpu, value, why, size);
}

static int number_take(uint32_t *out, const char *value, uint64_t min, uint64_t max, char *why,
                       size_t size)
{
    uint64_t v;
    int err = xg_number_take(&v, value, min, max, why, size);
    if (!err)
        *out = (uint32_t)v;
    return err;
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
    const uint64_t mib = 1u << 20;
    uint64_t bytes;
    if (xg_size_parse(value, &bytes) || bytes % mib || bytes < mib ||
        bytes / mib > XG_ARENA_MIB_MAX) {
        snprintf(why, size, "not a size in whole MiB from 1M to %uM", XG_ARENA_MIB_MAX);
        return -EINVAL;
    }
    s->arena_mib = (uint32_t)(bytes / mib);
    return 0;
}

static int take_agent(struct xg_settings *s, const char *value, char *why, size_t size)
{
    bool agent;
    int err = xg_yesno_take(&agent, value, why, size);
    if (!err)
        s->without_agent = !agent;
    return err;
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
