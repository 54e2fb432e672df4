/* What an application of a guest would meet, tried in a process of its own; for xengpu check. */
#ifndef XG_TRY_H
#define XG_TRY_H

#include "tools/tool.h"

/* Whether a guest's device serves an API. */
enum try_api { TRY_NONE, TRY_OFFERED, TRY_UNKNOWN };

/* {"step", "ok", "text"}. `ok`: true, false, or TRY_NOTHING where there was nothing to try, which
 * is null in JSON. */
json_t *try_step(const char *what, int ok, const char *fmt, ...) XG_PRINTF(3, 4);
#define TRY_NOTHING (-1)

/* Opens a channel through the agent's socket, calls the worker, and asks it for OpenGL and CUDA. An
 * array of steps. */
json_t *try_guest(const char *socket, const char *library_dir, enum try_api gl, enum try_api cuda);

#endif
