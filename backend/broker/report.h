/* What `xengpu list` and `xengpu types` are told. */
#ifndef XG_BROKER_REPORT_H
#define XG_BROKER_REPORT_H

#include "backend/broker/broker.h"

#include <jansson.h>

json_t *xg_report(const struct xg_broker *b);
json_t *xg_report_types(const struct xg_broker *b);
/* A string with no control characters but ends of lines, whatever is in `text`: a file, or a
 * driver, may have anything. */
json_t *xg_json_text(const char *text);

#endif
