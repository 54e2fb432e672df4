/*
 * cuda_codes [--seconds N] [--safe] [--skip FILE] [FUNCTION...]: what the driver answers to each
 * function of the API with its arguments as they should be, with each one wrong in turn, before
 * cuInit, without a context, and while a stream is captured: a line for each call, to be compared
 * between drivers. "captured: CALL" is what cuStreamEndCapture answers after the call in a capture:
 * whether it spoilt it. cuda_codes_table.h has the calls, cuda_codes_args.h the arguments,
 * tests/lib/cuda_codes.driver what a driver answered.
 *
 * A driver may crash or hang. So the calls are made in children, which go on behind the call that
 * ended one of them. Calls that a driver may do anything on (handles that are no more) come last;
 * with --safe not at all. Each such end costs a new child and its context: with --skip, calls that
 * ended a program in FILE, an output of this program, are not made. The last line says how many
 * calls were made.
 */
/* links: -lcuda -ldl */
#include "tests/programs/cuda_codes_args.h"

#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

struct call {
    const char *name, *args;
};
#include "tests/programs/cuda_codes_table.h"

enum {
    CALLS = sizeof(calls) / sizeof(calls[0]),
    CASES = 8192,
    TEXT = 1024,
    ONE_CALL_S = 10,
    BATCH = 24,
    MOST_FAILURES = 9
};
enum when { BEFORE_INIT, PLAIN, NO_CONTEXT, CAPTURING, RISKY };

static const char *const when_texts[] = {"before cuInit: ", "", "no context: ", "capturing: ", ""};

struct one_case {
    uint16_t call;
    uint8_t when, arg, alternative; /* alternative 0: all arguments as they should be */
};

static struct one_case cases[CASES];
static unsigned case_count;

/* What the children tell. */
enum outcome { NOT_MADE, ANSWERED, MISSING, NO_FUNCTION, SKIPPED, CRASHED, HUNG };
static struct shared {
    unsigned at;  /* the case under way */
    bool calling; /* it is this call that takes its time, not the preparation */
    bool ready;   /* the child has its objects */
    bool spoilt;  /* the context answers errors from here on */
    struct {
        uint8_t outcome;
        bool captured; /* there is an `after` */
        int code;      /* CUresult, or the signal */
        int after;     /* of cuStreamEndCapture */
    } result[CASES];
} * shared;

static unsigned words(const char *args, char out[ARGS][96])
{
    unsigned n = 0, used;

    while (n < ARGS && sscanf(args, " %95s%n", out[n], &used) == 1) {
        args += used;
        n++;
    }
    return n;
}

static void case_add(unsigned call, enum when when, unsigned arg, unsigned alternative)
{
    MUST(case_count < CASES);
    cases[case_count++] =
        (struct one_case){(uint16_t)call, (uint8_t)when, (uint8_t)arg, (uint8_t)alternative};
}

/* Those of one time are together, so that each child does few kinds of preparation. */
static void cases_list(enum when when, bool (*wanted)(const char *))
{
    char word[ARGS][96];
    struct arg a;

    for (unsigned c = 0; c < CALLS; c++) {
        unsigned n = words(calls[c].args, word);
        if (!wanted(calls[c].name) || (when == BEFORE_INIT && !strcmp(calls[c].name, "cuInit")))
            continue;
        if (when != RISKY)
            case_add(c, when, 0, 0);
        for (unsigned i = 0; i < n && (when == PLAIN || when == RISKY); i++)
            for (unsigned v = 1; arg_make(word[i], v, i, &a); v++)
                if (a.risky == (when == RISKY))
                    case_add(c, when, i, v);
    }
}

/* --- one call, in a child --------------------------------------------------------------------- */

static bool starts(const char *name, const char *with)
{
    return !strncmp(name, with, strlen(with));
}

/* What the call may have left behind that would change the answers of others. */
static void tidy(const char *name, const struct arg *args)
{
    CUgraph g;
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
    CUcontext made;
    CUgraphNode node;

    if (starts(name, "cuStreamBeginCapture"))
        cuStreamEndCapture(H(CUstream, args[0].value), &g);
    if (starts(name, "cuThreadExchange"))
        cuThreadExchangeStreamCaptureMode(&mode);
    if (starts(name, "cuCtxCreate")) {
        memcpy(&made, room[0], sizeof(made));
        if (args[0].value && made)
            cuCtxDestroy(made);
    }
    if (starts(name, "cuGraphAdd") && args[0].value == (uint64_t)(uintptr_t)room[0]) {
        memcpy(&node, room[0], sizeof(node));
        if (node)
            cuGraphDestroyNode(node);
    }
    if (starts(name, "cuMemHostRegister"))
        cuMemHostUnregister(host + 8192);
    cuCtxSetCurrent(H(CUcontext, has.context));
    if (cuCtxSynchronize() != CUDA_SUCCESS)
        shared->spoilt = true;
}

static void case_run(unsigned index)
{
    typedef CUresult (*any)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                            uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
    const struct one_case *c = &cases[index];
    const char *name = calls[c->call].name;
    any f = (any)dlsym(RTLD_DEFAULT, name);
    char word[ARGS][96];
    struct arg a[ARGS] = {0};
    uint64_t stream = has.stream;
    CUgraph graph;
    CUresult r;

    if (!f) {
        shared->result[index].outcome = NO_FUNCTION;
        return;
    }
    memset(room, 0, sizeof(room));
    if (c->when == CAPTURING)
        has.stream = stream_new();
    unsigned n = c->when == BEFORE_INIT ? 0 : words(calls[c->call].args, word);
    for (unsigned i = 0; i < n; i++) {
        arg_make(word[i], i == c->arg ? c->alternative : 0, i, &a[i]);
        if (a[i].missing) {
            shared->result[index].outcome = MISSING;
            goto out;
        }
    }
    if (c->when == NO_CONTEXT)
        cuCtxSetCurrent(NULL);
    if (c->when == CAPTURING)
        cuStreamBeginCapture(H(CUstream, has.stream), CU_STREAM_CAPTURE_MODE_GLOBAL);
    shared->calling = true;
    r = f(a[0].value, a[1].value, a[2].value, a[3].value, a[4].value, a[5].value, a[6].value,
          a[7].value, a[8].value, a[9].value, a[10].value, a[11].value);
    shared->calling = false;
    shared->result[index].code = (int)r;
    shared->result[index].outcome = ANSWERED;
out:
    if (c->when == CAPTURING) {
        shared->result[index].captured = shared->result[index].outcome == ANSWERED;
        shared->result[index].after = (int)cuStreamEndCapture(H(CUstream, has.stream), &graph);
        cuStreamDestroy(H(CUstream, has.stream));
        has.stream = stream;
    }
    if (c->when != BEFORE_INIT)
        tidy(name, a);
}

static void child_run(unsigned from, unsigned to)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (cases[from].when != BEFORE_INIT)
        objects_make();
    shared->ready = true;
    for (unsigned i = from; i < to && !shared->spoilt; i++) {
        shared->at = i;
        if (shared->result[i].outcome == NOT_MADE)
            case_run(i);
    }
    _exit(0);
}

/* --- the supervisor --------------------------------------------------------------------------- */

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The status of the child, which is killed if one call takes too long, or at the end of all time.
 */
static int child_wait(pid_t pid, double until)
{
    unsigned at = shared->at;
    double since = now();
    int status;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (shared->at != at) {
            at = shared->at;
            since = now();
        } else if (now() - since > ONE_CALL_S || now() > until) {
            kill(pid, SIGKILL);
        }
        usleep(1000);
    }
    return status;
}

static unsigned failures; /* children that did not come to make a call */

/* Cases of one time in one child, as far as it comes; the next one to go on with. */
static unsigned batch_run(unsigned from, double until)
{
    unsigned to = from;

    while (to < case_count && cases[to].when == cases[from].when &&
           (cases[from].when != RISKY || to - from < BATCH))
        to++;
    shared->at = from;
    shared->calling = shared->spoilt = shared->ready = false;
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0)
        child_run(from, to);
    int status = child_wait(pid, until);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return shared->spoilt ? shared->at + 1 : to;
    if (!shared->ready) { /* what went before may still be felt */
        fprintf(stderr, "cuda_codes: no context: status %#x\n", (unsigned)status);
        failures++;
        usleep(200000);
        return from;
    }
    unsigned at = shared->at;
    if (shared->result[at].outcome == NOT_MADE && now() < until) {
        bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        shared->result[at].outcome = killed ? HUNG : CRASHED;
        shared->result[at].code = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    }
    return at + 1;
}

/* The call, without the time that it is made at. */
static void call_text(unsigned index, char text[TEXT])
{
    const struct one_case *c = &cases[index];
    char word[ARGS][96];
    struct arg a;

    int at = snprintf(text, TEXT, "%s(", calls[c->call].name);
    unsigned n = words(calls[c->call].args, word);
    for (unsigned i = 0; i < n; i++) {
        arg_make(word[i], i == c->arg ? c->alternative : 0, i, &a);
        at += snprintf(text + at, TEXT - (size_t)at, "%s%s", i ? ", " : "",
                       c->when == BEFORE_INIT ? "0" : a.label);
    }
    snprintf(text + at, TEXT - (size_t)at, ")");
}

static void case_print(unsigned index)
{
    char text[TEXT];

    call_text(index, text);
    printf("%s%s: ", when_texts[cases[index].when], text);
    switch (shared->result[index].outcome) {
    case ANSWERED: puts(error_name((CUresult)shared->result[index].code)); break;
    case MISSING: puts("not made, there is no such object"); break;
    case NO_FUNCTION: puts("not made, there is no such function"); break;
    case SKIPPED: puts("not made, it is known to end the program"); break;
    case CRASHED:
        printf("crashed, signal %d\n", shared->result[index].code);
        break; /* 0: it called exit, as a sanitizer does */
    case HUNG: puts("hung"); break;
    default: puts("not made"); break;
    }
    if (shared->result[index].captured)
        printf("captured: %s: %s\n", text, error_name((CUresult)shared->result[index].after));
}

/* Marks what ended a program in that file. */
static void cases_skip(const char *path)
{
    static const char *const ends[] = {"): crashed", "): hung", "): not made, it is known to"};
    char line[TEXT + 64], text[TEXT];
    FILE *f = fopen(path, "re");

    MUST(f);
    while (fgets(line, sizeof(line), f)) {
        char *end = NULL;
        for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]) && !end; i++)
            end = strstr(line, ends[i]);
        if (!end)
            continue;
        end[1] = 0;
        for (unsigned i = 0; i < case_count; i++) {
            const char *when = when_texts[cases[i].when];
            if (!starts(line, when) || !starts(line + strlen(when), calls[cases[i].call].name))
                continue;
            call_text(i, text);
            if (!strcmp(line + strlen(when), text))
                shared->result[i].outcome = SKIPPED;
        }
    }
    fclose(f);
}

static char **only;

static bool wanted(const char *name)
{
    for (char **w = only; *w; w++)
        if (!strcmp(*w, name))
            return true;
    return !*only;
}

int main(int argc, char **argv)
{
    const char *skip = NULL;
    bool safe = false;
    double seconds = 600;
    int i = 1;
    unsigned made = 0;

    for (; i < argc && argv[i][0] == '-'; i++) {
        if (!strcmp(argv[i], "--safe"))
            safe = true;
        else if (!strcmp(argv[i], "--seconds") && i + 1 < argc)
            seconds = atof(argv[++i]);
        else if (!strcmp(argv[i], "--skip") && i + 1 < argc)
            skip = argv[++i];
        else
            return fprintf(
                       stderr,
                       "usage: cuda_codes [--seconds N] [--safe] [--skip FILE] [FUNCTION...]\n"),
                   2;
    }
    only = argv + i;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(shared != MAP_FAILED);
    for (enum when w = BEFORE_INIT; w <= (safe ? CAPTURING : RISKY); w++)
        cases_list(w, wanted);
    if (skip)
        cases_skip(skip);
    double until = now() + seconds;
    for (unsigned at = 0; at < case_count && now() < until && failures <= MOST_FAILURES;)
        at = batch_run(at, until);
    for (unsigned k = 0; k < case_count; k++) {
        made += shared->result[k].outcome != NOT_MADE;
        case_print(k);
    }
    printf("%u of %u calls\n", made, case_count);
    return failures > MOST_FAILURES;
}
