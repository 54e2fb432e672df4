/* The configuration takes effect, at the start and later. */
#ifndef XG_BROKER_RELOAD_H
#define XG_BROKER_RELOAD_H

#include "backend/broker/broker.h"

#include <jansson.h>

/* The file given, or "": /etc/xengpu/xengpud.conf if it is there. 0, or -EINVAL with what is wrong
 * in the log. */
int xg_config_start(struct xg_broker *b, const char *path);
/* Reads the file again. What changes, {"file", "changes": [{"what", "applies"}]}; or NULL, with a
 * text (to be freed) of what is wrong with it, and then nothing has changed. Both are logged. */
json_t *xg_config_reload(struct xg_broker *b, char **errors);
void xg_config_stop(struct xg_broker *b);

#endif
