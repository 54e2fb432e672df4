/* The keys of [daemon]. */
#include "backend/broker/options.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum option_kind {
    OPTION_DIRECTORY,
    OPTION_USER,
    OPTION_YESNO,
    OPTION_NUMBER,
    OPTION_SIZE,
    OPTION_SANDBOX
};

static const struct option {
    const char *name;
    enum option_kind kind;
    unsigned offset, size; /* in struct xg_options */
    uint64_t min, max;
    uint64_t times; /* NUMBER: the value is multiplied by this; SIZE: divided by it */
    bool live;      /* may change while the daemon runs */
} options[] = {
#define AT(field) offsetof(struct xg_options, field), sizeof(((struct xg_options *)0)->field)
    {"socket-dir", OPTION_DIRECTORY, AT(socket_dir)},
    {"agent-user", OPTION_USER, AT(agent_user), .live = true},
    {"worker-uid-base", OPTION_NUMBER, AT(uid_base), 0, 0xfffff000u, 1},
    {"sandbox", OPTION_SANDBOX, AT(sandbox)},
    {"max-channels", OPTION_NUMBER, AT(max_channels), 1, XG_CHANNELS_MAX, 1},
    {"max-channel-memory", OPTION_SIZE, AT(max_channel_pages), 1u << 20, INT64_MAX, XG_PAGE_SIZE},
    {"probe-seconds", OPTION_NUMBER, AT(probe_ns), 1, 3600, 1000000000u, true},
    {"quantum-us", OPTION_NUMBER, AT(sched.quantum_ns), XG_QUANTUM_US_MIN, XG_QUANTUM_US_MAX, 1000,
     true},
    {"stuck-seconds", OPTION_NUMBER, AT(sched.stuck_ns), 1, 86400, 1000000000u, true},
    {"stuck-kill", OPTION_YESNO, AT(stuck_kill), .live = true},
    {"cgroups", OPTION_YESNO, AT(cgroups)},
#undef AT
};

static void number_store(void *field, unsigned size, uint64_t v)
{
    uint32_t small = (uint32_t)v;
    if (size == sizeof(small))
        memcpy(field, &small, sizeof(small));
    else
        memcpy(field, &v, sizeof(v));
}

static int text_take(const struct option *k, char *field, const char *value, struct xg_why *why)
{
    if (k->kind == OPTION_DIRECTORY && value[0] != '/')
        xg_why_set(why, "not an absolute path");
    else if (strlen(value) >= k->size)
        xg_why_set(why, "longer than %u bytes", k->size - 1);
    else if (k->kind == OPTION_USER && *value && !getpwnam(value))
        xg_why_set(why, "there is no such user");
    else {
        strcpy(field, value);
        return 0;
    }
    return -EINVAL;
}

int xg_sandbox_take(enum xg_sandbox *out, const char *value, struct xg_why *why)
{
    bool yes;
    if (!strcmp(value, "report")) {
        *out = XG_SANDBOX_REPORT;
        return 0;
    }
    int err = xg_yesno_take(&yes, value, why);
    if (err)
        xg_why_set(why, "neither yes, no nor report");
    else
        *out = yes ? XG_SANDBOX_YES : XG_SANDBOX_NO;
    return err;
}

static int value_take(const struct option *k, char *field, const char *value, struct xg_why *why)
{
    uint64_t v;
    int err;
    switch (k->kind) {
    case OPTION_DIRECTORY:
    case OPTION_USER: return text_take(k, field, value, why);
    case OPTION_YESNO: return xg_yesno_take((bool *)field, value, why);
    case OPTION_SANDBOX: return xg_sandbox_take((enum xg_sandbox *)field, value, why);
    case OPTION_NUMBER:
        err = xg_number_take(&v, value, k->min, k->max, why);
        if (!err)
            number_store(field, k->size, v * k->times);
        return err;
    case OPTION_SIZE:
        if (!xg_size_parse(value, &v) && v >= k->min && v <= k->max) {
            number_store(field, k->size, v / k->times);
            return 0;
        }
        return xg_refuse(why, -EINVAL, "not a size from 1M, such as 512M or 2G");
    }
    return -EINVAL;
}

bool xg_users_mapped(uint32_t base, uint32_t wanted)
{
    unsigned long first, outside, count;
    bool mapped = false;
    FILE *f = fopen("/proc/self/uid_map", "re");
    while (f && fscanf(f, "%lu %lu %lu", &first, &outside, &count) == 3)
        mapped |= first <= base && base + (unsigned long)wanted <= first + count;
    if (f)
        fclose(f);
    return mapped;
}

int xg_option_take(struct xg_options *o, const char *key, const char *value, struct xg_why *why)
{
    for (unsigned i = 0; i < XG_ARRAY_LEN(options); i++) {
        const struct option *k = &options[i];
        if (strcmp(k->name, key))
            continue;
        int err = value_take(k, (char *)o + k->offset, value, why);
        if (!err && !strcmp(key, "worker-uid-base") && o->uid_base && geteuid() == 0 &&
            !xg_users_mapped(o->uid_base, XG_GUESTS_MAX)) {
            xg_why_set(why,
                       "this user namespace does not have the %u user numbers from this one on",
                       XG_GUESTS_MAX);
            err = -EINVAL;
        }
        return err;
    }
    return -ENOENT;
}

void xg_options_differ(const struct xg_options *a, const struct xg_options *b,
                       void (*fn)(void *arg, const char *key, bool live), void *arg)
{
    for (unsigned i = 0; i < XG_ARRAY_LEN(options); i++) {
        const struct option *k = &options[i];
        const char *x = (const char *)a + k->offset, *y = (const char *)b + k->offset;
        bool text = k->kind == OPTION_DIRECTORY || k->kind == OPTION_USER;
        if (text ? strcmp(x, y) : memcmp(x, y, k->size))
            fn(arg, k->name, k->live);
    }
}

void xg_options_update(struct xg_options *to, const struct xg_options *from)
{
    for (unsigned i = 0; i < XG_ARRAY_LEN(options); i++)
        if (options[i].live)
            memcpy((char *)to + options[i].offset, (const char *)from + options[i].offset,
                   options[i].size);
}
