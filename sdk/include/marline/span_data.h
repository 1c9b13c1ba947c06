/* The data of one finished span as exporters read it: flat, borrowed, read-only. Also the types of
 * attribute values, for those who set them. Plain data: any thread.
 * Rules: OpenTelemetry trace SDK, "readable span"; numbers of enums as in opentelemetry-proto. */
#ifndef MARLINE_SPAN_DATA_H
#define MARLINE_SPAN_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <marline/export.h>

MARLINE_BEGIN_DECLS

/* Borrowed text or bytes; may hold NULs, need not end with one. */
typedef struct marline_string {
    const char *data;
    size_t size;
} marline_string;

/* The part that a span plays. */
typedef enum marline_span_kind {
    MARLINE_SPAN_KIND_INTERNAL = 1,
    MARLINE_SPAN_KIND_SERVER = 2,
    MARLINE_SPAN_KIND_CLIENT = 3,
    MARLINE_SPAN_KIND_PRODUCER = 4,
    MARLINE_SPAN_KIND_CONSUMER = 5,
} marline_span_kind;

/* How the work of a span ended; UNSET is no failure. */
typedef enum marline_span_status {
    MARLINE_SPAN_STATUS_UNSET = 0,
    MARLINE_SPAN_STATUS_OK = 1,
    MARLINE_SPAN_STATUS_ERROR = 2,
} marline_span_status;

/* Which member of a value counts. */
typedef enum marline_value_type {
    MARLINE_VALUE_EMPTY,
    MARLINE_VALUE_STRING,
    MARLINE_VALUE_BOOL,
    MARLINE_VALUE_INT,
    MARLINE_VALUE_DOUBLE,
    MARLINE_VALUE_BYTES,
    MARLINE_VALUE_ARRAY,
    MARLINE_VALUE_MAP,
} marline_value_type;

/* The value of an attribute; arrays and maps nest. */
typedef struct marline_value marline_value;
/* A key, not empty, and its value. */
typedef struct marline_attribute marline_attribute;

/* The value of an attribute. */
struct marline_value {
    marline_value_type type;
    union {
        marline_string string; /* STRING and BYTES */
        bool boolean;
        int64_t integer;
        double real;
        struct {
            const marline_value *items;
            size_t count;
        } array;
        struct {
            const marline_attribute *items;
            size_t count;
        } map;
    } as;
};

/* A key, and its value. */
struct marline_attribute {
    marline_string key;
    marline_value value;
};

/* Something that happened at one moment of a span. */
typedef struct marline_event_data {
    marline_string name;
    uint64_t time_unix_ns;
    const marline_attribute *attributes;
    uint32_t attribute_count;
    uint32_t dropped_attributes;
} marline_event_data;

/* A reference to another span, of any trace. */
typedef struct marline_link_data {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t flags;
    bool is_remote;
    marline_string trace_state;
    const marline_attribute *attributes;
    uint32_t attribute_count;
    uint32_t dropped_attributes;
} marline_link_data;

/* The code that traces: what marline_tracer_get was given. */
typedef struct marline_scope_data {
    marline_string name;
    marline_string version;
    marline_string schema_url;
    const marline_attribute *attributes;
    uint32_t attribute_count;
} marline_scope_data;

/* The process that traces: service, instance, SDK. */
typedef struct marline_resource_data {
    const marline_attribute *attributes;
    uint32_t attribute_count;
    marline_string schema_url;
} marline_resource_data;

/* A finished span. */
typedef struct marline_span_data {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t parent_span_id[8]; /* all zero for a root */
    bool has_parent;
    bool parent_is_remote;
    uint8_t flags; /* W3C trace flags */
    marline_string trace_state;
    marline_string name;
    marline_span_kind kind;
    uint64_t start_unix_ns;
    uint64_t end_unix_ns;
    marline_span_status status;
    marline_string status_message;
    const marline_attribute *attributes;
    uint32_t attribute_count;
    uint32_t dropped_attributes;
    const marline_event_data *events;
    uint32_t event_count;
    uint32_t dropped_events;
    const marline_link_data *links;
    uint32_t link_count;
    uint32_t dropped_links;
    const marline_scope_data *scope;       /* never NULL */
    const marline_resource_data *resource; /* never NULL */
} marline_span_data;

MARLINE_END_DECLS
#endif
