/* cuda/api's copies and fills, over a device that only notes what it is told. */
/* links: obj/libcuda_api.a obj/libcuda_common.a -lzstd -llz4 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cuda/api/context.h"

#define OK(call)    assert_int_equal(call, CUDA_SUCCESS)
#define WRONG(call) assert_int_equal(call, CUDA_ERROR_INVALID_VALUE)

/* --- the device ------------------------------------------------------------------------------- */

static struct xg_cuda_ctx context;
static struct xg_cuda_stream legacy = {.handle = CU_STREAM_LEGACY, .ctx = &context, .legacy = true};
static struct xg_cuda_stream apart = {.ctx = &context}; /* only that of the thread is blocking */
static int held;
static bool refuses; /* the memory is not there */
static char done[256];
static struct xg_cuda_box box; /* the last one */

static CUresult lost(void)
{
    return CUDA_SUCCESS;
}

static CUresult ctx_error(struct xg_cuda_ctx *ctx)
{
    return CUDA_SUCCESS;
}

static CUresult stream_start(struct xg_cuda_stream *s)
{
    return CUDA_SUCCESS;
}

static CUresult stream_end(struct xg_cuda_stream *s)
{
    free(s);
    return CUDA_SUCCESS;
}

static void stream_hold(struct xg_cuda_stream *s)
{
    held++;
}

static void stream_put(struct xg_cuda_stream *s)
{
    held--;
}

static CUresult note(const struct xg_cuda_stream *s, bool wait, const char *format, ...)
{
    char *end = done + strlen(done);
    va_list args;

    if (refuses)
        return CUDA_ERROR_INVALID_VALUE;
    va_start(args, format);
    end += vsprintf(end, format, args);
    va_end(args);
    sprintf(end, "%s%s ", s->blocking ? " own" : s->legacy ? " legacy" : "", wait ? " now" : "");
    return CUDA_SUCCESS;
}

static CUresult copy_check(const struct xg_cuda_box *b, void **keep)
{
    return refuses ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

static CUresult fill_check(const CUDA_MEMSET_NODE_PARAMS *p, void **keep)
{
    return refuses ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

static bool memory_find(CUdeviceptr p, struct xg_cuda_memory *m)
{
    *m = (struct xg_cuda_memory){.kind = XG_CUDA_MEMORY_DEVICE};
    return true;
}

static CUresult copy(struct xg_cuda_stream *s, const struct xg_cuda_box *b, bool wait, void *keep)
{
    box = *b;
    return note(s, wait, "box %ux%ux%u", (unsigned)b->width, (unsigned)b->rows,
                (unsigned)b->slices);
}

static CUresult copy_line(struct xg_cuda_stream *s, CUdeviceptr dst, CUdeviceptr src, size_t size,
                          enum xg_cuda_way way, bool wait)
{
    return note(s, wait, "line %x %x %u way %u", (unsigned)dst, (unsigned)src, (unsigned)size,
                (unsigned)way);
}

static CUresult fill(struct xg_cuda_stream *s, const CUDA_MEMSET_NODE_PARAMS *p, bool wait,
                     void *keep)
{
    return note(s, wait, "fill %x %ux%u of %u span %u", (unsigned)p->dst, (unsigned)p->width,
                (unsigned)p->height, p->elementSize, (unsigned)xg_cuda_fill_span(p));
}

const struct xg_cuda_device xg_cuda_device = {
    .lost = lost,
    .ctx_error = ctx_error,
    .stream_size = sizeof(struct xg_cuda_stream),
    .stream_start = stream_start,
    .stream_end = stream_end,
    .stream_hold = stream_hold,
    .stream_put = stream_put,
    .copy_check = copy_check,
    .fill_check = fill_check,
    .memory_find = memory_find,
    .copy = copy,
    .fill = fill,
    .copy_line = copy_line,
};

static void done_is(const char *want)
{
    assert_string_equal(done, want);
    done[0] = 0;
}

static int device_new(void **state)
{
    xg_cuda_state = XG_CUDA_STARTED;
    if (!context.handle) {
        context.handle = xg_cuda_handle_new(XG_CUDA_KIND_CTX, &context);
        context.legacy = &legacy;
        apart.handle = xg_cuda_handle_new(XG_CUDA_KIND_STREAM, &apart);
        OK(cuCtxSetCurrent(context.handle));
    }
    done[0] = 0;
    refuses = false;
    return 0;
}

static int device_end(void **state)
{
    assert_int_equal(held, 0);
    return 0;
}

/* --- lines ------------------------------------------------------------------------------------ */

static void lines(void **state)
{
    void *host = (void *)0x20;

    OK(cuMemcpyHtoD_v2(0x1000, host, 3));
    OK(cuMemcpyDtoH_v2_ptds(host, 0x1000, 4));
    OK(cuMemcpyDtoDAsync_v2(0x1000, 0x2000, 5, apart.handle));
    OK(cuMemcpyAsync(0x1000, 0x20, 6, NULL));
    done_is("line 1000 20 3 way 0 legacy now line 20 1000 4 way 1 own now "
            "line 1000 2000 5 way 2 line 1000 20 6 way 3 legacy ");
    OK(cuMemcpyHtoD_v2(0, NULL, 0)); /* nothing, and nothing is looked at but the stream */
    assert_int_equal(cuMemcpyAsync(0, 0, 0, (CUstream)0x99), CUDA_ERROR_INVALID_HANDLE);
    WRONG(cuMemcpyHtoD_v2(0x1000, NULL, 1));
    WRONG(cuMemcpy(0, 0x1000, 1));
    OK(cuMemcpyPeer(1, NULL, 2, context.handle, 3));
    assert_int_equal(cuMemcpyPeer(1, (CUcontext)0x200, 2, NULL, 3), CUDA_ERROR_INVALID_CONTEXT);
    done_is("line 1 2 3 way 2 legacy now ");
}

static void batches(void **state)
{
    CUdeviceptr to[] = {1, 2, 0}, from[] = {4, 5, 6};
    size_t size[] = {1, 1, 1}, index[] = {0, 1}, failed = 7;
    CUmemcpyAttributes attr[2];

    OK(cuMemcpyBatchAsync(to, from, size, 2, attr, index, 1, &failed, apart.handle));
    assert_int_equal(failed, SIZE_MAX);
    WRONG(cuMemcpyBatchAsync(to, from, size, 3, attr, index, 1, &failed, apart.handle));
    assert_int_equal(failed, 2);
    WRONG(cuMemcpyBatchAsync(to, from, size, 1, attr, index, 2, &failed, apart.handle));
    assert_int_equal(failed, SIZE_MAX);
    WRONG(cuMemcpyBatchAsync_v2(to, from, size, 0, attr, index, 0, apart.handle));
    done_is("line 1 4 1 way 3 line 2 5 1 way 3 line 1 4 1 way 3 line 2 5 1 way 3 ");
}

/* --- boxes ------------------------------------------------------------------------------------ */

static const CUDA_MEMCPY3D plain = {
    .srcMemoryType = CU_MEMORYTYPE_HOST,
    .srcHost = (void *)0x100,
    .dstMemoryType = CU_MEMORYTYPE_DEVICE,
    .dstDevice = 0x1000,
    .WidthInBytes = 8,
    .Height = 3,
    .Depth = 2,
};

static void defaults(void **state)
{
    CUDA_MEMCPY3D m = plain;
    CUDA_MEMCPY2D flat = {.srcMemoryType = CU_MEMORYTYPE_UNIFIED,
                          .srcDevice = 0x100,
                          .srcPitch = 16,
                          .srcY = 2,
                          .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                          .dstArray = (CUarray)0x33,
                          .dstXInBytes = 4,
                          .WidthInBytes = 8,
                          .Height = 3};

    m.srcXInBytes = 2;
    m.srcY = 1;
    m.srcZ = 1;
    m.dstPitch = 64;
    m.dstHeight = 5;
    OK(cuMemcpy3D_v2(&m));
    done_is("box 8x3x2 legacy now ");
    assert_int_equal(box.src.pitch, 10); /* as wide and high as is looked at */
    assert_int_equal(box.src.height, 4);
    assert_int_equal(box.src.start, 0x100 + (4 + 1) * 10 + 2);
    assert_int_equal(box.src.span, (4 + 2) * 10 + 8);
    assert_int_equal(box.dst.start, 0x1000);
    assert_int_equal(box.dst.span, (5 + 2) * 64 + 8);
    OK(cuMemcpy2DAsync_v2(&flat, apart.handle));
    done_is("box 8x3x1 ");
    assert_int_equal(box.src.start, 0x100 + 2 * 16);
    assert_int_equal(box.dst.at, 0x33);
    assert_int_equal(box.dst.x, 4);
    OK(cuMemcpyAtoD_v2_ptds(0x1000, (CUarray)0x33, 7, 9));
    done_is("box 9x1x1 own now ");
    assert_int_equal(box.src.x, 7);
    flat.Height = 0;
    flat.srcDevice = 0;
    flat.dstArray = NULL;
    OK(cuMemcpy2D_v2(&flat)); /* nothing, as with a line */
    done_is("");
}

/* One member of it is another, and that is wrong. */
static void box_wrong(size_t member, uint64_t value)
{
    CUDA_MEMCPY3D m = plain;

    memcpy((char *)&m + member, &value, sizeof(value));
    WRONG(cuMemcpy3D_v2(&m));
}

static void boxes_wrong(void **state)
{
    CUDA_MEMCPY3D m = plain;

    box_wrong(offsetof(CUDA_MEMCPY3D, srcHost), 0);
    box_wrong(offsetof(CUDA_MEMCPY3D, dstDevice), 0);
    box_wrong(offsetof(CUDA_MEMCPY3D, srcPitch), 7);
    box_wrong(offsetof(CUDA_MEMCPY3D, dstHeight), 2);
    box_wrong(offsetof(CUDA_MEMCPY3D, srcXInBytes), UINT64_MAX);
    box_wrong(offsetof(CUDA_MEMCPY3D, dstY), UINT64_MAX);
    box_wrong(offsetof(CUDA_MEMCPY3D, dstZ), UINT64_MAX / 8);
    box_wrong(offsetof(CUDA_MEMCPY3D, WidthInBytes), UINT64_MAX / 2);
    box_wrong(offsetof(CUDA_MEMCPY3D, Depth), UINT64_MAX);
    m.srcMemoryType = 0;
    WRONG(cuMemcpy3D_v2(&m));
    m = plain;
    m.Height = m.Depth = 1; /* the second slice need not be there, but its place has a number */
    m.srcPitch = XG_CUDA_PITCH_MAX;
    m.srcHeight = UINT64_MAX / XG_CUDA_PITCH_MAX;
    OK(cuMemcpy3D_v2(&m));
    done_is("box 8x1x1 legacy now ");
    m.srcHeight++;
    WRONG(cuMemcpy3D_v2(&m));
    m.srcHeight = 1;
    m.srcPitch++;
    WRONG(cuMemcpy3D_v2(&m));
    m = plain;
    m.srcY = 2; /* the last row is beyond the slice */
    m.srcHeight = 4;
    WRONG(cuMemcpy3D_v2(&m));
    WRONG(cuMemcpy3D_v2(NULL));
    WRONG(cuMemcpy2D_v2(NULL));
    WRONG(cuMemcpy3DPeer(NULL));
    done_is("");
}

/* --- fills ------------------------------------------------------------------------------------ */

static void fills(void **state)
{
    OK(cuMemsetD8_v2(0x1001, 1, 5));
    OK(cuMemsetD16_v2_ptds(0x1002, 1, 5));
    OK(cuMemsetD2D32Async(0x1004, 64, 1, 3, 4, apart.handle));
    OK(cuMemsetD2D32_v2(0x1004, 1, 1, 3, 1)); /* of one row the pitch says nothing */
    done_is("fill 1001 5x1 of 1 span 5 legacy now fill 1002 5x1 of 2 span 10 own now "
            "fill 1004 3x4 of 4 span 204 fill 1004 3x1 of 4 span 12 legacy now ");
    OK(cuMemsetD32_v2(0x1001, 1, 0));
    OK(cuMemsetD2D8_v2(0, 0, 1, 5, 0));
    WRONG(cuMemsetD16_v2(0x1001, 1, 1));
    WRONG(cuMemsetD32_v2(0x1002, 1, 1));
    WRONG(cuMemsetD32_v2(0x1000, 1, SIZE_MAX / 4 + 2));
    WRONG(cuMemsetD2D8_v2(0x1000, 4, 1, 5, 2));
    WRONG(cuMemsetD2D32_v2(0x1000, 10, 1, 1, 2));
    WRONG(cuMemsetD2D8_v2(0x1000, SIZE_MAX / 2 + 1, 1, 64, 3));
    done_is("");
}

/* --- captures --------------------------------------------------------------------------------- */

/* A synchronous call is refused once it is known that it could have been done. */
static void captured(void **state)
{
    CUgraph g;
    size_t count = 0;

    OK(cuStreamBeginCapture_v2(apart.handle, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cuMemcpyAsync(0x1000, 0x2000, 4, apart.handle));
    OK(cuMemcpy3DAsync_v2(&plain, apart.handle));
    OK(cuMemsetD8Async(0x1000, 1, 1, apart.handle));
    WRONG(cuMemsetD16Async(0x1001, 1, 1, apart.handle));
    OK(cuMemcpy(0x1000, 0x2000, 4)); /* that stream does not synchronise with the legacy one */
    done_is("line 1000 2000 4 way 3 legacy now ");
    OK(cuStreamEndCapture(apart.handle, &g));
    OK(cuGraphGetNodes(g, NULL, &count));
    assert_int_equal(count, 3);
    OK(cuGraphDestroy(g));

    OK(cuStreamBeginCapture_v2(CU_STREAM_PER_THREAD, CU_STREAM_CAPTURE_MODE_RELAXED));
    refuses = true;
    WRONG(cuMemcpy(0x1000, 0x2000, 4));
    WRONG(cuMemsetD8_v2(0x1000, 1, 1));
    OK(cuMemcpy(0x1000, 0x2000, 0));
    refuses = false;
    assert_int_equal(cuMemcpyPeerAsync(1, NULL, 2, NULL, 3, apart.handle), CUDA_SUCCESS);
    assert_int_equal(cuMemcpy(0x1000, 0x2000, 4), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    assert_int_equal(cuMemsetD8_v2(0x1000, 1, 1), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    assert_int_equal(cuMemcpy3DPeerAsync(NULL, CU_STREAM_PER_THREAD),
                     CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    assert_int_equal(cuStreamEndCapture(CU_STREAM_PER_THREAD, &g),
                     CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    done_is("line 1 2 3 way 2 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines, device_new, device_end),
        cmocka_unit_test_setup_teardown(batches, device_new, device_end),
        cmocka_unit_test_setup_teardown(defaults, device_new, device_end),
        cmocka_unit_test_setup_teardown(boxes_wrong, device_new, device_end),
        cmocka_unit_test_setup_teardown(fills, device_new, device_end),
        cmocka_unit_test_setup_teardown(captured, device_new, device_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
