/* xengpu list, xengpu types. */
#include "tools/tool.h"

#include <stdio.h>
#include <string.h>

static const char *string_of(json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));
    return s ? s : "";
}

static uint64_t number_of(json_t *j, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(j, key));
}

static int print_json(json_t *j)
{
    json_dumpf(j, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(j);
    return 0;
}

static const char *device_text(json_t *p, const char *api, const char *key)
{
    char waiting[32];
    json_t *d = json_object_get(p, api);
    snprintf(waiting, sizeof(waiting), "%s_waiting", api);
    return json_is_object(d)        ? string_of(d, key)
           : *string_of(p, waiting) ? string_of(p, waiting)
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
        table_cell(t, "%s", string_of(p, "name"));
        table_cell(t, "%d", (int)number_of(p, "guests"));
        table_cell(t, "%s", string_of(p, "policy"));
        table_cell(t, "%s", device_text(p, "gl", "renderer"));
        table_cell(t, "%s", device_text(p, "cuda", "name"));
    }
    table_print(t);
}

/* A number of frames or guests; 0: any. */
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
        table_cell(t, "%s", string_of(g, "name"));
        table_cell(t, "%s", string_of(g, "type"));
        table_cell(t, "%s", string_of(g, "pgpu"));
        table_cell(t, "%d", (int)number_of(g, "weight"));
        table_cell(t, "%.0f %%", 100 * json_number_value(json_object_get(g, "share")));
        table_cell(t, "%s", limit_text(number_of(g, "fps_limit")));
        table_cell(t, "%s", string_of(g, "state"));
        table_cell(t, "%s", text_seconds(number_of(g, "device_time_ns")));
        table_cell(t, "%s", text_bytes(number_of(g, "memory_bytes")));
        table_cell(t, "%s", text_bytes(number_of(g, "memory_limit")));
        table_cell(t, "%s", text_bytes(number_of(g, "host_memory_bytes")));
        table_cell(t, "%s", text_bytes(number_of(g, "host_memory_limit")));
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
            table_cell(t, "%s", string_of(g, "name"));
            table_cell(t, "%s", string_of(c, "command"));
            table_cell(t, "%d", (int)number_of(c, "pid"));
            table_cell(t, "%d", (int)number_of(c, "worker"));
            table_cell(t, "%s", text_seconds(number_of(c, "age_ns")));
            table_cell(t, "%lld", (long long)number_of(n, "commands"));
            table_cell(t, "%lld", (long long)number_of(n, "calls"));
            table_cell(t, "%lld", (long long)number_of(n, "frames"));
            table_cell(t, "%lld", (long long)number_of(n, "launches"));
            table_cell(t, "%s", text_bytes(number_of(c, "memory_bytes")));
        }
    }
    if (!t)
        return;
    putchar('\n');
    table_print(t);
}

static int list(struct xg_tool *t, int argc, char **argv)
{
    if (tool_options(t, &xg_command_list, argc, argv, NULL, NULL) > 0) {
        tool_error("list: takes no arguments");
        return 2;
    }
    json_t *j = daemon_ask(t, json_pack("{s:s}", "cmd", "list"));
    if (!j)
        return 1;
    if (t->json)
        return print_json(j);
    print_pgpus(json_object_get(j, "pgpus"));
    putchar('\n');
    if (json_array_size(json_object_get(j, "guests")))
        print_guests(json_object_get(j, "guests"));
    else
        puts("no guests; 'xengpu run' and 'xengpu attach' make some");
    print_channels(json_object_get(j, "guests"));
    json_decref(j);
    return 0;
}

static int types(struct xg_tool *t, int argc, char **argv)
{
    static const char *const headings[] = {"TYPE",       ">WEIGHT",        ">MEMORY", ">CAP",
                                           ">FPS LIMIT", ">MAX INSTANCES", ">GUESTS"};
    size_t i;
    json_t *p;
    if (tool_options(t, &xg_command_types, argc, argv, NULL, NULL) > 0) {
        tool_error("types: takes no arguments");
        return 2;
    }
    json_t *j = daemon_ask(t, json_pack("{s:s}", "cmd", "types"));
    if (!j)
        return 1;
    if (t->json)
        return print_json(j);
    struct table *table = table_new(headings, XG_ARRAY_LEN(headings));
    json_array_foreach(json_object_get(j, "types"), i, p)
    {
        table_cell(table, "%s", string_of(p, "name"));
        table_cell(table, "%d", (int)number_of(p, "weight"));
        table_cell(table, "%s", text_bytes(number_of(p, "memory_bytes")));
        table_cell(table, "%d %%", (int)number_of(p, "cap"));
        table_cell(table, "%s", limit_text(number_of(p, "fps_limit")));
        table_cell(table, "%s", limit_text(number_of(p, "max_instances")));
        table_cell(table, "%d", (int)number_of(p, "guests"));
    }
    table_print(table);
    json_decref(j);
    return 0;
}

const struct xg_command xg_command_list = {
    .name = "list",
    .arguments = "[--json]",
    .summary = "shows devices, guests and their applications",
    .help = "\n  --json            as JSON; docs/xengpu.md describes the fields\n",
    .run = list,
    .json = true,
};

const struct xg_command xg_command_types = {
    .name = "types",
    .arguments = "[--json]",
    .summary = "shows the types that a guest can have",
    .help = "\nTypes are made in the daemon's configuration file.\n\n  --json            as JSON\n",
    .run = types,
    .json = true,
};
