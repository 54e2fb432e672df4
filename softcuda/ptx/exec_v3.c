/* The handlers for x86-64-v3: AVX2, FMA, F16C. module.mk sets the flags. */
#if defined(__AVX2__)
#define SC_TABLE sc_table_v3
#include "softcuda/ptx/exec_lanes.h"
#else
typedef int sc_exec_v3_absent;
#endif
