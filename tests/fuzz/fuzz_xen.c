/* The broker on Xen: a guest that writes its nodes, its control page and its directory pages as it
 * likes, crashes its workers and comes again, while xenstore, the hypervisor and the toolstack are
 * played (tests/unit/fake_xen.h, broker_bed.h). Afterwards another guest is served as before, and
 * nothing of the first is mapped, bound or left. */
#include "tests/fuzz/steps.h"
#include "tests/unit/broker_bed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIRECTORIES = 4, BAD = 3, GOOD = 9 };
enum {
    CONNECT,
    NODE,
    NODE_GONE,
    PAGE,
    REQUEST,
    EVENT,
    WAIT,
    DIRECTORY,
    CRASH,
    TAKE,
    TOOL,
    FAIL,
    DAEMON,
    DOMAIN,
    REVOKE,
    DIES,
    KINDS
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bed_guest bad, good;
static struct xg_directory_page *directory[DIRECTORIES];
static uint32_t directory_ref[DIRECTORIES];
static bool disturbed; /* by others than the guest: the good one need not be connected still */

static void node_step(const struct fuzz_step *s)
{
    static const char *const names[] = {"state",   "version",    "ring-ref", "event-channel",
                                        "backend", "backend-id", "",         "more"};
    char path[64];

    snprintf(path, sizeof(path), "device/xengpu/0/%s", names[s->where % XG_ARRAY_LEN(names)]);
    if (s->what % KINDS == NODE_GONE)
        fake_write(BAD, path, NULL);
    else
        fake_write_bytes(BAD, path, s->bytes, s->size);
    bed_run();
}

/* Where it is good the bytes spoil it: an OPEN that may pass, else whatever there is. */
static void request_step(const struct fuzz_step *s)
{
    struct xg_control_request rq = {.id = bad.req_prod, .channel = s->where & 3};

    if (!bad.page)
        return;
    rq.op = s->where & 4 ? XG_CONTROL_CLOSE : XG_CONTROL_OPEN;
    rq.open.geometry =
        (struct xg_geometry){.ring_count = 1, .cmd_order = XG_CMD_ORDER_MIN, .arena_pages = 1};
    rq.open.directory = directory_ref[0];
    if (s->where & 8)
        fuzz_lay(s, 0, &rq, 0, sizeof(rq));
    else
        fuzz_lay(s, 0, &rq, 16, sizeof(rq));
    bad.page->request[bad.req_prod % XG_CONTROL_REQUESTS] = rq;
    bad.page->req_prod = ++bad.req_prod;
    fake_event(BAD, bad.port);
    if (!(s->where & 16))
        bed_run();
}

static void directory_step(const struct fuzz_step *s)
{
    struct xg_directory_page *d = directory[s->where % DIRECTORIES];

    if (s->where & 8) { /* all in order: as many references as the smallest channel has */
        d->next = 0;
        d->count = 1 + 1 + (1 << XG_CMD_ORDER_MIN) + 1 + 1;
    }
    if (s->where & 16)
        d->next = directory_ref[(s->where + 1) % DIRECTORIES];
    fuzz_lay(s, 0, d, s->where & 32 ? 4 : 0, sizeof(*d));
}

static void tool_attach(void)
{
    struct xg_settings own = {.policy = {.memory = UINT64_MAX}};
    struct xg_guest *g;
    struct xg_why why;

    (void)xg_guest_attach(&bed_broker, "bad", 0, &own, &g, &why);
    bed_run();
}

static void tool_step(const struct fuzz_step *s)
{
    struct xg_guest *g = xg_guest_find(&bed_broker, "bad");

    switch (s->where % 4) {
    case 0: fake_write(0, "/local/domain/0/backend/xengpu/3/0/online", "0"); break;
    case 1: fake_write(0, "/local/domain/0/backend/xengpu/3", NULL); break;
    case 2:
        if (g)
            xg_guest_detach(g, NULL, NULL);
        break;
    default: tool_attach(); break;
    }
    bed_run();
}

static void daemon_step(const struct fuzz_step *s)
{
    disturbed = true;
    if (s->where & 1)
        bed_kill();
    else
        bed_stop();
    fuzz_must(!bed_start(0));
}

static void domain_new(void)
{
    bed_guest_create(&bad, BAD, "bad");
    tool_attach();
}

static void step_do(const struct fuzz_step *s)
{
    switch (s->what % KINDS) {
    case CONNECT: (void)bed_connect(&bad); break;
    case NODE:
    case NODE_GONE: node_step(s); break;
    case PAGE:
        if (bad.page)
            fuzz_lay(s, 0, bad.page, s->where * 16u, sizeof(*bad.page));
        break;
    case REQUEST: request_step(s); break;
    case EVENT:
        if (bad.port)
            fake_event(BAD, bad.port);
        bed_run();
        break;
    case WAIT: bed_wait(s->where * 16u); break;
    case DIRECTORY: directory_step(s); break;
    case CRASH: bed_crash(); break;
    case TAKE:
        if (bad.page)
            bad.page->msg_cons = bad.msg_cons = bad.page->msg_prod;
        break;
    case TOOL: tool_step(s); break;
    case FAIL:
        disturbed = true;
        fake_fail(s->where & 31, fuzz_number(s, 0, 1) + 1, s->where & 32 ? ENOSPC : EACCES);
        break;
    case DAEMON: daemon_step(s); break;
    case DOMAIN:
        bed_guest_destroy(&bad);
        domain_new();
        break;
    case REVOKE:
        fake_revoke(BAD, s->where & 1 || !bad.page ? directory_ref[s->where / 2 % DIRECTORIES]
                                                   : bad.ref);
        break;
    case DIES:
        if (bad.page)
            bad.page->front_alive = 0;
        if (bad.port)
            fake_event(BAD, bad.port);
        bed_run();
        break;
    default: break;
    }
}

static void begin(void)
{
    struct xg_settings own = {.policy = {.memory = UINT64_MAX}};
    struct xg_guest *g;
    struct xg_why why;

    fake_reset();
    fuzz_must(!bed_start(0));
    bed_guest_create(&good, GOOD, "good");
    fuzz_must(!xg_guest_attach(&bed_broker, "good", 0, &own, &g, &why));
    fuzz_must(bed_connect(&good));
    domain_new();
    disturbed = false;
    for (unsigned i = 0; i < DIRECTORIES; i++) {
        directory[i] = aligned_alloc(XG_PAGE_SIZE, sizeof(*directory[i]));
        memset(directory[i], 0, sizeof(*directory[i]));
        directory_ref[i] = fake_grant(BAD, directory[i]);
    }
}

/* The one is served as ever. What the other guest broke, a new domain of its name does not feel. */
static void end(void)
{
    fake_fail(0, 0, 0);
    bed_wait(2000);
    if (disturbed)
        fuzz_must(bed_connect(&good));
    fuzz_must(bed_alive(&good));
    bed_guest_destroy(&bad);
    fuzz_must(!xg_guest_find(&bed_broker, "bad"));
    fuzz_must(fake_mapped(BAD) + fake_bound(BAD) == 0);
    for (unsigned i = 0; i < DIRECTORIES; i++) {
        fake_revoke(BAD, directory_ref[i]);
        free(directory[i]);
    }
    domain_new();
    fuzz_must(bed_connect(&bad));
    fuzz_must(bed_alive(&bad));
    bed_guest_destroy(&bad);
    bed_guest_destroy(&good);
    fuzz_must(!bed_workers);
    bed_stop();
    fuzz_must(!fake_handles());
    fake_reset();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned before = fuzz_descriptors();

    fuzz_play(data, size, begin, step_do, end);
    fuzz_must(fuzz_descriptors() <= before + 2); /* what the bed keeps from one to the next */
    return 0;
}
