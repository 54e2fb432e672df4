/* xengpu attach, detach, set. */
#include "tools/tool.h"

#include "backend/platform/nodes.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool guest_named(const struct xg_tool *t, int argc, char **argv, int words)
{
    if (argc < 1 || argc > words) {
        tool_error("%s: wrong arguments; see 'xengpu %s --help'", t->command, t->command);
        return false;
    }
    if (tool_name_valid(argv[0]))
        return true;
    tool_error("'%s' is no name for a guest: 1 to 63 of A-Z a-z 0-9 . _ -", argv[0]);
    return false;
}

/* KEY=VALUE; false with a message if it is not. */
static bool pair(const char *command, char *word, char **value)
{
    *value = strchr(word, '=');
    if (!*value || *value == word) {
        tool_error("%s: '%s' is not of the form key=value", command, word);
        return false;
    }
    *(*value)++ = 0;
    return true;
}

static int backend_option(void *arg, const char *name, const char *value)
{
    if (strcmp(name, "--backend"))
        return 0;
    *(const char **)arg = value;
    return 2;
}

/* A size as in the configuration; false if it is none. */
static bool size_parse(const char *text, uint64_t *bytes)
{
    static const char units[] = "KMGT";
    char *end;
    errno = 0;
    *bytes = strtoull(text, &end, 10);
    const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if (errno || end == text || *text == '-' || (*end && (!unit || end[1])) ||
        *bytes > UINT64_MAX >> 1 >> shift)
        return false;
    *bytes <<= shift;
    return true;
}

/* Without a daemon: what it would refuse is refused here. */
static int attach_backend(const char *guest, const char *backend, json_t *rq)
{
    struct xg_policy p = {.memory = UINT64_MAX};
    json_t *weight = json_object_get(rq, "weight");
    const char *memory = json_string_value(json_object_get(rq, "memory"));
    const char *type = json_string_value(json_object_get(rq, "type"));
    const char *pgpu = json_string_value(json_object_get(rq, "pgpu"));
    json_int_t w = json_integer_value(weight);
    if (weight && (w < 1 || w > 10000)) {
        tool_error("weight: not a number from 1 to 10000");
        return 1;
    }
    if (memory && !size_parse(memory, &p.memory)) {
        tool_error("memory: not a size, such as 512M or 2G; 0: no limit");
        return 1;
    }
    p.weight = (uint32_t)w;
    snprintf(p.type, sizeof(p.type), "%s", type ? type : "");
    snprintf(p.pgpu, sizeof(p.pgpu), "%s", pgpu ? pgpu : "");
    return tool_domain_attach(guest, backend, &p);
}

static void attached(const struct xg_tool *t, const char *guest, json_t *j)
{
    const char *path = json_string_value(json_object_get(j, "socket"));
    if (t->json)
        json_dumpf(j, stdout, JSON_INDENT(2));
    else if (path && *path)
        printf("%s: attached; its socket is %s", guest, path);
    else
        printf("%s: attached", guest);
    putchar('\n');
}

/* key=value words, into the request. */
static bool attach_keys(int argc, char **argv, json_t *rq)
{
    for (int i = 1; i < argc; i++) {
        char *value, *end;
        if (!pair("attach", argv[i], &value))
            return false;
        if (!strcmp(argv[i], "weight")) {
            long w = strtol(value, &end, 10);
            json_object_set_new(rq, "weight", json_integer(*end || end == value ? -1 : w));
        } else if (!strcmp(argv[i], "type") || !strcmp(argv[i], "memory") ||
                   !strcmp(argv[i], "pgpu")) {
            json_object_set_new(rq, argv[i], json_string(value));
        } else if (!strcmp(argv[i], "agent") && !strcmp(value, "no")) {
            json_object_set_new(rq, "agent", json_false());
        } else {
            tool_error("attach: there is no key '%s'; known are type, weight, memory, pgpu, agent",
                       argv[i]);
            return false;
        }
    }
    return true;
}

static int attach(struct xg_tool *t, int argc, char **argv)
{
    const char *backend = NULL;
    argc = tool_options(t, &xg_command_attach, argc, argv, backend_option, &backend);
    if (!guest_named(t, argc, argv, 8))
        return 2;
    json_t *rq = json_pack("{s:s, s:s, s:b}", "cmd", "attach", "guest", argv[0], "new", 1);
    if (!attach_keys(argc, argv, rq)) {
        json_decref(rq);
        return 2;
    }
    if (backend) {
        int rc = attach_backend(argv[0], backend, rq);
        json_decref(rq);
        return rc;
    }
    json_t *j = daemon_ask(t, rq);
    if (!j)
        return 1;
    attached(t, argv[0], j);
    json_decref(j);
    return 0;
}

static int detach(struct xg_tool *t, int argc, char **argv)
{
    const char *backend = NULL;
    argc = tool_options(t, &xg_command_detach, argc, argv, backend_option, &backend);
    if (!guest_named(t, argc, argv, 1))
        return 2;
    if (backend)
        return tool_domain_detach(argv[0], backend);
    json_t *j = daemon_ask(t, json_pack("{s:s, s:s}", "cmd", "detach", "guest", argv[0]));
    json_decref(j);
    return j ? 0 : 1;
}

static int set(struct xg_tool *t, int argc, char **argv)
{
    argc = tool_options(t, &xg_command_set, argc, argv, NULL, NULL);
    if (!guest_named(t, argc, argv, 16))
        return 2;
    if (argc < 2) {
        tool_error("set: nothing to set; such as weight=300, memory=1G, type=small");
        return 2;
    }
    json_t *keys = json_object();
    for (int i = 1; i < argc; i++) {
        char *value;
        if (!pair("set", argv[i], &value)) {
            json_decref(keys);
            return 2;
        }
        json_object_set_new(keys, argv[i], json_string(value));
    }
    json_t *j =
        daemon_ask(t, json_pack("{s:s, s:s, s:o}", "cmd", "set", "guest", argv[0], "set", keys));
    json_decref(j);
    return j ? 0 : 1;
}

const struct xg_command xg_command_attach = {
    .name = "attach",
    .arguments = "GUEST [key=value ...]",
    .summary = "gives a guest a device",
    .help =
        "\n"
        "In local mode the guest's applications use the socket that is printed: bind-mount it into "
        "a container at\n"
        "/run/xengpu/agent.sock, or name it in XENGPU_SOCKET. With Xen, GUEST is the domain's "
        "name.\n"
        "\n"
        "  type=NAME         see 'xengpu types' (default: default)\n"
        "  weight=N          its share of the device against others', 1 to 10000 (default: the "
        "type's)\n"
        "  memory=SIZE       device memory it may use, such as 512M; 0: no limit (default: the "
        "type's)\n"
        "  pgpu=NAME         the device (default: the one with the smallest load)\n"
        "  agent=no          local: start no agent; one will connect to the guest's store.sock\n"
        "\n"
        "  --backend DOMAIN  Xen, in Dom0: xengpud runs in that driver domain\n",
    .run = attach,
};

const struct xg_command xg_command_detach = {
    .name = "detach",
    .arguments = "GUEST",
    .summary = "takes a guest's device away; its applications lose theirs",
    .help = "\n  --backend DOMAIN  Xen, in Dom0: xengpud runs in that driver domain\n",
    .run = detach,
};

const struct xg_command xg_command_set = {
    .name = "set",
    .arguments = "GUEST key=value ...",
    .summary = "changes a guest, at once",
    .help = "\n"
            "  weight=N          its share of the device against others', 1 to 10000\n"
            "  memory=SIZE       device memory it may use, such as 512M; 0: no limit\n"
            "  type=NAME         takes weight and memory from that type\n",
    .run = set,
};
