/* Numbers of the one device. */
#ifndef SC_DEVICE_H
#define SC_DEVICE_H

#include "cuda/device.h"

enum {
    SC_PRIORITY_HIGH = -5, /* accepted and reported; streams run as they come */
    SC_SHARED_RESERVED = 0,
};

bool sc_device_init(void); /* false: CUDA_VISIBLE_DEVICES names no device */

extern struct xg_cuda_facts sc_facts; /* these three: see cuda/device.h */
uint64_t sc_memory_total(void);
bool sc_attribute(CUdevice_attribute id, int *value);

#endif
