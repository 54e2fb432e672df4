/*
 * Module images as the API is given them, and the options of the PTX compiler, for cuda/api and for
 * the devices.
 */
#ifndef XG_CUDA_API_IMAGE_H
#define XG_CUDA_API_IMAGE_H

#include "cuda/device.h"
#include "cuda/fatbin.h"

struct xg_cuda_image {
    const void *start;
    size_t size; /* bytes; a NUL is behind those of a text */
    enum xg_image_kind kind;
};

/* CUDA_ERROR_INVALID_IMAGE: none of the known formats. */
CUresult xg_cuda_image_find(const void *image, struct xg_cuda_image *out);
/* The file's bytes with a NUL behind, to be freed. */
CUresult xg_cuda_file_read(const char *path, void **data);

/* Options, as far as they mean something to a device of ours. */
struct xg_cuda_jit {
    char *error_log, *info_log;     /* the caller's, may be NULL */
    size_t error_size, info_size;   /* bytes */
    void **error_slot, **info_slot; /* the values through which sizes go back, NULL: nowhere */
    void **time_slot;               /* the same for the time */
    unsigned max_registers;         /* 0: as many as it likes */
    const char *const *symbol;      /* variables that texts may declare, and where they are */
    void *const *symbol_address;
    unsigned symbols;
    bool again;     /* the same image and options as before: its kernels were told of */
    uint64_t start; /* ns */
};

/* Also starts its clock. */
CUresult xg_cuda_jit_parse(struct xg_cuda_jit *jit, unsigned count, const CUjit_option *option,
                           void **value);
/* Fills the buffers. The error log has `log` without an error too: it then names the kernels that
 * cannot be used. */
void xg_cuda_jit_report(const struct xg_cuda_jit *jit, CUresult result, const char *log);

#endif
