/* Settings of a command from a table. */
#include "programs/options.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "programs/must.h"
#include "programs/nearest.h"
#include "programs/wrap.h"

enum { HELP_COLUMN = 30 }; /* where explanations begin; below a flag that reaches into it */

static const struct option_spec *find_spec(const struct options *o, const char *name, size_t size)
{
    for (size_t i = 0; i < o->count; i++) {
        if (strlen(o->specs[i].name) == size && memcmp(o->specs[i].name, name, size) == 0) {
            return &o->specs[i];
        }
    }
    return NULL;
}

const struct option_value *options_value(const struct options *o, const char *name)
{
    const struct option_spec *spec = find_spec(o, name, strlen(name));
    assert(spec);
    return &o->values[spec - o->specs];
}

static void forget_texts(struct option_value *v)
{
    for (size_t i = 0; i < v->count; i++) {
        marline__memory_free(v->texts[i]);
    }
    v->count = 0;
}

static void keep_text(struct option_value *v, enum option_kind kind, const char *text,
                      enum option_origin origin, const char *where)
{
    if (kind != OPTION_LIST || origin != v->origin) {
        forget_texts(v);
    }
    v->texts = must_grow(v->texts, v->count, &v->capacity, sizeof *v->texts);
    v->texts[v->count++] = must_text(text);
    v->origin = origin;
    marline__memory_free(v->where);
    v->where = must_text(where);
}

void options_init(struct options *o, const struct option_spec *specs, size_t count)
{
    *o = (struct options){.specs = specs, .count = count};
    o->values = must(marline__memory_array(count ? count : 1, sizeof *o->values));
    for (size_t i = 0; i < count; i++) {
        if (specs[i].default_text) {
            keep_text(&o->values[i], specs[i].kind, specs[i].default_text, ORIGIN_DEFAULT, NULL);
        }
    }
}

void options_deinit(struct options *o)
{
    for (size_t i = 0; i < o->count; i++) {
        forget_texts(&o->values[i]);
        marline__memory_free(o->values[i].texts);
        marline__memory_free(o->values[i].where);
    }
    marline__memory_free(o->values);
    marline__memory_free(o->operands);
    *o = (struct options){0};
}

static bool read_number(const char *text, enum option_kind kind, double *out)
{
    if (kind == OPTION_WHOLE && strspn(text, "0123456789") != strlen(text)) {
        return false;
    }
    char *end = NULL;
    errno = 0;
    *out = strtod(text, &end);
    return errno == 0 && end != text && *end == '\0' && isfinite(*out);
}

static bool is_choice(const char *choices, const char *text)
{
    size_t size = strlen(text);
    for (const char *c = choices; c; c = strchr(c, '|')) {
        c += *c == '|';
        if (strcspn(c, "|") == size && memcmp(c, text, size) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_acceptable(const struct option_spec *spec, const char *text)
{
    double number = 0;
    switch (spec->kind) {
    case OPTION_FLAG:
        return strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
    case OPTION_WHOLE:
    case OPTION_REAL:
        return read_number(text, spec->kind, &number) && number >= spec->minimum &&
               number <= spec->maximum;
    case OPTION_CHOICE:
        return is_choice(spec->choices, text);
    case OPTION_TEXT:
    case OPTION_LIST:
        break;
    }
    return *text != '\0';
}

/* As a person wrote it, so that the message leads to the place of the mistake. */
static void name_place(const struct option_spec *spec, enum option_origin origin, const char *where,
                       struct buffer *out)
{
    if (where) {
        marline__buffer_append_format(out, "%s: ", where);
    }
    if (origin == ORIGIN_ENVIRONMENT) {
        marline__buffer_append_text(out, spec->environment);
    } else if (origin == ORIGIN_FLAG) {
        marline__buffer_append_format(out, "--%s", spec->name);
    } else {
        for (const char *c = spec->name; *c; c++) {
            marline__buffer_append_byte(out, *c == '-' ? '_' : *c);
        }
    }
    must_buffer(out);
}

static bool refuse_value(const struct option_spec *spec, const char *text,
                         enum option_origin origin, const char *where, struct failure *f)
{
    struct buffer place = BUFFER_INIT;
    name_place(spec, origin, where, &place);
    enum exit_code code = origin == ORIGIN_FLAG ? EXIT_CODE_USAGE : EXIT_CODE_CONFIGURATION;
    if (spec->kind == OPTION_FLAG) {
        failure_set(f, code, "%s: '%s' is neither true nor false", place.data, text);
    } else if (spec->kind == OPTION_WHOLE || spec->kind == OPTION_REAL) {
        failure_set(f, code, "%s: '%s' is not a %snumber from %.10g to %.10g", place.data, text,
                    spec->kind == OPTION_WHOLE ? "whole " : "", spec->minimum, spec->maximum);
    } else if (spec->kind == OPTION_CHOICE) {
        failure_set(f, code, "%s: '%s' is none of %s", place.data, text, spec->choices);
    } else {
        failure_set(f, code, "%s must not be empty", place.data);
    }
    marline__buffer_deinit(&place);
    return false;
}

static bool set_value(struct options *o, const struct option_spec *spec, const char *text,
                      enum option_origin origin, const char *where, struct failure *f)
{
    struct option_value *v = &o->values[spec - o->specs];
    if (!is_acceptable(spec, text)) {
        return refuse_value(spec, text, origin, where, f);
    }
    if (v->count == 0 || origin >= v->origin) {
        keep_text(v, spec->kind, text, origin, where);
    }
    return true;
}

bool options_set(struct options *o, const char *name, const char *text, enum option_origin origin,
                 const char *where, struct failure *f)
{
    const struct option_spec *spec = find_spec(o, name, strlen(name));
    assert(spec);
    return set_value(o, spec, text, origin, where, f);
}

static bool refuse_unknown(const struct options *o, struct slice name, struct failure *f)
{
    char *asked = must_slice(name);
    const char *near =
        o->count == 0 ? NULL : nearest_word(asked, &o->specs[0].name, o->count, sizeof o->specs[0]);
    if (near) {
        failure_set(f, EXIT_CODE_USAGE, "unknown option --%s; did you mean --%s?", asked, near);
    } else {
        failure_set(f, EXIT_CODE_USAGE, "unknown option --%s", asked);
    }
    marline__memory_free(asked);
    return false;
}

/* Reads argv[*at], and the next one where it is the value. */
static bool read_option(struct options *o, int argc, char **argv, int *at, struct failure *f)
{
    const char *name = argv[*at] + 2;
    const char *equals = strchr(name, '=');
    size_t size = equals ? (size_t)(equals - name) : strlen(name);
    const struct option_spec *spec = find_spec(o, name, size);
    if (!spec) {
        return refuse_unknown(o, (struct slice){name, size}, f);
    }
    if (equals) {
        return set_value(o, spec, equals + 1, ORIGIN_FLAG, NULL, f);
    }
    if (spec->kind == OPTION_FLAG) {
        return set_value(o, spec, "true", ORIGIN_FLAG, NULL, f);
    }
    if (*at + 1 >= argc) {
        return failure_set(f, EXIT_CODE_USAGE, "--%s needs a value: --%s %s", spec->name,
                           spec->name, spec->value_name);
    }
    *at += 1;
    return set_value(o, spec, argv[*at], ORIGIN_FLAG, NULL, f);
}

bool options_read_arguments(struct options *o, int argc, char **argv, struct failure *f)
{
    o->operands = must(marline__memory_array((size_t)argc + 1, sizeof *o->operands));
    bool only_operands = false;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (only_operands || word[0] != '-' || word[1] == '\0') {
            o->operands[o->operand_count++] = argv[i];
        } else if (strcmp(word, "--") == 0) {
            only_operands = true;
        } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            o->help = true;
        } else if (word[1] != '-') {
            return failure_set(f, EXIT_CODE_USAGE, "unknown option %s", word);
        } else if (!read_option(o, argc, argv, &i, f)) {
            return false;
        }
    }
    return true;
}

bool options_read_environment(struct options *o, struct failure *f)
{
    for (size_t i = 0; i < o->count; i++) {
        const struct option_spec *spec = &o->specs[i];
        const char *text = spec->environment ? getenv(spec->environment) : NULL;
        if (text && *text && !set_value(o, spec, text, ORIGIN_ENVIRONMENT, NULL, f)) {
            return false;
        }
    }
    return true;
}

const char *options_text(const struct options *o, const char *name)
{
    const struct option_value *v = options_value(o, name);
    return v->count ? v->texts[v->count - 1] : NULL;
}

uint64_t options_whole(const struct options *o, const char *name)
{
    return (uint64_t)options_real(o, name);
}

double options_real(const struct options *o, const char *name)
{
    const char *text = options_text(o, name);
    return text ? strtod(text, NULL) : 0;
}

bool options_flag(const struct options *o, const char *name)
{
    const char *text = options_text(o, name);
    return text && strcmp(text, "true") == 0;
}

const char *option_origin_name(enum option_origin origin)
{
    static const char *const names[] = {"default", "file", "environment", "flag"};
    return names[origin];
}

/* What an option is for, its variable and its default. Returns owned. */
static char *explain(const struct option_spec *s)
{
    struct buffer b = BUFFER_INIT;
    marline__buffer_append_text(&b, s->help);
    if (s->environment) {
        marline__buffer_append_format(&b, " [%s]", s->environment);
    }
    if (s->default_text && s->kind != OPTION_FLAG) {
        marline__buffer_append_format(&b, " (default %s)", s->default_text);
    }
    must_buffer(&b);
    return marline__buffer_take(&b);
}

void options_print_help(const struct option_spec *specs, size_t count, FILE *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct option_spec *s = &specs[i];
        int used = fprintf(out, "  --%s%s%s", s->name, s->value_name ? " " : "",
                           s->value_name ? s->value_name : "");
        if (used > HELP_COLUMN - 2) {
            used = 0;
            (void)fputc('\n', out);
        }
        (void)fprintf(out, "%*s", HELP_COLUMN - used, "");
        char *text = explain(s);
        wrap_print(out, text, HELP_COLUMN, HELP_COLUMN);
        marline__memory_free(text);
    }
}
