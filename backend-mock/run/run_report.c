/* See run_report.h. */
#include "run/run_report.h"

#include <string.h>

#include "base/utf8.h"
#include "core/json_tree.h"
#include "programs/console.h"
#include "programs/must.h"
#include "programs/wrap.h"

enum {
    NAME_MIN = 20, /* columns of the table's first column */
    NAME_MAX = 44, /* longer names are cut */
    REASON_INDENT = 4,
};

/* ---- reading ---- */

static char *copy_text(const struct json_node *object, const char *name)
{
    const struct json_node *node = json_tree_member(object, name);
    return node && node->type == JSON_STRING ? must_slice(node->text) : NULL;
}

static double number_of(const struct json_node *object, const char *name)
{
    const struct json_node *node = json_tree_member(object, name);
    double number = 0;
    return node && json_tree_number(node, &number) ? number : 0;
}

static bool is_raw(const struct json_node *object, const char *name, const char *raw)
{
    const struct json_node *node = json_tree_member(object, name);
    return node && marline__slice_is(node->raw, raw);
}

static enum report_status status_of(const struct json_node *test)
{
    if (is_raw(test, "status", "\"Pass\"")) {
        return REPORT_PASS;
    }
    if (is_raw(test, "status", "\"Fail\"")) {
        return REPORT_FAIL;
    }
    return is_raw(test, "status", "\"Error\"") ? REPORT_ERROR : REPORT_SKIPPED;
}

static void read_test(struct run_report *r, const struct json_node *from)
{
    struct report_test *t = &r->tests[r->count++];
    const struct json_node *attempts = json_tree_member(from, "attempts");
    t->name = copy_text(from, "name");
    t->name = t->name ? t->name : copy_text(from, "function_name");
    t->name = t->name ? t->name : must_text("?");
    t->reason = copy_text(from, "reason");
    t->status = status_of(from);
    t->duration_ms = number_of(from, "duration_ms");
    t->attempts = attempts ? attempts->count : 0;
    t->spans = (size_t)number_of(from, "spans");
    t->linked = (size_t)number_of(from, "linked");
    t->is_complete = t->linked == t->spans && !is_raw(from, "complete", "false");
    r->by_status[t->status]++;
    r->spans += t->spans;
    r->linked += t->linked;
    r->is_complete = r->is_complete && (t->is_complete || t->status == REPORT_SKIPPED);
}

static void read_notice(struct run_report *r, const struct json_node *root)
{
    const struct json_node *notice = json_tree_member(root, "notice");
    r->has_notice = notice && notice->type == JSON_OBJECT;
    r->notice_error = r->has_notice ? copy_text(notice, "error") : NULL;
}

bool run_report_read(struct run_report *r, struct slice body)
{
    struct arena arena = ARENA_INIT;
    struct json_node root;
    *r = (struct run_report){.is_complete = true};
    const struct json_node *results =
        json_tree_parse(body, &arena, &root) ? json_tree_member(&root, "results") : NULL;
    if (results && results->type == JSON_ARRAY) {
        r->tests = must(marline__memory_array(results->count + 1, sizeof *r->tests));
        read_notice(r, &root);
        r->is_cancelled = is_raw(&root, "status", "\"cancelled\"");
        for (size_t i = 0; i < results->count; i++) {
            read_test(r, &results->items[i]);
        }
    }
    marline__arena_deinit(&arena);
    return r->tests != NULL;
}

void run_report_deinit(struct run_report *r)
{
    for (size_t i = 0; i < r->count; i++) {
        marline__memory_free(r->tests[i].name);
        marline__memory_free(r->tests[i].reason);
    }
    marline__memory_free(r->tests);
    marline__memory_free(r->notice_error);
    *r = (struct run_report){.count = 0};
}

/* ---- printing ---- */

static const struct {
    const char *mark;
    const char *word;
    const char *sum; /* in the last line */
    enum console_style style;
} looks[REPORT_STATUS_COUNT] = {
    [REPORT_PASS] = {"✔", "Pass", "passed", STYLE_GOOD},
    [REPORT_FAIL] = {"✘", "Fail", "failed", STYLE_BAD},
    [REPORT_ERROR] = {"!", "Error", "in error", STYLE_BAD},
    [REPORT_SKIPPED] = {"-", "Skipped", "skipped", STYLE_DIM},
};

static size_t name_column(const struct run_report *r)
{
    size_t widest = NAME_MIN;
    for (size_t i = 0; i < r->count; i++) {
        size_t width = marline__utf8_length(marline__slice_text(r->tests[i].name));
        widest = width > widest ? width : widest;
    }
    return widest < NAME_MAX ? widest : NAME_MAX;
}

/* The name in exactly `width` columns; control characters cannot move the cursor. */
static void print_name(const char *name, size_t width, FILE *out)
{
    struct slice rest = marline__slice_text(name);
    size_t length = marline__utf8_length(rest);
    size_t shown = length > width ? width - 1 : length;
    for (size_t i = 0; rest.data && i < shown; i++) {
        size_t size = marline__utf8_sequence(rest);
        size = size ? size : 1;
        bool is_control = (unsigned char)rest.data[0] < ' ' || rest.data[0] == 127;
        (void)fprintf(out, "%.*s", is_control ? 1 : (int)size, is_control ? "?" : rest.data);
        rest = (struct slice){rest.data + size, rest.size - size};
    }
    (void)fputs(length > width ? "…" : "", out);
    (void)fprintf(out, "%*s", (int)(length > width ? 0 : width - length), "");
}

static void print_duration(double ms, FILE *out)
{
    if (ms < 10000) {
        (void)fprintf(out, " %6.0f ms", ms);
    } else {
        (void)fprintf(out, " %6.1f s ", ms / 1000);
    }
}

static void print_spans(const struct report_test *t, FILE *out)
{
    if (t->status == REPORT_SKIPPED) {
        (void)fputs("      -", out);
    } else if (t->is_complete) {
        (void)fprintf(out, " %6zu", t->linked);
    } else if (t->linked == t->spans) {
        (void)fprintf(out, " %6zu, more are missing", t->linked);
    } else {
        (void)fprintf(out, " %6zu of %zu", t->linked, t->spans);
    }
}

static void print_reason(const char *reason, FILE *out)
{
    struct buffer clean = BUFFER_INIT;
    for (const char *c = reason; *c; c++) {
        bool is_control = (unsigned char)*c < ' ' || *c == 127;
        marline__buffer_append_byte(&clean, is_control ? ' ' : *c);
    }
    must_buffer(&clean);
    (void)fprintf(out, "%*s", REASON_INDENT, "");
    wrap_print(out, clean.data ? clean.data : "", REASON_INDENT, REASON_INDENT);
    marline__buffer_deinit(&clean);
}

static void print_test(const struct report_test *t, size_t width, bool has_colour, FILE *out)
{
    const char *plain = console_style(has_colour, STYLE_PLAIN);
    (void)fprintf(out, "  %s%s%s ", console_style(has_colour, looks[t->status].style),
                  looks[t->status].mark, plain);
    print_name(t->name, width, out);
    (void)fprintf(out, "  %s%-7s%s", console_style(has_colour, looks[t->status].style),
                  looks[t->status].word, plain);
    if (t->status == REPORT_SKIPPED) {
        (void)fputs("         -", out);
    } else {
        print_duration(t->duration_ms, out);
    }
    (void)fprintf(out, " %6zu ", t->attempts);
    print_spans(t, out);
    (void)fputc('\n', out);
    if (t->reason && t->status != REPORT_PASS) {
        print_reason(t->reason, out);
    }
}

static void print_sum(const struct run_report *r, double seconds, bool has_colour, FILE *out)
{
    const char *separator = "";
    (void)fputs("\n  ", out);
    for (size_t i = 0; i < REPORT_STATUS_COUNT; i++) {
        if (r->by_status[i] > 0) {
            (void)fprintf(out, "%s%s%zu %s%s", separator, console_style(has_colour, looks[i].style),
                          r->by_status[i], looks[i].sum, console_style(has_colour, STYLE_PLAIN));
            separator = ", ";
        }
    }
    (void)fprintf(out, " of %zu in %.2f s · %zu of %zu spans linked%s\n", r->count, seconds,
                  r->linked, r->spans, r->is_cancelled ? " · cancelled" : "");
}

void run_report_print(const struct run_report *r, double seconds, bool has_colour, FILE *out)
{
    size_t width = name_column(r);
    (void)fprintf(out, "\n%s    %-*s  %-7s %9s %6s  %6s%s\n", console_style(has_colour, STYLE_DIM),
                  (int)width, "TEST", "STATUS", "TIME", "TRIES", "LINKED",
                  console_style(has_colour, STYLE_PLAIN));
    for (size_t i = 0; i < r->count; i++) {
        print_test(&r->tests[i], width, has_colour, out);
    }
    print_sum(r, seconds, has_colour, out);
}
