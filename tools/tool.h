/*
 * The `xengpu` command. main.c: which subcommand; client.c: the daemon's socket; table.c: tables
 * for people; run.c, list.c, guest.c, reload.c, top.c, check.c (with try.c): the subcommands;
 * domain.c: attach and detach without a daemon.
 */
#ifndef XG_TOOL_H
#define XG_TOOL_H

#include "protocol/base.h"

#include <jansson.h>

struct xg_tool {
    const char *command;
    char socket_dir[92];
    bool socket_dir_given, json;
    const char *library_dir; /* where libxengpu.so is */
};

struct xg_command {
    const char *name, *arguments, *summary, *help;
    int (*run)(struct xg_tool *t, int argc, char **argv);
    bool json; /* knows --json */
};

extern const struct xg_command xg_command_run, xg_command_list, xg_command_types, xg_command_top,
    xg_command_attach, xg_command_detach, xg_command_set, xg_command_reload, xg_command_check;

/* Prints to stderr, with "xengpu: " before each line. */
void tool_error(const char *fmt, ...) XG_PRINTF(1, 2);
/* Takes --help, --json and --socket-dir DIR anywhere before "--" out of argv; returns how many
 * words are left. Exits on an option that `more` does not know either: it returns how many words it
 * took, 1 or 2, or 0. */
int tool_options(struct xg_tool *t, const struct xg_command *c, int argc, char **argv,
                 int (*more)(void *arg, const char *option, const char *value), void *arg);

/* A connection to the daemon, or -errno; says what is wrong on stderr if `loud`. */
int daemon_connect(const struct xg_tool *t, bool loud);
/* Sends one request (stolen) and waits for its answer; NULL, with a message on stderr, unless it
 * says ok. */
json_t *daemon_ask(const struct xg_tool *t, json_t *request);
json_t *daemon_ask_on(int sock, json_t *request);
/* A field of an answer, or of an object in it; "" or 0 if it is not there. */
const char *answer_text(json_t *j, const char *key);
uint64_t answer_number(json_t *j, const char *key);
/* As JSON for people and scripts, on stdout. */
void answer_print(json_t *j);

struct xg_policy;
/* Makes or removes both ends of a domain's device, in Dom0, for the daemon in domain `backend`
 * (name or number). Returns the exit status, after a message. */
int tool_domain_attach(const char *guest, const char *backend, const struct xg_policy *p);
int tool_domain_detach(const char *guest, const char *backend);

/* A table: columns are as wide as they need to be. */
struct table;
struct table *table_new(const char *const *headings,
                        unsigned columns); /* a heading that begins with '>' is for numbers */
void table_cell(struct table *t, const char *fmt, ...) XG_PRINTF(2, 3);
void table_print(struct table *t); /* and frees it */
/* "1.5 GiB", "-" for 0; "12.34 s". Static buffers, eight of each. */
const char *text_bytes(uint64_t bytes);
const char *text_seconds(uint64_t ns);

#endif
