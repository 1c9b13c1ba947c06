/* The outcome of a check for a person: what happened when, and what each linking point found. */
#include "agent/check/report.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "programs/console.h"
#include "programs/wrap.h"

enum { FAILURES_SHOWN = 6, EVENTS_SHOWN = 60, FAILURE_COLUMN = 8 };

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
    if (e->test != NO_TEST && p->run->scenario->retries && e->attempt) {
        (void)snprintf(test, sizeof test, "try %u", e->attempt);
    } else if (e->test != NO_TEST && p->run->scenario->test_count > 1) {
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

/* Each POST of spans queues the enrichment of their traces; later POSTs queue those of others.
 * 0 = none was stored up to then. */
static double last_spans_ms(const struct facts *f, double before_ms)
{
    double last = 0;
    for (size_t i = 0; i < f->event_count; i++) {
        double at_ms = f->events[i].at_ms;
        bool is_later =
            f->events[i].type == EVENT_SPANS_STORED && at_ms > last && at_ms <= before_ms;
        last = is_later ? at_ms : last;
    }
    return last;
}

static void describe_enrichment(const struct facts *f, double at_ms, char *text, size_t size)
{
    double queued_ms = last_spans_ms(f, at_ms);
    if (queued_ms > 0) {
        (void)snprintf(text, size, "enrichment cached, queued %.0f ms before", at_ms - queued_ms);
    } else {
        (void)snprintf(text, size, "enrichment cached");
    }
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
    case EVENT_ENRICHED:
        describe_enrichment(&p->run->facts, e->at_ms, text, sizeof text);
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

/* A broken backend may fail 64 tests in the same way: a few show it as well. */
static void print_failures(const struct page *p)
{
    const struct verdict *v = &p->run->verdict;
    size_t shown = v->failures.count < FAILURES_SHOWN ? v->failures.count : FAILURES_SHOWN;
    for (size_t i = 0; i < shown; i++) {
        const struct clue *clue = i < v->clue_count ? &v->clues[i] : NULL;
        const char *text = v->failures.items[i];
        const char *sentence = strstr(text, ": ");
        (void)fprintf(p->out, "        ");
        wrap_print(p->out, sentence ? sentence + 2 : text, FAILURE_COLUMN, FAILURE_COLUMN);
        bool is_last = i + 1 >= shown || i + 1 >= v->clue_count;
        if (clue && (is_last || strcmp(clue->rule, clue[1].rule) != 0)) {
            (void)fprintf(p->out, "        %sbreaks %s; see docs/debugging.md, \"%s\"%s\n",
                          style(p, STYLE_DIM), clue->rule, clue_place_title(clue->place),
                          style(p, STYLE_PLAIN));
        }
    }
    if (shown < v->failures.count) {
        (void)fprintf(p->out, "        … and %zu more (--json lists all)\n",
                      v->failures.count - shown);
    }
}

static void print_links(const struct page *p)
{
    const struct verdict *v = &p->run->verdict;
    const struct facts *f = &p->run->facts;
    if (f->scenario->has_no_result) {
        (void)fprintf(p->out, "%zu spans, linked to none%s%s\n", v->spans,
                      *f->verdict ? "; the backend says: " : "", f->verdict);
    } else if (facts_show_absence(f)) {
        (void)fprintf(p->out, "the result is there, and no span is linked to it\n");
    } else if (f->is_blind_to_points) {
        (void)fprintf(p->out,
                      "%zu of %zu spans carry their test's result; by which point, the "
                      "backend does not tell\n",
                      v->linked, v->spans);
    } else {
        (void)fprintf(p->out,
                      "%zu of %zu spans carry their test's result:\n"
                      "        %zu by point 1, %zu by point 2, %zu by the sweeper\n",
                      v->linked, v->spans, v->by_point[LINK_RESULT], v->by_point[LINK_INGEST],
                      v->by_point[LINK_SWEEP]);
    }
}

static void print_notes(const struct page *p)
{
    const struct facts *f = &p->run->facts;
    if (f->scenario->has_stray && f->stray_is_stored) {
        (void)fputs("        the span of no test is stored, linked to none\n", p->out);
    }
    if (f->disturbance.repeats) {
        (void)fprintf(p->out, "        %" PRIu64 " spans were posted twice\n",
                      f->disturbance.repeats);
    }
    if (f->disturbance.strikes) {
        (void)fprintf(p->out, "        disturbed %" PRIu64 " time%s\n", f->disturbance.strikes,
                      plural(f->disturbance.strikes));
    }
    if (f->query_ms > 0) {
        const char *how = f->enriched_at_ms > 0 ? ", enriched, from the cache"
                          : f->is_enriched      ? ", enriched for this reader"
                                                : "";
        (void)fprintf(p->out, "        read back in %.1f ms%s\n", f->query_ms, how);
    }
}

static void print_verdict(const struct page *p)
{
    bool is_pass = verdict_is_pass(&p->run->verdict);
    (void)fprintf(p->out, "  %s%s%s  ", style(p, is_pass ? STYLE_GOOD : STYLE_BAD),
                  is_pass ? "PASS" : "FAIL", style(p, STYLE_PLAIN));
    print_links(p);
    print_notes(p);
    print_failures(p);
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

static void print_run(const struct check *c, const struct check_run *r, bool has_colour, FILE *out)
{
    struct page p = {r, has_colour, out, run_zero_ms(&r->facts)};
    const struct scenario *s = r->scenario;
    const char *title = c->is_prompt && s->prompt_title ? s->prompt_title : s->title;
    (void)fprintf(out, "\n%s%s%s: ", style(&p, STYLE_BOLD), r->scenario->name,
                  style(&p, STYLE_PLAIN));
    wrap_print(out, title, strlen(s->name) + 2, 2);
    if (r->obstacle) {
        (void)fprintf(out, "  SKIP  ");
        wrap_print(out, r->obstacle, FAILURE_COLUMN, FAILURE_COLUMN);
        return;
    }
    if (r->facts.event_count == 0) {
        print_verdict(&p);
        return;
    }
    (void)fprintf(out, "  %s%10s  %-7s %-30s %-17s %-14s %6s%s\n", style(&p, STYLE_DIM), "TIME",
                  r->scenario->retries          ? "TRY"
                  : r->scenario->test_count > 1 ? "TEST"
                                                : "",
                  "EVENT", "POINT", "FOUND", "LINKED", style(&p, STYLE_PLAIN));
    size_t shown = r->facts.event_count < EVENTS_SHOWN ? r->facts.event_count : EVENTS_SHOWN;
    for (size_t i = 0; i < shown; i++) {
        print_event(&p, &r->facts.events[i]);
    }
    if (shown < r->facts.event_count) {
        (void)fprintf(out, "             … and %zu more events (--json lists all)\n",
                      r->facts.event_count - shown);
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

static void print_summary(const struct check *c, const char *base_url, bool has_colour, FILE *out)
{
    size_t spans = 0;
    size_t linked = 0;
    size_t skipped = 0;
    bool is_pass = check_is_pass(c);
    for (size_t i = 0; i < c->run_count; i++) {
        bool has_links = !c->runs[i].scenario->has_no_result;
        spans += has_links ? c->runs[i].verdict.spans : 0;
        linked += c->runs[i].verdict.linked;
        skipped += c->runs[i].obstacle != NULL;
    }
    (void)fprintf(out, "\n%s%s%s  %zu of %zu spans linked at %s%s",
                  console_style(has_colour, is_pass ? STYLE_GOOD : STYLE_BAD),
                  is_pass ? "PASS" : "FAIL", console_style(has_colour, STYLE_PLAIN), linked, spans,
                  base_url, is_pass ? "" : "; failed:");
    for (size_t i = 0; i < c->run_count; i++) {
        if (!check_run_is_pass(&c->runs[i])) {
            (void)fprintf(out, " %s", c->runs[i].scenario->name);
        }
    }
    if (skipped) {
        (void)fprintf(out, "; not judged:");
        for (size_t i = 0; i < c->run_count; i++) {
            (void)fprintf(out, "%s%s", c->runs[i].obstacle ? " " : "",
                          c->runs[i].obstacle ? c->runs[i].scenario->name : "");
        }
    }
    (void)fputc('\n', out);
}

void report_text(const struct check *c, const char *base_url, bool has_colour, FILE *out)
{
    (void)fprintf(out,
                  "Spans leave every %.3g s%s.\n"
                  "The backend tries to link them to their test's result at two points:\n"
                  "  1  when a result has been stored    2  when spans have been stored\n",
                  (double)c->pace->interval_ns / (double)NS_PER_S,
                  c->is_prompt ? ", and at once when a test ends, before its result" : "");
    if (!c->knows_points) {
        (void)fputs(
            "This one has no control routes: what links are there is read from its list of\n"
            "traces; which point made them it does not tell.\n",
            out);
    }
    for (size_t i = 0; i < c->run_count; i++) {
        print_run(c, &c->runs[i], has_colour, out);
    }
    print_summary(c, base_url, has_colour, out);
}

/* ---- batch and prompt side by side ---- */

/* From the first result stored to the last link made; negative = not known. */
static double link_delay_s(const struct facts *f)
{
    double from = 0;
    double to = 0;
    for (size_t i = 0; i < f->event_count; i++) {
        const struct event_fact *e = &f->events[i];
        from = from <= 0 && e->type == EVENT_RESULT_STORED ? e->at_ms : from;
        to = e->type == EVENT_LINK_ATTEMPT && e->linked ? e->at_ms : to;
    }
    return from > 0 && to > 0 ? (to > from ? (to - from) / 1000 : 0) : -1;
}

static void print_side(const struct check_run *r, FILE *out)
{
    char delay[24] = "-";
    double seconds = link_delay_s(&r->facts);
    if (seconds >= 0) {
        (void)snprintf(delay, sizeof delay, "%.2f s", seconds);
    }
    (void)fprintf(out, "  %3zu/%-3zu %3zu + %-3zu %9s", r->verdict.linked, r->verdict.spans,
                  r->verdict.by_point[LINK_RESULT], r->verdict.by_point[LINK_INGEST],
                  r->obstacle ? "skipped" : delay);
}

void report_comparison(const struct check *batch, const struct check *prompt, FILE *out)
{
    (void)fprintf(out, "\n%-16s  %-27s  %-27s\n%-16s  %-7s %-9s %9s  %-7s %-9s %9s\n", "",
                  "--flush batch", "--flush prompt", "SCENARIO", "LINKED", "BY 1 + 2", "DELAY",
                  "LINKED", "BY 1 + 2", "DELAY");
    for (size_t i = 0; i < batch->run_count; i++) {
        (void)fprintf(out, "%-16s", batch->runs[i].scenario->name);
        print_side(&batch->runs[i], out);
        print_side(&prompt->runs[i], out);
        (void)fputc('\n', out);
    }
    (void)fprintf(out, "%-16s  %-27" PRIu64 "  %" PRIu64 "\n", "exports of spans", batch->posts,
                  prompt->posts);
    (void)fputs("DELAY: from the first result stored to the last link. Batch asks for fewer\n"
                "exports, prompt has a trace linked as soon as its result is there.\n",
                out);
}
