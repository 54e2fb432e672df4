/* xengpu: what people and scripts use. */
#include "tools/tool.h"

#include "protocol/version.h"
#include "settings/value.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct xg_command *const commands[] = {
    &xg_command_run,    &xg_command_list, &xg_command_types,  &xg_command_top,   &xg_command_attach,
    &xg_command_detach, &xg_command_set,  &xg_command_reload, &xg_command_check,
};

static char library_dir[PATH_MAX];

void tool_error(const char *fmt, ...)
{
    char *text, *line;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        abort();
    for (char *rest = text; (line = strsep(&rest, "\n"));)
        if (*line || line == text)
            fprintf(stderr, "xengpu: %s\n", line);
    free(text);
}

static void help_command(const struct xg_command *c)
{
    printf("usage: xengpu %s %s\n\n%s\n%s", c->name, c->arguments, c->summary, c->help);
    fputs("  --socket-dir DIR  where the daemon's sockets are (default /run/xengpu for root,\n"
          "                    $XDG_RUNTIME_DIR/xengpu otherwise)\n",
          stdout);
}

static void help_print(FILE *f)
{
    fputs("usage: xengpu COMMAND [arguments]\n\n", f);
    for (unsigned i = 0; i < XG_ARRAY_LEN(commands); i++)
        fprintf(f, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n'xengpu COMMAND --help' says more, 'xengpu --version' which release this is. The "
          "daemon is 'xengpud'.\n",
          f);
}

/* The exit status of a command that ends with `status`: not 0 if its output could not be written.
 */
static int output_end(int status)
{
    bool failed = ferror(stdout);
    if (!fflush(stdout) && !failed)
        return status;
    tool_error("standard output: %s", errno ? strerror(errno) : "could not be written");
    return status ? status : 1;
}

static int version_print(void)
{
    puts("xengpu " XG_VERSION_TEXT);
    return output_end(0);
}

static void set_socket_dir(struct xg_tool *t, const char *dir)
{
    if (!dir || !*dir || strlen(dir) >= sizeof(t->socket_dir)) {
        tool_error("--socket-dir: the path must have 1 to %zu bytes", sizeof(t->socket_dir) - 1);
        exit(2);
    }
    strcpy(t->socket_dir, dir);
    t->socket_dir_given = true;
}

/* Handles argv[i]; returns how many words it took, 0: not one of the common options. */
static int option_take(struct xg_tool *t, const struct xg_command *c, int i, int argc, char **argv)
{
    const char *o = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
    if (!strcmp(o, "--help") || !strcmp(o, "-h")) {
        help_command(c);
        exit(output_end(0));
    }
    if (!strcmp(o, "--version"))
        exit(version_print());
    if (c->json && !strcmp(o, "--json"))
        return t->json = true;
    if (!strncmp(o, "--socket-dir=", 13)) {
        set_socket_dir(t, o + 13);
        return 1;
    }
    if (!strcmp(o, "--socket-dir")) {
        set_socket_dir(t, value);
        return 2;
    }
    return 0;
}

int tool_options(struct xg_tool *t, const struct xg_command *c, int argc, char **argv,
                 int (*more)(void *arg, const char *option, const char *value), void *arg)
{
    int kept = 0;
    for (int i = 0; i < argc;) {
        if (!strcmp(argv[i], "--")) {
            while (++i < argc)
                argv[kept++] = argv[i];
            break;
        }
        if (argv[i][0] != '-' || !argv[i][1]) {
            argv[kept++] = argv[i++];
            if (c != &xg_command_run)
                continue;
            while (i < argc) /* the rest is the program's */
                argv[kept++] = argv[i++];
            break;
        }
        int taken = option_take(t, c, i, argc, argv);
        if (!taken && more)
            taken = more(arg, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
        if (!taken || i + taken > argc) {
            tool_error("%s: %s %s; see 'xengpu %s --help'", c->name,
                       taken ? "no value for" : "unknown option", argv[i], c->name);
            exit(2);
        }
        i += taken;
    }
    argv[kept] = NULL;
    return kept;
}

static void directories_find(struct xg_tool *t)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[n > 0 ? n : 0] = 0;
    char *slash = strrchr(self, '/');
    if (slash)
        *slash = 0;
    slash = strrchr(self, '/');
    snprintf(library_dir, sizeof(library_dir), "%.*s/lib", slash ? (int)(slash - self) : 0, self);
    t->library_dir = library_dir;
    xg_socket_dir_default(t->socket_dir, sizeof(t->socket_dir));
}

int main(int argc, char **argv)
{
    struct xg_tool t = {0};
    directories_find(&t);
    if (argc < 2) {
        help_print(stderr);
        return 2;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        help_print(stdout);
        return output_end(0);
    }
    if (!strcmp(argv[1], "--version"))
        return version_print();
    for (unsigned i = 0; i < XG_ARRAY_LEN(commands); i++)
        if (!strcmp(argv[1], commands[i]->name)) {
            t.command = argv[1];
            return output_end(commands[i]->run(&t, argc - 2, argv + 2));
        }
    tool_error("there is no command '%s'; see 'xengpu --help'", argv[1]);
    return 2;
}
