/* xengpu attach, detach, set. */
#include "tools/tool.h"

#include "settings/keys.h"

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
    if (xg_name_valid(argv[0]))
        return true;
    tool_error("'%s' is not a guest's name: " XG_NAME_RULE, argv[0]);
    return false;
}

/* Cuts KEY=VALUE in two; false, with a message, if it is not of that form. */
static bool key_split(const char *command, char *word, char **value)
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

/* There is no daemon to ask, so the values are judged here, by the same rules. */
static int attach_backend(const char *guest, const char *backend, json_t *set)
{
    struct xg_settings s = XG_SETTINGS_NONE;
    const char *key;
    struct xg_why why;
    json_t *value;
    json_object_foreach(set, key, value)
    {
        const char *v = json_string_value(value);
        int err = xg_key_take(&s, XG_IN_ATTACH, key, v, &why);
        if (!err && (s.rings || s.arena_mib || s.without_agent)) {
            xg_why_set(&why, "for local mode; with Xen the guest has its own agent");
            err = -EINVAL;
        }
        if (err) {
            tool_error("%s=%s: %s", key, v, why.text);
            return 1;
        }
    }
    return tool_domain_attach(guest, backend, &s.policy);
}

static void attach_print(const struct xg_tool *t, const char *guest, json_t *j)
{
    const char *path = answer_text(j, "socket");
    if (t->json)
        answer_print(j);
    else if (*path)
        printf("%s: attached; its socket is %s\n", guest, path);
    else
        printf("%s: attached\n", guest);
}

/* key=value words as an object of strings; NULL with a message. */
static json_t *keys_of(const char *command, int argc, char **argv)
{
    json_t *set = json_object();
    for (int i = 1; i < argc; i++) {
        char *value;
        if (!key_split(command, argv[i], &value))
            goto fail;
        if (json_object_get(set, argv[i])) {
            tool_error("%s: '%s' is given twice", command, argv[i]);
            goto fail;
        }
        if (json_object_set_new(set, argv[i], json_string(value))) {
            tool_error("%s: '%s': not text in UTF-8", command, argv[i]);
            goto fail;
        }
    }
    return set;
fail:
    json_decref(set);
    return NULL;
}

static int attach_run(struct xg_tool *t, int argc, char **argv)
{
    const char *backend = NULL;
    argc = tool_options(t, &xg_command_attach, argc, argv, backend_option, &backend);
    if (!guest_named(t, argc, argv, 16))
        return 2;
    json_t *keys = keys_of("attach", argc, argv);
    if (!keys)
        return 2;
    if (backend) {
        int rc = attach_backend(argv[0], backend, keys);
        json_decref(keys);
        return rc;
    }
    json_t *j = daemon_ask(t, json_pack("{s:s, s:s, s:b, s:o}", "cmd", "attach", "guest", argv[0],
                                        "new", 1, "set", keys));
    if (!j)
        return 1;
    attach_print(t, argv[0], j);
    json_decref(j);
    return 0;
}

static int detach_run(struct xg_tool *t, int argc, char **argv)
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

static int set_run(struct xg_tool *t, int argc, char **argv)
{
    argc = tool_options(t, &xg_command_set, argc, argv, NULL, NULL);
    if (!guest_named(t, argc, argv, 16))
        return 2;
    if (argc < 2) {
        tool_error("set: no key=value is given, such as weight=300, memory=1G, type=small");
        return 2;
    }
    json_t *keys = keys_of("set", argc, argv);
    if (!keys)
        return 2;
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
        "In local mode the guest's applications use the socket that is printed: name it in "
        "XENGPU_SOCKET, or mount the\n"
        "directory that it is in into a container at /run/xengpu. With Xen, GUEST is the domain's "
        "name.\n"
        "\n"
        "  type=NAME         see 'xengpu types' (default: default)\n"
        "  weight=N          its share of the device against others', 1 to 10000 (default: the "
        "type's)\n"
        "  memory=SIZE       device memory it may use, such as 512M; 0: no limit (default: the "
        "type's)\n"
        "  cap=PERCENT       of the device it may have at most, 1 to 100 (default: the type's)\n"
        "  fps-limit=N       frames that each of its windows may show in a second; 0: no limit "
        "(default: the type's)\n"
        "  host-memory=SIZE  memory of this machine that its workers may take; auto; 0: no limit "
        "(default: the type's)\n"
        "  pgpu=NAME         the device (default: the one with the smallest load)\n"
        "  rings=N           local: rings that an application is given, 1 to 32 (default 16)\n"
        "  arena=SIZE        local: bulk memory that an application is given (default 1G)\n"
        "  user=NAME         local: whose its socket is: a user, a user's number, or everybody "
        "(default: yours)\n"
        "  agent=no          local: start no agent; one will connect to +store/GUEST\n"
        "\n"
        "  --backend DOMAIN  Xen, in Dom0: xengpud runs in that driver domain\n",
    .run = attach_run,
    .json = true,
};

const struct xg_command xg_command_detach = {
    .name = "detach",
    .arguments = "GUEST",
    .summary = "takes a guest's device away; its applications lose theirs",
    .help = "\n  --backend DOMAIN  Xen, in Dom0: xengpud runs in that driver domain\n",
    .run = detach_run,
};

const struct xg_command xg_command_set = {
    .name = "set",
    .arguments = "GUEST key=value ...",
    .summary = "changes a guest, at once",
    .help = "\n"
            "  weight=N          its share of the device against others', 1 to 10000\n"
            "  memory=SIZE       device memory it may use, such as 512M; 0: no limit\n"
            "  cap=PERCENT       of the device it may have at most, 1 to 100\n"
            "  fps-limit=N       frames that each of its windows may show in a second; 0: no "
            "limit\n"
            "  host-memory=SIZE  memory of this machine that its workers may take; auto; 0: no "
            "limit\n"
            "  type=NAME         takes all of these from that type\n"
            "\n"
            "All of it or, if one key is wrong, nothing. It lasts until the guest is detached, "
            "whatever the configuration\n"
            "file says when it is read again.\n",
    .run = set_run,
};
