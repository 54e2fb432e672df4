/* xengpu run: a program as a guest of this machine. */
#include "tools/tool.h"

#include "settings/value.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct options {
    const char *guest, *type, *weight, *memory;
};

static int run_option(void *arg, const char *name, const char *value)
{
    struct options *o = arg;
    const struct {
        const char *name;
        const char **value;
    } known[] = {{"--guest", &o->guest},
                 {"--type", &o->type},
                 {"--weight", &o->weight},
                 {"--memory", &o->memory}};
    size_t length = strcspn(name, "=");
    for (unsigned i = 0; i < XG_ARRAY_LEN(known); i++) {
        if (length != strlen(known[i].name) || strncmp(name, known[i].name, length))
            continue;
        *known[i].value = name[length] ? name + length + 1 : value;
        return name[length] ? 1 : 2;
    }
    return 0;
}

static const char *default_guest(void)
{
    const struct passwd *pw = getpwuid(geteuid());
    return pw && xg_name_valid(pw->pw_name) ? pw->pw_name : "default";
}

/* Says which options do nothing, because the guest is there already. */
static void options_ignored(const struct options *o)
{
    if (o->type || o->weight || o->memory)
        tool_error("guest %s is attached already:%s%s%s ignored; 'xengpu set %s key=value ...' "
                   "changes it",
                   o->guest, o->type ? " --type" : "", o->weight ? " --weight" : "",
                   o->memory ? " --memory" : "", o->guest);
}

/* Attaches the guest if it is not there; *path becomes its agent's socket. 0 or -1, after a
 * message. */
static int guest_ensure(const struct xg_tool *t, const struct options *o, char *path, size_t size)
{
    struct stat st;
    snprintf(path, size, "%s/%s/agent.sock", t->socket_dir, o->guest);
    int sock = daemon_connect(t, false);
    if (sock == -EACCES && stat(path, &st) == 0) { /* another user's daemon */
        options_ignored(o);
        return 0;
    }
    if (sock == -EACCES) {
        tool_error("guest %s is not attached, and only the user that runs xengpud may attach it: "
                   "'xengpu attach %s'",
                   o->guest, o->guest);
        return -1;
    }
    if (sock < 0)
        sock = daemon_connect(t, true);
    if (sock < 0)
        return -1;
    json_t *set = json_object();
    if (o->type)
        json_object_set_new(set, "type", json_string(o->type));
    if (o->weight)
        json_object_set_new(set, "weight", json_string(o->weight));
    if (o->memory)
        json_object_set_new(set, "memory", json_string(o->memory));
    json_t *answer = daemon_ask_on(
        sock, json_pack("{s:s, s:s, s:o}", "cmd", "attach", "guest", o->guest, "set", set));
    close(sock);
    if (!answer)
        return -1;
    const char *agent = json_string_value(json_object_get(answer, "socket"));
    if (!agent || !*agent) {
        tool_error("this daemon serves Xen domains; run the program inside one of them");
        json_decref(answer);
        return -1;
    }
    snprintf(path, size, "%s", agent);
    if (json_is_false(json_object_get(answer, "new")))
        options_ignored(o);
    json_decref(answer);
    return 0;
}

/* Puts `first` in front of a variable that is a list. */
static void variable_prepend(const char *name, const char *first)
{
    const char *old = getenv(name);
    char *value;
    if (!old || !*old) {
        setenv(name, first, 1);
    } else if (asprintf(&value, "%s:%s", first, old) >= 0) {
        setenv(name, value, 1);
        free(value);
    }
}

static int program_run(struct xg_tool *t, int argc, char **argv)
{
    struct options o = {0};
    char path[256], *library;
    argc = tool_options(t, &xg_command_run, argc, argv, run_option, &o);
    if (argc < 1) {
        tool_error("run: no program; usage: xengpu run %s", xg_command_run.arguments);
        return 2;
    }
    if (!o.guest)
        o.guest = default_guest();
    if (!xg_name_valid(o.guest)) {
        tool_error("'%s' is not a guest's name: " XG_NAME_RULE, o.guest);
        return 2;
    }
    if (asprintf(&library, "%s/libxengpu.so", t->library_dir) < 0)
        return 125;
    if (access(library, R_OK) < 0) {
        tool_error("%s: %s; it must be in ../lib of this program's directory", library,
                   strerror(errno));
        return 125;
    }
    if (guest_ensure(t, &o, path, sizeof(path)))
        return 125;
    setenv("XENGPU_SOCKET", path, 1);
    variable_prepend("LD_PRELOAD", library);
    variable_prepend("LD_LIBRARY_PATH", t->library_dir);
    execvp(argv[0], argv);
    int err = errno;
    tool_error("%s: %s", argv[0], err == ENOENT ? "there is no such program" : strerror(err));
    return err == ENOENT ? 127 : 126;
}

const struct xg_command xg_command_run = {
    .name = "run",
    .arguments = "[--guest NAME] [--] PROGRAM [arguments]",
    .summary = "runs a program as a guest; its GPU calls go through xengpu",
    .help = "\n"
            "The guest is attached if it is not there yet. The exit status is the program's; 125 "
            "if it could not be\n"
            "started because of xengpu, 126 if it cannot be executed, 127 if there is no such "
            "program.\n"
            "\n"
            "  --guest NAME      the guest (default: the user's name)\n"
            "  --type NAME       when the guest is attached by this: its type, see 'xengpu types'\n"
            "  --weight N        likewise: its share of the device, 1 to 10000 (default 100)\n"
            "  --memory SIZE     likewise: device memory it may use, such as 512M\n",
    .run = program_run,
};
