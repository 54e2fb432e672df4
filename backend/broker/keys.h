/*
 * What a guest may be given: the keys of [type NAME] and [guest NAME] in the configuration, of
 * `xengpu attach` and of `xengpu set`, with their rules. All of them come here, the tool included.
 */
#ifndef XG_KEYS_H
#define XG_KEYS_H

#include "backend/platform/nodes.h"

#define XG_NAME_MAX 64u /* with its NUL */

struct xg_settings {
    struct xg_policy policy;
    uint32_t rings, arena_mib; /* local: what its agent is told; 0: the agent's default */
    uint32_t instances;        /* types: guests at a time on a pGPU, 0: not said */
    bool without_agent;        /* local: one will connect by itself */
    /* local: whose agent.sock is, as user number + 1; 0: not said. */
    uint64_t user;
};

#define XG_USER_EVERYBODY UINT64_MAX
#define XG_INSTANCES_MAX  1024u

/* Nothing is said. */
#define XG_SETTINGS_NONE ((struct xg_settings){.policy.memory = UINT64_MAX})

/* Where a key may stand. */
enum xg_key_place { XG_IN_TYPE = 1, XG_IN_GUEST = 2, XG_IN_ATTACH = 4, XG_IN_SET = 8 };

/* Puts `value` into *s. -ENOENT: there is no such key in this place; -EINVAL. Then `why` says, for
 * people, what is wrong and what would be right. */
int xg_key_take(struct xg_settings *s, enum xg_key_place place, const char *key, const char *value,
                char *why, size_t size);

/* 1 to 63 of A-Z a-z 0-9 . _ -, not . or .. */
bool xg_name_valid(const char *name);
/* "512M", "2G", bytes without a unit. 0 or -EINVAL. */
int xg_size_parse(const char *text, uint64_t *bytes);
/* A decimal number from min to max. 0 or -EINVAL. */
int xg_number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *out);
/* "yes" or "no". 0 or -EINVAL. */
int xg_yesno_parse(const char *text, bool *out);

#endif
