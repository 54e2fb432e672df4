/* The broker's side of a control ring: order, room, garbage, and how much a guest may ask for. */
/* links: obj/libbroker.a obj/libsettings.a obj/libprotocol.a -lseccomp -ljansson */
#include "backend/broker/control.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- what control.c calls --------------------------------------------------------------------- */

static struct xg_broker broker = {.processors = 2};
static struct xg_guest *guest;
static struct xg_control_page *page;
static unsigned opened, closed, notified;
static char device_closed[128];

static void channel_open(struct xg_guest *g, const struct xg_control_request *rq)
{
    opened++;
    xg_control_reply(g, rq, 0, "hello");
}

static void channel_close(struct xg_guest *g, const struct xg_control_request *rq)
{
    closed++;
    xg_control_closed(g, rq->channel, rq->id);
}

static void device_close(struct xg_guest *g, const char *why)
{
    snprintf(device_closed, sizeof(device_closed), "%s", why);
    g->page = NULL;
}

static const struct xg_control_user user = {
    .open = channel_open, .close = channel_close, .broken = device_close};

static void notify(struct xg_frontend *f)
{
    (void)f;
    notified++;
}

/* Each request costs that much of a processor. */
static uint64_t cost, now;

uint64_t xg_loop_spent(void)
{
    return cost;
}

uint64_t xg_loop_now(void)
{
    return now;
}

void xg_timer_arm(struct xg_timer *t, uint64_t delay_ns, void (*fn)(struct xg_timer *))
{
    *t = (struct xg_timer){.when = now + delay_ns, .armed = true, .fn = fn};
}

void xg_timer_disarm(struct xg_timer *t)
{
    t->armed = false;
}

static const struct xg_frontend_ops ops = {.control_notify = notify};
static struct xg_frontend front = {.ops = &ops};

static void listen(struct xg_meter *m)
{
    (void)m;
    xg_control_event(guest);
}

/* --- the frontend's side ---------------------------------------------------------------------- */

static uint32_t req_prod, msg_cons;

static int setup(void **state)
{
    (void)state;
    cost = 0;
    now = 1;
    front.meter = (struct xg_meter){.resume = listen};
    guest = calloc(1, sizeof(*guest));
    page = aligned_alloc(XG_PAGE_SIZE, sizeof(*page));
    memset(page, 0, sizeof(*page));
    guest->broker = &broker;
    guest->front = &front;
    guest->page = page;
    guest->state = XG_XENBUS_CONNECTED;
    xg_control_reset(guest, &user);
    opened = closed = notified = req_prod = msg_cons = 0;
    device_closed[0] = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(guest);
    free(page);
    return 0;
}

static void put(uint16_t op, uint32_t channel)
{
    struct xg_control_request *rq = &page->request[req_prod % XG_CONTROL_REQUESTS];
    *rq = (struct xg_control_request){.op = op, .id = 100 + req_prod, .channel = channel};
    page->req_prod = ++req_prod;
}

static bool take(struct xg_control_message *m)
{
    if (page->msg_prod == msg_cons)
        return false;
    *m = page->message[msg_cons % XG_CONTROL_MESSAGES];
    page->msg_cons = ++msg_cons;
    return true;
}

/* --- tests ------------------------------------------------------------------------------------ */

static void each_request_gets_its_reply(void **state)
{
    struct xg_control_message m;
    (void)state;
    put(XG_CONTROL_OPEN, 5);
    put(XG_CONTROL_CLOSE, 6);
    put(77, 7);
    xg_control_event(guest);
    assert_true(notified > 0);
    assert_int_equal(page->req_cons, 3);
    assert_true(take(&m));
    assert_int_equal(m.type, XG_CONTROL_REPLY);
    assert_int_equal(m.op, XG_CONTROL_OPEN);
    assert_int_equal(m.id, 100);
    assert_int_equal(m.channel, 5);
    assert_string_equal(m.text, "hello");
    assert_true(take(&m));
    assert_int_equal(m.op, XG_CONTROL_CLOSE);
    assert_int_equal(m.channel, 6);
    assert_true(take(&m));
    assert_int_equal(m.status, -ENOSYS);
    assert_false(take(&m));
}

/* One that takes no messages loses none, and is not read from without end. */
static void messages_wait_for_room(void **state)
{
    struct xg_control_message m;
    unsigned got = 0, gone = 0;
    (void)state;
    for (uint32_t i = 0; i < XG_CHANNELS_MAX; i++)
        xg_control_gone(guest, i, XG_RING_LOST, "gone");
    assert_int_equal(page->msg_prod, XG_CONTROL_MESSAGES);
    for (unsigned round = 0; round < 40; round++) {
        while (req_prod - page->req_cons < XG_CONTROL_REQUESTS)
            put(XG_CONTROL_OPEN, 1);
        xg_control_event(guest);
    }
    assert_true(opened < XG_CHANNELS_MAX); /* the rest waits in the ring */
    assert_true(guest->queued <= XG_MESSAGE_QUEUE);
    for (unsigned round = 0; round < 400; round++) {
        while (take(&m)) {
            got++;
            if (m.type == XG_CONTROL_GONE)
                assert_int_equal(m.channel, gone++);
        }
        xg_control_event(guest);
    }
    assert_int_equal(gone, XG_CHANNELS_MAX);
    assert_int_equal(opened, req_prod);
    assert_int_equal(got, gone + opened);
    assert_string_equal(device_closed, "");
}

static void wrong_indices_close_the_device(void **state)
{
    static const uint32_t wrong[] = {XG_CONTROL_REQUESTS + 1, 1u << 31, UINT32_MAX};
    (void)state;
    for (unsigned i = 0; i < XG_ARRAY_LEN(wrong); i++) {
        page->req_prod = wrong[i];
        xg_control_event(guest);
        assert_string_not_equal(device_closed, "");
        teardown(NULL);
        setup(NULL);
        page->msg_cons = wrong[i] == UINT32_MAX ? 1 : wrong[i];
        xg_control_event(guest);
        assert_string_not_equal(device_closed, "");
        assert_int_equal(opened, 0);
        teardown(NULL);
        setup(NULL);
    }
}

/* As many as its share of a processor pays for, and no more; none is lost. */
static void too_many_requests_wait(void **state)
{
    const unsigned seconds = 10;
    struct xg_control_message m;
    (void)state;
    cost = 1000000;
    for (uint64_t end = now + seconds * 1000000000ull; now < end; now += 1000000) {
        struct xg_timer *t = &front.meter.over;
        while (req_prod - page->req_cons < XG_CONTROL_REQUESTS)
            put(XG_CONTROL_OPEN, 1);
        if (t->armed && t->when <= now) {
            t->armed = false;
            t->fn(t);
        } else {
            xg_control_event(guest);
        }
        while (take(&m))
            ;
    }
    unsigned paid = (unsigned)((XG_METER_BURST + seconds * 1000000000ull / XG_METER_SHARE) / cost);
    assert_in_range(opened, paid * 9 / 10, paid + 2);
    assert_int_equal(req_prod - page->req_cons, XG_CONTROL_REQUESTS);
    cost = 0;
    now += 1000000000;
    xg_timer_disarm(&front.meter.over);
    xg_control_event(guest);
    assert_int_equal(req_prod - page->req_cons, 0);
}

static void positions_wrap(void **state)
{
    struct xg_control_message m;
    (void)state;
    guest->req_cons = req_prod = UINT32_MAX - 2;
    page->req_cons = req_prod;
    page->req_prod = req_prod;
    guest->msg_prod = msg_cons = UINT32_MAX - 1;
    page->msg_prod = msg_cons;
    page->msg_cons = msg_cons;
    for (unsigned i = 0; i < 10; i++) {
        put(XG_CONTROL_OPEN, i);
        xg_control_event(guest);
        assert_true(take(&m));
        assert_int_equal(m.channel, i);
    }
    assert_string_equal(device_closed, "");
}

static void nothing_is_served_before_it_is_connected(void **state)
{
    (void)state;
    guest->state = XG_XENBUS_INIT_WAIT;
    put(XG_CONTROL_OPEN, 1);
    xg_control_event(guest);
    assert_int_equal(opened, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(each_request_gets_its_reply),
        T(messages_wait_for_room),
        T(wrong_indices_close_the_device),
        T(too_many_requests_wait),
        T(positions_wrap),
        T(nothing_is_served_before_it_is_connected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
