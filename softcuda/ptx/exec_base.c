/* The handlers for any CPU. */
#define SC_TABLE sc_table_base
#include "softcuda/ptx/exec_lanes.h"
