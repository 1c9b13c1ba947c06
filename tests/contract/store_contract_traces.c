/* Contract: the list of traces, one in full, metrics, enrichment, full text, explanations. */
#include <stdio.h>
#include <string.h>

#include "store_contract.h"

enum { MS = 1000000 };

/* ---- fixtures ---- */

struct row_list {
    struct store_trace_row rows[16];
    size_t count;
    uint64_t total;
};

static void add_row(void *user, const struct store_trace_row *row)
{
    struct row_list *list = user;
    assert_true(list->count < 16);
    list->rows[list->count++] = *row;
}

static struct row_list list(struct fixture *f, const struct store_trace_filter *filter)
{
    struct row_list out = {.count = 0};
    struct store_trace_filter with_limit = *filter;
    with_limit.limit = filter->limit ? filter->limit : 10;
    struct store_error error = {STORE_OK, ""};
    if (store_list_traces(f->store, &f->scope, &with_limit, &out.total, add_row, &out, &error) !=
        STORE_OK) {
        fail_msg("%s", error.text);
    }
    return out;
}

static void post(struct fixture *f, struct store_span *spans, size_t count)
{
    struct store_write write = {
        .type = STORE_INSERT_SPANS,
        .insert_spans = {f->organization, f->project, SLICE("p"), spans, count, 0, 0}};
    must_write(f, &write);
}

static struct store_span child_of(struct fixture *f, const struct store_span *parent)
{
    struct store_span span =
        make_span(f, parent->has_key ? &parent->key : NULL, parent->trace_id[0]);
    span.has_parent = true;
    memcpy(span.parent_span_id, parent->span_id, sizeof span.parent_span_id);
    return span;
}

/* Traces 1 … count, one root and one child each, the child first as agents send them. */
static void post_traces(struct fixture *f, uint8_t count)
{
    for (uint8_t i = 1; i <= count; i++) {
        struct store_span root = make_span(f, NULL, i);
        struct store_span spans[2] = {child_of(f, &root), root};
        spans[0].name = SLICE("ai.llm.invoke");
        post(f, spans, 2);
    }
}

/* ---- the list ---- */

static void given_traces_when_listed_then_newest_first_and_counted(void **state)
{
    struct fixture *f = *state;
    post_traces(f, 3);
    struct row_list all = list(f, &(struct store_trace_filter){0});
    assert_int_equal(all.total, 3);
    assert_int_equal(all.count, 3);
    assert_int_equal(all.rows[0].trace_id[0], 3);
    assert_int_equal(all.rows[2].trace_id[15], 1);
    assert_int_equal(all.rows[0].span_count, 2);
    assert_int_equal(all.rows[0].duration_ns, 5 * MS);
    assert_uuid_equal(all.rows[0].project_id, f->project);
}

static void given_page_when_listed_then_cut_and_total_is_of_all(void **state)
{
    struct fixture *f = *state;
    post_traces(f, 5);
    struct row_list page = list(f, &(struct store_trace_filter){.limit = 2, .offset = 3});
    assert_int_equal(page.total, 5);
    assert_int_equal(page.count, 2);
    assert_int_equal(page.rows[0].trace_id[0], 2);
    assert_int_equal(list(f, &(struct store_trace_filter){.limit = 2, .offset = 9}).count, 0);
}

static void given_several_roots_when_listed_then_the_newest_stands_for_the_trace(void **state)
{
    struct fixture *f = *state;
    struct store_span old = make_span(f, NULL, 1);
    struct store_span new = make_span(f, NULL, 1);
    new.start_unix_ns += 1000 * MS;
    new.end_unix_ns += 1001 * MS;
    struct store_span spans[2] = {new, old};
    post(f, spans, 2);
    struct row_list all = list(f, &(struct store_trace_filter){0});
    assert_int_equal(all.total, 1);
    assert_true(all.rows[0].start_unix_ns == new.start_unix_ns);
    struct row_list each = list(f, &(struct store_trace_filter){.all_spans = true});
    assert_int_equal(each.total, 2);
}

static void given_trace_without_root_when_listed_then_its_earliest_span(void **state)
{
    struct fixture *f = *state;
    struct store_span absent = make_span(f, NULL, 1);
    struct store_span first = child_of(f, &absent);
    struct store_span second = child_of(f, &absent);
    second.start_unix_ns += MS;
    second.end_unix_ns += MS;
    struct store_span spans[2] = {second, first};
    post(f, spans, 2);
    struct row_list all = list(f, &(struct store_trace_filter){0});
    assert_int_equal(all.total, 1);
    assert_true(all.rows[0].start_unix_ns == first.start_unix_ns);
    post(f, &absent, 1); /* the root comes later */
    all = list(f, &(struct store_trace_filter){0});
    assert_int_equal(all.total, 1);
    assert_true(all.rows[0].start_unix_ns == absent.start_unix_ns);
}

/* F16: the reference picks the newest root before it filters. */
static void given_unlinked_newest_turn_when_listed_by_result_then_trace_is_found(void **state)
{
    struct fixture *f = *state;
    struct link_key key = key_of(f, 1, 1);
    struct store_insert_result result = insert_result(f, &key);
    struct store_span tested = make_span(f, &key, 1);
    post(f, &tested, 1);
    assert_int_equal(try_link(f, &key, LINK_POINT_INGEST).linked, 1);
    struct link_key other = key_of(f, 2, 1);
    struct store_span newest = make_span(f, &other, 1);
    newest.start_unix_ns += 1000 * MS;
    newest.end_unix_ns += 1000 * MS;
    post(f, &newest, 1);
    struct row_list found = list(f, &(struct store_trace_filter){.result_id = result.result_id});
    assert_int_equal(found.total, 1);
    assert_uuid_equal(found.rows[0].result_id, result.result_id);
    assert_uuid_equal(found.rows[0].test_id, key.test);
}

static void expect_only(struct fixture *f, const char *what,
                        const struct store_trace_filter *filter, uint8_t trace)
{
    struct row_list found = list(f, filter);
    if (found.total != 1 || found.rows[0].trace_id[0] != trace) {
        fail_msg("%s: %zu found", what, (size_t)found.total);
    }
}

static void given_each_condition_when_listed_then_only_what_meets_it(void **state)
{
    struct fixture *f = *state;
    struct link_key key = key_of(f, 7, 1);
    struct store_span plain = make_span(f, NULL, 1);
    struct store_span odd = make_span(f, &key, 2);
    odd.name = SLICE("function.odd");
    odd.environment = SLICE("staging");
    odd.conversation_id = SLICE("c-1");
    odd.status = 2;
    odd.end_unix_ns = odd.start_unix_ns + 900 * MS;
    struct store_span spans[2] = {plain, odd};
    post(f, spans, 2);
    expect_only(f, "environment", &(struct store_trace_filter){.environment = odd.environment}, 2);
    expect_only(f, "conversation",
                &(struct store_trace_filter){.conversation_id = odd.conversation_id}, 2);
    expect_only(f, "name", &(struct store_trace_filter){.span_name = odd.name}, 2);
    expect_only(f, "status", &(struct store_trace_filter){.has_status = true, .status = 2}, 2);
    expect_only(f, "run", &(struct store_trace_filter){.run_id = key.run}, 2);
    expect_only(f, "test", &(struct store_trace_filter){.test_id = key.test}, 2);
    expect_only(f, "source test", &(struct store_trace_filter){.source = TRACE_SOURCE_TEST}, 2);
    expect_only(f, "source operation",
                &(struct store_trace_filter){.source = TRACE_SOURCE_OPERATION}, 1);
    expect_only(f, "multi", &(struct store_trace_filter){.turns = TRACE_TURNS_MULTI}, 2);
    expect_only(f, "single", &(struct store_trace_filter){.turns = TRACE_TURNS_SINGLE}, 1);
    expect_only(f, "longer",
                &(struct store_trace_filter){.has_duration_min = true, .duration_min_ns = 900 * MS},
                2);
    expect_only(f, "shorter",
                &(struct store_trace_filter){.has_duration_max = true, .duration_max_ns = 5 * MS},
                1);
}

static void given_times_when_listed_then_both_ends_are_inclusive(void **state)
{
    struct fixture *f = *state;
    post_traces(f, 3);
    struct row_list all = list(f, &(struct store_trace_filter){0});
    uint64_t middle = all.rows[1].start_unix_ns;
    expect_only(
        f, "both",
        &(struct store_trace_filter){.start_after_unix_ns = middle, .start_before_unix_ns = middle},
        2);
    assert_int_equal(list(f, &(struct store_trace_filter){.start_after_unix_ns = middle}).total, 2);
}

static void given_search_when_listed_then_substring_in_any_span_and_any_case(void **state)
{
    struct fixture *f = *state;
    post_traces(f, 1);
    struct store_span root = make_span(f, NULL, 0xab);
    struct store_span child = child_of(f, &root);
    child.status_message = SLICE("TimeoutError: Upstream is slow");
    child.attributes = SLICE("{\"rhesis.conversation.input\":\"Where is my 100% parcel?\"}");
    struct store_span spans[2] = {child, root};
    post(f, spans, 2);
    static const char *const words[] = {"UPSTREAM", "my 100% Parcel", "abababab"};
    for (size_t i = 0; i < 3; i++) {
        expect_only(f, words[i],
                    &(struct store_trace_filter){.search = marline__slice_text(words[i])}, 0xab);
    }
    assert_int_equal(list(f, &(struct store_trace_filter){.search = SLICE("no such")}).total, 0);
    assert_int_equal(list(f, &(struct store_trace_filter){.search = SLICE("' OR 1=1 --")}).total,
                     0);
}

static void given_attributes_that_are_no_json_when_searched_then_passed_over(void **state)
{
    struct fixture *f = *state;
    struct store_span odd = make_span(f, NULL, 1);
    odd.attributes = SLICE("{\"score\":NaN}");
    post(f, &odd, 1);
    assert_int_equal(list(f, &(struct store_trace_filter){.search = SLICE("probe")}).total, 1);
}

static size_t index_text(struct fixture *f, size_t limit)
{
    struct store_write write = {.type = STORE_INDEX_TEXT, .index_text = {.limit = limit}};
    must_write(f, &write);
    return write.index_text.indexed;
}

static void given_indexed_spans_when_words_are_asked_then_traces_with_all_of_them(void **state)
{
    struct fixture *f = *state;
    struct store_span one = make_span(f, NULL, 1);
    one.attributes = SLICE("{\"a\":\"the quick brown fox\"}");
    struct store_span two = make_span(f, NULL, 2);
    two.attributes = SLICE("{\"a\":\"the lazy dog\"}");
    struct store_span three = make_span(f, NULL, 3);
    struct store_span spans[3] = {one, two, three};
    post(f, spans, 3);
    const struct store_trace_filter fox = {.text = SLICE("Quick fox")};
    assert_int_equal(list(f, &fox).total, 0); /* not indexed yet */
    assert_int_equal(index_text(f, 2), 2);
    assert_int_equal(index_text(f, 2), 1);
    assert_int_equal(index_text(f, 2), 0);
    expect_only(f, "fox", &fox, 1);
    assert_int_equal(list(f, &(struct store_trace_filter){.text = SLICE("quick dog")}).total, 0);
    static const char *const hostile[] = {"\"", "fox AND", "(((", "fox*", "a:fox NOT", "' --"};
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        (void)list(f, &(struct store_trace_filter){.text = marline__slice_text(hostile[i])});
    }
}

static void given_foreign_scope_when_listed_then_nothing(void **state)
{
    struct fixture *f = *state;
    post_traces(f, 1);
    struct store_scope mine = f->scope;
    f->scope.project_id = id_of(0xb0000002);
    assert_int_equal(list(f, &(struct store_trace_filter){0}).total, 0);
    f->scope = (struct store_scope){id_of(0xa0000002), {{0}}, false};
    assert_int_equal(list(f, &(struct store_trace_filter){0}).total, 0);
    f->scope = (struct store_scope){mine.organization_id, {{0}}, true};
    assert_int_equal(list(f, &(struct store_trace_filter){0}).total, 0);
    f->scope.only_without_project = false;
    assert_int_equal(list(f, &(struct store_trace_filter){0}).total, 1);
}

/* ---- one trace ---- */

struct trace_read {
    struct store_trace_head head;
    char enriched[64];
    struct store_span_detail spans[8];
    size_t span_count;
    struct store_back_link links[4];
    size_t link_count;
    struct turn_copy {
        char conversation[16];
        char input[16];
        char output[16];
        uint64_t ended_unix_ns;
    } turns[4];
    size_t turn_count;
};

static void note_head(void *user, const struct store_trace_head *head)
{
    struct trace_read *read = user;
    read->head = *head;
    memcpy(read->enriched, head->enriched.data ? head->enriched.data : "", head->enriched.size);
}

static void note_span(void *user, const struct store_span_detail *span)
{
    struct trace_read *read = user;
    read->spans[read->span_count++] = *span;
}

static void note_link(void *user, const struct store_back_link *link)
{
    struct trace_read *read = user;
    read->links[read->link_count++] = *link;
}

static void copy_text(struct slice text, char out[16])
{
    (void)snprintf(out, 16, "%.*s", SLICE_ARG(text));
}

static void note_turn(void *user, const struct store_turn_row *row)
{
    struct trace_read *read = user;
    struct turn_copy *turn = &read->turns[read->turn_count++];
    copy_text(row->conversation_id, turn->conversation);
    copy_text(row->input, turn->input);
    copy_text(row->output, turn->output);
    turn->ended_unix_ns = row->ended_unix_ns;
}

static enum store_status read_trace(struct fixture *f, uint8_t trace, struct trace_read *out)
{
    memset(out, 0, sizeof *out);
    const struct store_trace_visitor visitor = {note_head, note_span, note_link, note_turn, out};
    uint8_t trace_id[16];
    memset(trace_id, trace, sizeof trace_id);
    struct store_error error;
    return store_read_trace(f->store, &f->scope, trace_id, &visitor, &error);
}

static void given_trace_when_read_then_spans_by_start_with_all_they_have(void **state)
{
    struct fixture *f = *state;
    struct link_key key = key_of(f, 1, 1);
    struct store_insert_result result = insert_result(f, &key);
    struct store_span root = make_span(f, &key, 9);
    struct store_span child = child_of(f, &root);
    child.start_unix_ns = root.start_unix_ns + MS;
    struct store_span spans[2] = {child, root};
    post(f, spans, 2);
    (void)try_link(f, &key, LINK_POINT_INGEST);
    struct trace_read read;
    assert_int_equal(read_trace(f, 9, &read), STORE_OK);
    assert_int_equal(read.head.span_count, 2);
    assert_int_equal(read.span_count, 2);
    assert_false(read.spans[0].has_parent);
    assert_memory_equal(read.spans[1].parent_span_id, root.span_id, 8);
    assert_true(read.spans[1].end_unix_ns == child.end_unix_ns);
    assert_true(link_key_equal(&read.spans[0].key, &key));
    assert_uuid_equal(read.spans[0].result_id, result.result_id);
    assert_int_equal(read.spans[0].link_source, LINK_POINT_INGEST);
    assert_int_equal(read.spans[0].declared_span_count, 2);
    assert_memory_not_equal(read.spans[0].row_id.bytes, read.spans[1].row_id.bytes, 16);
}

static void check_texts(void *user, const struct store_span_detail *span)
{
    size_t *count = user;
    assert_true(marline__slice_is(span->attributes, "{\"b\":1.0,\"a\":\"\\u0000\",\"b\":2}"));
    assert_true(marline__slice_is(span->events, "[]"));
    assert_true(marline__slice_is(span->links, "[]"));
    assert_true(marline__slice_is(span->resource, "{\"service.name\":\"t\"}"));
    assert_true(marline__slice_is(span->status_message, "m"));
    assert_null(span->conversation_id.data);
    ++*count;
}

/* Byte for byte: order, repeated keys, escapes and digits are the sender's. */
static void given_json_when_read_then_exactly_as_sent(void **state)
{
    struct fixture *f = *state;
    struct store_span span = make_span(f, NULL, 9);
    span.attributes = SLICE("{\"b\":1.0,\"a\":\"\\u0000\",\"b\":2}");
    span.status_message = SLICE("m");
    post(f, &span, 1);
    size_t count = 0;
    const struct store_trace_visitor visitor = {.span = check_texts, .user = &count};
    struct store_error error;
    assert_int_equal(store_read_trace(f->store, &f->scope, span.trace_id, &visitor, &error),
                     STORE_OK);
    assert_int_equal(count, 1);
}

static void given_foreign_scope_when_trace_read_then_not_found(void **state)
{
    struct fixture *f = *state;
    post_traces(f, 1);
    struct trace_read read;
    f->scope.project_id = id_of(0xb0000002);
    assert_int_equal(read_trace(f, 1, &read), STORE_NOT_FOUND);
    assert_int_equal(read.span_count, 0);
    assert_int_equal(read_trace(f, 77, &read), STORE_NOT_FOUND);
}

static void given_span_link_when_target_is_read_then_it_leads_back(void **state)
{
    struct fixture *f = *state;
    post_traces(f, 1);
    uint8_t target[1][16];
    memset(target, 1, sizeof target);
    struct store_span span = make_span(f, NULL, 5);
    span.links = SLICE("[{\"trace_id\":\"x\"}]");
    span.linked_traces = (const uint8_t(*)[16])target;
    span.linked_trace_count = 1;
    post(f, &span, 1);
    post(f, &span, 1); /* a repeat adds nothing */
    struct trace_read read;
    assert_int_equal(read_trace(f, 1, &read), STORE_OK);
    assert_int_equal(read.link_count, 1);
    assert_int_equal(read.links[0].trace_id[0], 5);
    assert_memory_equal(read.links[0].span_id, span.span_id, 8);
}

/* ---- turns ---- */

static struct store_write turn_of(const struct fixture *f, unsigned id, uint8_t trace,
                                  const char *conversation)
{
    struct store_write write = {.type = STORE_RECORD_TURN};
    write.record_turn = (struct store_record_turn){
        .id = id_of(id),
        .organization_id = f->organization,
        .project_id = f->project,
        .conversation_id = conversation ? marline__slice_text(conversation) : SLICE_EMPTY,
        .input = SLICE("in"),
        .started_unix_ns = id,
    };
    memset(write.record_turn.trace_id, trace, sizeof write.record_turn.trace_id);
    return write;
}

static void given_turns_when_trace_is_read_then_by_start_each_as_it_ended(void **state)
{
    struct fixture *f = *state;
    struct trace_read read;
    struct store_write first = turn_of(f, 1, 5, NULL);
    struct store_write second = turn_of(f, 2, 5, "c");
    struct store_write elsewhere = turn_of(f, 3, 6, "c");
    post_traces(f, 5);
    assert_int_equal(store_write_one(f->store, &second), STORE_OK);
    assert_int_equal(store_write_one(f->store, &elsewhere), STORE_OK);
    assert_int_equal(store_write_one(f->store, &first), STORE_OK);
    first.record_turn.conversation_id = SLICE("c");
    first.record_turn.output = SLICE("out");
    first.record_turn.ended_unix_ns = 9;
    assert_int_equal(store_write_one(f->store, &first), STORE_OK);
    assert_int_equal(store_write_one(f->store, &first), STORE_OK); /* a repeat adds nothing */
    assert_int_equal(read_trace(f, 5, &read), STORE_OK);
    assert_int_equal(read.turn_count, 2);
    assert_string_equal(read.turns[0].conversation, "c");
    assert_string_equal(read.turns[0].input, "in");
    assert_string_equal(read.turns[0].output, "out");
    assert_int_equal(read.turns[0].ended_unix_ns, 9);
    assert_string_equal(read.turns[1].output, "");
    assert_int_equal(read.turns[1].ended_unix_ns, 0);
}

static void given_conversation_when_looked_up_then_the_trace_of_its_first_turn(void **state)
{
    struct fixture *f = *state;
    struct store_error error;
    uint8_t trace_id[16] = {0};
    const struct store_scope mine = {f->organization, f->project, false};
    struct store_scope other = mine;
    other.project_id = id_of(0xb0000002);
    for (unsigned i = 1; i <= 2; i++) {
        struct store_write turn = turn_of(f, i, (uint8_t)(4 + i), "c");
        assert_int_equal(store_write_one(f->store, &turn), STORE_OK);
    }
    assert_int_equal(store_find_conversation(f->store, &mine, SLICE("c"), trace_id, &error),
                     STORE_OK);
    assert_int_equal(trace_id[0], 5);
    assert_int_equal(store_find_conversation(f->store, &mine, SLICE("d"), trace_id, &error),
                     STORE_NOT_FOUND);
    assert_int_equal(store_find_conversation(f->store, &other, SLICE("c"), trace_id, &error),
                     STORE_NOT_FOUND);
}

static void given_spans_of_a_conversation_when_listed_then_found_as_its_own(void **state)
{
    struct fixture *f = *state;
    struct store_write turn = turn_of(f, 1, 2, "c");
    turn.record_turn.output = SLICE("the Answer");
    post_traces(f, 3); /* none says that it belongs to a conversation */
    assert_int_equal(store_write_one(f->store, &turn), STORE_OK);
    struct store_trace_filter filter = {.conversation_id = SLICE("c"), .limit = 10};
    struct row_list found = list(f, &filter);
    assert_int_equal(found.total, 1);
    assert_int_equal(found.rows[0].trace_id[0], 2);
    filter = (struct store_trace_filter){.turns = TRACE_TURNS_MULTI, .limit = 10};
    assert_int_equal(list(f, &filter).total, 1);
    filter.turns = TRACE_TURNS_SINGLE;
    assert_int_equal(list(f, &filter).total, 2);
    filter = (struct store_trace_filter){.search = SLICE("answer"), .limit = 10};
    assert_int_equal(list(f, &filter).total, 1);
}

/* ---- enrichment ---- */

/* What the store told of stale traces; the revision is that of the last one. */
struct stale {
    size_t count;
    uint64_t revision;
};

static void add_stale(void *user, const struct uuid *organization, const uint8_t trace_id[16],
                      uint64_t revision)
{
    struct stale *stale = user;
    (void)organization;
    (void)trace_id;
    stale->count++;
    stale->revision = revision;
}

static struct stale read_stale(struct fixture *f)
{
    struct stale stale = {0, 0};
    struct store_error error;
    assert_int_equal(store_stale_traces(f->store, 10, add_stale, &stale, &error), STORE_OK);
    return stale;
}

static void write_enrichment_of(struct fixture *f, uint8_t trace, uint64_t revision, size_t spans,
                                struct slice data)
{
    struct store_write write = {.type = STORE_ENRICH,
                                .enrich = {.organization_id = f->organization,
                                           .revision = revision,
                                           .spans = spans,
                                           .data = data,
                                           .cost_usd = 0.5,
                                           .cost_eur = 0.25}};
    memset(write.enrich.trace_id, trace, sizeof write.enrich.trace_id);
    must_write(f, &write);
}

static void write_enrichment(struct fixture *f, uint8_t trace, size_t spans, struct slice data)
{
    write_enrichment_of(f, trace, read_stale(f).revision, spans, data);
}

/* F15: a span that comes in meanwhile is not taken for enriched. */
static void given_enrichment_when_span_is_added_then_no_longer_current(void **state)
{
    struct fixture *f = *state;
    post_traces(f, 1);
    struct trace_read read;
    assert_int_equal(read_stale(f).count, 1);
    write_enrichment(f, 1, 2, SLICE("{\"n\":2}"));
    assert_int_equal(read_stale(f).count, 0);
    assert_int_equal(read_trace(f, 1, &read), STORE_OK);
    assert_string_equal(read.enriched, "{\"n\":2}");
    assert_true(read.head.cost_usd == 0.5);
    assert_true(list(f, &(struct store_trace_filter){0}).rows[0].cost_eur == 0.25);
    struct store_span late = make_span(f, NULL, 1);
    post(f, &late, 1);
    assert_int_equal(read_stale(f).count, 1);
    assert_int_equal(read_trace(f, 1, &read), STORE_OK);
    assert_string_equal(read.enriched, "");
    write_enrichment(f, 1, 3, SLICE("{\"n\":3}"));
    write_enrichment(f, 1, 2, SLICE("{\"n\":2}")); /* a slow worker comes too late */
    assert_int_equal(read_trace(f, 1, &read), STORE_OK);
    assert_string_equal(read.enriched, "{\"n\":3}");
}

static void given_span_added_while_computing_when_enriched_then_still_stale(void **state)
{
    struct fixture *f = *state;
    post_traces(f, 1);
    uint64_t revision = read_stale(f).revision;
    struct store_span late = make_span(f, NULL, 1);
    post(f, &late, 1);
    write_enrichment_of(f, 1, revision, 2, SLICE("{}"));
    assert_int_equal(read_stale(f).count, 1);
    write_enrichment(f, 1, 3, SLICE("{}"));
    assert_int_equal(read_stale(f).count, 0);
    struct store_span repeated = late; /* a repeat changes nothing, so there is nothing to do */
    post(f, &repeated, 1);
    assert_int_equal(read_stale(f).count, 0);
}

/* ---- metrics ---- */

static void add_duration(void *user, const struct store_metric_row *row)
{
    *(uint64_t *)user += row->duration_ns;
}

static void given_traces_when_metrics_read_then_each_span_once(void **state)
{
    struct fixture *f = *state;
    post_traces(f, 3);
    write_enrichment(f, 1, 2, SLICE("{}"));
    write_enrichment(f, 2, 2, SLICE("{}"));
    uint64_t sum = 0;
    struct store_metrics metrics;
    struct store_error error;
    const struct store_trace_filter all = {0};
    assert_int_equal(
        store_read_metrics(f->store, &f->scope, &all, &metrics, add_duration, &sum, &error),
        STORE_OK);
    assert_int_equal(metrics.traces, 3);
    assert_int_equal(metrics.spans, 6);
    assert_true(metrics.cost_usd == 1.0);
    assert_int_equal(sum, 30 * MS);
    const struct store_trace_filter other = {.environment = SLICE("staging")};
    assert_int_equal(
        store_read_metrics(f->store, &f->scope, &other, &metrics, add_duration, &sum, &error),
        STORE_OK);
    assert_int_equal(metrics.traces, 0);
}

/* ---- explanations ---- */

static void note_group(void *user, const struct store_link_group *group)
{
    struct store_link_group **next = user;
    *(*next)++ = *group;
}

static size_t explain(struct fixture *f, uint8_t trace, struct store_link_group out[4])
{
    struct store_link_group *next = out;
    uint8_t trace_id[16];
    memset(trace_id, trace, sizeof trace_id);
    struct store_error error;
    assert_int_equal(store_explain_link(f->store, &f->scope, trace_id, note_group, &next, &error),
                     STORE_OK);
    return (size_t)(next - out);
}

static void given_linked_and_bare_spans_when_explained_then_a_verdict_for_each_group(void **state)
{
    struct fixture *f = *state;
    struct link_key key = key_of(f, 1, 1);
    struct link_key other = key_of(f, 2, 1);
    (void)insert_spans(f, &key, 1, 2);
    (void)insert_spans(f, &other, 1, 1);
    (void)insert_spans(f, NULL, 1, 1);
    struct store_insert_result result = insert_result(f, &key);
    (void)try_link(f, &key, LINK_POINT_RESULT);
    struct store_link_group groups[4];
    assert_int_equal(explain(f, 1, groups), 3);
    assert_int_equal(groups[0].verdict, LINK_NO_CONTEXT);
    assert_int_equal(groups[1].verdict, LINK_DONE);
    assert_int_equal(groups[1].linked, 2);
    assert_uuid_equal(groups[1].result_id, result.result_id);
    assert_int_equal(groups[1].attempts, 1);
    assert_int_equal(groups[1].last_point, LINK_POINT_RESULT);
    assert_int_equal(groups[2].verdict, LINK_NO_RESULT);
}

static void given_result_of_other_configuration_when_explained_then_nearest_miss(void **state)
{
    struct fixture *f = *state;
    struct link_key key = key_of(f, 1, 1);
    struct link_key near = key;
    near.configuration = id_of(77);
    struct link_key far = key_of(f, 2, 1);
    (void)insert_spans(f, &key, 1, 1);
    (void)insert_result(f, &near);
    (void)insert_result(f, &far);
    struct store_link_group groups[4];
    assert_int_equal(explain(f, 1, groups), 1);
    assert_int_equal(groups[0].verdict, LINK_NO_RESULT);
    assert_true(groups[0].has_nearest);
    assert_true(link_key_equal(&groups[0].nearest, &near));
}

static void given_orphan_when_explained_then_pending(void **state)
{
    struct fixture *f = *state;
    struct link_key key = key_of(f, 1, 1);
    (void)insert_spans(f, &key, 1, 1);
    (void)insert_result(f, &key);
    struct store_link_group groups[4];
    assert_int_equal(explain(f, 1, groups), 1);
    assert_int_equal(groups[0].verdict, LINK_PENDING);
    assert_true(groups[0].has_result);
    assert_int_equal(groups[0].attempts, 0);
}

static void given_overlapping_attempts_when_explained_then_ambiguous(void **state)
{
    struct fixture *f = *state;
    struct link_key first = key_of(f, 1, 1);
    struct link_key second = key_of(f, 1, 2);
    struct link_key unnumbered = key_of(f, 1, 0);
    record_invoked(f, &first);
    record_invoked(f, &second);
    (void)insert_spans(f, &unnumbered, 1, 1);
    (void)insert_result(f, &first);
    (void)insert_result(f, &second);
    struct store_link_group groups[4];
    assert_int_equal(explain(f, 1, groups), 1);
    assert_int_equal(groups[0].verdict, LINK_ATTEMPT_AMBIGUOUS);
}

int run_trace_contract(const struct store_kind *kind)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(given_traces_when_listed_then_newest_first_and_counted),
        CONTRACT_TEST(given_page_when_listed_then_cut_and_total_is_of_all),
        CONTRACT_TEST(given_several_roots_when_listed_then_the_newest_stands_for_the_trace),
        CONTRACT_TEST(given_trace_without_root_when_listed_then_its_earliest_span),
        CONTRACT_TEST(given_unlinked_newest_turn_when_listed_by_result_then_trace_is_found),
        CONTRACT_TEST(given_each_condition_when_listed_then_only_what_meets_it),
        CONTRACT_TEST(given_times_when_listed_then_both_ends_are_inclusive),
        CONTRACT_TEST(given_search_when_listed_then_substring_in_any_span_and_any_case),
        CONTRACT_TEST(given_attributes_that_are_no_json_when_searched_then_passed_over),
        CONTRACT_TEST(given_indexed_spans_when_words_are_asked_then_traces_with_all_of_them),
        CONTRACT_TEST(given_foreign_scope_when_listed_then_nothing),
        CONTRACT_TEST(given_trace_when_read_then_spans_by_start_with_all_they_have),
        CONTRACT_TEST(given_json_when_read_then_exactly_as_sent),
        CONTRACT_TEST(given_foreign_scope_when_trace_read_then_not_found),
        CONTRACT_TEST(given_span_link_when_target_is_read_then_it_leads_back),
        CONTRACT_TEST(given_turns_when_trace_is_read_then_by_start_each_as_it_ended),
        CONTRACT_TEST(given_conversation_when_looked_up_then_the_trace_of_its_first_turn),
        CONTRACT_TEST(given_spans_of_a_conversation_when_listed_then_found_as_its_own),
        CONTRACT_TEST(given_enrichment_when_span_is_added_then_no_longer_current),
        CONTRACT_TEST(given_span_added_while_computing_when_enriched_then_still_stale),
        CONTRACT_TEST(given_traces_when_metrics_read_then_each_span_once),
        CONTRACT_TEST(given_linked_and_bare_spans_when_explained_then_a_verdict_for_each_group),
        CONTRACT_TEST(given_result_of_other_configuration_when_explained_then_nearest_miss),
        CONTRACT_TEST(given_orphan_when_explained_then_pending),
        CONTRACT_TEST(given_overlapping_attempts_when_explained_then_ambiguous),
    };
    fixture_use(kind);
    return cmocka_run_group_tests_name(kind->name, tests, NULL, NULL);
}
