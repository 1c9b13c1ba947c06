/* One YAML document and what may stand in it. */
#include "programs/yaml_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "programs/must.h"
#include "programs/nearest.h"
#include "programs/path.h"
#include "wire/json_reader.h"
#include "wire/json_writer.h"

/* ---- opening ---- */

static bool read_whole(const char *path, const struct yaml_advice *advice, struct buffer *out,
                       struct failure *f)
{
    FILE *file = fopen(path, "rbe");
    if (!file) {
        return failure_set(f, EXIT_CODE_CONFIGURATION, "%s: %s; %s", path, strerror(errno),
                           advice->missing);
    }
    if (!marline__buffer_reserve(out, YAML_FILE_MAX + 1)) {
        must_buffer(out);
    }
    out->size = fread(out->data, 1, YAML_FILE_MAX + 1, file);
    bool is_broken = ferror(file) != 0;
    int error = errno;
    (void)fclose(file);
    if (is_broken) {
        return failure_set(f, EXIT_CODE_CONFIGURATION, "%s: %s", path, strerror(error));
    }
    if (out->size > YAML_FILE_MAX) {
        return failure_set(f, EXIT_CODE_CONFIGURATION,
                           "%s: larger than %d bytes; is this the right file?", path,
                           YAML_FILE_MAX);
    }
    return true;
}

/* What libyaml's complaint usually comes from. */
static const char *advice_for(const char *problem)
{
    static const struct {
        const char *part;
        const char *advice;
    } table[] = {
        {"cannot start any token", "indent with spaces, not tabs, and quote values that begin with "
                                   "@, ` or %"},
        {"mapping values are not allowed", "quote values that contain ': ', and check the "
                                           "indentation of this line"},
        {"could not find expected ':'", "put a space behind the colon of 'key: value', and check "
                                        "the indentation of this line"},
        {"did not find expected key", "check the indentation of this line and the one before"},
        {"did not find expected '-' indicator", "give all items of a list the same indentation"},
        {"did not find expected ',' or", "close the [ or { that was opened before"},
        {"unexpected end of stream", "close the quote that was opened before"},
        {"undefined alias", "quote values that begin with *"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strstr(problem, table[i].part)) {
            return table[i].advice;
        }
    }
    return "check the indentation, and quote values with special characters";
}

static bool refuse_syntax(const char *path, const yaml_parser_t *parser, struct failure *f)
{
    const char *problem = parser->problem ? parser->problem : "not readable as YAML";
    if (parser->error == YAML_READER_ERROR) {
        return failure_set(f, EXIT_CODE_CONFIGURATION,
                           "%s: %s (byte %zu); save the file as UTF-8 text", path, problem,
                           parser->problem_offset);
    }
    return failure_set(f, EXIT_CODE_CONFIGURATION, "%s:%zu: %s; %s", path,
                       parser->problem_mark.line + 1, problem, advice_for(problem));
}

/* A second document would be ignored in silence: refuse it. */
static bool check_single(const char *path, yaml_parser_t *parser, struct failure *f)
{
    yaml_document_t next;
    if (!yaml_parser_load(parser, &next)) {
        return refuse_syntax(path, parser, f);
    }
    yaml_node_t *root = yaml_document_get_root_node(&next);
    size_t line = root ? root->start_mark.line + 1 : 0;
    yaml_document_delete(&next);
    if (root) {
        return failure_set(f, EXIT_CODE_CONFIGURATION,
                           "%s:%zu: a second document starts here; keep one per file", path, line);
    }
    return true;
}

static bool parse(struct yaml_file *y, const struct buffer *text, const struct yaml_advice *advice)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        must(NULL);
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text->data, text->size);
    bool ok = false;
    if (!yaml_parser_load(&parser, &y->document)) {
        refuse_syntax(y->path, &parser, y->failure);
    } else if (!yaml_document_get_root_node(&y->document)) {
        failure_set(y->failure, EXIT_CODE_CONFIGURATION, "%s: the file is empty; %s", y->path,
                    advice->empty);
        yaml_document_delete(&y->document);
    } else {
        ok = check_single(y->path, &parser, y->failure);
        if (!ok) {
            yaml_document_delete(&y->document);
        }
    }
    yaml_parser_delete(&parser);
    return ok;
}

bool yaml_file_open(struct yaml_file *y, const char *path, const struct yaml_advice *advice,
                    struct failure *f)
{
    struct buffer text = BUFFER_INIT;
    bool ok = read_whole(path, advice, &text, f);
    if (ok) {
        *y = (struct yaml_file){.path = must_text(path), .folder = path_folder(path), .failure = f};
        ok = parse(y, &text, advice);
        if (!ok) {
            marline__memory_free(y->path);
            marline__memory_free(y->folder);
        }
    }
    marline__buffer_deinit(&text);
    return ok;
}

void yaml_file_close(struct yaml_file *y)
{
    yaml_document_delete(&y->document);
    marline__memory_free(y->path);
    marline__memory_free(y->folder);
}

yaml_node_t *yaml_file_root(struct yaml_file *y)
{
    return yaml_document_get_root_node(&y->document);
}

/* ---- complaints ---- */

char *yaml_where(const struct yaml_file *y, const yaml_node_t *node)
{
    struct buffer b = BUFFER_INIT;
    marline__buffer_append_format(&b, "%s:%zu", y->path, node->start_mark.line + 1);
    must_buffer(&b);
    return marline__buffer_take(&b);
}

bool yaml_complain(struct yaml_file *y, const yaml_node_t *node, const char *format, ...)
{
    char text[FAILURE_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return failure_set(y->failure, EXIT_CODE_CONFIGURATION, "%s:%zu: %s", y->path,
                       node->start_mark.line + 1, text);
}

static const char *kind_of(const yaml_node_t *node)
{
    switch (node->type) {
    case YAML_SCALAR_NODE:
        return "a single value";
    case YAML_SEQUENCE_NODE:
        return "a list";
    case YAML_MAPPING_NODE:
        return "a mapping";
    case YAML_NO_NODE:
        break;
    }
    return "nothing";
}

static const char *scalar_text(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

static bool is_text(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE && strlen(scalar_text(node)) == node->data.scalar.length;
}

/* ---- mappings and lists ---- */

static const char *key_text(struct yaml_file *y, yaml_node_pair_t *pair)
{
    yaml_node_t *key = yaml_document_get_node(&y->document, pair->key);
    return is_text(key) ? scalar_text(key) : NULL;
}

static bool check_keys(struct yaml_file *y, yaml_node_t *node, const char *what)
{
    if (node->type != YAML_MAPPING_NODE) {
        return yaml_complain(y, node, "%s must be a mapping (key: value), not %s", what,
                             kind_of(node));
    }
    yaml_node_pair_t *start = node->data.mapping.pairs.start;
    yaml_node_pair_t *end = node->data.mapping.pairs.top;
    if (end - start > YAML_KEYS_MAX) {
        return yaml_complain(y, node, "%s has more than %d keys; is this the right file?", what,
                             YAML_KEYS_MAX);
    }
    for (yaml_node_pair_t *p = start; p < end; p++) {
        yaml_node_t *key_node = yaml_document_get_node(&y->document, p->key);
        const char *key = key_text(y, p);
        if (!key) {
            return yaml_complain(y, key_node,
                                 "a key of %s is not plain text; write it as 'key: value'", what);
        }
        for (yaml_node_pair_t *earlier = start; earlier < p; earlier++) {
            if (strcmp(key, key_text(y, earlier)) == 0) {
                return yaml_complain(y, key_node, "%s has the key '%s' twice; keep one", what, key);
            }
        }
    }
    return true;
}

bool yaml_each_member(struct yaml_file *y, yaml_node_t *node, const char *what,
                      bool (*read)(struct yaml_file *y, const char *key, yaml_node_t *value,
                                   void *target),
                      void *target)
{
    if (!check_keys(y, node, what)) {
        return false;
    }
    for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top;
         p++) {
        y->key = yaml_document_get_node(&y->document, p->key);
        if (!read(y, key_text(y, p), yaml_document_get_node(&y->document, p->value), target)) {
            return false;
        }
    }
    return true;
}

struct known_keys {
    const char *what;
    const struct yaml_key *keys;
    size_t count;
    void *target;
};

static bool read_known_key(struct yaml_file *y, const char *key, yaml_node_t *value, void *user)
{
    const struct known_keys *known = user;
    for (size_t i = 0; i < known->count; i++) {
        if (strcmp(known->keys[i].name, key) == 0) {
            return known->keys[i].read(y, key, value, known->target);
        }
    }
    const char *near = nearest_word(key, &known->keys[0].name, known->count, sizeof known->keys[0]);
    if (near) {
        return yaml_complain(y, y->key, "unknown key '%s' of %s; did you mean '%s'?", key,
                             known->what, near);
    }
    struct buffer all = BUFFER_INIT;
    for (size_t i = 0; i < known->count; i++) {
        marline__buffer_append_format(&all, i ? ", %s" : "%s", known->keys[i].name);
    }
    must_buffer(&all);
    yaml_complain(y, y->key, "unknown key '%s' of %s; there are %s", key, known->what, all.data);
    marline__buffer_deinit(&all);
    return false;
}

bool yaml_read_mapping(struct yaml_file *y, yaml_node_t *node, const char *what,
                       const struct yaml_key *keys, size_t key_count, void *target)
{
    struct known_keys known = {what, keys, key_count, target};
    return yaml_each_member(y, node, what, read_known_key, &known);
}

bool yaml_each_item(struct yaml_file *y, const char *key, yaml_node_t *node,
                    bool (*read)(struct yaml_file *y, const char *key, yaml_node_t *value,
                                 void *target),
                    void *target)
{
    if (node->type != YAML_SEQUENCE_NODE) {
        return yaml_complain(y, node, "%s must be a list, not %s; write '%s: [FIRST, SECOND]'", key,
                             kind_of(node), key);
    }
    for (yaml_node_item_t *i = node->data.sequence.items.start; i < node->data.sequence.items.top;
         i++) {
        if (!read(y, key, yaml_document_get_node(&y->document, *i), target)) {
            return false;
        }
    }
    return true;
}

/* ---- scalars ---- */

const char *yaml_read_text(struct yaml_file *y, const char *key, const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE) {
        yaml_complain(y, node, "%s must be a text, not %s; write '%s: TEXT' on one line", key,
                      kind_of(node), key);
        return NULL;
    }
    if (!is_text(node) || node->data.scalar.length == 0) {
        yaml_complain(y, node,
                      "%s must be a text that is not empty; give a value, or remove the line", key);
        return NULL;
    }
    return scalar_text(node);
}

bool yaml_read_whole(struct yaml_file *y, const char *key, const yaml_node_t *node,
                     uint64_t minimum, uint64_t maximum, uint64_t *out)
{
    const char *text = yaml_read_text(y, key, node);
    if (!text) {
        return false;
    }
    errno = 0;
    uint64_t value = strtoull(text, NULL, 10);
    if (strspn(text, "0123456789") != strlen(text) || errno || value < minimum || value > maximum) {
        return yaml_complain(y, node, "%s must be a whole number from %llu to %llu, not '%s'", key,
                             (unsigned long long)minimum, (unsigned long long)maximum, text);
    }
    *out = value;
    return true;
}

bool yaml_read_choice(struct yaml_file *y, const char *key, const yaml_node_t *node,
                      const char *const *names, size_t count, size_t *out_index)
{
    const char *text = yaml_read_text(y, key, node);
    for (size_t i = 0; text && i < count; i++) {
        if (strcmp(names[i], text) == 0) {
            *out_index = i;
            return true;
        }
    }
    if (!text) {
        return false;
    }
    struct buffer all = BUFFER_INIT;
    for (size_t i = 0; i < count; i++) {
        marline__buffer_append_format(&all, i ? ", %s" : "%s", names[i]);
    }
    must_buffer(&all);
    yaml_complain(y, node, "%s: '%s' is none of %s", key, text, all.data);
    marline__buffer_deinit(&all);
    return false;
}

/* ---- JSON ---- */

static bool is_plain(const yaml_node_t *node)
{
    return node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static void write_scalar(struct json_writer *w, const yaml_node_t *node)
{
    struct slice text = {scalar_text(node), node->data.scalar.length};
    if (!is_plain(node)) {
        marline__json_string(w, text);
    } else if (text.size == 0 || marline__slice_is(text, "~")) {
        marline__json_null(w);
    } else if (marline__json_is_valid(text, JSON_STRICT) && text.data[0] != '"') {
        marline__json_raw(w, text); /* null, true, false, or a number */
    } else {
        marline__json_string(w, text);
    }
}

static bool write_value(struct yaml_file *y, const char *key, yaml_node_t *node, unsigned depth,
                        struct json_writer *w)
{
    if (depth > YAML_DEPTH_MAX || w->out->size > YAML_JSON_MAX) {
        return yaml_complain(
            y, node, "%s is nested too deep or too large; build such a value in the program itself",
            key);
    }
    if (node->type == YAML_SCALAR_NODE) {
        write_scalar(w, node);
        return true;
    }
    if (node->type == YAML_SEQUENCE_NODE) {
        marline__json_begin_array(w);
        for (yaml_node_item_t *i = node->data.sequence.items.start;
             i < node->data.sequence.items.top; i++) {
            if (!write_value(y, key, yaml_document_get_node(&y->document, *i), depth + 1, w)) {
                return false;
            }
        }
        marline__json_end_array(w);
        return true;
    }
    if (!check_keys(y, node, key)) {
        return false;
    }
    marline__json_begin_object(w);
    for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top;
         p++) {
        marline__json_key_slice(w, marline__slice_text(key_text(y, p)));
        if (!write_value(y, key, yaml_document_get_node(&y->document, p->value), depth + 1, w)) {
            return false;
        }
    }
    marline__json_end_object(w);
    return true;
}

bool yaml_read_json(struct yaml_file *y, const char *key, yaml_node_t *node, struct buffer *out)
{
    struct json_writer w;
    marline__json_writer_init(&w, out);
    bool ok = write_value(y, key, node, 0, &w);
    must_buffer(out);
    return ok;
}
