/*
 * How much memory a module will take, before the driver loads it: its variables, which the image
 * declares, and an estimate for its code. Of the images in a fatbin, the largest counts.
 */
#include "backend/cuda/replay.h"
#include "cuda/fatbin.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>

/* Bytes that softcuda needs for PTX text: measured, and rounded up. */
#define PER_CHAR     5u
#define PER_VARIABLE 1536u
#define PER_FUNCTION 1024u /* for each declaration too */
#define PER_NAME     256u  /* a parameter, a label, a register, a variable in .shared or .local */
#define PER_REGISTER 4u    /* of a range, as %r<9>; while it compiles */
#define TOO_MUCH     (1ull << 60) /* sums stop here, so that they do not overflow */

/* --- PTX: declarations of .global and .const variables ---------------------------------------- */

struct scan {
    const char *p, *end;
};

static bool at_end(const struct scan *s)
{
    return s->p >= s->end || !*s->p;
}

static bool word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '%' || c == '.';
}

/* Blanks and comments. */
static void skip_blank(struct scan *s)
{
    while (!at_end(s)) {
        bool pair = s->end - s->p > 1;
        if (isspace((unsigned char)*s->p)) {
            s->p++;
        } else if (pair && s->p[0] == '/' && s->p[1] == '/') {
            while (!at_end(s) && *s->p != '\n')
                s->p++;
        } else if (pair && s->p[0] == '/' && s->p[1] == '*') {
            for (s->p += 2; !at_end(s) && !(s->p[0] == '*' && s->end - s->p > 1 && s->p[1] == '/');)
                s->p++;
            s->p = s->end - s->p > 2 ? s->p + 2 : s->end;
        } else {
            return;
        }
    }
}

static size_t word_scan(struct scan *s, const char **start)
{
    skip_blank(s);
    *start = s->p;
    while (!at_end(s) && word_char(*s->p))
        s->p++;
    return (size_t)(s->p - *start);
}

static bool word_is(const char *w, size_t n, const char *text)
{
    return strlen(text) == n && memcmp(w, text, n) == 0;
}

/* 0: the word is no type. */
static uint64_t type_bytes(const char *w, size_t n)
{
    static const struct {
        const char *name;
        uint8_t bytes;
    } type[] = {{".b8", 1},    {".u8", 1},        {".s8", 1},    {".b16", 2},    {".u16", 2},
                {".s16", 2},   {".f16", 2},       {".bf16", 2},  {".b32", 4},    {".u32", 4},
                {".s32", 4},   {".f32", 4},       {".f16x2", 4}, {".bf16x2", 4}, {".b64", 8},
                {".u64", 8},   {".s64", 8},       {".f64", 8},   {".texref", 8}, {".surfref", 8},
                {".b128", 16}, {".samplerref", 8}};

    for (unsigned i = 0; i < XG_ARRAY_LEN(type); i++)
        if (word_is(w, n, type[i].name))
            return type[i].bytes;
    return 0;
}

static uint64_t bytes_multiply(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) || product > TOO_MUCH ? TOO_MUCH : product;
}

static void skip_group(struct scan *s, char open, char close)
{
    unsigned depth = 0;

    for (; !at_end(s); s->p++) {
        depth += *s->p == open;
        if (*s->p == close && --depth == 0) {
            s->p++;
            return;
        }
    }
}

/* The number of an array's elements. If only its initializer tells, the length of its text is
 * taken, which is more. */
static uint64_t elements_count(struct scan *s)
{
    uint64_t count = 1;
    bool open = false;

    for (skip_blank(s); !at_end(s) && *s->p == '['; skip_blank(s)) {
        char *stop;
        uint64_t n = strtoull(s->p + 1, &stop, 0); /* the text ends in NUL */
        open |= stop == s->p + 1;
        count = bytes_multiply(count, open ? 1 : n);
        skip_group(s, '[', ']');
    }
    if (at_end(s) || *s->p != '=')
        return count;
    const char *from = s->p;
    for (unsigned depth = 0; !at_end(s) && *s->p != ';' && (depth || *s->p != ','); s->p++)
        depth += (*s->p == '{') - (*s->p == '}' && depth);
    return open ? bytes_multiply(count, (uint64_t)(s->p - from)) : count;
}

/* The bytes of a declaration, from after ".global" or ".const". In a parameter no type follows the
 * state space, so it counts as nothing. */
static uint64_t declaration_bytes(struct scan *s)
{
    uint64_t bytes = 0, type = 0, vector = 1;
    const char *w;

    for (;;) {
        size_t n = word_scan(s, &w);
        if (n && *w == '.') {
            type = type ? type : type_bytes(w, n);
            vector = word_is(w, n, ".v2") ? 2 : word_is(w, n, ".v4") ? 4 : vector;
            if (word_is(w, n, ".align"))
                word_scan(s, &w);
            skip_blank(s);
            if (!at_end(s) && *s->p == '(')
                skip_group(s, '(', ')');
            continue;
        }
        if (!n || !type)
            return bytes;
        bytes += bytes_multiply(bytes_multiply(elements_count(s), type), vector) + PER_VARIABLE;
        skip_blank(s);
        if (at_end(s) || *s->p != ',' || bytes > TOO_MUCH)
            return bytes < TOO_MUCH ? bytes : TOO_MUCH;
        s->p++;
    }
}

/* The bytes of a declaration after ".reg" and the like, for its names; "%r<9>" are nine. */
static uint64_t names_bytes(struct scan *s)
{
    uint64_t bytes = PER_NAME;
    const char *w;

    for (;;) {
        while (word_scan(s, &w))
            ;
        if (at_end(s) || *s->p == ';' || *s->p == '{')
            return bytes;
        if (*s->p == '<')
            bytes += bytes_multiply(strtoull(s->p + 1, NULL, 0), PER_REGISTER);
        bytes += *s->p++ == ',' ? PER_NAME : 0;
        if (bytes > TOO_MUCH)
            return TOO_MUCH;
    }
}

/* What the loader keeps because of a word, besides variables with an address. */
static uint64_t word_bytes(struct scan *s, const char *w, size_t n)
{
    if (word_is(w, n, ".entry") || word_is(w, n, ".func"))
        return PER_FUNCTION;
    if (word_is(w, n, ".param"))
        return PER_NAME;
    if (word_is(w, n, ".reg") || word_is(w, n, ".shared") || word_is(w, n, ".local"))
        return names_bytes(s);
    return 0;
}

static uint64_t ptx_bytes(const char *text, size_t size)
{
    struct scan s = {text, text + size};
    uint64_t bytes = 0;
    bool external = false;
    const char *w;

    while (bytes < TOO_MUCH) {
        size_t n = word_scan(&s, &w);
        if (!n) {
            if (at_end(&s))
                break;
            if (*s.p == '"')
                for (s.p++; !at_end(&s) && *s.p != '"'; s.p++)
                    ;
            external &= at_end(&s) || *s.p != ';';
            bytes += !at_end(&s) && *s.p == ':' ? PER_NAME : 0;
            s.p += !at_end(&s);
        } else if (word_is(w, n, ".extern")) {
            external = true; /* the variable is in another module */
        } else if (word_is(w, n, ".global") || word_is(w, n, ".const")) {
            uint64_t more = declaration_bytes(&s);
            bytes += external ? PER_VARIABLE : more;
        } else {
            bytes += word_bytes(&s, w, n);
        }
    }
    return bytes + bytes_multiply(size, PER_CHAR);
}

/* --- machine code: the sections that are loaded ----------------------------------------------- */

static uint64_t elf_bytes(const uint8_t *data, size_t size)
{
    Elf64_Ehdr e;
    Elf64_Shdr h;
    uint64_t bytes = size;

    if (size < sizeof(e))
        return bytes;
    memcpy(&e, data, sizeof(e));
    for (unsigned i = 0; e.e_shentsize >= sizeof(h) && i < e.e_shnum; i++) {
        uint64_t at = e.e_shoff + (uint64_t)i * e.e_shentsize;
        if (at > size || size - at < sizeof(h))
            break;
        memcpy(&h, data + at, sizeof(h));
        if (h.sh_flags & SHF_ALLOC)
            bytes += h.sh_size < TOO_MUCH ? h.sh_size : TOO_MUCH;
        if (bytes > TOO_MUCH)
            return TOO_MUCH;
    }
    return bytes;
}

/* --- both ------------------------------------------------------------------------------------- */

static bool names_malloc(const void *text, size_t size)
{
    return memmem(text, size, "malloc", 6) != NULL;
}

static uint64_t entry_bytes(struct cu_worker *w, const struct xg_fatbin_entry *entry, bool *mallocs)
{
    uint64_t room = entry->raw_size, bytes = UINT64_MAX;
    size_t size = 0;
    char *data = NULL;

    if (entry->packing == XG_FATBIN_PLAIN && entry->kind == XG_FATBIN_ELF) {
        *mallocs |= names_malloc(entry->data, entry->size);
        return elf_bytes(entry->data, entry->size);
    }
    if (!xg_cu_account_take(w, room))
        return UINT64_MAX;
    switch (xg_fatbin_extract(entry, &data, &size)) {
    case 0:
        *mallocs |= names_malloc(data, size);
        bytes =
            entry->kind == XG_FATBIN_PTX ? ptx_bytes(data, size) : elf_bytes((uint8_t *)data, size);
        free(data);
        break;
    case -ENOMEM: break;
    default: bytes = 0; break; /* the driver refuses it */
    }
    xg_cu_account_give(w, room);
    return bytes;
}

uint64_t xg_cu_image_bytes(struct cu_worker *w, const void *image, uint64_t size, bool *mallocs)
{
    struct xg_fatbin_entry entry;
    enum xg_image_kind kind;
    uint64_t most = 0;
    size_t pos = 0;

    *mallocs = false;
    if (xg_image_kind(image, size, &kind))
        return 0;
    if (kind != XG_IMAGE_FATBIN)
        *mallocs = names_malloc(image, size);
    if (kind == XG_IMAGE_PTX)
        return ptx_bytes(image, size);
    if (kind == XG_IMAGE_ELF)
        return elf_bytes(image, size);
    while (xg_fatbin_next(image, size, &pos, &entry) == 1) {
        if (entry.kind != XG_FATBIN_PTX && entry.kind != XG_FATBIN_ELF)
            continue;
        uint64_t bytes = entry_bytes(w, &entry, mallocs);
        if (bytes == UINT64_MAX)
            return bytes;
        most = xg_max_u64(most, bytes);
    }
    return most;
}
