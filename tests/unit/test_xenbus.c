/* A device's states over xenstore, with frontends that write what they like, and with whatever can
 * fail failing: nothing is lost, nothing stays mapped, the neighbour does not notice, and an honest
 * frontend always gets through afterwards. */
/* links: obj/libbroker.a obj/libsettings.a obj/libprotocol.a -ljansson -lseccomp -lxentoollog */
/* with: tests/unit/broker_bed.c tests/unit/fake_xen.c tests/unit/fake_xenstore.c */
/* limit: 120 */
#include "tests/unit/broker_bed.h"
#include "backend/broker/xenbus.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct bed_guest one, two;

static struct xg_guest *attach(const char *name)
{
    struct xg_guest *g;
    struct xg_why why;
    if (xg_guest_attach(&bed_broker, name, 0, &XG_SETTINGS_NONE, &g, &why))
        return NULL;
    bed_run();
    return g;
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    assert_int_equal(bed_start(0), 0);
    bed_guest_create(&one, 1, "one");
    bed_guest_create(&two, 2, "two");
    assert_non_null(attach("one"));
    assert_non_null(attach("two"));
    assert_true(bed_connect(&two));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_fail(0, 0, 0);
    bed_cost_ns = 0;
    bed_guest_destroy(&one);
    bed_guest_destroy(&two);
    bed_stop();
    assert_int_equal(fake_handles(), 0);
    assert_int_equal(bed_workers, 0);
    return 0;
}

/* What is mapped and bound is what the state says. */
static void consistent(const struct bed_guest *b)
{
    unsigned connected = bed_back_state(b) == XG_XENBUS_CONNECTED;
    assert_int_equal(fake_mapped(b->domid), connected);
    assert_int_equal(fake_bound(b->domid), connected);
    assert_int_equal(bed_workers, 0);
}

/* --- states ----------------------------------------------------------------------------------- */

static const char *const written[] = {"1", "2", "3",  "4",  "5",          "6", "7",
                                      "0", "",  "x3", "-1", "4294967297", NULL};

/* Offers a page, as an honest agent would before it writes 3; the state is the test's. */
static void offer(struct bed_guest *b)
{
    char text[16];
    fake_revoke(b->domid, b->ref);
    if (!b->page)
        b->page = aligned_alloc(XG_PAGE_SIZE, sizeof(*b->page));
    memset(b->page, 0, sizeof(*b->page));
    b->page->magic = XG_CONTROL_MAGIC;
    b->page->version = XG_CONTROL_VERSION;
    b->page->front_alive = 1;
    b->ref = fake_grant(b->domid, b->page);
    if (!b->port)
        b->port = fake_port(b->domid);
    snprintf(text, sizeof(text), "%u", b->ref);
    bed_front(b, "ring-ref", text);
    snprintf(text, sizeof(text), "%u", b->port);
    bed_front(b, "event-channel", text);
    bed_front(b, "version", "1");
}

static void every_sequence_of_states(void **state)
{
    const unsigned n = XG_ARRAY_LEN(written);
    unsigned total = 0, connected = 0;
    (void)state;
    for (unsigned length = 1, count = n; length <= 4; length++, count *= n) {
        for (unsigned i = 0; i < count; i++) {
            bed_front(&one, "state", "6");
            bed_front(&one, "state", "1");
            offer(&one);
            for (unsigned k = 0, rest = i; k < length; k++, rest /= n) {
                bed_front(&one, "state", written[rest % n]);
                consistent(&one);
                connected += bed_back_state(&one) == XG_XENBUS_CONNECTED;
            }
            consistent(&one);
            total++;
        }
        assert_true(bed_connect(&one));
        assert_true(bed_alive(&one));
        assert_true(bed_alive(&two));
        bed_front(&one, "state", "6");
        consistent(&one);
    }
    assert_true(bed_alive(&two));
    assert_true(connected > total / 10); /* it does get there */
}

static void refused_naming(const char *theirs)
{
    char error[256], path[128];
    bed_front(&one, "state", "3");
    assert_int_equal(bed_back_state(&one), XG_XENBUS_CLOSED);
    snprintf(path, sizeof(path), "/local/domain/0/backend/xengpu/%u/0/error", one.domid);
    snprintf(error, sizeof(error), "%s", fake_value(path));
    assert_non_null(strstr(error, theirs));
    assert_non_null(strstr(error, "xengpud " XG_RELEASE " speaks version 1"));
    assert_non_null(strstr(bed_log, error));
    bed_front(&one, "state", "6");
    bed_front(&one, "state", "1");
    consistent(&one);
}

/* The daemon's log and the node that the agent shows name both versions. */
static void agents_of_another_version(void **state)
{
    (void)state;
    bed_front(&one, "state", "6");
    bed_front(&one, "state", "1");
    bed_front(&one, "version", "7"); /* and no page, which it need not have made */
    refused_naming("the guest's agent speaks protocol version 7");
    offer(&one);
    one.page->version = 2;
    refused_naming("the guest's agent speaks control ring version 2");
    assert_true(bed_connect(&one));
    assert_true(bed_alive(&two));
}

/* The same with applications open: their workers end before the pages are given back. */
static void states_with_applications(void **state)
{
    (void)state;
    for (unsigned i = 0; i < XG_ARRAY_LEN(written); i++)
        for (unsigned k = 0; k < XG_ARRAY_LEN(written); k++) {
            assert_true(bed_connect(&one));
            assert_int_equal(bed_open(&one, 0), 0);
            assert_int_equal(bed_open(&one, 3), 0);
            assert_int_equal(bed_workers, 2);
            bed_front(&one, "state", written[i]);
            bed_front(&one, "state", written[k]);
            bed_wait(200);
            bed_front(&one, "state", "6");
            bed_wait(600);
            consistent(&one);
        }
    assert_true(bed_alive(&two));
}

/* A frontend that throws its directory away, or makes it anew, is closed and may come back. */
static void nodes_thrown_away(void **state)
{
    (void)state;
    assert_true(bed_connect(&one));
    fake_write(1, "device/xengpu/0", NULL);
    bed_wait(200);
    consistent(&one);
    assert_int_equal(bed_back_state(&one), XG_XENBUS_CLOSED);
    assert_true(bed_alive(&two));
}

/* --- absurd values ---------------------------------------------------------------------------- */

static char long_text[3000];

static const char *const absurd[] = {"",
                                     " ",
                                     "0",
                                     "-0",
                                     "-1",
                                     "1x",
                                     "x",
                                     "0x10",
                                     "1.5",
                                     "1e3",
                                     "+1",
                                     "65535",
                                     "65536",
                                     "2147483647",
                                     "2147483648",
                                     "4294967295",
                                     "4294967296",
                                     "9223372036854775808",
                                     "18446744073709551615",
                                     "18446744073709551616",
                                     "99999999999999999999999999999999999999",
                                     "%s%n%s%n",
                                     "\n",
                                     "\x01\x02",
                                     "\xff\xfe",
                                     "1,2",
                                     "1 ",
                                     long_text,
                                     NULL};

static void absurd_values_in_each_node(void **state)
{
    static const char *const nodes[] = {"version", "ring-ref",   "event-channel", "state",
                                        "backend", "backend-id", "no-such-node"};
    (void)state;
    memset(long_text, '7', sizeof(long_text) - 1);
    for (unsigned n = 0; n < XG_ARRAY_LEN(nodes); n++)
        for (unsigned i = 0; i < XG_ARRAY_LEN(absurd); i++) {
            char path[96], kept[128] = "";
            snprintf(path, sizeof(path), "/local/domain/1/device/xengpu/0/%s", nodes[n]);
            snprintf(kept, sizeof(kept), "%s", fake_value(path) ? fake_value(path) : "");
            bed_front(&one, "state", "6");
            bed_front(&one, "state", "1");
            offer(&one);
            bed_front(&one, nodes[n], absurd[i]);
            if (n != 3)
                bed_front(&one, "state", "3");
            bed_wait(200);
            consistent(&one);
            if (n < 3 && bed_back_state(&one) != XG_XENBUS_CONNECTED)
                assert_string_not_equal(fake_value("/local/domain/0/backend/xengpu/1/0/error"), "");
            if (n == 4 || n == 5)
                bed_front(&one, nodes[n], kept);
        }
    assert_true(bed_connect(&one));
    assert_true(bed_alive(&one));
    assert_true(bed_alive(&two));
}

/* A control page with anything in it. */
static void absurd_pages(void **state)
{
    (void)state;
    srand(7);
    for (unsigned i = 0; i < 3000; i++) {
        assert_true(bed_connect(&one));
        uint8_t *p = (uint8_t *)one.page;
        for (unsigned k = 0; k < 40; k++) {
            size_t at = (size_t)rand() % (i % 3 ? 0xc0 : XG_PAGE_SIZE);
            p[at] = (uint8_t)rand();
            if (k % 8 == 0) {
                fake_event(1, one.port);
                bed_run();
            }
        }
        bed_wait(200);
        bed_front(&one, "state", "6");
        bed_wait(600);
        consistent(&one);
        if (i % 100 == 0)
            assert_true(bed_alive(&two));
    }
}

/* --- failures (XSA-362: every map and every bind) --------------------------------------------- */

static void life(void)
{
    if (!bed_connect(&one))
        return;
    for (uint32_t c = 0; c < 2; c++)
        bed_open(&one, c);
    bed_close(&one, 1);
    bed_front(&one, "state", "5");
    bed_wait(600);
    bed_front(&one, "state", "6");
    bed_wait(200);
}

static void failing(unsigned kinds, int error)
{
    unsigned n = 0;
    do {
        n++;
        fake_fail(kinds, n, error);
        life();
        bool reached = fake_failed();
        fake_fail(0, 0, 0);
        bed_front(&one, "state", "6");
        bed_wait(600);
        if (!xg_guest_find(&bed_broker, "one"))
            assert_non_null(attach("one"));
        consistent(&one);
        assert_true(bed_connect(&one));
        assert_true(bed_alive(&one));
        bed_front(&one, "state", "6");
        bed_wait(200);
        consistent(&one);
        assert_true(bed_alive(&two));
        if (!reached)
            break;
    } while (n < 500);
    assert_true(n > 1 && n < 500);
}

static void each_map_fails_once(void **state)
{
    (void)state;
    failing(FAKE_MAP, EINVAL);
    failing(FAKE_MAP, ENOMEM);
    failing(FAKE_MAP, 0); /* libraries forget errno at times */
}

static void each_bind_fails_once(void **state)
{
    (void)state;
    failing(FAKE_BIND, EINVAL);
    failing(FAKE_BIND, ENOSPC);
}

static void each_access_to_the_store_fails_once(void **state)
{
    (void)state;
    failing(FAKE_STORE, ENOSPC);
    failing(FAKE_STORE, EIO);
}

static void attaching_fails_and_then_does_not(void **state)
{
    unsigned n = 0;
    bool reached;
    (void)state;
    bed_guest_destroy(&one);
    bed_guest_create(&one, 1, "one");
    unsigned nodes = fake_nodes(), handles = fake_handles();
    do {
        n++;
        fake_fail(FAKE_STORE | FAKE_TRANSACTION | FAKE_WATCH | FAKE_OPEN, n,
                  n % 2 ? EAGAIN : ENOSPC);
        struct xg_guest *g = attach("one");
        reached = fake_failed();
        fake_fail(0, 0, 0);
        if (g) {
            xg_guest_detach(g, NULL, NULL);
            bed_wait(600);
        } else {
            bed_wait(100);
        }
        if (xg_guest_find(&bed_broker, "one")) { /* found by its nodes */
            xg_guest_detach(xg_guest_find(&bed_broker, "one"), NULL, NULL);
            bed_wait(600);
        }
        fake_write(0, "/local/domain/0/backend/xengpu/1", NULL);
        fake_write(0, "/local/domain/1/device/xengpu", NULL);
        bed_wait(100);
        assert_int_equal(fake_handles(), handles);
        assert_int_equal(fake_nodes(), nodes);
    } while (reached && n < 200);
    assert_true(n > 10 && n < 200);
    assert_non_null(attach("one"));
    assert_true(bed_connect(&one));
    assert_true(bed_alive(&two));
}

/* --- death ------------------------------------------------------------------------------------ */

static void an_agent_that_dies(void **state)
{
    (void)state;
    assert_true(bed_connect(&one));
    assert_int_equal(bed_open(&one, 0), 0);
    one.page->front_alive = 0; /* the guest's kernel does, and sends the event */
    fake_event(1, one.port);
    bed_wait(600);
    assert_int_equal(bed_back_state(&one), XG_XENBUS_CLOSED);
    consistent(&one);
    assert_true(bed_connect(&one));
    assert_true(bed_alive(&one));
    assert_true(bed_alive(&two));
}

/* The page is found again in each state that a daemon may have left it in. */
static void a_daemon_that_dies(void **state)
{
    (void)state;
    for (unsigned i = 0; i < XG_ARRAY_LEN(written); i++) {
        assert_true(bed_connect(&one));
        assert_int_equal(bed_open(&one, 0), 0);
        bed_kill();
        assert_int_equal(one.page->back_alive, 0);
        assert_int_equal(two.page->back_alive, 0);
        assert_int_equal(fake_mapped(1) + fake_bound(1) + fake_mapped(2) + fake_bound(2), 0);
        bed_front(&one, "state", written[i]);
        assert_int_equal(bed_start(0), 0);
        bed_wait(600);
        assert_int_equal(bed_workers, 0);
        /* a page from before is not mapped while its frontend believes to be connected */
        assert_int_equal(fake_mapped(2), 0);
        assert_int_equal(bed_back_state(&two), XG_XENBUS_INIT_WAIT);
        assert_true(bed_connect(&two));
        assert_true(bed_connect(&one));
        assert_true(bed_alive(&one));
        assert_true(bed_alive(&two));
    }
}

/* --- storms ----------------------------------------------------------------------------------- */

/* A second of storm: `step` is what the guest does, as often as it likes. The daemon gives it the
 * share of a processor that each guest may cost, and what it had saved; none of its calls of
 * `function` is for nothing. */
static void storm(void (*step)(unsigned i), const char *function)
{
    const unsigned ms = 1000;
    assert_true(bed_connect(&one));
    bed_wait(1000);
    bed_cost_ns = 100000;
    unsigned calls = fake_calls(function);
    uint64_t before = bed_spent_ns, bound = XG_METER_BURST + ms * 1000000 / XG_METER_SHARE;
    for (unsigned i = 0; i < ms * 100; i++) {
        step(i);
        if (i % 4 == 0)
            bed_run();
        if (i % 100 == 99)
            bed_wait(1);
    }
    assert_in_range(bed_spent_ns - before, bound / 2, bound * 11 / 10);
    assert_in_range(fake_calls(function) - calls, 1, (bed_spent_ns - before) / bed_cost_ns);
    assert_true(bed_alive(&two));
}

static void state_written(unsigned i)
{
    fake_write(1, "device/xengpu/0/state", i & 1 ? "4" : "3");
}

static void a_storm_of_states(void **state)
{
    (void)state;
    storm(state_written, "xs_read");
    bed_front(&one, "state", "5");
    bed_wait(1000); /* it is still looked at */
    assert_int_equal(bed_back_state(&one), XG_XENBUS_CLOSED);
    consistent(&one);
}

static void event_sent(unsigned i)
{
    (void)i;
    fake_event(1, one.port);
}

static void a_storm_of_events(void **state)
{
    (void)state;
    storm(event_sent, "xenevtchn_pending");
    bed_wait(1000);
    assert_true(bed_alive(&one));
}

/* What is in debt for one thing is not listened to for another, and nothing of that is lost. */
static void a_storm_of_events_and_a_state(void **state)
{
    (void)state;
    storm(event_sent, "xenevtchn_pending");
    fake_event(1, one.port);
    bed_run();
    bed_front(&one, "state", "6");
    bed_wait(1000);
    assert_int_equal(bed_back_state(&one), XG_XENBUS_CLOSED);
    bed_wait(1000);
    assert_true(bed_connect(&one));
    assert_true(bed_alive(&one));
}

static void requests_made(unsigned i)
{
    (void)i;
    if (one.req_prod - one.page->req_cons < XG_CONTROL_REQUESTS) {
        one.page->request[one.req_prod % XG_CONTROL_REQUESTS] =
            (struct xg_control_request){.op = 77, .id = one.req_prod};
        one.page->req_prod = ++one.req_prod;
    }
    one.page->msg_cons = one.msg_cons = one.page->msg_prod;
    fake_event(1, one.port);
}

static void a_storm_of_requests(void **state)
{
    (void)state;
    storm(requests_made, "xenevtchn_pending");
    bed_wait(1000);
    assert_int_equal(one.page->req_cons, one.req_prod);
    one.page->msg_cons = one.msg_cons = one.page->msg_prod;
    assert_true(bed_alive(&one));
}

/* --- what people are told --------------------------------------------------------------------- */

static const char *waits(const char *guest)
{
    static char text[192];
    xg_xenbus_waiting(xg_guest_find(&bed_broker, guest), text, sizeof(text));
    return text;
}

/* `xengpu attach` says it when its time is over. */
static void what_a_device_waits_for(void **state)
{
    (void)state;
    assert_non_null(strstr(waits("one"), "no agent"));
    assert_non_null(strstr(waits("one"), "xengpu-agent"));
    bed_front(&one, "state", "5");
    assert_non_null(strstr(waits("one"), "agent's end is closing, the daemon's waiting"));
    bed_front(&one, "state", "x");
    assert_non_null(strstr(waits("one"), "no agent"));
    assert_true(bed_connect(&one));
    bed_front(&one, "state", "6");
    assert_non_null(strstr(waits("one"), "agent's end is closed, the daemon's closed"));
    xg_guest_find(&bed_broker, "one")->pgpu->settled = false;
    assert_non_null(strstr(waits("one"), "pgpu"));
    xg_guest_find(&bed_broker, "one")->pgpu->settled = true;
}

/* One guest's workers crash; it waits, longer with each, and no other guest does. */
static void crashes_are_waited_for(void **state)
{
    (void)state;
    assert_true(bed_connect(&one) && bed_connect(&two));
    for (unsigned i = 0; i < 17; i++) {
        assert_int_equal(bed_open(&one, 0), 0);
        bed_crash();
        assert_int_equal(bed_close(&one, 0), 0);
    }
    assert_int_equal(bed_open(&one, 0), -EAGAIN);
    assert_non_null(strstr(bed_log, "crashed: the next one may start in"));
    assert_int_equal(bed_open(&two, 0), 0);
    bed_wait(2000); /* each answer takes 100 ms too */
    assert_int_equal(bed_open(&one, 0), -EAGAIN);
    bed_wait(8000);
    assert_int_equal(bed_open(&one, 0), 0);
    bed_crash(); /* both guests' */
    assert_int_equal(bed_close(&one, 0), 0);
    assert_int_equal(bed_open(&one, 0), -EAGAIN);
    assert_int_equal(bed_close(&two, 0), 0);
    assert_int_equal(bed_open(&two, 0), 0);
}

/* Opens and closes until the guest has to wait, which it does without an answer. */
static unsigned starts_until_waiting(void)
{
    for (unsigned i = 0; i < 1000; i++) {
        if (bed_open(&one, 0))
            return i;
        assert_int_equal(bed_close(&one, 0), 0);
    }
    return 1000;
}

/* A guest that starts worker after worker waits where there are others, and is refused nothing. */
static void starts_are_paced(void **state)
{
    (void)state;
    assert_true(bed_connect(&one) && bed_connect(&two));
    bed_answer_ms = 1;
    assert_int_equal(starts_until_waiting(), 1000); /* it is alone */
    bed_wait(60000);
    assert_int_equal(bed_open(&two, 0), 0);
    unsigned starts = starts_until_waiting();
    assert_in_range(starts, 64, 80);
    assert_int_equal(bed_workers, 1);
    bed_wait(100); /* what waited in the ring is served; its pages are gone by now */
    assert_int_equal(bed_close(&two, 0), 0);
    assert_int_equal(bed_open(&two, 0), 0); /* the other does not wait */
    bed_wait(1000);
    assert_in_range(starts_until_waiting(), 25, 45); /* a quarter of a processor, 8 ms each */
    bed_answer_ms = 100;
    assert_true(bed_alive(&one));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_sequence_of_states, setup, teardown),
        cmocka_unit_test_setup_teardown(agents_of_another_version, setup, teardown),
        cmocka_unit_test_setup_teardown(states_with_applications, setup, teardown),
        cmocka_unit_test_setup_teardown(nodes_thrown_away, setup, teardown),
        cmocka_unit_test_setup_teardown(absurd_values_in_each_node, setup, teardown),
        cmocka_unit_test_setup_teardown(absurd_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(each_map_fails_once, setup, teardown),
        cmocka_unit_test_setup_teardown(each_bind_fails_once, setup, teardown),
        cmocka_unit_test_setup_teardown(each_access_to_the_store_fails_once, setup, teardown),
        cmocka_unit_test_setup_teardown(attaching_fails_and_then_does_not, setup, teardown),
        cmocka_unit_test_setup_teardown(an_agent_that_dies, setup, teardown),
        cmocka_unit_test_setup_teardown(a_daemon_that_dies, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_device_waits_for, setup, teardown),
        cmocka_unit_test_setup_teardown(crashes_are_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(starts_are_paced, setup, teardown),
        cmocka_unit_test_setup_teardown(a_storm_of_states, setup, teardown),
        cmocka_unit_test_setup_teardown(a_storm_of_events, setup, teardown),
        cmocka_unit_test_setup_teardown(a_storm_of_events_and_a_state, setup, teardown),
        cmocka_unit_test_setup_teardown(a_storm_of_requests, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
