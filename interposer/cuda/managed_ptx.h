/*
 * __managed__ variables in PTX. The driver would place them where only its own process reaches them; so each definition becomes a
 * declaration, and the variable lies in memory that both sides have. Its initial value, if there is one, stays in the module under another
 * name, to be copied from there.
 */
#ifndef XG_INTERPOSER_CUDA_MANAGED_PTX_H
#define XG_INTERPOSER_CUDA_MANAGED_PTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CU_MANAGED_INITIAL "__xg_initial" /* behind a variable's name: where its initial value is */

struct cu_managed_decl {
    char *name;
    uint64_t size, align; /* bytes */
    bool initial;
};

/* *text, ends in NUL, and *decl (with its names) are the caller's to free. 0 and *count 0: there are none, and no text. -EBADMSG: a
 * definition that is not understood; -ENOMEM. */
int cu_managed_rewrite(const char *ptx, size_t length, char **text, struct cu_managed_decl **decl, unsigned *count);
void cu_managed_decls_free(struct cu_managed_decl *decl, unsigned count);

#endif
