/* What other routes need of OTLP. */
#ifndef HTTP_ROUTES_OTLP_H
#define HTTP_ROUTES_OTLP_H

#include "http/routes.h"

/* Paths whose errors are google.rpc.Status (SRV-10, SRV-11). */
bool routes_otlp_is_path(const char *path);
/* Appends the body of an error answer; returns its content type. */
const char *routes_otlp_write_error(const struct http_request *r, unsigned status, const char *text,
                                    struct buffer *out);
/* Takes a request of the platform's path whose body is OTLP, decompressed; false = it is not. */
bool routes_otlp_take(struct http_request *r, const struct auth_identity *identity);

#endif
