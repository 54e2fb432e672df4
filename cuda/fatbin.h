/*
 * Module images: what a program gives to cuModuleLoadData.
 *
 * An image is PTX text that ends in NUL, an ELF file (machine code), a fatbin (a container of
 * several of either, possibly compressed), or a wrapper that points to a fatbin. The layouts are as
 * observed in the output of nvcc 11 to 13; offsets are in bytes, numbers little endian:
 *
 *   wrapper  +0 u32 0x466243b1   +4 u32 version   +8 pointer to the fatbin   (24 bytes)
 *   fatbin   +0 u32 0xba55ed50   +4 u16 1   +6 u16 header size (16)   +8 u64 size of the entries
 *   entry    +0 u16 kind   +4 u32 header size   +8 u64 payload size, padded   +16 u32 size without
 *            the padding, if compressed   +28 u32 architecture (75: sm_75)   +40 u64 flags
 *            +56 u64 size when decompressed   +header size: payload
 *
 * Functions that take a size never read beyond it, whatever the bytes say.
 */
#ifndef XG_CUDA_FATBIN_H
#define XG_CUDA_FATBIN_H

#include <stddef.h>
#include <stdint.h>

enum xg_image_kind { XG_IMAGE_PTX, XG_IMAGE_ELF, XG_IMAGE_FATBIN };

enum { XG_FATBIN_PTX = 1, XG_FATBIN_ELF = 2 }; /* an entry's kind; others exist and are skipped */

enum xg_fatbin_packing { XG_FATBIN_PLAIN, XG_FATBIN_LZ4, XG_FATBIN_ZSTD };

/* No entry may decompress to more than this. */
#define XG_FATBIN_MAX_RAW ((size_t)512 << 20)

struct xg_fatbin_entry {
    unsigned kind;
    unsigned arch; /* 75 for sm_75 or compute_75 */
    enum xg_fatbin_packing packing;
    const void *data;
    size_t size;     /* bytes at `data`, padding included when it is not compressed */
    size_t raw_size; /* bytes after decompression */
};

/* Bounds an image of the caller's own process of which only the address is known. A wrapper is
 * followed: *start is the fatbin it points to. Trusts the image, as the API does.
 * -EINVAL: NULL, or none of the known formats. */
int xg_image_bounds(const void *image, const void **start, size_t *size, enum xg_image_kind *kind);

/* Of which kind the `size` bytes at `image` are. -EBADMSG: of none, or truncated. */
int xg_image_kind(const void *image, size_t size, enum xg_image_kind *kind);

/* Iterates: *pos is 0 at first. 1: *entry is valid; 0: no more; -EBADMSG: malformed. */
int xg_fatbin_next(const void *fatbin, size_t size, size_t *pos, struct xg_fatbin_entry *entry);

/* Decompressed payload in memory that the caller frees; one NUL follows the *size bytes.
 * PTX ends at its first NUL. -EBADMSG, -ENOMEM. */
int xg_fatbin_extract(const struct xg_fatbin_entry *entry, char **data, size_t *size);

/* PTX for a device of architecture `arch`: that of the highest architecture not above it, or else
 * of the lowest above it (the PTX compiler decides whether the device can run it). The results are
 * xg_fatbin_extract's. -ENOENT: only machine code is inside. */
int xg_fatbin_ptx(const void *fatbin, size_t size, unsigned arch, char **ptx, size_t *len);

#endif
