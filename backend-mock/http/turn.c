/* See turn.h.
 *
 *   begun ── trace known ──▶ stored as under way ──▶ sent ──▶ ended ── stored ──▶ answered
 *     └───── no trace yet ───────────────────────────▶┘        └── no trace told ─▶┘
 *
 * A turn that continues a trace is stored before it is sent, and a failed one is stored too, so
 * that a root span of it never passes for that of another turn. Turns of one conversation that are
 * under way at the same time, all of them first ones, have a trace each: the one stored first is
 * continued.
 *
 * Begun on a worker, where the store may be read; sent from there or from the commit queue's
 * thread; ended on the hub's loop. */
#include "http/turn.h"

#include "base/clock.h"
#include "base/hex.h"
#include "base/random.h"
#include "core/alloc.h"
#include "core/mapping.h"
#include "http/endpoint_call.h"
#include "http/routes.h"
#include "http/server.h"
#include "wire/json_reader.h"

enum { TRACE_TEXT_SIZE = 32, OUTPUT_MAX = 10000 /* characters (§5.6) */ };

struct turn {
    struct hub_commit commit;
    struct http_request *request;
    struct entity_copy endpoint;
    bool continues; /* trace_id is that of the turns before */
    struct buffer answer;
    struct buffer input;
    struct buffer output;
    struct buffer conversation_id;
    char trace_id[TRACE_TEXT_SIZE];
};

static void free_turn(struct turn *t)
{
    entity_copy_deinit(&t->endpoint);
    marline__buffer_deinit(&t->answer);
    marline__buffer_deinit(&t->input);
    marline__buffer_deinit(&t->output);
    marline__buffer_deinit(&t->conversation_id);
    marline__memory_free(t);
}

/* Replaces *out by a value as people read it: a string without its quotes. */
static void take_text(struct slice value, struct buffer *out)
{
    marline__buffer_clear(out);
    if (value.size >= 2 && value.data[0] == '"') {
        marline__json_unescape((struct slice){value.data + 1, value.size - 2}, out);
    } else {
        marline__buffer_append_slice(out, value);
    }
    alloc_check_buffer(out);
}

/* ---- the answer ---- */

static void write_failure(struct turn *t, const struct endpoint_call *call,
                          const struct endpoint_failure *failure)
{
    static const char *const nulls[] = {"trace_id", "conversation_id", "metadata", "context"};
    struct buffer text = BUFFER_INIT;
    struct json_writer w;
    marline__buffer_append_text(&text, failure->prefix);
    marline__buffer_append_slice(&text, failure->message);
    alloc_check_buffer(&text);
    marline__json_writer_init(&w, &t->answer);
    marline__json_begin_object(&w);
    marline__json_member_string(&w, "output", marline__buffer_slice(&text));
    marline__json_member_bool(&w, "error", true);
    marline__json_member_text(&w, "error_type", failure->type);
    marline__json_member_string(&w, "message", failure->message);
    marline__json_member_raw(&w, "request", marline__buffer_slice(&call->inputs));
    for (size_t i = 0; i < sizeof(nulls) / sizeof(nulls[0]); i++) {
        marline__json_member_null(&w, nulls[i]);
    }
    marline__json_end_object(&w);
    marline__buffer_deinit(&text);
}

static void write_success(struct turn *t, const struct endpoint_call *call,
                          const struct message_test_result *result)
{
    struct json_writer w;
    marline__buffer_append_byte(&t->answer, '{');
    endpoint_call_write_output(call, result, &t->answer);
    marline__buffer_append_text(&t->answer, "\"trace_id\":");
    marline__json_writer_init(&w, &t->answer);
    if (result->trace_id.data) {
        marline__json_string(&w, result->trace_id);
    } else {
        marline__json_null(&w);
    }
    marline__buffer_append_byte(&t->answer, '}');
    alloc_check_buffer(&t->answer);
}

/* ---- what is stored ---- */

static size_t cut(struct slice text, size_t characters)
{
    size_t at = 0;
    for (; at < text.size; at++) {
        bool begins = ((unsigned char)text.data[at] & 0xc0) != 0x80;
        if (begins && characters-- == 0) {
            break;
        }
    }
    return at;
}

/* The conversation that the function names in its answer counts; else the one that was asked for.
 */
static void note_answer(struct turn *t)
{
    struct slice answer = marline__buffer_slice(&t->answer);
    struct slice conversation = mapping_member(answer, "conversation_id");
    if (conversation.size > 2 && conversation.data[0] == '"') {
        take_text(conversation, &t->conversation_id);
    }
    take_text(mapping_member(answer, "output"), &t->output);
    t->output.size = cut(marline__buffer_slice(&t->output), OUTPUT_MAX);
}

static void note_texts(struct turn *t)
{
    struct store_record_turn *row = &t->commit.commit.write.record_turn;
    row->input = marline__buffer_slice(&t->input);
    row->conversation_id =
        t->conversation_id.size > 0 ? marline__buffer_slice(&t->conversation_id) : SLICE_EMPTY;
}

static void stored(struct hub *hub, struct hub_commit *commit)
{
    struct turn *t = LIST_ENTRY(commit, struct turn, commit);
    (void)hub;
    if (commit->commit.write.outcome.status == STORE_OK) {
        http_answer_json(t->request, 200, &t->answer);
    } else {
        routes_answer_store_error(t->request, &commit->commit.write.outcome, NULL);
    }
    free_turn(t);
}

/* On the loop. Without a trace there is nothing that could be joined with spans. */
static void ended(struct endpoint_call *call, const struct hub_answer *answer)
{
    struct turn *t = call->user;
    struct store_record_turn *row = &t->commit.commit.write.record_turn;
    const struct message_test_result *result = answer ? answer->result : NULL;
    struct endpoint_failure failure;
    uint8_t told[sizeof(row->trace_id)];
    if (endpoint_call_failed(answer, &failure) || !result) {
        write_failure(t, call, &failure);
    } else {
        write_success(t, call, result);
        note_answer(t);
    }
    if (result && marline__hex_decode(result->trace_id, told, sizeof(told))) {
        memcpy(row->trace_id, told, sizeof(told));
    } else if (!t->continues) {
        http_answer_json(t->request, 200, &t->answer);
        free_turn(t);
        return;
    }
    note_texts(t);
    row->output = t->output.size > 0 ? marline__buffer_slice(&t->output) : SLICE_EMPTY;
    row->ended_unix_ns = marline__clock_wall_ns(marline__clock_system());
    hub_submit(http_request_server(t->request)->hub, &t->commit);
}

/* ---- the start ---- */

/* [any] */
static void send_turn(struct turn *t)
{
    const struct store_record_turn *row = &t->commit.commit.write.record_turn;
    struct entity_target target;
    const struct message_conversation_context conversation = {
        .present = true,
        .conversation_id = row->conversation_id,
        .trace_id = t->continues ? (struct slice){t->trace_id, sizeof(t->trace_id)} : SLICE_EMPTY,
        .mapped_input = row->input};
    (void)entity_target_of(&t->endpoint.row, &target); /* it is one: turn_begin was told so */
    endpoint_call_begin(t->request, &target, http_request_body(t->request), &conversation, ended,
                        t);
}

/* On the commit queue's thread, or on the caller's when the queue is full. */
static void begun(struct commit *commit, void *user)
{
    struct turn *t = user;
    if (commit->write.outcome.status == STORE_OK) {
        send_turn(t);
    } else {
        routes_answer_store_error(t->request, &commit->write.outcome, NULL);
        free_turn(t);
    }
}

/* Stores that the turn is under way. */
static void store_beginning(struct turn *t)
{
    struct commit *commit = &t->commit.commit;
    commit->done = begun;
    commit->user = t;
    if (!commit_queue_submit(http_request_server(t->request)->queue, commit)) {
        commit->write.outcome = (struct store_error){STORE_BUSY, "too many writes wait"};
        begun(commit, t);
    }
}

static struct turn *make_turn(struct http_request *r, const struct entity_copy *endpoint,
                              const struct uuid *project_id)
{
    struct turn *t = alloc_zeroed(sizeof(*t));
    struct store_write *write = &t->commit.commit.write;
    struct slice body = http_request_body(r);
    struct slice conversation = mapping_member(body, "conversation_id");
    t->request = r;
    t->endpoint = *endpoint;
    t->commit.done = stored;
    write->type = STORE_RECORD_TURN;
    write->record_turn.id = marline__uuid_random(marline__random_system());
    write->record_turn.organization_id = http_request_identity(r)->organization_id;
    write->record_turn.project_id = *project_id;
    write->record_turn.started_unix_ns = marline__clock_wall_ns(marline__clock_system());
    take_text(mapping_member(body, "input"), &t->input);
    if (conversation.size > 2 && conversation.data[0] == '"') {
        take_text(conversation, &t->conversation_id);
    }
    note_texts(t);
    return t;
}

void turn_begin(struct http_request *r, struct entity_copy *endpoint, const struct uuid *project_id)
{
    struct turn *t = make_turn(r, endpoint, project_id);
    struct store_record_turn *row = &t->commit.commit.write.record_turn;
    const struct store_scope scope = {.organization_id = row->organization_id,
                                      .project_id = row->project_id};
    struct store_error error = {STORE_NOT_FOUND, ""};
    enum store_status status = STORE_NOT_FOUND;
    *endpoint = (struct entity_copy){0};
    if (row->conversation_id.data) {
        status = store_find_conversation(http_request_server(r)->store, &scope,
                                         row->conversation_id, row->trace_id, &error);
    }
    if (status == STORE_OK) {
        t->continues = true;
        marline__hex_encode(row->trace_id, sizeof(row->trace_id), t->trace_id);
        store_beginning(t);
    } else if (status == STORE_NOT_FOUND) {
        send_turn(t);
    } else {
        routes_answer_store_error(r, &error, NULL);
        free_turn(t);
    }
}
