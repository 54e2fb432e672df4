/* Numbers of the one device. */
#ifndef SC_DEVICE_H
#define SC_DEVICE_H

#include <stdbool.h>

enum {
    SC_DEVICES = 1,
    SC_PRIORITY_HIGH = -5, /* accepted and reported; streams run as they come */
    SC_SHARED_RESERVED = 0,
};

bool sc_device_init(void); /* false: CUDA_VISIBLE_DEVICES names no device */

#endif
