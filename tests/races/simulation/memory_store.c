/* See memory_store.h. Every write succeeds or is a caller's bug: who wants failures makes them in
 * front of the store. Rows are kept in order of storing. */
#include "memory_store.h"

#include <assert.h>
#include <string.h>

#include "core/alloc.h"

enum { TABLE_FIRST = 64 };

struct span_record {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    struct uuid organization;
    bool has_key;
    struct link_key key;
    bool has_result;
    struct uuid result;
    enum link_point source;
};

struct result_record {
    struct link_key key;
    struct uuid id;
    bool canonical;
    enum result_status status;
};

struct run_record {
    struct uuid organization;
    struct uuid project;
    struct uuid id;
    enum run_status status;
    struct store_run_test *tests; /* owned; their texts are not kept */
    size_t test_count;
};

struct memory_store {
    struct store base;
    enum mutant mutant;
    struct run_record *runs;
    size_t run_count, run_capacity;
    struct result_record *results;
    size_t result_count, result_capacity;
    struct span_record *spans;
    size_t span_count, span_capacity;
    uint64_t received, rejected, duplicates;
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

static bool is_same_test(const struct memory_store *m, const struct link_key *a,
                         const struct link_key *b)
{
    bool test = m->mutant == MUTANT_KEY_WITHOUT_TEST || marline__uuid_equal(&a->test, &b->test);
    bool configuration = m->mutant == MUTANT_KEY_WITHOUT_CONFIGURATION ||
                         marline__uuid_equal(&a->configuration, &b->configuration);
    return marline__uuid_equal(&a->organization, &b->organization) &&
           marline__uuid_equal(&a->run, &b->run) && test && configuration;
}

/* A span that was not told its attempt belongs to the only one there is: runs have one here. */
static bool is_match(const struct memory_store *m, const struct link_key *a,
                     const struct link_key *b)
{
    return is_same_test(m, a, b) &&
           (a->attempt == 0 || b->attempt == 0 || a->attempt == b->attempt);
}

static const struct result_record *canonical_of(const struct memory_store *m,
                                                const struct link_key *key)
{
    for (size_t i = 0; i < m->result_count; i++) {
        if (m->results[i].canonical && is_match(m, &m->results[i].key, key)) {
            return &m->results[i];
        }
    }
    return NULL;
}

/* ---- writes ---- */

static void create_run(struct memory_store *m, const struct store_create_run *in)
{
    m->runs = grown(m->runs, m->run_count, &m->run_capacity, sizeof *m->runs);
    struct run_record *run = &m->runs[m->run_count++];
    *run = (struct run_record){.organization = in->organization_id,
                               .project = in->project_id,
                               .id = in->run_id,
                               .test_count = in->test_count};
    run->tests = alloc_array(in->test_count, sizeof *run->tests);
    for (size_t i = 0; i < in->test_count; i++) {
        run->tests[i].test_id = in->tests[i].test_id;
        run->tests[i].configuration_id = in->tests[i].configuration_id;
    }
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

static void insert_result(struct memory_store *m, struct store_insert_result *in)
{
    const struct result_record *known = NULL;
    for (size_t i = 0; i < m->result_count && !known; i++) {
        bool same = m->results[i].canonical && link_key_equal(&m->results[i].key, &in->key);
        known = same ? &m->results[i] : NULL;
    }
    in->is_duplicate = known != NULL;
    in->duplicate_of = known ? known->id : (struct uuid){{0}};
    in->result_id = known ? in->spare_id : link_key_result_id(&in->key);
    bool takes_over = m->mutant == MUTANT_LAST_RESULT_WINS && known;
    for (size_t i = 0; i < m->result_count && takes_over; i++) {
        m->results[i].canonical &= !link_key_equal(&m->results[i].key, &in->key);
    }
    m->results = grown(m->results, m->result_count, &m->result_capacity, sizeof *m->results);
    m->results[m->result_count++] = (struct result_record){.key = in->key,
                                                           .id = in->result_id,
                                                           .canonical = !known || takes_over,
                                                           .status = in->status};
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
        span->duplicate =
            m->mutant != MUTANT_SPANS_STORED_TWICE && is_stored(m, span, &in->organization_id);
        if (span->duplicate) {
            in->duplicates++;
            m->duplicates += m->mutant != MUTANT_RECEIPT_UNCOUNTED;
            continue;
        }
        in->stored++;
        m->spans = grown(m->spans, m->span_count, &m->span_capacity, sizeof *m->spans);
        struct span_record *s = &m->spans[m->span_count++];
        *s = (struct span_record){
            .organization = in->organization_id, .has_key = span->has_key, .key = span->key};
        memcpy(s->trace_id, span->trace_id, sizeof s->trace_id);
        memcpy(s->span_id, span->span_id, sizeof s->span_id);
    }
}

static void link_spans(struct memory_store *m, struct store_link *in)
{
    const struct result_record *result = canonical_of(m, &in->key);
    in->result_found = result != NULL;
    in->spans_found = in->linked = 0;
    for (size_t i = 0; i < m->span_count; i++) {
        struct span_record *s = &m->spans[i];
        bool waits = !s->has_result || m->mutant == MUTANT_LINK_MOVES;
        if (!s->has_key || !waits || !is_match(m, &s->key, &in->key)) {
            continue;
        }
        in->spans_found++;
        if (!result) {
            continue;
        }
        in->linked++;
        s->has_result = true;
        s->source = in->point;
        s->result = result->id;
        /* Without IS NULL, any result of the key may come last. */
        if (m->mutant == MUTANT_LINK_MOVES) {
            for (size_t r = 0; r < m->result_count; r++) {
                s->result = is_match(m, &m->results[r].key, &s->key) ? m->results[r].id : s->result;
            }
        }
    }
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
    case STORE_INSERT_RESULT:
        insert_result(m, &write->insert_result);
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
    *out = (struct store_run){.project_id = run->project,
                              .run_id = run->id,
                              .status = run->status,
                              .test_count = run->test_count};
    for (size_t i = 0; i < run->test_count; i++) {
        struct link_key key = {.organization = run->organization,
                               .run = run->id,
                               .test = run->tests[i].test_id,
                               .configuration = run->tests[i].configuration_id,
                               .attempt = 1};
        struct store_run_row row = {.test = run->tests[i]};
        const struct result_record *result = canonical_of(m, &key);
        row.has_result = result != NULL;
        row.attempt = 1;
        if (result) {
            row.result_id = result->id;
            row.status = result->status;
        }
        visit(user, &row);
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

static enum store_status waiting_keys(struct store *store, size_t limit, store_key_fn visit,
                                      void *user, struct store_error *error)
{
    (void)error;
    struct memory_store *m = memory_of(store);
    for (size_t i = 0; i < m->span_count && limit > 0; i++) {
        const struct span_record *s = &m->spans[i];
        if (s->has_key && !s->has_result && canonical_of(m, &s->key)) {
            visit(user, &s->key);
            limit--;
        }
    }
    return STORE_OK;
}

/* ---- life ---- */

void memory_store_clear(struct store *store)
{
    struct memory_store *m = memory_of(store);
    for (size_t i = 0; i < m->run_count; i++) {
        marline__memory_free(m->runs[i].tests);
    }
    m->run_count = m->result_count = m->span_count = 0;
    m->received = m->rejected = m->duplicates = 0;
}

static void close_memory(struct store *store)
{
    struct memory_store *m = memory_of(store);
    memory_store_clear(store);
    marline__memory_free(m->runs);
    marline__memory_free(m->results);
    marline__memory_free(m->spans);
    marline__memory_free(m);
}

struct store *memory_store_open(enum mutant mutant)
{
    static const struct store_ops ops = {.close = close_memory,
                                         .write_all = write_all,
                                         .read_run = read_run,
                                         .read_run_spans = read_run_spans,
                                         .read_ledger = read_ledger,
                                         .waiting_keys = waiting_keys};
    struct memory_store *m = alloc_zeroed(sizeof *m);
    m->base.ops = &ops;
    m->mutant = mutant;
    return &m->base;
}
