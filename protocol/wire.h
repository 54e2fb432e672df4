/* Small things that generated code uses (protocol/gen/wire.py), on both sides. */
#ifndef XG_WIRE_H
#define XG_WIRE_H

#include "protocol/codec.h"

#define XG_WIRE_BAD UINT64_MAX

static const uint64_t xg_zeroes_guest[1] __attribute__((unused)) = {0};

/* Bytes of `count` elements; XG_WIRE_BAD, which no blob has, for a negative or absurd count. */
static inline uint64_t xg_wire_bytes(int64_t count, uint64_t elem)
{
    if (XG_UNLIKELY(count < 0 || (uint64_t)count > (1ull << 40) / elem))
        return XG_WIRE_BAD;
    return (uint64_t)count * elem;
}

/* Bytes up to the last one that differs from `fill`. */
static inline uint32_t xg_wire_probe(const void *p, size_t size, uint8_t fill)
{
    const uint8_t *b = p;
    uint64_t filled = fill * 0x0101010101010101ull, last;

    while (size >= sizeof(last)) {
        memcpy(&last, b + size - sizeof(last), sizeof(last));
        if (last != filled)
            break;
        size -= sizeof(last);
    }
    while (size && b[size - 1] == fill)
        size--;
    return (uint32_t)size;
}

/* Text in a reply: what every reply ring has room for. */
#define XG_WIRE_TEXT_MAX 8192u

static inline uint64_t xg_wire_text(int64_t room)
{
    return room < 0 ? 0 : xg_min_u64((uint64_t)room, XG_WIRE_TEXT_MAX);
}

/* Bytes of the text with its NUL, at most `room`. */
static inline uint32_t xg_wire_text_used(const char *text, uint32_t room)
{
    return text && room ? (uint32_t)xg_min_u64(strnlen(text, room) + 1, room) : 0;
}

static inline void xg_wire_take_text(void *to, uint64_t room, const void *from, uint32_t size)
{
    if (room && size) {
        memcpy(to, from, xg_min_u64(room, size));
        ((char *)to)[xg_min_u64(room, size) - 1] = '\0';
    }
}

#define XG_WIRE_OUT_MAX (16u << 20)

/*
 * Worker: zeroed memory for `need` bytes of results, of which the guest wants `want` (<= need).
 * NULL and a sticky
 * error when that is not so or is too much.
 */
#define xg_wire_out(r, rd, need, want) xg_wire_out_(&(r)->scratch, rd, need, want)
static inline void *xg_wire_out_(struct xg_scratch *s, struct xg_reader *rd, uint64_t need,
                                 uint64_t want)
{
    void *p = need > XG_WIRE_OUT_MAX || want > need ? NULL : xg_scratch_alloc(s, need ? need : 1);
    if (!p) {
        xg_reader_fail(rd, "result of a wrong size");
        return NULL;
    }
    return memset(p, 0, need);
}

#endif
