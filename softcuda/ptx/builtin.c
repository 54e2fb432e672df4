/* Functions that kernels call and PTX does not define: vprintf, malloc, free, __assertfail. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "protocol/base.h"
#include "softcuda/ptx/exec.h"

enum { MAX_TEXT = 4096, MAX_FORMAT = 2048, MAX_STRING = 1024 };

static pthread_mutex_t print_lock = PTHREAD_MUTEX_INITIALIZER;

static void text_print(struct warp *w, const char *text, size_t len)
{
    const struct sc_launch *l = w->block->job->launch;
    pthread_mutex_lock(&print_lock);
    if (l->print)
        l->print(l->print_opaque, text, len);
    else
        fwrite(text, 1, len, stdout);
    pthread_mutex_unlock(&print_lock);
}

static void text_complain(struct warp *w, const char *text, size_t len)
{
    const struct sc_launch *l = w->block->job->launch;
    pthread_mutex_lock(&print_lock);
    if (l->complain)
        l->complain(l->print_opaque, text, len);
    else
        fwrite(text, 1, len, stderr);
    pthread_mutex_unlock(&print_lock);
}

/* Reads a string of device memory; false: part of it is not accessible. */
static bool string_read(struct warp *w, uint32_t lane, uint64_t at, char *out, size_t size)
{
    enum sc_status st;
    for (size_t n = 0; n < size; n++) {
        const char *c = sc_translate(w, lane, at + n, 1, false, &st);
        if (!c)
            return false;
        out[n] = *c;
        if (!*c)
            return true;
    }
    out[size - 1] = 0;
    return true;
}

static bool arg_read(struct warp *w, uint32_t lane, uint64_t *at, uint32_t size, void *out)
{
    enum sc_status st;
    *at = xg_align_up(*at, size);
    const void *p = sc_translate(w, lane, *at, size, false, &st);
    if (!p)
        return false;
    memcpy(out, p, size);
    *at += size;
    return true;
}

struct text {
    char s[MAX_TEXT];
    size_t n;
};

static void text_put(struct text *t, const char *s, size_t n)
{
    if (n > sizeof(t->s) - t->n)
        n = sizeof(t->s) - t->n;
    memcpy(t->s + t->n, s, n);
    t->n += n;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
/* The value of an argument of 32 bits whose conversion has `h` letters h: "%hd" is a short. */
static uint64_t arg_narrow(uint32_t u, bool is_signed, unsigned h)
{
    if (h == 1)
        return is_signed ? (uint64_t)(int16_t)u : (uint16_t)u;
    if (h)
        return is_signed ? (uint64_t)(int8_t)u : (uint8_t)u;
    return is_signed ? (uint64_t)(int32_t)u : u;
}

/* One conversion: `flags` is the spec without length letters and `c`; wide: a 64-bit argument. */
static bool arg_format(struct warp *w, uint32_t lane, struct text *t, const char *flags, char c,
                       bool wide, unsigned h, uint64_t *args)
{
    char spec[48], out[MAX_STRING + 256], str[MAX_STRING] = "(null)";
    int n;
    if (strchr("feEgGaAF", c)) {
        double d;
        if (!arg_read(w, lane, args, 8, &d))
            return false;
        snprintf(spec, sizeof(spec), "%s%c", flags, c);
        n = snprintf(out, sizeof(out), spec, d);
    } else if (c == 's') {
        uint64_t a;
        if (!arg_read(w, lane, args, 8, &a) || (a && !string_read(w, lane, a, str, sizeof(str))))
            return false;
        snprintf(spec, sizeof(spec), "%ss", flags);
        n = snprintf(out, sizeof(out), spec, str);
    } else if (c == 'p') {
        uint64_t a;
        if (!arg_read(w, lane, args, 8, &a))
            return false;
        snprintf(str, sizeof(str), "0x%" PRIx64, a);
        snprintf(spec, sizeof(spec), "%ss", flags);
        n = snprintf(out, sizeof(out), spec, str);
    } else {
        uint64_t v = 0;
        uint32_t u = 0;
        if (wide ? !arg_read(w, lane, args, 8, &v) : !arg_read(w, lane, args, 4, &u))
            return false;
        if (!wide)
            v = arg_narrow(u, c == 'd' || c == 'i', h);
        snprintf(spec, sizeof(spec), "%s%s%c", flags,
                 c == 'c'           ? ""
                 : PRIu64[0] == 'l' ? "l"
                                    : "ll",
                 c);
        n = c == 'c' ? snprintf(out, sizeof(out), spec, (int)v)
                     : snprintf(out, sizeof(out), spec, v);
    }
    if (n > 0)
        text_put(t, out, (size_t)n < sizeof(out) ? (size_t)n : sizeof(out) - 1);
    return true;
}
#pragma GCC diagnostic pop

struct spec {
    char flags[32]; /* with width and precision */
    bool wide;      /* the argument has 64 bits */
    unsigned h;     /* how many letters h */
    unsigned args;  /* how many arguments each '*' took */
};

/* Makes flags for the host's printf, with a number for each '*'. False: an argument cannot be read.
 * *at becomes NULL if the spec is not valid. */
static bool flags_parse(struct warp *w, uint32_t lane, const char **at, struct spec *spec,
                        uint64_t *args)
{
    size_t n = 0, digits = 0, size = sizeof(spec->flags);
    char *flags = spec->flags;
    const char *p = *at;

    *spec = (struct spec){0};
    flags[n++] = '%';
    while (*p && strchr("-+ #0123456789.*hlLzjt", *p)) {
        if (*p == 'l' || *p == 'z' || *p == 'j' || *p == 't') {
            spec->wide = true;
        } else if (*p == 'h') {
            spec->h++;
        } else if (*p == '*') {
            int32_t v;
            if (!arg_read(w, lane, args, 4, &v))
                return false;
            spec->args++;
            v = v > 512 ? 512 : v < -512 ? -512 : v;
            n += (size_t)snprintf(flags + n, size - n, "%d", v);
        } else if (*p != 'L') {
            flags[n++] = *p;
        }
        digits = *p >= '0' && *p <= '9' ? digits + 1 : 0;
        if (n > size - 16 || digits > 3) { /* a field of 1,000 or more is not supported */
            *at = NULL;
            return true;
        }
        p++;
    }
    flags[n] = 0;
    *at = p;
    return true;
}

/* *taken: how many arguments were used, which is the result in the kernel. */
static bool lane_format(struct warp *w, uint32_t lane, const char *f, uint64_t args, struct text *t,
                        unsigned *taken)
{
    struct spec spec;

    *taken = 0;
    while (*f) {
        if (*f != '%') {
            size_t n = strcspn(f, "%");
            text_put(t, f, n);
            f += n;
            continue;
        }
        if (f[1] == '%') {
            text_put(t, "%", 1);
            f += 2;
            continue;
        }
        f++;
        if (!flags_parse(w, lane, &f, &spec, &args))
            return false;
        if (!f || !*f || !strchr("diouxXcspfeEgGaAF", *f))
            return true; /* an unknown conversion ends the text */
        if (!arg_format(w, lane, t, spec.flags, *f, spec.wide, spec.h, &args))
            return false;
        *taken += spec.args + 1;
        f++;
    }
    return true;
}

static void *frame_arg(struct warp *w, uint32_t lane, const struct call_arg *a)
{
    return w->local + lane * w->local_stride + w->frame->local + a->place;
}

static uint64_t arg_value(struct warp *w, uint32_t lane, const struct call_arg *a)
{
    uint64_t v = 0;
    memcpy(&v, frame_arg(w, lane, a), a->size < 8 ? a->size : 8);
    return v;
}

static void result_set(struct warp *w, uint32_t lane, const struct call_site *s, uint64_t v)
{
    if (s->result_count)
        memcpy(frame_arg(w, lane, &s->results[0]), &v,
               s->results[0].size < 8 ? s->results[0].size : 8);
}

static bool vprintf_run(struct warp *w, const struct call_site *s, enum sc_status *st)
{
    static __thread struct text t;
    static __thread char format[MAX_FORMAT];
    if (s->arg_count < 2)
        return false;
    for (uint32_t m = w->mask; m; m &= m - 1) {
        uint32_t lane = (uint32_t)__builtin_ctz(m);
        uint64_t text = arg_value(w, lane, &s->args[0]), args = arg_value(w, lane, &s->args[1]);
        unsigned taken;
        t.n = 0;
        *st = SC_ERR_FAULT;
        if (!text) {
            result_set(w, lane, s, (uint64_t)-1);
            continue;
        }
        if (!string_read(w, lane, text, format, sizeof(format)) ||
            !lane_format(w, lane, format, args, &t, &taken))
            return false;
        text_print(w, t.s, t.n);
        result_set(w, lane, s, taken);
    }
    return true;
}

static bool assert_run(struct warp *w, const struct call_site *s, enum sc_status *st)
{
    char what[256] = "?", file[256] = "?", func[256] = "?", text[1024];
    uint32_t lane = (uint32_t)__builtin_ctz(w->mask);
    const uint32_t *id = w->block->id, t = w->index * SC_WARP + lane;
    const uint32_t *dim = w->block->job->launch->block;
    *st = SC_ERR_ASSERT;
    if (s->arg_count >= 4) {
        string_read(w, lane, arg_value(w, lane, &s->args[0]), what, sizeof(what));
        string_read(w, lane, arg_value(w, lane, &s->args[1]), file, sizeof(file));
        string_read(w, lane, arg_value(w, lane, &s->args[3]), func, sizeof(func));
        int n =
            snprintf(text, sizeof(text),
                     "%s:%u: %s: block: [%u,%u,%u], thread: [%u,%u,%u] Assertion `%s` failed.\n",
                     file, (unsigned)arg_value(w, lane, &s->args[2]), func, id[0], id[1], id[2],
                     t % dim[0], t / dim[0] % dim[1], t / dim[0] / dim[1], what);
        if (n > 0)
            text_complain(w, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
    }
    return false;
}

bool sc_builtin(struct warp *w, enum builtin b, const struct call_site *s, enum sc_status *st)
{
    const struct sc_launch *l = w->block->job->launch;
    *st = SC_ERR_INVALID;
    if (b == BUILTIN_VPRINTF)
        return vprintf_run(w, s, st);
    if (b == BUILTIN_ASSERT)
        return assert_run(w, s, st);
    if (s->arg_count < 1)
        return false;
    for (uint32_t m = w->mask; m; m &= m - 1) {
        uint32_t lane = (uint32_t)__builtin_ctz(m);
        uint64_t v = arg_value(w, lane, &s->args[0]);
        if (b == BUILTIN_FREE) {
            if (v && l->device_free)
                l->device_free(l->malloc_opaque, (void *)v);
            continue;
        }
        void *p = l->device_malloc ? l->device_malloc(l->malloc_opaque, v) : NULL;
        result_set(w, lane, s, (uint64_t)(uintptr_t)p);
    }
    return true;
}
