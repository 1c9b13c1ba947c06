/* Members of JSON objects whose values the backend writes in many places. Any thread. */
#ifndef CORE_JSON_MEMBER_H
#define CORE_JSON_MEMBER_H

#include <stdint.h>

#include "base/slice.h"
#include "base/uuid.h"
#include "wire/json_writer.h"

/* "2026-01-01T00:00:00.123456Z" */
void json_member_time(struct json_writer *w, const char *key, uint64_t unix_ns);
void json_member_text_or_null(struct json_writer *w, const char *key, struct slice text);
void json_member_uuid(struct json_writer *w, const char *key, const struct uuid *value);
void json_member_uuid_or_null(struct json_writer *w, const char *key, const struct uuid *value);

#endif
