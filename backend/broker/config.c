/* The configuration file: sections [daemon], [pgpu NAME], [type NAME], [guest NAME]. What is not
 * known is an error. */
#include "backend/broker/broker.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct loading {
    const char *path;
    FILE *file;
    int line;
    bool failed;
};

static int wrong(struct loading *l, int line, const char *fmt, ...) XG_PRINTF(3, 4);
static int wrong(struct loading *l, int line, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    fprintf(stderr, "xengpud: %s:%d: %s\n", l->path, line, text);
    l->failed = true;
    return 1;
}

int xg_size_parse(const char *text, uint64_t *bytes)
{
    char *end;
    errno = 0;
    uint64_t v = strtoull(text, &end, 10);
    unsigned shift = 0;
    if (errno || end == text || *text == '-')
        return -EINVAL;
    switch (toupper((unsigned char)*end)) {
    case 'K': shift = 10; break;
    case 'M': shift = 20; break;
    case 'G': shift = 30; break;
    case 'T': shift = 40; break;
    case 0: break;
    default: return -EINVAL;
    }
    if ((*end && end[1]) || v > UINT64_MAX >> 1 >> shift)
        return -EINVAL;
    *bytes = v << shift;
    return 0;
}

static bool number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return !errno && end != text && !*end && *text != '-' && *out >= min && *out <= max;
}

static bool boolean(const char *text, bool *out)
{
    *out = !strcmp(text, "yes");
    return *out || !strcmp(text, "no");
}

static bool text_fits(const char *text, char *out, size_t size)
{
    return (size_t)snprintf(out, size, "%s", text) < size;
}

static int take_daemon(struct loading *l, int line, const char *key, const char *value)
{
    struct xg_options *o = &xg_options;
    uint64_t v;
    bool good, known = true;
    if (!strcmp(key, "socket-dir"))
        good = o->socket_dir[0] || text_fits(value, o->socket_dir, sizeof(o->socket_dir));
    else if (!strcmp(key, "agent-user"))
        good = text_fits(value, o->agent_user, sizeof(o->agent_user));
    else if (!strcmp(key, "worker-uid-base"))
        good = number(value, 0, 0xfffff000u, &v), o->uid_base = (uint32_t)v;
    else if (!strcmp(key, "sandbox"))
        good = boolean(value, &o->sandbox);
    else if (!strcmp(key, "max-channels"))
        good = number(value, 1, XG_CHANNELS_MAX, &v), o->max_channels = (uint32_t)v;
    else if (!strcmp(key, "max-channel-memory"))
        good = !xg_size_parse(value, &v) && v >= 1 << 20, o->max_channel_pages = v >> XG_PAGE_SHIFT;
    else if (!strcmp(key, "quantum-us"))
        good = number(value, 100, 1000000, &v), o->sched.quantum_ns = v * 1000;
    else if (!strcmp(key, "probe-seconds"))
        good = number(value, 1, 3600, &v), o->probe_ns = v * 1000000000u;
    else if (!strcmp(key, "stuck-seconds"))
        good = number(value, 1, 86400, &v), o->sched.stuck_ns = v * 1000000000u;
    else if (!strcmp(key, "stuck-kill"))
        good = boolean(value, &o->stuck_kill);
    else
        good = known = false;
    if (!known)
        return wrong(l, line, "unknown key '%s' in [daemon]", key);
    return good ? 1 : wrong(l, line, "%s = %s: not a value for this key", key, value);
}

static int take_pgpu(struct loading *l, int line, const char *name, const char *key,
                     const char *value)
{
    struct xg_pgpu *p = xg_pgpu_find(name);
    uint64_t v;
    if (!p)
        p = xg_pgpu_add(name);
    if (!strcmp(key, "cuda")) {
        if (!text_fits(value, p->cuda, sizeof(p->cuda)) ||
            (strcmp(value, "auto") && strcmp(value, "softcuda") && strcmp(value, "none") &&
             value[0] != '/'))
            return wrong(l, line,
                         "cuda = %s: neither auto, softcuda, none nor the path of a libcuda.so.1",
                         value);
    } else if (!strcmp(key, "cuda-device")) {
        if (!number(value, 0, 255, &v))
            return wrong(l, line, "cuda-device = %s: not a device number", value);
        p->cuda_ordinal = (int)v;
    } else if (!strcmp(key, "gl")) {
        if (!text_fits(value, p->gl, sizeof(p->gl)) ||
            (strcmp(value, "auto") && strcmp(value, "surfaceless") && strcmp(value, "none") &&
             value[0] != '/' && !isdigit((unsigned char)value[0])))
            return wrong(l, line,
                         "gl = %s: neither auto, surfaceless, none, the number of an EGL device "
                         "nor the path "
                         "of a DRM node",
                         value);
    } else if (!strcmp(key, "egl-vendor")) {
        if (!text_fits(value, p->device.egl_vendor, sizeof(p->device.egl_vendor)))
            return wrong(l, line, "egl-vendor: too long");
    } else {
        return wrong(l, line, "unknown key '%s' in [pgpu %s]", key, name);
    }
    return 1;
}

static int take_type(struct loading *l, int line, const char *name, const char *key,
                     const char *value)
{
    struct xg_type *t = xg_type_find(name);
    uint64_t v;
    if (!t)
        t = xg_type_add(name);
    if (!strcmp(key, "weight")) {
        if (!number(value, XG_WEIGHT_MIN, XG_WEIGHT_MAX, &v))
            return wrong(l, line, "weight = %s: not a number from %u to %u", value, XG_WEIGHT_MIN,
                         XG_WEIGHT_MAX);
        t->weight = (uint32_t)v;
    } else if (!strcmp(key, "memory")) {
        if (xg_size_parse(value, &t->memory))
            return wrong(l, line, "memory = %s: not a size, such as 512M or 2G; 0: no limit",
                         value);
    } else {
        return wrong(l, line, "unknown key '%s' in [type %s]", key, name);
    }
    return 1;
}

struct xg_guest_config *xg_guest_config_find(const char *name)
{
    for (struct xg_guest_config *c = xg_guest_configs; c; c = c->next)
        if (!strcmp(c->name, name))
            return c;
    return NULL;
}

static struct xg_guest_config *guest_config_add(const char *name)
{
    struct xg_guest_config *c = calloc(1, sizeof(*c)), **p = &xg_guest_configs;
    if (!c)
        abort();
    strcpy(c->name, name);
    strcpy(c->type, "default");
    c->memory = UINT64_MAX;
    while (*p)
        p = &(*p)->next;
    return *p = c;
}

static int take_guest(struct loading *l, int line, const char *name, const char *key,
                      const char *value)
{
    struct xg_guest_config *c = xg_guest_config_find(name);
    uint64_t v;
    bool good;
    if (!c)
        c = guest_config_add(name);
    if (!strcmp(key, "type"))
        good = text_fits(value, c->type, sizeof(c->type));
    else if (!strcmp(key, "pgpu"))
        good = text_fits(value, c->pgpu, sizeof(c->pgpu));
    else if (!strcmp(key, "weight"))
        good = number(value, XG_WEIGHT_MIN, XG_WEIGHT_MAX, &v), c->weight = (uint32_t)v;
    else if (!strcmp(key, "memory"))
        good = !xg_size_parse(value, &c->memory);
    else if (!strcmp(key, "rings"))
        good = number(value, 1, XG_RINGS_MAX, &v), c->rings = (uint32_t)v;
    else if (!strcmp(key, "arena"))
        good = !xg_size_parse(value, &v) && v >> 20 >= 1 && v >> 20 <= XG_ARENA_PAGES_MAX >> 8,
        c->arena_mib = (uint32_t)(v >> 20);
    else
        return wrong(l, line, "unknown key '%s' in [guest %s]", key, name);
    return good ? 1 : wrong(l, line, "%s = %s: not a value for this key", key, value);
}

static int take(void *arg, const char *section, const char *key, const char *value)
{
    struct loading *l = arg;
    int line = l->line;
    const char *space = strchr(section, ' ');
    size_t kind = space ? (size_t)(space - section) : strlen(section);
    const char *name = space ? space + 1 : "";
    if (!key)
        return 1;
    if (!space && !strcmp(section, "daemon"))
        return take_daemon(l, line, key, value);
    if (!xg_name_valid(name))
        return wrong(l, line,
                     "[%s]: sections are [daemon], [pgpu NAME], [type NAME] and [guest NAME]",
                     section);
    if (!strncmp(section, "pgpu", kind) && kind == 4)
        return take_pgpu(l, line, name, key, value);
    if (!strncmp(section, "type", kind) && kind == 4)
        return take_type(l, line, name, key, value);
    if (!strncmp(section, "guest", kind) && kind == 5)
        return take_guest(l, line, name, key, value);
    return wrong(l, line, "[%s]: sections are [daemon], [pgpu NAME], [type NAME] and [guest NAME]",
                 section);
}

/* Debian's libinih does not say the line: whoever reads it counts. */
static char *line_read(char *text, int size, void *arg)
{
    struct loading *l = arg;
    l->line++;
    return fgets(text, size, l->file);
}

int xg_config_load(const char *path)
{
    struct loading l = {.path = path, .file = fopen(path, "re")};
    if (!l.file) {
        fprintf(stderr, "xengpud: %s: %s\n", path, strerror(errno));
        return -EINVAL;
    }
    int line = ini_parse_stream(line_read, &l, take, &l);
    if (ferror(l.file))
        wrong(&l, l.line, "%s", strerror(errno));
    fclose(l.file);
    if (line > 0)
        wrong(&l, line, "not a line of the form 'key = value'");
    for (struct xg_guest_config *c = xg_guest_configs; c; c = c->next) {
        if (strcmp(c->type, "default") && !xg_type_find(c->type))
            wrong(&l, 0, "guest %s: there is no [type %s]", c->name, c->type);
        if (c->pgpu[0] && !xg_pgpu_find(c->pgpu))
            wrong(&l, 0, "guest %s: there is no [pgpu %s]", c->name, c->pgpu);
    }
    return l.failed ? -EINVAL : 0;
}
