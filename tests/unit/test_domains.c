/* Which domains have a device: the configuration, domains that come, go, are renamed and start
 * again, daemons that are stopped and started, driver domains and the tool that serves them. */
/* links: obj/libbroker.a obj/libsettings.a obj/libprotocol.a -ljansson -lseccomp -lxentoollog */
/* with: tests/unit/broker_bed.c tests/unit/fake_xen.c tests/unit/fake_xenstore.c */
#include "tests/unit/broker_bed.h"
#include "backend/broker/domains.h"
#include "backend/broker/guest_settings.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <xenstore.h>

static struct xg_why why;

static struct xg_guest *attach(const char *name, const char *type, uint32_t weight, uint64_t memory)
{
    struct xg_settings own = {.policy = {.weight = weight, .memory = memory}};
    struct xg_guest *g;
    strcpy(own.policy.type, type);
    why.text[0] = 0;
    return xg_guest_attach(&bed_broker, name, 0, &own, &g, &why) ? NULL : g;
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    return bed_start(0);
}

static void all_gone(void)
{
    bed_stop();
    assert_int_equal(fake_handles(), 0);
    while (bed_broker.guest_configs) {
        struct xg_guest_config *c = bed_broker.guest_configs;
        bed_broker.guest_configs = c->next;
        free(c);
    }
}

static int teardown(void **state)
{
    (void)state;
    all_gone();
    return 0;
}

static const char *back(uint32_t own, uint32_t domid, const char *node)
{
    char path[128];
    snprintf(path, sizeof(path), "/local/domain/%u/backend/xengpu/%u/0/%s", own, domid, node);
    const char *v = fake_value(path);
    return v ? v : "(none)";
}

/* --- attaching -------------------------------------------------------------------------------- */

static void both_ends_are_made_and_removed(void **state)
{
    struct bed_guest b;
    (void)state;
    bed_guest_create(&b, 3, "web");
    fake_write(0, "/local/domain/0/backend/xengpu", ""); /* stays, once it is there */
    unsigned nodes = fake_nodes();
    struct xg_guest *g = attach("web", "small", 7, 123456);
    assert_non_null(g);
    assert_string_equal(fake_value("/local/domain/3/device/xengpu/0/backend"),
                        "/local/domain/0/backend/xengpu/3/0");
    assert_string_equal(fake_value("/local/domain/3/device/xengpu/0/backend-id"), "0");
    assert_string_equal(back(0, 3, "frontend"), "/local/domain/3/device/xengpu/0");
    assert_string_equal(back(0, 3, "frontend-id"), "3");
    assert_string_equal(back(0, 3, "weight"), "7");
    assert_string_equal(back(0, 3, "memory"), "123456");
    assert_string_equal(back(0, 3, "memory-limit"), "123456");
    /* the guest may write its own end, and only that */
    assert_int_equal(fake_write(3, "device/xengpu/0/state", "1"), 0);
    assert_int_equal(fake_write(3, "/local/domain/0/backend/xengpu/3/0/weight", "10000"), -EACCES);
    assert_true(bed_connect(&b));
    xg_guest_detach(g, NULL, NULL);
    bed_wait(600);
    assert_null(bed_broker.guests);
    assert_int_equal(fake_nodes(), nodes);
    bed_guest_destroy(&b);
}

/* What an operator gave a guest is there for the next daemon. */
static void host_memory_outlives_the_daemon(void **state)
{
    static const struct {
        const char *value, *node;
        uint64_t bytes;
    } given[] = {
        {"256M", "268435456", 256u << 20},
        {"0", "0", XG_HOST_MEMORY_ANY},
        {"auto", "auto", XG_HOST_MEMORY_AUTO},
    };
    struct bed_guest b;
    (void)state;
    bed_guest_create(&b, 3, "web");
    struct xg_guest *g = attach("web", "default", 0, UINT64_MAX);
    assert_non_null(g);
    assert_string_equal(back(0, 3, "host-memory"), "");
    assert_int_equal(g->host_memory, XG_HOST_MEMORY_AUTO);
    for (unsigned i = 0; i < XG_ARRAY_LEN(given); i++) {
        struct xg_settings s = XG_SETTINGS_NONE;
        assert_int_equal(xg_key_take(&s, XG_IN_SET, "host-memory", given[i].value, &why), 0);
        assert_int_equal(xg_guest_set(xg_guest_find(&bed_broker, "web"), &s, &why), 0);
        assert_string_equal(back(0, 3, "host-memory"), given[i].node);
        bed_stop();
        assert_int_equal(bed_start(0), 0);
        g = xg_guest_find(&bed_broker, "web");
        assert_non_null(g);
        assert_int_equal(g->host_memory, given[i].bytes);
        assert_int_equal(g->own.policy.host_memory, given[i].bytes);
    }
    bed_guest_destroy(&b);
}

static void what_is_no_domain_is_refused(void **state)
{
    (void)state;
    assert_null(attach("nobody", "default", 0, UINT64_MAX));
    assert_non_null(strstr(why.text, "xl list"));
    assert_null(attach("Domain-0", "default", 0, UINT64_MAX));
    assert_null(attach("0", "default", 0, UINT64_MAX));
}

/* --- domains that come and go ----------------------------------------------------------------- */

static void configured_domains_are_attached_when_they_appear(void **state)
{
    struct bed_guest b;
    (void)state;
    bed_configure("web", 300);
    bed_wait(100);
    assert_null(bed_broker.guests);
    bed_guest_create(&b, 4, "web");
    bed_wait(100);
    assert_non_null(xg_guest_find(&bed_broker, "web"));
    assert_int_equal(xg_guest_find(&bed_broker, "web")->weight, 300);
    assert_true(bed_connect(&b));
    bed_guest_destroy(&b);
    assert_null(bed_broker.guests);
    assert_string_equal(back(0, 4, "online"), "(none)");
    /* it was rebooted: a new number */
    bed_guest_create(&b, 5, "web");
    bed_wait(100);
    assert_true(bed_connect(&b));
    bed_guest_destroy(&b);
    assert_null(bed_broker.guests);
}

static void a_configured_domain_that_is_detached_stays_so(void **state)
{
    struct bed_guest b;
    (void)state;
    bed_configure("web", 300);
    bed_guest_create(&b, 4, "web");
    bed_wait(100);
    struct xg_guest *g = xg_guest_find(&bed_broker, "web");
    assert_non_null(g);
    xg_domain_detached(g);
    assert_int_equal(xg_guest_detach(g, NULL, NULL), 0);
    bed_wait(1000);
    assert_null(bed_broker.guests);
    assert_non_null(attach("web", "", 0, UINT64_MAX)); /* until it is attached */
    assert_int_equal(xg_guest_find(&bed_broker, "web")->weight, 300);
    bed_guest_destroy(&b);
    bed_guest_create(&b, 5, "web"); /* or another domain */
    bed_wait(100);
    assert_non_null(xg_guest_find(&bed_broker, "web"));
    bed_guest_destroy(&b);
}

static void a_name_that_comes_late(void **state)
{
    struct bed_guest b;
    (void)state;
    bed_configure("web", 300);
    bed_guest_create(&b, 4, NULL);
    bed_wait(1000);
    assert_null(bed_broker.guests);
    fake_domain_name(4, "web--incoming");
    bed_wait(1000);
    assert_null(bed_broker.guests);
    fake_domain_name(4, "web");
    bed_wait(100);
    assert_non_null(xg_guest_find(&bed_broker, "web"));
    bed_guest_destroy(&b);
}

/* The old domain's workers are still ending when the new one is there. */
static void a_quick_reboot(void **state)
{
    struct bed_guest a, b;
    (void)state;
    bed_configure("web", 300);
    bed_guest_create(&a, 4, "web");
    bed_wait(100);
    assert_true(bed_connect(&a));
    assert_int_equal(bed_open(&a, 0), 0);
    fake_release(4);
    bed_guest_create(&b, 5, "web");
    bed_wait(1000);
    assert_int_equal(bed_workers, 0);
    assert_true(bed_connect(&b));
    assert_int_equal(xg_guest_find(&bed_broker, "web")->front->domid, 5);
    bed_guest_destroy(&b);
    free(a.page);
}

static void a_domain_that_is_renamed(void **state)
{
    struct bed_guest b;
    (void)state;
    bed_guest_create(&b, 4, "web");
    assert_non_null(attach("web", "default", 42, UINT64_MAX));
    assert_true(bed_connect(&b));
    fake_domain_name(4, "shop");
    bed_wait(100);
    assert_null(xg_guest_find(&bed_broker, "web"));
    assert_non_null(xg_guest_find(&bed_broker, "shop"));
    assert_int_equal(xg_guest_find(&bed_broker, "shop")->weight, 42);
    assert_string_equal(back(0, 4, "guest-name"), "shop");
    assert_true(bed_alive(&b));
    bed_guest_destroy(&b);
    assert_null(bed_broker.guests);
}

static void a_domain_that_goes_while_it_is_attached_again(void **state)
{
    struct bed_guest b;
    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        bed_guest_create(&b, 10 + i, "web");
        assert_non_null(attach("web", "default", 0, UINT64_MAX));
        if (i % 2)
            assert_true(bed_connect(&b));
        if (i % 3 == 0)
            xg_guest_detach(xg_guest_find(&bed_broker, "web"), NULL, NULL);
        bed_guest_destroy(&b);
        assert_null(bed_broker.guests);
        assert_int_equal(fake_mapped(10 + i) + fake_bound(10 + i), 0);
    }
}

/* --- daemons that come and go ----------------------------------------------------------------- */

static void a_stopped_daemon_leaves_its_devices(void **state)
{
    struct bed_guest b;
    (void)state;
    bed_guest_create(&b, 3, "web");
    assert_non_null(attach("web", "small", 0, UINT64_MAX));
    assert_true(bed_connect(&b));
    struct xg_settings s = XG_SETTINGS_NONE;
    s.policy.weight = 77;
    s.policy.cap = 40;
    s.policy.frames = 30;
    assert_int_equal(xg_guest_set(xg_guest_find(&bed_broker, "web"), &s, &why), 0);
    bed_stop();
    assert_string_equal(back(0, 3, "state"), "6");
    assert_string_equal(back(0, 3, "online"), "1");
    assert_int_equal(fake_mapped(3) + fake_bound(3), 0);
    assert_int_equal(bed_start(0), 0);
    struct xg_guest *g = xg_guest_find(&bed_broker, "web");
    assert_non_null(g);
    assert_string_equal(g->type, "small");
    assert_int_equal(g->weight, 77);
    assert_int_equal(g->limits.cap, 40);
    assert_int_equal(g->limits.frame_limit, 30);
    assert_true(bed_connect(&b));
    bed_guest_destroy(&b);
}

/* Domains that went while no daemon was there. */
static void leftovers_are_removed(void **state)
{
    struct bed_guest a, b;
    (void)state;
    bed_guest_create(&a, 3, "web");
    bed_guest_create(&b, 4, "shop");
    assert_non_null(attach("web", "default", 0, UINT64_MAX));
    assert_non_null(attach("shop", "default", 0, UINT64_MAX));
    bed_stop();
    fake_release(3);
    assert_int_equal(bed_start(0), 0);
    bed_wait(100);
    assert_null(xg_guest_find(&bed_broker, "web"));
    assert_non_null(xg_guest_find(&bed_broker, "shop"));
    assert_string_equal(back(0, 3, "online"), "(none)");
    bed_guest_destroy(&b);
}

/* --- toolstacks and driver domains ------------------------------------------------------------ */

static void tool_attach(uint32_t own, uint32_t domid, const char *name, uint32_t weight)
{
    struct xg_policy p = {.weight = weight,
                          .memory = UINT64_MAX,
                          .type = "small",
                          .cap = 20,
                          .frames = XG_FRAMES_ANY};
    struct xg_nodes n;
    fake_open_as(0);
    struct xs_handle *xs = xs_open(0);
    xg_nodes_name(&n, domid, own);
    assert_int_equal(xg_nodes_create(xs, &n, name, &p), 0);
    xs_close(xs);
    bed_wait(100);
}

/* What xg_key_take would refuse counts as not said: by the type. */
static void nodes_beyond_the_limits(void **state)
{
    struct bed_guest b;
    (void)state;
    bed_guest_create(&b, 3, "web");
    tool_attach(0, 3, "web", XG_WEIGHT_MAX + 1);
    assert_non_null(xg_guest_find(&bed_broker, "web"));
    assert_int_equal(xg_guest_find(&bed_broker, "web")->weight, 50);
    bed_guest_destroy(&b);
}

static void nodes_made_by_a_tool(void **state)
{
    struct bed_guest b;
    (void)state;
    bed_guest_create(&b, 3, "web");
    tool_attach(0, 3, "web", 9);
    assert_non_null(xg_guest_find(&bed_broker, "web"));
    assert_int_equal(xg_guest_find(&bed_broker, "web")->weight, 9);
    assert_int_equal(xg_guest_find(&bed_broker, "web")->limits.cap, 20);
    assert_int_equal(xg_guest_find(&bed_broker, "web")->limits.frame_limit, 0);
    assert_string_equal(back(0, 3, "fps-limit"), "0");
    assert_true(bed_connect(&b));
    fake_write(0, "/local/domain/0/backend/xengpu/3/0/online", "0");
    bed_wait(600);
    assert_null(bed_broker.guests);
    assert_string_equal(back(0, 3, "online"), "(none)");
    assert_null(fake_value("/local/domain/3/device/xengpu/0/state"));
    tool_attach(0, 3, "web", 9);
    assert_true(bed_connect(&b));
    fake_write(0, "/local/domain/0/backend/xengpu/3", NULL);
    bed_wait(600);
    assert_null(bed_broker.guests);
    assert_int_equal(fake_mapped(3) + fake_bound(3), 0);
    bed_guest_destroy(&b);
}

/* A toolstack that makes the nodes anew without taking the device away first. */
static void nodes_made_anew(void **state)
{
    struct bed_guest b;
    (void)state;
    bed_guest_create(&b, 3, "web");
    tool_attach(0, 3, "web", 9);
    assert_true(bed_connect(&b));
    tool_attach(0, 3, "web", 9);
    bed_wait(600);
    assert_true(bed_connect(&b));
    assert_string_equal(back(0, 3, "versions"), "1");
    assert_true(bed_alive(&b));
    tool_attach(0, 3, "web", 9); /* and again */
    bed_wait(600);
    tool_attach(0, 3, "web", 9); /* ... where nobody has come yet */
    bed_wait(600);
    assert_string_equal(back(0, 3, "versions"), "1");
    assert_true(bed_connect(&b));
    assert_true(bed_alive(&b));
    bed_guest_destroy(&b);
}

static void a_driver_domain(void **state)
{
    struct bed_guest b;
    (void)state;
    bed_stop();
    fake_domain(7, "gpu");
    fake_introduce(7);
    fake_domain(3, "web");
    fake_introduce(3);
    assert_int_equal(bed_start(7), 0);
    assert_int_equal(xg_xen_own(), 7);
    assert_null(attach("web", "default", 0, UINT64_MAX));
    assert_non_null(strstr(why.text, "--backend 7"));
    b = (struct bed_guest){.domid = 3};
    tool_attach(7, 3, "web", 11);
    struct xg_guest *g = xg_guest_find(&bed_broker, "web");
    assert_non_null(g);
    assert_int_equal(g->weight, 11);
    assert_string_equal(fake_value("/local/domain/3/device/xengpu/0/backend-id"), "7");
    assert_true(bed_connect(&b));
    assert_true(bed_alive(&b));
    /* stopped and started, as in Dom0 */
    bed_stop();
    assert_int_equal(bed_start(7), 0);
    assert_non_null(xg_guest_find(&bed_broker, "web"));
    assert_true(bed_connect(&b));
    /* the domain goes: without @releaseDomain, by its nodes */
    bed_guest_destroy(&b);
    assert_null(bed_broker.guests);
    assert_string_equal(back(7, 3, "online"), "(none)");
    /* taken away by the tool: our end goes, the other is the tool's */
    fake_domain(4, "shop");
    fake_introduce(4);
    tool_attach(7, 4, "shop", 5);
    b = (struct bed_guest){.domid = 4};
    assert_true(bed_connect(&b));
    fake_write(0, "/local/domain/7/backend/xengpu/4/0/online", "0");
    bed_wait(600);
    assert_null(bed_broker.guests);
    assert_string_equal(back(7, 4, "online"), "(none)");
    bed_guest_destroy(&b);
}

/* What a guest may write decides nothing about whose device it is. */
static void a_guest_cannot_choose_its_backend(void **state)
{
    struct bed_guest b;
    (void)state;
    bed_guest_create(&b, 3, "web");
    assert_non_null(attach("web", "default", 5, UINT64_MAX));
    assert_int_equal(fake_write(3, "device/xengpu/0/backend", "/local/domain/3/data"), 0);
    assert_int_equal(fake_write(3, "device/xengpu/0/backend-id", "3"), 0);
    assert_true(bed_connect(&b));
    bed_stop();
    assert_int_equal(bed_start(0), 0);
    bed_wait(100);
    assert_non_null(xg_guest_find(&bed_broker, "web"));
    assert_true(bed_connect(&b));
    assert_int_equal(xg_guest_find(&bed_broker, "web")->weight, 5);
    bed_guest_destroy(&b);
    assert_null(bed_broker.guests);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_ends_are_made_and_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(host_memory_outlives_the_daemon, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_domain_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(configured_domains_are_attached_when_they_appear, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_configured_domain_that_is_detached_stays_so, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_name_that_comes_late, setup, teardown),
        cmocka_unit_test_setup_teardown(a_quick_reboot, setup, teardown),
        cmocka_unit_test_setup_teardown(a_domain_that_is_renamed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_domain_that_goes_while_it_is_attached_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_stopped_daemon_leaves_its_devices, setup, teardown),
        cmocka_unit_test_setup_teardown(leftovers_are_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(nodes_beyond_the_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(nodes_made_by_a_tool, setup, teardown),
        cmocka_unit_test_setup_teardown(nodes_made_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(a_driver_domain, setup, teardown),
        cmocka_unit_test_setup_teardown(a_guest_cannot_choose_its_backend, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
