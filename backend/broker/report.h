/* What `xengpu list` and `xengpu types` are told. */
#ifndef XG_BROKER_REPORT_H
#define XG_BROKER_REPORT_H

#include "backend/broker/broker.h"

#include <jansson.h>

json_t *xg_report(const struct xg_broker *b);
json_t *xg_report_types(const struct xg_broker *b);
/* A JSON string without control characters other than ends of lines. `text` may be anything that a
 * file or a driver contains. */
json_t *xg_json_text(const char *text);

#endif
