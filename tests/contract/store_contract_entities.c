/* Contract: projects, tokens, runs, results, spans, the ledger, batches. */
#include <stdio.h>
#include <string.h>

#include "store_contract.h"

/* ---- projects and tokens ---- */

static void count_projects(void *user, const struct store_project *row)
{
    size_t *count = user;
    assert_true(marline__slice_is(row->name, "demo"));
    ++*count;
}

static void given_project_when_created_again_then_listed_once(void **state)
{
    struct fixture *f = *state;
    struct store_write again = {.type = STORE_CREATE_PROJECT,
                                .create_project = {f->organization, f->project, SLICE("demo")}};
    must_write(f, &again);
    size_t count = 0;
    struct store_error error;
    assert_int_equal(store_list_projects(f->store, &f->scope, count_projects, &count, &error),
                     STORE_OK);
    assert_int_equal(count, 1);
}

static void given_project_when_claimed_by_another_organization_then_conflict(void **state)
{
    struct fixture *f = *state;
    struct store_write write = {.type = STORE_CREATE_PROJECT,
                                .at_unix_ns = f->now,
                                .create_project = {id_of(0xa0000002), f->project, SLICE("theirs")}};
    assert_int_equal(store_write_one(f->store, &write), STORE_CONFLICT);
}

static void given_foreign_scope_when_projects_listed_then_none(void **state)
{
    struct fixture *f = *state;
    const struct store_scope foreign = {.organization_id = id_of(0xa0000002)};
    size_t count = 0;
    struct store_error error;
    assert_int_equal(store_list_projects(f->store, &foreign, count_projects, &count, &error),
                     STORE_OK);
    assert_int_equal(count, 0);
}

static void given_token_when_looked_up_then_its_owner(void **state)
{
    struct fixture *f = *state;
    struct store_write write = {
        .type = STORE_CREATE_TOKEN,
        .create_token = {f->organization, id_of(7), f->project, {1, 2, 3}, SLICE("ci")}};
    must_write(f, &write);
    struct store_token token;
    struct store_error error;
    const uint8_t *digest = write.create_token.key_sha256;
    assert_int_equal(store_find_token(f->store, digest, &token, &error), STORE_OK);
    assert_uuid_equal(token.organization_id, f->organization);
    assert_uuid_equal(token.user_id, id_of(7));
    assert_uuid_equal(token.project_id, f->project);
}

static void given_digest_with_known_prefix_when_looked_up_then_unknown(void **state)
{
    struct fixture *f = *state;
    struct store_write write = {
        .type = STORE_CREATE_TOKEN,
        .create_token = {f->organization, id_of(7), f->project, {1, 2, 3}, SLICE("ci")}};
    must_write(f, &write);
    uint8_t other[32] = {1, 2, 3};
    other[31] = 1;
    struct store_token token;
    struct store_error error;
    assert_int_equal(store_find_token(f->store, other, &token, &error), STORE_NOT_FOUND);
}

/* ---- runs ---- */

struct run_rows {
    struct store_run_row rows[8];
    char function[8][16];
    size_t count;
};

static void add_run_row(void *user, const struct store_run_row *row)
{
    struct run_rows *rows = user;
    memcpy(rows->function[rows->count], row->test.function_name.data, row->test.function_name.size);
    rows->rows[rows->count++] = *row;
}

static void read_run(struct fixture *f, struct store_run *out, struct run_rows *rows)
{
    struct store_error error;
    struct uuid run = id_of(1);
    memset(rows, 0, sizeof *rows);
    assert_int_equal(store_read_run(f->store, &f->scope, &run, out, add_run_row, rows, &error),
                     STORE_OK);
}

static void given_run_when_read_then_tests_in_order_without_results(void **state)
{
    struct fixture *f = *state;
    create_run(f, 3);
    struct store_run run;
    struct run_rows rows;
    read_run(f, &run, &rows);
    assert_int_equal(run.status, RUN_QUEUED);
    assert_int_equal(run.started_unix_ns, 0);
    assert_int_equal(run.concurrency, 2);
    assert_int_equal(run.test_count, 3);
    assert_int_equal(rows.count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_uuid_equal(rows.rows[i].test.test_id, key_of(f, i + 1, 1).test);
        assert_string_equal(rows.function[i], "probe");
        assert_int_equal(rows.rows[i].test.timeout_ms, 1000);
        assert_int_equal(rows.rows[i].test.retries, i);
        assert_int_equal(rows.rows[i].test.name.data != NULL, i == 0);
        assert_int_equal(rows.rows[i].test.criteria.size, i == 0 ? 2 : 0);
        assert_false(rows.rows[i].has_result);
        assert_int_equal(rows.rows[i].spans, 0);
    }
}

static void given_run_with_result_and_spans_when_read_then_counted_per_test(void **state)
{
    struct fixture *f = *state;
    create_run(f, 2);
    struct link_key key = key_of(f, 2, 1);
    (void)insert_spans(f, &key, 0x11, 3);
    struct store_insert_result result = insert_result(f, &key);
    (void)try_link(f, &key, LINK_POINT_RESULT);
    (void)insert_spans(f, &key, 0x11, 1);
    struct store_run run;
    struct run_rows rows;
    read_run(f, &run, &rows);
    assert_false(rows.rows[0].has_result);
    assert_true(rows.rows[1].has_result);
    assert_uuid_equal(rows.rows[1].result_id, result.result_id);
    assert_int_equal(rows.rows[1].status, RESULT_PASS);
    assert_int_equal(rows.rows[1].attempt, 1);
    assert_int_equal(rows.rows[1].span_count, 2);
    assert_int_equal(rows.rows[1].spans, 4);
    assert_int_equal(rows.rows[1].linked, 3);
}

static void given_second_attempt_when_run_read_then_latest_result(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    struct link_key first = key_of(f, 1, 1);
    struct link_key second = key_of(f, 1, 2);
    (void)insert_result(f, &first);
    struct store_insert_result latest = insert_result(f, &second);
    struct store_run run;
    struct run_rows rows;
    read_run(f, &run, &rows);
    assert_uuid_equal(rows.rows[0].result_id, latest.result_id);
    assert_int_equal(rows.rows[0].attempt, 2);
}

static void given_unknown_project_when_run_created_then_not_found(void **state)
{
    struct fixture *f = *state;
    struct store_write write = {.type = STORE_CREATE_RUN,
                                .at_unix_ns = f->now,
                                .create_run = {.organization_id = f->organization,
                                               .project_id = id_of(0xb0000009),
                                               .run_id = id_of(1),
                                               .environment = SLICE("development"),
                                               .concurrency = 1}};
    assert_int_equal(store_write_one(f->store, &write), STORE_NOT_FOUND);
}

static void given_run_when_status_set_then_read_back(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    struct store_write write = {.type = STORE_SET_RUN_STATUS,
                                .set_run_status = {f->organization, id_of(1), RUN_COMPLETED}};
    must_write(f, &write);
    struct store_run run;
    struct run_rows rows;
    read_run(f, &run, &rows);
    assert_int_equal(run.status, RUN_COMPLETED);
    assert_int_equal(run.finished_unix_ns, f->now);
}

struct notice_texts {
    const struct store_run *run;
    char metrics[32];
    char webhook[32];
    char notice[32];
};

static void copy_notice(void *user, const struct store_run_row *row)
{
    struct notice_texts *t = user;
    (void)snprintf(t->metrics, sizeof t->metrics, "%.*s", SLICE_ARG(row->metrics));
    (void)snprintf(t->webhook, sizeof t->webhook, "%.*s", SLICE_ARG(t->run->webhook));
    (void)snprintf(t->notice, sizeof t->notice, "%.*s", SLICE_ARG(t->run->notice));
}

static void given_run_with_metrics_and_notice_when_read_then_their_texts(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    struct store_write result = {.type = STORE_INSERT_RESULT,
                                 .insert_result = {.project_id = f->project,
                                                   .key = key_of(f, 1, 1),
                                                   .metrics = SLICE("{\"metrics\":{}}")}};
    struct store_write notice = {
        .type = STORE_SET_RUN_NOTICE,
        .set_run_notice = {f->organization, id_of(1), SLICE("{\"status\":200}")}};
    must_write(f, &result);
    must_write(f, &notice);
    struct store_run run;
    struct notice_texts texts = {.run = &run};
    struct store_error error;
    struct uuid id = id_of(1);
    assert_int_equal(store_read_run(f->store, &f->scope, &id, &run, copy_notice, &texts, &error),
                     STORE_OK);
    assert_string_equal(texts.metrics, "{\"metrics\":{}}");
    assert_string_equal(texts.webhook, "http://127.0.0.1:9/done");
    assert_string_equal(texts.notice, "{\"status\":200}");
    notice.set_run_notice.organization_id = id_of(0xa0000002);
    assert_int_equal(store_write_one(f->store, &notice), STORE_NOT_FOUND);
}

static void given_foreign_scope_when_run_read_then_not_found(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    const struct store_scope other_organization = {.organization_id = id_of(0xa0000002)};
    const struct store_scope other_project = {.organization_id = f->organization,
                                              .project_id = id_of(0xb0000002)};
    struct store_run run;
    struct run_rows rows;
    struct store_error error;
    struct uuid id = id_of(1);
    assert_int_equal(
        store_read_run(f->store, &other_organization, &id, &run, add_run_row, &rows, &error),
        STORE_NOT_FOUND);
    assert_int_equal(
        store_read_run(f->store, &other_project, &id, &run, add_run_row, &rows, &error),
        STORE_NOT_FOUND);
}

/* ---- attempts ---- */

struct attempt_rows {
    struct store_attempt_row rows[8];
    char invocation[8][16];
    bool has_agent[8];
    size_t count;
};

static void add_attempt_row(void *user, const struct store_attempt_row *row)
{
    struct attempt_rows *rows = user;
    assert_true(row->invocation_id.size < sizeof rows->invocation[0]);
    if (row->invocation_id.size) {
        memcpy(rows->invocation[rows->count], row->invocation_id.data, row->invocation_id.size);
    }
    rows->has_agent[rows->count] = marline__slice_is(row->agent_id, "agent-1");
    rows->rows[rows->count++] = *row;
}

static enum store_status read_attempts(struct fixture *f, const struct store_scope *scope,
                                       struct attempt_rows *rows)
{
    struct store_error error;
    struct uuid run = id_of(1);
    memset(rows, 0, sizeof *rows);
    return store_read_attempts(f->store, scope, &run, add_attempt_row, rows, &error);
}

static void given_attempts_when_read_then_by_test_with_canonical_results(void **state)
{
    struct fixture *f = *state;
    create_run(f, 3);
    struct link_key first = key_of(f, 2, 1);
    struct link_key second = key_of(f, 2, 2);
    struct link_key other = key_of(f, 1, 1);
    record_invoked(f, &first);
    struct store_insert_result result = insert_result(f, &first);
    (void)insert_result(f, &first); /* a duplicate does not show */
    record_invoked(f, &second);
    (void)insert_result(f, &other);
    struct attempt_rows rows;
    assert_int_equal(read_attempts(f, &f->scope, &rows), STORE_OK);
    assert_int_equal(rows.count, 3);
    assert_int_equal(rows.rows[0].test, 0);
    assert_true(rows.rows[0].has_result);
    assert_null(rows.rows[0].invocation_id.data); /* posted, not dispatched */
    assert_int_equal(rows.rows[1].test, 1);
    assert_int_equal(rows.rows[1].attempt, 1);
    assert_string_equal(rows.invocation[1], "invoke_1");
    assert_uuid_equal(rows.rows[1].result_id, result.result_id);
    assert_int_equal(rows.rows[1].status, RESULT_PASS);
    assert_int_equal(rows.rows[2].attempt, 2);
    assert_string_equal(rows.invocation[2], "invoke_1");
    assert_true(rows.has_agent[2]);
    assert_false(rows.has_agent[0]);
    assert_false(rows.rows[2].has_result);
}

static void given_spans_of_an_attempt_never_made_when_attempts_read_then_not_there(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    struct link_key key = key_of(f, 1, 5);
    (void)insert_spans(f, &key, 0x11, 1);
    struct attempt_rows rows;
    assert_int_equal(read_attempts(f, &f->scope, &rows), STORE_OK);
    assert_int_equal(rows.count, 0);
}

static void given_foreign_scope_when_attempts_read_then_not_found(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    const struct store_scope other = {.organization_id = id_of(0xa0000002)};
    struct attempt_rows rows;
    assert_int_equal(read_attempts(f, &other, &rows), STORE_NOT_FOUND);
}

/* ---- what a restarted backend reads ---- */

static void set_status(struct fixture *f, enum run_status status)
{
    struct store_write write = {.type = STORE_SET_RUN_STATUS,
                                .set_run_status = {f->organization, id_of(1), status}};
    must_write(f, &write);
}

static void count_run(void *user, const struct store_run *run)
{
    size_t *count = user;
    *count += run->test_count == 2 && run->concurrency == 2 &&
              marline__slice_is(run->environment, "development");
}

static size_t count_unfinished_of(struct fixture *f, struct slice backend)
{
    struct store_error error;
    size_t count = 0;
    assert_int_equal(store_unfinished_runs(f->store, backend, count_run, &count, &error), STORE_OK);
    return count;
}

static size_t count_unfinished(struct fixture *f)
{
    return count_unfinished_of(f, SLICE_EMPTY);
}

static void given_runs_when_unfinished_are_read_then_until_completed_or_cancelled(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(count_unfinished(f), 0);
    create_run(f, 2);
    assert_int_equal(count_unfinished(f), 1);
    set_status(f, RUN_RUNNING);
    assert_int_equal(count_unfinished(f), 1);
    set_status(f, RUN_CANCELLING);
    assert_int_equal(count_unfinished(f), 1);
    set_status(f, RUN_CANCELLED);
    assert_int_equal(count_unfinished(f), 0);
    set_status(f, RUN_COMPLETED);
    assert_int_equal(count_unfinished(f), 0);
}

static void given_run_of_a_backend_when_unfinished_are_read_then_for_that_one_only(void **state)
{
    struct fixture *f = *state;
    create_run_of(f, 2, SLICE("east"));
    assert_int_equal(count_unfinished_of(f, SLICE("east")), 1);
    assert_int_equal(count_unfinished_of(f, SLICE("west")), 0);
    assert_int_equal(count_unfinished(f), 0);
}

/* It came over REST, and so do its results: nothing is to be executed here. */
static void given_run_without_tests_when_unfinished_are_read_then_left_out(void **state)
{
    struct fixture *f = *state;
    create_run(f, 0);
    assert_int_equal(count_unfinished(f), 0);
}

static void count_untold(void *user, const struct store_untold_run *run)
{
    size_t *count = user;
    *count += marline__slice_is(run->webhook, "http://h/?k=v");
}

static size_t untold_of(struct fixture *f, struct slice backend, size_t limit)
{
    struct store_error error;
    size_t count = 0;
    assert_int_equal(store_untold_runs(f->store, backend, limit, count_untold, &count, &error),
                     STORE_OK);
    return count;
}

static size_t untold(struct fixture *f, size_t limit)
{
    return untold_of(f, SLICE_EMPTY, limit);
}

static void given_runs_with_webhook_when_ended_then_untold_until_there_is_a_notice(void **state)
{
    struct fixture *f = *state;
    for (uint32_t i = 2; i < 4; i++) {
        struct store_write write = {.type = STORE_CREATE_RUN,
                                    .at_unix_ns = i,
                                    .create_run = {.organization_id = f->organization,
                                                   .project_id = f->project,
                                                   .run_id = id_of(i),
                                                   .environment = SLICE("development"),
                                                   .webhook = SLICE("http://h/?k=v")}};
        must_write(f, &write);
        assert_int_equal(untold(f, 10), i - 2);
        write = (struct store_write){
            .type = STORE_SET_RUN_STATUS,
            .set_run_status = {f->organization, id_of(i), i == 2 ? RUN_COMPLETED : RUN_CANCELLED}};
        must_write(f, &write);
        assert_int_equal(untold(f, 10), i - 1);
    }
    assert_int_equal(untold(f, 1), 1);
    struct store_write write = {.type = STORE_SET_RUN_NOTICE,
                                .set_run_notice = {f->organization, id_of(2), SLICE("{}")}};
    must_write(f, &write);
    assert_int_equal(untold(f, 10), 1);
}

/* Two that tell of the same run would tell the webhook twice. */
static void given_run_of_a_backend_when_untold_are_read_then_for_that_one_only(void **state)
{
    struct fixture *f = *state;
    struct store_write write = {.type = STORE_CREATE_RUN,
                                .create_run = {.organization_id = f->organization,
                                               .project_id = f->project,
                                               .run_id = id_of(2),
                                               .environment = SLICE("development"),
                                               .webhook = SLICE("http://h/?k=v"),
                                               .backend = SLICE("west")}};
    must_write(f, &write);
    write = (struct store_write){.type = STORE_SET_RUN_STATUS,
                                 .set_run_status = {f->organization, id_of(2), RUN_COMPLETED}};
    must_write(f, &write);
    assert_int_equal(untold_of(f, SLICE("west"), 10), 1);
    assert_int_equal(untold_of(f, SLICE("east"), 10), 0);
    assert_int_equal(untold(f, 10), 0);
}

static void count_invocation(void *user, struct slice invocation_id)
{
    size_t *count = user;
    assert_true(marline__slice_is(invocation_id, "invoke_1"));
    ++*count;
}

static size_t count_answered(struct fixture *f, size_t limit)
{
    struct store_error error;
    size_t count = 0;
    assert_int_equal(store_answered_invocations(f->store, limit, count_invocation, &count, &error),
                     STORE_OK);
    return count;
}

static void given_invocations_when_answered_are_read_then_those_with_results(void **state)
{
    struct fixture *f = *state;
    struct link_key first = key_of(f, 1, 1);
    struct link_key second = key_of(f, 2, 1);
    record_invoked(f, &first);
    record_invoked(f, &second);
    assert_int_equal(count_answered(f, 10), 0);
    (void)insert_result(f, &first);
    assert_int_equal(count_answered(f, 10), 1);
    (void)insert_result(f, &second);
    assert_int_equal(count_answered(f, 10), 2);
    assert_int_equal(count_answered(f, 1), 1);
}

/* ---- results ---- */

static void given_first_result_when_stored_then_id_is_derived_from_key(void **state)
{
    struct fixture *f = *state;
    struct link_key key = key_of(f, 1, 1);
    struct store_insert_result result = insert_result(f, &key);
    assert_false(result.is_duplicate);
    assert_uuid_equal(result.result_id, link_key_result_id(&key));
}

static void given_result_when_repeated_then_duplicate_of_the_first(void **state)
{
    struct fixture *f = *state;
    struct link_key key = key_of(f, 1, 1);
    struct store_insert_result first = insert_result(f, &key);
    struct store_insert_result second = insert_result(f, &key);
    assert_true(second.is_duplicate);
    assert_uuid_equal(second.duplicate_of, first.result_id);
    assert_uuid_equal(second.result_id, second.spare_id);
}

static void given_other_attempt_when_stored_then_canonical_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct link_key first = key_of(f, 1, 1);
    struct link_key second = key_of(f, 1, 2);
    struct store_insert_result a = insert_result(f, &first);
    struct store_insert_result b = insert_result(f, &second);
    assert_false(b.is_duplicate);
    assert_memory_not_equal(a.result_id.bytes, b.result_id.bytes, 16);
}

static void given_result_without_attempt_when_stored_then_invalid(void **state)
{
    struct fixture *f = *state;
    struct store_write write = {.type = STORE_INSERT_RESULT,
                                .at_unix_ns = f->now,
                                .insert_result = {.key = key_of(f, 1, 0)}};
    assert_int_equal(store_write_one(f->store, &write), STORE_INVALID);
}

/* ---- spans ---- */

static void given_span_when_posted_again_then_counted_as_duplicate(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    struct link_key key = key_of(f, 1, 1);
    struct store_span spans[3] = {make_span(f, &key, 1), make_span(f, &key, 1)};
    spans[2] = spans[0]; /* a repeat within the POST */
    struct store_write write = {
        .type = STORE_INSERT_SPANS,
        .insert_spans = {f->organization, f->project, SLICE("p"), spans, 3, 0, 0}};
    must_write(f, &write);
    assert_int_equal(write.insert_spans.stored, 2);
    assert_int_equal(write.insert_spans.duplicates, 1);
    assert_false(spans[1].duplicate);
    assert_true(spans[2].duplicate);
    must_write(f, &write);
    assert_int_equal(write.insert_spans.stored, 0);
    assert_int_equal(write.insert_spans.duplicates, 3);
    struct span_list list;
    read_spans(f, &list);
    assert_int_equal(list.count, 2);
}

static void given_same_ids_in_two_organizations_when_posted_then_both_stored(void **state)
{
    struct fixture *f = *state;
    struct store_span span = make_span(f, NULL, 1);
    struct store_write write = {
        .type = STORE_INSERT_SPANS,
        .insert_spans = {f->organization, f->project, SLICE("p"), &span, 1, 0, 0}};
    must_write(f, &write);
    write.insert_spans.organization_id = id_of(0xa0000002);
    must_write(f, &write);
    assert_int_equal(write.insert_spans.stored, 1);
}

/* F14: in the reference one unknown id fails the whole batch. */
static void given_ids_unknown_to_the_store_when_posted_then_batch_is_stored(void **state)
{
    struct fixture *f = *state;
    struct link_key unknown = {f->organization, id_of(91), id_of(92), id_of(93), 0};
    struct store_span spans[2] = {make_span(f, &unknown, 1), make_span(f, NULL, 2)};
    struct store_write write = {
        .type = STORE_INSERT_SPANS,
        .insert_spans = {f->organization, id_of(94), SLICE("p"), spans, 2, 0, 0}};
    must_write(f, &write);
    assert_int_equal(write.insert_spans.stored, 2);
}

static void given_span_when_read_then_as_written(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    struct link_key key = key_of(f, 1, 1);
    struct store_span span = make_span(f, &key, 0xab);
    span.has_parent = true;
    memset(span.parent_span_id, 0xcd, sizeof span.parent_span_id);
    struct store_write write = {
        .type = STORE_INSERT_SPANS,
        .insert_spans = {f->organization, f->project, SLICE("p"), &span, 1, 0, 0}};
    must_write(f, &write);
    struct span_list list;
    read_spans(f, &list);
    assert_int_equal(list.count, 1);
    assert_memory_equal(list.rows[0].trace_id, span.trace_id, 16);
    assert_memory_equal(list.rows[0].span_id, span.span_id, 8);
    assert_true(list.rows[0].has_parent);
    assert_memory_equal(list.rows[0].parent_span_id, span.parent_span_id, 8);
    assert_uuid_equal(list.rows[0].configuration_id, key.configuration);
    assert_false(list.rows[0].has_result);
    assert_true(list.rows[0].stored_unix_ns == write.at_unix_ns);
}

/* ---- ledger ---- */

static void given_all_kinds_of_spans_when_ledger_read_then_it_balances(void **state)
{
    struct fixture *f = *state;
    create_run(f, 2);
    struct link_key linked = key_of(f, 1, 1);
    struct link_key waiting = key_of(f, 2, 1);
    (void)insert_result(f, &linked);
    (void)insert_spans(f, &linked, 1, 3);
    (void)try_link(f, &linked, LINK_POINT_INGEST);
    (void)insert_spans(f, &waiting, 2, 2);
    (void)insert_spans(f, NULL, 3, 4);
    f->next_span -= 4;
    (void)insert_spans(f, NULL, 3, 4); /* the same again */
    struct store_write rejected = {.type = STORE_RECORD_REJECTED,
                                   .record_rejected = {f->organization, SLICE("bad"), 5}};
    must_write(f, &rejected);
    struct store_ledger ledger = read_ledger(f);
    assert_int_equal(ledger.received, 18);
    assert_int_equal(ledger.stored, 9);
    assert_int_equal(ledger.duplicate, 4);
    assert_int_equal(ledger.rejected, 5);
    assert_int_equal(ledger.linked, 3);
    assert_int_equal(ledger.waiting, 2);
    assert_int_equal(ledger.without_context, 4);
    assert_int_equal(ledger.links_by_source[LINK_POINT_INGEST], 3);
    assert_int_equal(ledger.links_by_source[LINK_POINT_RESULT], 0);
    assert_int_equal(ledger.links_by_source[LINK_POINT_SWEEP], 0);
}

static void given_foreign_organization_when_ledger_read_then_all_zero(void **state)
{
    struct fixture *f = *state;
    (void)insert_spans(f, NULL, 3, 4);
    f->scope.organization_id = id_of(0xa0000002);
    struct store_ledger ledger = read_ledger(f);
    const struct store_ledger nothing = {0};
    assert_memory_equal(&ledger, &nothing, sizeof ledger);
}

/* ---- batches ---- */

static void given_bad_write_in_batch_when_committed_then_neighbours_stand(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    struct link_key key = key_of(f, 1, 1);
    struct store_span span = make_span(f, &key, 1);
    struct store_write spans = {
        .type = STORE_INSERT_SPANS,
        .at_unix_ns = f->now,
        .insert_spans = {f->organization, f->project, SLICE("p"), &span, 1, 0, 0}};
    struct store_write run_again = {
        .type = STORE_CREATE_RUN,
        .at_unix_ns = f->now,
        .create_run = {f->organization, f->project, id_of(1), SLICE("development"), 1, NULL, 0}};
    struct store_write result = {.type = STORE_INSERT_RESULT,
                                 .at_unix_ns = f->now,
                                 .insert_result = {.project_id = f->project, .key = key}};
    struct store_write *const batch[] = {&spans, &run_again, &result};
    struct store_error error;
    assert_int_equal(store_write_all(f->store, batch, 3, &error), STORE_OK);
    assert_int_equal(spans.outcome.status, STORE_OK);
    assert_int_equal(run_again.outcome.status, STORE_CONFLICT);
    assert_int_equal(result.outcome.status, STORE_OK);
    assert_int_equal(read_ledger(f).stored, 1);
    assert_int_equal(try_link(f, &key, LINK_POINT_INGEST).linked, 1);
}

static void given_refused_run_when_corrected_then_accepted(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    struct store_write orphan = {.type = STORE_CREATE_RUN,
                                 .at_unix_ns = f->now,
                                 .create_run = {f->organization, id_of(0xb0000009), id_of(2),
                                                SLICE("development"), 1, NULL, 0}};
    assert_int_equal(store_write_one(f->store, &orphan), STORE_NOT_FOUND);
    orphan.create_run.project_id = f->project;
    assert_int_equal(store_write_one(f->store, &orphan), STORE_OK);
}

int run_entity_contract(const struct store_kind *kind)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(given_project_when_created_again_then_listed_once),
        CONTRACT_TEST(given_project_when_claimed_by_another_organization_then_conflict),
        CONTRACT_TEST(given_foreign_scope_when_projects_listed_then_none),
        CONTRACT_TEST(given_token_when_looked_up_then_its_owner),
        CONTRACT_TEST(given_digest_with_known_prefix_when_looked_up_then_unknown),
        CONTRACT_TEST(given_run_when_read_then_tests_in_order_without_results),
        CONTRACT_TEST(given_run_with_result_and_spans_when_read_then_counted_per_test),
        CONTRACT_TEST(given_second_attempt_when_run_read_then_latest_result),
        CONTRACT_TEST(given_unknown_project_when_run_created_then_not_found),
        CONTRACT_TEST(given_run_when_status_set_then_read_back),
        CONTRACT_TEST(given_run_with_metrics_and_notice_when_read_then_their_texts),
        CONTRACT_TEST(given_foreign_scope_when_run_read_then_not_found),
        CONTRACT_TEST(given_attempts_when_read_then_by_test_with_canonical_results),
        CONTRACT_TEST(given_spans_of_an_attempt_never_made_when_attempts_read_then_not_there),
        CONTRACT_TEST(given_foreign_scope_when_attempts_read_then_not_found),
        CONTRACT_TEST(given_runs_when_unfinished_are_read_then_until_completed_or_cancelled),
        CONTRACT_TEST(given_run_of_a_backend_when_unfinished_are_read_then_for_that_one_only),
        CONTRACT_TEST(given_run_without_tests_when_unfinished_are_read_then_left_out),
        CONTRACT_TEST(given_runs_with_webhook_when_ended_then_untold_until_there_is_a_notice),
        CONTRACT_TEST(given_run_of_a_backend_when_untold_are_read_then_for_that_one_only),
        CONTRACT_TEST(given_invocations_when_answered_are_read_then_those_with_results),
        CONTRACT_TEST(given_first_result_when_stored_then_id_is_derived_from_key),
        CONTRACT_TEST(given_result_when_repeated_then_duplicate_of_the_first),
        CONTRACT_TEST(given_other_attempt_when_stored_then_canonical_of_its_own),
        CONTRACT_TEST(given_result_without_attempt_when_stored_then_invalid),
        CONTRACT_TEST(given_span_when_posted_again_then_counted_as_duplicate),
        CONTRACT_TEST(given_same_ids_in_two_organizations_when_posted_then_both_stored),
        CONTRACT_TEST(given_ids_unknown_to_the_store_when_posted_then_batch_is_stored),
        CONTRACT_TEST(given_span_when_read_then_as_written),
        CONTRACT_TEST(given_all_kinds_of_spans_when_ledger_read_then_it_balances),
        CONTRACT_TEST(given_foreign_organization_when_ledger_read_then_all_zero),
        CONTRACT_TEST(given_bad_write_in_batch_when_committed_then_neighbours_stand),
        CONTRACT_TEST(given_refused_run_when_corrected_then_accepted),
    };
    fixture_use(kind);
    return cmocka_run_group_tests_name(kind->name, tests, NULL, NULL);
}
