/* xengpu-agent: hands each application of this guest its channel to the GPU in Dom0. */
#include "frontend/agent/agent.h"
#include "frontend/platform/keeper.h"
#include "settings/value.h"

#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

struct agent_options {
    bool xen;
    const char *store, *listen, *user;
    int mode;
    int64_t owner; /* -1: the owner is not changed */
    uint32_t grants;
    struct xg_geometry geometry;
};

#define GRANTS           16384u /* half of what a guest has */
#define STOP_PATIENCE_NS 2000000000u

static const char usage[] =
    "usage: xengpu-agent --local --store SOCKET --listen SOCKET [options]\n"
    "       xengpu-agent --xen [--listen SOCKET] [options]\n"
    "\n"
    "Gives each application of this guest its channel to the GPU. In local mode xengpud starts "
    "it.\n"
    "\n"
    "  --local            the guest is a process or container; the daemon listens on --store\n"
    "  --xen              the guest is a Xen domain (needs /dev/xen/* and root)\n"
    "  --store SOCKET     the daemon's socket for this guest\n"
    "  --listen SOCKET    where applications connect (default " XG_DEFAULT_SOCKET ")\n"
    "  --mode OCTAL       permissions of that socket (default 0666; 0600 with --owner)\n"
    "  --owner NUMBER     the user whose it is\n"
    "  --user NAME        local: become this user once the sockets are open\n"
    "  --relay            local: xengpud reads standard error, and writes what it says into its "
    "log\n"
    "  --grants N         Xen: pages shared with the GPU's domain, all applications together\n"
    "                     (default 16384, which is 64 MiB; a guest has 32768 for all its devices)\n"
    "  --rings N          rings of a channel, 1 to 32 (default 16 local, 4 on Xen)\n"
    "  --ring-size KIB    of commands in a ring, a power of two from 64 (default 1024 local, 256 "
    "on Xen)\n"
    "  --reply-size KIB   of replies in a ring, a power of two from 4 (default 64)\n"
    "  --arena MIB        bulk memory of a channel (default 1024 local, 16 on Xen; less where "
    "shared\n"
    "                     pages are short)\n"
    "  --version          says which release this is\n";

static const char *agent_guest = ""; /* the guest's name, once known */

void agent_log_at(enum xg_log_level level, const char *fmt, ...)
{
    static struct xg_log_limit limit;
    va_list ap;
    if (!xg_log_allowed(&limit, agent_guest))
        return;
    va_start(ap, fmt);
    xg_log_write(level, agent_guest, fmt, ap);
    va_end(ap);
}

static uint32_t option_number(const char *option, const char *text, uint32_t min, uint32_t max)
{
    struct xg_why why;
    uint64_t v;
    if (!xg_number_take(&v, text, min, max, &why))
        return (uint32_t)v;
    agent_error("%s %s: %s", option, text, why.text);
    exit(2);
}

static int mode_parse(const char *text)
{
    char *end;
    unsigned long v = strtoul(text, &end, 8);
    if (end != text && !*end && v <= 0777)
        return (int)v;
    agent_error("--mode %s: not permissions, such as 0666", text);
    exit(2);
}

/* log2 of the pages that `kib` KiB take. */
static uint32_t option_order(const char *option, const char *text, uint32_t min, uint32_t max)
{
    uint32_t kib = option_number(option, text, 4u << min, 4u << max);
    if (kib & (kib - 1)) {
        agent_error("%s %s: not a power of two", option, text);
        exit(2);
    }
    return (uint32_t)__builtin_ctz(kib) - 2;
}

static void options_parse(struct agent_options *o, int argc, char **argv)
{
    static const struct option known[] = {{"local", 0, 0, 'l'},      {"xen", 0, 0, 'x'},
                                          {"store", 1, 0, 's'},      {"listen", 1, 0, 'L'},
                                          {"mode", 1, 0, 'm'},       {"owner", 1, 0, 'o'},
                                          {"user", 1, 0, 'u'},       {"relay", 0, 0, 'E'},
                                          {"rings", 1, 0, 'r'},      {"ring-size", 1, 0, 'c'},
                                          {"reply-size", 1, 0, 'R'}, {"arena", 1, 0, 'a'},
                                          {"grants", 1, 0, 'g'},     {"help", 0, 0, 'h'},
                                          {"version", 0, 0, 'v'},    {0}};
    bool local = false;
    struct xg_geometry g = {0};
    g.reply_order = UINT32_MAX;
    for (int c; (c = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
        switch (c) {
        case 'l': local = true; break;
        case 'x': o->xen = true; break;
        case 's': o->store = optarg; break;
        case 'L': o->listen = optarg; break;
        case 'u': o->user = optarg; break;
        case 'E': xg_log_relay(); break;
        case 'o': o->owner = option_number("--owner", optarg, 0, UINT32_MAX - 1); break;
        case 'm': o->mode = mode_parse(optarg); break;
        case 'r': g.ring_count = option_number("--rings", optarg, 1, XG_RINGS_MAX); break;
        case 'c':
            g.cmd_order = option_order("--ring-size", optarg, XG_CMD_ORDER_MIN, XG_CMD_ORDER_MAX);
            break;
        case 'R':
            g.reply_order =
                option_order("--reply-size", optarg, XG_REPLY_ORDER_MIN, XG_REPLY_ORDER_MAX);
            break;
        case 'a': g.arena_pages = option_number("--arena", optarg, 1, XG_ARENA_MIB_MAX) << 8; break;
        case 'g': o->grants = option_number("--grants", optarg, 512, 1u << 22); break;
        case 'h': fputs(usage, stdout); exit(0);
        case 'v': puts("xengpu-agent " XG_VERSION_TEXT); exit(0);
        default: fputs("try 'xengpu-agent --help'\n", stderr); exit(2);
        }
    }
    if (optind < argc || local == o->xen || (local && (!o->store || o->grants)) ||
        (o->xen && o->user)) {
        fputs(usage, stderr);
        exit(2);
    }
    if (o->mode < 0)
        o->mode = o->owner < 0 ? 0666 : 0600;
    o->geometry.ring_count = g.ring_count ? g.ring_count : local ? 16 : 4;
    o->geometry.cmd_order = g.cmd_order ? g.cmd_order : local ? 8 : 6;
    o->geometry.reply_order = g.reply_order != UINT32_MAX ? g.reply_order : 4;
    o->geometry.arena_pages = g.arena_pages ? g.arena_pages : (local ? 1024u : 16u) << 8;
}

static int user_become(const char *name)
{
    struct passwd *pw = getpwnam(name);
    if (!pw) {
        agent_error("--user %s: there is no such user", name);
        return -ENOENT;
    }
    if (setgroups(0, NULL) < 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
        setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0) {
        int err = -errno;
        agent_error("cannot become user %s: %s", name, strerror(errno));
        return err;
    }
    return 0;
}

static int poll_add(struct agent *a, int fd, void *ptr)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = ptr};
    return fd >= 0 && epoll_ctl(a->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int xen_open(struct agent *a, const struct agent_options *o)
{
    char text[256] = "";
    int err = xg_guest_open_xen(&a->guest, text, sizeof(text));
    if (!err)
        a->grants = xg_guest_grants_xen(o->grants ? o->grants : GRANTS, text, sizeof(text));
    if (text[0])
        agent_log_at(err ? XG_LOG_ERROR : XG_LOG_WARNING, "%s", text);
    return err;
}

static int agent_init(struct agent *a, const struct agent_options *o, int sigfd)
{
    struct rlimit files;
    if (!getrlimit(RLIMIT_NOFILE, &files)) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    a->wanted = o->geometry;
    a->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (a->epoll < 0)
        return -errno;
    int err = o->xen ? xen_open(a, o) : xg_guest_open_local(o->store, &a->guest);
    if (err) {
        if (!o->xen)
            agent_error("%s: %s", o->store, strerror(-err));
        return err;
    }
    err = apps_listen(a, o->listen, o->mode);
    if (err) {
        agent_error("cannot listen on %s: %s", o->listen, strerror(-err));
        return err;
    }
    if (o->owner >= 0)
        err = apps_give(a, o->listen, (uid_t)o->owner);
    if (err) {
        agent_error("cannot give %s to user %u: %s", o->listen, (unsigned)o->owner, strerror(-err));
        return err;
    }
    for (unsigned i = 0; i < XG_ARRAY_LEN(a->guest->fds) && !err; i++)
        err = poll_add(a, a->guest->fds[i], a->guest);
    if (!err)
        err = poll_add(a, sigfd, NULL);
    if (!err && o->user)
        err = user_become(o->user);
    return err ? err : device_start(a);
}

static bool guest_resumed(struct agent *a)
{
    char text[256];
    if (!a->guest->ops->resumed(a->guest, text, sizeof(text)))
        return false;
    if (text[0])
        agent_log("%s", text);
    device_resumed(a);
    return true;
}

/* Handles events until there are none. Handlers read the store, and an event that comes while they
 * wait for its answer is reported only by the next dispatch. */
static int guest_event(struct agent *a)
{
    int mask;
    while ((mask = a->guest->ops->dispatch(a->guest)) != 0) {
        if (mask < 0) {
            agent_warning("the daemon is gone");
            apps_lose(a, XG_RING_LOST);
            return mask;
        }
        if (guest_resumed(a))
            return 0;
        if (mask & XG_GUEST_CONTROL)
            device_messages(a);
        if (mask & XG_GUEST_STORE)
            device_update(a);
    }
    return 0;
}

/* The agent is about to end: first the backend must give up the pages, if it still lives. */
static void agent_stop(struct agent *a)
{
    uint64_t end = xg_now_ns() + STOP_PATIENCE_NS;
    while (!device_stop(a) && xg_now_ns() < end) {
        struct epoll_event ev;
        (void)epoll_wait(a->epoll, &ev, 1, 20);
        if (a->guest->ops->dispatch(a->guest) < 0)
            break;
    }
}

/* Takes one event at a time, since the handler of one event may free what another is for. */
static int agent_loop(struct agent *a)
{
    for (;;) {
        struct epoll_event ev;
        int n = epoll_wait(a->epoll, &ev, 1, a->waiting || a->again ? 1000 : -1), err;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (guest_resumed(a))
            continue; /* the event may be for something that is gone; if not, it comes again */
        if (n > 0 && !ev.data.ptr) {
            if (a->guest->platform == XG_PLATFORM_XEN)
                agent_stop(a);
            return 0;
        }
        if (!n && a->again)
            device_update(a);
        if (n > 0 && ev.data.ptr == &a->listener)
            apps_accept(a);
        else if (n > 0 && ev.data.ptr != a->guest)
            app_event(a, ev.data.ptr);
        if (a->waiting)
            apps_expire(a);
        err = guest_event(a); /* also for events that came while an answer was awaited */
        if (err)
            return err;
    }
}

int main(int argc, char **argv)
{
    struct agent_options o = {.listen = XG_DEFAULT_SOCKET, .mode = -1, .owner = -1};
    static struct agent a;
    sigset_t set;
    if (argc == 2 && !strcmp(argv[1], XG_KEEPER_ARGUMENT))
        return xg_keeper_run();
    agent_guest = a.name;
    xg_log_start("xengpu-agent");
    options_parse(&o, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    int err = sigfd < 0 ? -errno : agent_init(&a, &o, sigfd);
    if (!err)
        err = agent_loop(&a);
    if (a.guest) {
        apps_lose(&a, XG_RING_LOST);
        apps_free(&a);
        a.guest->ops->close(a.guest);
    }
    apps_unlisten(&a, o.listen);
    return err ? 1 : 0;
}
