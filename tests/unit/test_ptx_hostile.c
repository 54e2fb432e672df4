/* PTX that means harm: cut, bent, and blown up. Nothing may crash or take long (run under ASan). */
/* links: obj/libscptx.a -lcmocka -lm */
#include "tests/unit/ptx_harness.h"
#include "tests/unit/ptx_sample.h"
#include <time.h>

static uint64_t random64(void)
{
    static uint64_t s = 88172645463325252u;
    s ^= s << 13;
    s ^= s >> 7;
    s ^= s << 17;
    return s;
}

static void quiet(void *opaque, const char *text, size_t len)
{
    (void)opaque;
    (void)text;
    (void)len;
}

/* Loads; what loads is also run. 1: it loaded. */
static int try(const char *text, size_t len)
{
    struct sc_module *m;
    enum sc_status st = sc_module_create(text, len, h_log, sizeof(h_log), &m);
    if (st) {
        assert_null(m);
        assert_true(h_log[0]);
        return 0;
    }
    for (unsigned i = 0; i < sc_module_var_count(m); i++) {
        if (sc_module_var(m, i)->size > 1 << 20 || sc_module_var_count(m) > H_RANGES / 2) {
            sc_module_destroy(m);
            h_reset();
            return 1;
        }
        sc_module_place(m, i, h_alloc(sc_module_var(m, i)->size));
    }
    assert_int_equal(sc_module_link(m, h_log, sizeof(h_log)), SC_OK);
    static uint64_t params[(64 << 10) / 8];
    params[0] = (uintptr_t)h_alloc(1024);
    params[1] = 7;
    for (unsigned i = 0; i < sc_module_func_count(m); i++) {
        struct sc_launch l = h_launch(m, sc_func_info(sc_module_func(m, i))->name, 2, 70, params);
        l.timeout_ns = 20000000;
        l.print = quiet;
        l.dynamic_shared = 64;
        sc_launch_run(&l, NULL);
    }
    sc_module_destroy(m);
    h_reset();
    return 1;
}

static void test_truncated(void **state)
{
    (void)state;
    size_t n = strlen(ptx_sample);
    for (size_t k = 0; k < n; k++) {
        char *copy = malloc(k ? k : 1); /* so that ASan sees a read past the end */
        memcpy(copy, ptx_sample, k);
        try(copy, k);
        free(copy);
    }
}

static void mutate(char *text, size_t *n)
{
    static const char *const words[] = {"0",
                                        "-1",
                                        "4294967295",
                                        "0xffffffffffffffff",
                                        "%r0",
                                        "%d0",
                                        "%p0",
                                        "{",
                                        "}",
                                        ";",
                                        ".b64",
                                        ".u8",
                                        "[%d1]",
                                        "rec",
                                        "L1",
                                        ".shared",
                                        "plus",
                                        "o",
                                        "sm",
                                        "<1000000>",
                                        "\nstrange.op %r0;\n"};
    size_t at = random64() % *n;
    if (random64() % 4) { /* mostly another digit: other registers, offsets, sizes */
        while (at < *n && (text[at] < '0' || text[at] > '9'))
            at++;
        if (at < *n)
            text[at] = (char)('0' + random64() % 10);
        return;
    }
    switch (random64() % 5) {
    case 0: text[at] = (char)random64(); break;
    case 1: text[at] = "0123456789.,;%[]{}()+-|!@:_abu"[random64() % 30]; break;
    case 2: { /* a stretch goes */
        size_t len = random64() % 20 % (*n - at);
        memmove(text + at, text + at + len, *n - at - len);
        *n -= len;
        break;
    }
    case 3: { /* a word comes */
        const char *w = words[random64() % (sizeof(words) / sizeof(words[0]))];
        size_t len = strlen(w);
        memmove(text + at + len, text + at, *n - at);
        memcpy(text + at, w, len);
        *n += len;
        break;
    }
    default: { /* a stretch again, elsewhere */
        size_t from = random64() % *n, len = random64() % 60;
        len = len < *n - from ? len : *n - from;
        memmove(text + at + len, text + at, *n - at);
        memmove(text + at, text + (from >= at ? from + len : from), len);
        *n += len;
    }
    }
}

static void test_mutated(void **state)
{
    enum { ROUNDS = 6000 };
    int loaded = 0;
    (void)state;
    for (int r = 0; r < ROUNDS; r++) {
        size_t n = strlen(ptx_sample);
        char *text = malloc(n + 1024);
        memcpy(text, ptx_sample, n);
        for (uint64_t k = random64() % 4 + 1; k; k--)
            mutate(text, &n);
        char *exact = malloc(n);
        memcpy(exact, text, n);
        loaded += try(exact, n);
        free(exact);
        free(text);
    }
    print_message("%d of %d loaded\n", loaded, ROUNDS);
    assert_true(loaded > ROUNDS / 50); /* the mutations are not all trivially wrong */
}

struct text {
    char *s;
    size_t n, cap;
};

static void add(struct text *t, const char *format, ...)
{
    va_list ap;
    if (t->cap - t->n < 4096)
        assert_non_null(t->s = realloc(t->s, t->cap = t->cap * 2 + 8192));
    va_start(ap, format);
    t->n += (size_t)vsnprintf(t->s + t->n, t->cap - t->n, format, ap);
    va_end(ap);
}

static double seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* Sizes where something quadratic would take minutes. */
static void test_large(void **state)
{
    enum { N = 20000 };
    (void)state;
    for (int kind = 0; kind < 12; kind++) {
        struct text t = {NULL, 0, 0};
        add(&t, H_HEAD);
        if (kind == 0) /* functions that call the next */
            for (int i = 0; i < N; i++)
                add(&t, ".func f%d();\n.func f%d(){%s%d%s ret;}\n", i + 1, i, "call f", i + 1, ";");
        if (kind == 1) /* kernels that reach everything through one pointer */
            for (int i = 0; i < N / 10; i++)
                add(&t,
                    ".func f%d(){ret;}\n.visible .entry k%d(){.reg .b64 %%d;mov.u64 %%d,f%d;\n"
                    "P: .callprototype _();\ncall %%d,P;ret;}\n",
                    i, i, i);
        if (kind == 2)
            for (int i = 0; i < N; i++)
                add(&t, ".global .b32 v%d = %d;\n.shared .b32 s%d;\n", i, i, i);
        if (kind >= 3)
            add(&t, ".visible .entry k(){.reg .b32 %%r<1000000>;.reg .pred %%p<1000000>;.reg .b32 "
                    "%%q;\n");
        if (kind == 3) /* registers that all live to the end */
            for (int i = 0; i < N / 2; i++)
                add(&t, "mov.u32 %%r%d,%d;\n", i, i);
        if (kind == 3)
            for (int i = 0; i < N / 2; i++)
                add(&t, "add.u32 %%q,%%q,%%r%d;\n", i);
        if (kind == 4) /* a branch per instruction */
            for (int i = 0; i < N; i++)
                add(&t, "L%d: @%%p%d bra L%d;\nadd.u32 %%r%d,%%r%d,1;\n", i, i, N - 1 - i, i, i);
        if (kind == 5) /* scopes that shadow */
            for (int i = 0; i < N; i++)
                add(&t, "{.reg .b32 %%x;mov.u32 %%x,%%q;}\n");
        if (kind == 6)
            for (int i = 0; i < N; i++)
                add(&t, "{");
        if (kind == 7) { /* one table of many targets, jumped through often */
            add(&t, "T: .branchtargets L0");
            for (int i = 1; i < N / 10; i++)
                add(&t, ",L%d", i);
            add(&t, ";\n");
            for (int i = 0; i < N / 10; i++)
                add(&t, "L%d: brx.idx %%q,T;\n", i);
        }
        if (kind == 8)
            for (int i = 0; i < N; i++)
                add(&t, "mov.u32 %%q,%d;\n", i * 7919);
        if (kind == 9)
            for (int i = 0; i < N; i++)
                add(&t, "%s", "////////*///*///\n/**/");
        if (kind == 10) { /* unknown labels in nested scopes */
            for (int i = 0; i < 50; i++)
                add(&t, "{");
            for (int i = 0; i < N; i++)
                add(&t, "bra X%d;\n", i);
            for (int i = 0; i < 50; i++)
                add(&t, "}");
        }
        if (kind == 11) /* one register in sets of accesses without end */
            for (int i = 0; i < N; i++)
                add(&t, "ld.shared.u32 %%r%d,[%%q+%d];\n", i % 50, i % 100 * 4);
        if (kind >= 3)
            add(&t, "ret;}\n");
        double before = seconds();
        try(t.s, t.n);
        double took = seconds() - before;
        if (took > 4)
            print_error("kind %d took %.1f s\n", kind, took);
        assert_true(took < 20); /* sanitizers and a busy machine included */
        free(t.s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_mutated),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
