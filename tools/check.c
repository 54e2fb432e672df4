/* xengpu check: tells whether xengpu works, beside a daemon or in a guest. It tries what is there,
 * and attaches nothing. */
#include "tools/tool.h"

#include "settings/value.h"
#include "protocol/device.h"
#include "tools/try.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_TRIES 300u /* of 0.1 s each, until all pGPUs have been looked at */

struct state {
    const struct xg_tool *tool;
    const char *guest; /* named; NULL: all */
    json_t *steps;
    bool xen; /* the daemon's guests are domains */
    bool failed;
};

/* Prints and keeps a step of try_step (stolen); `guest`: whose it is, or NULL. */
static void step_add(struct state *s, const char *guest, json_t *step)
{
    json_t *ok = json_object_get(step, "ok");
    s->failed |= json_is_false(ok);
    if (guest)
        json_object_set_new(step, "guest", json_string(guest));
    if (!s->tool->json) {
        printf("%s%s%-10s %-4s %s\n", guest ? guest : "", guest ? ": " : "",
               json_string_value(json_object_get(step, "step")),
               json_is_null(ok)   ? "-"
               : json_is_true(ok) ? "ok"
                                  : "FAIL",
               json_string_value(json_object_get(step, "text")));
        fflush(stdout);
    }
    json_array_append_new(s->steps, step);
}

static void check_libraries(struct state *s)
{
    static const char *const names[] = {"libxengpu.so", "libcuda.so.1"};
    char path[4096];
    for (unsigned i = 0; i < XG_ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", s->tool->library_dir, names[i]);
        bool good = access(path, R_OK) == 0;
        step_add(s, NULL,
                 try_step("library", good, "%s%s%s", path, good ? " is there" : ": ",
                          good ? "" : strerror(errno)));
    }
}

static void check_socket(struct state *s, const char *guest, const char *path, enum try_api gl,
                         enum try_api cuda)
{
    size_t i;
    json_t *step, *steps = try_guest(path, s->tool->library_dir, gl, cuda);
    json_array_foreach(steps, i, step) step_add(s, guest, json_incref(step));
    json_decref(steps);
}

/* --- beside a daemon -------------------------------------------------------------------------- */

static json_t *daemon_list(struct state *s)
{
    int sock = daemon_connect(s->tool, false);
    json_t *j = sock >= 0 ? daemon_ask_on(sock, json_pack("{s:s}", "cmd", "list")) : NULL;
    if (sock >= 0)
        close(sock);
    return j;
}

/* The daemon has looked for this API at least once, and knows its device or why there is none. */
static bool looked_at(json_t *pgpu, const char *api)
{
    char error[32], waiting[32];
    snprintf(error, sizeof(error), "%s_error", api);
    snprintf(waiting, sizeof(waiting), "%s_waiting", api);
    return json_is_object(json_object_get(pgpu, api)) || *answer_text(pgpu, error) ||
           !*answer_text(pgpu, waiting);
}

static bool all_looked_at(json_t *list)
{
    size_t i;
    json_t *p;
    json_array_foreach(json_object_get(list, "pgpus"), i, p)
    {
        if (!looked_at(p, "gl") || !looked_at(p, "cuda"))
            return false;
    }
    return true;
}

static void check_api(struct state *s, json_t *pgpu, const char *title, const char *api,
                      const char *key)
{
    char error[32];
    json_t *device = json_object_get(pgpu, api);
    const char *name = answer_text(pgpu, "name");
    snprintf(error, sizeof(error), "%s_error", api);
    if (!looked_at(pgpu, api))
        step_add(s, NULL, try_step("pgpu", false, "%s: %s: still being looked at", name, title));
    else if (json_is_object(device))
        step_add(s, NULL,
                 try_step("pgpu", true, "%s: %s: %s", name, title, answer_text(device, key)));
    else if (*answer_text(pgpu, error))
        step_add(s, NULL,
                 try_step("pgpu", false, "%s: %s: %s", name, title, answer_text(pgpu, error)));
    else
        step_add(s, NULL, try_step("pgpu", TRY_NOTHING, "%s: %s: not offered", name, title));
}

static enum try_api api_offered(json_t *list, json_t *guest, const char *api)
{
    size_t i;
    json_t *p;
    json_array_foreach(json_object_get(list, "pgpus"), i, p)
    {
        if (!strcmp(answer_text(p, "name"), answer_text(guest, "pgpu")))
            return json_is_object(json_object_get(p, api)) ? TRY_OFFERED : TRY_NONE;
    }
    return TRY_UNKNOWN;
}

static void check_guest(struct state *s, json_t *list, json_t *guest)
{
    const char *name = answer_text(guest, "name"), *state = answer_text(guest, "state");
    char path[256];
    if (s->xen) {
        bool good = !strcmp(state, "connected");
        step_add(s, name,
                 try_step("agent", good, "%s%s", state,
                          good ? "; 'xengpu check' inside the domain tries the rest"
                               : "; 'xengpu-agent --xen' must run in the domain"));
        return;
    }
    snprintf(path, sizeof(path), "%s/%s/agent.sock", s->tool->socket_dir, name);
    check_socket(s, name, path, api_offered(list, guest, "gl"), api_offered(list, guest, "cuda"));
}

static void check_guests(struct state *s, json_t *list)
{
    unsigned count = 0;
    size_t i;
    json_t *g;
    json_array_foreach(json_object_get(list, "guests"), i, g)
    {
        if (s->guest && strcmp(answer_text(g, "name"), s->guest))
            continue;
        check_guest(s, list, g);
        count++;
    }
    if (!count && s->guest)
        step_add(s, s->guest,
                 try_step("guest", false,
                          "there is no such guest; 'xengpu list' shows all guests, "
                          "'xengpu attach %s' makes it",
                          s->guest));
    else if (!count)
        step_add(s, NULL,
                 try_step("guest", TRY_NOTHING,
                          "none is attached, so no application was tried; 'xengpu attach NAME' "
                          "makes one"));
}

static void check_daemon(struct state *s, int sock)
{
    size_t i;
    json_t *p, *ping = daemon_ask_on(sock, json_pack("{s:s}", "cmd", "ping"));
    close(sock);
    step_add(s, NULL,
             ping ? try_step("daemon", true, "%s/control.sock: process %d, %s mode",
                             s->tool->socket_dir,
                             (int)json_integer_value(json_object_get(ping, "pid")),
                             answer_text(ping, "mode"))
                  : try_step("daemon", false, "%s/control.sock: no answer", s->tool->socket_dir));
    if (!ping)
        return;
    s->xen = !strcmp(answer_text(ping, "mode"), "xen");
    json_decref(ping);
    json_t *list = daemon_list(s);
    for (unsigned tries = 0; list && !all_looked_at(list) && tries < LOOK_TRIES; tries++) {
        usleep(100000);
        json_decref(list);
        list = daemon_list(s);
    }
    if (!list) {
        step_add(s, NULL, try_step("daemon", false, "it does not answer any more"));
        return;
    }
    json_array_foreach(json_object_get(list, "pgpus"), i, p)
    {
        check_api(s, p, "OpenGL", "gl", "renderer");
        check_api(s, p, "CUDA", "cuda", "name");
    }
    check_guests(s, list);
    json_decref(list);
}

/* --- without asking a daemon ------------------------------------------------------------------ */

/* Another user's daemon: its guests' sockets can be tried all the same. */
static void check_sockets(struct state *s)
{
    char path[512];
    unsigned count = 0;
    step_add(s, NULL,
             try_step("daemon", TRY_NOTHING,
                      "%s/control.sock: only the user that runs xengpud may ask it",
                      s->tool->socket_dir));
    DIR *d = opendir(s->tool->socket_dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!xg_name_valid(e->d_name) || (s->guest && strcmp(e->d_name, s->guest)))
            continue;
        snprintf(path, sizeof(path), "%s/%s/agent.sock", s->tool->socket_dir, e->d_name);
        if (access(path, F_OK) < 0)
            continue;
        check_socket(s, e->d_name, path, TRY_UNKNOWN, TRY_UNKNOWN);
        count++;
    }
    if (d)
        closedir(d);
    if (!count)
        step_add(s, s->guest,
                 try_step("guest", false,
                          "%s; the user that runs xengpud can attach one: "
                          "'xengpu attach %s'",
                          s->guest ? "there is no such guest" : "none is attached",
                          s->guest ? s->guest : "NAME"));
}

/* In a Xen guest or a container, or where xengpu does not run at all. */
static void check_inside(struct state *s, int err)
{
    const char *path = getenv("XENGPU_SOCKET");
    if (!path)
        path = XG_DEFAULT_SOCKET;
    if (!getenv("XENGPU_SOCKET") && access(path, F_OK) < 0)
        step_add(s, NULL,
                 try_step("daemon", false,
                          "neither a daemon (%s/control.sock: %s) nor an agent (%s) is here; start "
                          "xengpud where the GPU is, xengpu-agent in a Xen guest",
                          s->tool->socket_dir, strerror(-err), path));
    else
        check_socket(s, NULL, path, TRY_UNKNOWN, TRY_UNKNOWN);
}

static void check_here(struct state *s)
{
    bool asked = s->guest || s->tool->socket_dir_given;
    int sock = !asked && getenv("XENGPU_SOCKET") ? -ENOENT : daemon_connect(s->tool, false);
    if (sock >= 0)
        check_daemon(s, sock);
    else if (sock == -EACCES)
        check_sockets(s);
    else if (asked)
        step_add(s, s->guest,
                 try_step("daemon", false,
                          "%s/control.sock: %s; 'xengpud' starts one, --socket-dir names another "
                          "directory; inside a guest do without --guest",
                          s->tool->socket_dir, strerror(-sock)));
    else
        check_inside(s, sock);
}

static int check_option(void *arg, const char *name, const char *value)
{
    const char **guest = arg;
    if (!strncmp(name, "--guest=", 8)) {
        *guest = name + 8;
        return 1;
    }
    if (strcmp(name, "--guest"))
        return 0;
    *guest = value;
    return 2;
}

static int check_run(struct xg_tool *t, int argc, char **argv)
{
    struct state s = {.tool = t, .steps = json_array()};
    if (tool_options(t, &xg_command_check, argc, argv, check_option, &s.guest) > 0 ||
        (s.guest && !xg_name_valid(s.guest))) {
        tool_error("check: wrong arguments; see 'xengpu check --help'");
        return 2;
    }
    check_libraries(&s);
    check_here(&s);
    json_t *report = json_pack("{s:b, s:o}", "ok", !s.failed, "steps", s.steps);
    if (t->json)
        answer_print(report);
    json_decref(report);
    return s.failed;
}

const struct xg_command xg_command_check = {
    .name = "check",
    .arguments = "[--guest NAME] [--json]",
    .summary = "tells whether it all works, step by step",
    .help = "\n"
            "Beside a daemon it looks at the devices and tries each guest that is attached; inside "
            "a guest it tries that\n"
            "guest's agent. A guest is tried as an application does it: a channel, calls, OpenGL, "
            "CUDA. Nothing is\n"
            "attached or changed by it. Each step is 'ok', 'FAIL', or '-' where there was nothing "
            "to be seen. The exit status\n"
            "is 0 if no step has failed.\n"
            "\n"
            "  --guest NAME      this guest alone, which must be there\n"
            "  --json            as JSON; \"ok\" is null for '-'\n",
    .run = check_run,
    .json = true,
};
