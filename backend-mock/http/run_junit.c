/* See run_junit.h. */
#include "http/run_junit.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/time_text.h"
#include "base/utf8.h"
#include "core/alloc.h"
#include "hub/run_attempts.h"
#include "hub/run_summary.h"
#include "wire/json_pointer.h"
#include "wire/json_reader.h"

struct report {
    struct buffer *out;
    const struct run_attempts *attempts;
    bool is_over;
    size_t row;
};

/* ---- XML ---- */

/* For text and attributes alike. What XML 1.0 cannot hold becomes U+FFFD. */
static void append_character(struct buffer *out, struct slice character)
{
    switch (character.data[0]) {
    case '&':
        marline__buffer_append_text(out, "&amp;");
        return;
    case '<':
        marline__buffer_append_text(out, "&lt;");
        return;
    case '>':
        marline__buffer_append_text(out, "&gt;");
        return;
    case '"':
        marline__buffer_append_text(out, "&quot;");
        return;
    case '\n':
    case '\t': /* an attribute would lose it otherwise */
        marline__buffer_append_format(out, "&#%d;", character.data[0]);
        return;
    default:
        break;
    }
    bool is_control = (unsigned char)character.data[0] < ' ';
    bool is_noncharacter = marline__slice_is(character, "\xef\xbf\xbe") ||
                           marline__slice_is(character, "\xef\xbf\xbf");
    marline__buffer_append_slice(out, is_control || is_noncharacter ? UTF8_REPLACEMENT : character);
}

static void append_escaped(struct buffer *out, struct slice text)
{
    while (text.size > 0) {
        size_t size = marline__utf8_sequence(text);
        if (size > 0) {
            append_character(out, (struct slice){text.data, size});
        } else {
            size = marline__utf8_malformed(text);
            marline__buffer_append_slice(out, UTF8_REPLACEMENT);
        }
        text = (struct slice){text.data + size, text.size - size};
    }
}

static void append_attribute(struct buffer *out, const char *name, struct slice value)
{
    marline__buffer_append_format(out, " %s=\"", name);
    append_escaped(out, value);
    marline__buffer_append_byte(out, '"');
}

/* ---- test cases ---- */

/* <failure message="…" type="…">…</failure> */
static void append_cause(struct buffer *out, const char *element, enum result_status status,
                         struct slice reason)
{
    marline__buffer_append_format(out, "      <%s", element);
    append_attribute(out, "message", reason);
    append_attribute(out, "type", marline__slice_text(result_status_name(status)));
    marline__buffer_append_byte(out, '>');
    append_escaped(out, reason);
    marline__buffer_append_format(out, "</%s>\n", element);
}

/* Attempts that a later one made good, or did not. */
static void append_reruns(struct report *r, const struct store_run_row *row)
{
    size_t count = 0;
    const struct run_attempt *attempts = run_attempts_of(r->attempts, r->row, &count);
    bool passed = row->has_result && row->status == RESULT_PASS;
    for (size_t i = 0; i < count; i++) {
        const struct store_attempt_row *attempt = &attempts[i].row;
        if (attempt->has_result && row->has_result && attempt->attempt != row->attempt) {
            append_cause(r->out, passed ? "flakyError" : "rerunError", attempt->status,
                         attempt->error.data ? attempt->error : SLICE("no reason given"));
        }
    }
}

static void append_property(struct buffer *out, const char *name, struct slice value)
{
    marline__buffer_append_text(out, "        <property");
    append_attribute(out, "name", marline__slice_text(name));
    append_attribute(out, "value", value);
    marline__buffer_append_text(out, "/>\n");
}

/* What leads from a report to the trace. */
static void append_properties(struct buffer *out, const struct store_run_row *row)
{
    char id[UUID_TEXT_SIZE];
    char number[32];
    marline__buffer_append_text(out, "      <properties>\n");
    marline__uuid_format(&row->result_id, id);
    append_property(out, "test_result_id", marline__slice_text(id));
    if (row->trace_id.data) {
        append_property(out, "trace_id", row->trace_id);
    }
    (void)snprintf(number, sizeof(number), "%u", row->attempt);
    append_property(out, "attempts", marline__slice_text(number));
    (void)snprintf(number, sizeof(number), "%zu of %zu", row->linked, row->spans);
    append_property(out, "linked_spans", marline__slice_text(number));
    marline__buffer_append_text(out, "      </properties>\n");
}

/* The verdict's reason, decoded into `scratch`, else the function's error. */
static struct slice reason_of(const struct store_run_row *row, struct buffer *scratch)
{
    struct slice raw = SLICE_EMPTY;
    if (row->metrics.data && marline__json_pointer_find(row->metrics, "/reason", &raw) &&
        raw.data[0] == '"') {
        marline__json_unescape((struct slice){raw.data + 1, raw.size - 2}, scratch);
        alloc_check_buffer(scratch);
        return marline__buffer_slice(scratch);
    }
    return row->error.data ? row->error : SLICE("no reason given");
}

static void append_body(struct report *r, const struct store_run_row *row)
{
    struct buffer scratch = BUFFER_INIT;
    if (!row->has_result) {
        marline__buffer_append_text(r->out,
                                    r->is_over ? "      <skipped message=\"cancelled before it was "
                                                 "started\"/>\n"
                                               : "      <skipped message=\"not finished yet\"/>\n");
        return;
    }
    append_properties(r->out, row);
    if (row->status != RESULT_PASS) {
        append_cause(r->out, row->status == RESULT_FAIL ? "failure" : "error", row->status,
                     reason_of(row, &scratch));
    }
    append_reruns(r, row);
    marline__buffer_deinit(&scratch);
}

static void append_case(void *user, const struct store_run_row *row)
{
    struct report *r = user;
    marline__buffer_append_text(r->out, "    <testcase");
    append_attribute(r->out, "classname", row->test.function_name);
    append_attribute(r->out, "name",
                     row->test.name.data ? row->test.name : row->test.function_name);
    marline__buffer_append_format(r->out, " time=\"%.3f\">\n",
                                  row->has_result ? row->duration_ms / 1000 : 0.0);
    append_body(r, row);
    marline__buffer_append_text(r->out, "    </testcase>\n");
    r->row++;
}

/* ---- the suite ---- */

static void append_totals(struct buffer *out, const struct run_summary *s)
{
    double seconds = s->finished_unix_ns > s->started_unix_ns
                         ? (double)(s->finished_unix_ns - s->started_unix_ns) / (double)NS_PER_S
                         : 0;
    marline__buffer_append_format(
        out, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"%.3f\"",
        s->tests, s->failed, s->errors, s->skipped + s->waiting + s->running, seconds);
}

static void append_head(struct buffer *out, const struct run_summary *s)
{
    struct slice name = s->name ? marline__slice_text(s->name) : SLICE("test run");
    char id[UUID_TEXT_SIZE];
    marline__buffer_append_text(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites");
    append_attribute(out, "name", name);
    append_totals(out, s);
    marline__buffer_append_text(out, ">\n  <testsuite");
    append_attribute(out, "name", name);
    marline__uuid_format(&s->run_id, id);
    append_attribute(out, "id", marline__slice_text(id));
    append_totals(out, s);
    if (s->started_unix_ns) {
        char at[TIME_TEXT_SIZE];
        marline__time_format(s->started_unix_ns, at);
        append_attribute(out, "timestamp", marline__slice_text(at));
    }
    marline__buffer_append_text(out, ">\n");
}

enum store_status run_junit_write(struct store *store, const struct store_scope *scope,
                                  const struct uuid *run_id, struct buffer *out,
                                  struct store_error *error)
{
    struct run_summary summary;
    struct run_attempts attempts;
    struct store_run run;
    enum store_status status = run_summary_read(store, scope, run_id, &summary, error);
    if (status != STORE_OK) {
        return status;
    }
    append_head(out, &summary);
    struct report r = {.out = out,
                       .attempts = &attempts,
                       .is_over =
                           summary.status == RUN_COMPLETED || summary.status == RUN_CANCELLED};
    run_summary_deinit(&summary);
    status = run_attempts_read(store, scope, run_id, &attempts, error);
    if (status == STORE_OK) {
        status = store_read_run(store, scope, run_id, &run, append_case, &r, error);
    }
    run_attempts_deinit(&attempts);
    marline__buffer_append_text(out, "  </testsuite>\n</testsuites>\n");
    alloc_check_buffer(out);
    return status;
}
