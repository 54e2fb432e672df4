/* What a worker's libraries write to descriptors 1 and 2: kept in order, within a bound, and never
 * waited for. */
/* links: obj/libworker.a obj/libprotocol.a -lcmocka -lseccomp -lxengnttab -lxenevtchn */
/* limit: 60 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/worker/internal.h"
#include "protocol/log.h"

enum { MIB = 1 << 20 };

static uint8_t got[8 * MIB];

/* In the child: its standard output and error are under test, so it says by its exit status which
 * line failed. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            _exit(__LINE__ > 250 ? 255 : __LINE__);                                                \
    } while (0)

static void in_child(void (*test)(void))
{
    int status, log[2];
    char said[64] = "";

    assert_int_equal(pipe(log), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(log[1], 2);
        alarm(30);
        MUST(xg_worker_text_capture() == 0);
        test();
        xg_log_relay();
        xg_log_line(XG_LOG_INFO, NULL, "the log");
        _exit(0);
    }
    close(log[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status)
        fail_msg("line %d of the child's, status 0x%x", WEXITSTATUS(status), status);
    assert_int_equal(read(log[0], said, sizeof(said)), 11); /* and nothing else got there */
    assert_string_equal(said, "<6>the log\n");
    close(log[0]);
}

static void say(int fd, const char *text)
{
    MUST(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void order(void)
{
    size_t out, err;

    MUST(!xg_worker_text_there());
    say(1, "one ");
    printf("two ");
    fflush(stdout);
    say(2, "error");
    printf("three"); /* still in stdio's buffer */
    MUST(xg_worker_text_there());
    xg_worker_text_take(got, sizeof(got), false, &out, &err);
    MUST(out == 13 && err == 5 && !memcmp(got, "one two threeerror", 18));
    MUST(!xg_worker_text_there());
    xg_worker_text_take(got, sizeof(got), false, &out, &err);
    MUST(out == 0 && err == 0);
    say(2, "more");
    MUST(xg_worker_text_there());
    xg_worker_text_take(got, 3, false, &out, &err); /* in pieces */
    MUST(out == 0 && err == 3);
    xg_worker_text_take(got, 3, false, &out, &err);
    MUST(err == 1 && got[0] == 'e');
    MUST(write(1, "\0text", 5) == 5);
    MUST(xg_worker_text_there());
    xg_worker_text_take(got, sizeof(got), false, &out, &err);
    MUST(out == 5 && !memcmp(got, "\0text", 5));
}

/* What came after the mark waits for the next one, in both halves of a file. */
static void marks(void)
{
    size_t out, err, seen = 0, marked = 0;

    xg_worker_text_mark();
    say(1, "late");
    xg_worker_text_take(got, sizeof(got), true, &out, &err);
    MUST(out == 0 && err == 0);
    xg_worker_text_mark();
    say(1, "later");
    say(2, "error");
    xg_worker_text_take(got, 3, true, &out, &err);
    MUST(out == 3 && err == 0 && !memcmp(got, "lat", 3));
    xg_worker_text_take(got, sizeof(got), true, &out, &err);
    MUST(out == 1 && err == 0 && got[0] == 'e');
    xg_worker_text_take(got, sizeof(got), false, &out, &err);
    MUST(out == 5 && err == 5 && !memcmp(got, "latererror", 10));
    for (unsigned turn = 0; turn < 300; turn++) {
        char text[10000];
        memset(text, 'a' + turn % 26, sizeof(text));
        MUST(write(1, text, sizeof(text)) == sizeof(text));
        marked += turn ? sizeof(text) : 0;
        xg_worker_text_take(got, sizeof(got), true, &out, &err);
        seen += out;
        MUST(seen == marked && !err && (!out || got[out - 1] == 'a' + (int)(turn - 1) % 26));
        xg_worker_text_mark();
    }
    xg_worker_text_take(got, sizeof(got), false, &out, &err);
    MUST(out == 10000 && !err);
}

/* Much more than is kept, in small and large pieces, by somebody who does not stop at errors. */
static void flood(void)
{
    static char block[4096];
    size_t out, err;

    for (int fd = 1; fd <= 2; fd++) {
        memset(block, 'a' + fd, sizeof(block));
        for (size_t n = 0; n < 64 * MIB; n += sizeof(block))
            if (write(fd, block, sizeof(block)) < 0)
                MUST(errno == EPERM || errno == EAGAIN || errno == ENOSPC);
    }
    xg_worker_text_take(got, sizeof(got), false, &out, &err);
    MUST(out >= MIB && err >= MIB && out + err <= 4 * MIB);
    MUST(got[0] == 'b' && got[out - 1] == 'b' && got[out] == 'c' && got[out + err - 1] == 'c');
    say(1, "again"); /* there is room again */
    MUST(xg_worker_text_there());
    xg_worker_text_take(got, sizeof(got), false, &out, &err);
    MUST(out == 5 && err == 0 && !memcmp(got, "again", 5));
}

/* Through many files' worth of text nothing is lost or doubled as long as it is read. */
static void stream(void)
{
    size_t out, err;
    unsigned next = 0, seen = 0, value;
    char line[32], rest[64] = "";

    for (unsigned round = 0; round < 600; round++) {
        for (unsigned n = 0; n < 1500; n++) {
            snprintf(line, sizeof(line), "%09u\n", next++);
            say(1, line);
        }
        do {
            xg_worker_text_take(got, 10 * 777, false, &out, &err);
            MUST(err == 0 && out % 10 == 0);
            for (size_t at = 0; at < out; at += 10) {
                memcpy(rest, got + at, 10);
                MUST(sscanf(rest, "%u", &value) == 1 && value == seen++);
            }
        } while (out);
        MUST(seen == next && !xg_worker_text_there());
    }
}

static void test_order(void **state)
{
    (void)state;
    in_child(order);
}

static void test_marks(void **state)
{
    (void)state;
    in_child(marks);
}

static void test_flood(void **state)
{
    (void)state;
    in_child(flood);
}

static void test_stream(void **state)
{
    (void)state;
    in_child(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
