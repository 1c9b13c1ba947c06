/* Building a resource; see resource.h. */
#include "trace/resource.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/blank.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/random.h"
#include "base/utf8.h"
#include "base/uuid.h"
#include "trace/environment.h"
#include <marline/status.h>

enum { PROGRAM_PATH_MAX = 4096 };

static void set(struct attribute_list *list, const char *key, marline_string value)
{
    (void)marline__attributes_set_text(list, &marline__no_limits, marline_text(key), value);
}

/* RES-02 */
static void set_unknown_service(struct attribute_list *list)
{
    static const char prefix[] = "unknown_service";
    char path[PROGRAM_PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
    if (size <= 0) {
        set(list, "service.name", marline_text(prefix));
        return;
    }
    path[size] = '\0';
    const char *slash = strrchr(path, '/');
    char name[sizeof prefix + PROGRAM_PATH_MAX];
    (void)snprintf(name, sizeof name, "%s:%s", prefix, slash ? slash + 1 : path);
    set(list, "service.name", marline_text(name));
}

static void set_defaults(struct attribute_list *list)
{
    set_unknown_service(list);
    char id[UUID_TEXT_SIZE];
    struct uuid uuid = marline__uuid_random(marline__random_system());
    marline__uuid_format(&uuid, id);
    set(list, "service.instance.id", marline_text(id));
    set(list, "telemetry.sdk.name", marline_text("marline")); /* RES-03 */
    set(list, "telemetry.sdk.language", marline_text("c"));
    set(list, "telemetry.sdk.version", marline_text(MARLINE_VERSION));
}

/* ---- OTEL_RESOURCE_ATTRIBUTES ---- */

static struct slice next_member(struct slice *rest)
{
    const char *comma = rest->size ? memchr(rest->data, ',', rest->size) : NULL;
    size_t size = comma ? (size_t)(comma - rest->data) : rest->size;
    struct slice member = {rest->data, size};
    size_t used = comma ? size + 1 : size;
    rest->data += used;
    rest->size -= used;
    return marline__blank_strip(member);
}

/* Percent-decoded; data NULL on an error. */
static marline_string decode(struct slice text, struct span_memory *arena)
{
    static const marline_string none;
    char *out = marline__span_memory_take(arena, text.size, 1);
    if (!out) {
        return none;
    }
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '%') {
            out[size++] = text.data[i];
            continue;
        }
        uint8_t byte;
        if (text.size - i < 3 ||
            !marline__hex_decode((struct slice){text.data + i + 1, 2}, &byte, 1)) {
            return none;
        }
        out[size++] = (char)byte;
        i += 2;
    }
    return marline__utf8_is_valid((struct slice){out, size}) ? (marline_string){out, size} : none;
}

static bool parse_member(struct slice member, struct attribute_list *out)
{
    const char *equals = memchr(member.data, '=', member.size);
    if (!equals) {
        return false;
    }
    size_t at = (size_t)(equals - member.data);
    struct slice key = marline__blank_strip((struct slice){member.data, at});
    struct slice value = marline__blank_strip((struct slice){equals + 1, member.size - at - 1});
    if (value.size > 0 && memchr(value.data, '=', value.size)) {
        return false; /* must be encoded */
    }
    marline_string decoded_key = decode(key, out->arena);
    marline_string decoded_value = decode(value, out->arena);
    return decoded_key.data && decoded_key.size > 0 && decoded_value.data &&
           marline__attributes_set_text(out, &marline__no_limits, decoded_key, decoded_value);
}

bool marline__resource_parse(struct slice text, struct attribute_list *out)
{
    struct attribute_list parsed;
    marline__attributes_init(&parsed, out->arena, UINT32_MAX);
    while (text.size > 0) {
        struct slice member = next_member(&text);
        if (member.size > 0 && !parse_member(member, &parsed)) {
            return false;
        }
    }
    marline__attributes_set_all(out, &marline__no_limits, parsed.items, parsed.count);
    return true;
}

static void set_environment(struct attribute_list *list)
{
    const char *text = marline__environment_text("OTEL_RESOURCE_ATTRIBUTES");
    if (text && !marline__resource_parse(marline__slice_text(text), list)) {
        marline__log(LOG_WARN, "OTEL_RESOURCE_ATTRIBUTES is no list of key=value pairs with other "
                               "bytes percent-encoded; none of it is used");
    }
    const char *name = marline__environment_text("OTEL_SERVICE_NAME");
    if (name) {
        set(list, "service.name", marline_text(name));
    }
}

bool marline__resource_build(const marline_provider_options *options, struct span_memory *arena,
                             marline_resource_data *out)
{
    struct attribute_list list;
    marline__attributes_init(&list, arena, UINT32_MAX);
    set_defaults(&list);
    set_environment(&list);
    const marline_resource_data *detected =
        options ? marline_resource_view(options->detected) : NULL;
    marline_string schema_url = {"", 0};
    if (detected) {
        marline__attributes_set_all(&list, &marline__no_limits, detected->attributes,
                                    detected->attribute_count);
        schema_url = detected->schema_url;
    }
    if (options) {
        marline__attributes_set_all(&list, &marline__no_limits, options->resource,
                                    options->resource_count);
        if (options->service_name && options->service_name[0] != '\0') {
            set(&list, "service.name", marline_text(options->service_name));
        }
    }
    *out = (marline_resource_data){.attributes = list.items,
                                   .attribute_count = list.count,
                                   .schema_url = marline__string_copy(arena, schema_url)};
    return list.dropped == 0 && out->schema_url.data;
}
