/* Four witnesses that know nothing of each other: the backend's results, its timeline and its
 * spans; the agent's outbox, read from disk; the file that the handler wrote. */
#include "fault_verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <sqlite3.h>

#include "../support/program.h"
#include "base/memory.h"

enum { RESULT_STORED_STATE = 3 }; /* settled, in the outbox's schema */

__attribute__((format(printf, 2, 3))) static bool deny(char why[VERDICT_TEXT_SIZE],
                                                       const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why, VERDICT_TEXT_SIZE, format, arguments);
    va_end(arguments);
    return false;
}

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(object, name));
    return text ? text : "";
}

static cJSON *ask(struct fault_stage *s, const char *run_id, const char *suffix)
{
    char path[128];
    (void)snprintf(path, sizeof path, "/mock/runs/%s%s", run_id, suffix);
    return fault_stage_call(s, "GET", path, NULL);
}

bool verdict_is_completed(const cJSON *run)
{
    return strcmp(text_of(run, "status"), "completed") == 0;
}

/* ---- the agent's outbox ---- */

/* The agent may be at work on the file, or another may just have closed it: wait for the turn. */
static bool open_outbox(struct fault_stage *s, sqlite3 **out_db)
{
    enum { TURN_WAIT_MS = 10000 };
    return sqlite3_open_v2(fault_stage_outbox(s), out_db, SQLITE_OPEN_READWRITE, NULL) ==
               SQLITE_OK &&
           sqlite3_busy_timeout(*out_db, TURN_WAIT_MS) == SQLITE_OK;
}

/* The state of an invocation, 0 = it was never accepted, -1 = the file cannot be read. */
static int outbox_state(struct fault_stage *s, const char *invocation_id)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    int state = -1;
    if (open_outbox(s, &db) &&
        sqlite3_prepare_v2(db, "SELECT max(state) FROM invocation WHERE id=CAST(?1 AS BLOB)", -1,
                           &q, NULL) == SQLITE_OK) {
        sqlite3_bind_text(q, 1, invocation_id, -1, SQLITE_STATIC);
        state = sqlite3_step(q) == SQLITE_ROW ? sqlite3_column_int(q, 0) : -1;
    }
    sqlite3_finalize(q);
    sqlite3_close(db);
    return state;
}

size_t verdict_accepted(struct fault_stage *s)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    size_t count = 0;
    if (open_outbox(s, &db) &&
        sqlite3_prepare_v2(db, "SELECT count(*) FROM invocation", -1, &q, NULL) == SQLITE_OK &&
        sqlite3_step(q) == SQLITE_ROW) {
        count = (size_t)sqlite3_column_int64(q, 0);
    }
    sqlite3_finalize(q);
    sqlite3_close(db);
    return count;
}

/* ---- the handler's file ---- */

static size_t executions_of(struct fault_stage *s, const char *invocation_id)
{
    char *text = program_read_file(fault_stage_executions(s));
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, invocation_id)) != NULL; at++) {
        count++;
    }
    marline__memory_free(text);
    return count;
}

/* ---- the backend ---- */

static size_t results_of(const cJSON *timeline, const char *test_id)
{
    const cJSON *event;
    size_t count = 0;
    cJSON_ArrayForEach(event, cJSON_GetObjectItem(timeline, "events"))
    {
        count += strcmp(text_of(event, "type"), "result_stored") == 0 &&
                 strcmp(text_of(event, "test_id"), test_id) == 0;
    }
    return count;
}

static const char *invocation_of(const cJSON *timeline, const char *test_id)
{
    const cJSON *event;
    cJSON_ArrayForEach(event, cJSON_GetObjectItem(timeline, "events"))
    {
        if (strcmp(text_of(event, "type"), "invoked") == 0 &&
            strcmp(text_of(event, "test_id"), test_id) == 0) {
            return text_of(event, "invocation_id");
        }
    }
    return "";
}

/* The spans of an execution, or of why there was none, which carry the test's result. */
static bool check_spans(const cJSON *spans, const char *test_id, const char *result_id,
                        char why[VERDICT_TEXT_SIZE])
{
    const cJSON *span;
    size_t own = 0;
    cJSON_ArrayForEach(span, cJSON_GetObjectItem(spans, "spans"))
    {
        if (strcmp(text_of(span, "test_id"), test_id) != 0) {
            continue;
        }
        if (strcmp(text_of(span, "test_result_id"), result_id) != 0) {
            return deny(why, "span %s (%s) of test %s is linked to '%s' instead of its result %s",
                        text_of(span, "span_id"), text_of(span, "span_name"), test_id,
                        text_of(span, "test_result_id"), result_id);
        }
        own += strcmp(text_of(span, "span_name"), "function.work") == 0;
    }
    return own > 0 || deny(why, "test %s has no span of its invocation", test_id);
}

static bool check_test(struct fault_stage *s, const cJSON *result, const cJSON *timeline,
                       const cJSON *spans, char why[VERDICT_TEXT_SIZE])
{
    const char *test_id = text_of(result, "test_id");
    const char *status = text_of(result, "status");
    const char *invocation_id = invocation_of(timeline, test_id);
    size_t stored = results_of(timeline, test_id);
    if (stored != 1 || (strcmp(status, "Pass") != 0 && strcmp(status, "Error") != 0)) {
        return deny(why, "test %s (%s) has %zu results, the status is '%s'", test_id, invocation_id,
                    stored, status);
    }
    if (!invocation_id[0]) {
        return deny(why, "test %s was never invoked", test_id);
    }
    size_t executions = executions_of(s, invocation_id);
    bool passed = strcmp(status, "Pass") == 0;
    if (executions > 1 || (passed && executions != 1)) {
        return deny(why, "invocation %s was executed %zu times, its result is %s", invocation_id,
                    executions, status);
    }
    int state = outbox_state(s, invocation_id);
    if (state == 0 && executions == 0 && !passed) {
        return true; /* it never reached the agent: the backend alone ended it */
    }
    if (state != RESULT_STORED_STATE) {
        return deny(why, "invocation %s is in state %d of the outbox", invocation_id, state);
    }
    return check_spans(spans, test_id, text_of(result, "test_result_id"), why);
}

bool verdict_holds(struct fault_stage *s, const char *run_id, char why[VERDICT_TEXT_SIZE])
{
    cJSON *run = ask(s, run_id, "");
    cJSON *timeline = ask(s, run_id, "/timeline");
    cJSON *spans = ask(s, run_id, "/spans");
    const cJSON *result;
    bool holds = run && timeline && spans ? true : deny(why, "the backend does not answer");
    if (holds && !verdict_is_completed(run)) {
        holds = deny(why, "the run is %s", text_of(run, "status"));
    }
    cJSON_ArrayForEach(result, cJSON_GetObjectItem(run, "results"))
    {
        holds = holds && check_test(s, result, timeline, spans, why);
    }
    cJSON_Delete(spans);
    cJSON_Delete(timeline);
    cJSON_Delete(run);
    return holds;
}
