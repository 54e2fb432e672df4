/* The handlers for x86-64-v4: AVX-512. module.mk sets the flags. */
#if defined(__AVX512F__)
#define SC_TABLE sc_table_v4
#include "softcuda/ptx/exec_lanes.h"
#else
typedef int sc_exec_v4_absent;
#endif
