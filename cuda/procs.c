#include "cuda/procs.h"

#include <string.h>

#include "protocol/base.h"

struct proc {
    const char *name, *symbol;
    int version;
    int per_thread;
};

static const struct proc procs[] = {
#define P(n, v, t, s) {#n, #s, v, t},
#include "cuda/procs_table.h"
#undef P
};

/* Index of the first row of that name, or the table's length. */
static size_t proc_first(const char *name)
{
    size_t lo = 0, hi = XG_ARRAY_LEN(procs);

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (strcmp(procs[mid].name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

const char *xg_cuda_proc_symbol(const char *name, int version, uint64_t flags,
                                CUdriverProcAddressQueryResult *why)
{
    int want = (flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM) != 0;
    const char *plain = NULL, *thread = NULL;
    bool known = false, has_thread = false;

    for (size_t i = proc_first(name); i < XG_ARRAY_LEN(procs) && !strcmp(procs[i].name, name);
         i++) {
        known = true;
        has_thread |= procs[i].per_thread;
        if (procs[i].version > version)
            continue;
        if (procs[i].per_thread)
            thread = procs[i].symbol;
        else
            plain = procs[i].symbol;
    }
    const char *found = want && has_thread ? thread : plain;
    *why = !known  ? CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND
           : found ? CU_GET_PROC_ADDRESS_SUCCESS
                   : CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT;
    return found;
}

const char *xg_cuda_proc_at(unsigned i)
{
    return i < XG_ARRAY_LEN(procs) ? procs[i].symbol : NULL;
}
