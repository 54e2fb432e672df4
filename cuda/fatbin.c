#include "cuda/fatbin.h"

#include <elf.h>
#include <errno.h>
#include <lz4.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define WRAPPER_MAGIC 0x466243b1u
#define FATBIN_MAGIC  0xba55ed50u
#define FATBIN_HEADER 16
#define ENTRY_HEADER  64   /* bytes of the smallest header; later versions append to it */
#define ENTRY_MAX     4096 /* no header that we know is nearly as large */
#define FLAG_LZ4      0x2000u
#define FLAG_ZSTD     0x8000u

static uint16_t read_u16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static uint32_t read_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static uint64_t read_u64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static bool is_elf(const void *p)
{
    return !memcmp(p, ELFMAG, SELFMAG);
}

static bool is_text(const uint8_t *p, size_t size)
{
    size_t i = 0;

    /* PTX begins with blanks, a comment or a directive. */
    while (i < size && (p[i] == ' ' || p[i] == '\t' || p[i] == '\n' || p[i] == '\r'))
        i++;
    return i < size && (p[i] == '.' || p[i] == '/');
}

/* The end of an ELF file is where its last table or section ends. */
static int elf_size(const uint8_t *p, size_t *size)
{
    Elf64_Ehdr h;
    uint64_t end;

    memcpy(&h, p, sizeof(h));
    if (h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_ident[EI_DATA] != ELFDATA2LSB ||
        h.e_machine != EM_CUDA)
        return -EINVAL;
    end = sizeof(h);
    if (h.e_phnum && h.e_phoff + (uint64_t)h.e_phnum * h.e_phentsize > end)
        end = h.e_phoff + (uint64_t)h.e_phnum * h.e_phentsize;
    if (h.e_shnum && h.e_shoff + (uint64_t)h.e_shnum * h.e_shentsize > end)
        end = h.e_shoff + (uint64_t)h.e_shnum * h.e_shentsize;
    for (unsigned i = 0; i < h.e_shnum && h.e_shentsize >= sizeof(Elf64_Shdr); i++) {
        Elf64_Shdr s;
        memcpy(&s, p + h.e_shoff + (uint64_t)i * h.e_shentsize, sizeof(s));
        if (s.sh_type != SHT_NOBITS && s.sh_type != SHT_NULL && s.sh_offset + s.sh_size > end)
            end = s.sh_offset + s.sh_size;
    }
    *size = end;
    return 0;
}

int xg_image_bounds(const void *image, const void **start, size_t *size, enum xg_image_kind *kind)
{
    const uint8_t *p = image;

    if (!p)
        return -EINVAL;
    /* The text is looked at first, byte by byte: it may be shorter than a magic number, and what
     * follows its end may not be readable. */
    if (is_text(p, strnlen(image, 4096))) {
        *start = p;
        *size = strlen(image);
        *kind = XG_IMAGE_PTX;
        return 0;
    }
    if (!p[0] || !p[1] || !p[2])
        return -EINVAL;
    if (read_u32(p) == WRAPPER_MAGIC) {
        uint64_t data = read_u64(p + 8);
        p = (const uint8_t *)(uintptr_t)data;
        if (!p || read_u32(p) != FATBIN_MAGIC)
            return -EINVAL;
    }
    *start = p;
    if (read_u32(p) == FATBIN_MAGIC) {
        *size = read_u16(p + 6) + read_u64(p + 8);
        *kind = XG_IMAGE_FATBIN;
        return 0;
    }
    *kind = XG_IMAGE_ELF;
    return is_elf(p) ? elf_size(p, size) : -EINVAL;
}

int xg_image_kind(const void *image, size_t size, enum xg_image_kind *kind)
{
    const uint8_t *p = image;

    if (size >= FATBIN_HEADER && read_u32(p) == FATBIN_MAGIC) {
        uint64_t header = read_u16(p + 6), body = read_u64(p + 8);
        if (header < FATBIN_HEADER || header > size || body > size - header)
            return -EBADMSG;
        *kind = XG_IMAGE_FATBIN;
        return 0;
    }
    if (size >= sizeof(Elf64_Ehdr) && is_elf(p)) {
        *kind = XG_IMAGE_ELF;
        return 0;
    }
    if (!is_text(p, size))
        return -EBADMSG;
    *kind = XG_IMAGE_PTX;
    return 0;
}

int xg_fatbin_next(const void *fatbin, size_t size, size_t *pos, struct xg_fatbin_entry *entry)
{
    const uint8_t *base = fatbin;
    size_t end, at = *pos;
    enum xg_image_kind kind;

    if (xg_image_kind(fatbin, size, &kind) || kind != XG_IMAGE_FATBIN)
        return -EBADMSG;
    end = read_u16(base + 6) + read_u64(base + 8);
    if (!at)
        at = read_u16(base + 6);
    if (at == end)
        return 0;
    if (at > end || end - at < ENTRY_HEADER)
        return -EBADMSG;

    const uint8_t *p = base + at;
    uint32_t header = read_u32(p + 4), packed = read_u32(p + 16);
    uint64_t payload = read_u64(p + 8), flags = read_u64(p + 40), raw = read_u64(p + 56);
    if (header < ENTRY_HEADER || header > ENTRY_MAX || header > end - at ||
        payload > end - at - header)
        return -EBADMSG;

    *entry = (struct xg_fatbin_entry){
        .kind = read_u16(p),
        .arch = read_u32(p + 28),
        .packing = flags & FLAG_ZSTD  ? XG_FATBIN_ZSTD
                   : flags & FLAG_LZ4 ? XG_FATBIN_LZ4
                                      : XG_FATBIN_PLAIN,
        .data = p + header,
        .size = payload,
        .raw_size = payload,
    };
    if (entry->packing != XG_FATBIN_PLAIN) {
        if (packed > payload || raw > XG_FATBIN_MAX_RAW)
            return -EBADMSG;
        entry->size = packed;
        entry->raw_size = raw;
    }
    *pos = at + header + payload;
    return 1;
}

static int unpack_lz4(const struct xg_fatbin_entry *e, char *out)
{
    if (e->size > INT32_MAX || e->raw_size > INT32_MAX)
        return -EBADMSG;
    int n = LZ4_decompress_safe(e->data, out, (int)e->size, (int)e->raw_size);
    return n >= 0 && (size_t)n == e->raw_size ? 0 : -EBADMSG;
}

static int unpack_zstd(const struct xg_fatbin_entry *e, char *out)
{
    size_t n = ZSTD_decompress(out, e->raw_size, e->data, e->size);
    return !ZSTD_isError(n) && n == e->raw_size ? 0 : -EBADMSG;
}

int xg_fatbin_extract(const struct xg_fatbin_entry *e, char **data, size_t *size)
{
    int err = 0;

    /* A forged size must not cost memory: LZ4 makes at most 255 bytes of one, and zstd data name
     * their decompressed size. */
    if (e->packing == XG_FATBIN_LZ4 && e->raw_size / 256 > e->size)
        return -EBADMSG;
    if (e->packing == XG_FATBIN_ZSTD && ZSTD_getFrameContentSize(e->data, e->size) != e->raw_size)
        return -EBADMSG;
    char *out = malloc(e->raw_size + 1);
    if (!out)
        return -ENOMEM;
    switch (e->packing) {
    case XG_FATBIN_PLAIN: memcpy(out, e->data, e->raw_size); break;
    case XG_FATBIN_LZ4: err = unpack_lz4(e, out); break;
    case XG_FATBIN_ZSTD: err = unpack_zstd(e, out); break;
    }
    if (err) {
        free(out);
        return err;
    }
    out[e->raw_size] = 0;
    *data = out;
    *size = e->kind == XG_FATBIN_PTX ? strlen(out) : e->raw_size;
    return 0;
}

/* PTX for `a` is a better choice than PTX for `b` for a device of `arch`. */
static bool ptx_better(unsigned a, unsigned b, unsigned arch)
{
    if ((a <= arch) != (b <= arch))
        return a <= arch;
    return a <= arch ? a > b : a < b;
}

int xg_fatbin_ptx(const void *fatbin, size_t size, unsigned arch, char **ptx, size_t *len)
{
    struct xg_fatbin_entry e, best = {0};
    size_t pos = 0;
    bool found = false;
    int more;

    while ((more = xg_fatbin_next(fatbin, size, &pos, &e)) > 0) {
        if (e.kind != XG_FATBIN_PTX || (found && !ptx_better(e.arch, best.arch, arch)))
            continue;
        best = e;
        found = true;
    }
    if (more < 0)
        return more;
    return found ? xg_fatbin_extract(&best, ptx, len) : -ENOENT;
}
