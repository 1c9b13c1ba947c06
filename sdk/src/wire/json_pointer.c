/* JSON Pointer. */
#include "wire/json_pointer.h"

#include <stdlib.h>
#include <string.h>

#include "wire/json_reader.h"

bool marline__json_pointer_is_valid(const char *pointer)
{
    if (*pointer != '\0' && *pointer != '/') {
        return false;
    }
    size_t token = 0; /* bytes since the last slash */
    for (const char *c = pointer; *c; c++) {
        token = *c == '/' ? 0 : token + 1;
        if ((*c == '~' && c[1] != '0' && c[1] != '1') || token > JSON_POINTER_TOKEN_MAX) {
            return false;
        }
    }
    return true;
}

/* Reads the token behind the slash at *at and moves to the next slash or the end. */
static void read_token(const char **at, char out[JSON_POINTER_TOKEN_MAX + 1])
{
    const char *c = *at + 1;
    size_t size = 0;
    for (; *c && *c != '/' && size < JSON_POINTER_TOKEN_MAX; c++) {
        if (*c == '~') {
            c++;
            out[size++] = *c == '1' ? '/' : '~';
        } else {
            out[size++] = *c;
        }
    }
    out[size] = '\0';
    *at = c;
}

static bool enter_member(struct json_reader *r, const char *name)
{
    struct slice key;
    if (!marline__json_enter_object(r)) {
        return false;
    }
    while (marline__json_next_member(r, &key)) {
        if (marline__json_key_is(key, name)) {
            return true;
        }
        if (!marline__json_skip(r, NULL)) {
            return false;
        }
    }
    return false;
}

/* Only "0" and numbers without a leading zero name an element. */
static bool enter_element(struct json_reader *r, const char *token)
{
    if (strspn(token, "0123456789") != strlen(token) || *token == '\0' ||
        (*token == '0' && token[1]) || !marline__json_enter_array(r)) {
        return false;
    }
    unsigned long left = strtoul(token, NULL, 10);
    while (marline__json_next_element(r)) {
        if (left-- == 0) {
            return true;
        }
        if (!marline__json_skip(r, NULL)) {
            return false;
        }
    }
    return false;
}

bool marline__json_pointer_find(struct slice document, const char *pointer, struct slice *out)
{
    struct json_reader r;
    char token[JSON_POINTER_TOKEN_MAX + 1];
    marline__json_reader_init(&r, document, JSON_STRICT);
    bool found = true;
    while (found && *pointer) {
        read_token(&pointer, token);
        enum json_type type = marline__json_peek(&r);
        found = (type == JSON_OBJECT && enter_member(&r, token)) ||
                (type == JSON_ARRAY && enter_element(&r, token));
    }
    return found && marline__json_skip(&r, out);
}
