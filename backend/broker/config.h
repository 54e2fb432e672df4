/*
 * The configuration file, read into memory of its own: nothing takes effect before the whole file
 * was found to be right. config.c reads it, options.c knows the keys of [daemon], settings/keys.c
 * those of types and guests, reload.c lets it take effect.
 */
#ifndef XG_CONFIG_H
#define XG_CONFIG_H

#include "backend/broker/broker.h"

struct xg_pgpu_config {
    struct xg_pgpu_config *next;
    char name[XG_NAME_MAX];
    char cuda[256], gl[256], egl_vendor[256];
    int cuda_ordinal;
    struct xg_sharing sharing;
};

struct xg_config {
    struct xg_options options;
    struct xg_pgpu_config *pgpus; /* at least one */
    struct xg_type *types;        /* with "default" */
    struct xg_guest_config *guests;
};

/* `base`: the values where the file says nothing, with those of the command line. `path` NULL: no
 * file. 0; or -EINVAL with *errors a text of one line for each error (to be freed), and *out empty.
 * -ENOMEM, or no text: there was no memory for one. */
int xg_config_read(const char *path, const struct xg_options *base, struct xg_config *out,
                   char **errors);
void xg_config_free(struct xg_config *c);

/* "best-effort", "equal", "fixed". */
const char *xg_policy_name(enum xg_sched_policy policy);

#endif
