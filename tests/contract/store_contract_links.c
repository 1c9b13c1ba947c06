/* Contract: linking, attempts, the timeline, keys that wait. */
#include <string.h>

#include "store_contract.h"

static size_t count_linked(struct fixture *f, const struct uuid *result)
{
    struct span_list list;
    read_spans(f, &list);
    size_t count = 0;
    for (size_t i = 0; i < list.count; i++) {
        count += list.rows[i].has_result && marline__uuid_equal(&list.rows[i].result_id, result);
    }
    return count;
}

/* ---- the two points ---- */

static void given_spans_first_when_point_1_tries_then_all_linked(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    struct link_key key = key_of(f, 1, 1);
    (void)insert_spans(f, &key, 1, 3);
    struct store_link early = try_link(f, &key, LINK_POINT_INGEST);
    assert_false(early.result_found);
    assert_int_equal(early.spans_found, 3);
    assert_int_equal(early.linked, 0);
    struct store_insert_result result = insert_result(f, &key);
    struct store_link link = try_link(f, &key, LINK_POINT_RESULT);
    assert_true(link.result_found);
    assert_int_equal(link.spans_found, 3);
    assert_int_equal(link.linked, 3);
    assert_int_equal(count_linked(f, &result.result_id), 3);
}

static void given_result_first_when_point_2_tries_then_all_linked(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    struct link_key key = key_of(f, 1, 1);
    struct store_insert_result result = insert_result(f, &key);
    struct store_link early = try_link(f, &key, LINK_POINT_RESULT);
    assert_true(early.result_found);
    assert_int_equal(early.spans_found, 0);
    (void)insert_spans(f, &key, 1, 3);
    assert_int_equal(try_link(f, &key, LINK_POINT_INGEST).linked, 3);
    assert_int_equal(count_linked(f, &result.result_id), 3);
}

static void given_linked_spans_when_tried_again_then_nothing_changes(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    struct link_key key = key_of(f, 1, 1);
    struct store_insert_result result = insert_result(f, &key);
    (void)insert_spans(f, &key, 1, 2);
    (void)try_link(f, &key, LINK_POINT_INGEST);
    (void)insert_result(f, &key); /* a duplicate takes no links */
    struct store_link again = try_link(f, &key, LINK_POINT_RESULT);
    assert_int_equal(again.spans_found, 0);
    assert_int_equal(again.linked, 0);
    struct span_list list;
    read_spans(f, &list);
    assert_int_equal(list.rows[0].link_source, LINK_POINT_INGEST);
    assert_uuid_equal(list.rows[0].result_id, result.result_id);
}

/* F8: later spans go to the canonical result, not to an arbitrary one. */
static void given_two_results_when_spans_follow_then_canonical_takes_them(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    struct link_key key = key_of(f, 1, 1);
    struct store_insert_result first = insert_result(f, &key);
    (void)insert_result(f, &key);
    (void)insert_spans(f, &key, 1, 2);
    assert_int_equal(try_link(f, &key, LINK_POINT_INGEST).linked, 2);
    assert_int_equal(count_linked(f, &first.result_id), 2);
}

static void given_other_keys_when_one_is_tried_then_they_stay_alone(void **state)
{
    struct fixture *f = *state;
    create_run(f, 2);
    struct link_key mine = key_of(f, 1, 1);
    struct link_key test = key_of(f, 2, 1);
    struct link_key configuration = mine;
    configuration.configuration = id_of(77);
    struct link_key organization = mine;
    organization.organization = id_of(0xa0000002);
    (void)insert_result(f, &mine);
    (void)insert_result(f, &test);
    (void)insert_spans(f, &test, 1, 1);
    (void)insert_spans(f, &configuration, 2, 1);
    (void)insert_spans(f, &organization, 3, 1);
    assert_int_equal(try_link(f, &mine, LINK_POINT_RESULT).spans_found, 0);
    struct span_list list;
    read_spans(f, &list);
    for (size_t i = 0; i < list.count; i++) {
        assert_false(list.rows[i].has_result);
    }
}

/* ---- attempts ---- */

static void given_one_attempt_when_spans_do_not_say_which_then_linked(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    struct link_key attempt = key_of(f, 1, 1);
    struct link_key unnumbered = key_of(f, 1, 0);
    record_invoked(f, &attempt);
    (void)insert_spans(f, &unnumbered, 1, 2);
    assert_false(try_link(f, &unnumbered, LINK_POINT_INGEST).result_found);
    struct store_insert_result result = insert_result(f, &attempt);
    assert_int_equal(try_link(f, &attempt, LINK_POINT_RESULT).linked, 2);
    (void)insert_spans(f, &unnumbered, 1, 1);
    struct store_link link = try_link(f, &unnumbered, LINK_POINT_INGEST);
    assert_true(link.result_found);
    assert_int_equal(link.linked, 1);
    assert_int_equal(count_linked(f, &result.result_id), 3);
}

static void given_two_attempts_when_spans_do_not_say_which_then_by_reported_trace(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    struct link_key first = key_of(f, 1, 1);
    struct link_key second = key_of(f, 1, 2);
    struct link_key unnumbered = key_of(f, 1, 0);
    record_invoked(f, &first);
    record_invoked(f, &second);
    (void)insert_spans(f, &unnumbered, 0x22, 2);
    (void)insert_result_of_trace(f, &first, "11111111111111111111111111111111");
    struct store_link link = try_link(f, &first, LINK_POINT_RESULT);
    assert_int_equal(link.linked, 0);
    struct store_insert_result result =
        insert_result_of_trace(f, &second, "22222222222222222222222222222222");
    assert_int_equal(try_link(f, &second, LINK_POINT_RESULT).linked, 2);
    assert_int_equal(count_linked(f, &result.result_id), 2);
}

static void given_attempts_apart_in_time_when_spans_do_not_say_which_then_by_window(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    struct link_key first = key_of(f, 1, 1);
    struct link_key second = key_of(f, 1, 2);
    struct link_key unnumbered = key_of(f, 1, 0);
    record_invoked(f, &first);
    struct store_span early = make_span(f, &unnumbered, 0x33);
    struct store_insert_result a = insert_result(f, &first);
    record_invoked(f, &second);
    struct store_span late = make_span(f, &unnumbered, 0x44);
    struct store_insert_result b = insert_result(f, &second);
    struct store_span spans[2] = {early, late};
    struct store_write write = {
        .type = STORE_INSERT_SPANS,
        .insert_spans = {f->organization, f->project, SLICE("p"), spans, 2, 0, 0}};
    must_write(f, &write);
    assert_int_equal(try_link(f, &unnumbered, LINK_POINT_INGEST).linked, 2);
    assert_int_equal(count_linked(f, &a.result_id), 1);
    assert_int_equal(count_linked(f, &b.result_id), 1);
}

static void given_overlapping_attempts_when_spans_do_not_say_which_then_unlinked(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    struct link_key first = key_of(f, 1, 1);
    struct link_key second = key_of(f, 1, 2);
    struct link_key unnumbered = key_of(f, 1, 0);
    record_invoked(f, &first);
    record_invoked(f, &second);
    (void)insert_spans(f, &unnumbered, 0x33, 2);
    (void)insert_result(f, &first);
    (void)insert_result(f, &second);
    struct store_link link = try_link(f, &unnumbered, LINK_POINT_INGEST);
    assert_true(link.result_found);
    assert_int_equal(link.spans_found, 2);
    assert_int_equal(link.linked, 0);
    struct key_list waiting;
    read_waiting(f, 10, &waiting);
    assert_int_equal(waiting.count, 0); /* the sweeper has nothing to gain here */
}

/* F8, second half: the traces of failed attempts stay with their own results. */
static void given_numbered_attempts_when_linked_then_each_to_its_own(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    struct link_key first = key_of(f, 1, 1);
    struct link_key second = key_of(f, 1, 2);
    (void)insert_spans(f, &first, 1, 2);
    (void)insert_spans(f, &second, 2, 3);
    struct store_insert_result a = insert_result(f, &first);
    struct store_insert_result b = insert_result(f, &second);
    assert_int_equal(try_link(f, &second, LINK_POINT_RESULT).linked, 3);
    assert_int_equal(try_link(f, &first, LINK_POINT_RESULT).linked, 2);
    assert_int_equal(count_linked(f, &a.result_id), 2);
    assert_int_equal(count_linked(f, &b.result_id), 3);
}

/* ---- inheriting through the trace ---- */

static void given_bare_span_when_its_trace_has_a_context_then_it_inherits(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    struct link_key key = key_of(f, 1, 1);
    (void)insert_spans(f, NULL, 1, 1); /* before the context is known */
    (void)insert_spans(f, &key, 1, 1);
    struct store_span late = make_span(f, NULL, 1);
    struct store_write write = {
        .type = STORE_INSERT_SPANS,
        .insert_spans = {f->organization, f->project, SLICE("p"), &late, 1, 0, 0}};
    must_write(f, &write);
    assert_true(late.inherited);
    assert_true(late.has_key && link_key_equal(&late.key, &key));
    struct store_insert_result result = insert_result(f, &key);
    assert_int_equal(try_link(f, &key, LINK_POINT_RESULT).linked, 3);
    assert_int_equal(count_linked(f, &result.result_id), 3);
    assert_int_equal(read_ledger(f).without_context, 0);
}

static void given_trace_of_two_tests_when_bare_spans_come_then_they_inherit_nothing(void **state)
{
    struct fixture *f = *state;
    create_run(f, 2);
    struct link_key one = key_of(f, 1, 1);
    struct link_key other = key_of(f, 2, 1);
    (void)insert_spans(f, NULL, 1, 1);
    (void)insert_spans(f, &one, 1, 1);   /* the bare one inherits … */
    (void)insert_spans(f, &other, 1, 1); /* … and gives it back */
    (void)insert_spans(f, NULL, 1, 1);
    (void)insert_result(f, &one);
    (void)insert_result(f, &other);
    assert_int_equal(try_link(f, &one, LINK_POINT_RESULT).linked, 1);
    assert_int_equal(try_link(f, &other, LINK_POINT_RESULT).linked, 1);
    assert_int_equal(read_ledger(f).without_context, 2);
}

static void given_inherited_link_when_trace_becomes_ambiguous_then_it_stays(void **state)
{
    struct fixture *f = *state;
    create_run(f, 2);
    struct link_key one = key_of(f, 1, 1);
    struct link_key other = key_of(f, 2, 1);
    (void)insert_spans(f, &one, 1, 1);
    (void)insert_spans(f, NULL, 1, 1);
    struct store_insert_result result = insert_result(f, &one);
    assert_int_equal(try_link(f, &one, LINK_POINT_RESULT).linked, 2);
    (void)insert_spans(f, &other, 1, 1);
    assert_int_equal(count_linked(f, &result.result_id), 2);
}

static void given_bare_span_when_repeated_with_context_then_nothing_changes(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    struct link_key key = key_of(f, 1, 1);
    (void)insert_spans(f, NULL, 1, 1);
    f->next_span--;
    assert_int_equal(insert_spans(f, &key, 1, 1).duplicates, 1);
    assert_int_equal(read_ledger(f).without_context, 1);
}

/* ---- keys that wait ---- */

static void given_unlinked_span_and_result_when_swept_then_key_is_named(void **state)
{
    struct fixture *f = *state;
    create_run(f, 2);
    struct link_key orphan = key_of(f, 1, 1);
    struct link_key without_result = key_of(f, 2, 1);
    (void)insert_spans(f, &orphan, 1, 2);
    (void)insert_spans(f, &without_result, 2, 2);
    (void)insert_result(f, &orphan);
    struct key_list waiting;
    read_waiting(f, 10, &waiting);
    assert_int_equal(waiting.count, 1);
    assert_true(link_key_equal(&waiting.keys[0], &orphan));
    assert_int_equal(try_link(f, &orphan, LINK_POINT_SWEEP).linked, 2);
    read_waiting(f, 10, &waiting);
    assert_int_equal(waiting.count, 0);
    assert_int_equal(read_ledger(f).links_by_source[LINK_POINT_SWEEP], 2);
}

static void given_many_waiting_keys_when_limited_then_the_oldest(void **state)
{
    struct fixture *f = *state;
    for (uint32_t i = 1; i <= 5; i++) {
        struct link_key key = key_of(f, i, 1);
        (void)insert_spans(f, &key, (uint8_t)i, 1);
        (void)insert_result(f, &key);
    }
    struct key_list waiting;
    read_waiting(f, 2, &waiting);
    assert_int_equal(waiting.count, 2);
    struct link_key first = key_of(f, 1, 1);
    assert_true(link_key_equal(&waiting.keys[0], &first));
}

/* Whether a key has waited since the sweep before, or was linked and waits again, shows in the span
 * that waits longest. */
static void given_key_that_waits_again_when_read_then_for_another_span(void **state)
{
    struct fixture *f = *state;
    struct link_key key = key_of(f, 1, 1);
    struct key_list first, again, later;
    (void)insert_spans(f, &key, 1, 2);
    (void)insert_result(f, &key);
    read_waiting(f, 10, &first);
    read_waiting(f, 10, &again);
    assert_int_equal(first.count, 1);
    assert_int_equal(again.count, 1);
    assert_true(first.spans[0] == again.spans[0]);
    assert_int_equal(try_link(f, &key, LINK_POINT_RESULT).linked, 2);
    (void)insert_spans(f, &key, 2, 1);
    read_waiting(f, 10, &later);
    assert_int_equal(later.count, 1);
    assert_true(later.spans[0] != first.spans[0]);
}

/* ---- timeline ---- */

struct event_list {
    struct store_event events[32];
    size_t count;
};

static void add_event(void *user, const struct store_event *event)
{
    struct event_list *list = user;
    list->events[list->count++] = *event;
}

static void set_status(struct fixture *f, enum run_status status)
{
    struct store_write write = {.type = STORE_SET_RUN_STATUS,
                                .set_run_status = {f->organization, id_of(1), status}};
    must_write(f, &write);
}

static void play_fast_test(struct fixture *f, const struct link_key *key)
{
    set_status(f, RUN_RUNNING);
    record_invoked(f, key);
    struct store_write received = {.type = STORE_RECORD_RECEIVED,
                                   .record_received = {*key, RESULT_PASS}};
    must_write(f, &received);
    (void)insert_result(f, key);
    (void)try_link(f, key, LINK_POINT_RESULT);
    (void)insert_spans(f, key, 1, 2);
    (void)try_link(f, key, LINK_POINT_INGEST);
    set_status(f, RUN_COMPLETED);
}

static void given_fast_test_when_timeline_read_then_every_event_in_order(void **state)
{
    static const enum store_event_type expected[] = {
        EVENT_RUN_STARTED,  EVENT_INVOKED,      EVENT_RESULT_RECEIVED, EVENT_RESULT_STORED,
        EVENT_LINK_ATTEMPT, EVENT_SPANS_STORED, EVENT_LINK_ATTEMPT,    EVENT_RUN_FINISHED};
    struct fixture *f = *state;
    create_run(f, 1);
    struct link_key key = key_of(f, 1, 1);
    play_fast_test(f, &key);
    struct event_list list = {.count = 0};
    struct store_error error;
    assert_int_equal(store_read_timeline(f->store, &f->scope, &key.run, add_event, &list, &error),
                     STORE_OK);
    assert_int_equal(list.count, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < list.count; i++) {
        assert_int_equal(list.events[i].type, expected[i]);
        assert_true(i == 0 || list.events[i].at_unix_ns > list.events[i - 1].at_unix_ns);
    }
    assert_false(list.events[0].has_test);
    assert_uuid_equal(list.events[3].result_id, link_key_result_id(&key));
    assert_int_equal(list.events[4].point, LINK_POINT_RESULT);
    assert_true(list.events[4].result_found);
    assert_int_equal(list.events[4].spans_found, 0);
    assert_int_equal(list.events[5].spans, 2);
    assert_int_equal(list.events[5].post_spans, 2);
    assert_int_equal(list.events[6].point, LINK_POINT_INGEST);
    assert_int_equal(list.events[6].linked, 2);
}

static void check_failed_attempt(void *user, const struct store_event *event)
{
    size_t *count = user;
    if (event->type == EVENT_LINK_ATTEMPT) {
        assert_true(marline__slice_is(event->error, "no space left"));
        assert_int_equal(event->linked, 0);
        ++*count;
    }
}

static void given_attempt_that_failed_when_recorded_then_in_the_timeline(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    struct link_key key = key_of(f, 1, 1);
    struct store_write write = {.type = STORE_RECORD_ATTEMPT,
                                .record_attempt = {key, LINK_POINT_INGEST, SLICE("no space left")}};
    must_write(f, &write);
    size_t count = 0;
    struct store_error error;
    assert_int_equal(
        store_read_timeline(f->store, &f->scope, &key.run, check_failed_attempt, &count, &error),
        STORE_OK);
    assert_int_equal(count, 1);
}

/* ---- several at once ---- */

/* What is expected of one of several attempts at linking. */
struct expected_link {
    uint32_t test;
    uint32_t attempt;
    bool result_found;
    size_t spans_found;
    size_t linked;
};

/* Test 1 is plain; 2 has no result; 3 has two attempts and spans that do not say which; so has 4,
 * but one attempt; 5 does not exist; 6 is asked for without a number. */
static void prepare_tests(struct fixture *f)
{
    struct link_key keys[7];
    for (uint32_t i = 1; i <= 6; i++) {
        keys[i] = key_of(f, i, i == 2 || i == 1 ? 1 : 0);
    }
    struct link_key attempts[] = {key_of(f, 3, 1), key_of(f, 3, 2), key_of(f, 4, 1),
                                  key_of(f, 6, 1)};
    for (size_t i = 0; i < 4; i++) {
        record_invoked(f, &attempts[i]);
    }
    (void)insert_spans(f, &keys[1], 0x11, 2);
    (void)insert_spans(f, &keys[2], 0x12, 3);
    (void)insert_spans(f, &keys[3], 0x33, 2);
    (void)insert_spans(f, &keys[4], 0x14, 1);
    (void)insert_spans(f, &keys[6], 0x16, 4);
    (void)insert_result(f, &keys[1]);
    (void)insert_result_of_trace(f, &attempts[1], "33333333333333333333333333333333");
    (void)insert_result(f, &attempts[2]);
    (void)insert_result(f, &attempts[3]);
}

static size_t count_attempts(struct fixture *f, const struct expected_link *expected, size_t count)
{
    struct event_list list = {.count = 0};
    struct store_error error;
    const struct uuid run = id_of(1);
    size_t matched = 0;
    assert_int_equal(store_read_timeline(f->store, &f->scope, &run, add_event, &list, &error),
                     STORE_OK);
    for (size_t i = 0; i < list.count; i++) {
        const struct store_event *e = &list.events[i];
        for (size_t k = 0; e->type == EVENT_LINK_ATTEMPT && k < count; k++) {
            struct link_key key = key_of(f, expected[k].test, expected[k].attempt);
            matched += marline__uuid_equal(&e->test_id, &key.test) &&
                       e->attempt == expected[k].attempt &&
                       e->result_found == expected[k].result_found &&
                       e->spans_found == expected[k].spans_found && e->linked == expected[k].linked;
        }
    }
    return matched;
}

static void given_many_keys_when_tried_together_then_each_as_if_alone(void **state)
{
    static const struct expected_link expected[] = {
        {1, 1, true, 2, 2},  {2, 1, false, 3, 0}, {3, 2, true, 2, 2}, {4, 1, true, 1, 1},
        {5, 1, false, 0, 0}, {1, 1, true, 0, 0},  {6, 0, true, 4, 4}, {6, 1, true, 0, 0}};
    enum { COUNT = sizeof expected / sizeof expected[0] };
    struct fixture *f = *state;
    create_run(f, 6);
    prepare_tests(f);
    struct store_write writes[COUNT];
    struct store_write *all[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        writes[i] = (struct store_write){
            .type = STORE_LINK,
            .at_unix_ns = f->now += 1000,
            .link = {.key = key_of(f, expected[i].test, expected[i].attempt),
                     .point = LINK_POINT_INGEST},
        };
        all[i] = &writes[i];
    }
    struct store_error error;
    assert_int_equal(store_write_all(f->store, all, COUNT, &error), STORE_OK);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(writes[i].outcome.status, STORE_OK);
        assert_int_equal(writes[i].link.result_found, expected[i].result_found);
        assert_int_equal(writes[i].link.spans_found, expected[i].spans_found);
        assert_int_equal(writes[i].link.linked, expected[i].linked);
    }
    assert_int_equal(count_attempts(f, expected, COUNT), COUNT);
    struct link_key plain = key_of(f, 1, 1);
    struct uuid result = link_key_result_id(&plain);
    assert_int_equal(count_linked(f, &result), 2);
    struct key_list waiting;
    read_waiting(f, 10, &waiting);
    assert_int_equal(waiting.count, 0);
}

int run_link_contract(const struct store_kind *kind)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(given_spans_first_when_point_1_tries_then_all_linked),
        CONTRACT_TEST(given_result_first_when_point_2_tries_then_all_linked),
        CONTRACT_TEST(given_linked_spans_when_tried_again_then_nothing_changes),
        CONTRACT_TEST(given_two_results_when_spans_follow_then_canonical_takes_them),
        CONTRACT_TEST(given_other_keys_when_one_is_tried_then_they_stay_alone),
        CONTRACT_TEST(given_one_attempt_when_spans_do_not_say_which_then_linked),
        CONTRACT_TEST(given_two_attempts_when_spans_do_not_say_which_then_by_reported_trace),
        CONTRACT_TEST(given_attempts_apart_in_time_when_spans_do_not_say_which_then_by_window),
        CONTRACT_TEST(given_overlapping_attempts_when_spans_do_not_say_which_then_unlinked),
        CONTRACT_TEST(given_numbered_attempts_when_linked_then_each_to_its_own),
        CONTRACT_TEST(given_bare_span_when_its_trace_has_a_context_then_it_inherits),
        CONTRACT_TEST(given_trace_of_two_tests_when_bare_spans_come_then_they_inherit_nothing),
        CONTRACT_TEST(given_inherited_link_when_trace_becomes_ambiguous_then_it_stays),
        CONTRACT_TEST(given_bare_span_when_repeated_with_context_then_nothing_changes),
        CONTRACT_TEST(given_unlinked_span_and_result_when_swept_then_key_is_named),
        CONTRACT_TEST(given_many_waiting_keys_when_limited_then_the_oldest),
        CONTRACT_TEST(given_key_that_waits_again_when_read_then_for_another_span),
        CONTRACT_TEST(given_fast_test_when_timeline_read_then_every_event_in_order),
        CONTRACT_TEST(given_attempt_that_failed_when_recorded_then_in_the_timeline),
        CONTRACT_TEST(given_many_keys_when_tried_together_then_each_as_if_alone),
    };
    fixture_use(kind);
    return cmocka_run_group_tests_name(kind->name, tests, NULL, NULL);
}
