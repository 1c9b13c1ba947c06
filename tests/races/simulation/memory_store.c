/* See memory_store.h. Every write succeeds or is a caller's bug: who wants failures makes them in
 * front of the store. Rows are kept in order of storing. */
#include "memory_store.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "core/alloc.h"
#include "core/attempt.h"
#include "core/run.h"

enum { TABLE_FIRST = 64, SHORT_TEXT_SIZE = 48 };

struct span_record {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    struct uuid organization;
    bool has_key;
    struct link_key key;
    uint64_t start_unix_ns;
    bool has_result;
    struct uuid result;
    enum link_point source;
};

struct result_record {
    struct link_key key;
    struct uuid id;
    bool canonical;
    enum result_status status;
    uint64_t stored_unix_ns;
    bool has_trace;
    uint8_t trace_id[16];
};

struct run_record {
    struct uuid organization;
    struct uuid project;
    struct uuid id;
    enum run_status status;
    char backend[SHORT_TEXT_SIZE];
    uint32_t concurrency;
    struct store_run_test *tests; /* owned; their texts are not kept */
    size_t test_count;
};

struct invoked_record {
    struct link_key key;
    uint64_t at_unix_ns;
    char invocation_id[SHORT_TEXT_SIZE];
    char agent_id[SHORT_TEXT_SIZE];
};

struct memory_store {
    struct store base;
    struct run_record *runs;
    size_t run_count, run_capacity;
    struct invoked_record *invoked;
    size_t invoked_count, invoked_capacity;
    struct result_record *results;
    size_t result_count, result_capacity;
    struct span_record *spans;
    size_t span_count, span_capacity;
    uint64_t received, rejected, duplicates;
    uint32_t attempt_max; /* of all invocations and results */
};

static struct memory_store *memory_of(struct store *store)
{
    return (struct memory_store *)store;
}

static void *grown(void *rows, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) {
        return rows;
    }
    *capacity = *capacity ? 2 * *capacity : TABLE_FIRST;
    return alloc_resize(rows, *capacity * size);
}

static bool is_same_test(const struct link_key *a, const struct link_key *b)
{
    struct link_key same = *a;
    same.attempt = b->attempt;
    return link_key_equal(&same, b);
}

static const struct result_record *canonical_of(const struct memory_store *m,
                                                const struct link_key *key)
{
    for (size_t i = 0; i < m->result_count; i++) {
        const struct result_record *r = &m->results[i];
        if (r->canonical && link_key_equal(&r->key, key)) {
            return r;
        }
    }
    return NULL;
}

static const struct invoked_record *invoked_of(const struct memory_store *m,
                                               const struct link_key *key)
{
    for (size_t i = 0; i < m->invoked_count; i++) {
        if (link_key_equal(&m->invoked[i].key, key)) {
            return &m->invoked[i];
        }
    }
    return NULL;
}

/* The result that a span belongs to, whose key says its attempt or leaves that to be found out; the
 * attempt in any case, 0 = nobody knows. */
static const struct result_record *
result_of_span(const struct memory_store *m, const struct span_record *span, uint32_t *out_attempt)
{
    struct attempt known[RUN_RETRIES_MAX + 1]; /* no run has more */
    size_t count = 0;
    struct link_key key = span->key;
    *out_attempt = key.attempt;
    for (key.attempt = 1; *out_attempt == 0 && key.attempt <= m->attempt_max; key.attempt++) {
        const struct result_record *result = canonical_of(m, &key);
        const struct invoked_record *invoked = invoked_of(m, &key);
        if (!result && !invoked) {
            continue;
        }
        known[count] = (struct attempt){
            .number = key.attempt,
            .dispatched_unix_ns = invoked ? invoked->at_unix_ns : 0,
            .finished_unix_ns = result ? result->stored_unix_ns : UINT64_MAX,
            .has_trace = result && result->has_trace,
        };
        if (result) {
            memcpy(known[count].trace_id, result->trace_id, sizeof result->trace_id);
        }
        count++;
    }
    if (*out_attempt == 0) {
        *out_attempt = attempt_choose(known, count, span->trace_id, span->start_unix_ns, NULL);
    }
    key.attempt = *out_attempt;
    return *out_attempt ? canonical_of(m, &key) : NULL;
}

/* ---- writes ---- */

static void create_run(struct memory_store *m, const struct store_create_run *in)
{
    m->runs = grown(m->runs, m->run_count, &m->run_capacity, sizeof *m->runs);
    struct run_record *run = &m->runs[m->run_count++];
    *run = (struct run_record){.organization = in->organization_id,
                               .project = in->project_id,
                               .id = in->run_id,
                               .concurrency = in->concurrency,
                               .test_count = in->test_count};
    (void)snprintf(run->backend, sizeof run->backend, "%.*s", SLICE_ARG(in->backend));
    run->tests = alloc_array(in->test_count, sizeof *run->tests);
    for (size_t i = 0; i < in->test_count; i++) {
        run->tests[i].test_id = in->tests[i].test_id;
        run->tests[i].configuration_id = in->tests[i].configuration_id;
        run->tests[i].timeout_ms = in->tests[i].timeout_ms;
        run->tests[i].retries = in->tests[i].retries;
    }
}

static void note_attempt(struct memory_store *m, const struct link_key *key)
{
    assert(key->attempt <= RUN_RETRIES_MAX + 1);
    m->attempt_max = key->attempt > m->attempt_max ? key->attempt : m->attempt_max;
}

static void record_invoked(struct memory_store *m, const struct store_write *write)
{
    const struct store_record_invoked *in = &write->record_invoked;
    note_attempt(m, &in->key);
    m->invoked = grown(m->invoked, m->invoked_count, &m->invoked_capacity, sizeof *m->invoked);
    struct invoked_record *record = &m->invoked[m->invoked_count++];
    *record = (struct invoked_record){.key = in->key, .at_unix_ns = write->at_unix_ns};
    (void)snprintf(record->invocation_id, sizeof record->invocation_id, "%.*s",
                   SLICE_ARG(in->invocation_id));
    (void)snprintf(record->agent_id, sizeof record->agent_id, "%.*s", SLICE_ARG(in->agent_id));
}

static struct run_record *find_run(struct memory_store *m, const struct uuid *id)
{
    for (size_t i = 0; i < m->run_count; i++) {
        if (marline__uuid_equal(&m->runs[i].id, id)) {
            return &m->runs[i];
        }
    }
    return NULL;
}

static void insert_result(struct memory_store *m, struct store_write *write)
{
    struct store_insert_result *in = &write->insert_result;
    note_attempt(m, &in->key);
    const struct result_record *known = canonical_of(m, &in->key);
    in->is_duplicate = known != NULL;
    in->duplicate_of = known ? known->id : (struct uuid){{0}};
    in->result_id = known ? in->spare_id : link_key_result_id(&in->key);
    m->results = grown(m->results, m->result_count, &m->result_capacity, sizeof *m->results);
    struct result_record *result = &m->results[m->result_count++];
    *result = (struct result_record){.key = in->key,
                                     .id = in->result_id,
                                     .canonical = !in->is_duplicate,
                                     .status = in->status,
                                     .stored_unix_ns = write->at_unix_ns};
    result->has_trace =
        in->trace_id.size == 2 * sizeof result->trace_id &&
        marline__hex_decode(in->trace_id, result->trace_id, sizeof result->trace_id);
}

static bool is_stored(const struct memory_store *m, const struct store_span *span,
                      const struct uuid *organization)
{
    for (size_t i = 0; i < m->span_count; i++) {
        const struct span_record *s = &m->spans[i];
        if (memcmp(s->span_id, span->span_id, sizeof s->span_id) == 0 &&
            memcmp(s->trace_id, span->trace_id, sizeof s->trace_id) == 0 &&
            marline__uuid_equal(&s->organization, organization)) {
            return true;
        }
    }
    return false;
}

static void insert_spans(struct memory_store *m, struct store_insert_spans *in)
{
    in->stored = in->duplicates = 0;
    for (size_t i = 0; i < in->count; i++) {
        struct store_span *span = &in->spans[i];
        m->received++;
        span->duplicate = is_stored(m, span, &in->organization_id);
        if (span->duplicate) {
            in->duplicates++;
            m->duplicates++;
            continue;
        }
        in->stored++;
        m->spans = grown(m->spans, m->span_count, &m->span_capacity, sizeof *m->spans);
        struct span_record *s = &m->spans[m->span_count++];
        *s = (struct span_record){
            .organization = in->organization_id,
            .has_key = span->has_key,
            .key = span->key,
            .start_unix_ns = span->start_unix_ns,
        };
        memcpy(s->trace_id, span->trace_id, sizeof s->trace_id);
        memcpy(s->span_id, span->span_id, sizeof s->span_id);
    }
}

/* A key with an attempt is looked at for the spans that name it, and for those that do not and
 * belong there; one without, for the latter, whatever their attempt. */
static bool is_wanted(const struct span_record *span, const struct link_key *key, uint32_t attempt)
{
    return key->attempt == 0 ? span->key.attempt == 0 : key->attempt == attempt;
}

static void link_spans(struct memory_store *m, struct store_link *in)
{
    in->result_found = false;
    in->spans_found = in->linked = 0;
    for (size_t i = 0; i < m->span_count; i++) {
        struct span_record *s = &m->spans[i];
        if (!s->has_key || s->has_result || !is_same_test(&s->key, &in->key)) {
            continue;
        }
        uint32_t attempt = 0;
        const struct result_record *result = result_of_span(m, s, &attempt);
        if (!is_wanted(s, &in->key, attempt)) {
            continue;
        }
        in->spans_found++;
        if (result) {
            in->result_found = true;
            in->linked++;
            s->has_result = true;
            s->source = in->point;
            s->result = result->id;
        }
    }
    in->result_found |= canonical_of(m, &in->key) != NULL;
}

static void carry_out(struct memory_store *m, struct store_write *write)
{
    write->outcome.status = STORE_OK;
    switch (write->type) {
    case STORE_CREATE_RUN:
        create_run(m, &write->create_run);
        break;
    case STORE_SET_RUN_STATUS:
        find_run(m, &write->set_run_status.run_id)->status = write->set_run_status.status;
        break;
    case STORE_RECORD_INVOKED:
        record_invoked(m, write);
        break;
    case STORE_INSERT_RESULT:
        insert_result(m, write);
        break;
    case STORE_INSERT_SPANS:
        insert_spans(m, &write->insert_spans);
        break;
    case STORE_RECORD_REJECTED:
        m->received += write->record_rejected.spans;
        m->rejected += write->record_rejected.spans;
        break;
    case STORE_LINK:
        link_spans(m, &write->link);
        break;
    default: /* projects, tokens and the timeline: nothing here asks for them */
        break;
    }
}

static enum store_status write_all(struct store *store, struct store_write *const *writes,
                                   size_t count, struct store_error *error)
{
    (void)error;
    for (size_t i = 0; i < count; i++) {
        carry_out(memory_of(store), writes[i]);
    }
    return STORE_OK;
}

/* ---- reads ---- */

static struct link_key test_key(const struct run_record *run, size_t test, uint32_t attempt)
{
    return (struct link_key){.organization = run->organization,
                             .run = run->id,
                             .test = run->tests[test].test_id,
                             .configuration = run->tests[test].configuration_id,
                             .attempt = attempt};
}

static struct store_run describe_run(const struct run_record *run)
{
    return (struct store_run){.organization_id = run->organization,
                              .project_id = run->project,
                              .run_id = run->id,
                              .environment = SLICE("development"),
                              .status = run->status,
                              .concurrency = run->concurrency,
                              .test_count = run->test_count};
}

static enum store_status read_run(struct store *store, const struct store_scope *scope,
                                  const struct uuid *run_id, struct store_run *out,
                                  store_run_row_fn visit, void *user, struct store_error *error)
{
    (void)scope;
    struct memory_store *m = memory_of(store);
    const struct run_record *run = find_run(m, run_id);
    if (!run) {
        error->status = STORE_NOT_FOUND;
        return STORE_NOT_FOUND;
    }
    *out = describe_run(run);
    for (size_t i = 0; i < run->test_count; i++) {
        struct store_run_row row = {.test = run->tests[i]};
        for (uint32_t attempt = run->tests[i].retries + 1; attempt > 0 && !row.has_result;
             attempt--) {
            struct link_key key = test_key(run, i, attempt);
            const struct result_record *result = canonical_of(m, &key);
            row.has_result = result != NULL;
            row.attempt = attempt;
            row.result_id = result ? result->id : row.result_id;
            row.status = result ? result->status : row.status;
        }
        visit(user, &row);
    }
    return STORE_OK;
}

static void visit_attempt(const struct memory_store *m, const struct run_record *run, size_t test,
                          uint32_t attempt, store_attempt_fn visit, void *user)
{
    struct link_key key = test_key(run, test, attempt);
    const struct result_record *result = canonical_of(m, &key);
    const struct invoked_record *invoked = invoked_of(m, &key);
    struct store_attempt_row row = {.test = test, .attempt = attempt, .has_result = result != NULL};
    if (invoked) {
        row.invocation_id = marline__slice_text(invoked->invocation_id);
        row.agent_id = marline__slice_text(invoked->agent_id);
    }
    if (result) {
        row.result_id = result->id;
        row.status = result->status;
    }
    if (result || invoked) {
        visit(user, &row);
    }
}

static enum store_status read_attempts(struct store *store, const struct store_scope *scope,
                                       const struct uuid *run_id, store_attempt_fn visit,
                                       void *user, struct store_error *error)
{
    (void)scope;
    struct memory_store *m = memory_of(store);
    const struct run_record *run = find_run(m, run_id);
    if (!run) {
        error->status = STORE_NOT_FOUND;
        return STORE_NOT_FOUND;
    }
    for (size_t i = 0; i < run->test_count; i++) {
        for (uint32_t attempt = 1; attempt <= run->tests[i].retries + 1; attempt++) {
            visit_attempt(m, run, i, attempt, visit, user);
        }
    }
    return STORE_OK;
}

static enum store_status unfinished_runs(struct store *store, struct slice backend,
                                         store_run_fn visit, void *user, struct store_error *error)
{
    (void)error;
    struct memory_store *m = memory_of(store);
    for (size_t i = 0; i < m->run_count; i++) {
        const struct run_record *run = &m->runs[i];
        if (run->status != RUN_COMPLETED && run->status != RUN_CANCELLED &&
            marline__slice_is(backend, run->backend)) {
            const struct store_run row = describe_run(run);
            visit(user, &row);
        }
    }
    return STORE_OK;
}

/* `limit` is not reached here. */
static enum store_status answered_invocations(struct store *store, size_t limit,
                                              store_invocation_fn visit, void *user,
                                              struct store_error *error)
{
    (void)limit;
    (void)error;
    struct memory_store *m = memory_of(store);
    for (size_t i = 0; i < m->invoked_count; i++) {
        if (canonical_of(m, &m->invoked[i].key)) {
            visit(user, marline__slice_text(m->invoked[i].invocation_id));
        }
    }
    return STORE_OK;
}

static enum store_status read_run_spans(struct store *store, const struct store_scope *scope,
                                        const struct uuid *run_id, store_span_row_fn visit,
                                        void *user, struct store_error *error)
{
    (void)scope;
    (void)error;
    struct memory_store *m = memory_of(store);
    for (size_t i = 0; i < m->span_count; i++) {
        const struct span_record *s = &m->spans[i];
        if (!s->has_key || !marline__uuid_equal(&s->key.run, run_id)) {
            continue;
        }
        struct store_span_row row = {.test_id = s->key.test,
                                     .configuration_id = s->key.configuration,
                                     .has_result = s->has_result,
                                     .result_id = s->result,
                                     .link_source = s->source};
        memcpy(row.trace_id, s->trace_id, sizeof row.trace_id);
        memcpy(row.span_id, s->span_id, sizeof row.span_id);
        visit(user, &row);
    }
    return STORE_OK;
}

static enum store_status read_ledger(struct store *store, const struct store_scope *scope,
                                     struct store_ledger *out, struct store_error *error)
{
    (void)scope;
    (void)error;
    struct memory_store *m = memory_of(store);
    *out = (struct store_ledger){.received = m->received,
                                 .stored = m->span_count,
                                 .rejected = m->rejected,
                                 .duplicate = m->duplicates};
    for (size_t i = 0; i < m->span_count; i++) {
        const struct span_record *s = &m->spans[i];
        out->without_context += !s->has_key;
        out->linked += s->has_key && s->has_result;
        out->waiting += s->has_key && !s->has_result;
        if (s->has_result) {
            out->links_by_source[s->source]++;
        }
    }
    return STORE_OK;
}

static bool is_first_of(const struct link_key *seen, size_t count, const struct link_key *key)
{
    for (size_t i = 0; i < count; i++) {
        if (link_key_equal(&seen[i], key)) {
            return false;
        }
    }
    return true;
}

static enum store_status waiting_keys(struct store *store, size_t limit, store_key_fn visit,
                                      void *user, struct store_error *error)
{
    (void)error;
    struct memory_store *m = memory_of(store);
    struct link_key *seen = alloc_array(m->span_count, sizeof *seen);
    size_t count = 0;
    for (size_t i = 0; i < m->span_count && count < limit; i++) {
        const struct span_record *s = &m->spans[i];
        uint32_t attempt = 0;
        if (s->has_key && !s->has_result && is_first_of(seen, count, &s->key) &&
            result_of_span(m, s, &attempt)) {
            seen[count++] = s->key;
            visit(user, &s->key, i + 1);
        }
    }
    marline__memory_free(seen);
    return STORE_OK;
}

/* ---- life ---- */

void memory_store_clear(struct store *store)
{
    struct memory_store *m = memory_of(store);
    for (size_t i = 0; i < m->run_count; i++) {
        marline__memory_free(m->runs[i].tests);
    }
    m->run_count = m->invoked_count = m->result_count = m->span_count = 0;
    m->received = m->rejected = m->duplicates = 0;
    m->attempt_max = 0;
}

static void close_memory(struct store *store)
{
    struct memory_store *m = memory_of(store);
    memory_store_clear(store);
    marline__memory_free(m->runs);
    marline__memory_free(m->invoked);
    marline__memory_free(m->results);
    marline__memory_free(m->spans);
    marline__memory_free(m);
}

struct store *memory_store_open(void)
{
    static const struct store_ops ops = {.close = close_memory,
                                         .write_all = write_all,
                                         .read_run = read_run,
                                         .read_attempts = read_attempts,
                                         .unfinished_runs = unfinished_runs,
                                         .answered_invocations = answered_invocations,
                                         .read_run_spans = read_run_spans,
                                         .read_ledger = read_ledger,
                                         .waiting_keys = waiting_keys};
    struct memory_store *m = alloc_zeroed(sizeof *m);
    m->base.ops = &ops;
    return &m->base;
}
