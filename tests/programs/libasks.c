/* libasks: a library that asks as asks.h says; tests give it the names of others. */
#include "tests/programs/asks.h"

#include "protocol/base.h"

XG_EXPORT int ask(int as_runtime);

int ask(int as_runtime)
{
    return ask_driver(as_runtime);
}
