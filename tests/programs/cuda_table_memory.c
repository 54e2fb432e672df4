/*
 * cuda_table_memory: allocations and what is told of them, fills, copies of all kinds and
 * directions, memory of the host, attributes of pointers, managed memory. After each fill and copy
 * the whole memory around it is looked at.
 */
/* links: -lcuda */
#include "tests/programs/cuda_table.h"

enum { SIZE = 4096, MB = 1 << 20 };

static CUdeviceptr p, q;                           /* SIZE bytes each, while a table runs */
static uint8_t want[SIZE], host[SIZE], from[SIZE]; /* what p should hold; an answer; a pattern */

static void both_allocate(void)
{
    CHECK(cuMemAlloc(&p, SIZE));
    CHECK(cuMemAlloc(&q, SIZE));
    for (unsigned i = 0; i < SIZE; i++)
        from[i] = (uint8_t)(i * 7 + i / 256);
}

static void both_free(void)
{
    CHECK(cuMemFree(p));
    CHECK(cuMemFree(q));
}

/* p holds 0xaa, and so it should. */
static void clean(void)
{
    CHECK(cuMemsetD8(p, 0xaa, SIZE));
    memset(want, 0xaa, SIZE);
}

static bool p_is_right(void)
{
    return holds(p, want, SIZE);
}

/* --- allocations ------------------------------------------------------------------------------ */

static void allocate_and_free(void)
{
    static const size_t sizes[] = {1, 3, 256, 257, 4096, 65537, 3 * MB + 1};
    CUdeviceptr all[7], base;
    size_t size, total, before, after;
    bool apart = true;
    unsigned type;

    for (unsigned i = 0; i < 7; i++) {
        note("%zu", sizes[i]);
        OK(cuMemAlloc(&all[i], sizes[i]), all[i], all[i] % 256 == 0); /* fit for any variable */
        OK(cuMemsetD8(all[i], (unsigned char)i, sizes[i]), bytes_are(all[i], sizes[i], (uint8_t)i));
        OK(cuMemGetAddressRange(&base, &size, all[i]), base == all[i], size == sizes[i]);
        OK(cuMemGetAddressRange(&base, &size, all[i] + sizes[i] - 1), base == all[i],
           size == sizes[i]);
    }
    for (unsigned i = 0; i < 7; i++)
        for (unsigned k = 0; k < i; k++)
            apart &= all[i] + sizes[i] <= all[k] || all[k] + sizes[k] <= all[i];
    SEE(apart);
    for (unsigned i = 0; i < 7; i++) {
        note("%zu", sizes[i]);
        SEE(bytes_are(all[i], sizes[i], (uint8_t)i)); /* nobody wrote into a neighbour */
        OK(cuMemFree(all[i]));
    }
    note("%s", "");
    NO(INVALID_VALUE, cuMemFree(all[6]));
    NO(INVALID_VALUE, cuMemsetD8(all[6], 0, 1));
    NO(INVALID_VALUE, cuMemcpyDtoH(host, all[6], 1));
    NO(INVALID_VALUE, cuMemcpyHtoD(all[6], host, 1));
    NO(NOT_FOUND, cuMemGetAddressRange(&base, &size, all[6]));
    NO(INVALID_VALUE, cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, all[6]));
    OK(cuMemFree(0)); /* nothing is freed */

    OK(cuMemGetInfo(&before, &total), before <= total);
    OK(cuMemAlloc(&base, 64 * MB));
    OK(cuMemGetInfo(&after, &size), size == total, after + 64 * MB <= before + 2 * MB);
    NO(INVALID_VALUE, cuMemFree(base + 256)); /* only what cuMemAlloc gave */
    OK(cuMemsetD8(base + 64 * MB - 1, 9, 1), bytes_are(base + 64 * MB - 1, 1, 9));
    OK(cuMemFree(base));
    OK(cuMemGetInfo(&after, NULL), after + 4 * MB >= before);
    base = 12345;
    NO(OUT_OF_MEMORY, cuMemAlloc(&base, total + MB));
    NO(OUT_OF_MEMORY, cuMemAlloc(&base, SIZE_MAX));
    NO(OUT_OF_MEMORY, cuMemAlloc(&base, SIZE_MAX - 4096));
    NO(INVALID_VALUE, cuMemAlloc(&base, 0));
    OK(cuMemGetInfo(NULL, &total), total > 0);
    OK(cuMemAlloc(&base, MB)); /* there is room as ever */
    OK(cuMemFree(base));
}

static const struct {
    size_t width, height;
    unsigned element;
} pitches[] = {{1, 1, 4}, {100, 10, 4}, {100, 10, 8}, {512, 3, 16}, {513, 7, 16}, {4097, 2, 4}};

static void pitched(void)
{
    CUdeviceptr m, base;
    size_t pitch, size;

    for (unsigned i = 0; i < 6; i++) {
        size_t w = pitches[i].width, h = pitches[i].height;
        note("%zu x %zu by %u", w, h, pitches[i].element);
        OK(cuMemAllocPitch(&m, &pitch, w, h, pitches[i].element), pitch >= w,
           pitch % pitches[i].element == 0, m % 256 == 0);
        OK(cuMemGetAddressRange(&base, &size, m), base == m, size >= pitch * (h - 1) + w);
        OK(cuMemsetD2D8(m, pitch, 3, w, h), bytes_are(m, w, 3),
           bytes_are(m + pitch * (h - 1), w, 3));
        OK(cuMemFree(m));
    }
    note("%s", "");
    NO(INVALID_VALUE, cuMemAllocPitch(&m, &pitch, 100, 10, 5)); /* 4, 8 or 16 */
    NO(INVALID_VALUE, cuMemAllocPitch(&m, &pitch, 100, 10, 1));
    NO(OUT_OF_MEMORY, cuMemAllocPitch(&m, &pitch, 1ull << 40, 1ull << 30, 4)); /* overflows */
    if (on_softcuda())
        NO(OUT_OF_MEMORY, cuMemAllocPitch(&m, &pitch, SIZE_MAX - 100, 1, 4)); /* so does a row */
}

/* --- fills ------------------------------------------------------------------------------------ */

static const struct {
    size_t at, count; /* bytes, elements */
    unsigned width;   /* of an element */
    uint32_t value;
} fills[] = {
    {0, 1, 1, 0x11},
    {1, 1, 1, 0x12},
    {SIZE - 1, 1, 1, 0x13},
    {0, SIZE, 1, 0x14},
    {7, 1001, 1, 0x15},
    {63, 2, 1, 0x1ff}, /* of which 0xff */
    {0, 1, 2, 0x2122},
    {2, 3, 2, 0x2324},
    {SIZE - 2, 1, 2, 0x2526},
    {0, SIZE / 2, 2, 0x2728},
    {66, 513, 2, 0x2728},
    {0, 1, 4, 0x41424344},
    {4, 5, 4, 0x45464748},
    {SIZE - 4, 1, 4, 0xffffffff},
    {0, SIZE / 4, 4, 0x01020304},
    {100, 257, 4, 0},
    {9, 0, 1, 0x77},
    {10, 0, 2, 0x7777},
    {12, 0, 4, 0x77777777},
};

static CUresult fill(CUdeviceptr at, unsigned width, uint32_t value, size_t count, CUstream *s)
{
    switch (width) {
    case 1:
        return s ? cuMemsetD8Async(at, (unsigned char)value, count, *s)
                 : cuMemsetD8(at, (unsigned char)value, count);
    case 2:
        return s ? cuMemsetD16Async(at, (unsigned short)value, count, *s)
                 : cuMemsetD16(at, (unsigned short)value, count);
    default: return s ? cuMemsetD32Async(at, value, count, *s) : cuMemsetD32(at, value, count);
    }
}

static CUresult fill_rows(CUdeviceptr at, size_t pitch, unsigned width, uint32_t value,
                          size_t columns, size_t rows, CUstream *s)
{
    switch (width) {
    case 1:
        return s ? cuMemsetD2D8Async(at, pitch, (unsigned char)value, columns, rows, *s)
                 : cuMemsetD2D8(at, pitch, (unsigned char)value, columns, rows);
    case 2:
        return s ? cuMemsetD2D16Async(at, pitch, (unsigned short)value, columns, rows, *s)
                 : cuMemsetD2D16(at, pitch, (unsigned short)value, columns, rows);
    default:
        return s ? cuMemsetD2D32Async(at, pitch, value, columns, rows, *s)
                 : cuMemsetD2D32(at, pitch, value, columns, rows);
    }
}

static void want_fill(size_t at, unsigned width, uint32_t value, size_t count)
{
    for (size_t i = 0; i < count; i++)
        memcpy(want + at + i * width, &value, width);
}

static void filled(void)
{
    CUstream s;

    both_allocate();
    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    for (unsigned i = 0; i < sizeof(fills) / sizeof(fills[0]); i++) {
        unsigned width = fills[i].width;
        size_t at = fills[i].at;
        note("D%u %#x, %zu at %zu", width * 8, fills[i].value, fills[i].count, at);
        clean();
        want_fill(at, width, fills[i].value, fills[i].count);
        OK(fill(p + at, width, fills[i].value, fills[i].count, NULL), p_is_right());
        clean();
        CHECK(cuCtxSynchronize()); /* the other stream does not wait for it */
        want_fill(at, width, fills[i].value, fills[i].count);
        OK(fill(p + at, width, fills[i].value, fills[i].count, &s));
        OK(cuStreamSynchronize(s), p_is_right());
    }
    clean();
    note("%s", "");
    NO(INVALID_VALUE, cuMemsetD16(p + 1, 5, 1)); /* two bytes lie at even addresses */
    NO(INVALID_VALUE, cuMemsetD32(p + 2, 5, 1));
    NO(INVALID_VALUE, cuMemsetD16Async(p + 1, 5, 1, s));
    NO(INVALID_VALUE, cuMemsetD32Async(p + 2, 5, 1, s));
    OK(cuCtxSynchronize(), p_is_right());
    if (on_softcuda()) { /* a driver may notice it only where nothing lies behind */
        NO(INVALID_VALUE, cuMemsetD8(p + SIZE - 1, 5, 2));
        NO(INVALID_VALUE, cuMemsetD16(p + SIZE - 2, 5, 2));
        NO(INVALID_VALUE, cuMemsetD32(p, 5, SIZE / 4 + 1));
        NO(INVALID_VALUE, cuMemsetD32(p, 5, SIZE_MAX / 4 + 2)); /* bytes beyond all numbers */
        LATE(INVALID_VALUE, cuMemsetD8Async(p + SIZE - 1, 5, 2, s));
        SEE(p_is_right()); /* of what is refused nothing is done */
    }
    CHECK(cuStreamDestroy(s));
    both_free();
}

static const struct {
    size_t at, pitch, columns, rows; /* bytes, bytes, elements, rows */
    unsigned width;
} rectangles[] = {
    {0, 64, 64, 4, 1},  {5, 64, 10, 4, 1}, {0, 16, 3, 256, 1}, {1, 1, 1, 100, 1},
    {0, 64, 32, 4, 2},  {6, 32, 5, 8, 2},  {0, 64, 16, 4, 4},  {8, 128, 7, 31, 4},
    {0, 4096, 9, 1, 4}, {16, 64, 0, 4, 1}, {16, 64, 4, 0, 4},  {16, 64, 0, 0, 2},
};

static void filled_rows(void)
{
    CUstream s;

    both_allocate();
    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    for (unsigned i = 0; i < sizeof(rectangles) / sizeof(rectangles[0]); i++) {
        size_t at = rectangles[i].at, pitch = rectangles[i].pitch;
        size_t columns = rectangles[i].columns, rows = rectangles[i].rows;
        unsigned width = rectangles[i].width;
        note("D%u, %zu x %zu of %zu at %zu", width * 8, columns, rows, pitch, at);
        for (unsigned late = 0; late < 2; late++) {
            clean();
            CHECK(cuCtxSynchronize());
            for (size_t y = 0; y < rows; y++)
                want_fill(at + y * pitch, width, 0x51525354, columns);
            OK(fill_rows(p + at, pitch, width, 0x51525354, columns, rows, late ? &s : NULL));
            OK(cuStreamSynchronize(s), p_is_right());
        }
    }
    note("%s", "");
    clean();
    NO(INVALID_VALUE, cuMemsetD2D8(p, 8, 1, 9, 2)); /* rows wider than their pitch */
    NO(INVALID_VALUE, cuMemsetD2D32(p, 16, 1, 5, 2));
    NO(INVALID_VALUE, cuMemsetD2D16(p + 1, 16, 1, 2, 2)); /* not at an even address */
    NO(INVALID_VALUE, cuMemsetD2D32(p, 10, 1, 1, 2));     /* nor is the second row, by 4 */
    if (on_softcuda()) {
        NO(INVALID_VALUE, cuMemsetD2D8(p, 64, 1, 65, SIZE / 64));
        NO(INVALID_VALUE, cuMemsetD2D8(p, 64, 1, 64, SIZE / 64 + 1));
        NO(INVALID_VALUE, cuMemsetD2D8(p, SIZE_MAX / 2 + 1, 1, 64, 3)); /* all numbers, and more */
    }
    SEE(p_is_right());
    CHECK(cuStreamDestroy(s));
    both_free();
}

/* --- copies of bytes -------------------------------------------------------------------------- */

static const struct {
    size_t to, from, size;
} spans[] = {{0, 0, SIZE}, {0, 0, 1},      {1, 0, 1},   {0, 1, 1},      {SIZE - 1, SIZE - 1, 1},
             {3, 5, 1000}, {16, 32, 2048}, {0, 100, 0}, {1024, 0, 3072}};

enum { HTOD, DTOH, DTOD, ANY_HTOD, ANY_DTOH, ANY_DTOD, PEER, WAYS };

static const char *const way_names[] = {
    "HtoD", "DtoH", "DtoD", "host to device", "device to host", "device to device", "peer"};

/* `s` for an asynchronous one. */
static CUresult copy(unsigned way, size_t to, size_t at, size_t n, CUstream *s)
{
    CUdeviceptr h = (CUdeviceptr)(uintptr_t)host, f = (CUdeviceptr)(uintptr_t)from;

    switch (way) {
    case HTOD:
        return s ? cuMemcpyHtoDAsync(p + to, from + at, n, *s) : cuMemcpyHtoD(p + to, from + at, n);
    case DTOH:
        return s ? cuMemcpyDtoHAsync(host + to, q + at, n, *s) : cuMemcpyDtoH(host + to, q + at, n);
    case DTOD:
        return s ? cuMemcpyDtoDAsync(p + to, q + at, n, *s) : cuMemcpyDtoD(p + to, q + at, n);
    case ANY_HTOD: return s ? cuMemcpyAsync(p + to, f + at, n, *s) : cuMemcpy(p + to, f + at, n);
    case ANY_DTOH: return s ? cuMemcpyAsync(h + to, q + at, n, *s) : cuMemcpy(h + to, q + at, n);
    case ANY_DTOD: return s ? cuMemcpyAsync(p + to, q + at, n, *s) : cuMemcpy(p + to, q + at, n);
    default:
        return s ? cuMemcpyPeerAsync(p + to, ctx, q + at, ctx, n, *s)
                 : cuMemcpyPeer(p + to, ctx, q + at, ctx, n);
    }
}

static bool copied(unsigned way)
{
    if (way == DTOH || way == ANY_DTOH)
        return !memcmp(host, want, SIZE);
    return p_is_right();
}

static void copies(void)
{
    CUstream s;

    both_allocate();
    CHECK(cuMemcpyHtoD(q, from, SIZE));
    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    for (unsigned way = 0; way < WAYS; way++) {
        for (unsigned i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
            note("%s, %zu to %zu of %zu", way_names[way], spans[i].size, spans[i].to,
                 spans[i].from);
            clean();
            CHECK(cuCtxSynchronize());
            memset(host, 0xaa, SIZE);
            memcpy(want + spans[i].to, from + spans[i].from, spans[i].size);
            OK(copy(way, spans[i].to, spans[i].from, spans[i].size, NULL), copied(way));
            clean();
            CHECK(cuCtxSynchronize());
            memset(host, 0xaa, SIZE);
            memcpy(want + spans[i].to, from + spans[i].from, spans[i].size);
            OK(copy(way, spans[i].to, spans[i].from, spans[i].size, &s));
            OK(cuStreamSynchronize(s), copied(way));
        }
    }
    note("%s", "");
    CHECK(cuStreamDestroy(s));
    both_free();
}

static void copies_outside(void)
{
    both_allocate();
    clean();
    /* Far over the end, for a driver too. */
    NO(INVALID_VALUE, cuMemcpyHtoD(p, from, 1ull << 40));
    NO(INVALID_VALUE, cuMemcpyDtoD(p, q, 1ull << 40));
    NO(INVALID_VALUE, cuMemcpyHtoD(0, from, 4));
    NO(INVALID_VALUE, cuMemcpyDtoH(host, 0, 4));
    NO(INVALID_VALUE, cuMemcpyDtoD(p, 0, 4));
    if (on_softcuda()) {
        NO(INVALID_VALUE, cuMemcpyHtoD(p + SIZE - 1, from, 2));
        NO(INVALID_VALUE, cuMemcpyDtoH(host, p + SIZE - 1, 2));
        NO(INVALID_VALUE, cuMemcpyDtoD(p + SIZE - 1, q, 2));
        NO(INVALID_VALUE, cuMemcpyDtoD(p, q + SIZE - 1, 2));
        NO(INVALID_VALUE, cuMemcpy(p + SIZE - 1, q, 2));
        NO(INVALID_VALUE, cuMemcpyPeer(p + SIZE - 1, ctx, q, ctx, 2));
        NO(INVALID_VALUE, cuMemcpyHtoD(p, from, SIZE_MAX));
        NO(INVALID_VALUE, cuMemcpyDtoD(p, q, SIZE_MAX - 15));
        /* What lies on the device is not the host's. */
        NO(INVALID_VALUE, cuMemcpyHtoD(p, (void *)(uintptr_t)q, 4));
        NO(INVALID_VALUE, cuMemcpyDtoH((void *)(uintptr_t)p, q, 4));
        NO(INVALID_VALUE, cuMemcpyHtoDAsync(p, (void *)(uintptr_t)q, 4, NULL));
        LATE(INVALID_VALUE, cuMemcpyHtoDAsync(p + SIZE - 1, from, 2, NULL));
        LATE(INVALID_VALUE, cuMemcpyDtoDAsync(p + SIZE - 1, q, 2, NULL));
    }
    SEE(p_is_right());
    /* Between two places of the host it is a copy too. */
    memset(host, 0, SIZE);
    OK(cuMemcpy((CUdeviceptr)(uintptr_t)host, (CUdeviceptr)(uintptr_t)from, 100),
       !memcmp(host, from, 100), is_all(host + 100, 100, 0));
    both_free();
}

/* --- copies of rectangles and boxes ----------------------------------------------------------- */

/* One shape for all of them: bytes, rows, slices. */
struct shape {
    size_t x, y, z, pitch, height; /* height: rows of a slice; 0 in two dimensions */
};

static const struct box {
    struct shape from, to;
    size_t width, rows, slices;
} boxes[] = {
    {{0, 0, 0, 64, 0}, {0, 0, 0, 64, 0}, 64, 8, 1},
    {{3, 1, 0, 64, 0}, {0, 0, 0, 16, 0}, 16, 5, 1},
    {{0, 0, 0, 10, 0}, {7, 2, 0, 100, 0}, 10, 6, 1},
    {{1, 0, 0, 33, 0}, {2, 0, 0, 35, 0}, 31, 9, 1}, /* nothing is aligned */
    {{0, 3, 0, 64, 0}, {0, 1, 0, 128, 0}, 64, 1, 1},
    {{0, 0, 0, 64, 0}, {8, 8, 0, 64, 0}, 0, 8, 1}, /* nothing */
    {{0, 0, 0, 64, 0}, {8, 8, 0, 64, 0}, 8, 0, 1},
    {{0, 0, 0, 16, 4}, {0, 0, 0, 16, 4}, 16, 4, 4},
    {{2, 1, 1, 16, 4}, {3, 0, 2, 32, 3}, 11, 2, 3},
    {{0, 0, 0, 8, 5}, {1, 2, 3, 12, 7}, 8, 4, 2},
    {{0, 2, 3, 16, 4}, {0, 0, 0, 16, 4}, 16, 2, 1},
    {{0, 0, 0, 16, 4}, {5, 1, 1, 32, 4}, 4, 2, 0}, /* nothing */
};

static size_t offset(const struct shape *s, size_t row, size_t slice)
{
    return ((s->z + slice) * s->height + s->y + row) * s->pitch + s->x;
}

static void want_box(const struct box *b)
{
    for (size_t z = 0; z < b->slices; z++)
        for (size_t y = 0; y < b->rows; y++)
            memcpy(want + offset(&b->to, y, z), from + offset(&b->from, y, z), b->width);
}

enum { BOX_HTOD, BOX_DTOH, BOX_DTOD, BOX_HTOH, BOX_ANY, BOX_WAYS };
enum { BY_2D, BY_2D_UNALIGNED, BY_2D_ASYNC, BY_3D, BY_3D_ASYNC, BY_3D_PEER, BOX_CALLS };

static const char *const box_names[] = {"HtoD", "DtoH", "DtoD", "HtoH", "unified"};

static CUDA_MEMCPY3D box_copy(const struct box *b, unsigned way)
{
    bool from_host = way == BOX_HTOD || way == BOX_HTOH;
    bool to_host = way == BOX_DTOH || way == BOX_HTOH;

    return (CUDA_MEMCPY3D){
        .srcXInBytes = b->from.x,
        .srcY = b->from.y,
        .srcZ = b->from.z,
        .srcMemoryType = way == BOX_ANY ? CU_MEMORYTYPE_UNIFIED
                         : from_host    ? CU_MEMORYTYPE_HOST
                                        : CU_MEMORYTYPE_DEVICE,
        .srcHost = from_host ? from : NULL,
        .srcDevice = from_host ? 0 : q,
        .srcPitch = b->from.pitch,
        .srcHeight = b->from.height,
        .dstXInBytes = b->to.x,
        .dstY = b->to.y,
        .dstZ = b->to.z,
        .dstMemoryType = way == BOX_ANY ? CU_MEMORYTYPE_UNIFIED
                         : to_host      ? CU_MEMORYTYPE_HOST
                                        : CU_MEMORYTYPE_DEVICE,
        .dstHost = to_host ? host : NULL,
        .dstDevice = to_host ? 0 : p,
        .dstPitch = b->to.pitch,
        .dstHeight = b->to.height,
        .WidthInBytes = b->width,
        .Height = b->rows,
        .Depth = b->slices,
    };
}

static CUDA_MEMCPY2D flat(const CUDA_MEMCPY3D *c)
{
    return (CUDA_MEMCPY2D){
        .srcXInBytes = c->srcXInBytes,
        .srcY = c->srcY,
        .srcMemoryType = c->srcMemoryType,
        .srcHost = c->srcHost,
        .srcDevice = c->srcDevice,
        .srcPitch = c->srcPitch,
        .dstXInBytes = c->dstXInBytes,
        .dstY = c->dstY,
        .dstMemoryType = c->dstMemoryType,
        .dstHost = c->dstHost,
        .dstDevice = c->dstDevice,
        .dstPitch = c->dstPitch,
        .WidthInBytes = c->WidthInBytes,
        .Height = c->Height,
    };
}

static CUDA_MEMCPY3D_PEER between(const CUDA_MEMCPY3D *c)
{
    return (CUDA_MEMCPY3D_PEER){
        .srcXInBytes = c->srcXInBytes,
        .srcY = c->srcY,
        .srcZ = c->srcZ,
        .srcMemoryType = c->srcMemoryType,
        .srcHost = c->srcHost,
        .srcDevice = c->srcDevice,
        .srcContext = ctx,
        .srcPitch = c->srcPitch,
        .srcHeight = c->srcHeight,
        .dstXInBytes = c->dstXInBytes,
        .dstY = c->dstY,
        .dstZ = c->dstZ,
        .dstMemoryType = c->dstMemoryType,
        .dstHost = c->dstHost,
        .dstDevice = c->dstDevice,
        .dstContext = ctx,
        .dstPitch = c->dstPitch,
        .dstHeight = c->dstHeight,
        .WidthInBytes = c->WidthInBytes,
        .Height = c->Height,
        .Depth = c->Depth,
    };
}

static void box_row(const struct box *b, unsigned way, unsigned by, CUstream s)
{
    CUDA_MEMCPY3D c = box_copy(b, way);
    CUDA_MEMCPY2D rows = flat(&c);
    CUDA_MEMCPY3D_PEER peer = between(&c);

    clean();
    memset(host, 0xaa, SIZE);
    CHECK(cuCtxSynchronize());
    want_box(b);
    switch (by) {
    case BY_2D: OK(cuMemcpy2D(&rows)); break;
    case BY_2D_UNALIGNED: OK(cuMemcpy2DUnaligned(&rows)); break;
    case BY_2D_ASYNC: OK(cuMemcpy2DAsync(&rows, s)); break;
    case BY_3D: OK(cuMemcpy3D(&c)); break;
    case BY_3D_ASYNC: OK(cuMemcpy3DAsync(&c, s)); break;
    case BY_3D_PEER: OK(cuMemcpy3DPeer(&peer)); break;
    }
    CHECK(cuStreamSynchronize(s));
    SEE(way == BOX_DTOH || way == BOX_HTOH ? !memcmp(host, want, SIZE) : p_is_right());
}

static void rectangles_and_boxes(bool deep)
{
    CUstream s;

    both_allocate();
    CHECK(cuMemcpyHtoD(q, from, SIZE));
    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    for (unsigned i = 0; i < sizeof(boxes) / sizeof(boxes[0]); i++) {
        if ((boxes[i].from.height != 0) != deep)
            continue;
        for (unsigned way = 0; way < BOX_WAYS; way++) {
            note("%u: %s", i, box_names[way]);
            for (unsigned by = deep ? BY_3D : BY_2D; by < (deep ? BOX_CALLS : BY_3D); by++)
                if (by != BY_3D_PEER || way == BOX_DTOD)
                    box_row(&boxes[i], way, by, s);
        }
    }
    note("%s", "");
    CHECK(cuStreamDestroy(s));
    both_free();
}

static void copied_rectangles(void)
{
    rectangles_and_boxes(false);
}

/* Of one row, where the next one, or the next slice, would be farther than there are numbers. */
static void box_far(void)
{
    CUDA_MEMCPY3D c;
    void *pinned;

    OK(cuMemHostAlloc(&pinned, SIZE, 0));
    for (unsigned i = 0; i < 3; i++) {
        note("%s", i == 0 ? "device" : i == 1 ? "pageable" : "pinned");
        c = box_copy(&(struct box){.width = 16, .rows = 1, .slices = 1}, BOX_HTOD);
        if (i == 2)
            c.srcHost = pinned;
        size_t *pitch = i ? &c.srcPitch : &c.dstPitch, *height = i ? &c.srcHeight : &c.dstHeight;
        *pitch = 1ull << 40; /* over CU_DEVICE_ATTRIBUTE_MAX_PITCH */
        NO(INVALID_VALUE, cuMemcpy3D(&c));
        *height = 1 << 30;
        NO(INVALID_VALUE, cuMemcpy3DAsync(&c, NULL));
        *pitch = 1 << 30;
        *height = 1ull << 40;
        if (on_softcuda()) /* a driver may not look at it */
            NO(INVALID_VALUE, cuMemcpy3D(&c));
        OK(cuCtxSynchronize());
    }
    note("%s", "");
    OK(cuMemFreeHost(pinned));
}

static void copied_boxes(void)
{
    CUDA_MEMCPY3D c;

    rectangles_and_boxes(true);
    both_allocate();
    c = box_copy(&(struct box){{0, 2, 0, 16, 4}, {0, 0, 0, 16, 4}, 16, 2, 2}, BOX_DTOD);
    OK(cuMemcpy3D(&c));
    if (on_softcuda()) { /* of nothing, as a line of no bytes */
        OK(cuMemcpy3D(&(CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                                       .dstMemoryType = CU_MEMORYTYPE_DEVICE}));
        OK(cuMemcpy2D(&(CUDA_MEMCPY2D){.srcMemoryType = CU_MEMORYTYPE_HOST,
                                       .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                                       .Height = 4}));
        NO(INVALID_VALUE, cuMemcpy2D(&(CUDA_MEMCPY2D){.Height = 4})); /* nor types */
    }
    c.srcY = 3; /* the box's rows are in the slice, if there are several */
    NO(INVALID_VALUE, cuMemcpy3D(&c));
    NO(INVALID_VALUE, cuMemcpy3DAsync(&c, NULL));
    box_far();
    if (on_softcuda()) {
        c = box_copy(&boxes[7], BOX_HTOD);
        c.srcHost = (void *)(uintptr_t)q;
        NO(INVALID_VALUE, cuMemcpy3D(&c));
    }
    both_free();
}

/* --- memory of the host ----------------------------------------------------------------------- */

static const unsigned host_flags[] = {0, CU_MEMHOSTALLOC_PORTABLE, CU_MEMHOSTALLOC_DEVICEMAP,
                                      CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP,
                                      CU_MEMHOSTALLOC_WRITECOMBINED | CU_MEMHOSTALLOC_DEVICEMAP};

static void of_the_host(void)
{
    CUfunction f = kernel("put");
    CUdeviceptr d, inside;
    uint8_t *h;
    unsigned flag, type;

    both_allocate();
    for (unsigned i = 0; i < 5; i++) {
        note("%#x", host_flags[i]);
        OK(cuMemHostAlloc((void **)&h, 5000, host_flags[i]), h);
        OK(cuMemHostGetFlags(&flag, h), (flag & host_flags[i]) == host_flags[i]);
        OK(cuMemHostGetFlags(&flag, h + 4999), (flag & host_flags[i]) == host_flags[i]);
        OK(cuMemHostGetDevicePointer(&d, h, 0), d);
        OK(cuMemHostGetDevicePointer(&inside, h + 100, 0), inside == d + 100);
        memset(h, 4, 5000);
        OK(cuMemcpyHtoD(p, h, SIZE), bytes_are(p, SIZE, 4));
        OK(cuMemsetD8(p, 6, SIZE));
        OK(cuMemcpyDtoH(h, p, SIZE), is_all(h, SIZE, 6), is_all(h + SIZE, 5000 - SIZE, 4));
        OK(launch(f, d + 12, 0x07070707, NULL)); /* the device writes there by its own address */
        OK(cuCtxSynchronize(), is_all(h + 12, 4, 7), h[11] == 6, h[16] == 6);
        if (d == (CUdeviceptr)(uintptr_t)h) { /* a guest's copies take no other: docs/cuda.md */
            OK(cuMemsetD8(d + 20, 7, 20));
            OK(cuCtxSynchronize(), is_all(h + 20, 20, 7), h[19] == 6, h[40] == 6);
            OK(cuMemcpyDtoD(d + 100, p, 8), is_all(h + 100, 8, 6));
        }
        OK(cuMemFreeHost(h));
        if (on_softcuda()) {
            NO(INVALID_VALUE, cuMemFreeHost(h));
            NO(INVALID_VALUE, cuMemHostGetDevicePointer(&d, h, 0));
            NO(INVALID_VALUE, cuMemHostGetFlags(&flag, h));
        }
    }
    note("%s", "");
    OK(cuMemAllocHost((void **)&h, 5000), h);
    OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (CUdeviceptr)(uintptr_t)h),
       type == CU_MEMORYTYPE_HOST);
    NO(INVALID_VALUE, cuMemFree((CUdeviceptr)(uintptr_t)h)); /* cuMemFreeHost is for it */
    NO(INVALID_VALUE, cuMemFreeHost(h + 16));
    OK(cuMemFreeHost(h));
    OK(cuMemFreeHost(NULL));
    NO(INVALID_VALUE, cuMemHostAlloc((void **)&h, 64, 8));
    NO(INVALID_VALUE, cuMemFreeHost(host)); /* not cuMemHostAlloc's */
    NO(INVALID_VALUE, cuMemHostGetFlags(&flag, host));
    NO(INVALID_VALUE, cuMemHostGetDevicePointer(&d, host, 0));
    NO(OUT_OF_MEMORY, cuMemAllocHost((void **)&h, 1ull << 46));
    both_free();
}

static void CUDA_CB write_slowly(void *to)
{
    usleep(20000);
    memset(to, 11, SIZE);
}

/* "From any host memory to any host memory": over when the call returns, whichever it is. */
static void between_hosts(void)
{
    uint8_t *a, *b;
    CUstream s;

    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cuMemHostAlloc((void **)&a, SIZE, 0));
    OK(cuMemHostAlloc((void **)&b, SIZE, 0));
    const CUDA_MEMCPY2D rows = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                                .srcHost = a,
                                .srcPitch = 64,
                                .dstMemoryType = CU_MEMORYTYPE_UNIFIED,
                                .dstDevice = (CUdeviceptr)(uintptr_t)b,
                                .WidthInBytes = 64,
                                .Height = SIZE / 64};
    memset(a, 0, SIZE);
    memset(b, 0, SIZE);
    OK(cuLaunchHostFunc(s, write_slowly, a));
    OK(cuMemcpyAsync((CUdeviceptr)(uintptr_t)b, (CUdeviceptr)(uintptr_t)a, SIZE, s),
       is_all(b, SIZE, 11));
    memset(a, 0, SIZE);
    memset(b, 0, SIZE);
    OK(cuLaunchHostFunc(s, write_slowly, a));
    OK(cuMemcpy2DAsync(&rows, s), is_all(b, SIZE, 11));
    OK(cuLaunchHostFunc(s, write_slowly, from));
    OK(cuMemcpyAsync((CUdeviceptr)(uintptr_t)host, (CUdeviceptr)(uintptr_t)from, SIZE, s),
       is_all(host, SIZE, 11));
    OK(cuMemFreeHost(a));
    OK(cuMemFreeHost(b));
    CHECK(cuStreamDestroy(s));
}

/* Over the end of pinned memory, into the next page. */
static void beyond_pinned(void)
{
    uint8_t *h, *next;
    CUDA_MEMCPY3D c;
    CUdeviceptr at;

    both_allocate();
    c = box_copy(&(struct box){.width = 64, .rows = 64, .slices = 1}, BOX_HTOD);
    OK(cuMemHostAlloc((void **)&h, 5000, 0));
    OK(cuMemHostAlloc((void **)&next, 2 * SIZE, 0));
    memset(h, 1, 5000);
    memset(next, 2, 2 * SIZE);
    clean();
    at = (CUdeviceptr)(uintptr_t)h + 905; /* whose last byte but one is the memory's last */
    if (on_softcuda()) {                  /* a driver may not notice it */
        NO(INVALID_VALUE, cuMemcpyHtoD(p, h + 905, SIZE));
        NO(INVALID_VALUE, cuMemcpyDtoH(h + 905, p, SIZE));
        NO(INVALID_VALUE, cuMemcpyDtoH(h, p, 1ull << 40));
        NO(INVALID_VALUE, cuMemcpy(at, p, SIZE));
        NO(INVALID_VALUE, cuMemcpyAsync(p, at, SIZE, NULL));
        NO(INVALID_VALUE, cuMemcpy(at, (CUdeviceptr)(uintptr_t)from, SIZE));
        c.srcHost = h + 905;
        NO(INVALID_VALUE, cuMemcpy3D(&c));
        NO(INVALID_VALUE, cuMemcpy3DAsync(&c, NULL));
    }
    OK(cuMemcpyHtoD(p, h + 904, SIZE), bytes_are(p, SIZE, 1));
    c.srcHost = h + 904;
    OK(cuMemcpy3D(&c));
    SEE(is_all(h, 5000, 1));
    SEE(is_all(next, 2 * SIZE, 2));
    OK(cuMemFreeHost(h));
    OK(cuMemFreeHost(next));
    both_free();
}

static void registered(void)
{
    uint8_t *own = aligned_alloc(4096, 4 * 4096);
    unsigned type = 0;

    MUST(own);
    both_allocate();
    memset(own, 8, 4 * 4096);
    NO(HOST_MEMORY_NOT_REGISTERED, cuMemHostUnregister(own));
    OK(cuMemHostRegister(own, 2 * 4096, 0), is_all(own, 4 * 4096, 8)); /* stays what it is */
    OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                             (CUdeviceptr)(uintptr_t)own + 100),
       type == CU_MEMORYTYPE_HOST);
    NO(HOST_MEMORY_ALREADY_REGISTERED, cuMemHostRegister(own, 2 * 4096, 0));
    NO(HOST_MEMORY_ALREADY_REGISTERED, cuMemHostRegister(own + 4096, 2 * 4096, 0)); /* a part */
    OK(cuMemHostRegister(own + 2 * 4096, 4096, CU_MEMHOSTREGISTER_PORTABLE));       /* beside it */
    OK(cuMemcpyHtoDAsync(p, own, SIZE, NULL));
    OK(cuCtxSynchronize(), bytes_are(p, SIZE, 8));
    OK(cuMemsetD8(p, 9, SIZE));
    OK(cuMemcpyDtoHAsync(own + 100, p, SIZE, NULL));
    OK(cuCtxSynchronize(), is_all(own + 100, SIZE, 9), own[99] == 8, own[100 + SIZE] == 8);
    NO(INVALID_VALUE, cuMemHostUnregister(own + 4096)); /* what was registered begins elsewhere */
    NO(INVALID_VALUE, cuMemFreeHost(own));
    OK(cuMemHostUnregister(own), own[0] == 8, own[100] == 9);
    OK(cuMemHostUnregister(own + 2 * 4096));
    NO(HOST_MEMORY_NOT_REGISTERED, cuMemHostUnregister(own));
    NO(INVALID_VALUE,
       cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (CUdeviceptr)(uintptr_t)own));
    OK(cuMemHostRegister(own, 4 * 4096, 0)); /* and again, otherwise */
    OK(cuMemHostUnregister(own));
    both_free();
    free(own);
}

/* --- what pointers say ------------------------------------------------------------------------ */

static void of_pointers(void)
{
    CUpointer_attribute which[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                                   CU_POINTER_ATTRIBUTE_DEVICE_POINTER,
                                   CU_POINTER_ATTRIBUTE_CONTEXT};
    unsigned long long id = 0, id_q = 0, again = 0;
    CUdeviceptr d = 0, inside;
    void *h, *pinned;
    CUcontext c = NULL;
    unsigned type = 0, sync = 9, flag = 9;
    int ordinal = 9;
    size_t size = 0;
    void *into[] = {&type, &d, &c};
    CUmemoryPool pool = (CUmemoryPool)1;

    both_allocate();
    inside = p + 100;
    OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, inside),
       type == CU_MEMORYTYPE_DEVICE);
    OK(cuPointerGetAttribute(&c, CU_POINTER_ATTRIBUTE_CONTEXT, inside), c == ctx);
    OK(cuPointerGetAttribute(&d, CU_POINTER_ATTRIBUTE_DEVICE_POINTER, inside), d == inside);
    OK(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, inside),
       ordinal == dev);
    OK(cuPointerGetAttribute(&d, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, inside), d == p);
    OK(cuPointerGetAttribute(&size, CU_POINTER_ATTRIBUTE_RANGE_SIZE, inside), size == SIZE);
    flag = 9;
    OK(cuPointerGetAttribute(&flag, CU_POINTER_ATTRIBUTE_IS_MANAGED, inside), (flag & 0xff) == 0);
    flag = 9;
    OK(cuPointerGetAttribute(&flag, CU_POINTER_ATTRIBUTE_MAPPED, inside), (flag & 0xff) == 1);
    OK(cuPointerGetAttribute(&flag, CU_POINTER_ATTRIBUTE_ACCESS_FLAGS, inside),
       flag == CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE);
    OK(cuPointerGetAttribute(&pool, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, inside), !pool);
    OK(cuPointerGetAttribute(&d, CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR, inside), d <= inside);
    OK(cuPointerGetAttribute(&size, CU_POINTER_ATTRIBUTE_MAPPING_SIZE, inside), size >= SIZE);
    OK(cuPointerGetAttribute(&id, CU_POINTER_ATTRIBUTE_BUFFER_ID, inside));
    OK(cuPointerGetAttribute(&again, CU_POINTER_ATTRIBUTE_BUFFER_ID, p), again == id);
    OK(cuPointerGetAttribute(&id_q, CU_POINTER_ATTRIBUTE_BUFFER_ID, q), id_q != id);
    OK(cuMemFree(q));
    OK(cuMemAlloc(&q, SIZE));
    /* "Guaranteed to be unique": also where the address is that of something before. */
    OK(cuPointerGetAttribute(&again, CU_POINTER_ATTRIBUTE_BUFFER_ID, q), again != id_q,
       again != id);
    OK(cuPointerGetAttribute(&sync, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, p), (sync & 0xff) == 0);
    OK(cuPointerSetAttribute(&(unsigned){1}, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, p));
    OK(cuPointerGetAttribute(&sync, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, inside), (sync & 0xff) == 1);
    OK(cuPointerSetAttribute(&(unsigned){0}, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, p));
    OK(cuPointerGetAttribute(&sync, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, p), (sync & 0xff) == 0);
    NO(INVALID_VALUE, cuPointerGetAttribute(&h, CU_POINTER_ATTRIBUTE_HOST_POINTER, p));
    NO(INVALID_VALUE, cuPointerSetAttribute(&flag, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p));

    OK(cuPointerGetAttributes(3, which, into, inside), type == CU_MEMORYTYPE_DEVICE, d == inside,
       c == ctx);
    /* Of a pointer that is nobody's this call tells nothing, and that is no error. */
    OK(cuPointerGetAttributes(3, which, into, (CUdeviceptr)(uintptr_t)host), type == 0, d == 0, !c);

    OK(cuMemHostAlloc(&pinned, 3000, CU_MEMHOSTALLOC_DEVICEMAP));
    inside = (CUdeviceptr)(uintptr_t)pinned + 50;
    OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, inside),
       type == CU_MEMORYTYPE_HOST);
    OK(cuPointerGetAttribute(&h, CU_POINTER_ATTRIBUTE_HOST_POINTER, inside),
       h == (uint8_t *)pinned + 50);
    OK(cuMemHostGetDevicePointer(&d, pinned, 0));
    OK(cuPointerGetAttribute(&inside, CU_POINTER_ATTRIBUTE_DEVICE_POINTER, inside),
       inside == d + 50);
    inside = (CUdeviceptr)(uintptr_t)pinned + 50;
    OK(cuPointerGetAttribute(&d, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, inside),
       d == (CUdeviceptr)(uintptr_t)pinned);
    OK(cuPointerGetAttribute(&size, CU_POINTER_ATTRIBUTE_RANGE_SIZE, inside), size == 3000);
    OK(cuPointerGetAttribute(&c, CU_POINTER_ATTRIBUTE_CONTEXT, inside), c == ctx);
    OK(cuPointerSetAttribute(&(unsigned){0}, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, inside));
    flag = 9;
    OK(cuPointerGetAttribute(&flag, CU_POINTER_ATTRIBUTE_IS_MANAGED, inside), (flag & 0xff) == 0);
    OK(cuMemFreeHost(pinned));
    both_free();
}

/* --- managed memory --------------------------------------------------------------------------- */

static void managed(void)
{
    CUfunction f = kernel("put");
    CUdeviceptr m, d;
    unsigned flag = 9, type;
    uint8_t *h;
    void *view;
    CUstream s;

    if (!attribute(CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY))
        return;
    both_allocate();
    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cuMemAllocManaged(&m, 2 * SIZE, CU_MEM_ATTACH_GLOBAL), m);
    h = (uint8_t *)(uintptr_t)m;
    OK(cuPointerGetAttribute(&flag, CU_POINTER_ATTRIBUTE_IS_MANAGED, m + 9), (flag & 0xff) == 1);
    OK(cuPointerGetAttribute(&view, CU_POINTER_ATTRIBUTE_HOST_POINTER, m + 9), view == h + 9);
    OK(cuPointerGetAttribute(&d, CU_POINTER_ATTRIBUTE_DEVICE_POINTER, m + 9), d == m + 9);
    OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, m));
    memset(h, 21, 2 * SIZE);
    OK(cuMemcpyDtoD(p, m, SIZE), bytes_are(p, SIZE, 21)); /* what the host wrote */
    OK(launch(f, m + 8, 0x01020304, s));
    OK(cuStreamSynchronize(s), *(uint32_t *)(h + 8) == 0x01020304, h[7] == 21, h[12] == 21);
    OK(cuMemsetD8Async(m + SIZE, 22, SIZE, s));
    OK(cuStreamSynchronize(s), is_all(h + SIZE, SIZE, 22), h[SIZE - 1] == 21);
    OK(cuMemcpyDtoH(host, m + SIZE, SIZE), is_all(host, SIZE, 22));
    OK(cuStreamAttachMemAsync(s, m, 0, CU_MEM_ATTACH_GLOBAL));
    OK(cuStreamSynchronize(s));
    OK(cuStreamAttachMemAsync(s, m, 0, CU_MEM_ATTACH_SINGLE));
    OK(cuStreamSynchronize(s), h[SIZE] == 22);
    NO(INVALID_VALUE, cuStreamAttachMemAsync(NULL, m, 0, CU_MEM_ATTACH_SINGLE)); /* to no stream */
    NO(INVALID_VALUE, cuStreamAttachMemAsync(s, p, 0, CU_MEM_ATTACH_GLOBAL));
    NO(INVALID_VALUE, cuMemFreeHost(h));
    OK(cuMemFree(m));
    OK(cuMemAllocManaged(&m, 1, CU_MEM_ATTACH_HOST), m);
    OK(cuMemFree(m));
    OK(cuStreamDestroy(s));
    both_free();
}

static const struct table tables[] = {
    {"allocate", allocate_and_free},
    {"pitch", pitched},
    {"fill", filled},
    {"fill rows", filled_rows},
    {"copy", copies},
    {"copy outside", copies_outside},
    {"copy rows", copied_rectangles},
    {"copy boxes", copied_boxes},
    {"host", of_the_host},
    {"beyond pinned", beyond_pinned},
    {"between hosts", between_hosts},
    {"registered", registered},
    {"pointers", of_pointers},
    {"managed", managed},
    {0},
};

int main(void)
{
    return tables_run("memory", tables);
}
