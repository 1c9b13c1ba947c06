/* See json_tree.h. Recursion is bounded by the reader's JSON_DEPTH_MAX. */
#include "core/json_tree.h"

#include <stdint.h>
#include <stdlib.h>

#include "core/alloc.h"

/* ---- parsing ---- */

static void *take(struct arena *arena, const void *data, size_t size)
{
    void *copy = marline__arena_copy(arena, data, size);
    if (!copy) {
        abort();
    }
    return copy;
}

static struct slice decode(struct slice raw, struct arena *arena)
{
    struct buffer text = BUFFER_INIT;
    marline__json_unescape(raw, &text);
    alloc_check_buffer(&text);
    struct slice decoded = {take(arena, text.data ? text.data : "", text.size), text.size};
    marline__buffer_deinit(&text);
    return decoded;
}

static int compare_texts(struct slice a, struct slice b)
{
    size_t shorter = a.size < b.size ? a.size : b.size;
    int order = shorter ? memcmp(a.data, b.data, shorter) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* By name; of equal names the one that came last is first. */
static int compare_members(const void *a, const void *b)
{
    const struct json_node *x = a;
    const struct json_node *y = b;
    int order = compare_texts(x->name, y->name);
    return order ? order : (x->raw.data < y->raw.data) - (x->raw.data > y->raw.data);
}

static size_t drop_repeated(struct json_node *items, size_t count)
{
    size_t kept = count ? 1 : 0;
    for (size_t i = 1; i < count; i++) {
        if (!marline__slice_equal(items[i].name, items[kept - 1].name)) {
            items[kept++] = items[i];
        }
    }
    return kept;
}

static bool read_node(struct json_reader *r, struct arena *arena, struct json_node *out);

struct node_list {
    struct json_node *items;
    size_t count;
    size_t capacity;
};

static struct json_node *add_node(struct node_list *list)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 8;
        list->items = alloc_resize(list->items, list->capacity * sizeof(*list->items));
    }
    struct json_node *node = &list->items[list->count++];
    *node = (struct json_node){.type = JSON_ERROR};
    return node;
}

static bool read_items(struct json_reader *r, struct arena *arena, struct node_list *list,
                       bool is_object)
{
    struct slice key = SLICE_EMPTY;
    if (!(is_object ? marline__json_enter_object(r) : marline__json_enter_array(r))) {
        return false;
    }
    while (is_object ? marline__json_next_member(r, &key) : marline__json_next_element(r)) {
        struct json_node *node = add_node(list);
        if (is_object) {
            node->name = decode(key, arena);
        }
        if (!read_node(r, arena, node)) {
            return false;
        }
    }
    return !r->error;
}

static bool read_container(struct json_reader *r, struct arena *arena, struct json_node *out)
{
    struct node_list list = {NULL, 0, 0};
    bool is_object = out->type == JSON_OBJECT;
    size_t start = r->at;
    bool ok = read_items(r, arena, &list, is_object);
    if (ok) {
        if (is_object && list.count > 0) {
            qsort(list.items, list.count, sizeof(*list.items), compare_members);
            list.count = drop_repeated(list.items, list.count);
        }
        out->raw = (struct slice){r->text.data + start, r->at - start};
        out->items = list.count ? take(arena, list.items, list.count * sizeof(*list.items)) : NULL;
        out->count = list.count;
    }
    marline__memory_free(list.items);
    return ok;
}

static bool read_node(struct json_reader *r, struct arena *arena, struct json_node *out)
{
    out->type = marline__json_peek(r);
    if (out->type == JSON_ARRAY || out->type == JSON_OBJECT) {
        return read_container(r, arena, out);
    }
    bool ok = marline__json_skip(r, &out->raw);
    if (ok && out->type == JSON_STRING) {
        out->text = decode((struct slice){out->raw.data + 1, out->raw.size - 2}, arena);
    }
    return ok;
}

bool json_tree_parse(struct slice json, struct arena *arena, struct json_node *out)
{
    struct json_reader r;
    *out = (struct json_node){.type = JSON_ERROR};
    marline__json_reader_init(&r, json, JSON_STRICT);
    return read_node(&r, arena, out) && marline__json_finish(&r);
}

const struct json_node *json_tree_member(const struct json_node *node, const char *name)
{
    for (size_t i = 0; node->type == JSON_OBJECT && i < node->count; i++) {
        if (marline__slice_is(node->items[i].name, name)) {
            return &node->items[i];
        }
    }
    return NULL;
}

/* ---- numbers ---- */

bool json_tree_number(const struct json_node *node, double *out)
{
    struct json_reader r;
    marline__json_reader_init(&r, node->raw, JSON_STRICT);
    return node->type == JSON_NUMBER && marline__json_read_double(&r, out);
}

static bool read_whole(const struct json_node *node, int64_t *out)
{
    struct json_reader r;
    marline__json_reader_init(&r, node->raw, JSON_STRICT);
    return marline__json_read_int64(&r, out);
}

static bool has_only_digits(struct slice text)
{
    return memchr(text.data, '.', text.size) == NULL && memchr(text.data, 'e', text.size) == NULL &&
           memchr(text.data, 'E', text.size) == NULL;
}

/* Whole numbers keep all their digits; those beyond 64 bits are equal when they read the same. */
static bool are_equal_numbers(const struct json_node *a, const struct json_node *b)
{
    int64_t x;
    int64_t y;
    bool x_is_whole = read_whole(a, &x);
    bool y_is_whole = read_whole(b, &y);
    if (x_is_whole && y_is_whole) {
        return x == y;
    }
    if (x_is_whole || y_is_whole || (has_only_digits(a->raw) && has_only_digits(b->raw))) {
        return marline__slice_equal(a->raw, b->raw);
    }
    double p;
    double q;
    return json_tree_number(a, &p) && json_tree_number(b, &q) && p == q;
}

/* ---- equality ---- */

static void append_token(struct buffer *pointer, struct slice token)
{
    marline__buffer_append_byte(pointer, '/');
    for (size_t i = 0; i < token.size; i++) {
        char c = token.data[i];
        if (c == '~' || c == '/') {
            marline__buffer_append_text(pointer, c == '~' ? "~0" : "~1");
        } else {
            marline__buffer_append_byte(pointer, c);
        }
    }
}

static bool differ(struct json_difference *d, const struct json_node *expected,
                   const struct json_node *found)
{
    if (d) {
        d->expected = expected;
        d->found = found;
    }
    return false;
}

static bool walk(const struct json_node *a, const struct json_node *b, struct json_difference *d);

/* One step down: the pointer keeps the token when the trees differ below it. */
static bool walk_below(const struct json_node *a, const struct json_node *b, struct slice token,
                       struct json_difference *d)
{
    size_t size = d ? d->pointer.size : 0;
    if (d) {
        append_token(&d->pointer, token);
    }
    bool equal = a && b ? walk(a, b, d) : differ(d, a, b);
    if (equal && d) {
        d->pointer.size = size;
    }
    return equal;
}

static bool walk_objects(const struct json_node *a, const struct json_node *b,
                         struct json_difference *d)
{
    size_t i = 0;
    size_t j = 0;
    while (i < a->count || j < b->count) {
        int order = i == a->count   ? 1
                    : j == b->count ? -1
                                    : compare_texts(a->items[i].name, b->items[j].name);
        struct slice name = order <= 0 ? a->items[i].name : b->items[j].name;
        const struct json_node *x = order <= 0 ? &a->items[i++] : NULL;
        const struct json_node *y = order >= 0 ? &b->items[j++] : NULL;
        if (!walk_below(x, y, name, d)) {
            return false;
        }
    }
    return true;
}

static bool walk_arrays(const struct json_node *a, const struct json_node *b,
                        struct json_difference *d)
{
    for (size_t i = 0; i < a->count || i < b->count; i++) {
        struct buffer token = BUFFER_INIT;
        marline__buffer_append_unsigned(&token, i);
        bool equal =
            walk_below(i < a->count ? &a->items[i] : NULL, i < b->count ? &b->items[i] : NULL,
                       marline__buffer_slice(&token), d);
        marline__buffer_deinit(&token);
        if (!equal) {
            return false;
        }
    }
    return true;
}

static bool walk(const struct json_node *a, const struct json_node *b, struct json_difference *d)
{
    if (a->type != b->type) {
        return differ(d, a, b);
    }
    switch (a->type) {
    case JSON_OBJECT:
        return walk_objects(a, b, d);
    case JSON_ARRAY:
        return walk_arrays(a, b, d);
    case JSON_STRING:
        return marline__slice_equal(a->text, b->text) || differ(d, a, b);
    case JSON_NUMBER:
        return are_equal_numbers(a, b) || differ(d, a, b);
    case JSON_BOOL:
        return marline__slice_equal(a->raw, b->raw) || differ(d, a, b);
    case JSON_NULL:
    case JSON_ERROR:
        break;
    }
    return true;
}

bool json_tree_equal(const struct json_node *expected, const struct json_node *found,
                     struct json_difference *out)
{
    if (out) {
        *out = (struct json_difference){.pointer = BUFFER_INIT};
    }
    bool equal = walk(expected, found, out);
    if (out) {
        alloc_check_buffer(&out->pointer);
        marline__buffer_append_byte(&out->pointer, '\0');
        alloc_check_buffer(&out->pointer);
        out->pointer.size--;
    }
    return equal;
}

/* ---- containing ---- */

static bool contains_members(const struct json_node *whole, const struct json_node *part)
{
    size_t i = 0;
    for (size_t j = 0; j < part->count; j++) {
        const struct json_node *wanted = &part->items[j];
        while (i < whole->count && compare_texts(whole->items[i].name, wanted->name) < 0) {
            i++;
        }
        if (i == whole->count || !marline__slice_equal(whole->items[i].name, wanted->name)) {
            return false;
        }
        bool both_objects = wanted->type == JSON_OBJECT && whole->items[i].type == JSON_OBJECT;
        if (!(both_objects ? contains_members(&whole->items[i], wanted)
                           : walk(wanted, &whole->items[i], NULL))) {
            return false;
        }
    }
    return true;
}

static bool contains_element(const struct json_node *whole, const struct json_node *part)
{
    for (size_t i = 0; i < whole->count; i++) {
        const struct json_node *item = &whole->items[i];
        bool both_objects = part->type == JSON_OBJECT && item->type == JSON_OBJECT;
        if (both_objects ? contains_members(item, part) : walk(part, item, NULL)) {
            return true;
        }
    }
    return false;
}

bool json_tree_contains(const struct json_node *whole, const struct json_node *part)
{
    if (whole->type == JSON_ARRAY) {
        return contains_element(whole, part);
    }
    if (whole->type == JSON_OBJECT && part->type == JSON_OBJECT) {
        return contains_members(whole, part);
    }
    return whole->type == JSON_STRING && part->type == JSON_STRING &&
           (part->text.size == 0 ||
            memmem(whole->text.data, whole->text.size, part->text.data, part->text.size) != NULL);
}
