/* The names that cuGetProcAddress knows. A library need not implement all of them. */
#ifndef XG_CUDA_PROCS_H
#define XG_CUDA_PROCS_H

#include <stdbool.h>

#include "cuda/abi.h"

/* Whether cuGetProcAddress of a driver of our CUDA_VERSION accepts these arguments. */
static inline bool xg_cuda_proc_valid(int version, uint64_t flags)
{
    const uint64_t known =
        CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;

    return version / 1000 <= CUDA_VERSION / 1000 && flags <= known;
}

/* The symbol for `name` (without version suffix) in API version `version` (12030 for 12.3) with
 * CUdriverProcAddress_flags. NULL: there is none; *why (never NULL) then says whether the name is
 * unknown or the version too old. The text is constant. */
const char *xg_cuda_proc_symbol(const char *name, int version, uint64_t flags,
                                CUdriverProcAddressQueryResult *why);

/* The i-th symbol of the table, NULL after the last: for libraries that list what they lack. */
const char *xg_cuda_proc_at(unsigned i);

#endif
