/* Driver functions that cuda/abi.h does not have, because only this library calls them. */
#ifndef XG_CUDART_DRIVER_EXTRA_H
#define XG_CUDART_DRIVER_EXTRA_H

CUresult cuProfilerStart(void);
CUresult cuProfilerStop(void);
CUresult cuFlushGPUDirectRDMAWrites(int, int);

#endif
