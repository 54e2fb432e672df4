/* Module images: fatbins made by hand (plain, LZ4, zstd) and by nvcc, cut off and mutated. */
/* links: obj/libcuda_common.a -lzstd -llz4 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>
#include <sys/mman.h>

#include <cmocka.h>
#include <lz4.h>
#include <zstd.h>

#include "protocol/base.h"
#include "cuda/fatbin.h"

#define PTX(n)                                                                                     \
    "//\n.version 8.0\n.target sm_" #n "\n.address_size 64\n.visible .entry k()\n{ret;}\n"

struct builder {
    uint8_t data[8192];
    size_t size;
};

static void put(uint8_t *p, uint64_t v, unsigned bytes)
{
    memcpy(p, &v, bytes);
}

static void begin(struct builder *b)
{
    memset(b, 0, sizeof(*b));
    put(b->data, 0xba55ed50, 4);
    put(b->data + 4, 1, 2);
    put(b->data + 6, 16, 2);
    b->size = 16;
}

static void add(struct builder *b, unsigned kind, unsigned arch, enum xg_fatbin_packing packing,
                const void *data, size_t size)
{
    char packed[4096];
    size_t n = size, header = packing == XG_FATBIN_PLAIN ? 64 : 80;
    uint8_t *e = b->data + b->size;
    static const unsigned flags[] = {0x11, 0x2011, 0x8011};

    memcpy(packed, data, size);
    if (packing == XG_FATBIN_LZ4)
        n = (size_t)LZ4_compress_default(data, packed, (int)size, sizeof(packed));
    else if (packing == XG_FATBIN_ZSTD)
        n = ZSTD_compress(packed, sizeof(packed), data, size, 3);
    size_t padded = xg_align_up(n, 8);
    put(e, kind, 2);
    put(e + 2, 0x101, 2);
    put(e + 4, header, 4);
    put(e + 8, padded, 8);
    put(e + 16, packing == XG_FATBIN_PLAIN ? 0 : n, 4);
    put(e + 28, arch, 4);
    put(e + 40, flags[packing], 8);
    put(e + 56, packing == XG_FATBIN_PLAIN ? 0 : size, 8);
    memcpy(e + header, packed, n);
    b->size += header + padded;
    put(b->data + 8, b->size - 16, 8);
}

static void expect_ptx(const struct builder *b, unsigned arch, const char *want)
{
    char *ptx;
    size_t len;

    assert_int_equal(xg_fatbin_ptx(b->data, b->size, arch, &ptx, &len), 0);
    assert_string_equal(ptx, want);
    assert_int_equal(len, strlen(want));
    free(ptx);
}

static void packings(void **state)
{
    for (int p = XG_FATBIN_PLAIN; p <= XG_FATBIN_ZSTD; p++) {
        struct builder b;
        begin(&b);
        add(&b, XG_FATBIN_PTX, 75, p, PTX(75), sizeof(PTX(75)));
        expect_ptx(&b, 90, PTX(75));
    }
}

static void picks_the_best(void **state)
{
    struct builder b;
    char *ptx;
    size_t len;

    begin(&b);
    add(&b, XG_FATBIN_ELF, 90, XG_FATBIN_PLAIN, "\177ELF machine code", 17);
    assert_int_equal(xg_fatbin_ptx(b.data, b.size, 90, &ptx, &len), -ENOENT);
    add(&b, XG_FATBIN_PTX, 80, XG_FATBIN_ZSTD, PTX(80), sizeof(PTX(80)));
    add(&b, XG_FATBIN_PTX, 100, XG_FATBIN_PLAIN, PTX(100), sizeof(PTX(100)));
    add(&b, XG_FATBIN_PTX, 75, XG_FATBIN_LZ4, PTX(75), sizeof(PTX(75)));
    add(&b, 16, 89, XG_FATBIN_PLAIN, "something else", 14);
    add(&b, XG_FATBIN_PTX, 86, XG_FATBIN_LZ4, PTX(86), sizeof(PTX(86)));
    expect_ptx(&b, 90, PTX(86));
    expect_ptx(&b, 86, PTX(86));
    expect_ptx(&b, 80, PTX(80));
    expect_ptx(&b, 120, PTX(100));
    expect_ptx(&b, 60, PTX(75)); /* all are above: the lowest */
}

static void bounds(void **state)
{
    struct builder b;
    struct {
        uint32_t magic, version;
        const void *data;
        void *unused;
    } wrapper = {0x466243b1, 1, b.data, NULL};
    const void *start;
    size_t size;
    enum xg_image_kind kind;

    begin(&b);
    add(&b, XG_FATBIN_PTX, 75, XG_FATBIN_ZSTD, PTX(75), sizeof(PTX(75)));
    assert_int_equal(xg_image_bounds(b.data, &start, &size, &kind), 0);
    assert_int_equal(kind, XG_IMAGE_FATBIN);
    assert_int_equal(size, b.size);
    assert_int_equal(xg_image_bounds(&wrapper, &start, &size, &kind), 0);
    assert_ptr_equal(start, b.data);
    assert_int_equal(size, b.size);
    wrapper.data = &wrapper;
    assert_int_equal(xg_image_bounds(&wrapper, &start, &size, &kind), -EINVAL);
    wrapper.data = NULL;
    assert_int_equal(xg_image_bounds(&wrapper, &start, &size, &kind), -EINVAL);
    assert_int_equal(xg_image_bounds(NULL, &start, &size, &kind), -EINVAL);

    assert_int_equal(xg_image_bounds(PTX(75), &start, &size, &kind), 0);
    assert_int_equal(kind, XG_IMAGE_PTX);
    assert_int_equal(size, strlen(PTX(75)));
    assert_int_equal(xg_image_bounds("", &start, &size, &kind), -EINVAL);
    assert_int_equal(xg_image_bounds("what", &start, &size, &kind), -EINVAL);

    /* A text that ends with its page must not be read past it. */
    char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(pages + 4096, 4096, PROT_NONE);
    strcpy(pages + 4096 - 3, "//");
    assert_int_equal(xg_image_bounds(pages + 4096 - 3, &start, &size, &kind), 0);
    assert_int_equal(size, 2);
    munmap(pages, 8192);
}

/* Walks and unpacks whatever it is given; the sanitizers say if it strays. */
static void digest(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    struct xg_fatbin_entry e;
    enum xg_image_kind kind;
    size_t pos = 0, len;
    char *out;

    memcpy(exact, data, size);
    xg_image_kind(exact, size, &kind);
    for (int i = 0; i < 1000 && xg_fatbin_next(exact, size, &pos, &e) > 0; i++)
        if (e.raw_size < 1 << 20 && !xg_fatbin_extract(&e, &out, &len))
            free(out);
    if (!xg_fatbin_ptx(exact, size, 90, &out, &len))
        free(out);
    free(exact);
}

static void torture(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size);
    uint64_t seed = 1;

    for (size_t n = 0; n < size; n += 1 + n / 256)
        digest(data, n);
    for (int i = 0; i < 20000; i++) {
        memcpy(copy, data, size);
        for (int k = 0; k <= i % 3; k++) {
            seed = seed * 6364136223846793005ull + 1442695040888963407ull;
            size_t at = (seed >> 33) % (i & 1 && size > 176 ? 176 : size); /* headers more often */
            copy[at] = (uint8_t)(seed >> 20);
        }
        digest(copy, size);
    }
    free(copy);
}

static void cut_and_mutated(void **state)
{
    struct builder b;

    begin(&b);
    add(&b, XG_FATBIN_PTX, 75, XG_FATBIN_LZ4, PTX(75), sizeof(PTX(75)));
    add(&b, XG_FATBIN_PTX, 80, XG_FATBIN_ZSTD, PTX(80), sizeof(PTX(80)));
    add(&b, XG_FATBIN_PTX, 60, XG_FATBIN_PLAIN, PTX(60), sizeof(PTX(60)));
    torture(b.data, b.size);
}

static void lies_about_size(void **state)
{
    struct builder b;
    char *ptx;
    size_t len;

    for (int p = XG_FATBIN_LZ4; p <= XG_FATBIN_ZSTD; p++) {
        begin(&b);
        add(&b, XG_FATBIN_PTX, 75, p, PTX(75), sizeof(PTX(75)));
        put(b.data + 16 + 56, XG_FATBIN_MAX_RAW, 8); /* would be half a gigabyte */
        assert_int_equal(xg_fatbin_ptx(b.data, b.size, 90, &ptx, &len), -EBADMSG);
        put(b.data + 16 + 56, UINT64_MAX, 8);
        assert_int_equal(xg_fatbin_ptx(b.data, b.size, 90, &ptx, &len), -EBADMSG);
        put(b.data + 16 + 56, sizeof(PTX(75)) + 1, 8);
        assert_int_equal(xg_fatbin_ptx(b.data, b.size, 90, &ptx, &len), -EBADMSG);
    }
    begin(&b);
    add(&b, XG_FATBIN_PTX, 75, XG_FATBIN_PLAIN, PTX(75), sizeof(PTX(75)));
    put(b.data + 16 + 8, UINT64_MAX - 8, 8);
    assert_int_equal(xg_fatbin_ptx(b.data, b.size, 90, &ptx, &len), -EBADMSG);
    put(b.data + 8, UINT64_MAX - 8, 8);
    assert_int_equal(xg_fatbin_ptx(b.data, b.size, 90, &ptx, &len), -EBADMSG);
}

static uint8_t *slurp(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = calloc(1, 1 << 20);

    assert_non_null(f);
    *size = fread(data, 1, 1 << 20, f);
    fclose(f);
    return data;
}

/* What nvcc makes today, in each of its compressions. */
static void nvcc_output(void **state)
{
    static const char *const modes[] = {"none", "size", "speed", "balance"};
    const char *home = getenv("CUDA_HOME") ? getenv("CUDA_HOME") : "/usr/local/cuda";
    char dir[] = "/tmp/fatbinXXXXXX", command[1024], path[256], nvcc[512];
    const void *start;
    enum xg_image_kind kind;
    size_t size, bound, len;
    char *ptx;

    snprintf(nvcc, sizeof(nvcc), "%s/bin/nvcc", home);
    if (access(nvcc, X_OK))
        skip();
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/k.cu", dir);
    FILE *f = fopen(path, "w");
    fputs("extern \"C\" __global__ void kernel_name(float *a) { a[threadIdx.x] *= 2; }\n", f);
    fclose(f);
    for (size_t i = 0; i <= XG_ARRAY_LEN(modes); i++) {
        bool machine = i == XG_ARRAY_LEN(modes);
        snprintf(path, sizeof(path), "%s/k.%zu", dir, i);
        snprintf(command, sizeof(command),
                 "%s -fatbin %s%s -gencode arch=compute_75,code=%s "
                 "-o %s %s/k.cu >/dev/null 2>&1",
                 nvcc, machine ? "" : "--compress-mode=", machine ? "" : modes[i],
                 machine ? "sm_75" : "[sm_75,compute_75]", path, dir);
        if (system(command)) {
            fprintf(stderr, "skipped: %s\n", command); /* an older nvcc */
            continue;
        }
        uint8_t *data = slurp(path, &size);
        assert_int_equal(xg_image_bounds(data, &start, &bound, &kind), 0);
        assert_int_equal(bound, size);
        int r = xg_fatbin_ptx(data, size, 90, &ptx, &len);
        assert_int_equal(r, machine ? -ENOENT : 0);
        if (!r) {
            assert_non_null(strstr(ptx, ".entry kernel_name"));
            free(ptx);
            torture(data, size);
        }
        free(data);
        unlink(path);
    }
    snprintf(command, sizeof(command), "%s -cubin -arch=sm_75 -o %s/k.cubin %s/k.cu", nvcc, dir,
             dir);
    assert_int_equal(system(command), 0);
    snprintf(path, sizeof(path), "%s/k.cubin", dir);
    uint8_t *data = slurp(path, &size);
    assert_int_equal(xg_image_bounds(data, &start, &bound, &kind), 0);
    assert_int_equal(kind, XG_IMAGE_ELF);
    assert_int_equal(bound, size);
    free(data);
    unlink(path);
    snprintf(path, sizeof(path), "%s/k.cu", dir);
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packings),        cmocka_unit_test(picks_the_best),
        cmocka_unit_test(bounds),          cmocka_unit_test(cut_and_mutated),
        cmocka_unit_test(lies_about_size), cmocka_unit_test(nvcc_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
