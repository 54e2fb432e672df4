/* xengpu top: who uses the devices now. */
#include "tools/tool.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
    double interval;
    long count; /* 0: until interrupted */
};

static volatile sig_atomic_t over;

static void on_signal(int number)
{
    (void)number;
    over = 1;
}

static int top_option(void *arg, const char *name, const char *value)
{
    struct options *o = arg;
    char *end;
    if (strcmp(name, "-n") && strcmp(name, "-d"))
        return 0;
    if (!value)
        return 2;
    bool count = name[1] == 'n';
    if (count)
        o->count = strtol(value, &end, 10);
    else
        o->interval = strtod(value, &end);
    bool good =
        count ? o->count > 0 : o->interval >= 0.1 && o->interval <= 3600; /* false for NaN */
    if (*end || end == value || !good) {
        tool_error("top: %s %s: not a number from %s", name, value, count ? "1" : "0.1 to 3600");
        exit(2);
    }
    return 2;
}

static json_t *guest_find(json_t *report, const char *name)
{
    size_t i;
    json_t *g;
    json_array_foreach(json_object_get(report, "guests"), i,
                       g) if (!strcmp(answer_text(g, "name"), name)) return g;
    return NULL;
}

static double number_of(json_t *j, const char *key)
{
    return (double)answer_number(j, key);
}

/* The sum of a counter over a guest's applications. */
static double counter_sum(json_t *guest, const char *key)
{
    double sum = 0;
    size_t i;
    json_t *c;
    json_array_foreach(guest ? json_object_get(guest, "channels") : NULL, i, c) sum +=
        number_of(json_object_get(c, "counters"), key);
    return sum;
}

static double counter_rate(json_t *now, json_t *before, const char *key, double seconds)
{
    double d = counter_sum(now, key) - counter_sum(before, key);
    return d > 0 ? d / seconds : 0;
}

/* Adds to each guest of a report what it did since the report before, per second. */
static void add_rates(json_t *now, json_t *before)
{
    double seconds = (number_of(now, "time_ns") - number_of(before, "time_ns")) / 1e9;
    size_t i;
    json_t *g;
    json_array_foreach(json_object_get(now, "guests"), i, g)
    {
        json_t *old = guest_find(before, answer_text(g, "name"));
        double used =
            (number_of(g, "device_time_ns") - number_of(old ? old : g, "device_time_ns")) / 1e9 /
            seconds;
        double waited = (number_of(g, "wait_time_ns") - number_of(old ? old : g, "wait_time_ns")) /
                        1e9 / seconds;
        json_object_set_new(g, "device_share", json_real(used));
        json_object_set_new(g, "wait_share", json_real(waited));
        json_object_set_new(g, "commands_per_s",
                            json_real(counter_rate(g, old, "commands", seconds)));
        json_object_set_new(g, "frames_per_s", json_real(counter_rate(g, old, "frames", seconds)));
        json_object_set_new(g, "launches_per_s",
                            json_real(counter_rate(g, old, "launches", seconds)));
    }
}

static double real_of(json_t *j, const char *key)
{
    return json_real_value(json_object_get(j, key));
}

static void print_table(json_t *report)
{
    static const char *const headings[] = {"GUEST",       "PGPU",      ">WEIGHT",
                                           ">DEVICE",     ">WAITS",    ">MEMORY",
                                           ">COMMANDS/S", ">FRAMES/S", ">LAUNCHES/S"};
    struct table *t = table_new(headings, XG_ARRAY_LEN(headings));
    size_t i;
    json_t *g;
    json_array_foreach(json_object_get(report, "guests"), i, g)
    {
        table_cell(t, "%s", answer_text(g, "name"));
        table_cell(t, "%s", answer_text(g, "pgpu"));
        table_cell(t, "%.0f", number_of(g, "weight"));
        table_cell(t, "%.1f %%", 100 * real_of(g, "device_share"));
        table_cell(t, "%.1f %%", 100 * real_of(g, "wait_share"));
        table_cell(t, "%s", text_bytes((uint64_t)number_of(g, "memory_bytes")));
        table_cell(t, "%.0f", real_of(g, "commands_per_s"));
        table_cell(t, "%.1f", real_of(g, "frames_per_s"));
        table_cell(t, "%.0f", real_of(g, "launches_per_s"));
    }
    table_print(t);
}

static json_t *report_ask(const struct xg_tool *t)
{
    return daemon_ask(t, json_pack("{s:s}", "cmd", "list"));
}

static int top_run(struct xg_tool *t, int argc, char **argv)
{
    struct options o = {.interval = 1};
    if (tool_options(t, &xg_command_top, argc, argv, top_option, &o) > 0) {
        tool_error("top: takes no arguments; see 'xengpu top --help'");
        return 2;
    }
    bool terminal = isatty(STDOUT_FILENO) && !t->json;
    json_t *before = report_ask(t);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    for (long i = 0; before && !over && (!o.count || i < o.count); i++) {
        poll(NULL, 0, (int)(o.interval * 1000));
        json_t *now = over ? NULL : report_ask(t);
        if (!now)
            break;
        add_rates(now, before);
        json_decref(before);
        before = now;
        if (terminal)
            fputs("\033[H\033[J", stdout);
        if (t->json) {
            json_dumpf(now, stdout, JSON_COMPACT);
            putchar('\n');
        } else {
            print_table(now);
        }
        if (fflush(stdout)) /* main reports it */
            break;
    }
    int status = before ? 0 : 1;
    json_decref(before);
    return status;
}

const struct xg_command xg_command_top = {
    .name = "top",
    .arguments = "[-d SECONDS] [-n TIMES] [--json]",
    .summary = "shows, again and again, who uses the devices",
    .help = "\n"
            "DEVICE is the part of the time in which the guest had the device, WAITS that in which "
            "it wanted and did not\n"
            "have it.\n"
            "\n"
            "  -d SECONDS        between two looks (default 1)\n"
            "  -n TIMES          then end (default: when interrupted)\n"
            "  --json            a line of JSON for each look: as 'xengpu list --json', and the "
            "rates\n",
    .run = top_run,
    .json = true,
};
