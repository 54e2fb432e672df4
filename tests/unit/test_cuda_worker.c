/* A CUDA worker and a guest that does what ours does not: two images of one name, writing where the
 * worker writes. */
/* links: obj/libfrontend.a obj/libworker.a obj/libcuda_replay.a obj/libcuda_common.a obj/libprotocol.a -lcuda -lseccomp -lxengnttab -lxenevtchn -lzstd -llz4 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "cuda/ops.h"
#include "cuda/abi.h"
#include "protocol/cuda/wire.h"
#include "tests/unit/loopback.h"

#define TABLE_SIZE 4096u
#define TEXT(name)                                                                                 \
    ".version 7.0\n.target sm_70\n.address_size 64\n.visible .entry " name "() { ret; }\n"

const struct xg_replay *const xg_worker_replays[XG_API_COUNT] = {[XG_API_CUDA] = &xg_replay_cuda};

static struct xg_ring *ring;
static uint8_t *table;
static uint32_t where;

#define SEND(op, type, ...)                                                                        \
    do {                                                                                           \
        struct type *f_ = xg_ring_begin(ring, XG_CUDA_OP_##op, sizeof(*f_));                       \
        *f_ = (struct type){__VA_ARGS__};                                                          \
        xg_ring_publish(ring);                                                                     \
    } while (0)

static void init(void)
{
    const struct xg_cuda_init c = {.version = XG_CUDA_WIRE_VERSION,
                                   .shared = 1,
                                   .window = 0x310000000000,
                                   .window_size = 64 << 20};
    struct xg_cuda_init_reply rep;
    uint32_t ticket;

    struct xg_cuda_init *f = xg_ring_begin_call(ring, XG_CUDA_OP_INIT, sizeof(*f), &ticket);
    *f = c;
    xg_arena_alloc(xg_channel_get(), 1 << 20, 64, &f->snapshot);
    assert_int_equal(xg_ring_wait(ring, ticket, &rep, sizeof(rep), NULL), 0);
    assert_int_equal(rep.result, CUDA_SUCCESS);
    SEND(CTX_CREATE, xg_cuda_ctx_create, .ctx = 1);
    SEND(CTX_SET, xg_cuda_ctx_set, .ctx = 1);
}

static uint32_t sync_device(void)
{
    uint32_t ticket;
    struct xg_cuda_result rep;
    struct xg_cuda_ctx_sync *f = xg_ring_begin_call(ring, XG_CUDA_OP_CTX_SYNC, sizeof(*f), &ticket);

    *f = (struct xg_cuda_ctx_sync){.alone = 0};
    assert_int_equal(xg_ring_wait(ring, ticket, &rep, sizeof(rep), NULL), 0);
    return rep.result;
}

/* `text` NULL: by its name alone. The answer, and which kernel it brought. */
static uint32_t load(uint32_t module, const char *text, size_t size, const char **kernel)
{
    uint32_t ticket, blob = text ? xg_blob_room(size) : (uint32_t)sizeof(struct xg_blob);
    struct xg_cuda_module_load_reply rep;
    struct xg_cuda_module_load *f =
        xg_ring_begin_call(ring, XG_CUDA_OP_MODULE_LOAD, (uint32_t)sizeof(*f) + blob, &ticket);

    *f = (struct xg_cuda_module_load){
        .module = module,
        .kind = text ? XG_CUDA_LOAD_IMAGE : XG_CUDA_LOAD_HASH,
        .hash = 7,
        .size = size,
        .table = where,
        .table_size = TABLE_SIZE,
    };
    xg_blob_put(ring, f + 1, text, size);
    assert_int_equal(xg_ring_wait(ring, ticket, &rep, sizeof(rep), NULL), 0);
    const struct xg_cuda_func *record = (const struct xg_cuda_func *)table;
    *kernel = (const char *)(record + 1) + record->param_count * sizeof(struct xg_cuda_param);
    return rep.result;
}

/* It keeps the images that it was sent, by the name that the guest gives them. What was sent
 * counts, whatever it is called. */
static void images_of_one_name(void **state)
{
    static const char one[] = TEXT("one"), two[] = TEXT("two");
    const char *kernel;

    (void)state;
    assert_int_equal(load(1, NULL, sizeof(one), &kernel), CUDA_ERROR_NOT_FOUND);
    assert_int_equal(load(1, one, sizeof(one), &kernel), CUDA_SUCCESS);
    assert_string_equal(kernel, "one");
    assert_int_equal(load(2, two, sizeof(two), &kernel), CUDA_SUCCESS);
    assert_string_equal(kernel, "two");
    assert_int_equal(load(3, NULL, sizeof(one), &kernel), CUDA_SUCCESS);
    assert_string_equal(kernel, "one");
    assert_int_equal(load(4, one, sizeof(one), &kernel), CUDA_SUCCESS);
    assert_string_equal(kernel, "one");
}

/* The word of errors is the worker's, whatever the guest has written there. */
static void words_written_over(void **state)
{
    static const char text[] =
        ".version 7.0\n.target sm_70\n.address_size 64\n.visible .entry wild() {\n"
        ".reg .b64 %d; mov.u64 %d, 64; st.global.u32 [%d], 1; ret; }\n";
    const char *kernel;

    (void)state;
    assert_int_equal(load(5, text, sizeof(text), &kernel), CUDA_SUCCESS);
    SEND(FUNC_GET, xg_cuda_func_get, .func = 1, .module = 5);
    atomic_store(&ring->page->word[XG_CUDA_WORD_ERROR], 1);
    struct xg_cuda_launch *f =
        xg_ring_begin(ring, XG_CUDA_OP_LAUNCH, (uint32_t)sizeof(*f) + xg_blob_room(8));
    *f = (struct xg_cuda_launch){
        .func = 1, .grid_x = 1, .grid_y = 1, .grid_z = 1, .block_x = 1, .block_y = 1, .block_z = 1};
    xg_blob_put(ring, f + 1, "no param", 8);
    xg_ring_publish(ring);
    assert_int_equal(sync_device(), CUDA_ERROR_ILLEGAL_ADDRESS);
    assert_int_equal(xg_ring_word(ring, XG_CUDA_WORD_ERROR), CUDA_ERROR_ILLEGAL_ADDRESS);
}

int main(void)
{
    const struct xg_geometry g = {
        .ring_count = 1, .cmd_order = 4, .reply_order = 2, .arena_pages = 1024};
    const struct CMUnitTest tests[] = {cmocka_unit_test(images_of_one_name),
                                       cmocka_unit_test(words_written_over)};

    loopback_cuda_library = "libcuda.so.1";
    loopback_start(g, false);
    ring = xg_channel_ring0(xg_channel_get());
    table = xg_arena_alloc(xg_channel_get(), TABLE_SIZE, 64, &where);
    init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
