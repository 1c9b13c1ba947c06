/* The span of the golden bytes of OTLP: every field, every type of value, an event, a link. */
#ifndef MARLINE_TESTS_GOLDEN_SPAN_H
#define MARLINE_TESTS_GOLDEN_SPAN_H

#include <marline/span_data.h>

#define GOLDEN_TEXT(text)                                                                          \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }

static const marline_attribute golden_resource_attributes[] = {
    {GOLDEN_TEXT("service.name"), {MARLINE_VALUE_STRING, {.string = GOLDEN_TEXT("t")}}}};
static const marline_resource_data golden_resource = {golden_resource_attributes, 1, {NULL, 0}};
static const marline_scope_data golden_scope = {.name = GOLDEN_TEXT("s")};

static const marline_value golden_items[] = {{MARLINE_VALUE_INT, {.integer = 300}}};
static const marline_attribute golden_map[] = {
    {GOLDEN_TEXT("q"), {MARLINE_VALUE_BOOL, {.boolean = true}}}};
static const marline_attribute golden_attributes[] = {
    {GOLDEN_TEXT("i"), {MARLINE_VALUE_INT, {.integer = -1}}},
    {GOLDEN_TEXT("d"), {MARLINE_VALUE_DOUBLE, {.real = 1.5}}},
    {GOLDEN_TEXT("b"), {MARLINE_VALUE_BOOL, {.boolean = false}}},
    {GOLDEN_TEXT("y"), {MARLINE_VALUE_BYTES, {.string = GOLDEN_TEXT("\xff\0")}}},
    {GOLDEN_TEXT("e"), {MARLINE_VALUE_STRING, {.string = {"", 0}}}},
    {GOLDEN_TEXT("z"), {MARLINE_VALUE_EMPTY, {.integer = 0}}},
    {GOLDEN_TEXT("l"), {MARLINE_VALUE_ARRAY, {.array = {golden_items, 1}}}},
    {GOLDEN_TEXT("m"), {MARLINE_VALUE_MAP, {.map = {golden_map, 1}}}},
};
static const marline_event_data golden_events[] = {{GOLDEN_TEXT("exception"), 3, NULL, 0, 1}};
static const marline_link_data golden_links[] = {
    {.trace_id = {0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
                  0xaa, 0xaa, 0xaa},
     .span_id = {0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb}}};

static const marline_span_data golden_span = {
    .trace_id = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
    .span_id = {0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28},
    .parent_span_id = {0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38},
    .has_parent = true,
    .parent_is_remote = true,
    .flags = 3,
    .trace_state = GOLDEN_TEXT("a=b"),
    .name = GOLDEN_TEXT("n"),
    .kind = MARLINE_SPAN_KIND_CLIENT,
    .start_unix_ns = 1,
    .end_unix_ns = 9223372036854775808u,
    .status = MARLINE_SPAN_STATUS_ERROR,
    .status_message = GOLDEN_TEXT("boom"),
    .attributes = golden_attributes,
    .attribute_count = sizeof golden_attributes / sizeof golden_attributes[0],
    .dropped_attributes = 4,
    .events = golden_events,
    .event_count = 1,
    .links = golden_links,
    .link_count = 1,
    .scope = &golden_scope,
    .resource = &golden_resource,
};

#endif
