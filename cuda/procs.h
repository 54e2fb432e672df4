/* The names that cuGetProcAddress knows; what a library implements of them is its own affair. */
#ifndef XG_CUDA_PROCS_H
#define XG_CUDA_PROCS_H

#include <stdbool.h>

#include "cuda/abi.h"

/* Whether a driver of CUDA_VERSION's generation takes such a question at all. */
static inline bool xg_cuda_proc_valid(int version, uint64_t flags)
{
    const uint64_t known =
        CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;

    return version / 1000 <= CUDA_VERSION / 1000 && flags <= known;
}

/* The symbol for `name` (without version suffix) as of API version `version` (12030 for 12.3) and
 * CUdriverProcAddress_flags. NULL if there is none; *why (never NULL) then says whether the name
 * is unknown or the version too old. The text returned is constant. */
const char *xg_cuda_proc_symbol(const char *name, int version, uint64_t flags,
                                CUdriverProcAddressQueryResult *why);

/* The i-th symbol of the table, NULL behind the last: for libraries that list what they lack. */
const char *xg_cuda_proc_at(unsigned i);

#endif
