/*
 * The broker on a fake Xen host (fake_xen.h), without its processes: a loop whose clock the test
 * moves, workers that are numbers, one pGPU "gpu0" whose device is known, types "default" and
 * "small". Link obj/libbroker.a after this.
 */
#ifndef XG_TEST_BROKER_BED_H
#define XG_TEST_BROKER_BED_H

#include "backend/broker/guest.h"
#include "backend/broker/inventory.h"
#include "tests/unit/fake_xen.h"

extern struct xg_broker bed_broker;

/* `own`: the daemon's domain. */
int bed_start(uint32_t own);
/* Local mode, for programs that have backend/platform/local.c as a source of their own. */
void bed_start_local(const char *directory);
/* The daemon ends in order, as main.c does it. */
void bed_stop(void);
/* ... or without a word: all that the kernel would take back is taken back. */
void bed_kill(void);
/* Until nothing is ready any more. */
void bed_run(void);
/* The same, and lets time pass. */
void bed_wait(uint64_t ms);
/* What each of the daemon's turns, and each request, costs of a processor; 0 from the start. */
extern uint64_t bed_cost_ns;
extern uint64_t bed_spent_ns; /* so far */
struct xg_guest_config *bed_configure(const char *name, uint32_t weight);
extern unsigned bed_workers; /* that live */
extern char bed_log[256];    /* the last line */

/* An honest guest agent, or one that does as it is told. */
struct bed_guest {
    uint32_t domid;
    struct xg_control_page *page;
    uint32_t ref, port;
    uint32_t req_prod, msg_cons;
};

/* A running domain. */
void bed_guest_create(struct bed_guest *b, uint32_t domid, const char *name);
void bed_guest_destroy(struct bed_guest *b);
void bed_front(struct bed_guest *b, const char *node, const char *value);
int bed_back_state(const struct bed_guest *b);
/* From whatever there is to state 4 on both sides, as an agent does that has just been started.
 * False: it does not come. */
bool bed_connect(struct bed_guest *b);
/* Sends a request that no daemon knows; true if it is answered as it must be. */
bool bed_alive(struct bed_guest *b);
/* Time passes by so much before an answer is looked for, and ten times as much at most. */
extern uint64_t bed_answer_ms;
/* Opens a channel with pages of the smallest geometry; the status that comes back, 1: none. */
int bed_open(struct bed_guest *b, uint32_t channel);
/* All workers crash. */
void bed_crash(void);
int bed_close(struct bed_guest *b, uint32_t channel);

#endif
