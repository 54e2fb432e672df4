/* xengpu check: does it work here, from a guest's side? */
#include "tools/tool.h"

#include "backend/broker/keys.h"
#include "frontend/channel.h"
#include "protocol/device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CALLS 2000u

struct state {
    const struct xg_tool *tool;
    json_t *steps;
    bool failed;
};

static void step(struct state *s, bool good, const char *what, const char *fmt, ...)
    XG_PRINTF(4, 5);
static void step(struct state *s, bool good, const char *what, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    s->failed |= !good;
    json_array_append_new(s->steps,
                          json_pack("{s:s, s:b, s:s}", "step", what, "ok", good, "text", text));
    if (!s->tool->json)
        printf("%-10s %-4s %s\n", what, good ? "ok" : "FAIL", text);
}

static void check_libraries(struct state *s)
{
    static const char *const names[] = {"libxengpu.so", "libcuda.so.1"};
    char path[4096];
    for (unsigned i = 0; i < XG_ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", s->tool->library_dir, names[i]);
        if (access(path, R_OK) == 0)
            step(s, true, "library", "%s", path);
        else
            step(s, false, "library", "%s: %s", path, strerror(errno));
    }
}

/* Where there is no daemon to ask, as in a container or a domain, the agent's socket says enough.
 */
static void check_daemon(struct state *s, const char *guest)
{
    char path[256];
    int sock = getenv("XENGPU_SOCKET") ? -ENOENT : daemon_connect(s->tool, false);
    if (sock < 0) {
        const char *agent = getenv("XENGPU_SOCKET");
        step(s, true, "agent", "%s (no daemon to be asked here)",
             agent ? agent : XG_DEFAULT_SOCKET);
        return;
    }
    json_t *j = daemon_ask_on(sock, json_pack("{s:s, s:s}", "cmd", "attach", "guest", guest));
    close(sock);
    const char *agent = j ? json_string_value(json_object_get(j, "socket")) : NULL;
    if (agent && *agent) {
        snprintf(path, sizeof(path), "%s", agent);
        setenv("XENGPU_SOCKET", path, 1);
    }
    step(s, j != NULL, "daemon", "%s, guest %s", s->tool->socket_dir, guest);
    json_decref(j);
}

static void check_channel(struct state *s)
{
    struct xg_channel *ch = xg_channel_get();
    int err = xg_channel_error(ch);
    if (err) {
        step(s, false, "channel", "%s", xg_channel_error_text(ch));
        return;
    }
    const struct xg_geometry *g = xg_channel_geometry(ch);
    step(s, true, "channel", "%u rings of %u KiB, arena of %u MiB", g->ring_count,
         4u << g->cmd_order, g->arena_pages >> 8);
    struct xg_ring *ring = xg_channel_ring0(ch);
    uint64_t best = UINT64_MAX;
    for (unsigned i = 0; i < CALLS && !err; i++) {
        uint32_t ticket;
        uint64_t start = xg_now_ns();
        xg_ring_lock(ring);
        xg_ring_begin_call(ring, XG_OP_NULL, 0, &ticket);
        xg_ring_publish(ring);
        xg_ring_unlock(ring);
        err = xg_ring_wait(ring, ticket, NULL, 0, NULL);
        best = xg_min_u64(best, xg_now_ns() - start);
    }
    if (err)
        step(s, false, "call", "%s",
             xg_channel_error(ch) ? xg_channel_error_text(ch) : strerror(-err));
    else
        step(s, true, "call", "%.1f us there and back, the best of %u", (double)best / 1000, CALLS);
}

static void check_devices(struct state *s)
{
    size_t i;
    json_t *p;
    int sock = daemon_connect(s->tool, false);
    json_t *j = sock >= 0 ? daemon_ask_on(sock, json_pack("{s:s}", "cmd", "list")) : NULL;
    if (sock >= 0)
        close(sock);
    json_array_foreach(json_object_get(j, "pgpus"), i, p)
    {
        json_t *gl = json_object_get(p, "gl"), *cuda = json_object_get(p, "cuda");
        const char *name = json_string_value(json_object_get(p, "name"));
        const char *renderer = json_string_value(json_object_get(gl, "renderer"));
        const char *device = json_string_value(json_object_get(cuda, "name"));
        step(s, renderer || device, "device", "%s: OpenGL: %s; CUDA: %s", name,
             renderer ? renderer : "none", device ? device : "none");
    }
    json_decref(j);
}

static int option(void *arg, const char *name, const char *value)
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

static int check(struct xg_tool *t, int argc, char **argv)
{
    const char *guest = "check";
    struct state s = {.tool = t, .steps = json_array()};
    if (tool_options(t, &xg_command_check, argc, argv, option, &guest) > 0 ||
        !xg_name_valid(guest)) {
        tool_error("check: wrong arguments; see 'xengpu check --help'");
        return 2;
    }
    check_libraries(&s);
    check_daemon(&s, guest);
    if (!s.failed)
        check_channel(&s);
    check_devices(&s);
    json_t *report = json_pack("{s:b, s:o}", "ok", !s.failed, "steps", s.steps);
    if (t->json) {
        json_dumpf(report, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(report);
    return s.failed;
}

const struct xg_command xg_command_check = {
    .name = "check",
    .arguments = "[--guest NAME] [--json]",
    .summary = "tells whether it all works, step by step",
    .help = "\n"
            "Beside a daemon it attaches a guest (default: check) and opens a channel; inside a "
            "guest it uses that guest's\n"
            "agent. The exit status is 0 if every step is ok.\n"
            "\n"
            "  --guest NAME      the guest to be tried\n"
            "  --json            as JSON\n",
    .run = check,
};
