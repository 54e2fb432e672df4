#include "cuda/errors.h"

#include "protocol/base.h"

struct error {
    CUresult value;
    const char *name, *text;
};

static const struct error errors[] = {
#define E(value, text) {value, #value, text},
#include "cuda/error_table.h"
#undef E
};

static const struct error *error_find(CUresult value)
{
    for (unsigned i = 0; i < XG_ARRAY_LEN(errors); i++)
        if (errors[i].value == value)
            return &errors[i];
    return NULL;
}

const char *xg_cuda_error_name(CUresult error)
{
    const struct error *e = error_find(error);
    return e ? e->name : NULL;
}

const char *xg_cuda_error_text(CUresult error)
{
    const struct error *e = error_find(error);
    return e ? e->text : NULL;
}
