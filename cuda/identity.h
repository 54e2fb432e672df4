/*
 * Which devices a program sees, and by what they are known: CUDA_VISIBLE_DEVICES, and UUIDs that we
 * make ourselves. The guest's libcuda and softcuda share this.
 */
#ifndef XG_CUDA_IDENTITY_H
#define XG_CUDA_IDENTITY_H

#include <stddef.h>
#include <stdint.h>

#define XG_CUDA_UUID_SIZE 16u
#define XG_CUDA_UUID_TEXT 41u /* "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6" and a NUL */

/* Makes a UUID from texts: the same from the same texts, on every machine. It is of version 8 (made
 * by its owner's own rule), and has no zero byte: some programs keep the bytes as text. */
void xg_cuda_uuid_make(uint8_t uuid[XG_CUDA_UUID_SIZE], const char *const *part, unsigned parts);

void xg_cuda_uuid_text(const uint8_t uuid[XG_CUDA_UUID_SIZE], char text[XG_CUDA_UUID_TEXT]);

/*
 * Which of `count` devices CUDA_VISIBLE_DEVICES=`text` (NULL: it is not set) shows. Writes their
 * indices into order[count] and returns how many there are. `uuid` NULL: the UUIDs are not known
 * yet, and every prefix of one means device 0.
 *
 * The list ends before its first entry that is not a device: a number that is too high or negative,
 * a text that is not a number, a prefix of no UUID or of several, a number among UUIDs or the
 * reverse. If a device is there twice, no device is shown.
 */
unsigned xg_cuda_visible(const char *text, const uint8_t (*uuid)[XG_CUDA_UUID_SIZE], unsigned count,
                         unsigned *order);

#endif
