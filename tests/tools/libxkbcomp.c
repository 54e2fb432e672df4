/*
 * libxkbcomp: preloaded into an X server, it runs the xkbcomp that XG_XKBCOMP names, and not the
 * one whose path the server was built with, which a bare machine does not have. The server starts
 * it as "/usr/bin/xkbcomp" ... by a shell.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define WORDS  16

/* The command with another first word, or NULL if that is not a quoted xkbcomp. */
static char *command_with(const char *program, const char *command)
{
    static const char name[] = "xkbcomp\"";
    const char *end = command[0] == '"' ? strstr(command, name) : NULL;
    size_t size = strlen(program) + strlen(command) + 3;
    char *changed = end ? malloc(size) : NULL;

    if (changed)
        snprintf(changed, size, "\"%s\"%s", program, end + strlen(name));
    return changed;
}

EXPORT int execl(const char *path, const char *first, ...)
{
    const char *program = getenv("XG_XKBCOMP");
    char *word[WORDS] = {(char *)first};
    unsigned n = 1;
    va_list list;

    va_start(list, first);
    while (n < WORDS - 1 && (word[n] = va_arg(list, char *)))
        n++;
    va_end(list);
    if (program && n == 3 && !strcmp(word[1], "-c")) {
        char *changed = command_with(program, word[2]);
        if (changed)
            word[2] = changed;
    }
    unsetenv("LD_PRELOAD"); /* what it starts is no X server */
    return execv(path, word);
}
