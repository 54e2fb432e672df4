/*
 * A test program that is killed says where: the stack of the thread that the signal hit, on
 * standard error. Where the program runs, a debugger may not be.
 */
#ifndef XG_TEST_CRASH_H
#define XG_TEST_CRASH_H

#if !defined(__SANITIZE_ADDRESS__) /* which tells more itself */

#include <execinfo.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void crash_told(int signal, siginfo_t *info, void *context)
{
    void *frame[64];
    char text[96];
    int n = snprintf(text, sizeof(text), "signal %d, at address %p:\n", signal, info->si_addr);

    (void)context;
    if (write(STDERR_FILENO, text, (size_t)n) == n)
        backtrace_symbols_fd(frame, backtrace(frame, 64), STDERR_FILENO);
    /* SA_RESETHAND: the instruction is tried again, and ends the program. */
}

__attribute__((constructor)) static void crash_watch(void)
{
    struct sigaction a = {.sa_sigaction = crash_told,
                          .sa_flags = SA_SIGINFO | SA_RESETHAND | SA_NODEFER};
    void *frame[1];

    backtrace(frame, 1); /* loads what it needs */
    sigemptyset(&a.sa_mask);
    sigaction(SIGSEGV, &a, NULL);
    sigaction(SIGBUS, &a, NULL);
}

#endif
#endif
