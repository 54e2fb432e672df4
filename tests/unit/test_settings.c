/* What people write: values, and the keys of guests and types. */
/* links: obj/libsettings.a */
#include "settings/keys.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void names(void **state)
{
    char longest[XG_NAME_MAX + 1];
    (void)state;
    memset(longest, 'a', XG_NAME_MAX);
    longest[XG_NAME_MAX] = 0;
    assert_false(xg_name_valid(longest));
    assert_true(xg_name_valid(longest + 1));
    assert_true(xg_name_valid("web-1.b_C"));
    for (const char *const *bad = (const char *const[]){"", ".", "..", "a/b", "a b", "+a", NULL};
         *bad; bad++)
        assert_false(xg_name_valid(*bad));
}

static void numbers_and_sizes(void **state)
{
    static const char *const no_number[] = {
        "", "-1", "+5", " 5", "5 ", "0x5", "3", "101", "18446744073709551616"};
    static const char *const no_size[] = {"", "-1", "M", "1MB", "1X", "1.5G", "8388608T"};
    uint64_t v = 7;
    (void)state;
    for (unsigned i = 0; i < XG_ARRAY_LEN(no_number); i++)
        assert_int_equal(xg_number_parse(no_number[i], 4, 100, &v), -EINVAL);
    for (unsigned i = 0; i < XG_ARRAY_LEN(no_size); i++)
        assert_int_equal(xg_size_parse(no_size[i], &v), -EINVAL);
    assert_int_equal(v, 7);
    assert_int_equal(xg_number_parse("100", 4, 100, &v), 0);
    assert_int_equal(v, 100);
    assert_int_equal(xg_size_parse("3g", &v), 0);
    assert_int_equal(v, 3ull << 30);
    assert_int_equal(xg_size_parse("512", &v), 0);
    assert_int_equal(v, 512);
}

static void what_is_wrong_is_said(void **state)
{
    static const struct {
        enum xg_key_place place;
        const char *key, *value, *why;
        int err;
    } given[] = {
        {XG_IN_TYPE, "weight", "0", "not a number from 1 to 10000", -EINVAL},
        {XG_IN_SET, "weight", "10001", "not a number from 1 to 10000", -EINVAL},
        {XG_IN_GUEST, "cap", "101", "not a number from 1 to 100", -EINVAL},
        {XG_IN_GUEST, "rings", "33", "not a number from 1 to 32", -EINVAL},
        {XG_IN_GUEST, "arena", "1k", "not a size in whole MiB from 1M to 16384M", -EINVAL},
        {XG_IN_GUEST, "memory", "much", "not a size, such as 512M or 2G; 0: no limit", -EINVAL},
        {XG_IN_SET, "host-memory", "1M",
         "neither auto nor a size from 64M, such as 2G; 0: no limit", -EINVAL},
        {XG_IN_ATTACH, "type", "..", "not a name: " XG_NAME_RULE, -EINVAL},
        {XG_IN_ATTACH, "agent", "maybe", "neither yes nor no", -EINVAL},
        {XG_IN_SET, "pgpu", "a", "cannot be changed while the guest is attached", -ENOENT},
        {XG_IN_TYPE, "colour", "red",
         "there is no such key; known are weight, memory, host-memory, cap, fps-limit, "
         "max-instances",
         -ENOENT},
    };
    struct xg_why why;
    (void)state;
    for (unsigned i = 0; i < XG_ARRAY_LEN(given); i++) {
        struct xg_settings s = XG_SETTINGS_NONE;
        assert_int_equal(xg_key_take(&s, given[i].place, given[i].key, given[i].value, &why),
                         given[i].err);
        assert_string_equal(why.text, given[i].why);
        assert_true(!s.policy.weight && !s.policy.cap && s.policy.memory == UINT64_MAX);
        assert_true(!s.policy.type[0] && !s.policy.host_memory && !s.rings && !s.arena_mib);
    }
}

static void what_is_right_is_taken(void **state)
{
    static const char *const given[][2] = {
        {"type", "small"}, {"weight", "10000"}, {"memory", "0"},  {"host-memory", "0"},
        {"cap", "1"},      {"fps-limit", "0"},  {"rings", "32"},  {"arena", "16G"},
        {"agent", "no"},   {"user", "12345"},   {"pgpu", "gpu1"},
    };
    struct xg_settings s = XG_SETTINGS_NONE;
    struct xg_why why;
    (void)state;
    for (unsigned i = 0; i < XG_ARRAY_LEN(given); i++)
        assert_int_equal(xg_key_take(&s, XG_IN_ATTACH, given[i][0], given[i][1], &why), 0);
    assert_string_equal(s.policy.type, "small");
    assert_string_equal(s.policy.pgpu, "gpu1");
    assert_int_equal(s.policy.weight, XG_WEIGHT_MAX);
    assert_int_equal(s.policy.memory, 0);
    assert_true(s.policy.host_memory == XG_HOST_MEMORY_ANY);
    assert_int_equal(s.policy.cap, 1);
    assert_int_equal(s.policy.frames, XG_FRAMES_ANY);
    assert_int_equal(s.rings, 32);
    assert_int_equal(s.arena_mib, XG_ARENA_MIB_MAX);
    assert_true(s.without_agent);
    assert_int_equal(s.user, 12346);
}

static void what_is_not_said_is_filled_in(void **state)
{
    struct xg_policy type = {.weight = 50,
                             .memory = 1 << 20,
                             .cap = 100,
                             .frames = XG_FRAMES_ANY,
                             .host_memory = XG_HOST_MEMORY_AUTO};
    struct xg_policy p = {.memory = UINT64_MAX},
                     all = {.weight = 1, .cap = 2, .frames = 3, .host_memory = XG_HOST_MEMORY_ANY};
    (void)state;
    xg_policy_fill(&p, &type);
    assert_int_equal(p.weight, 50);
    assert_int_equal(p.memory, 1 << 20);
    assert_int_equal(p.cap, 100);
    assert_int_equal(xg_policy_frames(&p), 0);
    assert_true(p.host_memory == XG_HOST_MEMORY_AUTO);
    xg_policy_fill(&all, &type);
    assert_int_equal(all.weight, 1);
    assert_int_equal(all.memory, 0);
    assert_int_equal(all.cap, 2);
    assert_int_equal(xg_policy_frames(&all), 3);
    assert_true(all.host_memory == XG_HOST_MEMORY_ANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(numbers_and_sizes),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(what_is_right_is_taken),
        cmocka_unit_test(what_is_not_said_is_filled_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
