/*
 * Who asks for the private tables that a vendor's driver has (cuGetExportTable). There are none
 * here, and to some that ask (NVRTC) it makes no difference; but a vendor's runtime, shared or
 * linked into something, gives up, and its user must be told why.
 */
#ifndef XG_CUDA_ASKER_H
#define XG_CUDA_ASKER_H

#include <stdbool.h>
#include <stddef.h>

/* Who called this function, for the first line of one: a compiler may move what comes after a test
 * into a function of its own, whose caller is the first part. */
#define XG_CUDA_CALLER()                                                                           \
    ({                                                                                             \
        const void *caller_ = __builtin_return_address(0);                                         \
        __asm__ volatile("" : "+r"(caller_));                                                      \
        caller_;                                                                                   \
    })

/* For cuGetProcAddress; `caller` is its return address. What asks here for hundreds of functions is
 * a runtime. */
void xg_cuda_asker_note(const void *caller);

/*
 * For cuGetExportTable, which is about to fail: true if its caller is a runtime, which will fail
 * too, or a known tool; once for each library that has one. `text` then says which and what can be
 * done, in lines that begin with `prefix`. `own` is an address in the library that answers.
 */
bool xg_cuda_asker_fails(const void *caller, const void *own, const char *prefix, char *text,
                         size_t size);

/* For cuInit: true if the environment asks for a tool inside the driver (compute-sanitizer, Nsight,
 * whatever uses CUPTI), which looks for such tables too. `text` then says that there is no place
 * for one. */
bool xg_cuda_tool_wanted(const char *prefix, char *text, size_t size);

#endif
