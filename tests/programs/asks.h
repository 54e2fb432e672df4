/* Asks the driver as a runtime does: so many functions by name, each from a place of its own, then
 * a private table. The table does not exist, so its name is nobody's. */
#ifndef XG_TEST_ASKS_H
#define XG_TEST_ASKS_H

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "cuda/abi.h"

#define ASK1   get("cuMemAlloc", &f, 13000, 0, NULL), asked++;
#define ASK10  ASK1 ASK1 ASK1 ASK1 ASK1 ASK1 ASK1 ASK1 ASK1 ASK1
#define ASK100 ASK10 ASK10 ASK10 ASK10 ASK10 ASK10 ASK10 ASK10 ASK10 ASK10

static inline int ask_driver(int as_runtime)
{
    CUuuid nobodys = {{1}};
    const void *table = &nobodys;
    int asked = 0;
    void *f;
    void *lib = dlopen("libcuda.so.1", RTLD_NOW);
    __typeof__(&cuGetProcAddress_v2) get =
        lib ? (__typeof__(get))dlsym(lib, "cuGetProcAddress_v2") : NULL;
    __typeof__(&cuGetExportTable) export_table =
        lib ? (__typeof__(export_table))dlsym(lib, "cuGetExportTable") : NULL;

    if (!get || !export_table)
        return -1;
    ASK10
    if (as_runtime) {
        ASK100 ASK100 ASK100
    }
    for (int i = 0; i < 2; i++) /* told once */
        if (export_table(&table, &nobodys) != CUDA_ERROR_NOT_FOUND || table)
            return -1;
    return asked;
}

#endif
