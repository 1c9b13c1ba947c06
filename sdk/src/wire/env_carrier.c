/* Trace context in environment variables; see env_carrier.h. */
#include "wire/env_carrier.h"

#include "base/memory.h"

static char normal_char(char c)
{
    if (c >= 'a' && c <= 'z') {
        return (char)(c - 'a' + 'A');
    }
    bool kept = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return kept ? c : '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

void marline__env_name(struct slice key, struct buffer *out)
{
    if (key.size == 0 || is_digit(key.data[0])) {
        marline__buffer_append_byte(out, '_');
    }
    for (size_t i = 0; i < key.size; i++) {
        marline__buffer_append_byte(out, normal_char(key.data[i]));
    }
}

bool marline__env_name_is_normal(struct slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] != normal_char(name.data[i])) {
            return false;
        }
    }
    return name.size > 0 && !is_digit(name.data[0]);
}

/* Compares without building the name: the key's n-th character decides the name's. */
static bool name_is_of_key(struct slice name, struct slice key)
{
    if (key.size == 0 || is_digit(key.data[0])) {
        if (name.size == 0 || name.data[0] != '_') {
            return false;
        }
        name = (struct slice){name.data + 1, name.size - 1};
    }
    for (size_t i = 0; i < key.size && i < name.size; i++) {
        if (name.data[i] != normal_char(key.data[i])) {
            return false;
        }
    }
    return name.size == key.size;
}

static struct slice name_of(const char *variable)
{
    const char *equals = strchr(variable, '=');
    return (struct slice){variable, equals ? (size_t)(equals - variable) : strlen(variable)};
}

bool marline__env_get(const char *const *environment, struct slice key, struct slice *out_value)
{
    for (; *environment; environment++) {
        struct slice name = name_of(*environment);
        if (name_is_of_key(name, key) && name.data[name.size] == '=') {
            *out_value = marline__slice_text(*environment + name.size + 1);
            return true;
        }
    }
    return false;
}

bool marline__env_next(const char *const *environment, size_t *position, struct slice *out_name)
{
    for (; environment[*position]; ++*position) {
        struct slice name = name_of(environment[*position]);
        if (marline__env_name_is_normal(name)) {
            *out_name = name;
            ++*position;
            return true;
        }
    }
    return false;
}

static bool is_inherited(const char *const *environment, size_t index,
                         const struct env_setting *settings, size_t count)
{
    struct slice name = name_of(environment[index]);
    for (size_t i = 0; i < count; i++) {
        if (name_is_of_key(name, settings[i].key)) {
            return false;
        }
    }
    for (size_t i = 0; i < index; i++) {
        if (marline__slice_equal(name_of(environment[i]), name)) {
            return false;
        }
    }
    return true;
}

/* Writes the texts one behind the other, each with its NUL, and counts them. */
static size_t write_texts(const char *const *environment, const struct env_setting *settings,
                          size_t count, struct buffer *out)
{
    size_t texts = 0;
    for (size_t i = 0; environment[i]; i++) {
        if (is_inherited(environment, i, settings, count)) {
            marline__buffer_append(out, environment[i], strlen(environment[i]) + 1);
            texts++;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (settings[i].value.data) {
            marline__env_name(settings[i].key, out);
            marline__buffer_append_byte(out, '=');
            marline__buffer_append(out, settings[i].value.data,
                                   strnlen(settings[i].value.data, settings[i].value.size));
            marline__buffer_append_byte(out, '\0');
            texts++;
        }
    }
    return texts;
}

char **marline__env_copy(const char *const *environment, const struct env_setting *settings,
                         size_t count)
{
    struct buffer texts = BUFFER_INIT;
    char **copy = NULL;
    size_t total = write_texts(environment, settings, count, &texts);
    if (!texts.failed) {
        copy = marline__memory_zeroed((total + 1) * sizeof *copy + texts.size);
    }
    if (copy) {
        char *at = (char *)(copy + total + 1);
        if (texts.size > 0) {
            memcpy(at, texts.data, texts.size);
        }
        for (size_t i = 0; i < total; i++) {
            copy[i] = at;
            at += strlen(at) + 1;
        }
    }
    marline__buffer_deinit(&texts);
    return copy;
}
