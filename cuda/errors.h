/* Names and texts of the driver API's results. */
#ifndef XG_CUDA_ERRORS_H
#define XG_CUDA_ERRORS_H

#include "cuda/abi.h"

/* "CUDA_ERROR_INVALID_VALUE", and its meaning in words; both constant. NULL: the API has no such
 * value. */
const char *xg_cuda_error_name(CUresult error);
const char *xg_cuda_error_text(CUresult error);

#endif
