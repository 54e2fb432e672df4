#include "backend/cuda/driver.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "protocol/base.h"

int xg_cu_driver_open(struct cu_driver *d, const char *path, const char **why)
{
    static const char *const needed[] = {
#define X(name) #name,
        CU_DRIVER_NEEDED(X)
#undef X
    };

    memset(d, 0, sizeof(*d));
    d->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!d->library) {
        *why = dlerror();
        return -ENOENT;
    }
#define X(name) d->name = (__typeof__(&name))dlsym(d->library, #name);
    CU_DRIVER_NEEDED(X)
    CU_DRIVER_WANTED(X)
#undef X
    for (unsigned i = 0; i < XG_ARRAY_LEN(needed); i++) {
        if (!dlsym(d->library, needed[i])) {
            *why = needed[i];
            return -ENOSYS;
        }
    }
    return 0;
}
