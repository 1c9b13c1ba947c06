/* Resources: what all spans of a provider have in common, put together from several sources, such
 * as detectors of a host, a container, a cloud (otel.md RES-04, RES-06). One that was made never
 * changes. Any thread. */
#ifndef MARLINE_RESOURCE_H
#define MARLINE_RESOURCE_H

#include <stddef.h>

#include <marline/span_data.h>
#include <marline/status.h>

MARLINE_BEGIN_DECLS

/* Attributes and their schema URL. */
typedef struct marline_resource marline_resource;

/* Copies. Of a repeated key the last one counts; one without bytes is ignored. schema_url (of the
 * attributes' names) may be NULL. Returns owned. MARLINE_EINVAL, MARLINE_ENOMEM. */
MARLINE_API marline_status marline_resource_create(const marline_attribute *attributes,
                                                   size_t count, const char *schema_url,
                                                   marline_resource **out, marline_error *error);
/* The attributes of both; where both have a key, `updating` wins, with an empty value, too. NULL
 * counts as an empty resource. The schema URL is that of the two which is not empty; MARLINE_EINVAL
 * when they differ, for then nobody knows what the names mean. Borrows both during the call, and
 * returns owned. */
MARLINE_API marline_status marline_resource_merge(const marline_resource *old,
                                                  const marline_resource *updating,
                                                  marline_resource **out, marline_error *error);
/* What it holds, valid until it is destroyed; NULL for NULL. */
MARLINE_API const marline_resource_data *marline_resource_view(const marline_resource *resource);
/* NULL is allowed. */
MARLINE_API void marline_resource_destroy(marline_resource *resource);

MARLINE_END_DECLS
#endif
