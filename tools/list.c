/* xengpu list, xengpu types. */
#include "tools/tool.h"

#include <stdio.h>
#include <string.h>

static const char *device_text(json_t *p, const char *api, const char *key)
{
    char waiting[32];
    json_t *d = json_object_get(p, api);
    snprintf(waiting, sizeof(waiting), "%s_waiting", api);
    return json_is_object(d)          ? answer_text(d, key)
           : *answer_text(p, waiting) ? answer_text(p, waiting)
                                      : "none";
}

static void print_pgpus(json_t *list)
{
    static const char *const headings[] = {"PGPU", ">GUESTS", "POLICY", "OPENGL", "CUDA"};
    struct table *t = table_new(headings, XG_ARRAY_LEN(headings));
    size_t i;
    json_t *p;
    json_array_foreach(list, i, p)
    {
        table_cell(t, "%s", answer_text(p, "name"));
        table_cell(t, "%d", (int)answer_number(p, "guests"));
        table_cell(t, "%s", answer_text(p, "policy"));
        table_cell(t, "%s", device_text(p, "gl", "renderer"));
        table_cell(t, "%s", device_text(p, "cuda", "name"));
    }
    table_print(t);
}

/* A number of frames or guests; "-" for 0, no limit. */
static const char *limit_text(uint64_t n)
{
    static char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
    return n ? text : "-";
}

static void print_guests(json_t *list)
{
    static const char *const headings[] = {
        "GUEST",        "TYPE",    "PGPU",   ">WEIGHT",      ">SHARE", ">FPS LIMIT",   "STATE",
        ">DEVICE TIME", ">MEMORY", ">LIMIT", ">HOST MEMORY", ">LIMIT", ">APPLICATIONS"};
    struct table *t = table_new(headings, XG_ARRAY_LEN(headings));
    size_t i;
    json_t *g;
    json_array_foreach(list, i, g)
    {
        table_cell(t, "%s", answer_text(g, "name"));
        table_cell(t, "%s", answer_text(g, "type"));
        table_cell(t, "%s", answer_text(g, "pgpu"));
        table_cell(t, "%d", (int)answer_number(g, "weight"));
        table_cell(t, "%.0f %%", 100 * json_number_value(json_object_get(g, "share")));
        table_cell(t, "%s", limit_text(answer_number(g, "fps_limit")));
        table_cell(t, "%s", answer_text(g, "state"));
        table_cell(t, "%s", text_seconds(answer_number(g, "device_time_ns")));
        table_cell(t, "%s", text_bytes(answer_number(g, "memory_bytes")));
        table_cell(t, "%s", text_bytes(answer_number(g, "memory_limit")));
        table_cell(t, "%s", text_bytes(answer_number(g, "host_memory_bytes")));
        table_cell(t, "%s", text_bytes(answer_number(g, "host_memory_limit")));
        table_cell(t, "%zu", json_array_size(json_object_get(g, "channels")));
    }
    table_print(t);
}

static void print_channels(json_t *guests)
{
    static const char *const headings[] = {"GUEST",     "APPLICATION", ">PROCESS", ">WORKER",
                                           ">AGE",      ">COMMANDS",   ">CALLS",   ">FRAMES",
                                           ">LAUNCHES", ">MEMORY"};
    struct table *t = NULL;
    size_t i, k;
    json_t *g, *c;
    json_array_foreach(guests, i, g)
    {
        json_array_foreach(json_object_get(g, "channels"), k, c)
        {
            json_t *n = json_object_get(c, "counters");
            if (!t)
                t = table_new(headings, XG_ARRAY_LEN(headings));
            table_cell(t, "%s", answer_text(g, "name"));
            table_cell(t, "%s", answer_text(c, "command"));
            table_cell(t, "%d", (int)answer_number(c, "pid"));
            table_cell(t, "%d", (int)answer_number(c, "worker"));
            table_cell(t, "%s", text_seconds(answer_number(c, "age_ns")));
            table_cell(t, "%lld", (long long)answer_number(n, "commands"));
            table_cell(t, "%lld", (long long)answer_number(n, "calls"));
            table_cell(t, "%lld", (long long)answer_number(n, "frames"));
            table_cell(t, "%lld", (long long)answer_number(n, "launches"));
            table_cell(t, "%s", text_bytes(answer_number(c, "memory_bytes")));
        }
    }
    if (!t)
        return;
    putchar('\n');
    table_print(t);
}

static void print_list(json_t *j)
{
    json_t *guests = json_object_get(j, "guests");
    print_pgpus(json_object_get(j, "pgpus"));
    putchar('\n');
    if (json_array_size(guests))
        print_guests(guests);
    else
        puts("no guests; 'xengpu run' and 'xengpu attach' make some");
    print_channels(guests);
}

static int list_run(struct xg_tool *t, int argc, char **argv)
{
    if (tool_options(t, &xg_command_list, argc, argv, NULL, NULL) > 0) {
        tool_error("list: takes no arguments");
        return 2;
    }
    json_t *j = daemon_ask(t, json_pack("{s:s}", "cmd", "list"));
    if (!j)
        return 1;
    if (t->json)
        answer_print(j);
    else
        print_list(j);
    json_decref(j);
    return 0;
}

static void print_types(json_t *list)
{
    static const char *const headings[] = {"TYPE",       ">WEIGHT",        ">MEMORY", ">CAP",
                                           ">FPS LIMIT", ">MAX INSTANCES", ">GUESTS"};
    struct table *t = table_new(headings, XG_ARRAY_LEN(headings));
    size_t i;
    json_t *p;
    json_array_foreach(list, i, p)
    {
        table_cell(t, "%s", answer_text(p, "name"));
        table_cell(t, "%d", (int)answer_number(p, "weight"));
        table_cell(t, "%s", text_bytes(answer_number(p, "memory_bytes")));
        table_cell(t, "%d %%", (int)answer_number(p, "cap"));
        table_cell(t, "%s", limit_text(answer_number(p, "fps_limit")));
        table_cell(t, "%s", limit_text(answer_number(p, "max_instances")));
        table_cell(t, "%d", (int)answer_number(p, "guests"));
    }
    table_print(t);
}

static int types_run(struct xg_tool *t, int argc, char **argv)
{
    if (tool_options(t, &xg_command_types, argc, argv, NULL, NULL) > 0) {
        tool_error("types: takes no arguments");
        return 2;
    }
    json_t *j = daemon_ask(t, json_pack("{s:s}", "cmd", "types"));
    if (!j)
        return 1;
    if (t->json)
        answer_print(j);
    else
        print_types(json_object_get(j, "types"));
    json_decref(j);
    return 0;
}

const struct xg_command xg_command_list = {
    .name = "list",
    .arguments = "[--json]",
    .summary = "shows devices, guests and their applications",
    .help = "\n  --json            as JSON; docs/xengpu.md describes the fields\n",
    .run = list_run,
    .json = true,
};

const struct xg_command xg_command_types = {
    .name = "types",
    .arguments = "[--json]",
    .summary = "shows the types that a guest can have",
    .help = "\nTypes are made in the daemon's configuration file.\n\n  --json            as JSON\n",
    .run = types_run,
    .json = true,
};
