/* The driver's functions by name, the private tables of a vendor's driver, and texts of results. */
#include "cuda/asker.h"
#include "cuda/device.h"
#include "cuda/errors.h"
#include "cuda/procs.h"

#include <limits.h>
#include <stdio.h>

static CUresult proc_address(const char *name, void **out, int version, cuuint64_t flags,
                             CUdriverProcAddressQueryResult *status)
{
    CUdriverProcAddressQueryResult why = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;

    if (!name || !out || !xg_cuda_proc_valid(version, flags))
        return CUDA_ERROR_INVALID_VALUE;
    const char *symbol = xg_cuda_proc_symbol(name, version, flags, &why);
    *out = symbol ? xg_cuda_device.symbol_find(symbol) : NULL;
    if (symbol && !*out)
        why = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    if (status)
        *status = why;
    /* With the status to look at, the call itself succeeds, as the API has it since 12.0. */
    return *out || status ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult cuGetProcAddress_v2(const char *name, void **out, int version, cuuint64_t flags,
                             CUdriverProcAddressQueryResult *status)
{
    xg_cuda_asker_note(XG_CUDA_CALLER());
    return proc_address(name, out, version, flags, status);
}

CUresult cuGetProcAddress(const char *name, void **out, int version, cuuint64_t flags)
{
    xg_cuda_asker_note(XG_CUDA_CALLER());
    return proc_address(name, out, version, flags, NULL);
}

/* Private tables of the vendor's own libraries: there are none here. */
CUresult cuGetExportTable(const void **table, const CUuuid *id)
{
    const void *caller = XG_CUDA_CALLER();
    char text[3 * PATH_MAX];

    if (!table || !id)
        return CUDA_ERROR_INVALID_VALUE;
    *table = NULL;
    if (xg_cuda_asker_fails(caller, (void *)cuGetExportTable, xg_cuda_device.name, text,
                            sizeof(text)))
        fputs(text, stderr);
    return CUDA_ERROR_NOT_FOUND;
}

/* --- results ---------------------------------------------------------------------------------- */

CUresult cuGetErrorName(CUresult error, const char **name)
{
    if (!name)
        return CUDA_ERROR_INVALID_VALUE;
    *name = xg_cuda_error_name(error);
    return *name ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult error, const char **text)
{
    if (!text)
        return CUDA_ERROR_INVALID_VALUE;
    *text = xg_cuda_error_text(error);
    return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
