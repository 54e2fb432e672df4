/* See image.h. */
#include "cuda/api/image.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX ((off_t)1 << 32)
#define SPARE    64 /* bytes: who looks for an image looks at whole headers */

CUresult xg_cuda_image_find(const void *image, struct xg_cuda_image *out)
{
    return xg_image_bounds(image, &out->start, &out->size, &out->kind) ? CUDA_ERROR_INVALID_IMAGE
                                                                       : CUDA_SUCCESS;
}

static bool bytes_read(int fd, char *data, size_t size)
{
    ssize_t got;

    for (size_t used = 0; used < size; used += (size_t)got) {
        got = read(fd, data + used, size - used);
        if (got <= 0)
            return false;
    }
    return true;
}

CUresult xg_cuda_file_read(const char *path, void **data)
{
    CUresult r = CUDA_ERROR_FILE_NOT_FOUND;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    char *bytes;

    if (fd < 0)
        return r;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
        goto out;
    r = CUDA_ERROR_OUT_OF_MEMORY;
    bytes = calloc(1, (size_t)st.st_size + SPARE);
    if (!bytes)
        goto out;
    r = CUDA_SUCCESS;
    if (bytes_read(fd, bytes, (size_t)st.st_size)) {
        *data = bytes;
    } else {
        free(bytes);
        r = CUDA_ERROR_INVALID_IMAGE;
    }
out:
    close(fd);
    return r;
}

/* --- options of the PTX compiler -------------------------------------------------------------- */

static unsigned value_number(void *const *value)
{
    return (unsigned)(uintptr_t)*value;
}

CUresult xg_cuda_jit_parse(struct xg_cuda_jit *jit, unsigned count, const CUjit_option *option,
                           void **value)
{
    *jit = (struct xg_cuda_jit){.start = xg_now_ns()};
    if (count && (!option || !value))
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < count; i++) {
        void **v = &value[i];
        switch (option[i]) {
        case CU_JIT_ERROR_LOG_BUFFER: jit->error_log = *v; break;
        case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
            jit->error_size = value_number(v);
            jit->error_slot = v;
            break;
        case CU_JIT_INFO_LOG_BUFFER: jit->info_log = *v; break;
        case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
            jit->info_size = value_number(v);
            jit->info_slot = v;
            break;
        case CU_JIT_WALL_TIME: jit->time_slot = v; break;
        case CU_JIT_MAX_REGISTERS: jit->max_registers = value_number(v); break;
        case CU_JIT_GLOBAL_SYMBOL_NAMES: jit->symbol = *v; break;
        case CU_JIT_GLOBAL_SYMBOL_ADDRESSES: jit->symbol_address = *v; break;
        case CU_JIT_GLOBAL_SYMBOL_COUNT: jit->symbols = value_number(v); break;
        default: /* how the code is compiled: a wish */
            if ((unsigned)option[i] >= CU_JIT_NUM_OPTIONS)
                return CUDA_ERROR_INVALID_VALUE;
        }
    }
    return jit->symbols && (!jit->symbol || !jit->symbol_address) ? CUDA_ERROR_INVALID_VALUE
                                                                  : CUDA_SUCCESS;
}

/* The size that goes back counts the NUL, as the size of the buffer does; nothing at all is 0. */
static void log_fill(char *buffer, size_t size, void **slot, const char *text)
{
    size_t n = buffer && size ? xg_min_u64(strlen(text), size - 1) : 0;

    if (buffer && size) {
        memcpy(buffer, text, n);
        buffer[n] = 0;
    }
    if (slot)
        *slot = (void *)(n ? n + 1 : 0);
}

void xg_cuda_jit_report(const struct xg_cuda_jit *jit, CUresult result, const char *log)
{
    float took = (float)((double)(xg_now_ns() - jit->start) / 1e6); /* ms, as the API has it */

    log_fill(jit->info_log, jit->info_size, jit->info_slot, result == CUDA_SUCCESS ? log : "");
    log_fill(jit->error_log, jit->error_size, jit->error_slot, log);
    if (jit->time_slot)
        memcpy(jit->time_slot, &took, sizeof(took));
}
