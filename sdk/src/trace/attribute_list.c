/* Copying, overwriting and limiting attributes; see attribute_list.h. */
#include "trace/attribute_list.h"

#include <math.h>
#include <string.h>

enum { FIRST_CAPACITY = 8 };

const marline_span_limits marline__no_limits = {UINT32_MAX, UINT32_MAX, 64, 0, 0, 0, 0};

marline_string marline__string_copy(struct span_memory *arena, marline_string text)
{
    char *copy = marline__span_memory_take(arena, text.size, 1);
    if (copy && text.size > 0) {
        memcpy(copy, text.data, text.size);
    }
    return (marline_string){copy, copy ? text.size : 0};
}

/* A kept text is preceded by its capacity, so that overwriting it again and again with texts of
 * changing length does not use up the arena. */
static bool keep_bytes(struct span_memory *arena, marline_string text, uint32_t capacity,
                       marline_string *out)
{
    if (text.size > SPAN_BYTES_MAX) {
        return false;
    }
    if (capacity < text.size) {
        capacity = (uint32_t)text.size;
    }
    char *block = marline__span_memory_take(arena, sizeof capacity + capacity, 1);
    if (!block) {
        return false;
    }
    memcpy(block, &capacity, sizeof capacity);
    block += sizeof capacity;
    if (text.size > 0) {
        memcpy(block, text.data, text.size);
    }
    *out = (marline_string){block, text.size};
    return true;
}

static bool replace_bytes(struct span_memory *arena, marline_string text, marline_string *kept)
{
    uint32_t capacity;
    memcpy(&capacity, kept->data - sizeof capacity, sizeof capacity);
    if (text.size > capacity) {
        return keep_bytes(arena, text, capacity < UINT32_MAX / 2 ? 2 * capacity : 0, kept);
    }
    char *block; /* the arena's bytes are ours to change; only readers see them as constant */
    memcpy(&block, &kept->data, sizeof block);
    if (text.size > 0) {
        memmove(block, text.data, text.size);
    }
    kept->size = text.size;
    return true;
}

/* Cuts after `length` code points; a stray continuation byte counts with what precedes it. */
static marline_string cut_text(marline_string text, uint32_t length)
{
    if (text.size <= length) {
        return text;
    }
    uint32_t seen = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (((unsigned char)text.data[i] & 0xc0) != 0x80 && seen++ == length) {
            text.size = i;
        }
    }
    return text;
}

static marline_string cut_to_limit(marline_string s, marline_value_type type,
                                   const marline_span_limits *limits)
{
    if (type == MARLINE_VALUE_BYTES) {
        s.size = s.size < limits->value_length ? s.size : limits->value_length;
        return s;
    }
    return cut_text(s, limits->value_length);
}

static inline marline_string cut(const marline_value *value, const marline_span_limits *limits)
{
    marline_string s = {value->as.string.data, value->as.string.data ? value->as.string.size : 0};
    return limits->value_length == UINT32_MAX ? s : cut_to_limit(s, value->type, limits);
}

static marline_attribute *find(const struct attribute_list *list, marline_string key)
{
    for (uint32_t i = 0; i < list->count; i++) {
        marline_attribute *item = &list->items[i];
        if (item->key.size == key.size && memcmp(item->key.data, key.data, key.size) == 0) {
            return item;
        }
    }
    return NULL;
}

static bool copy_value(struct span_memory *arena, const marline_span_limits *limits, uint32_t depth,
                       const marline_value *in, marline_value *out);

static bool copy_array(struct span_memory *arena, const marline_span_limits *limits, uint32_t depth,
                       const marline_value *in, marline_value *out)
{
    size_t count = in->as.array.items ? in->as.array.count : 0;
    marline_value *items =
        count <= SPAN_BYTES_MAX / sizeof *items
            ? marline__span_memory_take(arena, count * sizeof *items, _Alignof(marline_value))
            : NULL;
    if (!items) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!copy_value(arena, limits, depth + 1, &in->as.array.items[i], &items[i])) {
            return false;
        }
    }
    out->as.array.items = items;
    out->as.array.count = count;
    return true;
}

/* Keys of a map are unique (SPN-04): a later one replaces an earlier one. */
static bool copy_map(struct span_memory *arena, const marline_span_limits *limits, uint32_t depth,
                     const marline_value *in, marline_value *out)
{
    size_t count = in->as.map.items ? in->as.map.count : 0;
    marline_attribute *items =
        count <= SPAN_BYTES_MAX / sizeof *items
            ? marline__span_memory_take(arena, count * sizeof *items, _Alignof(marline_attribute))
            : NULL;
    if (!items) {
        return false;
    }
    struct attribute_list map = {.items = items};
    for (size_t i = 0; i < count; i++) {
        const marline_attribute *member = &in->as.map.items[i];
        marline_attribute *same = find(&map, member->key);
        marline_attribute *slot = same ? same : &items[map.count];
        if (!copy_value(arena, limits, depth + 1, &member->value, &slot->value)) {
            return false;
        }
        if (!same) {
            slot->key = marline__string_copy(arena, member->key);
            if (!slot->key.data) {
                return false;
            }
            map.count++;
        }
    }
    out->as.map.items = items;
    out->as.map.count = map.count;
    return true;
}

static bool copy_value(struct span_memory *arena, const marline_span_limits *limits, uint32_t depth,
                       const marline_value *in, marline_value *out)
{
    *out = *in;
    switch (in->type) {
    case MARLINE_VALUE_STRING:
    case MARLINE_VALUE_BYTES:
        return keep_bytes(arena, cut(in, limits), 0, &out->as.string);
    case MARLINE_VALUE_ARRAY:
    case MARLINE_VALUE_MAP:
        if (depth > limits->value_depth) { /* LIM-04 */
            *out = (marline_value){.type = MARLINE_VALUE_EMPTY};
            return true;
        }
        return in->type == MARLINE_VALUE_ARRAY ? copy_array(arena, limits, depth, in, out)
                                               : copy_map(arena, limits, depth, in, out);
    case MARLINE_VALUE_EMPTY:
    case MARLINE_VALUE_BOOL:
    case MARLINE_VALUE_INT:
    case MARLINE_VALUE_DOUBLE:
        return true;
    }
    *out = (marline_value){.type = MARLINE_VALUE_EMPTY}; /* a type that does not exist */
    return true;
}

static bool is_bytes(marline_value_type type)
{
    return type == MARLINE_VALUE_STRING || type == MARLINE_VALUE_BYTES;
}

const marline_attribute *marline__attributes_find(const struct attribute_list *list,
                                                  marline_string key)
{
    return find(list, key);
}

static bool grow(struct attribute_list *list)
{
    uint32_t capacity = list->capacity ? list->capacity * 2 : FIRST_CAPACITY;
    marline_attribute *items = marline__span_memory_take(list->arena, capacity * sizeof *items,
                                                         _Alignof(marline_attribute));
    if (!items) {
        return false;
    }
    if (list->count > 0) {
        memcpy(items, list->items, list->count * sizeof *items);
    }
    list->items = items;
    list->capacity = capacity;
    return true;
}

static bool overwrite(marline_attribute *item, struct span_memory *arena,
                      const marline_span_limits *limits, const marline_value *value)
{
    if (is_bytes(value->type) && is_bytes(item->value.type)) {
        if (!replace_bytes(arena, cut(value, limits), &item->value.as.string)) {
            return false;
        }
        item->value.type = value->type;
        return true;
    }
    marline_value copy;
    if (!copy_value(arena, limits, 1, value, &copy)) {
        return false;
    }
    item->value = copy;
    return true;
}

static bool append(struct attribute_list *list, const marline_span_limits *limits,
                   const marline_attribute *attribute)
{
    if (list->count >= list->count_max || (list->count == list->capacity && !grow(list))) {
        return false;
    }
    marline_attribute *item = &list->items[list->count];
    item->key = marline__string_copy(list->arena, attribute->key);
    if (!item->key.data || !copy_value(list->arena, limits, 1, &attribute->value, &item->value)) {
        return false;
    }
    list->count++;
    return true;
}

static bool set_any(struct attribute_list *list, const marline_span_limits *limits,
                    const marline_attribute *attribute)
{
    if (!attribute->key.data || attribute->key.size == 0) {
        return false;
    }
    marline_attribute *item = find(list, attribute->key);
    bool done = item ? overwrite(item, list->arena, limits, &attribute->value)
                     : append(list, limits, attribute);
    list->dropped += !done;
    return done;
}

/* Kept out of the way of the usual text. */
__attribute__((noinline)) static bool set_rare_text(struct attribute_list *list,
                                                    const marline_span_limits *limits,
                                                    marline_string key, marline_string text)
{
    const marline_attribute attribute = {key, {.type = MARLINE_VALUE_STRING, .as.string = text}};
    return set_any(list, limits, &attribute);
}

/* A new key with a text in one piece of memory. False: nothing happened. */
static inline bool append_text(struct attribute_list *list, marline_string key, marline_string text)
{
    uint32_t capacity = (uint32_t)text.size;
    char *block = marline__span_memory_take(list->arena, key.size + sizeof capacity + text.size, 1);
    if (!block) {
        return false;
    }
    marline_attribute *item = &list->items[list->count++];
    item->key = (marline_string){block, key.size};
    item->value.type = MARLINE_VALUE_STRING;
    item->value.as.string = (marline_string){block + key.size + sizeof capacity, text.size};
    memcpy(block, key.data, key.size);
    memcpy(block + key.size, &capacity, sizeof capacity);
    memcpy(block + key.size + sizeof capacity, text.data, text.size);
    return true;
}

bool marline__attributes_set_text(struct attribute_list *list, const marline_span_limits *limits,
                                  marline_string key, marline_string text)
{
    /* A text of fewer bytes than it may have code points is not cut. */
    bool is_usual = key.data && key.size > 0 && key.size <= SPAN_BYTES_MAX && text.data &&
                    text.size <= SPAN_BYTES_MAX && text.size <= limits->value_length &&
                    list->count < list->count_max && list->count < list->capacity;
    return (is_usual && !find(list, key) && append_text(list, key, text)) ||
           set_rare_text(list, limits, key, text);
}

bool marline__attributes_set(struct attribute_list *list, const marline_span_limits *limits,
                             const marline_attribute *attribute)
{
    const marline_value *value = &attribute->value;
    return value->type == MARLINE_VALUE_STRING
               ? marline__attributes_set_text(list, limits, attribute->key, value->as.string)
               : set_any(list, limits, attribute);
}

void marline__attributes_set_all(struct attribute_list *list, const marline_span_limits *limits,
                                 const marline_attribute *attributes, size_t count)
{
    for (size_t i = 0; attributes && i < count; i++) {
        (void)marline__attributes_set(list, limits, &attributes[i]);
    }
}

/* ---- comparing ---- */

static bool strings_equal(marline_string one, marline_string other)
{
    return one.size == other.size && (one.size == 0 || memcmp(one.data, other.data, one.size) == 0);
}

static bool values_equal(const marline_value *one, const marline_value *other);

static bool arrays_equal(const marline_value *one, const marline_value *other)
{
    bool equal = one->as.array.count == other->as.array.count;
    for (size_t i = 0; equal && i < one->as.array.count; i++) {
        equal = values_equal(&one->as.array.items[i], &other->as.array.items[i]);
    }
    return equal;
}

/* Recursion ends with the shallower one; what a tracer keeps is at most 64 deep. */
static bool values_equal(const marline_value *one, const marline_value *other)
{
    if (one->type != other->type) {
        return false;
    }
    switch (one->type) {
    case MARLINE_VALUE_STRING:
    case MARLINE_VALUE_BYTES:
        return strings_equal(one->as.string, other->as.string);
    case MARLINE_VALUE_BOOL:
        return one->as.boolean == other->as.boolean;
    case MARLINE_VALUE_INT:
        return one->as.integer == other->as.integer;
    case MARLINE_VALUE_DOUBLE:
        return one->as.real == other->as.real || (isnan(one->as.real) && isnan(other->as.real));
    case MARLINE_VALUE_ARRAY:
        return arrays_equal(one, other);
    case MARLINE_VALUE_MAP:
        return marline__attributes_equal(one->as.map.items, one->as.map.count, other->as.map.items,
                                         other->as.map.count);
    case MARLINE_VALUE_EMPTY:
        break;
    }
    return true;
}

bool marline__attributes_equal(const marline_attribute *one, size_t one_count,
                               const marline_attribute *other, size_t other_count)
{
    size_t count = other ? other_count : 0;
    bool equal = one_count == count;
    for (size_t i = 0; equal && i < count; i++) {
        equal =
            strings_equal(one[i].key, other[i].key) && values_equal(&one[i].value, &other[i].value);
    }
    return equal;
}
