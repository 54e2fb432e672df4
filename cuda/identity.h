/*
 * Which devices a program sees, and how they are told apart: CUDA_VISIBLE_DEVICES, and UUIDs that
 * we make ourselves. The guest's libcuda and softcuda share it.
 */
#ifndef XG_CUDA_IDENTITY_H
#define XG_CUDA_IDENTITY_H

#include <stddef.h>
#include <stdint.h>

#define XG_CUDA_UUID_SIZE 16u
#define XG_CUDA_UUID_TEXT 41u /* "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6" and a NUL */

/* The UUID of what these texts name together; the same texts give the same one, anywhere. It is
 * marked as made up (version 8), and no byte of it is zero: programs keep such bytes as text. */
void xg_cuda_uuid_make(uint8_t uuid[XG_CUDA_UUID_SIZE], const char *const *part, unsigned parts);

void xg_cuda_uuid_text(const uint8_t uuid[XG_CUDA_UUID_SIZE], char text[XG_CUDA_UUID_TEXT]);

/*
 * What CUDA_VISIBLE_DEVICES=`text` (NULL: it is not set) shows of `count` devices. Writes their
 * indices into order[count] and returns how many they are. `uuid` NULL: the UUIDs are not known
 * yet, and each prefix of one stands for device 0.
 *
 * The list ends before its first entry that is no device: a number that is too high or negative,
 * anything but a number, a prefix of no UUID or of more than one; numbers and UUIDs are not mixed.
 * A device that is named twice leaves none at all.
 */
unsigned xg_cuda_visible(const char *text, const uint8_t (*uuid)[XG_CUDA_UUID_SIZE], unsigned count,
                         unsigned *order);

#endif
