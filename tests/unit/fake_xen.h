/*
 * A Xen host in memory, for programs that link these files in the place of libxenstore,
 * libxengnttab and libxenevtchn: a store with permissions, transactions and watches, pages that are
 * granted, ports that are bound. Whatever the library functions do can be made to fail, and all
 * that they hand out is counted.
 */
#ifndef XG_TEST_FAKE_XEN_H
#define XG_TEST_FAKE_XEN_H

#include "protocol/base.h"

struct xs_handle;

void fake_reset(void);

/* The next xs_open is made by this domain. */
void fake_open_as(uint32_t domid);
/* As xl does; the name may come later (NULL). */
void fake_domain(uint32_t domid, const char *name);
void fake_domain_name(uint32_t domid, const char *name);
/* @introduceDomain, @releaseDomain. */
void fake_introduce(uint32_t domid);
void fake_release(uint32_t domid);
/* Writes or, with NULL, removes a node as `domid`; 0 or -errno. Relative paths too. */
int fake_write(uint32_t domid, const char *path, const char *value);
int fake_write_bytes(uint32_t domid, const char *path, const void *value, size_t size);
/* The value as Dom0 sees it, NULL: none. Valid until the next call. */
const char *fake_value(const char *path);
unsigned fake_nodes(void); /* how many there are */

/* A page that `domid` has granted: its reference. */
uint32_t fake_grant(uint32_t domid, void *page);
void fake_revoke(uint32_t domid, uint32_t ref);
unsigned fake_mapped(uint32_t domid); /* mappings of its pages now */
/* A port that `domid` has allocated for us: its number. */
uint32_t fake_port(uint32_t domid);
void fake_port_close(uint32_t domid, uint32_t port); /* unless it is bound */
unsigned fake_bound(uint32_t domid);
void fake_event(uint32_t domid, uint32_t port); /* `domid` sends */
unsigned fake_events_sent(uint32_t port);       /* to `domid`'s port, since the reset */
extern void (*fake_closed)(int fd);             /* a handle's descriptor is closed */
unsigned fake_handles(void);                    /* of all three libraries, open now */
unsigned fake_calls(const char *function);      /* of xs_read, xenevtchn_pending, ... so far */

/* What may fail. The n-th call of these from now on (1: the next) fails, once, with `error`. */
enum fake_kind {
    FAKE_STORE = 1,       /* reads and writes */
    FAKE_TRANSACTION = 2, /* its end */
    FAKE_WATCH = 4,
    FAKE_MAP = 8,
    FAKE_BIND = 16,
    FAKE_OPEN = 32,
};
void fake_fail(unsigned kinds, unsigned n, int error);
bool fake_failed(void); /* it has been reached */

#endif
