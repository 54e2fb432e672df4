/*
 * cuda_table_stream: streams and events: what they are made with, what waits for what, what is
 * answered while work is under way, and what happens when they are destroyed before it has ended.
 */
/* links: -lcuda */
#include "tests/programs/cuda_table.h"

static CUdeviceptr p; /* 4096 bytes while a table runs */

static CUstream stream_of(unsigned flags)
{
    CUstream s;

    CHECK(cuStreamCreate(&s, flags));
    return s;
}

static void memory_make(void)
{
    CHECK(cuMemAlloc(&p, 4096));
    CHECK(cuMemsetD8(p, 0, 4096));
    CHECK(cuCtxSynchronize());
}

/* --- what a stream is ------------------------------------------------------------------------- */

static const struct {
    int asked, least_wanted; /* priorities; what is below the range is its end */
} priorities[] = {{0, 0}, {-1, -1}, {-100, -100}, {7, 0}, {100, 0}};

static void kinds(void)
{
    unsigned long long id, other, again;
    int least, greatest, n = 9;
    unsigned f = 9;
    CUdevice d = -1;
    CUcontext c;
    CUstream s;

    OK(cuStreamCreate(&s, CU_STREAM_DEFAULT), s);
    OK(cuStreamGetFlags(s, &f), f == CU_STREAM_DEFAULT);
    OK(cuStreamGetPriority(s, &n), n == 0);
    OK(cuStreamGetCtx(s, &c), c == ctx);
    OK(cuStreamGetDevice(s, &d), d == dev);
    OK(cuStreamGetId(s, &id));
    OK(cuStreamQuery(s)); /* nothing to do is done */
    OK(cuStreamSynchronize(s));
    OK(cuStreamDestroy(s));
    OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING), s);
    OK(cuStreamGetFlags(s, &f), f == CU_STREAM_NON_BLOCKING);
    OK(cuStreamGetId(s, &other), other != id); /* for the program's whole life */
    OK(cuStreamGetId(s, &again), again == other);
    OK(cuStreamDestroy(s));

    OK(cuStreamGetFlags(NULL, &f), f == CU_STREAM_DEFAULT);
    OK(cuStreamGetPriority(NULL, &n), n == 0);
    OK(cuStreamGetCtx(NULL, &c), c == ctx);
    OK(cuStreamGetCtx(CU_STREAM_PER_THREAD, &c), c == ctx);
    OK(cuStreamGetId(NULL, &id));
    OK(cuStreamGetId(CU_STREAM_LEGACY, &again), again == id); /* two names of one stream */
    OK(cuStreamGetId(CU_STREAM_PER_THREAD, &again), again != id);
    NO(INVALID_HANDLE, cuStreamDestroy(NULL)); /* that one is not the program's */

    OK(cuCtxGetStreamPriorityRange(&least, &greatest));
    for (unsigned i = 0; i < 5; i++) {
        int wanted = priorities[i].least_wanted < greatest ? greatest : priorities[i].least_wanted;
        note("%d", priorities[i].asked);
        OK(cuStreamCreateWithPriority(&s, CU_STREAM_NON_BLOCKING, priorities[i].asked));
        OK(cuStreamGetPriority(s, &n), n == wanted);
        OK(cuStreamGetFlags(s, &f), f == CU_STREAM_NON_BLOCKING);
        OK(cuStreamDestroy(s));
    }
    note("%s", "");
    if (on_softcuda()) { /* a driver follows it */
        NO(INVALID_HANDLE, cuStreamQuery(s));
        NO(INVALID_HANDLE, cuStreamSynchronize(s));
        NO(INVALID_HANDLE, cuStreamDestroy(s));
        NO(INVALID_HANDLE, cuStreamGetFlags(s, &f));
        NO(INVALID_HANDLE, cuLaunchHostFunc(s, gate_wait, &f));
    }
}

/* --- what waits for what ---------------------------------------------------------------------- */

static void under_way(void)
{
    struct gate gate = {0};
    CUstream s = stream_of(CU_STREAM_NON_BLOCKING);
    CUevent before, after;
    float ms = -1;

    memory_make();
    OK(cuEventCreate(&before, 0));
    OK(cuEventCreate(&after, 0));
    OK(cuEventRecord(before, s));
    OK(cuLaunchHostFunc(s, gate_wait, &gate));
    OK(cuMemsetD32Async(p, 5, 1, s));
    OK(cuEventRecord(after, s));
    NO(NOT_READY, cuStreamQuery(s));
    NO(NOT_READY, cuEventQuery(after));
    NO(NOT_READY, cuEventElapsedTime(&ms, before, after), ms == -1);
    OK(cuEventSynchronize(before)); /* what is before the gate */
    OK(cuEventQuery(before));
    OK(cuStreamQuery(CU_STREAM_PER_THREAD)); /* others have nothing to do with it */
    gate_open(&gate);
    OK(cuEventSynchronize(after), word_is(p, 5));
    OK(cuEventQuery(after));
    OK(cuStreamSynchronize(s));
    OK(cuStreamQuery(s));
    OK(cuEventElapsedTime(&ms, before, after), ms >= 0);
    OK(cuEventDestroy(before));
    OK(cuEventDestroy(after));
    OK(cuStreamDestroy(s));
    OK(cuMemFree(p));
}

/* "Not yet" is no answer once somebody has waited for it, however short that was. */
static bool asked_again(CUevent e, CUstream s, unsigned rounds)
{
    CUresult r = CUDA_SUCCESS;

    for (unsigned i = 0; i < rounds && r == CUDA_SUCCESS; i++) {
        CHECK(cuMemsetD8Async(p, (unsigned char)i, 4096, s));
        CHECK(cuEventRecord(e, s));
        cuEventQuery(e);
        CHECK(cuStreamSynchronize(s));
        r = cuEventQuery(e);
    }
    return r == CUDA_SUCCESS;
}

static void waited_for(void)
{
    CUstream s = stream_of(CU_STREAM_NON_BLOCKING);
    CUevent e;

    memory_make();
    OK(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
    SEE(asked_again(e, s, 2000));
    OK(cuEventDestroy(e));
    OK(cuStreamDestroy(s));
    OK(cuMemFree(p));
}

/* A stream that does not block is not in the legacy stream's way; any other is. */
static void legacy(void)
{
    struct gate first = {0}, second = {0}, third = {0};
    CUstream free_one = stream_of(CU_STREAM_NON_BLOCKING), one = stream_of(CU_STREAM_DEFAULT),
             two = stream_of(CU_STREAM_DEFAULT);

    memory_make();
    OK(cuLaunchHostFunc(free_one, gate_wait, &first));
    OK(cuMemsetD32Async(p, 1, 1, NULL));
    OK(cuStreamSynchronize(NULL), word_is(p, 1));
    OK(cuMemsetD32(p, 2, 1), word_is(p, 2));
    NO(NOT_READY, cuStreamQuery(free_one));
    gate_open(&first);
    OK(cuStreamSynchronize(free_one));

    OK(cuLaunchHostFunc(one, gate_wait, &second));
    OK(cuMemsetD32Async(p, 3, 1, NULL));    /* waits for all that block */
    OK(cuMemsetD32Async(p + 4, 4, 1, two)); /* and they for it */
    NO(NOT_READY, cuStreamQuery(NULL));
    NO(NOT_READY, cuStreamQuery(two));
    gate_open(&second);
    OK(cuStreamSynchronize(two), word_is(p, 3), word_is(p + 4, 4));

    OK(cuLaunchHostFunc(CU_STREAM_PER_THREAD, gate_wait, &third)); /* is one that blocks */
    OK(cuMemsetD32Async(p, 5, 1, CU_STREAM_LEGACY));
    NO(NOT_READY, cuStreamQuery(CU_STREAM_LEGACY));
    gate_open(&third);
    OK(cuStreamSynchronize(CU_STREAM_LEGACY), word_is(p, 5));
    OK(cuStreamDestroy(free_one));
    OK(cuStreamDestroy(one));
    OK(cuStreamDestroy(two));
    OK(cuMemFree(p));
}

static void wait_for_events(void)
{
    struct gate gate = {0}, again = {0};
    CUstream s = stream_of(CU_STREAM_NON_BLOCKING), t = stream_of(CU_STREAM_NON_BLOCKING),
             u = stream_of(CU_STREAM_NON_BLOCKING);
    CUevent e, never;

    memory_make();
    OK(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
    OK(cuEventCreate(&never, 0));
    OK(cuStreamWaitEvent(t, never, 0)); /* "does nothing" if it was never recorded */
    OK(cuMemsetD32Async(p, 1, 1, t));
    OK(cuStreamSynchronize(t), word_is(p, 1));

    OK(cuLaunchHostFunc(s, gate_wait, &gate));
    OK(cuMemsetD32Async(p, 2, 1, s));
    OK(cuEventRecord(e, s));
    OK(cuStreamWaitEvent(t, e, 0));
    OK(cuMemcpyDtoDAsync(p + 4, p, 4, t));
    NO(NOT_READY, cuStreamQuery(t));
    /* Recorded elsewhere, it stands for that; who waits already waits for the point before. */
    OK(cuEventRecord(e, u));
    OK(cuEventSynchronize(e));
    NO(NOT_READY, cuStreamQuery(t));
    gate_open(&gate);
    OK(cuStreamSynchronize(t), word_is(p + 4, 2));

    /* Destroyed before it is there: it goes when it is, and who waits for it waits on. */
    OK(cuLaunchHostFunc(s, gate_wait, &again));
    OK(cuMemsetD32Async(p, 3, 1, s));
    OK(cuEventRecord(e, s));
    OK(cuStreamWaitEvent(u, e, 0));
    OK(cuMemcpyDtoDAsync(p + 8, p, 4, u));
    OK(cuEventDestroy(e));
    NO(NOT_READY, cuStreamQuery(u));
    gate_open(&again);
    OK(cuStreamSynchronize(u), word_is(p + 8, 3));
    OK(cuEventDestroy(never));
    OK(cuStreamDestroy(s));
    OK(cuStreamDestroy(t));
    OK(cuStreamDestroy(u));
    OK(cuMemFree(p));
}

/* cuStreamDestroy returns at once, and what is in the stream is done all the same. */
static void destroyed_early(void)
{
    struct gate gate = {0};
    CUstream s = stream_of(CU_STREAM_NON_BLOCKING);
    CUevent e;

    memory_make();
    OK(cuEventCreate(&e, 0));
    OK(cuLaunchHostFunc(s, gate_wait, &gate));
    OK(cuMemsetD32Async(p, 6, 1, s));
    OK(cuEventRecord(e, s));
    OK(cuStreamDestroy(s));
    NO(NOT_READY, cuEventQuery(e));
    gate_open(&gate);
    OK(cuCtxSynchronize(), word_is(p, 6));
    OK(cuEventQuery(e));
    OK(cuEventDestroy(e));
    OK(cuMemFree(p));
}

/* cuCtxSynchronize waits for every stream; cuMemFree for what uses the memory. */
static void everything(void)
{
    struct gate gate[3] = {0};
    CUstream s[3];
    unsigned flags[] = {CU_STREAM_NON_BLOCKING, CU_STREAM_DEFAULT, CU_STREAM_NON_BLOCKING};

    memory_make();
    for (unsigned i = 0; i < 3; i++) {
        s[i] = stream_of(flags[i]);
        note("%u", i);
        OK(cuLaunchHostFunc(s[i], gate_wait, &gate[i]));
        OK(cuMemsetD32Async(p + 4 * i, 10 + i, 1, s[i]));
        NO(NOT_READY, cuStreamQuery(s[i]));
    }
    note("%s", "");
    for (unsigned i = 0; i < 3; i++)
        gate_open(&gate[i]);
    OK(cuCtxSynchronize());
    for (unsigned i = 0; i < 3; i++) {
        note("%u", i);
        OK(cuStreamQuery(s[i]), word_is(p + 4 * i, 10 + i));
        OK(cuStreamDestroy(s[i]));
    }
    note("%s", "");
    OK(cuMemFree(p));
}

/* --- host functions --------------------------------------------------------------------------- */

static struct {
    unsigned calls;
    unsigned seen[8];
    CUstream stream;
    CUresult status, inside;
    uint32_t value;
} told;

static uint32_t *told_value; /* pinned */

static void CUDA_CB tell(void *number)
{
    told.seen[told.calls++ % 8] = (unsigned)(uintptr_t)number;
    told.value = *told_value;
}

static void CUDA_CB tell_status(CUstream s, CUresult status, void *number)
{
    told.stream = s;
    told.status = status;
    tell(number);
}

static void CUDA_CB ask(void *unused)
{
    CUdeviceptr m;

    (void)unused;
    told.inside = cuMemAlloc(&m, 64);
}

#define NUMBER(n) ((void *)(uintptr_t)(n))

static void host_functions(void)
{
    CUstream s = stream_of(CU_STREAM_NON_BLOCKING);

    memory_make();
    OK(cuMemAllocHost((void **)&told_value, 4));
    *told_value = 0;
    OK(cuMemsetD32Async(p, 31, 1, s));
    OK(cuMemcpyDtoHAsync(told_value, p, 4, s));
    OK(cuLaunchHostFunc(s, tell, NUMBER(1)));
    OK(cuStreamSynchronize(s), told.calls == 1, told.seen[0] == 1, told.value == 31);
    OK(cuMemsetD32Async(p, 32, 1, s));
    OK(cuMemcpyDtoHAsync(told_value, p, 4, s));
    OK(cuStreamAddCallback(s, tell_status, NUMBER(2), 0));
    OK(cuStreamSynchronize(s), told.calls == 2, told.seen[1] == 2, told.value == 32,
       told.stream == s, told.status == CUDA_SUCCESS);
    for (unsigned i = 3; i < 7; i++)
        OK(cuLaunchHostFunc(s, tell, NUMBER(i)));
    OK(cuStreamSynchronize(s), told.calls == 6, told.seen[2] == 3, told.seen[3] == 4,
       told.seen[4] == 5, told.seen[5] == 6); /* in their order */
    OK(cuLaunchHostFunc(NULL, tell, NUMBER(7)));
    OK(cuStreamSynchronize(NULL), told.calls == 7);
    OK(cuLaunchHostFunc(CU_STREAM_PER_THREAD, tell, NUMBER(8)));
    OK(cuCtxSynchronize(), told.calls == 8);
    OK(cuLaunchHostFunc(s, ask, NULL)); /* must not call CUDA */
    OK(cuStreamSynchronize(s), told.inside == CUDA_ERROR_NOT_PERMITTED);
    NO(INVALID_VALUE, cuLaunchHostFunc(s, NULL, NULL));
    NO(INVALID_VALUE, cuStreamAddCallback(s, tell_status, NULL, 1)); /* "must be 0" */
    OK(cuStreamSynchronize(s), told.calls == 8);
    OK(cuMemFreeHost(told_value));
    OK(cuStreamDestroy(s));
    OK(cuMemFree(p));
}

/* --- events ----------------------------------------------------------------------------------- */

static void events(void)
{
    CUstream s = stream_of(CU_STREAM_NON_BLOCKING);
    CUevent a, b, untimed, blocking;
    float ms = -1, back = 1;

    OK(cuEventCreate(&a, CU_EVENT_DEFAULT), a);
    OK(cuEventCreate(&b, CU_EVENT_DEFAULT), b != a);
    OK(cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
    OK(cuEventCreate(&blocking, CU_EVENT_BLOCKING_SYNC));
    OK(cuEventQuery(a)); /* never recorded: nothing to wait for */
    OK(cuEventSynchronize(a));
    NO(INVALID_HANDLE, cuEventElapsedTime(&ms, a, b), ms == -1);
    OK(cuEventRecord(a, s));
    NO(INVALID_HANDLE, cuEventElapsedTime(&ms, a, b)); /* one of them is not enough */
    OK(cuEventRecord(b, s));
    OK(cuEventRecord(untimed, s));
    OK(cuEventRecord(blocking, s));
    OK(cuEventSynchronize(blocking));
    OK(cuEventQuery(a));
    OK(cuEventQuery(b));
    OK(cuEventQuery(untimed));
    OK(cuEventElapsedTime(&ms, a, b), ms >= 0);
    OK(cuEventElapsedTime(&back, b, a), back == -ms);
    OK(cuEventElapsedTime(&back, a, a), back == 0);
    OK(cuEventElapsedTime(&back, a, blocking), back >= ms);
    NO(INVALID_HANDLE, cuEventElapsedTime(&ms, a, untimed));
    NO(INVALID_HANDLE, cuEventElapsedTime(&ms, untimed, a));
    OK(cuEventRecord(a, NULL)); /* in the legacy stream; it stands for the later point */
    OK(cuEventSynchronize(a));
    OK(cuEventElapsedTime(&ms, b, a), ms >= 0);
    OK(cuEventRecord(a, CU_STREAM_PER_THREAD));
    OK(cuEventSynchronize(a));
    OK(cuEventRecordWithFlags(a, s, CU_EVENT_RECORD_DEFAULT));
    OK(cuEventSynchronize(a));
    NO(INVALID_VALUE, cuEventCreate(&a, CU_EVENT_INTERPROCESS)); /* not with times */
    NO(INVALID_HANDLE, cuEventRecord(NULL, s));
    OK(cuEventDestroy(a));
    OK(cuEventDestroy(b));
    OK(cuEventDestroy(untimed));
    OK(cuEventDestroy(blocking));
    if (on_softcuda()) { /* a driver follows it */
        NO(INVALID_HANDLE, cuEventQuery(b));
        NO(INVALID_HANDLE, cuEventSynchronize(b));
        NO(INVALID_HANDLE, cuEventRecord(b, s));
        NO(INVALID_HANDLE, cuStreamWaitEvent(s, b, 0));
        NO(INVALID_HANDLE, cuEventDestroy(b));
    }
    OK(cuStreamDestroy(s));
}

/* --- words in memory that streams write and wait for ------------------------------------------ */

static const struct {
    unsigned flag;
    uint32_t value, before, after; /* waits for value: not with before, but with after */
} waits[] = {
    {CU_STREAM_WAIT_VALUE_GEQ, 5, 4, 6},
    {CU_STREAM_WAIT_VALUE_GEQ, 5, 4, 5},
    {CU_STREAM_WAIT_VALUE_EQ, 5, 6, 5},
    {CU_STREAM_WAIT_VALUE_AND, 6, 1, 4},
    {CU_STREAM_WAIT_VALUE_NOR, 0xfffffff0, 0xf, 0x7},
};

static void words(void)
{
    CUstream s = stream_of(CU_STREAM_NON_BLOCKING), t = stream_of(CU_STREAM_NON_BLOCKING);

    memory_make();
    OK(cuStreamWriteValue32(s, p, 0x11223344, CU_STREAM_WRITE_VALUE_DEFAULT));
    OK(cuStreamSynchronize(s), word_is(p, 0x11223344), word_is(p + 4, 0));
    OK(cuStreamWriteValue64(s, p + 8, 0x5566778899aabbcc, CU_STREAM_WRITE_VALUE_DEFAULT));
    OK(cuStreamSynchronize(s), word_is(p + 8, 0x99aabbcc), word_is(p + 12, 0x55667788));
    for (unsigned i = 0; i < 5; i++) {
        note("flag %u, %#x", waits[i].flag, waits[i].after);
        CHECK(cuMemsetD32(p, waits[i].before, 1));
        CHECK(cuMemsetD32(p + 64, 0, 1));
        CHECK(cuCtxSynchronize());
        OK(cuStreamWaitValue32(s, p, waits[i].value, waits[i].flag));
        OK(cuMemsetD32Async(p + 64, 1, 1, s));
        NO(NOT_READY, cuStreamQuery(s));
        OK(cuStreamWriteValue32(t, p, waits[i].after, CU_STREAM_WRITE_VALUE_DEFAULT));
        OK(cuStreamSynchronize(s), word_is(p + 64, 1));
    }
    note("%s", "");
    OK(cuStreamDestroy(s));
    OK(cuStreamDestroy(t));
    OK(cuMemFree(p));
}

static void stream_attributes(void)
{
    CUstream s = stream_of(CU_STREAM_NON_BLOCKING), t = stream_of(CU_STREAM_NON_BLOCKING);
    CUstreamAttrValue v;

    memset(&v, 0, sizeof(v));
    OK(cuStreamGetAttribute(s, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, &v),
       v.syncPolicy == CU_SYNC_POLICY_AUTO);
    v.syncPolicy = CU_SYNC_POLICY_YIELD;
    OK(cuStreamSetAttribute(s, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, &v));
    memset(&v, 0, sizeof(v));
    OK(cuStreamGetAttribute(s, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, &v),
       v.syncPolicy == CU_SYNC_POLICY_YIELD);
    OK(cuStreamCopyAttributes(t, s));
    OK(cuStreamGetAttribute(t, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, &v),
       v.syncPolicy == CU_SYNC_POLICY_YIELD);
    OK(cuStreamGetAttribute(s, CU_LAUNCH_ATTRIBUTE_PRIORITY, &v), v.priority == 0);
    OK(cuStreamDestroy(s));
    OK(cuStreamDestroy(t));
}

static const struct table tables[] = {
    {"kinds", kinds},
    {"under way", under_way},
    {"waited for", waited_for},
    {"legacy", legacy},
    {"waiting", wait_for_events},
    {"destroyed early", destroyed_early},
    {"everything", everything},
    {"host functions", host_functions},
    {"events", events},
    {"words", words, APART},
    {"attributes", stream_attributes},
    {0},
};

int main(void)
{
    return tables_run("stream", tables);
}
