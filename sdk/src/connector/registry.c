/* A small array under a lock: an agent has dozens of endpoints, not thousands. */
#include "connector/registry.h"

#include "base/memory.h"
#include "io/refuse.h"
#include "wire/connector_message.h"
#include "wire/json_reader.h"
#include "wire/json_writer.h"

enum { NAME_MAX_BYTES = 200, PARAMETERS_MAX = 256, ENDPOINTS_MAX = 4096 };

/* Both mappings always go along: without them the platform guesses, and mostly wrongly (§2.3). */
static const char default_request_mapping[] = "{\"input\":\"{{ input }}\"}";
static const char default_response_mapping[] = "{\"output\":\"$.output\"}";

void marline__registry_init(struct registry *registry)
{
    memset(registry, 0, sizeof *registry);
    pthread_mutex_init(&registry->lock, NULL);
    registry->next_key = 1;
}

void marline__registry_deinit(struct registry *registry)
{
    for (size_t i = 0; i < registry->count; i++) {
        marline__endpoint_unref(registry->items[i]);
    }
    marline__memory_free(registry->items);
    pthread_mutex_destroy(&registry->lock);
}

void marline__endpoint_unref(struct endpoint *endpoint)
{
    if (!endpoint || atomic_fetch_sub(&endpoint->references, 1) != 1) {
        return;
    }
    for (size_t i = 0; i < endpoint->required_count; i++) {
        marline__memory_free(endpoint->required[i]);
    }
    marline__memory_free(endpoint->required);
    marline__buffer_deinit(&endpoint->registration);
    marline__memory_free(endpoint->name);
    marline__memory_free(endpoint);
}

/* ---- checking ---- */

static bool is_json_object(const char *text)
{
    struct json_reader r;
    marline__json_reader_init(&r, marline__slice_text(text), JSON_STRICT);
    return marline__json_peek(&r) == JSON_OBJECT &&
           marline__json_is_valid(marline__slice_text(text), JSON_STRICT);
}

static marline_status check(const marline_endpoint *e, marline_error *error)
{
    struct slice name = marline__slice_text(e->name);
    if (name.size == 0 || name.size > NAME_MAX_BYTES || !marline__utf8_is_valid(name)) {
        return marline__refuse(error, MARLINE_EINVAL,
                               "an endpoint's name must have 1 to %d bytes of UTF-8: '%.40s'",
                               NAME_MAX_BYTES, name.data ? name.data : "(null)");
    }
    if (!e->handler) {
        return marline__refuse(error, MARLINE_EINVAL, "endpoint '%s' has no handler", e->name);
    }
    if (e->request_mapping && !is_json_object(e->request_mapping)) {
        return marline__refuse(error, MARLINE_EINVAL,
                               "the request_mapping of endpoint '%s' is not a JSON object",
                               e->name);
    }
    if (e->response_mapping && !is_json_object(e->response_mapping)) {
        return marline__refuse(error, MARLINE_EINVAL,
                               "the response_mapping of endpoint '%s' is not a JSON object",
                               e->name);
    }
    if (e->parameter_count > PARAMETERS_MAX || (e->parameter_count > 0 && !e->parameters)) {
        return marline__refuse(error, MARLINE_EINVAL,
                               "endpoint '%s' has too many parameters, or NULL", e->name);
    }
    for (size_t i = 0; i < e->parameter_count; i++) {
        if (!e->parameters[i].name || e->parameters[i].name[0] == '\0') {
            return marline__refuse(error, MARLINE_EINVAL,
                                   "parameter %zu of endpoint '%s' has no name", i + 1, e->name);
        }
    }
    return MARLINE_OK;
}

/* ---- the registration entry ---- */

static void write_parameters(const marline_endpoint *e, struct buffer *out)
{
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    for (size_t i = 0; i < e->parameter_count; i++) {
        const marline_parameter *parameter = &e->parameters[i];
        marline__json_key(&w, parameter->name);
        marline__json_begin_object(&w);
        marline__json_member_text(&w, "type", parameter->type ? parameter->type : "Any");
        marline__json_member_text(&w, "default", parameter->default_text);
        marline__json_end_object(&w);
    }
    marline__json_end_object(&w);
}

static void write_metadata(const marline_endpoint *e, struct buffer *out)
{
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    if (e->description) {
        marline__json_member_text(&w, "description", e->description);
    }
    marline__json_member_raw(
        &w, "request_mapping",
        marline__slice_text(e->request_mapping ? e->request_mapping : default_request_mapping));
    marline__json_member_raw(
        &w, "response_mapping",
        marline__slice_text(e->response_mapping ? e->response_mapping : default_response_mapping));
    marline__json_end_object(&w);
}

static bool write_entry(const marline_endpoint *e, struct buffer *out)
{
    struct buffer parameters = BUFFER_INIT;
    struct buffer metadata = BUFFER_INIT;
    write_parameters(e, &parameters);
    write_metadata(e, &metadata);
    const struct message_function function = {
        .name = marline__slice_text(e->name),
        .parameters = marline__buffer_slice(&parameters),
        .return_type = marline__slice_text(e->return_type ? e->return_type : "dict"),
        .metadata = marline__buffer_slice(&metadata),
    };
    if (!parameters.failed && !metadata.failed) {
        marline__message_encode_function(&function, out);
    }
    bool written = out->size > 0 && !out->failed;
    marline__buffer_deinit(&parameters);
    marline__buffer_deinit(&metadata);
    return written;
}

static bool copy_required(const marline_endpoint *from, struct endpoint *to)
{
    to->required = marline__memory_array(from->parameter_count, sizeof *to->required);
    if (!to->required) {
        return false;
    }
    for (size_t i = 0; i < from->parameter_count; i++) {
        if (!from->parameters[i].default_text) {
            char *name = marline__memory_text(from->parameters[i].name);
            if (!name) {
                return false;
            }
            to->required[to->required_count++] = name;
        }
    }
    return true;
}

static void write_metric_metadata(const marline_metric *m, struct json_writer *w)
{
    marline__json_begin_object(w);
    marline__json_member_text(w, "score_type", m->score_type ? m->score_type : "numeric");
    marline__json_member_text(w, "description", m->description ? m->description : "");
    marline__json_member_text(w, "class_name", m->name);
    marline__json_end_object(w);
}

static bool write_metric_entry(const marline_metric *m, struct buffer *out)
{
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "name", m->name);
    marline__json_key(&w, "parameters");
    marline__json_begin_array(&w);
    marline__json_text(&w, "input");
    marline__json_text(&w, "output");
    if (m->wants_expected_output) {
        marline__json_text(&w, "expected_output");
    }
    if (m->wants_context) {
        marline__json_text(&w, "context");
    }
    marline__json_end_array(&w);
    marline__json_member_text(&w, "return_type", "MetricResult");
    marline__json_key(&w, "metadata");
    write_metric_metadata(m, &w);
    marline__json_end_object(&w);
    return !out->failed;
}

static struct endpoint *copy_endpoint(const marline_endpoint *from)
{
    struct endpoint *to = marline__memory_zeroed(sizeof *to);
    if (!to) {
        return NULL;
    }
    atomic_init(&to->references, 1);
    to->registration = BUFFER_INIT;
    to->name = marline__memory_text(from->name);
    to->handler = from->handler;
    to->user = from->user;
    to->timeout_ms = from->timeout_ms;
    to->concurrency = from->concurrency;
    to->trace_mode = from->trace_mode;
    to->flush = from->flush;
    if (!to->name || !copy_required(from, to) || !write_entry(from, &to->registration)) {
        marline__endpoint_unref(to);
        return NULL;
    }
    return to;
}

/* ---- the table; with the lock held ---- */

static size_t index_of(const struct registry *registry, struct slice name)
{
    size_t i = 0;
    while (i < registry->count && !marline__slice_is(name, registry->items[i]->name)) {
        i++;
    }
    return i;
}

static bool append(struct registry *registry, struct endpoint *endpoint)
{
    if (registry->count == registry->capacity) {
        size_t capacity = registry->capacity ? registry->capacity * 2 : 8;
        struct endpoint **items =
            marline__memory_resize(registry->items, capacity * sizeof(struct endpoint *));
        if (!items) {
            return false;
        }
        registry->items = items;
        registry->capacity = capacity;
    }
    endpoint->key = registry->next_key++;
    registry->items[registry->count++] = endpoint;
    return true;
}

/* Takes the copy; NULL: it could not be made. */
static marline_status insert(struct registry *registry, struct endpoint *copy, marline_error *error)
{
    if (!copy) {
        return marline__refuse(error, MARLINE_ENOMEM, "out of memory");
    }
    marline_status status = MARLINE_OK;
    pthread_mutex_lock(&registry->lock);
    if (index_of(registry, marline__slice_text(copy->name)) < registry->count) {
        status = MARLINE_EINVAL;
    } else if (registry->count >= ENDPOINTS_MAX) {
        status = MARLINE_EFULL;
    } else if (!append(registry, copy)) {
        status = MARLINE_ENOMEM;
    }
    pthread_mutex_unlock(&registry->lock);
    if (status != MARLINE_OK) {
        (void)marline__refuse(error, status,
                              status == MARLINE_EINVAL
                                  ? "an endpoint named '%s' is registered already"
                                  : "no room for endpoint '%s'",
                              copy->name);
        marline__endpoint_unref(copy);
    }
    return status;
}

marline_status marline__registry_add(struct registry *registry, const marline_endpoint *endpoint,
                                     marline_error *error)
{
    marline_endpoint known = {0}; /* a caller built against an older header has fewer members */
    if (!endpoint || endpoint->size < offsetof(marline_endpoint, concurrency)) {
        return marline__refuse(error, MARLINE_EINVAL, "an endpoint needs its size member set");
    }
    memcpy(&known, endpoint, endpoint->size < sizeof known ? endpoint->size : sizeof known);
    marline_status status = check(&known, error);
    if (status != MARLINE_OK) {
        return status;
    }
    return insert(registry, copy_endpoint(&known), error);
}

static struct endpoint *copy_metric(const marline_metric *from)
{
    struct endpoint *to = marline__memory_zeroed(sizeof *to);
    if (!to) {
        return NULL;
    }
    atomic_init(&to->references, 1);
    to->registration = BUFFER_INIT;
    to->name = marline__memory_text(from->name);
    to->handler = from->handler;
    to->user = from->user;
    if (!to->name || !write_metric_entry(from, &to->registration)) {
        marline__endpoint_unref(to);
        return NULL;
    }
    return to;
}

marline_status marline__registry_add_metric(struct registry *registry, const marline_metric *metric,
                                            marline_error *error)
{
    static const char *const types[] = {"numeric", "binary", "categorical"};
    if (!metric || metric->size < sizeof *metric) {
        return marline__refuse(error, MARLINE_EINVAL, "a metric needs its size member set");
    }
    const marline_endpoint same = {.name = metric->name, .handler = metric->handler};
    marline_status status = check(&same, error);
    bool known = !metric->score_type;
    for (size_t i = 0; i < 3 && !known; i++) {
        known = strcmp(metric->score_type, types[i]) == 0;
    }
    if (status == MARLINE_OK && !known) {
        status = marline__refuse(
            error, MARLINE_EINVAL,
            "metric '%s': score_type '%.40s' is none of numeric, binary, categorical", metric->name,
            metric->score_type);
    }
    return status == MARLINE_OK ? insert(registry, copy_metric(metric), error) : status;
}

marline_status marline__registry_remove(struct registry *registry, struct slice name)
{
    struct endpoint *found = NULL;
    pthread_mutex_lock(&registry->lock);
    size_t at = index_of(registry, name);
    if (at < registry->count) {
        found = registry->items[at];
        registry->count--;
        memmove(&registry->items[at], &registry->items[at + 1],
                (registry->count - at) * sizeof(struct endpoint *));
    }
    pthread_mutex_unlock(&registry->lock);
    marline__endpoint_unref(found);
    return found ? MARLINE_OK : MARLINE_ENOTFOUND;
}

struct endpoint *marline__registry_find(struct registry *registry, struct slice name)
{
    struct endpoint *found = NULL;
    pthread_mutex_lock(&registry->lock);
    size_t at = index_of(registry, name);
    if (at < registry->count) {
        found = registry->items[at];
        atomic_fetch_add(&found->references, 1);
    }
    pthread_mutex_unlock(&registry->lock);
    return found;
}

void marline__registry_write(struct registry *registry, struct buffer *out)
{
    marline__buffer_append_byte(out, '[');
    pthread_mutex_lock(&registry->lock);
    for (size_t i = 0; i < registry->count; i++) {
        if (i > 0) {
            marline__buffer_append_byte(out, ',');
        }
        marline__buffer_append_slice(out, marline__buffer_slice(&registry->items[i]->registration));
    }
    pthread_mutex_unlock(&registry->lock);
    marline__buffer_append_byte(out, ']');
}
