/* CUDA_VISIBLE_DEVICES and made-up UUIDs: what the API's documentation says of lists, and that no
 * byte of a UUID is zero. */
/* links: obj/libcuda_common.a -lzstd -llz4 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cuda/identity.h"

static const uint8_t uuids[3][XG_CUDA_UUID_SIZE] = {
    {0x89, 0x32, 0xf9, 0x37, 0xd7, 0x2c, 0x41, 0x06, 0xc1, 0x2f, 0x20, 0xbd, 0x9f, 0xae, 0xd9,
     0xf6},
    {0x89, 0x32, 0xf9, 0x38, 0xd7, 0x2c, 0x41, 0x06, 0xc1, 0x2f, 0x20, 0xbd, 0x9f, 0xae, 0xd9,
     0xf6},
    {0x10, 0x32, 0xf9, 0x38, 0xd7, 0x2c, 0x41, 0x06, 0xc1, 0x2f, 0x20, 0xbd, 0x9f, 0xae, 0xd9,
     0xf6},
};

/* `want`: the devices as digits, in their order. */
static void shows(const char *text, unsigned count, const char *want)
{
    unsigned order[3];
    char got[4] = "";
    unsigned n = xg_cuda_visible(text, uuids, count, order);

    for (unsigned i = 0; i < n; i++)
        got[i] = (char)('0' + order[i]);
    if (strcmp(got, want) != 0)
        fail_msg("\"%s\" of %u devices shows \"%s\" instead of \"%s\"", text ? text : "(unset)",
                 count, got, want);
}

static void numbers(void **state)
{
    (void)state;
    shows(NULL, 3, "012");
    shows("", 3, "");
    shows("2,1", 3, "21");
    shows("0,2,-1,1", 3, "02");
    shows("0,7,1", 3, "0");
    shows(" 0 , 1", 3, "01");
    shows("1,1", 3, "");
    shows("nonsense", 3, "");
    shows("1,nonsense,2", 3, "1");
    shows("NoDevFiles", 3, "");
    shows("99999999999999999999", 3, "");
    shows(NULL, 1, "0");
    shows("0", 1, "0");
    shows("-1", 1, "");
    shows("1", 1, "");
    shows("0,1", 1, "0");
    shows("1,0", 1, "");
}

static void prefixes(void **state)
{
    char text[XG_CUDA_UUID_TEXT], longer[XG_CUDA_UUID_TEXT + 1];
    unsigned order[1];

    (void)state;
    shows("GPU-8932f937", 3, "0");
    shows("gpu-8932F938-d7", 3, "1");
    shows("GPU-8932", 3, ""); /* of two */
    shows("GPU-1", 3, "2");
    shows("GPU-10,GPU-8932f937", 3, "20");
    shows("GPU-10,0", 3, "2");
    shows("0,GPU-10", 3, "0");
    shows("GPU-", 1, "");
    shows("MIG-8932f937", 3, "");
    xg_cuda_uuid_text(uuids[1], text);
    shows(text, 3, "1");
    snprintf(longer, sizeof(longer), "%s0", text);
    shows(longer, 3, "");
    assert_int_equal(xg_cuda_visible("GPU-ab", NULL, 1, order), 1); /* not known yet: could be it */
    assert_int_equal(xg_cuda_visible("1", NULL, 1, order), 0);
}

static void made(void **state)
{
    uint8_t first[XG_CUDA_UUID_SIZE], again[XG_CUDA_UUID_SIZE];
    char guest[32];
    const char *const ab_c[] = {"ab", "c"}, *const a_bc[] = {"a", "bc"};

    (void)state;
    xg_cuda_uuid_make(first, ab_c, 2);
    xg_cuda_uuid_make(again, a_bc, 2);
    assert_memory_not_equal(first, again, sizeof(first));
    xg_cuda_uuid_make(again, ab_c, 2);
    assert_memory_equal(first, again, sizeof(first));
    for (unsigned i = 0; i < 5000; i++) {
        const char *const part[] = {guest, "gpu0"};
        snprintf(guest, sizeof(guest), "guest%u", i);
        xg_cuda_uuid_make(again, part, 2);
        assert_null(memchr(again, 0, sizeof(again)));
        assert_int_equal(again[6] >> 4, 8);
        assert_memory_not_equal(first, again, sizeof(first));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers), cmocka_unit_test(prefixes),
                                       cmocka_unit_test(made)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
