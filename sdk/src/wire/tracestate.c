/* W3C tracestate; see tracestate.h. */
#include "wire/tracestate.h"

#include <stdio.h>

#include "base/blank.h"

/* ---- members ---- */

/* Takes what stands before the separator off the front of *rest; false when nothing is left. */
static bool take_part(struct slice *rest, char separator, struct slice *out)
{
    if (!rest->data) {
        return false;
    }
    const char *end = rest->size > 0 ? memchr(rest->data, separator, rest->size) : NULL;
    *out = (struct slice){rest->data, end ? (size_t)(end - rest->data) : rest->size};
    *rest = end ? (struct slice){end + 1, rest->size - out->size - 1} : SLICE_EMPTY;
    return true;
}

static bool take_member(struct slice *rest, struct slice *out)
{
    return rest->size > 0 && take_part(rest, ',', out);
}

static struct slice key_of(struct slice member)
{
    const char *equals = memchr(member.data, '=', member.size);
    return (struct slice){member.data, equals ? (size_t)(equals - member.data) : member.size};
}

bool marline__tracestate_key_is_valid(struct slice key)
{
    for (size_t i = 0; i < key.size; i++) {
        char c = key.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        bool symbol = c == '_' || c == '-' || c == '*' || c == '/' || c == '@';
        if (!plain && (i == 0 || !symbol)) {
            return false;
        }
    }
    return key.size > 0 && key.size <= TRACESTATE_KEY_MAX;
}

bool marline__tracestate_value_is_valid(struct slice value)
{
    for (size_t i = 0; i < value.size; i++) {
        char c = value.data[i];
        if (c < ' ' || c > '~' || c == ',' || c == '=') {
            return false;
        }
    }
    return value.size > 0 && value.size <= TRACESTATE_VALUE_MAX &&
           value.data[value.size - 1] != ' ';
}

static bool member_is_valid(struct slice member)
{
    struct slice key = key_of(member);
    if (key.size == member.size) {
        return false;
    }
    struct slice value = {key.data + key.size + 1, member.size - key.size - 1};
    return marline__tracestate_key_is_valid(key) && marline__tracestate_value_is_valid(value);
}

static void append_member(struct buffer *out, size_t start, struct slice member)
{
    if (out->size > start) {
        marline__buffer_append_byte(out, ',');
    }
    marline__buffer_append_slice(out, member);
}

/* ---- the list ---- */

bool marline__tracestate_get(struct slice list, struct slice key, struct slice *out_value)
{
    struct slice member;
    while (take_member(&list, &member)) {
        if (marline__slice_equal(key_of(member), key)) {
            *out_value = (struct slice){member.data + key.size + 1, member.size - key.size - 1};
            return true;
        }
    }
    return false;
}

static struct slice appended_since(const struct buffer *out, size_t start)
{
    return (struct slice){out->data + start, out->size - start};
}

/* Appends the members of one field; false when one of them is bad or there are too many. */
static bool parse_field(struct slice field, size_t start, size_t *members, struct buffer *out)
{
    struct slice member;
    struct slice value;
    while (take_member(&field, &member)) {
        member = marline__blank_strip(member);
        if (member.size == 0) {
            continue;
        }
        if (!member_is_valid(member) || ++*members > TRACESTATE_MEMBERS_MAX) {
            return false;
        }
        if (out->size == start ||
            !marline__tracestate_get(appended_since(out, start), key_of(member), &value)) {
            append_member(out, start, member);
        }
    }
    return true;
}

bool marline__tracestate_parse(const struct slice *fields, size_t count, struct buffer *out)
{
    size_t start = out->size;
    size_t members = 0;
    for (size_t i = 0; i < count; i++) {
        if (!parse_field(fields[i], start, &members, out)) {
            out->size = start;
            return false;
        }
    }
    return !out->failed;
}

bool marline__tracestate_set(struct slice list, struct slice key, struct slice value,
                             struct buffer *out)
{
    size_t start = out->size;
    size_t members = 1;
    struct slice member;
    if (!marline__tracestate_key_is_valid(key) || !marline__tracestate_value_is_valid(value)) {
        marline__buffer_append_slice(out, list);
        return false;
    }
    marline__buffer_append_slice(out, key);
    marline__buffer_append_byte(out, '=');
    marline__buffer_append_slice(out, value);
    while (members < TRACESTATE_MEMBERS_MAX && take_member(&list, &member)) {
        if (!marline__slice_equal(key_of(member), key)) {
            append_member(out, start, member);
            members++;
        }
    }
    return !out->failed;
}

void marline__tracestate_remove(struct slice list, struct slice key, struct buffer *out)
{
    size_t start = out->size;
    struct slice member;
    while (take_member(&list, &member)) {
        if (!marline__slice_equal(key_of(member), key)) {
            append_member(out, start, member);
        }
    }
}

void marline__tracestate_shorten(struct slice list, size_t max, struct buffer *out)
{
    struct slice members[TRACESTATE_MEMBERS_MAX];
    size_t count = 0;
    size_t size = list.size;
    size_t start = out->size;
    while (count < TRACESTATE_MEMBERS_MAX && take_member(&list, &members[count])) {
        count++;
    }
    for (int any = 0; any <= 1; any++) {
        for (size_t i = count; i > 0 && size > max; i--) {
            struct slice *member = &members[i - 1];
            if (member->size > (any ? 0 : TRACESTATE_LONG_MEMBER)) {
                size -= member->size + 1;
                *member = SLICE_EMPTY;
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (members[i].size > 0) {
            append_member(out, start, members[i]);
        }
    }
}

/* ---- the `ot` member ---- */

enum { OT_DIGITS = 14 }; /* 56 bits */

/* Hexadecimal, lower case; fewer digits than 14 are the leading ones. */
static bool read_fraction(struct slice text, size_t digits_min, uint64_t *out)
{
    uint64_t value = 0;
    if (text.size < digits_min || text.size > OT_DIGITS) {
        return false;
    }
    for (size_t i = 0; i < OT_DIGITS; i++) {
        char c = i < text.size ? text.data[i] : '0';
        bool digit = c >= '0' && c <= '9';
        if (!digit && (c < 'a' || c > 'f')) {
            return false;
        }
        value = value << 4 | (uint64_t)(digit ? c - '0' : c - 'a' + 10);
    }
    *out = value;
    return true;
}

static bool take_subkey(struct slice *rest, struct slice *out_key, struct slice *out_value)
{
    struct slice part;
    if (rest->size == 0 || !take_part(rest, ';', &part)) {
        return false;
    }
    const char *colon = part.size > 0 ? memchr(part.data, ':', part.size) : NULL;
    out_key->data = part.data;
    out_key->size = colon ? (size_t)(colon - part.data) : part.size;
    *out_value = colon ? (struct slice){colon + 1, part.size - out_key->size - 1} : SLICE_EMPTY;
    return true;
}

struct tracestate_ot marline__tracestate_ot(struct slice list)
{
    struct tracestate_ot ot = {.has_threshold = false};
    struct slice rest;
    struct slice key;
    struct slice value;
    if (!marline__tracestate_get(list, SLICE("ot"), &rest)) {
        return ot;
    }
    while (take_subkey(&rest, &key, &value)) {
        if (marline__slice_is(key, "th")) {
            ot.has_threshold = read_fraction(value, 1, &ot.threshold);
        } else if (marline__slice_is(key, "rv")) {
            ot.has_randomness = read_fraction(value, OT_DIGITS, &ot.randomness);
        }
    }
    return ot;
}

/* Trailing zeros of the fraction are left out; zero itself is "0". */
static void append_threshold(struct buffer *out, uint64_t threshold)
{
    char text[OT_DIGITS + 1];
    int size = snprintf(text, sizeof text, "%014llx",
                        (unsigned long long)(threshold & ((1ull << 56) - 1)));
    while (size > 1 && text[size - 1] == '0') {
        size--;
    }
    marline__buffer_append_text(out, "th:");
    marline__buffer_append(out, text, (size_t)size);
}

bool marline__tracestate_set_ot(struct slice list, const struct tracestate_ot *ot,
                                struct buffer *out)
{
    struct tracestate_ot before = marline__tracestate_ot(list);
    struct buffer value = BUFFER_INIT;
    struct slice rest = SLICE_EMPTY;
    struct slice key;
    struct slice sub;
    if (ot->has_threshold) {
        append_threshold(&value, ot->threshold);
    }
    (void)marline__tracestate_get(list, SLICE("ot"), &rest);
    while (take_subkey(&rest, &key, &sub)) {
        if (!marline__slice_is(key, "th")) {
            marline__buffer_append_text(&value, value.size > 0 ? ";" : "");
            marline__buffer_append_slice(&value, key);
            marline__buffer_append_byte(&value, ':');
            marline__buffer_append_slice(&value, sub);
        }
    }
    if (ot->has_randomness && !before.has_randomness) {
        marline__buffer_append_format(&value, "%srv:%014llx", value.size > 0 ? ";" : "",
                                      (unsigned long long)(ot->randomness & ((1ull << 56) - 1)));
    }
    out->failed = out->failed || value.failed;
    bool set = marline__tracestate_set(list, SLICE("ot"), marline__buffer_slice(&value), out);
    marline__buffer_deinit(&value);
    return set;
}
