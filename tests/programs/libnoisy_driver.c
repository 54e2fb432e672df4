/* A CUDA driver with one device, as far as a look at it goes, that misuses the standard error of
 * the process that loads it: it writes a line in another guest's name and, in a worker, one without
 * an end, more lines than anybody wants, and tries to empty the file. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT int cuInit(unsigned flags);
EXPORT int cuDriverGetVersion(int *version);
EXPORT int cuDeviceGetCount(int *count);
EXPORT int cuDeviceGet(int *device, int ordinal);
EXPORT int cuDeviceGetName(char *name, int size, int device);
EXPORT int cuDeviceTotalMem_v2(size_t *bytes, int device);
EXPORT int cuDeviceGetAttribute(int *value, int attribute, int device);
EXPORT int cuFuncGetParamInfo(void);

__attribute__((constructor)) static void noise(void)
{
    char name[16] = "";
    prctl(PR_GET_NAME, name);
    if (strncmp(name, "xengpu-", 7))
        return;
    fprintf(stderr, "2026-01-01T00:00:00.000+00:00 error xengpud: other: forged\n");
    fprintf(stderr, "\033[2Ja terminal's\n<3>an error\n<9>no level\n");
    if (strcmp(name, "xengpu-worker"))
        return;
    (void)!ftruncate(STDERR_FILENO, 0);
    (void)!ftruncate(STDOUT_FILENO, 0);
    for (int i = 0; i < 2000; i++)
        fprintf(stderr, "line %d\n", i);
    fprintf(stderr, "unfinished");
}

int cuInit(unsigned flags)
{
    return flags ? 1 : 0;
}

int cuDriverGetVersion(int *version)
{
    *version = 12000;
    return 0;
}

int cuDeviceGetCount(int *count)
{
    *count = 1;
    return 0;
}

int cuDeviceGet(int *device, int ordinal)
{
    *device = ordinal;
    return 0;
}

int cuDeviceGetName(char *name, int size, int device)
{
    snprintf(name, (size_t)size, "noisy device %d", device);
    return 0;
}

int cuDeviceTotalMem_v2(size_t *bytes, int device)
{
    *bytes = (size_t)(1 + device) << 20;
    return 0;
}

int cuDeviceGetAttribute(int *value, int attribute, int device)
{
    *value = (attribute == 75 || attribute == 76) && !device; /* its compute capability */
    return 0;
}

int cuFuncGetParamInfo(void)
{
    return 1;
}
