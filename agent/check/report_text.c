/* The outcome of a check for a person: what happened when, and what each linking point found. */
#include "agent/check/report.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "programs/console.h"

struct page {
    const struct check_run *run;
    bool has_colour;
    FILE *out;
    double zero_ms;
};

static const char *style(const struct page *p, enum console_style s)
{
    return console_style(p->has_colour, s);
}

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

/* No padding behind the text: the columns that follow bring their own. */
static void print_event_head(const struct page *p, const struct event_fact *e, const char *text)
{
    char test[24] = "";
    if (e->test != NO_TEST && p->run->scenario->test_count > 1) {
        (void)snprintf(test, sizeof test, "test %d", e->test + 1);
    }
    (void)fprintf(p->out, "  %8.2f s  %-7s %s", (e->at_ms - p->zero_ms) / 1000, test, text);
}

static void print_attempt(const struct page *p, const struct event_fact *e)
{
    static const char *const points[] = {"?", "1 result stored", "2 spans stored", "  sweeper"};
    char found[32];
    if (e->point == LINK_INGEST) {
        (void)snprintf(found, sizeof found, "%s", e->result_found ? "the result" : "no result yet");
    } else {
        (void)snprintf(found, sizeof found, "%" PRIu64 " span%s", e->spans_found,
                       plural(e->spans_found));
    }
    print_event_head(p, e, "  link tried                  ");
    bool has_linked = e->linked > 0;
    (void)fprintf(p->out, " %-17s %-14s %s%6" PRIu64 "%s", points[e->point], found,
                  has_linked ? style(p, STYLE_GOOD) : "", e->linked,
                  has_linked ? style(p, STYLE_PLAIN) : "");
    if (*e->text) {
        (void)fprintf(p->out, "  %sfailed: %s%s", style(p, STYLE_BAD), e->text,
                      style(p, STYLE_PLAIN));
    }
    (void)fputc('\n', p->out);
}

static void print_event(const struct page *p, const struct event_fact *e)
{
    char text[FACT_TEXT_SIZE + 64];
    switch (e->type) {
    case EVENT_LINK_ATTEMPT:
        print_attempt(p, e);
        return;
    case EVENT_RUN_STARTED:
        (void)snprintf(text, sizeof text, "run starts");
        break;
    case EVENT_INVOKED:
        (void)snprintf(text, sizeof text, "invoked");
        break;
    case EVENT_RESULT_STORED:
        (void)snprintf(text, sizeof text, "result stored");
        break;
    case EVENT_SPANS_STORED:
        (void)snprintf(text, sizeof text, "%" PRIu64 " span%s stored (POST of %" PRIu64 ")",
                       e->spans, plural(e->spans), e->post_spans);
        break;
    case EVENT_RUN_FINISHED:
    case EVENT_RESULT_RECEIVED: /* a moment before it is stored: one line for both is enough */
        return;
    case EVENT_OTHER:
        (void)snprintf(text, sizeof text, "%s", e->type_text);
        break;
    }
    print_event_head(p, e, text);
    (void)fputc('\n', p->out);
}

static void print_verdict(const struct page *p)
{
    const struct verdict *v = &p->run->verdict;
    bool is_pass = verdict_is_pass(v);
    (void)fprintf(p->out,
                  "  %s%s%s  %zu of %zu spans carry their test's result: %zu by point 1, %zu by "
                  "point 2, %zu by the sweeper%s\n",
                  style(p, is_pass ? STYLE_GOOD : STYLE_BAD), is_pass ? "PASS" : "FAIL",
                  style(p, STYLE_PLAIN), v->linked, v->spans, v->by_point[LINK_RESULT],
                  v->by_point[LINK_INGEST], v->by_point[LINK_SWEEP],
                  p->run->scenario->has_stray && p->run->facts.stray_is_stored
                      ? "; the span of no test is stored, linked to none"
                      : "");
    for (size_t i = 0; i < v->failures.count; i++) {
        (void)fprintf(p->out, "        %s\n", v->failures.items[i]);
    }
}

static double run_zero_ms(const struct facts *f)
{
    for (size_t i = 0; i < f->event_count; i++) {
        if (f->events[i].type == EVENT_RUN_STARTED) {
            return f->events[i].at_ms;
        }
    }
    return f->event_count ? f->events[0].at_ms : 0;
}

static void print_run(const struct check_run *r, bool has_colour, FILE *out)
{
    struct page p = {r, has_colour, out, run_zero_ms(&r->facts)};
    (void)fprintf(out, "\n%s%s%s: %s\n", style(&p, STYLE_BOLD), r->scenario->name,
                  style(&p, STYLE_PLAIN), r->scenario->title);
    (void)fprintf(out, "  %s%10s  %-7s %-30s %-17s %-14s %6s%s\n", style(&p, STYLE_DIM), "TIME",
                  r->scenario->test_count > 1 ? "TEST" : "", "EVENT", "POINT", "FOUND", "LINKED",
                  style(&p, STYLE_PLAIN));
    for (size_t i = 0; i < r->facts.event_count; i++) {
        print_event(&p, &r->facts.events[i]);
    }
    print_verdict(&p);
}

void report_failures(const struct check *c, FILE *out)
{
    for (size_t i = 0; i < c->run_count; i++) {
        const struct words *failures = &c->runs[i].verdict.failures;
        for (size_t j = 0; j < failures->count; j++) {
            (void)fprintf(out, "%s\n", failures->items[j]);
        }
    }
}

void report_text(const struct check *c, const char *base_url, bool has_colour, FILE *out)
{
    size_t spans = 0;
    size_t linked = 0;
    (void)fprintf(
        out,
        "Spans leave every %.3g s%s. The backend tries to link them to their test's result "
        "at two points:\n  1  when a result has been stored    2  when spans have been "
        "stored\n",
        (double)c->pace->interval_ns / (double)NS_PER_S,
        c->is_prompt ? ", and at once when a test ends, before its result" : "");
    for (size_t i = 0; i < c->run_count; i++) {
        print_run(&c->runs[i], has_colour, out);
        spans += c->runs[i].verdict.spans;
        linked += c->runs[i].verdict.linked;
    }
    bool is_pass = check_is_pass(c);
    (void)fprintf(out, "\n%s%s%s  %zu of %zu spans linked at %s%s",
                  console_style(has_colour, is_pass ? STYLE_GOOD : STYLE_BAD),
                  is_pass ? "PASS" : "FAIL", console_style(has_colour, STYLE_PLAIN), linked, spans,
                  base_url, is_pass ? "" : "; failed:");
    for (size_t i = 0; i < c->run_count; i++) {
        if (!verdict_is_pass(&c->runs[i].verdict)) {
            (void)fprintf(out, " %s", c->runs[i].scenario->name);
        }
    }
    (void)fputc('\n', out);
}
