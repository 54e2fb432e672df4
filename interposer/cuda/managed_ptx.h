/*
 * __managed__ variables in PTX. The driver would place them where only its own process reaches
 * them; so they lie in memory that both sides have at one address, and the text has that address
 * wherever it names the variable. Its initial value, if there is one, stays in the module under
 * another name, to be copied from there.
 */
#ifndef XG_INTERPOSER_CUDA_MANAGED_PTX_H
#define XG_INTERPOSER_CUDA_MANAGED_PTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CU_MANAGED_INITIAL                                                                         \
    "__xg_initial" /* behind a variable's name: where its initial value is                         \
                    */

struct cu_managed_decl {
    char *name;
    uint64_t size, align; /* bytes */
    bool initial;
    uint64_t address; /* the caller's to give, before cu_managed_text; 0: none */
};

/* *decl (with its names) is the caller's to free. 0 and *count 0: there are none. -EBADMSG: a
 * definition that is not understood; -ENOMEM. */
int cu_managed_find_all(const char *ptx, size_t length, struct cu_managed_decl **decl,
                        unsigned *count);
/* *text ends in NUL, and is the caller's to free. -EBADMSG: a use that is not understood; -ENOMEM.
 */
int cu_managed_text(const char *ptx, size_t length, const struct cu_managed_decl *decl,
                    unsigned count, char **text);
void cu_managed_decls_free(struct cu_managed_decl *decl, unsigned count);

#endif
