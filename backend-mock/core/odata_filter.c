/* See odata_filter.h. Recursive descent; the first error ends it. */
#include "core/odata_filter.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/time_text.h"
#include "base/utf8.h"

enum token_type { TOKEN_END, TOKEN_WORD, TOKEN_TEXT, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_COMMA };

struct parser {
    struct slice text;
    size_t at; /* behind the token */
    enum token_type type;
    size_t token_at;
    struct slice token; /* a text without its quotes, quotes inside still doubled */
    const struct filter_field *fields;
    size_t field_count;
    struct odata_filter *out;
    unsigned depth;
};

__attribute__((format(printf, 2, 3))) static bool fail(struct parser *p, const char *format, ...)
{
    char what[FILTER_ERROR_SIZE - 32];
    va_list arguments;
    if (p->out->error[0] == '\0') {
        va_start(arguments, format);
        (void)vsnprintf(what, sizeof(what), format, arguments);
        va_end(arguments);
        (void)snprintf(p->out->error, sizeof(p->out->error), "at character %zu: %s",
                       p->token_at + 1, what);
    }
    return false;
}

/* ---- tokens ---- */

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("_-/.:+", c));
}

/* From behind the opening quote to the closing one. */
static bool scan_text(struct parser *p)
{
    size_t start = p->at;
    for (;; p->at++) {
        if (p->at == p->text.size) {
            return fail(p, "the text that begins here has no closing quote");
        }
        if (p->text.data[p->at] != '\'') {
            continue;
        }
        if (p->at + 1 == p->text.size || p->text.data[p->at + 1] != '\'') {
            break;
        }
        p->at++;
    }
    p->type = TOKEN_TEXT;
    p->token = (struct slice){p->text.data + start, p->at - start};
    p->at++;
    return true;
}

static bool scan_mark(struct parser *p, char c)
{
    static const char marks[] = "(),";
    static const enum token_type types[] = {TOKEN_OPEN, TOKEN_CLOSE, TOKEN_COMMA};
    const char *mark = c ? strchr(marks, c) : NULL;
    if (!mark) {
        return fail(p, "unexpected character");
    }
    p->type = types[mark - marks];
    p->token = (struct slice){p->text.data + p->token_at, 1};
    p->at++;
    return true;
}

/* False on an error. */
static bool next(struct parser *p)
{
    while (p->at < p->text.size && p->text.data[p->at] == ' ') {
        p->at++;
    }
    p->token_at = p->at;
    p->token = SLICE_EMPTY;
    if (p->at == p->text.size) {
        p->type = TOKEN_END;
        return true;
    }
    char c = p->text.data[p->at];
    if (c == '\'') {
        p->at++;
        return scan_text(p);
    }
    if (!is_word_byte(c)) {
        return scan_mark(p, c);
    }
    while (p->at < p->text.size && is_word_byte(p->text.data[p->at])) {
        p->at++;
    }
    p->type = TOKEN_WORD;
    p->token = (struct slice){p->text.data + p->token_at, p->at - p->token_at};
    return true;
}

static bool expected(struct parser *p, const char *what)
{
    if (p->type == TOKEN_END) {
        return fail(p, "expected %s, but the filter ends here", what);
    }
    return fail(p, "expected %s, found %.*s", what, (int)(p->token.size < 40 ? p->token.size : 40),
                p->token.data ? p->token.data : "");
}

static bool take(struct parser *p, enum token_type type, const char *what)
{
    return p->type == type ? next(p) : expected(p, what);
}

static bool is_word(const struct parser *p, const char *word)
{
    return p->type == TOKEN_WORD && p->token.size == strlen(word) &&
           strncasecmp(p->token.data, word, p->token.size) == 0;
}

/* ---- nodes ---- */

static bool add_node(struct parser *p, const struct filter_node *node, uint8_t *out_index)
{
    if (p->out->count == FILTER_NODES_MAX) {
        return fail(p, "the filter has too many parts");
    }
    *out_index = (uint8_t)p->out->count;
    p->out->nodes[p->out->count++] = *node;
    return true;
}

static bool join(struct parser *p, enum filter_operator op, uint8_t right, uint8_t *left)
{
    const struct filter_node node = {.op = op, .left = *left, .right = right};
    return add_node(p, &node, left);
}

/* ---- values ---- */

/* Copies the token with doubled quotes made one. */
static struct slice keep_text(struct parser *p)
{
    char *start = p->out->text + p->out->text_size;
    char *end = start;
    for (size_t i = 0; i < p->token.size; i++) {
        *end++ = p->token.data[i];
        i += p->token.data[i] == '\'';
    }
    p->out->text_size += (size_t)(end - start);
    return (struct slice){start, (size_t)(end - start)};
}

static bool parse_number(struct slice text, double *out)
{
    char copy[32];
    char *end = NULL;
    if (text.size == 0 || text.size >= sizeof(copy) ||
        !memchr("-+.0123456789", text.data[0], sizeof("-+.0123456789") - 1)) {
        return false;
    }
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    *out = strtod(copy, &end);
    return *end == '\0' && *out - *out == 0.0;
}

static bool convert(struct parser *p, enum filter_type type, struct filter_value *out)
{
    enum time_zone_kind zone;
    switch (type) {
    case FILTER_TEXT:
        out->text = keep_text(p);
        return p->type == TOKEN_TEXT || fail(p, "this field takes a text in single quotes");
    case FILTER_UUID:
        return marline__uuid_parse(p->token, &out->uuid) || fail(p, "this field takes a UUID");
    case FILTER_TIME:
        return marline__time_parse(p->token, &out->time_ns, &zone) ||
               fail(p, "this field takes a time such as 2026-01-01T00:00:00Z");
    case FILTER_NUMBER:
        break;
    }
    if (is_word(p, "true") || is_word(p, "false")) {
        out->number = is_word(p, "true");
        return true;
    }
    return (p->type == TOKEN_WORD && parse_number(p->token, &out->number)) ||
           fail(p, "this field takes a number");
}

static bool parse_value(struct parser *p, struct filter_node *node)
{
    if (p->type != TOKEN_WORD && p->type != TOKEN_TEXT) {
        return expected(p, "a value");
    }
    if (++p->out->values > FILTER_VALUES_MAX) {
        return fail(p, "the filter has more than %d values", FILTER_VALUES_MAX);
    }
    if (is_word(p, "null")) {
        node->value.is_null = true;
        return node->op == FILTER_EQ || node->op == FILTER_NE
                   ? next(p)
                   : fail(p, "null is compared with eq and ne only");
    }
    return convert(p, p->fields[node->field].type, &node->value) && next(p);
}

/* ---- the grammar ---- */

static bool parse_field(struct parser *p, struct filter_node *node)
{
    if (p->type != TOKEN_WORD) {
        return expected(p, "a field");
    }
    for (size_t i = 0; i < p->field_count; i++) {
        if (marline__slice_is(p->token, p->fields[i].name)) {
            node->field = (uint8_t)i;
            return next(p);
        }
    }
    return fail(p, "there is no field %.*s", (int)(p->token.size < 60 ? p->token.size : 60),
                p->token.data);
}

/* Is the word the name of a function, that is, followed by a parenthesis? */
static bool is_function(const struct parser *p, const char *name)
{
    size_t at = p->at;
    while (at < p->text.size && p->text.data[at] == ' ') {
        at++;
    }
    return is_word(p, name) && at < p->text.size && p->text.data[at] == '(';
}

static bool parse_operand(struct parser *p, struct filter_node *node)
{
    bool lower = is_function(p, "tolower");
    if (!lower && !is_function(p, "toupper")) {
        return parse_field(p, node);
    }
    node->letters = lower ? FILTER_LOWER : FILTER_UPPER;
    if (!next(p) || !take(p, TOKEN_OPEN, "'('") || !parse_field(p, node)) {
        return false;
    }
    if (p->fields[node->field].type != FILTER_TEXT) {
        return fail(p, "tolower and toupper take a field that is a text");
    }
    return take(p, TOKEN_CLOSE, "')'");
}

static bool parse_text_function(struct parser *p, enum filter_operator op, uint8_t *out)
{
    struct filter_node node = {.op = op};
    if (!next(p) || !take(p, TOKEN_OPEN, "'('") || !parse_operand(p, &node)) {
        return false;
    }
    if (p->fields[node.field].type != FILTER_TEXT) {
        return fail(p, "contains, startswith and endswith take a field that is a text");
    }
    return take(p, TOKEN_COMMA, "','") && parse_value(p, &node) && take(p, TOKEN_CLOSE, "')'") &&
           add_node(p, &node, out);
}

/* The values behind "in": a chain of comparisons. */
static bool parse_list(struct parser *p, struct filter_node *node, uint8_t *out)
{
    bool first = true;
    if (!take(p, TOKEN_OPEN, "'('")) {
        return false;
    }
    for (;;) {
        struct filter_node one = *node;
        uint8_t index = 0;
        one.op = FILTER_EQ;
        if (!parse_value(p, &one) || !add_node(p, &one, &index) ||
            (!first && !join(p, FILTER_OR, index, out))) {
            return false;
        }
        *out = first ? index : *out;
        first = false;
        if (p->type != TOKEN_COMMA) {
            return take(p, TOKEN_CLOSE, "',' or ')'");
        }
        if (!next(p)) {
            return false;
        }
    }
}

static bool parse_compare(struct parser *p, uint8_t *out)
{
    static const struct {
        const char *word;
        enum filter_operator op;
    } words[] = {{"eq", FILTER_EQ}, {"ne", FILTER_NE}, {"gt", FILTER_GT},
                 {"ge", FILTER_GE}, {"lt", FILTER_LT}, {"le", FILTER_LE}};
    struct filter_node node = {.op = FILTER_OR};
    if (!parse_operand(p, &node)) {
        return false;
    }
    if (is_word(p, "in")) {
        return next(p) && parse_list(p, &node, out);
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (is_word(p, words[i].word)) {
            node.op = words[i].op;
            return next(p) && parse_value(p, &node) && add_node(p, &node, out);
        }
    }
    return expected(p, "eq, ne, gt, ge, lt, le or in");
}

static bool parse_or(struct parser *p, uint8_t *out);

static bool parse_nested(struct parser *p, uint8_t *out)
{
    if (p->type == TOKEN_OPEN) {
        return next(p) && parse_or(p, out) && take(p, TOKEN_CLOSE, "')'");
    }
    static const struct {
        const char *word;
        enum filter_operator op;
    } functions[] = {
        {"contains", FILTER_CONTAINS}, {"startswith", FILTER_STARTS}, {"endswith", FILTER_ENDS}};
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        if (is_function(p, functions[i].word)) {
            return parse_text_function(p, functions[i].op, out);
        }
    }
    return parse_compare(p, out);
}

static bool parse_one(struct parser *p, uint8_t *out)
{
    if (++p->depth > FILTER_DEPTH_MAX) {
        return fail(p, "the filter is nested more than %d deep", FILTER_DEPTH_MAX);
    }
    bool ok = false;
    if (is_word(p, "not")) {
        ok = next(p) && parse_one(p, out) && join(p, FILTER_NOT, 0, out);
    } else {
        ok = parse_nested(p, out);
    }
    p->depth--;
    return ok;
}

static bool parse_and(struct parser *p, uint8_t *out)
{
    uint8_t right = 0;
    bool ok = parse_one(p, out);
    while (ok && is_word(p, "and")) {
        ok = next(p) && parse_one(p, &right) && join(p, FILTER_AND, right, out);
    }
    return ok;
}

static bool parse_or(struct parser *p, uint8_t *out)
{
    uint8_t right = 0;
    bool ok = parse_and(p, out);
    while (ok && is_word(p, "or")) {
        ok = next(p) && parse_and(p, &right) && join(p, FILTER_OR, right, out);
    }
    return ok;
}

bool odata_filter_parse(struct slice text, const struct filter_field *fields, size_t field_count,
                        struct odata_filter *out)
{
    struct parser p = {.text = text.data ? text : SLICE(""),
                       .fields = fields,
                       .field_count = field_count,
                       .out = out};
    out->count = out->values = out->text_size = 0;
    out->root = 0;
    out->error[0] = '\0';
    if (text.size > FILTER_SIZE_MAX) {
        (void)snprintf(out->error, sizeof(out->error), "it is longer than %d bytes",
                       FILTER_SIZE_MAX);
        return false;
    }
    if (memchr(text.data ? text.data : "", '\0', text.size) || !marline__utf8_is_valid(text)) {
        (void)snprintf(out->error, sizeof(out->error), "it is not text in UTF-8");
        return false;
    }
    return next(&p) && parse_or(&p, &out->root) &&
           (p.type == TOKEN_END || expected(&p, "and, or, or the end"));
}
