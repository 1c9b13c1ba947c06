/* See report.h. */
#include "report.h"

#include <string.h>

#include "print.h"
#include "wire/json_writer.h"

enum {
    COLUMN_ID = 13,
    COLUMN_ISOLATION = 31,
    COLUMN_NUMBER = 10,
    COLUMN_LANE = 35,
    TABLE_WIDTH = COLUMN_ID + COLUMN_ISOLATION + 5 * COLUMN_NUMBER + 12,
};

/* ---- list ---- */

static void list_verdict(FILE *out, const struct design *d)
{
    char text[64];
    const struct golden *g = d->stores & STORE_MODEL ? &d->golden : &d->golden_sqlite;
    if (g->missed > 0)
        (void)snprintf(text, sizeof text, "loses %d of %d", g->missed, g->schedules);
    else
        (void)snprintf(text, sizeof text, "%s", d->anomaly ? "loses" : "holds");
    print_text(out, d->anomaly ? COLOUR_BAD : COLOUR_GOOD, text);
}

void report_list(FILE *out)
{
    for (const struct design *d = designs; d->id; d++) {
        (void)fputs("  ", out);
        print_padded(out, COLOUR_BOLD, d->id, COLUMN_ID);
        print_text(out, COLOUR_NONE, d->what);
        print_text(out, COLOUR_DIM, " · ");
        print_text(out, COLOUR_DIM, d->isolation_name);
        (void)fputs("\n  ", out);
        print_padded(out, COLOUR_NONE, "", COLUMN_ID);
        list_verdict(out, d);
        (void)fputs(": ", out);
        print_text(out, COLOUR_NONE, d->why);
        (void)fputc('\n', out);
    }
}

/* ---- explore ---- */

void report_table_head(FILE *out, const struct race_store *store)
{
    static const char *const numbers[] = {"schedules", "missed", "repaired", "waited", "aborted"};
    (void)fprintf(out, "\n  every interleaving, played on: ");
    print_text(out, COLOUR_BOLD, store->describe);
    (void)fputs("\n\n  ", out);
    print_padded(out, COLOUR_DIM, "design", COLUMN_ID);
    print_padded(out, COLOUR_DIM, "isolation", COLUMN_ISOLATION);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        print_padded(out, COLOUR_NONE, "", COLUMN_NUMBER - print_width(numbers[i]));
        print_text(out, COLOUR_DIM, numbers[i]);
    }
    (void)fputs("\n  ", out);
    print_rule(out, TABLE_WIDTH);
}

static void row_notes(FILE *out, const struct tally *t)
{
    if (t->sampled)
        (void)fprintf(out, "  %-*s%llu of %llu schedules, drawn at random; partly linked: %llu\n",
                      COLUMN_ID, "", (unsigned long long)t->schedules,
                      (unsigned long long)t->possible, (unsigned long long)t->partly);
    if (t->stuck)
        (void)fprintf(out, "  %-*sa side never came back in %llu schedules\n", COLUMN_ID, "",
                      (unsigned long long)t->stuck);
    if (t->different)
        (void)fprintf(out, "  %-*s%llu schedules differ from the model, the first: %s\n", COLUMN_ID,
                      "", (unsigned long long)t->different, t->first_difference);
}

void report_table_row(FILE *out, const struct design *d, enum store_kind kind,
                      const struct tally *t)
{
    bool golden = explore_is_golden(d, kind, t);
    (void)fputs("  ", out);
    print_padded(out, COLOUR_BOLD, d->id, COLUMN_ID);
    print_padded(out, COLOUR_NONE, d->isolation_name, COLUMN_ISOLATION);
    print_number(out, COLOUR_NONE, t->schedules, COLUMN_NUMBER);
    print_number(out, COLOUR_BAD, t->missed, COLUMN_NUMBER);
    print_number(out, COLOUR_WARN, t->repaired, COLUMN_NUMBER);
    print_number(out, COLOUR_NONE, t->waited, COLUMN_NUMBER);
    print_number(out, COLOUR_WARN, t->aborted, COLUMN_NUMBER);
    (void)fputs("   ", out);
    print_text(out, t->missed ? COLOUR_BAD : COLOUR_GOOD, t->missed ? "loses" : "holds");
    print_text(out, golden ? COLOUR_DIM : COLOUR_BAD, golden ? "" : "  NOT AS MEASURED");
    (void)fputc('\n', out);
    row_notes(out, t);
}

static void member_count(struct json_writer *w, const char *key, uint64_t value)
{
    marline__json_member_int(w, key, (int64_t)value);
}

void report_json(struct buffer *out, const struct design *const *explored,
                 const struct tally *tallies, size_t count, const struct race_store *store)
{
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "store", store->describe);
    marline__json_key(&w, "designs");
    marline__json_begin_array(&w);
    for (size_t i = 0; i < count; i++) {
        const struct tally *t = &tallies[i];
        marline__json_begin_object(&w);
        marline__json_member_text(&w, "id", explored[i]->id);
        marline__json_member_text(&w, "isolation", explored[i]->isolation_name);
        member_count(&w, "schedules", t->schedules);
        member_count(&w, "missed", t->missed);
        member_count(&w, "partly", t->partly);
        member_count(&w, "repaired", t->repaired);
        member_count(&w, "waited", t->waited);
        member_count(&w, "aborted", t->aborted);
        member_count(&w, "different", t->different);
        marline__json_member_bool(&w, "sampled", t->sampled);
        marline__json_member_bool(&w, "golden", explore_is_golden(explored[i], store->kind, t));
        marline__json_member_text(&w, "losing_schedule", t->first_loss[0] ? t->first_loss : NULL);
        marline__json_end_object(&w);
    }
    marline__json_end_array(&w);
    marline__json_end_object(&w);
}

/* ---- replay ---- */

static enum colour lane_colour(int party)
{
    static const enum colour colours[PARTY_MAX] = {COLOUR_RESULT, COLOUR_SPANS, COLOUR_OTHER};
    return colours[party];
}

static bool is_link(enum step step)
{
    return step == STEP_LINK || step == STEP_LINK_LOCKED;
}

static void describe_insert(const struct event *event, char *out, size_t size)
{
    (void)snprintf(out, size,
                   party_is_result(event->party) ? "insert the result" : "insert %d spans",
                   SPANS_PER_BATCH);
}

static void describe_link(const struct event *event, bool counts_views, char *out, size_t size)
{
    const struct sight *s = &event->sight;
    const char *again = s->rechecked ? ", looks again" : "";
    if (!counts_views || event->kind == EVENT_RESUMED)
        (void)snprintf(out, size, "link%s: links %d", again, s->changed);
    else if (party_is_result(event->party))
        (void)snprintf(out, size, "link: sees %d spans, links %d", s->spans, s->changed);
    else if (s->results == 0)
        (void)snprintf(out, size, "link: sees no result");
    else
        (void)snprintf(out, size, "link: sees the result, links %d", s->changed);
}

static void describe_check(const struct event *event, bool counts_views, char *out, size_t size)
{
    const char *found = event->sight.results > 0 ? "sees the result" : "sees no result";
    (void)snprintf(out, size, "check: %s", counts_views ? found : "done");
}

static void describe_done(const struct event *event, bool counts_views, char *out, size_t size)
{
    if (is_link(event->step))
        describe_link(event, counts_views, out, size);
    else if (event->step == STEP_CHECK)
        describe_check(event, counts_views, out, size);
    else if (event->step == STEP_INSERT)
        describe_insert(event, out, size);
    else
        (void)snprintf(out, size, "%s", step_name(event->step));
}

static enum colour describe_event(const struct event *event, bool counts_views, char *out,
                                  size_t size)
{
    char done[64] = "";
    describe_done(event, counts_views, done, sizeof done);
    switch (event->kind) {
    case EVENT_BLOCKED:
        (void)snprintf(out, size, "%s … waits", step_name(event->step));
        return COLOUR_WARN;
    case EVENT_OWED:
        (void)snprintf(out, size, "(waits; then %s)", step_name(event->step));
        return COLOUR_DIM;
    case EVENT_RESUMED:
        (void)snprintf(out, size, "… %s", done);
        return lane_colour(event->party);
    case EVENT_ABORTED:
        (void)snprintf(out, size, "%s: ABORTED (40001)", step_name(event->step));
        return COLOUR_BAD;
    case EVENT_DROPPED:
        (void)snprintf(out, size, "(aborted)");
        return COLOUR_DIM;
    case EVENT_RETRIED:
        (void)snprintf(out, size, "again: %s", done);
        return lane_colour(event->party);
    case EVENT_SWEPT:
        (void)snprintf(out, size, "sweep: links %d", event->sight.changed);
        return event->sight.changed ? COLOUR_WARN : COLOUR_DIM;
    case EVENT_STEP:
        break;
    }
    (void)snprintf(out, size, "%s", done);
    return lane_colour(event->party);
}

static void print_lanes(FILE *out, int party_count, int party, enum colour colour, const char *text)
{
    for (int lane = 0; lane < party_count; lane++) {
        bool last = lane + 1 == party_count;
        bool speaks = lane == party;
        print_text(out, COLOUR_DIM, !lane ? "" : last && !speaks ? "│" : "│ ");
        print_padded(out, colour, speaks ? text : "", last ? 0 : COLUMN_LANE);
    }
    (void)fputc('\n', out);
}

static void print_event(FILE *out, const struct design *d, bool counts_views,
                        const struct event *event, int previous_letter)
{
    char text[96], number[16];
    enum colour colour = describe_event(event, counts_views, text, sizeof text);
    bool numbered = event->letter > 0 && event->letter != previous_letter;
    (void)snprintf(number, sizeof number, numbered ? "%4d" : "    ", event->letter);
    print_text(out, COLOUR_DIM, number);
    (void)fputs("  ", out);
    print_lanes(out, d->party_count, event->party, colour, text);
}

static void print_heads(FILE *out, const struct design *d)
{
    static const char *const heads[PARTY_MAX] = {"R  the result side", "S  the span side",
                                                 "T  a second batch"};
    (void)fputs("      ", out);
    for (int lane = 0; lane < d->party_count && lane < PARTY_MAX; lane++) {
        print_text(out, COLOUR_DIM, lane ? "│ " : "");
        print_padded(out, COLOUR_BOLD, heads[lane], lane + 1 < d->party_count ? COLUMN_LANE : 0);
    }
    (void)fputs("\n      ", out);
    print_rule(out, COLUMN_LANE * d->party_count);
}

static void print_fact(FILE *out, enum colour colour, const char *name, const char *text)
{
    (void)fputs("  ", out);
    print_padded(out, COLOUR_DIM, name, 10);
    print_text(out, colour, text);
    (void)fputc('\n', out);
}

static void print_verdict(FILE *out, const struct design *d, const char *schedule,
                          const struct play *play, int decided)
{
    char text[160];
    const struct rest *rest = &play->rest;
    bool lost = rest->unlinked > 0;
    (void)snprintf(text, sizeof text, "%d of %d spans linked%s", rest->spans - rest->unlinked,
                   rest->spans, play->swept ? ", by the sweep" : "");
    (void)fputc('\n', out);
    print_fact(out, lost ? COLOUR_BAD : COLOUR_GOOD, "at rest", text);
    if (play->stuck)
        print_fact(out, COLOUR_BAD, "stuck", "a side never came back");
    if (!lost) {
        print_fact(out, COLOUR_NONE, "because", d->anomaly ? "this order is a lucky one" : d->why);
        return;
    }
    print_fact(out, COLOUR_NONE, "anomaly", d->anomaly ? d->anomaly : "unexpected: a bug");
    if (decided > 0) {
        (void)snprintf(text, sizeof text, "after %.*s: from there, every order loses", decided,
                       schedule);
        print_fact(out, COLOUR_NONE, "decided", text);
    }
    if (d->rule)
        print_fact(out, COLOUR_GOOD, "saved by", d->rule);
}

void report_play(FILE *out, const struct design *d, const struct race_store *store,
                 const char *schedule, const struct play *play, int decided)
{
    (void)fputs("\n  ", out);
    print_text(out, COLOUR_BOLD, d->id);
    (void)fprintf(out, "  %s · %s · %s\n  ", d->what, d->isolation_name, store->describe);
    print_text(out, COLOUR_BOLD, schedule);
    (void)fputs("\n\n", out);
    print_heads(out, d);
    for (int i = 0; i < play->event_count; i++)
        print_event(out, d, store->counts_views, &play->events[i],
                    i > 0 ? play->events[i - 1].letter : 0);
    print_verdict(out, d, schedule, play, decided);
}
