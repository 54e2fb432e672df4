/* cuda/api's start, contexts, streams and events, over a device that only notes what it is told. */
/* links: obj/libcuda_api.a obj/libcuda_common.a -lzstd -llz4 */
/* san: thread */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cuda/api/event.h"

#define OK(call)          assert_int_equal(call, CUDA_SUCCESS)
#define FAILS(call, with) assert_int_equal(call, CUDA_ERROR_##with)

/* --- the device ------------------------------------------------------------------------------- */

enum { NO_LIMIT = CU_LIMIT_SHMEM_SIZE };
static char done[256]; /* a word for each */
static _Atomic unsigned streams, events;
static bool full; /* nothing can be made */
static CUresult broken, spoilt;
static struct xg_cuda_facts facts = {.priority_greatest = -5, .driver_version = CUDA_VERSION};

static CUresult done_note(const char *word)
{
    strncat(done, word, sizeof(done) - strlen(done) - 1);
    strncat(done, " ", sizeof(done) - strlen(done) - 1);
    return CUDA_SUCCESS;
}

static void done_is(const char *want)
{
    assert_string_equal(done, want);
    done[0] = 0;
}

static CUresult device_start(bool forked)
{
    return done_note(forked ? "again" : "start");
}

static CUresult device_lost(void)
{
    return broken;
}

static CUresult ctx_start(struct xg_cuda_ctx *ctx)
{
    ctx->limit[NO_LIMIT] = UINT64_MAX;
    return full ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
}

static CUresult ctx_end(struct xg_cuda_ctx *ctx)
{
    free(ctx->legacy);
    ctx->legacy = NULL;
    streams--;
    return done_note(ctx->primary ? "primary" : "end");
}

static CUresult ctx_error(struct xg_cuda_ctx *ctx)
{
    return broken ? broken : spoilt;
}

static CUresult ctx_settle(struct xg_cuda_ctx *ctx)
{
    return done_note("settle");
}

static CUresult ctx_limit(struct xg_cuda_ctx *ctx, CUlimit limit, uint64_t *value)
{
    *value = (*value + 15) & ~15ull;
    return limit == CU_LIMIT_PRINTF_FIFO_SIZE ? CUDA_ERROR_NOT_PERMITTED : CUDA_SUCCESS;
}

static CUresult ctx_tell(struct xg_cuda_ctx *ctx, enum xg_cuda_ctx_setting what, unsigned value)
{
    static const char *const words[] = {"flags", "cache", "banks", "l2"};
    return done_note(words[what]);
}

static CUresult stream_start(struct xg_cuda_stream *s)
{
    streams += !full;
    return full ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
}

static CUresult stream_end(struct xg_cuda_stream *s)
{
    free(s);
    streams--;
    return CUDA_SUCCESS;
}

static CUresult stream_query(struct xg_cuda_stream *s)
{
    return CUDA_ERROR_NOT_READY;
}

static CUresult stream_settle(struct xg_cuda_stream *s)
{
    return done_note(s->legacy ? "legacy" : "stream");
}

static CUresult event_start(struct xg_cuda_event *e)
{
    events += !full;
    return full ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
}

static CUresult event_end(struct xg_cuda_event *e)
{
    xg_cuda_event_free(e);
    events--;
    return CUDA_SUCCESS;
}

static CUresult event_look(struct xg_cuda_event *e)
{
    return done_note("look");
}

static CUresult event_elapsed(struct xg_cuda_event *from, struct xg_cuda_event *to, float *ms)
{
    *ms = 7;
    return CUDA_SUCCESS;
}

static CUresult event_record(struct xg_cuda_stream *s, struct xg_cuda_event *e)
{
    return done_note("record");
}

static CUresult event_wait(struct xg_cuda_stream *s, struct xg_cuda_event *e)
{
    return done_note("wait");
}

static CUresult host_call(struct xg_cuda_stream *s, const CUDA_HOST_NODE_PARAMS *p)
{
    return done_note("host");
}

static CUresult host_callback(struct xg_cuda_stream *s, CUstream as, CUstreamCallback fn,
                              void *data)
{
    return done_note("callback");
}

const struct xg_cuda_device xg_cuda_device = {
    .name = "fake",
    .facts = &facts,
    .start = device_start,
    .lost = device_lost,
    .ctx_size = sizeof(struct xg_cuda_ctx),
    .ctx_start = ctx_start,
    .ctx_end = ctx_end,
    .ctx_error = ctx_error,
    .ctx_settle = ctx_settle,
    .ctx_limit = ctx_limit,
    .ctx_tell = ctx_tell,
    .stream_size = sizeof(struct xg_cuda_stream),
    .stream_start = stream_start,
    .stream_end = stream_end,
    .stream_query = stream_query,
    .stream_settle = stream_settle,
    .event_size = sizeof(struct xg_cuda_event),
    .event_start = event_start,
    .event_end = event_end,
    .event_query = event_look,
    .event_settle = event_look,
    .event_elapsed = event_elapsed,
    .event_record = event_record,
    .event_wait = event_wait,
    .host = host_call,
    .callback = host_callback,
};

static CUcontext context(void)
{
    CUcontext c;

    OK(cuCtxCreate_v2(&c, 0, 0));
    return c;
}

static CUcontext current(void)
{
    CUcontext c;

    OK(cuCtxGetCurrent(&c));
    return c;
}

static int begin(void **state)
{
    full = false;
    broken = spoilt = CUDA_SUCCESS;
    facts.host_functions = true;
    done[0] = 0;
    return 0;
}

/* Nothing is left, and the thread has no context. */
static int end(void **state)
{
    assert_null(current());
    assert_int_equal(streams, 0);
    assert_int_equal(events, 0);
    return 0;
}

/* --- the process ------------------------------------------------------------------------------ */

/* First of all. */
static void start(void **state)
{
    done[0] = 0;
    FAILS(cuCtxGetCurrent(NULL), NOT_INITIALIZED);
    FAILS(cuInit(1), INVALID_VALUE);
    OK(cuInit(0));
    OK(cuInit(0));
    done_is("start ");
    FAILS(cuCtxGetCurrent(NULL), INVALID_VALUE);
    xg_cuda_in_host_function = true;
    FAILS(cuCtxGetCurrent(NULL), NOT_PERMITTED);
    xg_cuda_in_host_function = false;
}

/* The parent's contexts are nothing to a child, which may ask for the device again. */
static int child_run(CUcontext parents)
{
    CUcontext c;
    unsigned flags;
    int active;

    if (cuCtxGetCurrent(&c) != CUDA_ERROR_NOT_INITIALIZED || cuInit(0) || strcmp(done, "again "))
        return 1;
    if (cuCtxGetCurrent(&c) || c || cuCtxSetCurrent(parents) != CUDA_ERROR_INVALID_CONTEXT)
        return 2;
    if (cuDevicePrimaryCtxGetState(0, &flags, &active) || active)
        return 3;
    return cuCtxCreate_v2(&c, 0, 0) || c == parents ? 4 : 0;
}

static void forked(void **state)
{
    CUcontext c = context(), primary;
    int status;

    OK(cuDevicePrimaryCtxRetain(&primary, 0));
    pid_t pid = fork();
    if (!pid)
        _exit(child_run(c));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    OK(cuDevicePrimaryCtxRelease_v2(0));
    OK(cuCtxDestroy_v2(c));
}

/* --- contexts --------------------------------------------------------------------------------- */

static void stack(void **state)
{
    CUcontext a = context(), b = context(), c;

    for (unsigned i = 0; i < 1000; i++)
        OK(cuCtxPushCurrent_v2(i % 2 ? a : b));
    for (unsigned i = 1000; i-- > 0;) {
        OK(cuCtxPopCurrent_v2(&c));
        assert_ptr_equal(c, i % 2 ? a : b);
    }
    assert_ptr_equal(current(), b);
    OK(cuCtxPushCurrent_v2(a));
    OK(cuCtxDestroy_v2(a)); /* it leaves the top, and stays below b */
    OK(cuCtxDestroy_v2(b));
    assert_ptr_equal(current(), a);
    FAILS(cuCtxSynchronize(), CONTEXT_IS_DESTROYED);
    FAILS(cuCtxGetDevice(&(CUdevice){0}), CONTEXT_IS_DESTROYED);
    FAILS(cuCtxGetDevice_v2(&(CUdevice){0}, a), INVALID_CONTEXT);
    FAILS(cuCtxPushCurrent_v2(a), INVALID_CONTEXT);
    FAILS(cuCtxDestroy_v2(a), INVALID_CONTEXT);
    OK(cuCtxPopCurrent_v2(&c));
    assert_ptr_equal(c, a);
    FAILS(cuCtxPopCurrent_v2(&c), INVALID_CONTEXT);
    OK(cuCtxSetCurrent(NULL));
}

static void attached(void **state)
{
    CUcontext a = context(), b;

    OK(cuCtxAttach(&b, 0));
    assert_ptr_equal(a, b);
    OK(cuCtxDetach(a));
    done_is("");
    OK(cuCtxDetach(a));
    done_is("end ");
}

static void primary(void **state)
{
    CUcontext a = NULL, b;
    unsigned flags;
    int active;

    full = true;
    FAILS(cuDevicePrimaryCtxRetain(&a, 0), OUT_OF_MEMORY);
    assert_null(a);
    FAILS(cuDevicePrimaryCtxRelease_v2(0), INVALID_CONTEXT);
    full = false;
    OK(cuDevicePrimaryCtxSetFlags_v2(0, CU_CTX_SCHED_SPIN));
    OK(cuDevicePrimaryCtxRetain(&a, 0));
    OK(cuDevicePrimaryCtxRetain(&b, 0));
    assert_ptr_equal(a, b);
    OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
    assert_int_equal(active, 1);
    assert_int_equal(flags, CU_CTX_SCHED_SPIN);
    OK(cuDevicePrimaryCtxRelease_v2(0));
    done_is("");
    OK(cuDevicePrimaryCtxReset_v2(0)); /* its count stays */
    OK(cuDevicePrimaryCtxReset_v2(0));
    done_is("primary ");
    OK(cuDevicePrimaryCtxRetain(&b, 0));
    assert_ptr_not_equal(a, b);
    OK(cuDevicePrimaryCtxRelease_v2(0));
    FAILS(cuCtxDestroy_v2(b), INVALID_CONTEXT);
    done_is("");
    OK(cuDevicePrimaryCtxRelease_v2(0));
    done_is("primary ");
    FAILS(cuDevicePrimaryCtxRelease_v2(0), INVALID_CONTEXT);
    OK(cuDevicePrimaryCtxSetFlags_v2(0, 0));
}

static void settings(void **state)
{
    CUcontext c = context();
    size_t value;

    OK(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 100));
    OK(cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE));
    assert_int_equal(value, 112); /* what the device made of it */
    FAILS(cuCtxSetLimit(CU_LIMIT_PRINTF_FIFO_SIZE, 100), NOT_PERMITTED);
    OK(cuCtxGetLimit(&value, CU_LIMIT_PRINTF_FIFO_SIZE));
    assert_int_equal(value, 0);
    FAILS(cuCtxSetLimit((CUlimit)NO_LIMIT, 1), UNSUPPORTED_LIMIT);
    FAILS(cuCtxGetLimit(&value, CU_LIMIT_MAX), INVALID_VALUE);
    OK(cuCtxSetFlags(CU_CTX_SCHED_YIELD));
    OK(cuCtxSetCacheConfig(CU_FUNC_CACHE_PREFER_L1));
    FAILS(cuCtxSetCacheConfig(4), INVALID_VALUE);
    OK(cuCtxResetPersistingL2Cache());
    done_is("flags cache l2 ");
    OK(cuCtxDestroy_v2(c));
}

/* What a kernel has spoilt answers so, and can be put away; of a device that is gone nothing can.
 */
static void errors(void **state)
{
    CUcontext c = context();
    CUstream s;
    CUevent e;

    OK(cuStreamCreate(&s, 0));
    OK(cuEventCreate(&e, 0));
    spoilt = CUDA_ERROR_LAUNCH_FAILED;
    FAILS(cuCtxSynchronize(), LAUNCH_FAILED);
    FAILS(cuStreamQuery(s), LAUNCH_FAILED);
    FAILS(cuEventCreate(&e, 0), LAUNCH_FAILED);
    OK(cuCtxGetDevice(&(CUdevice){0}));
    OK(cuStreamDestroy_v2(s));
    broken = CUDA_ERROR_DEVICE_UNAVAILABLE;
    FAILS(cuEventDestroy_v2(e), DEVICE_UNAVAILABLE);
    FAILS(cuDevicePrimaryCtxRetain(&c, 0), DEVICE_UNAVAILABLE);
    broken = CUDA_SUCCESS;
    OK(cuEventDestroy_v2(e));
    OK(cuCtxDestroy_v2(c));
    full = true;
    FAILS(cuCtxCreate_v2(&c, 0, 0), OUT_OF_MEMORY);
    assert_null(current());
}

/* --- streams ---------------------------------------------------------------------------------- */

static unsigned long long id_of(CUstream s)
{
    unsigned long long id;

    OK(cuStreamGetId(s, &id));
    return id;
}

static void streams_of(void **state)
{
    CUcontext a = context(), b = context(), c;
    CUstream s, t;
    int priority;

    OK(cuStreamCreateWithPriority(&s, CU_STREAM_NON_BLOCKING, -99));
    OK(cuStreamGetPriority(s, &priority));
    assert_int_equal(priority, -5);
    full = true;
    t = s;
    FAILS(cuStreamCreate(&t, 0), OUT_OF_MEMORY);
    assert_ptr_equal(t, s);
    full = false;
    unsigned long long id = id_of(NULL);
    assert_int_equal(id_of(CU_STREAM_LEGACY), id);
    assert_int_not_equal(id_of(s), id);
    OK(cuCtxSetCurrent(a));
    assert_int_not_equal(id_of(NULL), id); /* each context has its own */
    OK(cuStreamGetCtx(s, &c));
    assert_ptr_equal(c, b);
    OK(cuStreamSynchronize(NULL));
    OK(cuStreamSynchronize(s));
    done_is("legacy stream ");
    FAILS(cuStreamDestroy_v2(CU_STREAM_LEGACY), INVALID_HANDLE);

    /* A thread without a context is in that of the stream. */
    OK(cuCtxPopCurrent_v2(NULL));
    OK(cuCtxPopCurrent_v2(NULL));
    FAILS(cuStreamQuery(s), NOT_READY);
    FAILS(cuStreamQuery(NULL), INVALID_CONTEXT);
    OK(cuStreamDestroy_v2(s));
    FAILS(cuStreamQuery(s), INVALID_CONTEXT);
    OK(cuCtxSetCurrent(a));
    FAILS(cuStreamQuery(s), INVALID_HANDLE);
    FAILS(cuStreamDestroy_v2(s), INVALID_HANDLE);
    OK(cuCtxDestroy_v2(b));
    OK(cuCtxDestroy_v2(a));
}

/* A thread has a stream of its own in each context that it uses, until it ends. */
static void *thread_run(void *contexts)
{
    const CUcontext *c = contexts;
    unsigned long long first, second;

    OK(cuCtxSetCurrent(c[0]));
    first = id_of(CU_STREAM_PER_THREAD);
    assert_int_equal(id_of(CU_STREAM_PER_THREAD), first);
    OK(cuCtxSetCurrent(c[1]));
    second = id_of(CU_STREAM_PER_THREAD);
    assert_int_not_equal(first, second);
    xg_cuda_default_stream = CU_STREAM_PER_THREAD;
    assert_int_equal(id_of(NULL), second);
    return (void *)(uintptr_t)second;
}

static void threads(void **state)
{
    CUcontext c[2] = {context(), context()};
    void *id[4];
    pthread_t t[4];

    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, thread_run, c), 0);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(t[i], &id[i]);
    for (unsigned i = 1; i < 4; i++)
        assert_ptr_not_equal(id[i], id[0]);
    assert_int_equal(streams, 2); /* the legacy ones */
    OK(cuCtxDestroy_v2(c[1]));
    OK(cuCtxDestroy_v2(c[0]));
}

static void host_run(void *unused)
{
}

static void stream_run(CUstream s, CUresult r, void *unused)
{
}

static void host_functions(void **state)
{
    CUcontext c = context();
    CUstream s;

    OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cuLaunchHostFunc(s, host_run, NULL));
    OK(cuStreamAddCallback(NULL, stream_run, NULL, 0));
    FAILS(cuStreamAddCallback(NULL, stream_run, NULL, 1), INVALID_VALUE);
    done_is("host callback ");
    facts.host_functions = false;
    FAILS(cuLaunchHostFunc(s, host_run, NULL), NOT_SUPPORTED);
    FAILS(cuStreamAddCallback(s, stream_run, NULL, 0), NOT_SUPPORTED);
    done_is("");
    OK(cuStreamDestroy_v2(s));
    OK(cuCtxDestroy_v2(c));
}

/* --- events ----------------------------------------------------------------------------------- */

static void recorded(void **state)
{
    CUcontext c = context(), other;
    CUevent a, b, untimed, foreign;
    float ms = 0;

    OK(cuEventCreate(&a, 0));
    OK(cuEventCreate(&b, 0));
    OK(cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
    FAILS(cuEventCreate(&foreign, CU_EVENT_INTERPROCESS), INVALID_VALUE);
    OK(cuStreamWaitEvent(NULL, a, 0)); /* for nothing */
    done_is("");
    FAILS(cuEventElapsedTime_v2(&ms, a, b), INVALID_HANDLE);
    OK(cuEventRecord(a, NULL));
    FAILS(cuEventElapsedTime_v2(&ms, a, b), INVALID_HANDLE);
    OK(cuEventRecord(b, NULL));
    OK(cuEventRecord(untimed, NULL));
    FAILS(cuEventElapsedTime_v2(&ms, a, untimed), INVALID_HANDLE);
    OK(cuEventElapsedTime_v2(&ms, a, b));
    assert_true(ms == 7);
    OK(cuStreamWaitEvent(NULL, a, 0));
    FAILS(cuEventRecordWithFlags(a, NULL, CU_EVENT_RECORD_EXTERNAL), ILLEGAL_STATE);
    FAILS(cuStreamWaitEvent(NULL, a, 2), INVALID_VALUE);
    done_is("record record record wait ");

    other = context();
    OK(cuEventCreate(&foreign, 0));
    FAILS(cuEventRecord(a, NULL), INVALID_HANDLE); /* the stream is of another context */
    OK(cuStreamWaitEvent(NULL, a, 0));
    OK(cuCtxSetCurrent(c));
    FAILS(cuEventRecord(foreign, NULL), INVALID_HANDLE);
    OK(cuEventDestroy_v2(foreign));
    FAILS(cuEventQuery(foreign), INVALID_HANDLE);
    done_is("wait ");
    OK(cuEventDestroy_v2(a));
    OK(cuEventDestroy_v2(b));
    OK(cuEventDestroy_v2(untimed));
    OK(cuCtxDestroy_v2(other));
    OK(cuCtxDestroy_v2(c));
    assert_ptr_equal(current(), c); /* it was there twice */
    OK(cuCtxPopCurrent_v2(NULL));
}

/* What was recorded in a capture is none that can be looked at, until it is recorded anew. */
static void captured(void **state)
{
    CUcontext c = context();
    CUstream s;
    CUevent e;
    CUgraph g;

    OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cuEventCreate(&e, 0));
    OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cuEventRecord(e, s));
    FAILS(cuStreamQuery(s), STREAM_CAPTURE_UNSUPPORTED);
    FAILS(cuEventQuery(e), CAPTURED_EVENT);
    FAILS(cuStreamEndCapture(s, &g), STREAM_CAPTURE_INVALIDATED);
    FAILS(cuEventSynchronize(e), INVALID_VALUE);
    done_is("");
    OK(cuEventRecord(e, s));
    OK(cuEventSynchronize(e));
    done_is("record look ");
    OK(cuEventDestroy_v2(e));
    OK(cuStreamDestroy_v2(s));
    OK(cuCtxDestroy_v2(c));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start), T(stack),   T(attached),       T(primary),  T(settings), T(errors),
        T(streams_of),           T(threads), T(host_functions), T(recorded), T(captured), T(forked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
