/* What the agent serves. */
#include "agent/config.h"

#include <stdlib.h>
#include <string.h>

#include "programs/must.h"
#include "programs/path.h"
#include "programs/yaml_file.h"
#include "wire/json_pointer.h"
#include "wire/json_reader.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- life ---- */

static void destroy_endpoint(struct endpoint_config *e)
{
    if (!e) {
        return;
    }
    marline__memory_free(e->where);
    marline__memory_free(e->name);
    marline__memory_free(e->description);
    marline__memory_free(e->return_type);
    marline__memory_free(e->request_mapping);
    marline__memory_free(e->response_mapping);
    marline__memory_free(e->score_type);
    for (size_t i = 0; i < e->parameter_count; i++) {
        marline__memory_free(e->parameters[i].name);
        marline__memory_free(e->parameters[i].type);
        marline__memory_free(e->parameters[i].default_text);
    }
    marline__memory_free(e->parameters);
    exec_target_deinit(&e->exec);
    http_target_deinit(&e->http);
    marline__memory_free(e);
}

static struct endpoint_config *create_endpoint(void)
{
    struct endpoint_config *e = must_zeroed(sizeof *e);
    e->timeout_ms = CONFIG_TIMEOUT_DEFAULT_MS;
    e->output_max = CONFIG_OUTPUT_DEFAULT;
    return e;
}

void config_deinit(struct config *c)
{
    for (size_t i = 0; i < c->endpoint_count; i++) {
        destroy_endpoint(c->endpoints[i]);
    }
    marline__memory_free(c->endpoints);
    for (size_t i = 0; i < c->plugin_count; i++) {
        marline__memory_free(c->plugins[i].path);
        marline__memory_free(c->plugins[i].where);
    }
    marline__memory_free(c->plugins);
    marline__memory_free(c->plugin_folder);
    *c = CONFIG_INIT;
}

void config_add_plugin(struct config *c, const char *path, const char *where)
{
    c->plugins = must_grow(c->plugins, c->plugin_count, &c->plugin_capacity, sizeof *c->plugins);
    c->plugins[c->plugin_count++] = (struct plugin_config){must_text(path), must_text(where)};
}

/* ---- what must hold for an endpoint, wherever it came from ---- */

static bool check_name(const struct config *c, const struct endpoint_config *e, struct failure *f)
{
    if (!e->name) {
        return failure_set(f, EXIT_CODE_CONFIGURATION,
                           "%s: an endpoint needs a name; add 'name: …'", e->where);
    }
    if (strlen(e->name) > CONFIG_NAME_MAX ||
        !marline__utf8_is_valid(marline__slice_text(e->name))) {
        return failure_set(f, EXIT_CODE_CONFIGURATION,
                           "%s: the endpoint's name must be at most %d bytes of UTF-8", e->where,
                           CONFIG_NAME_MAX);
    }
    for (size_t i = 0; i < c->endpoint_count; i++) {
        if (c->endpoints[i]->is_metric == e->is_metric &&
            strcmp(c->endpoints[i]->name, e->name) == 0) {
            return failure_set(
                f, EXIT_CODE_CONFIGURATION, "%s: %s '%s' is defined already at %s; rename one",
                e->where, e->is_metric ? "metric" : "endpoint", e->name, c->endpoints[i]->where);
        }
    }
    return true;
}

static bool check_target(const struct endpoint_config *e, struct failure *f)
{
    bool is_exec = e->exec.command.count > 0;
    bool is_http = e->http.url != NULL;
    if (is_exec && is_http) {
        return failure_set(f, EXIT_CODE_CONFIGURATION,
                           "%s: endpoint '%s' has both exec and http; keep one", e->where, e->name);
    }
    if (is_exec) {
        return exec_target_check(&e->exec, e->where, e->name, f);
    }
    if (is_http) {
        return http_target_check(&e->http, e->where, e->name, f);
    }
    return failure_set(f, EXIT_CODE_CONFIGURATION,
                       "%s: endpoint '%s' says not what to run; add exec: [PROGRAM, ARGUMENT…], or "
                       "http: {url: …}",
                       e->where, e->name);
}

/* Takes the endpoint, on failure too. */
static bool add_endpoint(struct config *c, struct endpoint_config *e, struct failure *f)
{
    if (!check_name(c, e, f) || !check_target(e, f)) {
        destroy_endpoint(e);
        return false;
    }
    c->endpoints = must_grow(c->endpoints, c->endpoint_count, &c->endpoint_capacity,
                             sizeof(struct endpoint_config *));
    c->endpoints[c->endpoint_count++] = e;
    return true;
}

bool config_add_exec(struct config *c, const char *definition, struct failure *f)
{
    const char *equals = strchr(definition, '=');
    if (!equals || equals == definition) {
        return failure_set(f, EXIT_CODE_USAGE,
                           "--exec %s: expected NAME=COMMAND, such as --exec 'answer=python3 "
                           "answer.py'",
                           definition);
    }
    struct endpoint_config *e = create_endpoint();
    e->where = must_text("--exec");
    e->name = must_slice((struct slice){definition, (size_t)(equals - definition)});
    const char *error = NULL;
    if (!words_split(equals + 1, &e->exec.command, &error)) {
        failure_set(f, EXIT_CODE_USAGE, "--exec %s: the command cannot be read: %s", e->name,
                    error);
        destroy_endpoint(e);
        return false;
    }
    return add_endpoint(c, e, f);
}

/* ---- one endpoint of the file ---- */

static bool read_owned_text(struct yaml_file *y, const char *key, const yaml_node_t *value,
                            char **out)
{
    const char *text = yaml_read_text(y, key, value);
    *out = must_text(text);
    return text != NULL;
}

static bool read_name(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    struct endpoint_config *e = target;
    return read_owned_text(y, key, value, &e->name);
}

static bool read_description(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    struct endpoint_config *e = target;
    return read_owned_text(y, key, value, &e->description);
}

static bool read_return_type(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    struct endpoint_config *e = target;
    return read_owned_text(y, key, value, &e->return_type);
}

static bool read_mapping_json(struct yaml_file *y, const char *key, yaml_node_t *value, char **out)
{
    if (value->type != YAML_MAPPING_NODE) {
        return yaml_complain(y, value, "%s must be a mapping, such as {input: \"{{ input }}\"}",
                             key);
    }
    struct buffer b = BUFFER_INIT;
    bool ok = yaml_read_json(y, key, value, &b);
    if (ok) {
        *out = marline__buffer_take(&b);
    }
    marline__buffer_deinit(&b);
    return ok;
}

static bool read_request_mapping(struct yaml_file *y, const char *key, yaml_node_t *value,
                                 void *target)
{
    struct endpoint_config *e = target;
    return read_mapping_json(y, key, value, &e->request_mapping);
}

static bool read_response_mapping(struct yaml_file *y, const char *key, yaml_node_t *value,
                                  void *target)
{
    struct endpoint_config *e = target;
    return read_mapping_json(y, key, value, &e->response_mapping);
}

static bool read_timeout(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    struct endpoint_config *e = target;
    return yaml_read_whole(y, key, value, 1, CONFIG_TIMEOUT_MAX_MS, &e->timeout_ms);
}

static bool read_concurrency(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    struct endpoint_config *e = target;
    return yaml_read_whole(y, key, value, 1, CONFIG_CONCURRENCY_MAX, &e->concurrency);
}

static bool read_trace_mode(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    static const char *const names[] = {"default", "continue", "link"};
    struct endpoint_config *e = target;
    size_t index;
    if (!yaml_read_choice(y, key, value, names, COUNT(names), &index)) {
        return false;
    }
    e->trace_mode = (marline_trace_mode)index;
    return true;
}

static bool read_process(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    static const char *const names[] = {"per_call", "long_lived"};
    struct endpoint_config *e = target;
    size_t index;
    if (!yaml_read_choice(y, key, value, names, COUNT(names), &index)) {
        return false;
    }
    e->exec.is_long_lived = index == 1;
    return true;
}

static bool read_flush(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    static const char *const names[] = {"default", "batch", "prompt"};
    struct endpoint_config *e = target;
    size_t index;
    if (!yaml_read_choice(y, key, value, names, COUNT(names), &index)) {
        return false;
    }
    e->flush = (marline_flush_mode)index;
    return true;
}

static bool read_output_max(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    struct endpoint_config *e = target;
    return yaml_read_whole(y, key, value, 1, CONFIG_OUTPUT_MAX, &e->output_max);
}

static bool read_folder(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    struct endpoint_config *e = target;
    const char *text = yaml_read_text(y, key, value);
    if (!text) {
        return false;
    }
    marline__memory_free(e->exec.folder);
    e->exec.folder = path_join(y->folder, marline__slice_text(text));
    return true;
}

static bool read_word(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    if (value->type == YAML_SCALAR_NODE && value->data.scalar.length == 0) {
        words_add(target, ""); /* an empty argument is a good argument */
        return true;
    }
    const char *text = yaml_read_text(y, key, value);
    if (text) {
        words_add(target, text);
    }
    return text != NULL;
}

static bool read_command(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    struct endpoint_config *e = target;
    if (value->type != YAML_SCALAR_NODE) {
        return yaml_each_item(y, key, value, read_word, &e->exec.command);
    }
    const char *text = yaml_read_text(y, key, value);
    const char *error = NULL;
    if (text && !words_split(text, &e->exec.command, &error)) {
        return yaml_complain(y, value,
                             "%s cannot be read: %s; a list [PROGRAM, ARGUMENT…] needs no quotes",
                             key, error);
    }
    return text != NULL;
}

static bool read_variable(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    if (*key == '\0' || strchr(key, '=')) {
        return yaml_complain(
            y, y->key, "'%s' is no name for an environment variable; use letters, digits and _",
            key);
    }
    if (value->type != YAML_SCALAR_NODE) {
        return yaml_complain(y, value,
                             "environment variable %s must be a text; write '%s: TEXT' on one line",
                             key, key);
    }
    struct buffer b = BUFFER_INIT;
    marline__buffer_append_format(&b, "%s=%s", key, (const char *)value->data.scalar.value);
    must_buffer(&b);
    words_add(target, b.data);
    marline__buffer_deinit(&b);
    return true;
}

static bool read_variables(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    struct endpoint_config *e = target;
    return yaml_each_member(y, value, key, read_variable, &e->exec.environment);
}

static bool read_pass(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    struct endpoint_config *e = target;
    return yaml_each_item(y, key, value, read_word, &e->exec.pass);
}

/* ---- http ---- */

static bool read_method(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    struct endpoint_config *e = target;
    return read_owned_text(y, key, value, &e->http.method);
}

static bool read_url(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    struct endpoint_config *e = target;
    return read_owned_text(y, key, value, &e->http.url);
}

static bool read_pem(struct yaml_file *y, const char *key, const yaml_node_t *value, char **out)
{
    const char *text = yaml_read_text(y, key, value);
    *out = text ? path_join(y->folder, marline__slice_text(text)) : NULL;
    return text != NULL;
}

static bool read_ca_file(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    struct endpoint_config *e = target;
    return read_pem(y, key, value, &e->http.ca_file);
}

static bool read_certificate_file(struct yaml_file *y, const char *key, yaml_node_t *value,
                                  void *target)
{
    struct endpoint_config *e = target;
    return read_pem(y, key, value, &e->http.certificate_file);
}

static bool read_key_file(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    struct endpoint_config *e = target;
    return read_pem(y, key, value, &e->http.key_file);
}

/* Replaces ${NAME} by the agent's variable, so that no secret has to stand in the file. */
static bool expand_variables(struct yaml_file *y, const yaml_node_t *node, const char *text,
                             struct buffer *out)
{
    const char *open;
    while ((open = strstr(text, "${")) != NULL) {
        const char *close = strchr(open, '}');
        if (!close) {
            return yaml_complain(y, node, "'${' is not closed; write ${NAME}");
        }
        marline__buffer_append_slice(out, (struct slice){text, (size_t)(open - text)});
        char *name = must_slice((struct slice){open + 2, (size_t)(close - open) - 2});
        const char *value = getenv(name);
        if (value) {
            marline__buffer_append_text(out, value);
        } else {
            yaml_complain(y, node, "environment variable %s is not set; export it before the start",
                          name);
        }
        marline__memory_free(name);
        if (!value) {
            return false;
        }
        text = close + 1;
    }
    marline__buffer_append_text(out, text);
    must_buffer(out);
    return true;
}

static bool read_header(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    const char *text = yaml_read_text(y, key, value);
    struct buffer expanded = BUFFER_INIT;
    bool ok = text && expand_variables(y, value, text, &expanded);
    if (ok) {
        http_pairs_add(target, key, expanded.data);
    }
    marline__buffer_deinit(&expanded);
    return ok;
}

static bool read_headers(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    struct endpoint_config *e = target;
    return yaml_each_member(y, value, key, read_header, &e->http.headers);
}

static bool read_body(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    struct endpoint_config *e = target;
    struct buffer b = BUFFER_INIT;
    bool ok = yaml_read_json(y, key, value, &b);
    if (ok) {
        e->http.body = marline__buffer_take(&b);
    }
    marline__buffer_deinit(&b);
    return ok;
}

static bool read_pointer(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    const char *text = yaml_read_text(y, key, value);
    if (text && !marline__json_pointer_is_valid(text)) {
        return yaml_complain(y, value, "%s: '%s' is no JSON pointer, such as /answer/0/text", key,
                             text);
    }
    if (text) {
        http_pairs_add(target, key, text);
    }
    return text != NULL;
}

static bool read_response(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    struct endpoint_config *e = target;
    return yaml_each_member(y, value, key, read_pointer, &e->http.response);
}

static bool read_http(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    static const struct yaml_key keys[] = {
        {"method", read_method},
        {"url", read_url},
        {"headers", read_headers},
        {"body", read_body},
        {"response", read_response},
        {"ca_file", read_ca_file},
        {"certificate_file", read_certificate_file},
        {"key_file", read_key_file},
    };
    const struct endpoint_config *e = target;
    return yaml_read_mapping(y, value, key, keys, COUNT(keys), target) &&
           (e->http.url || yaml_complain(y, value, "http needs a url; add 'url: http://…'"));
}

/* ---- parameters ---- */

static bool read_parameter_type(struct yaml_file *y, const char *key, yaml_node_t *value,
                                void *target)
{
    struct parameter_config *p = target;
    return read_owned_text(y, key, value, &p->type);
}

static bool read_parameter_default(struct yaml_file *y, const char *key, yaml_node_t *value,
                                   void *target)
{
    struct parameter_config *p = target;
    if (value->type != YAML_SCALAR_NODE) {
        return yaml_complain(y, value, "%s must be a single value; quote it if it is JSON", key);
    }
    p->default_text = must_text((const char *)value->data.scalar.value);
    return true;
}

static bool read_parameter(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    static const struct yaml_key keys[] = {{"type", read_parameter_type},
                                           {"default", read_parameter_default}};
    struct endpoint_config *e = target;
    e->parameters =
        must_grow(e->parameters, e->parameter_count, &e->parameter_capacity, sizeof *e->parameters);
    struct parameter_config *p = &e->parameters[e->parameter_count++];
    *p = (struct parameter_config){.name = must_text(key)};
    if (value->type == YAML_SCALAR_NODE) {
        return read_parameter_type(y, key, value, p);
    }
    return yaml_read_mapping(y, value, "a parameter", keys, COUNT(keys), p);
}

static bool read_parameters(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    return yaml_each_member(y, value, key, read_parameter, target);
}

static bool read_endpoint(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    (void)key;
    static const struct yaml_key keys[] = {
        {"name", read_name},
        {"description", read_description},
        {"exec", read_command},
        {"http", read_http},
        {"process", read_process},
        {"folder", read_folder},
        {"environment", read_variables},
        {"pass_environment", read_pass},
        {"timeout_ms", read_timeout},
        {"concurrency", read_concurrency},
        {"trace_mode", read_trace_mode},
        {"flush", read_flush},
        {"output_max_bytes", read_output_max},
        {"parameters", read_parameters},
        {"return_type", read_return_type},
        {"request_mapping", read_request_mapping},
        {"response_mapping", read_response_mapping},
    };
    struct endpoint_config *e = create_endpoint();
    e->where = yaml_where(y, value);
    e->exec.folder = must_text(y->folder);
    if (!yaml_read_mapping(y, value, "an endpoint", keys, COUNT(keys), e)) {
        destroy_endpoint(e);
        return false;
    }
    return add_endpoint(target, e, y->failure);
}

/* ---- one metric ---- */

static bool read_score_type(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    static const char *const names[] = {"numeric", "binary", "categorical"};
    struct endpoint_config *e = target;
    size_t index;
    if (!yaml_read_choice(y, key, value, names, COUNT(names), &index)) {
        return false;
    }
    e->score_type = must_text(names[index]);
    return true;
}

static bool read_wish(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    static const char *const names[] = {"expected_output", "context"};
    struct endpoint_config *e = target;
    size_t index;
    if (!yaml_read_choice(y, key, value, names, COUNT(names), &index)) {
        return false;
    }
    e->wants_expected_output |= index == 0;
    e->wants_context |= index == 1;
    return true;
}

static bool read_wishes(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    return yaml_each_item(y, key, value, read_wish, target);
}

static bool read_metric(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    (void)key;
    static const struct yaml_key keys[] = {
        {"name", read_name},
        {"description", read_description},
        {"exec", read_command},
        {"http", read_http},
        {"process", read_process},
        {"folder", read_folder},
        {"environment", read_variables},
        {"pass_environment", read_pass},
        {"timeout_ms", read_timeout},
        {"output_max_bytes", read_output_max},
        {"score_type", read_score_type},
        {"wants", read_wishes},
    };
    struct endpoint_config *e = create_endpoint();
    e->is_metric = true;
    e->where = yaml_where(y, value);
    e->exec.folder = must_text(y->folder);
    if (!yaml_read_mapping(y, value, "a metric", keys, COUNT(keys), e)) {
        destroy_endpoint(e);
        return false;
    }
    return add_endpoint(target, e, y->failure);
}

/* ---- the whole file ---- */

struct file_target {
    struct config *config;
    struct options *options;
};

static bool read_endpoints(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    struct file_target *t = target;
    return yaml_each_item(y, key, value, read_endpoint, t->config);
}

static bool read_metrics(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    struct file_target *t = target;
    return yaml_each_item(y, key, value, read_metric, t->config);
}

static bool read_plugin(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    const char *text = yaml_read_text(y, key, value);
    if (!text) {
        return false;
    }
    char *path = path_join(y->folder, marline__slice_text(text));
    char *where = yaml_where(y, value);
    config_add_plugin(target, path, where);
    marline__memory_free(where);
    marline__memory_free(path);
    return true;
}

static bool read_plugins(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    struct file_target *t = target;
    return yaml_each_item(y, key, value, read_plugin, t->config);
}

/* base_url in the file is base-url in the table. Returns owned. */
static char *swap_dashes(const char *name, char from, char to)
{
    char *text = must_text(name);
    for (char *c = text; *c; c++) {
        *c = *c == from ? to : *c;
    }
    return text;
}

static bool is_path(const struct options *o, const char *name)
{
    for (size_t i = 0; i < o->count; i++) {
        if (strcmp(o->specs[i].name, name) == 0) {
            return o->specs[i].is_path;
        }
    }
    return false;
}

static bool read_setting(struct yaml_file *y, const char *key, yaml_node_t *value, void *target)
{
    struct file_target *t = target;
    const char *text = yaml_read_text(y, key, value);
    if (!text) {
        return false;
    }
    char *name = swap_dashes(key, '_', '-');
    char *where = yaml_where(y, value);
    char *given =
        path_join(is_path(t->options, name) ? y->folder : NULL, marline__slice_text(text));
    bool ok = options_set(t->options, name, given, ORIGIN_FILE, where, y->failure);
    marline__memory_free(given);
    marline__memory_free(where);
    marline__memory_free(name);
    return ok;
}

bool config_read_file(struct config *c, const char *path, struct options *options,
                      struct failure *f)
{
    static const struct yaml_advice advice = {
        .missing = "check --config or MARLINE_CONFIG",
        .empty = "put settings such as 'base_url: http://…' in it, or leave --config out"};
    struct yaml_file y;
    if (!yaml_file_open(&y, path, &advice, f)) {
        return false;
    }
    struct file_target target = {c, options};
    struct yaml_key *keys = must(marline__memory_array(options->count + 3, sizeof *keys));
    char **names = must(marline__memory_array(options->count + 1, sizeof *names));
    size_t count = 0;
    for (size_t i = 0; i < options->count; i++) {
        if (options->specs[i].in_file) {
            names[count] = swap_dashes(options->specs[i].name, '-', '_');
            keys[count] = (struct yaml_key){names[count], read_setting};
            count++;
        }
    }
    keys[count] = (struct yaml_key){"plugins", read_plugins};
    keys[count + 1] = (struct yaml_key){"endpoints", read_endpoints};
    keys[count + 2] = (struct yaml_key){"metrics", read_metrics};
    bool ok =
        yaml_read_mapping(&y, yaml_file_root(&y), "the configuration", keys, count + 3, &target);
    for (size_t i = 0; i < count; i++) {
        marline__memory_free(names[i]);
    }
    marline__memory_free(names);
    marline__memory_free(keys);
    yaml_file_close(&y);
    return ok;
}
