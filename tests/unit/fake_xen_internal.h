/* What the files of the fake Xen share. */
#ifndef XG_TEST_FAKE_XEN_INTERNAL_H
#define XG_TEST_FAKE_XEN_INTERNAL_H

#include "tests/unit/fake_xen.h"

/* Counts the call. False, with errno: this is the one that fails. */
bool fake_may(enum fake_kind kind, const char *function);
void fake_handle_count(int more);
void fake_store_reset(void);

#endif
