/* See entity.h: names of the kinds, reading one, showing one. */
#include "http/entity.h"

#include <stdio.h>

#include "core/alloc.h"
#include "core/json_member.h"
#include "core/mapping.h"
#include "http/body_faults.h"
#include "http/routes.h"
#include "wire/json_reader.h"

static const struct {
    const char *segment;
    const char *title;
    const char *model;
    const char *id_parameter;
} kinds[ENTITY_KIND_COUNT] = {
    [ENTITY_ENDPOINT] = {"endpoints", "Endpoint", "Endpoint", "endpoint_id"},
    [ENTITY_TEST] = {"tests", "Test", "Test", "test_id"},
    [ENTITY_TEST_SET] = {"test_sets", "Test Set", "TestSet", "test_set_id"},
    [ENTITY_TEST_CONFIGURATION] = {"test_configurations", "Test Configuration", "TestConfiguration",
                                   "test_configuration_id"},
    [ENTITY_TEST_RUN] = {"test_runs", "Test Run", "TestRun", "test_run_id"},
    [ENTITY_TEST_RESULT] = {"test_results", "Test Result", "TestResult", "test_result_id"},
};

enum entity_kind entity_kind_of(const struct http_request *r)
{
    const char *path = http_request_path(r);
    struct slice first = {path + 1, path[0] ? strcspn(path + 1, "/") : 0};
    int kind = 0;
    while (kind < ENTITY_KIND_COUNT && !marline__slice_is(first, kinds[kind].segment)) {
        kind++;
    }
    return (enum entity_kind)kind;
}

const char *entity_id_parameter(enum entity_kind kind)
{
    return kinds[kind].id_parameter;
}

/* ---- reading one ---- */

static struct slice keep(char **text, struct slice value)
{
    if (!value.data) {
        return SLICE_EMPTY;
    }
    *text = alloc_slice(value);
    return (struct slice){*text, value.size};
}

static void copy_row(void *user, const struct store_entity_row *row)
{
    struct entity_copy *copy = user;
    copy->row = *row;
    copy->row.name = keep(&copy->texts[0], row->name);
    copy->row.status = keep(&copy->texts[1], row->status);
    copy->row.body = keep(&copy->texts[2], row->body);
    copy->row.environment = keep(&copy->texts[3], row->environment);
    copy->row.output = keep(&copy->texts[4], row->output);
    copy->row.metrics = keep(&copy->texts[5], row->metrics);
    copy->row.error = keep(&copy->texts[6], row->error);
    copy->row.trace_id = keep(&copy->texts[7], row->trace_id);
}

void entity_copy_deinit(struct entity_copy *copy)
{
    for (size_t i = 0; i < sizeof(copy->texts) / sizeof(copy->texts[0]); i++) {
        marline__memory_free(copy->texts[i]);
    }
    *copy = (struct entity_copy){0};
}

static void answer_absent(struct http_request *r, enum entity_kind kind, const struct uuid *id,
                          unsigned status, const char *what)
{
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    char detail[64];
    char list[64];
    (void)snprintf(detail, sizeof(detail), "%s %s", kinds[kind].title, what);
    (void)snprintf(list, sizeof(list), "/%s", kinds[kind].segment);
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "detail", detail);
    marline__json_member_text(&w, "model_name", kinds[kind].model);
    json_member_uuid(&w, "item_id", id);
    marline__json_member_text(&w, "list_url", list);
    marline__json_end_object(&w);
    http_answer_json(r, status, &body);
}

void entity_answer_not_found(struct http_request *r, enum entity_kind kind, const struct uuid *id)
{
    answer_absent(r, kind, id, 404, "not found");
}

bool entity_read(struct http_request *r, const struct store_scope *scope, enum entity_kind kind,
                 const struct uuid *id, struct entity_copy *out)
{
    const struct store_entity_query query = {.kind = kind, .id = *id, .limit = 1};
    struct store_error error;
    *out = (struct entity_copy){0};
    if (!marline__uuid_is_nil(id) &&
        store_list_entities(http_request_server(r)->store, scope, &query, NULL, copy_row, out,
                            &error) != STORE_OK) {
        entity_copy_deinit(out);
        routes_answer_store_error(r, &error, NULL);
        return false;
    }
    if (marline__uuid_is_nil(&out->row.id)) {
        entity_answer_not_found(r, kind, id);
        return false;
    }
    if (out->row.is_deleted) {
        answer_absent(r, kind, id, 410, "has been deleted");
        entity_copy_deinit(out);
        return false;
    }
    return true;
}

bool entity_read_path(struct http_request *r, size_t n, enum entity_kind kind,
                      struct entity_copy *out)
{
    struct store_scope scope;
    struct uuid id;
    *out = (struct entity_copy){0};
    return body_path_uuid(r, n, kinds[kind].id_parameter, &id) && routes_read_scope(r, &scope) &&
           entity_read(r, &scope, kind, &id, out);
}

/* ---- showing one ---- */

/* Twelve letters and digits, a function of the id. */
static void write_nano_id(struct json_writer *w, const struct uuid *id)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    char text[13];
    uint64_t low = 0;
    uint64_t high = 0;
    memcpy(&low, id->bytes, sizeof(low));
    memcpy(&high, id->bytes + sizeof(low), sizeof(high));
    uint64_t value = low ^ (high * 0x9e3779b97f4a7c15u);
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        text[i] = digits[value % 62];
        value = i == 5 ? high : value / 62;
    }
    text[sizeof(text) - 1] = '\0';
    marline__json_member_text(w, "nano_id", text);
}

/* Names of statuses have ids on the platform. */
static void write_status(struct json_writer *w, struct slice name)
{
    static const struct uuid name_space = {{0x3b, 0x1f, 0x6e, 0x52, 0x8d, 0x0a, 0x4c, 0x97, 0xa2,
                                            0x64, 0xf0, 0x19, 0xbe, 0x73, 0x5c, 0xd8}};
    if (!name.data) {
        marline__json_member_null(w, "status_id");
        marline__json_member_null(w, "status");
        return;
    }
    struct uuid id = marline__uuid_derived(&name_space, name);
    json_member_uuid(w, "status_id", &id);
    marline__json_key(w, "status");
    marline__json_begin_object(w);
    json_member_uuid(w, "id", &id);
    marline__json_member_string(w, "name", name);
    marline__json_end_object(w);
}

static void write_members(struct json_writer *w, struct slice object)
{
    struct json_reader r;
    struct slice key;
    struct slice value;
    if (object.size == 0) {
        return;
    }
    marline__json_reader_init(&r, object, JSON_TRUSTED);
    (void)marline__json_enter_object(&r);
    while (marline__json_next_member(&r, &key) && marline__json_skip(&r, &value)) {
        marline__json_key_raw(w, key);
        marline__json_raw(w, value);
    }
}

static void write_text_or_null(struct json_writer *w, const char *key, struct slice text)
{
    if (text.data) {
        marline__json_member_string(w, key, text);
    } else {
        marline__json_member_null(w, key);
    }
}

static void write_run(struct json_writer *w, const struct store_entity_row *row)
{
    bool is_open =
        marline__slice_is(row->status, "Queued") || marline__slice_is(row->status, "Progress");
    marline__json_member_string(w, "name", row->name);
    json_member_uuid_or_null(w, "test_configuration_id", &row->configuration_id);
    write_status(w, row->status);
    write_text_or_null(w, "environment", row->environment);
    marline__json_member_int(w, "test_count", (int64_t)row->test_count);
    marline__json_member_raw(w, "attributes", row->body);
    marline__json_key(w, "permitted_actions");
    marline__json_begin_array(w);
    if (is_open) {
        marline__json_text(w, "cancel");
    }
    marline__json_end_array(w);
}

static void write_result(struct json_writer *w, const struct store_entity_row *row)
{
    json_member_uuid(w, "test_run_id", &row->run_id);
    json_member_uuid(w, "test_id", &row->test_id);
    json_member_uuid(w, "test_configuration_id", &row->configuration_id);
    marline__json_member_int(w, "attempt", row->attempt);
    write_status(w, row->status);
    marline__json_member_raw(w, "test_metrics", row->metrics);
    marline__json_key(w, "test_output");
    if (row->output.size && row->output.data[0] != '{') { /* the platform's is an object */
        marline__json_begin_object(w);
        marline__json_member_raw(w, "output", row->output);
        marline__json_end_object(w);
    } else {
        marline__json_raw(w, row->output);
    }
    write_text_or_null(w, "error", row->error);
    write_text_or_null(w, "trace_id", row->trace_id);
    marline__json_member_double(w, "duration_ms", row->duration_ms);
    json_member_uuid_or_null(w, "duplicate_of", &row->duplicate_of);
}

static void write_document(struct json_writer *w, enum entity_kind kind,
                           const struct store_entity_row *row)
{
    if (row->name.size || kind == ENTITY_ENDPOINT || kind == ENTITY_TEST_SET) {
        marline__json_member_string(w, "name", row->name);
    } else {
        marline__json_member_null(w, "name");
    }
    if (kind == ENTITY_TEST_CONFIGURATION) {
        json_member_uuid_or_null(w, "endpoint_id", &row->endpoint_id);
        json_member_uuid_or_null(w, "test_set_id", &row->test_set_id);
    } else if (kind == ENTITY_TEST_SET) {
        marline__json_member_int(w, "test_count", (int64_t)row->test_count);
    } else if (kind == ENTITY_ENDPOINT) {
        write_text_or_null(w, "status", row->status);
        write_text_or_null(w, "environment", row->environment);
    }
    write_members(w, row->body);
}

void entity_write(struct json_writer *w, enum entity_kind kind, const struct uuid *organization_id,
                  const struct store_entity_row *row)
{
    marline__json_begin_object(w);
    json_member_uuid(w, "id", &row->id);
    write_nano_id(w, &row->id);
    json_member_uuid(w, "organization_id", organization_id);
    json_member_uuid_or_null(w, "project_id", &row->project_id);
    json_member_time(w, "created_at", row->created_unix_ns);
    json_member_time(w, "updated_at", row->updated_unix_ns);
    if (kind == ENTITY_TEST_RUN) {
        write_run(w, row);
    } else if (kind == ENTITY_TEST_RESULT) {
        write_result(w, row);
    } else {
        write_document(w, kind, row);
    }
    marline__json_end_object(w);
}

void entity_answer(struct http_request *r, enum entity_kind kind,
                   const struct store_entity_row *row)
{
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    entity_write(&w, kind, &http_request_identity(r)->organization_id, row);
    http_answer_json(r, 200, &body);
}

/* ---- endpoints ---- */

static struct slice unquoted(struct slice raw)
{
    return raw.size >= 2 && raw.data[0] == '"' ? (struct slice){raw.data + 1, raw.size - 2}
                                               : SLICE_EMPTY;
}

bool entity_target_of(const struct store_entity_row *endpoint, struct entity_target *out)
{
    struct slice connection =
        mapping_member(mapping_member(endpoint->body, "endpoint_metadata"), "sdk_connection");
    *out = (struct entity_target){
        .project_id = endpoint->project_id,
        .environment = unquoted(mapping_member(connection, "environment")),
        .function_name = unquoted(mapping_member(connection, "function_name")),
        .request_mapping = mapping_member(endpoint->body, "request_mapping"),
        .response_mapping = mapping_member(endpoint->body, "response_mapping"),
    };
    return marline__slice_is(mapping_member(endpoint->body, "connection_type"), "\"SDK\"") &&
           out->function_name.size && out->environment.size;
}
