/* A CUDA driver whose initialisation ends the process. */
#include <stdlib.h>

#define ENTRY(name)                                                                                \
    __attribute__((visibility("default"))) int name(void);                                         \
    int name(void)                                                                                 \
    {                                                                                              \
        abort();                                                                                   \
    }

ENTRY(cuInit)
ENTRY(cuDriverGetVersion)
ENTRY(cuDeviceGetCount)
ENTRY(cuDeviceGet)
ENTRY(cuDeviceGetName)
ENTRY(cuDeviceTotalMem_v2)
ENTRY(cuDeviceGetAttribute)
