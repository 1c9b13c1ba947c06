/* See json_member.h. */
#include "core/json_member.h"

#include "base/time_text.h"

void json_member_time(struct json_writer *w, const char *key, uint64_t unix_ns)
{
    char text[TIME_TEXT_SIZE];
    marline__time_format(unix_ns, text);
    marline__json_member_text(w, key, text);
}

void json_member_text_or_null(struct json_writer *w, const char *key, struct slice text)
{
    if (text.data) {
        marline__json_member_string(w, key, text);
    } else {
        marline__json_member_null(w, key);
    }
}

void json_member_uuid(struct json_writer *w, const char *key, const struct uuid *value)
{
    char text[UUID_TEXT_SIZE];
    marline__uuid_format(value, text);
    marline__json_member_text(w, key, text);
}

void json_member_uuid_or_null(struct json_writer *w, const char *key, const struct uuid *value)
{
    if (marline__uuid_is_nil(value)) {
        marline__json_member_null(w, key);
    } else {
        json_member_uuid(w, key, value);
    }
}
