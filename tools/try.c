#include "tools/try.h"

#include "frontend/channel.h"
#include "protocol/device.h"
#include "protocol/wsi/wire.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wsi/send.h"

#define CALLS      2000u
#define CALLS_NS   1000000000u /* or as many as fit into this time */
#define PATIENCE_S 30u
#define AGAIN_MAX  20u
#define AGAIN_US   100000u
#define GL_BYTES   65536u
#define CUDA_BYTES 65536u

struct attempt {
    const char *socket, *library_dir;
    enum try_api gl, cuda;
    json_t *steps;
    bool again; /* worth another try in a moment */
};

json_t *try_step(const char *what, int ok, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    json_t *known = ok < 0 ? json_null() : json_boolean(ok);
    json_t *said = json_string(text); /* NULL: not UTF-8 */
    return json_pack("{s:s, s:o, s:o}", "step", what, "ok", known, "text",
                     said ? said : json_string("?"));
}

/* --- the agent -------------------------------------------------------------------------------- */

/* Whether an application could connect to its agent; if not, why, and what helps. */
static json_t *agent_try(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(addr.sun_path))
        return try_step("agent", false, "%s: too long for a socket's name", path);
    strcpy(addr.sun_path, path);
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int err = sock < 0 || connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? errno : 0;
    if (sock >= 0)
        close(sock);
    if (!err)
        return try_step("agent", true, "%s answers", path);
    return try_step("agent", false, "%s: %s; %s", path, strerror(err),
                    err == EACCES || err == EPERM
                        ? "it is another user's: 'user=' of "
                          "'xengpu attach', or 'xengpu-agent --mode', says whose"
                        : "does xengpu-agent run? In a Xen guest: 'systemctl status xengpu-agent'");
}

/* --- the channel ------------------------------------------------------------------------------ */

static bool channel_try(struct attempt *a)
{
    struct xg_channel *ch = xg_channel_get();
    int err = xg_channel_error(ch);
    if (err) {
        json_array_append_new(a->steps,
                              try_step("channel", false, "%s", xg_channel_error_text(ch)));
        return false;
    }
    const struct xg_geometry *g = xg_channel_geometry(ch);
    json_array_append_new(a->steps,
                          try_step("channel", true, "%u rings of %u KiB, arena of %u MiB",
                                   g->ring_count, 4u << g->cmd_order, g->arena_pages >> 8));
    struct xg_ring *ring = xg_channel_ring0(ch);
    uint64_t best = UINT64_MAX, begin = xg_now_ns(), start = begin;
    unsigned calls = 0;
    for (; calls < CALLS && start - begin < CALLS_NS && !err; calls++) {
        uint32_t ticket;
        start = xg_now_ns();
        xg_ring_lock(ring);
        xg_ring_begin_call(ring, XG_OP_NULL, 0, &ticket);
        xg_ring_publish(ring);
        xg_ring_unlock(ring);
        err = xg_ring_wait(ring, ticket, NULL, 0, NULL);
        best = xg_min_u64(best, xg_now_ns() - start);
    }
    json_array_append_new(
        a->steps, err ? try_step("call", false, "%s",
                                 xg_channel_error(ch) ? xg_channel_error_text(ch) : strerror(-err))
                      : try_step("call", true, "%.1f us there and back, the best of %u",
                                 (double)best / 1000, calls));
    return !err;
}

/* --- OpenGL: the worker makes contexts to answer ---------------------------------------------- */

/* Where nobody knows what the device offers, a device without this API is not a failure. */
static json_t *api_missing(const char *api, enum try_api offered)
{
    return try_step(api, offered == TRY_UNKNOWN ? TRY_NOTHING : false,
                    "this guest's GPU does not offer it; xengpud's log says why");
}

static json_t *gl_try(enum try_api offered)
{
    struct xg_channel *ch = xg_channel_get();
    struct xg_ring *ring = xg_channel_ring0(ch);
    uint32_t where, ticket;
    struct xg_wsi_query_reply reply = {.need = 0};
    struct xg_wsi_info info;
    uint8_t *at = xg_arena_alloc(ch, GL_BYTES, 4096, &where);
    if (!at)
        return try_step("OpenGL", false, "the channel's arena is full");
    xg_ring_lock(ring);
    xg_wsi_send_query(ring, &(struct xg_wsi_query){.where = where, .size = GL_BYTES}, &ticket);
    xg_ring_publish(ring);
    xg_ring_unlock(ring);
    int err = xg_ring_wait(ring, ticket, &reply, sizeof(reply), NULL);
    memcpy(&info, at, sizeof(info));
    xg_arena_free(ch, at);
    info.renderer[sizeof(info.renderer) - 1] = info.version[sizeof(info.version) - 1] = 0;
    if (err && xg_channel_error(ch))
        return try_step("OpenGL", false, "%s", xg_channel_error_text(ch));
    if (err)
        return api_missing("OpenGL", offered);
    if (reply.need > GL_BYTES || reply.need < sizeof(info))
        return try_step("OpenGL", false, "the answer makes no sense");
    return try_step("OpenGL", true, "%s, %s", info.renderer, info.version);
}

/* --- CUDA: by the guest's library, as a program does it --------------------------------------- */

struct cuda {
    void *so;
    const char *failed; /* the call */
    int error;
};

static bool cuda_ok(struct cuda *c, const char *call, int error)
{
    if (error) {
        c->failed = call;
        c->error = error;
    }
    return !error;
}

#define CUDA(c, name, types, ...)                                                                  \
    cuda_ok(c, #name,                                                                              \
            dlsym((c)->so, #name) ? ((int(*) types)dlsym((c)->so, #name))(__VA_ARGS__) : -1)

static bool cuda_copies(struct cuda *c, int device, uint8_t *there, uint8_t *back)
{
    unsigned long long memory = 0;
    void *context;
    return CUDA(c, cuDevicePrimaryCtxRetain, (void **, int), &context, device) &&
           CUDA(c, cuCtxSetCurrent, (void *), context) &&
           CUDA(c, cuMemAlloc_v2, (unsigned long long *, size_t), &memory, CUDA_BYTES) &&
           CUDA(c, cuMemcpyHtoD_v2, (unsigned long long, const void *, size_t), memory, there,
                CUDA_BYTES) &&
           CUDA(c, cuMemcpyDtoH_v2, (void *, unsigned long long, size_t), back, memory,
                CUDA_BYTES) &&
           CUDA(c, cuMemFree_v2, (unsigned long long), memory);
}

static void cuda_try(struct attempt *a)
{
    static uint8_t there[CUDA_BYTES], back[CUDA_BYTES];
    char path[4096], name[256] = "";
    struct cuda c = {0};
    int device, count = 0;
    json_t *step;
    snprintf(path, sizeof(path), "%s/libcuda.so.1", a->library_dir);
    for (unsigned i = 0; i < CUDA_BYTES; i++)
        there[i] = (uint8_t)(i * 7 + i / 256);
    c.so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!c.so)
        step = try_step("CUDA", false, "%s", dlerror());
    else if (!CUDA(&c, cuInit, (unsigned), 0) &&
             (c.error == 100 || c.error == 801)) /* CUDA_ERROR_NO_DEVICE, _NOT_SUPPORTED */
        step = api_missing("CUDA", a->cuda);
    else if (!c.failed && CUDA(&c, cuDeviceGetCount, (int *), &count) && count < 1)
        step = api_missing("CUDA", a->cuda);
    else if (!c.failed && CUDA(&c, cuDeviceGet, (int *, int), &device, 0) &&
             CUDA(&c, cuDeviceGetName, (char *, int, int), name, (int)sizeof(name), device) &&
             cuda_copies(&c, device, there, back))
        step = memcmp(there, back, CUDA_BYTES)
                   ? try_step("CUDA", false, "%s: a copy there and back is not the same", name)
                   : try_step("CUDA", true, "%s, a copy there and back", name);
    else
        step =
            try_step("CUDA", false, "%s: error %d; xengpud's log may say why", c.failed, c.error);
    a->again = c.error ==
               802; /* CUDA_ERROR_SYSTEM_NOT_READY: there is no channel while the last one closes */
    json_array_append_new(a->steps, step);
}

static void gl_and_channel_try(struct attempt *a)
{
    if (channel_try(a) && a->gl != TRY_NONE)
        json_array_append_new(a->steps, gl_try(a->gl));
}

/* --- in a process of its own ------------------------------------------------------------------ */

static void child_main(struct attempt *a, void (*fn)(struct attempt *), int out)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, STDOUT_FILENO); /* the steps have what libraries print */
    dup2(null, STDERR_FILENO);
    setenv("XENGPU_SOCKET", a->socket, 1);
    fn(a);
    char *text = json_dumps(a->steps, JSON_COMPACT);
    for (size_t n = text ? strlen(text) : 0, at = 0; at < n;) {
        ssize_t w = write(out, text + at, n - at);
        if (w <= 0)
            break;
        at += (size_t)w;
    }
    _exit(a->again);
}

/* All that the child writes; false: it took too long. */
static bool child_read(int fd, char *text, size_t size)
{
    uint64_t end = xg_now_ns() + PATIENCE_S * 1000000000ull;
    size_t n = 0;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        uint64_t now = xg_now_ns();
        text[n] = 0;
        if (now >= end)
            return false;
        if (poll(&p, 1, (int)((end - now) / 1000000) + 1) <= 0)
            continue;
        ssize_t got = read(fd, text + n, size - 1 - n);
        if (got <= 0)
            return true;
        n += (size_t)got;
    }
}

/* Adds the steps that `fn` makes, in a process of its own; false: it did not finish. `what`: the
 * name of a step that says so. */
static bool attempt_once(struct attempt *a, const char *what, void (*fn)(struct attempt *))
{
    char text[16384];
    int pipes[2], status = 0;
    pid_t pid = pipe2(pipes, O_CLOEXEC) < 0 ? -1 : fork();
    if (pid < 0) {
        json_array_append_new(a->steps, try_step(what, false, "%s", strerror(errno)));
        return false;
    }
    if (pid == 0) {
        a->steps = json_array();
        child_main(a, fn, pipes[1]);
    }
    close(pipes[1]);
    bool whole = child_read(pipes[0], text, sizeof(text));
    close(pipes[0]);
    if (!whole)
        kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    a->again = whole && WIFEXITED(status) && WEXITSTATUS(status);
    json_t *found = json_loads(text, 0, NULL);
    json_array_extend(a->steps, found);
    if (!whole)
        json_array_append_new(a->steps, try_step(what, false,
                                                 "not finished after %u s; is the GPU busy, or the "
                                                 "agent stopped? See 'xengpu top'",
                                                 PATIENCE_S));
    else if (!found)
        json_array_append_new(a->steps, try_step(what, false, "the attempt died of signal %d",
                                                 WIFSIGNALED(status) ? WTERMSIG(status) : 0));
    json_decref(found);
    return whole && found;
}

static bool attempt_run(struct attempt *a, const char *what, void (*fn)(struct attempt *))
{
    size_t had = json_array_size(a->steps);
    bool done = attempt_once(a, what, fn);
    for (unsigned i = 0; i < AGAIN_MAX && a->again; i++) {
        usleep(AGAIN_US);
        while (json_array_size(a->steps) > had)
            json_array_remove(a->steps, had);
        done = attempt_once(a, what, fn);
    }
    return done;
}

json_t *try_guest(const char *socket, const char *library_dir, enum try_api gl, enum try_api cuda)
{
    struct attempt a = {socket, library_dir, gl, cuda, json_array(), false};
    json_t *agent = agent_try(socket);
    bool good = json_is_true(json_object_get(agent, "ok"));
    json_array_append_new(a.steps, agent);
    if (good && attempt_run(&a, "channel", gl_and_channel_try)) {
        size_t last = json_array_size(a.steps) - 1;
        json_t *step = json_array_get(a.steps, last);
        const char *name = json_string_value(json_object_get(step, "step"));
        bool calls = json_is_true(json_object_get(step, "ok")) || (name && !strcmp(name, "OpenGL"));
        if (calls && cuda != TRY_NONE) /* in another process, so on a channel of its own */
            attempt_run(&a, "CUDA", cuda_try);
    }
    return a.steps;
}
