/*
 * Who asks for the private tables of a vendor's driver (cuGetExportTable). We have none. Some
 * callers (NVRTC) work without them; but a vendor's runtime, shared or linked into a program or a
 * library, does not, and its user must be told why.
 */
#ifndef XG_CUDA_ASKER_H
#define XG_CUDA_ASKER_H

#include <stdbool.h>
#include <stddef.h>

/* The caller of the function in whose first line this stands. Not later: a compiler may move the
 * rest of a function into another one, whose caller is the first part. */
#define XG_CUDA_CALLER()                                                                           \
    ({                                                                                             \
        const void *caller_ = __builtin_return_address(0);                                         \
        __asm__ volatile("" : "+r"(caller_));                                                      \
        caller_;                                                                                   \
    })

/* For cuGetProcAddress; `caller` is its return address. A library that asks for hundreds of
 * functions is a runtime. */
void xg_cuda_asker_note(const void *caller);

/*
 * For cuGetExportTable, which is about to fail. True if its caller is a runtime, which will fail
 * too, or a known tool; only once for each library. `text` then names it and says what can be done,
 * in lines that begin with `prefix`. `own` is an address in our own library.
 */
bool xg_cuda_asker_fails(const void *caller, const void *own, const char *prefix, char *text,
                         size_t size);

/* For cuInit: true if the environment asks for a tool that works inside the driver
 * (compute-sanitizer, Nsight, all that use CUPTI), which needs such tables too. `text` then says
 * that we do not load it. */
bool xg_cuda_tool_wanted(const char *prefix, char *text, size_t size);

#endif
