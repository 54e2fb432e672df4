/* xengpud: the daemon. */
#include "backend/broker/channel.h"
#include "backend/broker/domains.h"
#include "backend/broker/guest.h"
#include "backend/broker/host.h"
#include "backend/broker/look.h"
#include "backend/broker/operator.h"
#include "backend/broker/options.h"
#include "backend/broker/pgpu.h"
#include "backend/broker/reload.h"
#include "backend/broker/spawner.h"

#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct daemon {
    struct xg_broker broker;
    struct xg_source signals;
    struct xg_timer stop_limit, stop_check;
};

static const char usage[] =
    "usage: xengpud --local [--socket-dir DIR] [--config FILE]\n"
    "       xengpud --xen [--socket-dir DIR] [--config FILE]\n"
    "\n"
    "Shares this machine's GPUs among guests.\n"
    "\n"
    "  --local           guests are processes and containers of this machine\n"
    "  --xen             guests are Xen domains; run as root in Dom0 or in a driver domain\n"
    "  --socket-dir DIR  where the sockets are (default /run/xengpu for root, "
    "$XDG_RUNTIME_DIR/xengpu otherwise)\n"
    "  --config FILE     see xengpud.conf.example (default /etc/xengpu/xengpud.conf where it "
    "exists)\n"
    "  --no-sandbox      workers keep their rights; for debugging\n"
    "  --sandbox=report  the same, and the log says what the sandbox would refuse\n"
    "  --test-mode       workers serve the commands that only tests use\n"
    "  --version         says which release this is\n"
    "\n"
    "The command 'xengpu' talks to it: xengpu list, xengpu run -- CMD, xengpu --help.\n";

static void options_parse(struct xg_options *o, int argc, char **argv, const char **config)
{
    static const struct option known[] = {{"local", 0, 0, 'l'},      {"xen", 0, 0, 'x'},
                                          {"socket-dir", 1, 0, 's'}, {"config", 1, 0, 'c'},
                                          {"no-sandbox", 0, 0, 'n'}, {"sandbox", 1, 0, 'S'},
                                          {"test-mode", 0, 0, 't'},  {"help", 0, 0, 'h'},
                                          {"version", 0, 0, 'v'},    {0}};
    struct xg_why why;
    bool local = false;
    for (int c; (c = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
        switch (c) {
        case 'l': local = true; break;
        case 'x': o->xen = true; break;
        case 's':
            if (strlen(optarg) >= sizeof(o->socket_dir) - 1 || !*optarg) {
                fprintf(
                    stderr,
                    "xengpud: --socket-dir: the path must have 1 to %zu bytes, because the names "
                    "of sockets must be short\n",
                    sizeof(o->socket_dir) - 2);
                exit(2);
            }
            strcpy(o->socket_dir, optarg);
            break;
        case 'c': *config = optarg; break;
        case 'n': o->sandbox = XG_SANDBOX_NO; break;
        case 'S':
            if (xg_sandbox_take(&o->sandbox, optarg, &why)) {
                fprintf(stderr, "xengpud: --sandbox: %s\n", why.text);
                exit(2);
            }
            break;
        case 't': o->test_mode = true; break;
        case 'h': fputs(usage, stdout); exit(0);
        case 'v': puts("xengpud " XG_VERSION_TEXT); exit(0);
        default: fputs("try 'xengpud --help'\n", stderr); exit(2);
        }
    }
    if (optind < argc || local == o->xen) {
        fputs(usage, stderr);
        exit(2);
    }
}

/* Finds our own files, which lie relative to this program: ../lib, ../bin. */
static int paths_find(struct xg_options *o)
{
    char self[PATH_MAX], real[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n < 0)
        return -errno;
    self[n] = 0;
    char *bin = dirname(self), *last = strrchr(bin, '/');
    if (!last ||
        (size_t)snprintf(o->agent, sizeof(o->agent), "%s/xengpu-agent", bin) >= sizeof(o->agent))
        return -ENAMETOOLONG;
    snprintf(real, sizeof(real), "%.*s/lib", (int)(last - bin), bin);
    if (strlen(real) >= sizeof(o->library_dir))
        return -ENAMETOOLONG;
    strcpy(o->library_dir, real);
    return 0;
}

#define USERS_BASE 1900000000u /* above the numbers that systemd and container managers use */

/* Chooses a user for agents, and a range of user numbers for workers, one for each guest, if this
 * user namespace has them. */
static void users_choose(struct xg_options *o)
{
    if (geteuid() != 0)
        return;
    const struct passwd *nobody = getpwnam("nobody");
    if (nobody && xg_users_mapped(nobody->pw_uid, 1))
        strcpy(o->agent_user, nobody->pw_name);
    if (xg_users_mapped(USERS_BASE, XG_GUESTS_MAX))
        o->uid_base = USERS_BASE;
}

/* Says that workers run as root, unless the configuration wants it (worker-uid-base = 0). */
static void users_warn(const struct xg_options *o)
{
    if (geteuid() == 0 && !o->uid_base && !xg_users_mapped(USERS_BASE, XG_GUESTS_MAX))
        xg_log_warning(NULL,
                       "this user namespace has no free user numbers: workers run as root without "
                       "root's rights; 'worker-uid-base' in [daemon] names a range");
}

/* Before the configuration is read for the first time: a SIGHUP while the daemon starts must not
 * end it. The signal waits. */
static void hangup_block(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

/* Removes what would make this process, or its workers, a guest of itself. */
static void environment_clear(void)
{
    static const char *const names[] = {"LD_PRELOAD", "XENGPU_SOCKET", "__GLX_VENDOR_LIBRARY_NAME",
                                        "__EGL_VENDOR_LIBRARY_FILENAMES",
                                        "__EGL_VENDOR_LIBRARY_DIRS"};
    for (unsigned i = 0; i < XG_ARRAY_LEN(names); i++)
        unsetenv(names[i]);
}

#define FILES_WANTED 65536u /* for a thousand guests with some applications each */

/* Raises the limit of open files, as root beyond the hard limit. Agents and workers inherit it. */
static void files_limit(void)
{
    struct rlimit r, more;
    if (getrlimit(RLIMIT_NOFILE, &r))
        return;
    more.rlim_cur = more.rlim_max = xg_max_u64(r.rlim_max, FILES_WANTED);
    if (setrlimit(RLIMIT_NOFILE, &more)) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

static void process_started(void *arg, uint64_t id, int pid, int pidfd)
{
    xg_worker_started(arg, id, pid, pidfd);
}

static void process_ended(void *arg, uint64_t id, int status, int error, uint64_t peak)
{
    if (!xg_guest_process_ended(arg, id, status, error, peak))
        xg_probe_ended(arg, id, status, error);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void stop_now(struct xg_timer *t)
{
    (void)t;
    xg_loop_stop();
}

static void stop_look(struct xg_timer *t)
{
    if (!xg_container_of(t, struct daemon, stop_check)->broker.guests)
        xg_loop_stop();
    else
        xg_timer_arm(t, 5000000, stop_look);
}

/* As 'xengpu reload'; the log has the outcome. */
static void config_reload(struct xg_broker *b)
{
    char *errors = NULL;
    json_decref(xg_config_reload(b, &errors));
    free(errors);
}

static void signal_readable(struct xg_source *s, uint32_t events)
{
    struct daemon *d = xg_container_of(s, struct daemon, signals);
    struct signalfd_siginfo info;
    (void)events;
    if (read(s->fd, &info, sizeof(info)) != sizeof(info))
        return;
    if (info.ssi_signo == SIGHUP) {
        config_reload(&d->broker);
        return;
    }
    if (d->broker.stopping) {
        xg_loop_stop();
        return;
    }
    xg_log(NULL, "ending");
    xg_guests_stop(&d->broker);
    xg_timer_arm(&d->stop_limit, 5000000000u, stop_now);
    xg_timer_arm(&d->stop_check, 0, stop_look);
}

static int signals_attach(struct xg_source *source)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : xg_loop_add(source, fd, EPOLLIN, signal_readable);
}

static int daemon_start(struct daemon *d)
{
    struct xg_broker *b = &d->broker;
    int err = xg_loop_init();
    if (!err)
        err = signals_attach(&d->signals);
    if (!err)
        err = xg_spawner_attach(process_started, process_ended, b);
    if (!err)
        err = xg_operator_start(b);
    if (!err && b->options.xen) {
        err = xg_domains_start(b);
        if (!err && xg_xen_own())
            xg_log(NULL,
                   "this is domain %u: guests get devices by 'xengpu attach --backend' in Dom0",
                   xg_xen_own());
    }
    if (!err)
        err = xg_pgpus_start(b);
    if (!err && b->options.xen)
        xg_domains_look(b);
    else if (!err)
        xg_guests_start(b);
    return err;
}

static void daemon_stop(struct xg_broker *b)
{
    xg_spawner_stop();
    for (struct xg_guest *g; (g = b->guests);) { /* left only if their end took too long */
        b->guests = g->next;
        g->front->ops->destroy(g->front, false);
        xg_host_guest_remove(g);
        xg_sched_guest_remove(g->sched);
        free(g);
    }
    xg_operator_stop(b);
    xg_pgpus_stop(b);
    xg_config_stop(b);
    xg_host_stop(b);
    if (b->options.xen)
        xg_xen_close();
}

int main(int argc, char **argv)
{
    static struct daemon d = {.broker.options = {.sandbox = XG_SANDBOX_YES,
                                                 .stuck_kill = true,
                                                 .cgroups = true,
                                                 .max_channels = XG_CHANNELS_MAX,
                                                 .probe_ns = 25000000000u}};
    struct xg_broker *b = &d.broker;
    struct xg_options *o = &b->options;
    const char *config = "";
    if (argc == 2 && !strcmp(argv[1], XG_WORKER_ARGUMENT))
        return xg_worker_run();
    hangup_block();
    xg_log_start("xengpud");
    options_parse(o, argc, argv, &config);
    environment_clear();
    signal(SIGPIPE, SIG_IGN);
    files_limit();
    users_choose(o);
    b->processors = xg_sched_processors();
    if (xg_config_start(b, config))
        return 2;
    users_warn(o);
    if (!o->socket_dir[0])
        xg_socket_dir_default(o->socket_dir, sizeof(o->socket_dir));
    if (!o->max_channel_pages) /* a domain has 32,768 grants for all of its devices */
        o->max_channel_pages = o->xen ? 65536 : XG_ARENA_PAGES_MAX;
    int err = paths_find(o);
    if (!err) {
        xg_host_start(b);
        err = xg_spawner_start(o->library_dir);
    }
    if (err) {
        xg_log_error(NULL, "cannot start: %s", strerror(-err));
        return 1;
    }
    err = daemon_start(&d);
    if (!err) {
        xg_log(NULL, "ready: %s mode, sockets in %s", o->xen ? "Xen" : "local", o->socket_dir);
        err = xg_loop_run();
        if (!err && !b->stopping)
            err = -EPIPE; /* the spawner died */
    }
    daemon_stop(b);
    return err ? 1 : 0;
}
