/*
 * Tables of what CUDA's documentation says, call by call, for programs cuda_table_*: one for each
 * family of the driver API. What each single wrong argument is answered stands in
 * cuda_codes_table.h; here is what calls do, and what they answer behind one another.
 *
 *   OK(call)                  answers CUDA_SUCCESS
 *   OK(call, condition...)    and then this is true
 *   NO(ERROR, call)           answers CUDA_ERROR_ERROR; conditions as above
 *   LATE(ERROR, call)         so does this call, or the next one that waits for the context
 *   SEE(condition)            is true
 *
 * Each of these is a row. A row that is wrong is told, and the table goes on, so its later rows may
 * be wrong for that reason. A line is printed for each: "FAMILY TABLE: CALL => ok", or what was
 * answered instead; "#2" is behind a call that stands in its table a second time. The exit status
 * is 1 if one was wrong. tests/lib/cuda_table.py knows which may be.
 *
 * The tables of a family run in one child with one context, which is current when a table begins;
 * those that spoil it, or want none, in a child of their own. If a child ends in a table, that is a
 * wrong row, and the next table runs in a new one.
 */
#ifndef XG_TEST_CUDA_TABLE_H
#define XG_TEST_CUDA_TABLE_H

#include <sched.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/programs/cuda_common.h"

#define OK(call, ...)                                                                              \
    do {                                                                                           \
        row_begin(#call);                                                                          \
        if (row_answer(call, CUDA_SUCCESS))                                                        \
            row_true((const bool[]){true, ##__VA_ARGS__},                                          \
                     sizeof((const bool[]){true, ##__VA_ARGS__}), #__VA_ARGS__);                   \
    } while (0)
#define NO(error, call, ...)                                                                       \
    do {                                                                                           \
        row_begin(#call);                                                                          \
        if (row_answer(call, CUDA_ERROR_##error))                                                  \
            row_true((const bool[]){true, ##__VA_ARGS__},                                          \
                     sizeof((const bool[]){true, ##__VA_ARGS__}), #__VA_ARGS__);                   \
    } while (0)
#define LATE(error, call)                                                                          \
    do {                                                                                           \
        row_begin(#call);                                                                          \
        if (row_answer(answer_late(call), CUDA_ERROR_##error))                                     \
            row_end("ok");                                                                         \
    } while (0)
#define SEE(condition)                                                                             \
    do {                                                                                           \
        row_begin(#condition);                                                                     \
        row_true((const bool[]){condition}, 1, #condition);                                        \
    } while (0)

enum { TABLE_ROWS = 1024, TABLE_TEXT = 400, IN_ONE = 0, APART = 1, UNPREPARED = 2 };

struct table {
    const char *name;
    void (*run)(void);
    unsigned how; /* APART: in a child of its own; UNPREPARED: that, and before cuInit */
};

static CUcontext ctx; /* of the child */
static CUdevice dev;

static const char *table_family;
static const struct table *table_now;
static char table_seen[TABLE_ROWS][TABLE_TEXT]; /* calls of this table */
static unsigned table_seen_count;
static struct {
    char call[TABLE_TEXT]; /* the row under way */
    char note[64];
    unsigned rows, wrong, done; /* done: tables */
} * table_state;

/* --- rows ------------------------------------------------------------------------------------- */

/* What the rows from here on are about, where the call's text does not tell it. */
__attribute__((format(printf, 1, 2))) static inline void note(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(table_state->note, sizeof(table_state->note), format, args);
    va_end(args);
}

static inline void row_begin(const char *call)
{
    char *text = table_state->call;
    unsigned times = 1;
    int n;

    n = snprintf(text, TABLE_TEXT, "%s%s%s%s", call, *table_state->note ? " [" : "",
                 table_state->note, *table_state->note ? "]" : "");
    for (unsigned i = 0; i < table_seen_count; i++)
        times += !strcmp(table_seen[i], text);
    MUST(table_seen_count < TABLE_ROWS && n < TABLE_TEXT);
    strcpy(table_seen[table_seen_count++], text);
    if (times > 1)
        snprintf(text + n, TABLE_TEXT - (size_t)n, " #%u", times);
}

__attribute__((format(printf, 1, 2))) static inline void row_end(const char *format, ...)
{
    char answer[TABLE_TEXT];
    va_list args;

    va_start(args, format);
    vsnprintf(answer, sizeof(answer), format, args);
    va_end(args);
    printf("%s %s: %s => %s\n", table_family, table_now->name, table_state->call, answer);
    fflush(stdout);
    table_state->rows++;
    table_state->wrong += strcmp(answer, "ok") != 0;
}

static inline bool row_answer(CUresult r, CUresult want)
{
    if (r != want) {
        const char *name = error_name(want);
        row_end("%s instead of %s", error_name(r), name);
    }
    return r == want;
}

static inline void row_true(const bool *is, size_t count, const char *conditions)
{
    for (size_t i = 0; i < count; i++) {
        if (is[i])
            continue;
        if (count > 2)
            row_end("not true: condition %zu of %s", i, conditions);
        else
            row_end("not true: %s", conditions);
        return;
    }
    row_end("ok");
}

/* An asynchronous call may be answered by the one that waits for it. */
static inline CUresult answer_late(CUresult r)
{
    CUresult later = cuCtxSynchronize();

    return r ? r : later;
}

/* --- what rows look at ------------------------------------------------------------------------ */

static inline int attribute(CUdevice_attribute a)
{
    int v = -1;

    CHECK(cuDeviceGetAttribute(&v, a, dev));
    return v;
}

/* Whether the device's bytes are these. */
static inline bool holds(CUdeviceptr p, const void *want, size_t size)
{
    uint8_t *is = allocate(size);
    bool same = cuMemcpyDtoH(is, p, size) == CUDA_SUCCESS && !memcmp(is, want, size);

    free(is);
    return same;
}

static inline bool bytes_are(CUdeviceptr p, size_t size, uint8_t want)
{
    uint8_t *all = allocate(size);

    memset(all, want, size);
    bool same = holds(p, all, size);
    free(all);
    return same;
}

static inline bool word_is(CUdeviceptr p, uint32_t want)
{
    return holds(p, &want, sizeof(want));
}

static inline bool is_all(const void *p, size_t size, uint8_t want)
{
    const uint8_t *is = p;

    for (size_t i = 0; i < size; i++)
        if (is[i] != want)
            return false;
    return true;
}

/* A gate holds up a stream until it is opened: a host function that waits. */
struct gate {
    int open;
};

static inline void CUDA_CB gate_wait(void *gate)
{
    while (!__atomic_load_n(&((struct gate *)gate)->open, __ATOMIC_ACQUIRE))
        sched_yield(); /* what follows it begins at once */
}

static inline void gate_open(struct gate *gate)
{
    __atomic_store_n(&gate->open, 1, __ATOMIC_RELEASE);
}

/* Kernels: put writes a word where it is told, add adds to one. */
static const char table_ptx[] = ".version 6.4\n.target sm_70\n.address_size 64\n"
                                ".visible .global .align 4 .u32 var = 7;\n"
                                ".visible .global .align 8 .u32 list[4] = {1, 2, 3, 4};\n"
                                ".visible .entry put(.param .u64 to, .param .u32 what)\n{\n"
                                "    .reg .b64 %d<2>;\n    .reg .b32 %r<2>;\n"
                                "    ld.param.u64 %d1, [to];\n    ld.param.u32 %r1, [what];\n"
                                "    st.global.u32 [%d1], %r1;\n    ret;\n}\n"
                                ".visible .entry add(.param .u64 to, .param .u32 what)\n{\n"
                                "    .reg .b64 %d<2>;\n    .reg .b32 %r<3>;\n"
                                "    ld.param.u64 %d1, [to];\n    ld.param.u32 %r1, [what];\n"
                                "    atom.global.add.u32 %r2, [%d1], %r1;\n    ret;\n}\n"
                                ".visible .entry bump()\n{\n    .reg .b32 %r<2>;\n"
                                "    atom.global.add.u32 %r1, [var], 1;\n    ret;\n}\n";

static inline CUfunction kernel(const char *name)
{
    CUmodule m;
    CUfunction f;

    CHECK(cuModuleLoadData(&m, table_ptx));
    CHECK(cuModuleGetFunction(&f, m, name));
    return f;
}

/* One thread of put or add. */
static inline CUresult launch(CUfunction f, CUdeviceptr to, uint32_t what, CUstream s)
{
    void *params[] = {&to, &what};

    return cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, s, params, NULL);
}

/* --- the run ---------------------------------------------------------------------------------- */

static inline void table_prepare(void)
{
    CHECK(cuInit(0));
    CHECK(cuDeviceGet(&dev, 0));
    CHECK(cuCtxCreate_v2(&ctx, 0, dev));
}

/* Whatever the table left behind: the next one has the context, and nothing on top of it. */
static inline void table_tidy(void)
{
    CUcontext c = NULL;

    table_state->note[0] = 0;
    CHECK(cuCtxGetCurrent(&c));
    if (c != ctx) {
        snprintf(table_state->call, TABLE_TEXT, "(the context afterwards)");
        row_end("another one is current");
        CHECK(cuCtxSetCurrent(ctx));
    }
}

static inline void table_child(const struct table *tables, unsigned from)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (tables[from].how != UNPREPARED)
        table_prepare();
    for (unsigned i = from; tables[i].name; i++) {
        if (i > from && (tables[from].how || tables[i].how))
            break;
        table_now = &tables[i];
        table_seen_count = 0;
        tables[i].run();
        if (!tables[from].how)
            table_tidy();
        table_state->done = i + 1;
    }
    exit(0);
}

static inline int tables_run(const char *family, const struct table *tables)
{
    table_family = family;
    table_state =
        mmap(NULL, sizeof(*table_state), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(table_state != MAP_FAILED);
    while (tables[table_state->done].name) {
        unsigned from = table_state->done;
        int status;
        table_state->call[0] = table_state->note[0] = 0;
        pid_t pid = fork();
        MUST(pid >= 0);
        if (pid == 0)
            table_child(tables, from);
        MUST(waitpid(pid, &status, 0) == pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            continue;
        table_now = &tables[table_state->done];
        if (WIFSIGNALED(status))
            row_end("the program ended by signal %d", WTERMSIG(status));
        else
            row_end("the program ended with status %d", WEXITSTATUS(status));
        table_state->done++;
    }
    printf("%u rows, %u wrong\n", table_state->rows, table_state->wrong);
    return table_state->wrong != 0;
}

#endif
