/* marline-agent dead-letters: what an agent's outbox keeps because it could not be executed or
 * delivered. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <marline/dead_letters.h>
#include <marline/propagation.h>

#include "agent/commands.h"
#include "agent/service.h"
#include "agent/settings.h"
#include "base/time_text.h"
#include "io/http_client.h"
#include "programs/must.h"
#include "wire/json_pointer.h"
#include "wire/json_reader.h"
#include "wire/json_writer.h"

enum { REQUEST_TIMEOUT_MS = 10000, FLUSH_TIMEOUT_MS = 5000 };

struct letters {
    struct settings settings;
    struct failure *failure;
    const char *outbox;
    int64_t number; /* the one that is asked for; 0 = all */
    bool is_found;
    struct marline_dead_letter letter; /* owned copies */
};

static void print_help(const struct settings *s)
{
    (void)puts(
        "Usage: marline-agent dead-letters list|show N|retry N|drop N|drop all [OPTION]…\n"
        "\n"
        "An agent with an --outbox keeps there what it had to refuse, and results that the "
        "backend\n"
        "would not take, with their test and trace context.\n"
        "\n"
        "  marline-agent dead-letters list --outbox agent.db\n"
        "  marline-agent dead-letters show 3 --outbox agent.db\n"
        "  marline-agent dead-letters retry 3 --outbox agent.db\n"
        "\n"
        "retry asks the backend to invoke the function again, with the same inputs and the same\n"
        "test context, so that its spans belong to the same test; the letter is dropped when the\n"
        "backend has accepted. An agent that serves the function has to be connected.\n"
        "\n"
        "Options:");
    settings_print_help(s, stdout);
    (void)puts("");
    command_print_exit_codes(stdout);
}

/* ---- reading ---- */

static char *function_of(const marline_dead_letter *letter)
{
    struct slice raw;
    struct buffer name = BUFFER_INIT;
    if (letter->request_json &&
        marline__json_pointer_find(marline__slice_text(letter->request_json), "/function_name",
                                   &raw) &&
        raw.size > 2 && raw.data[0] == '"') {
        marline__json_unescape((struct slice){raw.data + 1, raw.size - 2}, &name);
    } else {
        marline__buffer_append_text(&name, "-");
    }
    must_buffer(&name);
    return marline__buffer_take(&name);
}

static void print_row(void *user, const marline_dead_letter *letter)
{
    struct letters *l = user;
    char time[TIME_TEXT_SIZE];
    char *function = function_of(letter);
    marline__time_format(letter->at_unix_ns, time);
    (void)printf("%6" PRId64 "  %-27s  %-20s  %-18s  %s\n", letter->number, time, function,
                 letter->invocation_id, letter->reason);
    marline__memory_free(function);
    l->is_found = true;
}

static void keep_letter(void *user, const marline_dead_letter *letter)
{
    struct letters *l = user;
    if (letter->number != l->number || l->is_found) {
        return;
    }
    l->is_found = true;
    l->letter = (marline_dead_letter){.number = letter->number,
                                      .at_unix_ns = letter->at_unix_ns,
                                      .scope = must_text(letter->scope),
                                      .invocation_id = must_text(letter->invocation_id),
                                      .reason = must_text(letter->reason),
                                      .request_json = must_text(letter->request_json),
                                      .result_json = must_text(letter->result_json)};
}

/* The copies are the command's own, so the const is given up. */
static void free_text(const char *text)
{
    union {
        const char *in;
        char *out;
    } u = {text};
    marline__memory_free(u.out);
}

static void free_letter(struct letters *l)
{
    free_text(l->letter.scope);
    free_text(l->letter.invocation_id);
    free_text(l->letter.reason);
    free_text(l->letter.request_json);
    free_text(l->letter.result_json);
}

static bool visit(struct letters *l, marline_dead_letter_fn function)
{
    marline_error error = {0};
    marline_status status = marline_dead_letters_list(l->outbox, function, l, &error);
    return status == MARLINE_OK ||
           failure_set(l->failure, EXIT_CODE_CONFIGURATION, "%s", error.text);
}

static bool find(struct letters *l)
{
    return visit(l, keep_letter) &&
           (l->is_found || failure_set(l->failure, EXIT_CODE_USAGE,
                                       "no dead letter %" PRId64 " in %s; see: marline-agent "
                                       "dead-letters list",
                                       l->number, l->outbox));
}

static bool list(struct letters *l)
{
    if (!visit(l, print_row)) {
        return false;
    }
    if (!l->is_found) {
        (void)puts("no dead letters");
    }
    return true;
}

static bool show(struct letters *l)
{
    char time[TIME_TEXT_SIZE];
    if (!find(l)) {
        return false;
    }
    const marline_dead_letter *letter = &l->letter;
    marline__time_format(letter->at_unix_ns, time);
    (void)printf("number      %" PRId64 "\nat          %s\nscope       %s\ninvocation  %s\n"
                 "reason      %s\nrequest     %s\nresult      %s\n",
                 letter->number, time, letter->scope, letter->invocation_id, letter->reason,
                 letter->request_json ? letter->request_json : "(not kept)",
                 letter->result_json ? letter->result_json : "(never executed)");
    return true;
}

static bool drop(struct letters *l)
{
    marline_error error = {0};
    marline_status status = marline_dead_letters_drop(l->outbox, l->number, &error);
    return status == MARLINE_OK ||
           failure_set(l->failure,
                       status == MARLINE_ENOTFOUND ? EXIT_CODE_USAGE : EXIT_CODE_CONFIGURATION,
                       "%s", error.text);
}

/* ---- retrying ---- */

static bool write_trigger(const struct letters *l, struct buffer *out)
{
    struct slice request = marline__slice_text(l->letter.request_json);
    struct slice function;
    struct slice inputs;
    if (!marline__json_pointer_find(request, "/function_name", &function) ||
        !marline__json_pointer_find(request, "/inputs", &inputs)) {
        return false;
    }
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "project_id", l->settings.connection.project_id);
    marline__json_member_text(&w, "environment", l->settings.connection.environment);
    marline__json_member_raw(&w, "function_name", function);
    marline__json_member_raw(&w, "inputs", inputs);
    marline__json_end_object(&w);
    must_buffer(out);
    return true;
}

static bool post_trigger(struct letters *l, const struct buffer *body)
{
    const struct connection *c = &l->settings.connection;
    struct buffer url = BUFFER_INIT;
    struct buffer authorization = BUFFER_INIT;
    struct http_response response = HTTP_RESPONSE_INIT;
    marline_error error = {0};
    const char *scheme_end = strncmp(c->base_url, "ws", 2) == 0 ? c->base_url + 2 : NULL;
    marline__buffer_append_format(&url, "%s%s", scheme_end ? "http" : "",
                                  scheme_end ? scheme_end : c->base_url);
    while (url.size > 0 && url.data[url.size - 1] == '/') {
        url.size--;
    }
    marline__buffer_append_text(&url, "/connector/trigger");
    marline__buffer_append_format(&authorization, "Authorization: Bearer %s", c->api_key);
    must_buffer(&url);
    must_buffer(&authorization);
    const char *headers[] = {authorization.data, "Content-Type: application/json"};
    struct http_request request = {.url = url.data,
                                   .headers = headers,
                                   .header_count = 2,
                                   .body = marline__buffer_slice(body),
                                   .timeout_ms = REQUEST_TIMEOUT_MS};
    struct http_client_options options = {.tls = {.ca_file = c->ca_file,
                                                  .certificate_file = c->certificate_file,
                                                  .key_file = c->key_file}};
    struct http_client *client = must(marline__http_client_create(&options));
    marline_status status = marline__http_client_perform(client, &request, &response, &error);
    bool ok = status == MARLINE_OK && response.status == 200;
    if (status) {
        failure_set(l->failure, EXIT_CODE_UNREACHABLE, "%s", error.text);
    } else if (!ok) {
        failure_set(l->failure, response.status >= 500 ? EXIT_CODE_UNREACHABLE : EXIT_CODE_REFUSED,
                    "the backend does not retry it: HTTP %d %.*s", response.status,
                    SLICE_ARG(marline__buffer_slice(&response.body)));
    }
    marline__http_client_destroy(client);
    marline__http_response_deinit(&response);
    explicit_bzero(authorization.data, authorization.size);
    marline__buffer_deinit(&authorization);
    marline__buffer_deinit(&url);
    return ok;
}

/* One field of the `headers` of the request that failed. */
static size_t get_header(void *carrier, const char *name, marline_string *out, size_t max)
{
    struct buffer pointer = BUFFER_INIT;
    struct slice value;
    marline__buffer_append_format(&pointer, "/headers/%s", name);
    must_buffer(&pointer);
    bool found = max > 0 &&
                 marline__json_pointer_find(marline__slice_text(carrier), pointer.data, &value) &&
                 value.size > 2 && value.data[0] == '"';
    marline__buffer_deinit(&pointer);
    if (found) { /* header values have no escapes */
        out[0] = (marline_string){value.data + 1, value.size - 2};
    }
    return found;
}

/* The retry's own span continues the trace of the request that failed, where it brought one. */
static marline_span start_span(const struct letters *l)
{
    char *request = must_text(l->letter.request_json);
    marline_context *context =
        marline_extract(MARLINE_PROPAGATE_ALL, marline_context_root(), get_header, request);
    marline_span remote = marline_span_current(context);
    marline_link_data link = {.flags = remote.context.flags, .is_remote = true};
    memcpy(link.trace_id, remote.context.trace_id, sizeof link.trace_id);
    memcpy(link.span_id, remote.context.span_id, sizeof link.span_id);
    static const uint8_t none[sizeof link.trace_id];
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.kind = MARLINE_SPAN_KIND_CLIENT;
    options.parent = context;
    options.links = &link;
    options.link_count = memcmp(link.trace_id, none, sizeof none) != 0;
    marline_tracer *tracer =
        marline_tracer_get(marline_provider_global(), "marline-agent", marline_version());
    marline_span span = marline_span_start(tracer, "function.dead_letter.retry", &options);
    marline_span_set_text(&span, "marline.invocation.id", l->letter.invocation_id);
    marline_span_set_text(&span, "marline.dead_letter.reason", l->letter.reason);
    marline_context_unref(context);
    marline__memory_free(request);
    return span;
}

static bool retry(struct letters *l)
{
    struct buffer body = BUFFER_INIT;
    if (!settings_resolve(&l->settings, l->failure) || !find(l)) {
        return false;
    }
    if (!l->letter.request_json || !write_trigger(l, &body)) {
        return failure_set(l->failure, EXIT_CODE_CONFIGURATION,
                           "dead letter %" PRId64 " holds no request: only its result was kept",
                           l->number);
    }
    struct service service;
    struct service_options options = {.connection = &l->settings.connection};
    bool ok = service_open(&service, &options, l->failure);
    if (ok) {
        marline_span span = start_span(l);
        ok = post_trigger(l, &body);
        if (ok) {
            marline_span_set_status(&span, MARLINE_SPAN_STATUS_OK, NULL);
        } else {
            marline_span_fail(&span, "retry", l->failure->text);
        }
        marline_span_end(&span);
        service_close(&service, FLUSH_TIMEOUT_MS);
    }
    marline__buffer_deinit(&body);
    return ok && drop(l);
}

/* ---- the command ---- */

struct verb {
    const char *name;
    bool takes_number;
    bool (*run)(struct letters *l);
};

static bool read_number(struct letters *l, const struct verb *verb, const char *text)
{
    if (text && verb->run == drop && strcmp(text, "all") == 0) {
        return true;
    }
    char *end = NULL;
    l->number = text ? strtoll(text, &end, 10) : 0;
    return (text && *end == '\0' && l->number > 0) ||
           failure_set(l->failure, EXIT_CODE_USAGE,
                       "say which one: marline-agent dead-letters %s N", verb->name);
}

static bool perform(struct letters *l, const struct verb *verb, int argc, char **argv)
{
    bool has_number = verb->takes_number && argc > 0 && argv[0][0] != '-';
    if (!settings_read(&l->settings, argc - has_number, argv + has_number, l->failure)) {
        return false;
    }
    if (l->settings.options.help) {
        print_help(&l->settings);
        return true;
    }
    l->outbox = options_text(&l->settings.options, "outbox");
    if (!l->outbox) {
        return failure_set(l->failure, EXIT_CODE_USAGE,
                           "say which outbox: --outbox FILE, or MARLINE_OUTBOX");
    }
    return (!verb->takes_number || read_number(l, verb, has_number ? argv[0] : NULL)) &&
           verb->run(l);
}

enum exit_code command_dead_letters(int argc, char **argv)
{
    static const struct verb verbs[] = {
        {"list", false, list}, {"show", true, show}, {"retry", true, retry}, {"drop", true, drop}};
    struct failure failure = FAILURE_INIT;
    struct letters letters = {.failure = &failure};
    const struct verb *verb = NULL;
    settings_init(&letters.settings, NULL, 0);
    for (size_t i = 0; argc > 0 && i < sizeof verbs / sizeof verbs[0]; i++) {
        verb = strcmp(verbs[i].name, argv[0]) == 0 ? &verbs[i] : verb;
    }
    if (verb) {
        (void)perform(&letters, verb, argc - 1, argv + 1);
    } else if (argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)) {
        print_help(&letters.settings);
    } else {
        failure_set(&failure, EXIT_CODE_USAGE,
                    "say what to do: marline-agent dead-letters list|show|retry|drop");
    }
    free_letter(&letters);
    settings_deinit(&letters.settings);
    return failure.code ? command_fail("dead-letters", &failure) : EXIT_CODE_OK;
}
