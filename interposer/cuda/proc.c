/* What this library exports. */
#include "interposer/cuda/cu.h"

#include <string.h>

void *cu_export_find(const char *symbol)
{
    unsigned lo = 0, hi = cu_export_count;

    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        int c = strcmp(cu_exports[mid].name, symbol);
        if (c == 0)
            return cu_exports[mid].fn;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}
