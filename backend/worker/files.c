/*
 * Which files a worker may open: by Landlock, where the kernel has it. A rule applies only to a
 * file or folder that exists when the worker starts.
 */
#include "backend/worker/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What newer kernels have that the headers do not know. */
struct landlock_ruleset {
    uint64_t fs, net, scoped;
};
#define FS_FIRST       ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#define FS_REFER       (1ull << 13)
#define FS_TRUNCATE    (1ull << 14)
#define FS_IOCTL       (1ull << 15)
#define NET_TCP        3ull /* bind, connect */
#define SCOPE_ABSTRACT (1ull << 0)
#define SCOPE_SIGNAL   (1ull << 1)

#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_LIST LANDLOCK_ACCESS_FS_READ_DIR
/* The rights that make sense for a file that is not a folder. */
#define FS_FILE                                                                                    \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |   \
     FS_TRUNCATE | FS_IOCTL)
#define FS_DEVICE (FS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_IOCTL)

/* Libraries, and what drivers read of their configuration and of the machine. */
static const char *const readable_paths[] = {"/usr",
                                             "/lib",
                                             "/lib32",
                                             "/lib64",
                                             "/opt",
                                             "/sys",
                                             "/etc/ld.so.cache",
                                             "/etc/ld.so.preload",
                                             "/etc/localtime",
                                             "/etc/machine-id",
                                             "/etc/passwd",
                                             "/etc/nsswitch.conf",
                                             "/etc/drirc",
                                             "/etc/glvnd",
                                             "/etc/egl",
                                             "/etc/nvidia"};

/* Of /proc: nothing about other processes. The kernel drops these entries when memory is short and
 * makes new ones, for which the rule would not hold: so each file stays open. */
static const char *const readable_proc[] = {"/proc/self",        "/proc/cpuinfo", "/proc/meminfo",
                                            "/proc/stat",        "/proc/version", "/proc/devices",
                                            "/proc/filesystems", "/proc/modules", "/proc/driver",
                                            "/proc/sys/kernel",  "/proc/sys/vm"};

static const char *const device_paths[] = {"/dev/null",   "/dev/zero",    "/dev/full",
                                           "/dev/random", "/dev/urandom", "/dev/dri"};

/* Variables with paths that whoever started the daemon gave to all programs. */
static const char *const path_variables[] = {"LD_LIBRARY_PATH", "LIBGL_DRIVERS_PATH",
                                             "GBM_BACKENDS_PATH"};

struct rules {
    int fd;
    uint64_t handled;
};

static int rule_add(const struct rules *r, int fd, uint64_t access)
{
    struct landlock_path_beneath_attr attr = {.parent_fd = fd};
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    attr.allowed_access = access & r->handled & (S_ISDIR(st.st_mode) ? UINT64_MAX : FS_FILE);
    if (!attr.allowed_access)
        return 0;
    return syscall(SYS_landlock_add_rule, r->fd, LANDLOCK_RULE_PATH_BENEATH, &attr, 0) < 0 ? -errno
                                                                                           : 0;
}

/* `keep`: the descriptor stays open. */
static int path_allow(const struct rules *r, const char *path, uint64_t access, bool keep)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return 0; /* not there: nothing to allow */
    int rc = rule_add(r, fd, access);
    if (rc || !keep)
        close(fd);
    return rc;
}

/* The folder of a file named in the configuration. */
static int folder_allow(const struct rules *r, const char *file)
{
    char folder[PATH_MAX];
    if (!strchr(file, '/') || strlen(file) >= sizeof(folder))
        return 0;
    strcpy(folder, file);
    return path_allow(r, dirname(folder), FS_READ, false);
}

/* The program, which drivers look at to learn its name, and its libraries. */
static int own_allow(const struct rules *r)
{
    char exe[PATH_MAX], lib[PATH_MAX + 8];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    if (n < 0)
        return 0;
    exe[n] = '\0';
    int rc = path_allow(r, exe, FS_READ, false);
    snprintf(lib, sizeof(lib), "%s/../lib", dirname(exe));
    return rc ? rc : path_allow(r, lib, FS_READ, false);
}

static int variables_allow(const struct rules *r)
{
    int rc = 0;
    for (size_t i = 0; i < XG_ARRAY_LEN(path_variables); i++) {
        const char *value = getenv(path_variables[i]);
        char *list = value ? strdup(value) : NULL, *rest = list;
        for (char *path; rc == 0 && (path = strsep(&rest, ":;"));)
            if (*path == '/' && path[1])
                rc = path_allow(r, path, FS_READ, false);
        free(list);
    }
    return rc;
}

static int proc_allow(const struct rules *r)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < XG_ARRAY_LEN(readable_proc); i++)
        rc = path_allow(r, readable_proc[i], FS_READ, true);
    /* The names of its threads, which NVIDIA's driver must be able to set this way: it opens the
     * file as fopen's "w" does. */
    return rc ? rc
              : path_allow(r, "/proc/self/task", LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE, true);
}

/* /dev/nvidiactl, nvidia0 and so on, nvidia-uvm, nvidia-uvm-tools, nvidia-modeset, nvidia-caps/ and
 * what else later drivers have. */
static int nvidia_allow(const struct rules *r)
{
    DIR *d = opendir("/dev");
    int rc = 0;
    for (struct dirent *e; d && rc == 0 && (e = readdir(d));) {
        char path[300];
        if (strncmp(e->d_name, "nvidia", 6))
            continue;
        snprintf(path, sizeof(path), "/dev/%s", e->d_name);
        rc = path_allow(r, path, FS_DEVICE, false);
    }
    if (d)
        closedir(d);
    return rc;
}

static int devices_allow(const struct rules *r)
{
    int rc = path_allow(r, "/dev", FS_LIST, false);
    for (size_t i = 0; rc == 0 && i < XG_ARRAY_LEN(device_paths); i++)
        rc = path_allow(r, device_paths[i], FS_DEVICE, false);
    return rc ? rc : nvidia_allow(r);
}

static int all_allow(const struct rules *r, const struct xg_device_config *device)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < XG_ARRAY_LEN(readable_paths); i++)
        rc = path_allow(r, readable_paths[i], FS_READ, false);
    if (rc == 0)
        rc = proc_allow(r);
    if (rc == 0)
        rc = devices_allow(r);
    if (rc == 0)
        rc = own_allow(r);
    if (rc == 0)
        rc = variables_allow(r);
    if (rc == 0)
        rc = folder_allow(r, device->cuda_library);
    return rc ? rc : folder_allow(r, device->egl_vendor);
}

/* Only the rights that this kernel knows. */
static int rules_create(struct rules *r)
{
    struct landlock_ruleset attr = {.fs = FS_FIRST};
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    size_t size = sizeof(attr.fs);
    if (version < 0)
        return -errno;
    attr.fs |= version >= 2 ? FS_REFER : 0;
    attr.fs |= version >= 3 ? FS_TRUNCATE : 0;
    attr.fs |= version >= 5 ? FS_IOCTL : 0;
    if (version >= 4) {
        attr.net = NET_TCP;
        size = offsetof(struct landlock_ruleset, scoped);
    }
    if (version >= 6) {
        attr.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
        size = sizeof(attr);
    }
    r->handled = attr.fs;
    r->fd = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    return r->fd < 0 ? -errno : 0;
}

int xg_files_restrict(struct xg_worker *w)
{
    struct rules r;
    int rc = rules_create(&r);
    if (rc == -ENOSYS || rc == -EOPNOTSUPP) {
        xg_worker_log(w, "this kernel has no Landlock: workers may open what their user may");
        return 0;
    }
    if (rc < 0)
        return rc;
    rc = all_allow(&r, &w->req->device);
    if (rc == 0 && syscall(SYS_landlock_restrict_self, r.fd, 0) < 0)
        rc = -errno;
    close(r.fd);
    return rc;
}
