/* Where a process's control group is, from what the kernel says. */
/* links: obj/libbroker.a obj/libprotocol.a */
#include "backend/broker/cgroup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define V2 "30 24 0:26 / /sys/fs/cgroup rw,nosuid,nodev shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define HYBRID                                                                                     \
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"                          \
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"                   \
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"

static void locate(void **state)
{
    static const struct {
        const char *cgroup, *mounts, *dir; /* dir NULL: -ENOENT */
    } cases[] = {
        {"0::/system.slice/xengpud.service\n", V2, "/sys/fs/cgroup/system.slice/xengpud.service"},
        {"0::/\n", V2, "/sys/fs/cgroup"},
        {"9:name=systemd:/\n4:memory:/a\n0::/b\n", HYBRID, "/sys/fs/cgroup/unified/b"},
        {"0::/a\n4:memory:/b\n", V2, "/sys/fs/cgroup/a"},
        /* no version 2; mounted nowhere; version 1 with a name that looks like it */
        {"4:memory:/a\n", V2, NULL},
        {"0::/a\n", "", NULL},
        {"0::/a\n", "30 24 0:26 / /sys/fs/cgroup rw - cgroup cgroup2 rw\n", NULL},
        {"", "", NULL},
        /* a part of the hierarchy is mounted: in it, its top, beside it, a name that begins so */
        {"0::/pod/a\n", "30 24 0:26 /pod /cg rw - cgroup2 cgroup rw\n", "/cg/a"},
        {"0::/pod\n", "30 24 0:26 /pod /cg rw - cgroup2 cgroup rw\n", "/cg"},
        {"0::/other\n", "30 24 0:26 /pod /cg rw - cgroup2 cgroup rw\n", NULL},
        {"0::/podium\n", "30 24 0:26 /pod /cg rw - cgroup2 cgroup rw\n", NULL},
        {"0::/podium\n", "30 24 0:26 /pod /cg rw - cgroup2 cgroup rw\n" V2,
         "/sys/fs/cgroup/podium"},
        /* outside of this namespace */
        {"0::/../init.scope\n", V2, NULL},
        {"0::/..\n", V2, NULL},
        {"0::/a..\n", V2, "/sys/fs/cgroup/a.."},
        /* names with what the kernel escapes */
        {"0::/a\n", "30 24 0:26 / /mnt/my\\040groups\\134 rw - cgroup2 cgroup2 rw\n",
         "/mnt/my groups\\/a"},
        /* cut off */
        {"0::/a", "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2", "/sys/fs/cgroup/a"},
        {"0::/a\n", "30 24 0:26 - cgroup2 c rw\n", NULL},
        {"0::/a\n", "30 24\n\n - cgroup2 \n", NULL},
    };
    char dir[256];
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        int err = xg_cgroup_locate(cases[i].cgroup, cases[i].mounts, dir, sizeof(dir));
        if (err != (cases[i].dir ? 0 : -ENOENT))
            fail_msg("case %u: %d", i, err);
        if (cases[i].dir)
            assert_string_equal(dir, cases[i].dir);
    }
    assert_int_equal(xg_cgroup_locate("0::/abcdefgh\n", V2, dir, 22), -ENAMETOOLONG);
    (void)state;
}

/* Plain files stand for the kernel's. */
static void numbers(void **state)
{
    char path[] = "/tmp/xengpu-cgroup-XXXXXX", file[64], text[32];
    assert_non_null(mkdtemp(path));
    snprintf(file, sizeof(file), "%s/memory.events", path);
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fputs("low 0\noom 12\noom_kill 34\noom_group_kill 5", f);
    fclose(f);
    int group = xg_cgroup_create(""); /* none were started */
    assert_true(group < 0);
    group = xg_cgroups_guests();
    assert_int_equal(group, -1);
    assert_string_equal(xg_cgroups_path(), "");
    assert_int_equal(chdir(path), 0);
    const int here = -100; /* AT_FDCWD */
    assert_int_equal(xg_cgroup_get(here, "memory.events", "oom"), 12);
    assert_int_equal(xg_cgroup_get(here, "memory.events", "oom_kill"), 34);
    assert_int_equal(xg_cgroup_get(here, "memory.events", "oom_group_kill"), 5);
    assert_int_equal(xg_cgroup_get(here, "memory.events", "oom_"), 0);
    assert_int_equal(xg_cgroup_get(here, "nothing", NULL), 0);
    assert_int_equal(xg_cgroup_set(here, "nothing", 1), -ENOENT);
    assert_int_equal(truncate(file, 0), 0);
    assert_int_equal(xg_cgroup_set(here, "memory.events", 4096), 0);
    assert_int_equal(xg_cgroup_get(here, "memory.events", NULL), 4096);
    assert_int_equal(truncate(file, 0), 0);
    assert_int_equal(xg_cgroup_set(here, "memory.events", UINT64_MAX), 0);
    f = fopen(file, "r");
    assert_non_null(f);
    assert_string_equal(fgets(text, sizeof(text), f), "max");
    fclose(f);
    unlink(file);
    assert_int_equal(chdir("/"), 0);
    rmdir(path);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(locate), cmocka_unit_test(numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
