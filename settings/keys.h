/*
 * What a guest may be given: the keys of [type NAME] and [guest NAME] in the configuration, of
 * `xengpu attach` and of `xengpu set`, with their rules. The daemon and the tool both judge values
 * here.
 */
#ifndef XG_KEYS_H
#define XG_KEYS_H

#include "settings/value.h"

/* What a device's nodes in xenstore can say. */
struct xg_policy {
    char type[XG_NAME_MAX], pgpu[XG_NAME_MAX]; /* "": the default; the one with the least load */
    uint32_t weight;                           /* 0: the type's */
    uint64_t memory;                           /* bytes, 0: no limit, UINT64_MAX: the type's */
    uint32_t cap;                              /* percent of the device, at most; 0: the type's */
    uint32_t frames;      /* of a window, a second; 0: the type's, XG_FRAMES_ANY: no limit */
    uint64_t host_memory; /* bytes, 0: the type's, or one of these: */
#define XG_HOST_MEMORY_ANY  UINT64_MAX
#define XG_HOST_MEMORY_AUTO (UINT64_MAX - 1)
};

#define XG_FRAMES_ANY UINT32_MAX

/* Frames a second as the configuration and the nodes write them; 0: no limit. */
static inline uint32_t xg_policy_frames(const struct xg_policy *p)
{
    return p->frames == XG_FRAMES_ANY ? 0 : p->frames;
}

/* Takes weight, memory, cap, frames and host memory from *from where *p does not say them. */
void xg_policy_fill(struct xg_policy *p, const struct xg_policy *from);

struct xg_settings {
    struct xg_policy policy;
    uint32_t rings, arena_mib; /* local: for its agent; 0: the agent's default */
    uint32_t instances;        /* types: guests at a time on a pGPU, 0: not said */
    bool without_agent;        /* local: start no agent, one will connect by itself */
    /* local: whose agent.sock is, as user number + 1; 0: not said. */
    uint64_t user;
};

#define XG_USER_EVERYBODY UINT64_MAX

/* Nothing is said. */
#define XG_SETTINGS_NONE ((struct xg_settings){.policy.memory = UINT64_MAX})

/* Where a key may stand. */
enum xg_key_place { XG_IN_TYPE = 1, XG_IN_GUEST = 2, XG_IN_ATTACH = 4, XG_IN_SET = 8 };

/* Puts `value` into *s. -ENOENT: there is no such key in this place; -EINVAL. Then `why` says, for
 * people, what is wrong and what would be right. */
int xg_key_take(struct xg_settings *s, enum xg_key_place place, const char *key, const char *value,
                struct xg_why *why);
/* `host_memory` as it is written in the configuration and in a node: a number, "0" for any, "auto",
 * "" for the type's value. */
void xg_host_memory_text(uint64_t value, char *text, size_t size);

#endif
