/* Reads the configuration file: sections [daemon], [pgpu NAME], [type NAME], [guest NAME]. What is
 * unknown, given twice or impossible is an error, with file and line. */
#include "backend/broker/config.h"
#include "backend/broker/options.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYS_MAX   16u
#define ERRORS_MAX 20u
/* Limits of a file: reading it must not take so long that guests notice. */
#define FILE_MAX     (1u << 20)
#define SECTIONS_MAX 4096u
#define NO_MEMORY    "there is no memory to read it"
#define SECTIONS     "sections are [daemon], [pgpu NAME], [type NAME] and [guest NAME]"

enum section_kind {
    SECTION_NONE,
    SECTION_BAD,
    SECTION_DAEMON,
    SECTION_PGPU,
    SECTION_TYPE,
    SECTION_GUEST
};

/* The line of a section, which may be there only once, or of a name, which must be known. */
struct mention {
    struct mention *next;
    enum section_kind kind;
    char name[XG_NAME_MAX];
    int line;
};

struct loading {
    const char *path;
    FILE *file, *errors;
    int line;
    unsigned failed, section_count;
    bool memory_short; /* some of the file was not kept */
    struct xg_config *config;
    struct mention *sections, *references;
    enum section_kind kind; /* of the section that is being read */
    char title[XG_NAME_MAX + 16];
    void *object;
    struct {
        char name[64];
        int line;
    } key[KEYS_MAX];
    unsigned keys;
};

static void error_add(struct loading *l, int line, const char *fmt, ...) XG_PRINTF(3, 4);
static void error_add(struct loading *l, int line, const char *fmt, ...)
{
    va_list ap;
    if (l->failed++ >= ERRORS_MAX)
        return;
    fprintf(l->errors, "%s", l->path);
    if (line)
        fprintf(l->errors, ":%d", line);
    fputs(": ", l->errors);
    va_start(ap, fmt);
    vfprintf(l->errors, fmt, ap);
    va_end(ap);
    fputc('\n', l->errors);
}

static void *object_new(struct loading *l, size_t size)
{
    void *p = calloc(1, size);
    if (!p && !l->memory_short)
        error_add(l, 0, NO_MEMORY);
    l->memory_short |= !p;
    return p;
}

/* --- what there is in it ---------------------------------------------------------------------- */

static struct xg_pgpu_config *pgpu_add(struct loading *l, const char *name)
{
    struct xg_pgpu_config *p = object_new(l, sizeof(*p));
    if (!p)
        return NULL;
    snprintf(p->name, sizeof(p->name), "%s", name);
    strcpy(p->cuda, "auto");
    strcpy(p->gl, "auto");
    XG_APPEND(l->config->pgpus, p);
    return p;
}

static struct xg_type *type_add(struct loading *l, const char *name)
{
    struct xg_type *t = object_new(l, sizeof(*t));
    if (!t)
        return NULL;
    snprintf(t->name, sizeof(t->name), "%s", name);
    t->settings.policy = (struct xg_policy){.weight = XG_WEIGHT_DEFAULT,
                                            .cap = XG_CAP_MAX,
                                            .frames = XG_FRAMES_ANY,
                                            .host_memory = XG_HOST_MEMORY_AUTO};
    XG_APPEND(l->config->types, t);
    return t;
}

static struct xg_guest_config *guest_add(struct loading *l, const char *name)
{
    struct xg_guest_config *g = object_new(l, sizeof(*g));
    if (!g)
        return NULL;
    snprintf(g->name, sizeof(g->name), "%s", name);
    g->settings = XG_SETTINGS_NONE;
    XG_APPEND(l->config->guests, g);
    return g;
}

void xg_config_free(struct xg_config *c)
{
    for (struct xg_pgpu_config *p; (p = c->pgpus);) {
        c->pgpus = p->next;
        free(p);
    }
    for (struct xg_type *t; (t = c->types);) {
        c->types = t->next;
        free(t);
    }
    for (struct xg_guest_config *g; (g = c->guests);) {
        c->guests = g->next;
        free(g);
    }
}

static void mention_add(struct loading *l, struct mention **list, enum section_kind kind,
                        const char *name)
{
    struct mention *m = object_new(l, sizeof(*m));
    if (!m)
        return;
    m->kind = kind;
    m->line = l->line;
    snprintf(m->name, sizeof(m->name), "%s", name);
    XG_APPEND(*list, m);
}

static const struct mention *mention_find(const struct mention *m, enum section_kind kind,
                                          const char *name)
{
    while (m && (m->kind != kind || strcmp(m->name, name)))
        m = m->next;
    return m;
}

static void mentions_free(struct mention *m)
{
    for (struct mention *next; m; m = next) {
        next = m->next;
        free(m);
    }
}

/* --- keys ------------------------------------------------------------------------------------- */

/* Whether `value` is an absolute path of a file of this kind that we may read. */
static bool path_good(const char *value, mode_t kind, struct xg_why *why)
{
    struct stat st;
    if (value[0] != '/')
        xg_why_set(why, "not an absolute path");
    else if (stat(value, &st) || access(value, R_OK))
        xg_why_set(why, "%s", strerror(errno));
    else if ((st.st_mode & S_IFMT) != kind)
        xg_why_set(why, "not a %s", kind == S_IFCHR ? "device node" : "file");
    else
        return true;
    return false;
}

static bool one_of(const char *value, const char *a, const char *b)
{
    return !strcmp(value, "auto") || !strcmp(value, a) || !strcmp(value, b);
}

const char *xg_policy_name(enum xg_sched_policy policy)
{
    static const char *const names[] = {"best-effort", "equal", "fixed"};
    return names[policy];
}

static int policy_take(struct xg_sharing *s, const char *value, struct xg_why *why)
{
    for (enum xg_sched_policy p = XG_POLICY_BEST_EFFORT; p <= XG_POLICY_FIXED; p++)
        if (!strcmp(value, xg_policy_name(p))) {
            s->policy = p;
            return 0;
        }
    return xg_refuse(why, -EINVAL, "neither best-effort, equal nor fixed");
}

static int preempt_take(struct xg_sharing *s, const char *value, struct xg_why *why)
{
    bool yes;
    int err = xg_yesno_take(&yes, value, why);
    if (!err)
        s->no_preempt = !yes;
    return err;
}

/* -ENOENT: not a key of sharing. */
static int sharing_key_take(struct xg_sharing *s, const char *key, const char *value,
                            struct xg_why *why)
{
    static const struct {
        const char *name;
        unsigned min, max;
    } numbers[] = {{"quantum-us", XG_QUANTUM_US_MIN, XG_QUANTUM_US_MAX},
                   {"average-ms", 1, 60000},
                   {"max-instances", 1, XG_INSTANCES_MAX}};
    uint64_t v;
    int err = -ENOENT;
    if (!strcmp(key, "policy"))
        return policy_take(s, value, why);
    if (!strcmp(key, "preempt"))
        return preempt_take(s, value, why);
    for (unsigned i = 0; i < XG_ARRAY_LEN(numbers) && err == -ENOENT; i++) {
        if (strcmp(key, numbers[i].name))
            continue;
        err = xg_number_take(&v, value, numbers[i].min, numbers[i].max, why);
        if (!err && i == 0)
            s->quantum_ns = v * 1000;
        else if (!err && i == 1)
            s->average_ns = v * 1000000;
        else if (!err)
            s->instances = (uint32_t)v;
    }
    return err;
}

static int pgpu_key_take(struct xg_pgpu_config *p, const char *key, const char *value,
                         struct xg_why *why)
{
    uint64_t v;
    char *field = !strcmp(key, "cuda")         ? p->cuda
                  : !strcmp(key, "gl")         ? p->gl
                  : !strcmp(key, "egl-vendor") ? p->egl_vendor
                                               : NULL;
    if (!strcmp(key, "cuda-device")) {
        int err = xg_number_take(&v, value, 0, 255, why);
        if (!err)
            p->cuda_ordinal = (int)v;
        return err;
    }
    if (!field) {
        int err = sharing_key_take(&p->sharing, key, value, why);
        if (err == -ENOENT)
            xg_why_set(why, "there is no such key; known are cuda, cuda-device, gl, egl-vendor, "
                            "policy, quantum-us, average-ms, max-instances, preempt");
        return err;
    }
    if (strlen(value) >= sizeof(p->cuda))
        return xg_refuse(why, -EINVAL, "longer than %zu bytes", sizeof(p->cuda) - 1);
    strcpy(field, value);
    if (field == p->cuda && !strchr(value, '/')) {
        xg_why_set(why, "neither auto, softcuda, none nor the absolute path of a libcuda.so.1");
        return one_of(value, "softcuda", "none") ? 0 : -EINVAL;
    }
    if (field == p->gl && !strchr(value, '/')) {
        xg_why_set(why,
                   "neither auto, surfaceless, none, the number of an EGL device nor the absolute "
                   "path of a DRM node");
        return one_of(value, "surfaceless", "none") || !xg_number_parse(value, 0, 255, &v)
                   ? 0
                   : -EINVAL;
    }
    return path_good(value, field == p->gl ? S_IFCHR : S_IFREG, why) ? 0 : -EINVAL;
}

static int guest_key_take(struct loading *l, const char *key, const char *value, struct xg_why *why)
{
    struct xg_guest_config *g = l->object;
    int err = xg_key_take(&g->settings, XG_IN_GUEST, key, value, why);
    if (!err && l->config->options.xen &&
        (g->settings.rings || g->settings.arena_mib || g->settings.user))
        return xg_refuse(
            why, -EINVAL,
            "for local mode only; on Xen the guest's xengpu-agent has an option for it");
    if (!err && !strcmp(key, "type"))
        mention_add(l, &l->references, SECTION_TYPE, value);
    if (!err && !strcmp(key, "pgpu"))
        mention_add(l, &l->references, SECTION_PGPU, value);
    return err;
}

static int section_key_take(struct loading *l, const char *key, const char *value,
                            struct xg_why *why)
{
    struct xg_type *t = l->object;
    switch (l->kind) {
    case SECTION_DAEMON: return xg_option_take(&l->config->options, key, value, why);
    case SECTION_PGPU: return pgpu_key_take(l->object, key, value, why);
    case SECTION_TYPE: return xg_key_take(&t->settings, XG_IN_TYPE, key, value, why);
    case SECTION_GUEST: return guest_key_take(l, key, value, why);
    default: return 0;
    }
}

static bool key_first(struct loading *l, const char *key)
{
    for (unsigned i = 0; i < l->keys; i++)
        if (!strcmp(l->key[i].name, key)) {
            error_add(l, l->line, "'%s' is given twice in %s, first in line %d", key, l->title,
                      l->key[i].line);
            return false;
        }
    if (l->keys < KEYS_MAX) {
        snprintf(l->key[l->keys].name, sizeof(l->key[0].name), "%s", key);
        l->key[l->keys++].line = l->line;
    }
    return true;
}

static int key_take(void *arg, const char *section, const char *key, const char *value)
{
    struct loading *l = arg;
    struct xg_why why = {0};
    (void)section; /* libinih cuts it at 49 bytes: section_begin has it */
    if (l->kind == SECTION_BAD)
        return 1;
    if (l->kind == SECTION_NONE) {
        error_add(l, l->line, "'%s' is before the first section; " SECTIONS, key);
        return 1;
    }
    if (!key_first(l, key))
        return 1;
    int err = section_key_take(l, key, value, &why);
    if (err == -ENOENT)
        error_add(l, l->line, "unknown key '%s' in %s%s%s", key, l->title, why.text[0] ? ": " : "",
                  why.text);
    else if (err)
        error_add(l, l->line, "%s = %s: %s", key, value, why.text);
    return 1;
}

/* --- sections --------------------------------------------------------------------------------- */

static char *text_trim(char *text)
{
    char *end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1]))
        *--end = 0;
    while (isspace((unsigned char)*text))
        text++;
    return text;
}

static enum section_kind section_kind(const char *word)
{
    return !strcmp(word, "daemon")  ? SECTION_DAEMON
           : !strcmp(word, "pgpu")  ? SECTION_PGPU
           : !strcmp(word, "type")  ? SECTION_TYPE
           : !strcmp(word, "guest") ? SECTION_GUEST
                                    : SECTION_BAD;
}

static void section_make(struct loading *l, enum section_kind kind, const char *name)
{
    l->kind = kind;
    if (++l->section_count > SECTIONS_MAX) {
        error_add(l, l->line, "more than %u sections", SECTIONS_MAX);
        return;
    }
    if (kind == SECTION_PGPU)
        l->object = pgpu_add(l, name);
    else if (kind == SECTION_TYPE)
        l->object = type_add(l, name);
    else if (kind == SECTION_GUEST)
        l->object = guest_add(l, name);
    mention_add(l, &l->sections, kind, name);
    if (l->memory_short)
        l->kind = SECTION_BAD;
}

/* Begins a section, such as "[guest web]". libinih does not report a section without keys, and cuts
 * long names. */
static void section_begin(struct loading *l, char *text)
{
    char *end = strchr(text, ']');
    char *rest = end ? text_trim(end + 1) : NULL;
    l->kind = SECTION_BAD; /* if the section is wrong, there are no errors about its keys */
    l->keys = 0;
    if (!end || (*rest && *rest != ';' && *rest != '#')) {
        error_add(l, l->line, "not a line of the form '[section]'");
        return;
    }
    *end = 0;
    char *word = text_trim(text + 1), *space = word + strcspn(word, " \t"),
         *name = text_trim(space);
    snprintf(l->title, sizeof(l->title), "[%.*s%s%s]", (int)(space - word), word, *name ? " " : "",
             name);
    if (*space)
        *space = 0;
    enum section_kind kind = section_kind(word);
    if (kind == SECTION_BAD || (kind == SECTION_DAEMON) != !*name) {
        error_add(l, l->line, "%s: " SECTIONS, l->title);
        return;
    }
    if (*name && !xg_name_valid(name)) {
        error_add(l, l->line, "%s: a name has " XG_NAME_RULE, l->title);
        return;
    }
    const struct mention *first = mention_find(l->sections, kind, name);
    if (first)
        error_add(l, l->line, "%s is there twice, first in line %d", l->title, first->line);
    else
        section_make(l, kind, name);
}

/* --- lines ------------------------------------------------------------------------------------ */

static bool line_whole(struct loading *l, const char *text)
{
    if (strchr(text, '\n') || feof(l->file))
        return true;
    for (int c; (c = fgetc(l->file)) != EOF && c != '\n';)
        ;
    return false;
}

/* Reads lines for libinih, which knows neither a line's number nor that a line was cut. The space
 * before a line is removed: libinih takes an indented line for more of the value above. */
static char *line_read(char *text, int size, void *arg)
{
    struct loading *l = arg;
    if (l->section_count > SECTIONS_MAX || !fgets(text, size, l->file))
        return NULL;
    l->line++;
    bool whole = line_whole(l, text), mark = l->line == 1 && !strncmp(text, "\xEF\xBB\xBF", 3);
    char *start = text_trim(text + (mark ? 3 : 0));
    if (!whole)
        error_add(l, l->line, "the line is longer than %d bytes, or has a byte 0 in it", size - 2);
    else if (*start == '[')
        section_begin(l, start);
    else if (*start && !strchr(";#", *start) && !start[strcspn(start, "=:")])
        error_add(l, l->line, "not a line of the form 'key = value'");
    else {
        memmove(text, start, strlen(start) + 1);
        return text;
    }
    text[0] = 0;
    return text;
}

/* --- the whole -------------------------------------------------------------------------------- */

static void references_check(struct loading *l)
{
    const char *kind;
    for (const struct mention *r = l->references; r; r = r->next) {
        bool found = r->kind == SECTION_TYPE ? XG_NAMED(l->config->types, r->name) != NULL
                                             : XG_NAMED(l->config->pgpus, r->name) != NULL;
        kind = r->kind == SECTION_TYPE ? "type" : "pgpu";
        if (!found)
            error_add(l, r->line, "%s = %s: there is no [%s %s]", kind, r->name, kind, r->name);
    }
}

/* With `policy = fixed` the number of parts must be known. */
static void policies_check(struct loading *l)
{
    for (const struct xg_pgpu_config *p = l->config->pgpus; p; p = p->next)
        if (p->sharing.policy == XG_POLICY_FIXED && !p->sharing.instances)
            error_add(l, mention_find(l->sections, SECTION_PGPU, p->name)->line,
                      "[pgpu %s]: policy = fixed needs max-instances, the number of parts",
                      p->name);
}

/* Adds what exists even if the file does not name it. */
static void defaults_add(struct loading *l)
{
    if (!XG_NAMED(l->config->types, "default"))
        type_add(l, "default");
    if (!l->config->pgpus)
        pgpu_add(l, "gpu0");
}

/* Only a regular file: reading a FIFO would wait for a writer, and a device may never end. */
static FILE *file_open(struct loading *l)
{
    struct stat st;
    FILE *f = NULL;
    int fd = open(l->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        error_add(l, 0, "%s", strerror(errno));
    else if (S_ISDIR(st.st_mode))
        error_add(l, 0, "%s", strerror(EISDIR));
    else if (!S_ISREG(st.st_mode))
        error_add(l, 0, "not a regular file");
    else if (st.st_size > FILE_MAX)
        error_add(l, 0, "longer than %u bytes", FILE_MAX);
    else if (!(f = fdopen(fd, "r")))
        error_add(l, 0, NO_MEMORY);
    if (!f && fd >= 0)
        close(fd);
    return f;
}

static void file_read(struct loading *l)
{
    l->file = file_open(l);
    if (!l->file)
        return;
    int line = ini_parse_stream(line_read, l, key_take, l);
    if (ferror(l->file))
        error_add(l, 0, "%s", strerror(errno));
    else if (line)
        error_add(l, line > 0 ? line : 0, "not a line of the form 'key = value'");
    fclose(l->file);
}

int xg_config_read(const char *path, const struct xg_options *base, struct xg_config *out,
                   char **errors)
{
    size_t size;
    struct loading l = {.path = path, .config = out};
    *out = (struct xg_config){.options = *base};
    *errors = NULL;
    l.errors = open_memstream(errors, &size);
    if (!l.errors)
        return -ENOMEM;
    if (path)
        file_read(&l);
    defaults_add(&l);
    if (!l.memory_short) {
        references_check(&l);
        policies_check(&l);
    }
    if (l.failed > ERRORS_MAX)
        fprintf(l.errors, "%s: and %u more errors\n", path, l.failed - ERRORS_MAX);
    fclose(l.errors);
    mentions_free(l.sections);
    mentions_free(l.references);
    /* The command line counts more than the file. */
    if (base->socket_dir[0])
        strcpy(out->options.socket_dir, base->socket_dir);
    out->options.sandbox &= base->sandbox;
    if (!l.failed) {
        free(*errors);
        *errors = NULL;
        return 0;
    }
    xg_config_free(out);
    return -EINVAL;
}
