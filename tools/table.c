#include "tools/tool.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct table {
    const char *const *heading;
    unsigned columns, cells, room;
    char **cell;
};

struct table *table_new(const char *const *headings, unsigned columns)
{
    struct table *t = calloc(1, sizeof(*t));
    if (!t)
        abort();
    t->heading = headings;
    t->columns = columns;
    return t;
}

void table_cell(struct table *t, const char *fmt, ...)
{
    va_list ap;
    if (t->cells == t->room) {
        t->room = t->room ? 2 * t->room : 64;
        t->cell = realloc(t->cell, t->room * sizeof(*t->cell));
        if (!t->cell)
            abort();
    }
    va_start(ap, fmt);
    if (vasprintf(&t->cell[t->cells++], fmt, ap) < 0)
        abort();
    va_end(ap);
}

static bool column_numeric(const struct table *t, unsigned column)
{
    return t->heading[column][0] == '>';
}

static void cell_print(const struct table *t, unsigned column, const char *text, int width)
{
    bool last = column + 1 == t->columns;
    if (column_numeric(t, column))
        printf("%*s%s", width, text, last ? "\n" : "  ");
    else if (last)
        printf("%s\n", text);
    else
        printf("%-*s  ", width, text);
}

void table_print(struct table *t)
{
    int *width = calloc(t->columns, sizeof(*width));
    if (!width)
        abort();
    for (unsigned c = 0; c < t->columns; c++) {
        width[c] = (int)strlen(t->heading[c]) - column_numeric(t, c);
        for (unsigned i = c; i < t->cells; i += t->columns)
            if ((int)strlen(t->cell[i]) > width[c])
                width[c] = (int)strlen(t->cell[i]);
    }
    for (unsigned c = 0; c < t->columns; c++)
        cell_print(t, c, t->heading[c] + column_numeric(t, c), width[c]);
    for (unsigned i = 0; i < t->cells; i++) {
        cell_print(t, i % t->columns, t->cell[i], width[i % t->columns]);
        free(t->cell[i]);
    }
    free(t->cell);
    free(t);
    free(width);
}

const char *text_bytes(uint64_t bytes)
{
    static char buffers[8][32];
    static unsigned next;
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    char *b = buffers[next++ % 8];
    double v = (double)bytes;
    unsigned u = 0;
    for (; v >= 1024 && u + 1 < XG_ARRAY_LEN(units); u++)
        v /= 1024;
    if (!bytes)
        return "-";
    snprintf(b, sizeof(buffers[0]), u && v < 100 ? "%.1f %s" : "%.0f %s", v, units[u]);
    return b;
}

const char *text_seconds(uint64_t ns)
{
    static char buffers[8][32];
    static unsigned next;
    char *b = buffers[next++ % 8];
    snprintf(b, sizeof(buffers[0]), "%.2f s", (double)ns / 1e9);
    return b;
}
