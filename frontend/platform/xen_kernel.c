/* What a guest's kernel must have for the agent. */
#include "frontend/platform/guest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LIMIT "/sys/module/xen_gntalloc/parameters/limit"

int xg_guest_devices_xen(char *error, size_t size)
{
    static const struct {
        const char *path, *module;
    } needed[] = {{"/dev/xen/xenbus", "xenfs"},
                  {"/dev/xen/evtchn", "xen-evtchn"},
                  {XG_GNTALLOC, "xen-gntalloc"}};
    for (unsigned i = 0; i < XG_ARRAY_LEN(needed); i++) {
        if (access(needed[i].path, R_OK | W_OK) == 0)
            continue;
        int err = -errno;
        if (err == -ENOENT)
            snprintf(error, size, "%s is missing: 'modprobe %s', as root; is this a Xen guest?",
                     needed[i].path, needed[i].module);
        else
            snprintf(error, size, "%s: %s; the agent must be started as root", needed[i].path,
                     strerror(-err));
        return err;
    }
    return 0;
}

static bool limit_read(unsigned long *limit)
{
    FILE *f = fopen(LIMIT, "re");
    bool good = f && fscanf(f, "%lu", limit) == 1;
    if (f)
        fclose(f);
    return good;
}

static bool limit_write(uint32_t limit)
{
    FILE *f = fopen(LIMIT, "we");
    bool good = f && fprintf(f, "%u\n", limit) > 0;
    if (f && fclose(f))
        good = false;
    return good;
}

uint32_t xg_guest_grants_xen(uint32_t wanted, char *text, size_t size)
{
    unsigned long limit;
    text[0] = 0;
    if (!limit_read(&limit) || limit >= wanted)
        return wanted;
    if (limit_write(wanted) && limit_read(&limit) && limit >= wanted)
        return wanted;
    snprintf(text, size,
             "this kernel lets %lu pages be shared, and %u are wanted; as root: 'echo %u > " LIMIT
             "', or 'options xen-gntalloc limit=%u' in /etc/modprobe.d",
             limit, wanted, wanted, wanted);
    return (uint32_t)limit;
}
