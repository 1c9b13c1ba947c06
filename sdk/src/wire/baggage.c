/* W3C baggage; see baggage.h. */
#include "wire/baggage.h"

#include "base/blank.h"
#include "base/hex.h"
#include "base/utf8.h"

/* ---- characters ---- */

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

/* baggage-octet, the percent sign included. */
static bool is_value_char(char c)
{
    return c > ' ' && c <= '~' && c != '"' && c != ',' && c != ';' && c != '\\';
}

bool marline__baggage_name_is_valid(struct slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        if (!is_token_char(name.data[i])) {
            return false;
        }
    }
    return name.size > 0;
}

static bool value_is_valid(struct slice value)
{
    for (size_t i = 0; i < value.size; i++) {
        if (!is_value_char(value.data[i])) {
            return false;
        }
    }
    return true;
}

static bool metadata_is_valid(struct slice metadata)
{
    for (size_t i = 0; i < metadata.size; i++) {
        char c = metadata.data[i];
        if (c != '\t' && (c < ' ' || c > '~' || c == ',')) {
            return false;
        }
    }
    return true;
}

/* ---- reading ---- */

/* A percent sign without two digits behind it stays what it is. */
static void percent_decode(struct slice value, struct buffer *out)
{
    for (size_t i = 0; i < value.size; i++) {
        uint8_t byte = (uint8_t)value.data[i];
        if (byte == '%' && value.size - i > 2 &&
            marline__hex_decode((struct slice){value.data + i + 1, 2}, &byte, 1)) {
            i += 2;
        }
        marline__buffer_append_byte(out, (char)byte);
    }
}

/* Appends the meaning of a value and returns it; out->text was reserved, so that it does not move.
 */
static struct slice decode_value(struct slice value, struct buffer *text)
{
    struct buffer bytes = BUFFER_INIT;
    size_t start = text->size;
    if (value.size == 0 || !memchr(value.data, '%', value.size)) {
        return value;
    }
    percent_decode(value, &bytes);
    marline__utf8_append_repaired(text, marline__buffer_slice(&bytes));
    text->failed = text->failed || bytes.failed;
    marline__buffer_deinit(&bytes);
    return text->failed ? SLICE_EMPTY : (struct slice){text->data + start, text->size - start};
}

/* The part before the separator; *rest is what follows it, NULL data when there is none. */
static struct slice split(struct slice text, char separator, struct slice *rest)
{
    const char *at = text.size > 0 ? memchr(text.data, separator, text.size) : NULL;
    if (!at) {
        *rest = SLICE_EMPTY;
        return text;
    }
    size_t size = (size_t)(at - text.data);
    *rest = (struct slice){at + 1, text.size - size - 1};
    return (struct slice){text.data, size};
}

static void forget_name(struct baggage *b, struct slice name)
{
    for (size_t i = 0; i < b->count; i++) {
        if (marline__slice_equal(b->entries[i].name, name)) {
            memmove(&b->entries[i], &b->entries[i + 1], (b->count - i - 1) * sizeof b->entries[0]);
            b->count--;
            return;
        }
    }
}

static void parse_member(struct slice member, struct baggage *b)
{
    struct baggage_entry entry;
    struct slice value;
    struct slice pair = split(member, ';', &entry.metadata);
    entry.name = marline__blank_strip(split(pair, '=', &value));
    entry.metadata = marline__blank_strip(entry.metadata);
    bool has_value = value.data != NULL;
    value = marline__blank_strip(value);
    if (!has_value || !marline__baggage_name_is_valid(entry.name) || !value_is_valid(value) ||
        !metadata_is_valid(entry.metadata)) {
        return;
    }
    forget_name(b, entry.name);
    if (b->count < BAGGAGE_MEMBERS_MAX) {
        entry.value = decode_value(value, &b->text);
        b->entries[b->count++] = entry;
    }
}

bool marline__baggage_parse(const struct slice *fields, size_t count, struct baggage *out)
{
    size_t size = 0;
    size_t used = 0;
    out->count = 0;
    out->text = BUFFER_INIT;
    for (size_t i = 0; i < count; i++) {
        size += fields[i].size;
    }
    /* A byte that is no UTF-8 takes three characters of the header and three bytes as U+FFFD. */
    if (!marline__buffer_reserve(&out->text, size)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct slice rest = fields[i];
        while (rest.size > 0) {
            struct slice member = marline__blank_strip(split(rest, ',', &rest));
            size_t more = member.size + (used > 0);
            if (member.size > 0 && used + more <= BAGGAGE_BYTES_MAX) {
                used += more;
                parse_member(member, out);
            }
        }
    }
    if (out->text.failed) {
        out->count = 0;
        return false;
    }
    return true;
}

void marline__baggage_deinit(struct baggage *baggage)
{
    marline__buffer_deinit(&baggage->text);
    baggage->count = 0;
}

/* ---- writing ---- */

static void percent_encode(struct slice value, struct buffer *out)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < value.size; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if (c != '%' && is_value_char((char)c)) {
            marline__buffer_append_byte(out, (char)c);
        } else {
            char code[3] = {'%', digits[c >> 4], digits[c & 15]};
            marline__buffer_append(out, code, sizeof code);
        }
    }
}

size_t marline__baggage_encode(const struct baggage_entry *entries, size_t count,
                               struct buffer *out)
{
    size_t start = out->size;
    size_t written = 0;
    for (size_t i = 0; i < count && written < BAGGAGE_MEMBERS_MAX; i++) {
        const struct baggage_entry *entry = &entries[i];
        size_t before = out->size;
        if (!marline__baggage_name_is_valid(entry->name)) {
            continue;
        }
        marline__buffer_append_text(out, written > 0 ? "," : "");
        marline__buffer_append_slice(out, entry->name);
        marline__buffer_append_byte(out, '=');
        percent_encode(entry->value, out);
        if (entry->metadata.size > 0 && metadata_is_valid(entry->metadata)) {
            marline__buffer_append_byte(out, ';');
            marline__buffer_append_slice(out, entry->metadata);
        }
        if (out->size - start > BAGGAGE_BYTES_MAX) {
            out->size = before;
        } else {
            written++;
        }
    }
    return written;
}
