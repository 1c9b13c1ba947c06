/* See mapping.h. Texts are JSON that was checked before; what is malformed all the same reads as
 * absent. */
#include "core/mapping.h"

#include "core/alloc.h"
#include "wire/json_reader.h"

static bool is_object(struct slice text)
{
    struct json_reader r;
    marline__json_reader_init(&r, text, JSON_ALLOW_NON_FINITE);
    return text.size && marline__json_peek(&r) == JSON_OBJECT;
}

/* Both raw, still escaped: equal texts of one author. */
static struct slice find_member(struct slice object, struct slice raw_name)
{
    struct json_reader r;
    struct slice key;
    struct slice value = SLICE_EMPTY;
    if (!is_object(object)) {
        return value;
    }
    marline__json_reader_init(&r, object, JSON_ALLOW_NON_FINITE);
    (void)marline__json_enter_object(&r);
    while (marline__json_next_member(&r, &key)) {
        struct slice raw;
        if (!marline__json_skip(&r, &raw)) {
            return SLICE_EMPTY;
        }
        if (marline__slice_equal(key, raw_name)) {
            value = raw;
        }
    }
    return value;
}

struct slice mapping_member(struct slice object, const char *name)
{
    return find_member(object, marline__slice_text(name));
}

/* The text between the quotes; false when the value is no string. */
static bool string_content(struct slice value, struct slice *out)
{
    if (value.size < 2 || value.data[0] != '"') {
        return false;
    }
    *out = (struct slice){value.data + 1, value.size - 2};
    return true;
}

static struct slice trim(struct slice s)
{
    while (s.size && s.data[0] == ' ') {
        s.data++;
        s.size--;
    }
    while (s.size && s.data[s.size - 1] == ' ') {
        s.size--;
    }
    return s;
}

/* The name in "{{ name }}"; false for any other value. */
static bool placeholder(struct slice value, struct slice *out_name)
{
    struct slice text;
    if (!string_content(value, &text)) {
        return false;
    }
    text = trim(text);
    if (text.size < 5 || memcmp(text.data, "{{", 2) != 0 ||
        memcmp(text.data + text.size - 2, "}}", 2) != 0) {
        return false;
    }
    *out_name = trim((struct slice){text.data + 2, text.size - 4});
    return out_name->size && !memchr(out_name->data, '{', out_name->size);
}

static void append_member(struct buffer *out, struct slice raw_key, struct slice value)
{
    marline__buffer_append_byte(out, '"');
    marline__buffer_append_slice(out, raw_key);
    marline__buffer_append_text(out, "\":");
    marline__buffer_append_slice(out, value);
    marline__buffer_append_byte(out, ',');
}

/* The comma after the last member becomes the brace. */
static void end_object(struct buffer *out)
{
    if (out->size && out->data[out->size - 1] == ',') {
        out->data[out->size - 1] = '}';
    } else {
        marline__buffer_append_byte(out, '}');
    }
    alloc_check_buffer(out);
}

/* ---- inputs ---- */

static void append_rendered(struct buffer *out, struct slice raw_key, struct slice value)
{
    struct slice content;
    struct buffer text = BUFFER_INIT;
    if (string_content(value, &content)) {
        marline__json_unescape(content, &text);
        alloc_check_buffer(&text);
        if (text.size && marline__json_is_valid(marline__buffer_slice(&text), JSON_STRICT)) {
            value = marline__buffer_slice(&text);
        }
    }
    append_member(out, raw_key, value);
    marline__buffer_deinit(&text);
}

static bool is_for_the_platform(struct slice raw_key)
{
    static const char *const names[] = {"organization_id", "user_id", "params", "files_metadata"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (marline__json_key_is(raw_key, names[i])) {
            return true;
        }
    }
    return false;
}

void mapping_inputs(struct slice mapping, struct slice request, struct buffer *out)
{
    bool mapped = is_object(mapping);
    struct json_reader r;
    struct slice key;
    struct slice value;
    marline__buffer_append_byte(out, '{');
    marline__json_reader_init(&r, mapped ? mapping : request, JSON_ALLOW_NON_FINITE);
    (void)marline__json_enter_object(&r);
    while (marline__json_next_member(&r, &key) && marline__json_skip(&r, &value)) {
        struct slice name;
        if (!mapped) {
            if (!is_for_the_platform(key)) {
                append_member(out, key, value);
            }
        } else if (!placeholder(value, &name)) {
            append_member(out, key, value);
        } else if (find_member(request, name).size) {
            append_rendered(out, key, find_member(request, name));
        }
    }
    end_object(out);
}

/* ---- the answer ---- */

/* "null" where the path leads nowhere; the value itself when it is no path. */
static struct slice follow(struct slice path_value, struct slice output)
{
    struct slice path;
    if (!string_content(path_value, &path) || path.size == 0 || path.data[0] != '$') {
        return path_value;
    }
    struct slice value = output;
    size_t at = 1;
    while (at < path.size && value.size) {
        const char *begin = path.data + at + 1;
        if (path.data[at] != '.') {
            return SLICE("null");
        }
        const char *end = memchr(begin, '.', path.size - at - 1);
        size_t size = end ? (size_t)(end - begin) : path.size - at - 1;
        value = find_member(value, (struct slice){begin, size});
        at += 1 + size;
    }
    return value.size ? value : SLICE("null");
}

static void append_pointer_byte(struct buffer *out, char byte)
{
    switch (byte) {
    case '.':
        marline__buffer_append_byte(out, '/');
        break;
    case '/':
        marline__buffer_append_text(out, "~1");
        break;
    case '~':
        marline__buffer_append_text(out, "~0");
        break;
    default:
        marline__buffer_append_byte(out, byte);
        break;
    }
}

bool mapping_output_pointer(struct slice mapping, struct buffer *out)
{
    struct slice path;
    if (!string_content(mapping_member(mapping, "output"), &path) || path.size == 0 ||
        path.data[0] != '$' || (path.size > 1 && path.data[1] != '.') ||
        memchr(path.data, '\\', path.size)) { /* an escape is a member that nobody has */
        return false;
    }
    for (size_t i = 1; i < path.size; i++) {
        append_pointer_byte(out, path.data[i]);
    }
    alloc_check_buffer(out);
    return true;
}

void mapping_answer(struct slice mapping, struct slice output, struct buffer *out)
{
    bool mapped = is_object(mapping);
    struct slice from = mapped ? mapping : output;
    struct json_reader r;
    struct slice key;
    struct slice value;
    if (!is_object(from)) {
        append_member(out, SLICE("output"), output.size ? output : SLICE("null"));
        return;
    }
    marline__json_reader_init(&r, from, JSON_ALLOW_NON_FINITE);
    (void)marline__json_enter_object(&r);
    while (marline__json_next_member(&r, &key) && marline__json_skip(&r, &value)) {
        append_member(out, key, mapped ? follow(value, output) : value);
    }
}
