/* /mock/journal and /mock/verify: what was seen and sent, and whether it is as a test claims. A
 * claim may be waited for, so that no test has to poll. */
#include <stdio.h>

#include "core/alloc.h"
#include "core/json_member.h"
#include "http/json_body.h"
#include "http/routes.h"
#include "hub/journal.h"

enum { COUNT_MAX = 1000000000, WAIT_MAX_MS = 600000, LOOK_AGAIN_MS = 10 };

/* ---- journal ---- */

static void write_entry(struct json_writer *w, const struct journal_entry *entry)
{
    marline__json_begin_object(w);
    marline__json_member_int(w, "number", (int64_t)entry->number);
    json_member_time(w, "at", entry->at_unix_ns);
    marline__json_member_text(w, "on", fault_target_name(entry->target));
    marline__json_member_text(w, "match", entry->name);
    if (entry->status) {
        marline__json_member_int(w, "status", entry->status);
    }
    marline__json_end_object(w);
}

static void get_journal(struct http_request *r)
{
    struct journal_entry *entries = alloc_array(JOURNAL_ENTRIES_MAX, sizeof(*entries));
    size_t count = journal_read(http_request_server(r)->journal,
                                &http_request_identity(r)->organization_id, entries);
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    marline__json_key(&w, "entries");
    marline__json_begin_array(&w);
    for (size_t i = 0; i < count; i++) {
        write_entry(&w, &entries[i]);
    }
    marline__json_end_array(&w);
    marline__json_end_object(&w);
    marline__memory_free(entries);
    http_answer_json(r, 200, &body);
}

static void delete_journal(struct http_request *r)
{
    journal_clear(http_request_server(r)->journal, &http_request_identity(r)->organization_id);
    get_journal(r);
}

/* ---- verify ---- */

struct verification {
    struct hub_job job;
    struct http_request *request;
    struct journal_claim claim;
    uint32_t timeout_ms;
    uint64_t until_ns;
    struct journal_entry *entries;
};

static void answer_verification(struct verification *v, const struct journal_finding *finding)
{
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    marline__json_member_bool(&w, "holds", finding->holds);
    marline__json_member_int(&w, "count", (int64_t)finding->count);
    if (!finding->holds && v->claim.is_order) {
        const struct journal_pattern *missing = &v->claim.patterns[finding->count];
        marline__json_key(&w, "missing");
        marline__json_begin_object(&w);
        marline__json_member_text(&w, "on", fault_target_name(missing->target));
        marline__json_member_text(&w, "match", missing->name);
        marline__json_end_object(&w);
    }
    marline__json_end_object(&w);
    http_answer_json(v->request, 200, &body);
    marline__memory_free(v->entries);
    marline__memory_free(v);
}

/* On the loop. */
static void look(struct hub *hub, struct hub_job *job)
{
    struct verification *v = LIST_ENTRY(job, struct verification, job);
    uint64_t now_ns = hub_now_ns(hub);
    size_t count = journal_read(http_request_server(v->request)->journal,
                                &http_request_identity(v->request)->organization_id, v->entries);
    struct journal_finding finding = journal_check(&v->claim, v->entries, count);
    v->until_ns = v->until_ns ? v->until_ns : now_ns + v->timeout_ms * NS_PER_MS;
    if (finding.holds || now_ns >= v->until_ns || hub_is_winding_down(hub)) {
        answer_verification(v, &finding);
    } else {
        v->job.deadline_ns = now_ns + LOOK_AGAIN_MS * NS_PER_MS;
        hub_post(hub, &v->job);
    }
}

/* ---- the claim of a body ---- */

struct claim_texts {
    char *target;
    char *match;
};

static void set_pattern(struct json_body *b, struct claim_texts *texts, struct journal_pattern *out)
{
    bool known = texts->target && fault_target_parse(texts->target, &out->target) &&
                 out->target != FAULT_STORE;
    if (!known) {
        json_body_fail(b, "on", "is required: http, sent or received");
    }
    if (!texts->match || !texts->match[0] || strlen(texts->match) >= sizeof(out->name)) {
        json_body_fail(b, "match", "is required: a path, or the type of a message");
    } else {
        (void)snprintf(out->name, sizeof(out->name), "%s", texts->match);
    }
    marline__memory_free(texts->target);
    marline__memory_free(texts->match);
    *texts = (struct claim_texts){NULL, NULL};
}

static bool read_pattern_member(struct json_body *b, struct slice key, struct claim_texts *texts)
{
    if (marline__json_key_is(key, "on")) {
        json_body_text(b, "on", &texts->target);
    } else if (marline__json_key_is(key, "match")) {
        json_body_text(b, "match", &texts->match);
    } else {
        return false;
    }
    return true;
}

static void read_order_entry(struct json_body *b, struct slice text, struct journal_pattern *out)
{
    struct json_body entry = {.where = "order[]."};
    struct claim_texts texts = {NULL, NULL};
    struct slice key;
    bool known = json_body_begin(&entry, text);
    while (known && json_body_next(&entry, &key)) {
        known = read_pattern_member(&entry, key, &texts);
    }
    set_pattern(&entry, &texts, out);
    if (!known || entry.error[0]) {
        json_body_fail(b, "order", "must be a list of {\"on\",\"match\"}");
    }
}

static void read_order(struct json_body *b, struct journal_claim *claim)
{
    struct slice list = SLICE_EMPTY;
    struct slice element;
    struct json_reader r;
    json_body_array(b, "order", &list);
    if (b->error[0]) {
        return;
    }
    claim->is_order = true;
    marline__json_reader_init(&r, list, JSON_STRICT);
    (void)marline__json_enter_array(&r);
    while (!b->error[0] && marline__json_next_element(&r) && marline__json_skip(&r, &element)) {
        if (claim->pattern_count == JOURNAL_ORDER_MAX) {
            json_body_fail(b, "order", "has at most 32 entries");
            return;
        }
        read_order_entry(b, element, &claim->patterns[claim->pattern_count++]);
    }
    if (claim->pattern_count == 0) {
        json_body_fail(b, "order", "must not be empty");
    }
}

static void read_member(struct verification *v, struct json_body *b, struct slice key,
                        struct claim_texts *texts)
{
    struct journal_claim *claim = &v->claim;
    if (marline__json_key_is(key, "count")) {
        json_body_unsigned(b, "count", 0, COUNT_MAX, &claim->at_least);
        claim->at_most = claim->at_least;
    } else if (marline__json_key_is(key, "at_least")) {
        json_body_unsigned(b, "at_least", 0, COUNT_MAX, &claim->at_least);
    } else if (marline__json_key_is(key, "at_most")) {
        json_body_unsigned(b, "at_most", 0, COUNT_MAX, &claim->at_most);
    } else if (marline__json_key_is(key, "timeout_ms")) {
        json_body_unsigned(b, "timeout_ms", 0, WAIT_MAX_MS, &v->timeout_ms);
    } else if (marline__json_key_is(key, "order")) {
        read_order(b, claim);
    } else if (!read_pattern_member(b, key, texts)) {
        json_body_fail(b, "The body",
                       "may hold on, match, count, at_least, at_most, order and timeout_ms");
    }
}

static void read_claim(struct verification *v, struct json_body *b)
{
    struct claim_texts texts = {NULL, NULL};
    struct slice key;
    *b = (struct json_body){.where = ""};
    v->claim.at_least = 1;
    v->claim.at_most = COUNT_MAX;
    if (json_body_begin(b, http_request_body(v->request))) {
        while (json_body_next(b, &key)) {
            read_member(v, b, key, &texts);
        }
    }
    if (v->claim.at_least > v->claim.at_most) {
        v->claim.at_least = 0; /* "at_most":0 alone: never */
    }
    if (!v->claim.is_order && !b->error[0]) {
        v->claim.pattern_count = 1;
        set_pattern(b, &texts, &v->claim.patterns[0]);
    } else if ((texts.target || texts.match) && !b->error[0]) {
        json_body_fail(b, "order", "goes without on and match");
    }
    marline__memory_free(texts.target);
    marline__memory_free(texts.match);
}

static void post_verify(struct http_request *r)
{
    struct verification *v = alloc_zeroed(sizeof(*v));
    struct json_body body;
    v->request = r;
    read_claim(v, &body);
    if (body.error[0]) {
        http_answer_detail(r, 400, "%s", body.error);
        marline__memory_free(v);
        return;
    }
    v->entries = alloc_array(JOURNAL_ENTRIES_MAX, sizeof(*v->entries));
    v->job.run = look;
    hub_post(http_request_server(r)->hub, &v->job);
}

const struct route routes_journal[] = {
    {"GET", "/mock/journal", ROUTE_KEY, get_journal, "Requests and messages, newest last"},
    {"DELETE", "/mock/journal", ROUTE_KEY, delete_journal, "Forget them"},
    {"POST", "/mock/verify", ROUTE_KEY, post_verify,
     "Whether requests and messages came as claimed; may wait for it"},
    {0},
};
