/* See run_summary.h. */
#include "hub/run_summary.h"

#include "core/alloc.h"
#include "core/json_member.h"
#include "hub/run_attempts.h"

struct counting {
    struct run_summary *summary;
    const struct run_attempts *attempts;
    const struct store_run *run;
    size_t row;
};

static bool is_over(enum run_status status)
{
    return status == RUN_COMPLETED || status == RUN_CANCELLED;
}

static void count_result(struct run_summary *s, const struct store_run_row *row, bool dispatched)
{
    /* An attempt beyond the one with the result is under way: the result is not the test's. */
    bool goes_on = dispatched || (row->has_result && row->status == RESULT_ERROR &&
                                  row->attempt <= row->test.retries);
    if (goes_on && !is_over(s->status)) {
        s->running++;
    } else if (!row->has_result) {
        s->skipped += is_over(s->status);
        s->waiting += !is_over(s->status);
    } else if (row->status == RESULT_PASS) {
        s->passed++;
    } else if (row->status == RESULT_FAIL) {
        s->failed++;
    } else {
        s->errors++;
    }
}

static void count_row(void *user, const struct store_run_row *row)
{
    struct counting *c = user;
    struct run_summary *s = c->summary;
    size_t count = 0;
    const struct run_attempt *attempts = run_attempts_of(c->attempts, c->row++, &count);
    if (s->tests == 0) { /* the head's texts are valid during the visits */
        s->status = c->run->status;
        s->name = c->run->name.data ? alloc_slice(c->run->name) : NULL;
        s->webhook = c->run->webhook.data ? alloc_slice(c->run->webhook) : NULL;
    }
    s->tests++;
    s->spans += row->spans;
    s->linked += row->linked;
    count_result(s, row, count > 0 && !attempts[count - 1].row.has_result);
}

enum store_status run_summary_read(struct store *store, const struct store_scope *scope,
                                   const struct uuid *run_id, struct run_summary *out,
                                   struct store_error *error)
{
    struct run_attempts attempts;
    struct store_run run;
    *out = (struct run_summary){.run_id = *run_id};
    struct counting c = {.summary = out, .attempts = &attempts, .run = &run};
    enum store_status status = run_attempts_read(store, scope, run_id, &attempts, error);
    if (status == STORE_OK) {
        status = store_read_run(store, scope, run_id, &run, count_row, &c, error);
    }
    if (status == STORE_OK) {
        out->status = run.status;
        out->project_id = run.project_id;
        out->started_unix_ns = run.started_unix_ns;
        out->finished_unix_ns = run.finished_unix_ns;
    } else {
        run_summary_deinit(out);
    }
    run_attempts_deinit(&attempts);
    return status;
}

void run_summary_deinit(struct run_summary *s)
{
    marline__memory_free(s->name);
    marline__memory_free(s->webhook);
    s->name = s->webhook = NULL;
}

static void write_time(struct json_writer *w, const char *key, uint64_t unix_ns)
{
    if (unix_ns) {
        json_member_time(w, key, unix_ns);
    } else {
        marline__json_member_null(w, key);
    }
}

void run_summary_write(struct json_writer *w, const struct run_summary *s)
{
    json_member_uuid(w, "test_run_id", &s->run_id);
    json_member_uuid(w, "project_id", &s->project_id);
    marline__json_member_text(w, "name", s->name);
    marline__json_member_text(w, "status", run_status_name(s->status));
    marline__json_member_bool(w, "finished", is_over(s->status));
    write_time(w, "started_at", s->started_unix_ns);
    write_time(w, "finished_at", s->finished_unix_ns);
    marline__json_member_int(w, "tests", (int64_t)s->tests);
    marline__json_member_int(w, "passed", (int64_t)s->passed);
    marline__json_member_int(w, "failed", (int64_t)s->failed);
    marline__json_member_int(w, "errors", (int64_t)s->errors);
    marline__json_member_int(w, "running", (int64_t)s->running);
    marline__json_member_int(w, "waiting", (int64_t)s->waiting);
    marline__json_member_int(w, "skipped", (int64_t)s->skipped);
    marline__json_member_int(w, "spans", (int64_t)s->spans);
    marline__json_member_int(w, "linked", (int64_t)s->linked);
}
