#include "cuda/identity.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PREFIX     "GPU-"
#define PREFIX_LEN (sizeof(PREFIX) - 1)

/* FNV-1a, then a mixing step, without which the last letters would change a few bits only. */
static uint64_t parts_hash(uint64_t h, const char *const *part, unsigned parts)
{
    for (unsigned i = 0; i < parts; i++) {
        const char *c = part[i];
        do /* with the NUL, so that "a", "bc" and "ab", "c" differ */
            h = (h ^ (uint8_t)*c) * 0x100000001b3ull;
        while (*c++);
    }
    h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdull;
    h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53ull;
    return h ^ (h >> 33);
}

void xg_cuda_uuid_make(uint8_t uuid[XG_CUDA_UUID_SIZE], const char *const *part, unsigned parts)
{
    const uint64_t h[2] = {parts_hash(0xcbf29ce484222325ull, part, parts),
                           parts_hash(0x84222325cbf29ce4ull, part, parts)};

    for (unsigned i = 0; i < XG_CUDA_UUID_SIZE; i++) {
        uuid[i] = (uint8_t)(h[i / 8] >> i % 8 * 8);
        if (!uuid[i])
            uuid[i] = (uint8_t)(0x10 + i);
    }
    uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x80);
    uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

void xg_cuda_uuid_text(const uint8_t u[XG_CUDA_UUID_SIZE], char text[XG_CUDA_UUID_TEXT])
{
    snprintf(text, XG_CUDA_UUID_TEXT,
             PREFIX "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0],
             u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13],
             u[14], u[15]);
}

/* The only device whose UUID begins with the word, or -1. */
static long device_by_uuid(const char *word, size_t length,
                           const uint8_t (*uuid)[XG_CUDA_UUID_SIZE], unsigned count)
{
    char text[XG_CUDA_UUID_TEXT];
    long found = -1;

    if (length <= PREFIX_LEN || strncasecmp(word, PREFIX, PREFIX_LEN) != 0)
        return -1;
    if (!uuid)
        return count ? 0 : -1;
    for (unsigned i = 0; i < count; i++) {
        xg_cuda_uuid_text(uuid[i], text);
        if (length >= XG_CUDA_UUID_TEXT || strncasecmp(word, text, length) != 0)
            continue;
        if (found >= 0)
            return -1;
        found = i;
    }
    return found;
}

static long device_by_number(const char *word, unsigned count)
{
    char *end;
    long n = strtol(word, &end, 10);

    return end != word && n >= 0 && n < (long)count ? n : -1;
}

unsigned xg_cuda_visible(const char *text, const uint8_t (*uuid)[XG_CUDA_UUID_SIZE], unsigned count,
                         unsigned *order)
{
    unsigned n = 0;

    if (!text) {
        for (; n < count; n++)
            order[n] = n;
        return n;
    }
    text += strspn(text, " \t");
    bool uuids = strncasecmp(text, PREFIX, PREFIX_LEN) == 0;
    while (*text) {
        size_t length = strcspn(text, ", \t");
        long device =
            uuids ? device_by_uuid(text, length, uuid, count) : device_by_number(text, count);
        if (device < 0)
            return n;
        for (unsigned i = 0; i < n; i++)
            if (order[i] == (unsigned)device)
                return 0;
        order[n++] = (unsigned)device;
        text += strcspn(text, ",");
        text += strspn(text, ", \t");
    }
    return n;
}
