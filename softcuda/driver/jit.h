/* Options of the PTX compiler, as far as they mean something here. */
#ifndef SC_JIT_H
#define SC_JIT_H

#include "softcuda/driver/sc.h"

struct sc_jit {
    char *info, *error; /* the caller's buffers, may be NULL */
    size_t info_size, error_size;
    void **info_slot, **error_slot; /* the option values through which sizes go back */
    float *wall_time;
    const char *const *symbol; /* variables that texts may declare, and where they are */
    void *const *symbol_address;
    unsigned symbols;
};

CUresult sc_jit_parse(struct sc_jit *jit, unsigned count, CUjit_option *options, void **values);
/* Fills the buffers. The error log has `log` without an error too: it then names the kernels that
 * cannot be used. */
void sc_jit_report(const struct sc_jit *jit, CUresult result, const char *log, uint64_t took_ns);

CUresult sc_file_read(const char *path, char **data);
CUresult sc_module_global(struct sc_module_obj *m, const char *name, bool managed,
                          CUdeviceptr *address, size_t *size);

#endif
