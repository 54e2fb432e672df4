/* The daemon's operator socket, from the tool's side. */
#include "tools/tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int daemon_connect(const struct xg_tool *t, bool loud)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/control.sock", t->socket_dir);
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (sock < 0)
        return -errno;
    if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) == 0)
        return sock;
    int err = -errno;
    close(sock);
    if (!loud)
        return err;
    if (err == -EACCES || err == -EPERM)
        tool_error("%s: permission denied; only the user that runs xengpud may do this",
                   addr.sun_path);
    else
        tool_error("no daemon at %s (%s); start one with 'xengpud --local%s%s', or name its "
                   "directory with --socket-dir",
                   addr.sun_path, strerror(-err),
                   strcmp(t->socket_dir, "/run/xengpu") ? " --socket-dir " : "",
                   strcmp(t->socket_dir, "/run/xengpu") ? t->socket_dir : "");
    return err;
}

json_t *daemon_ask_on(int sock, json_t *request)
{
    json_error_t e;
    char *line = json_dumps(request, JSON_COMPACT);
    json_t *answer = NULL;
    json_decref(request);
    FILE *f = fdopen(dup(sock), "r+");
    if (line && f && fprintf(f, "%s\n", line) > 0 && fflush(f) == 0)
        answer = json_loadf(f, JSON_DISABLE_EOF_CHECK, &e);
    if (f)
        fclose(f);
    free(line);
    if (!answer) {
        tool_error("the daemon closed the connection");
        return NULL;
    }
    if (!json_is_true(json_object_get(answer, "ok"))) {
        const char *text = json_string_value(json_object_get(answer, "error"));
        tool_error("%s", text ? text : "the daemon refused this and gave no reason");
        json_decref(answer);
        return NULL;
    }
    json_object_del(answer, "ok");
    return answer;
}

json_t *daemon_ask(const struct xg_tool *t, json_t *request)
{
    int sock = daemon_connect(t, true);
    if (sock < 0) {
        json_decref(request);
        return NULL;
    }
    json_t *answer = daemon_ask_on(sock, request);
    close(sock);
    return answer;
}

const char *answer_text(json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));
    return s ? s : "";
}

uint64_t answer_number(json_t *j, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(j, key));
}

void answer_print(json_t *j)
{
    json_dumpf(j, stdout, JSON_INDENT(2));
    putchar('\n');
}
