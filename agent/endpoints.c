/* Everything that the agent serves, handed to the client. */
#include "agent/endpoints.h"

#include <string.h>
#include <sys/stat.h>

#include "agent/plugin.h"
#include "agent/service.h"
#include "programs/must.h"

static bool has_plugin(const struct config *config, const char *path)
{
    for (size_t i = 0; config && i < config->plugin_count; i++) {
        if (strcmp(config->plugins[i].path, path) == 0) {
            return true;
        }
    }
    return false;
}

void endpoints_remove(const struct config *config, marline_client *client)
{
    for (size_t i = 0; i < config->endpoint_count; i++) {
        const struct endpoint_config *c = config->endpoints[i];
        (void)(c->is_metric ? marline_client_remove_metric(client, c->name)
                            : marline_client_remove_endpoint(client, c->name));
    }
}

/* The SDK refuses a second one of the name too, but only when the first is served already. */
static bool check_names(const struct config *config, size_t declared_count, struct failure *f)
{
    for (size_t i = 0; i < config->endpoint_count * declared_count; i++) {
        const struct endpoint_config *c = config->endpoints[i / declared_count];
        if (!c->is_metric &&
            strcmp(c->name, marline_endpoint_declared(i % declared_count)->name) == 0) {
            return failure_set(f, EXIT_CODE_CONFIGURATION,
                               "%s: a plugin declares an endpoint '%s' too; give this one another "
                               "name",
                               c->where, c->name);
        }
    }
    return true;
}

/* By the files that they are, for a path can be written in many ways. */
static bool check_plugins_differ(const struct config *config, struct failure *f)
{
    for (size_t i = 0; i < config->plugin_count; i++) {
        struct stat mine;
        for (size_t j = 0; j < i && stat(config->plugins[i].path, &mine) == 0; j++) {
            struct stat other;
            if (stat(config->plugins[j].path, &other) != 0 || other.st_dev != mine.st_dev ||
                other.st_ino != mine.st_ino) {
                continue;
            }
            const char *where = config->plugins[i].where;
            const char *first = config->plugins[j].where;
            return failure_set(
                f, EXIT_CODE_CONFIGURATION, "%s: plugin %s is listed already at %s; list it once",
                where ? where : "--plugin", config->plugins[i].path, first ? first : "--plugin");
        }
    }
    return true;
}

bool endpoints_init(struct endpoints *e, const struct config *config, const struct config *previous,
                    const struct connection *connection, struct failure *f)
{
    *e = (struct endpoints){0};
    if (!check_plugins_differ(config, f)) {
        return false;
    }
    for (size_t i = 0; i < config->plugin_count; i++) {
        if (!has_plugin(previous, config->plugins[i].path) &&
            !plugin_load(config->plugins[i].path, config->plugins[i].where, config->plugin_folder,
                         f)) {
            return false;
        }
    }
    e->declared_count = marline_endpoint_declared_count();
    if (e->declared_count + marline_metric_declared_count() + config->endpoint_count == 0) {
        return failure_set(f, EXIT_CODE_CONFIGURATION,
                           "nothing to serve: name a --plugin FILE.so, an --exec NAME=COMMAND, or "
                           "a --config FILE with endpoints");
    }
    if (!check_names(config, e->declared_count, f)) {
        return false;
    }
    e->exec = must(marline__memory_array(config->endpoint_count + 1, sizeof *e->exec));
    e->http = must(marline__memory_array(config->endpoint_count + 1, sizeof *e->http));
    for (size_t i = 0; i < config->endpoint_count; i++) {
        const struct endpoint_config *c = config->endpoints[i];
        e->exec[i] = (struct exec_endpoint){.name = c->name,
                                            .target = &c->exec,
                                            .timeout_ms = c->timeout_ms,
                                            .output_max = c->output_max,
                                            .is_metric = c->is_metric,
                                            .project_id = connection->project_id,
                                            .environment = connection->environment};
        e->http[i] = (struct http_endpoint){.name = c->name,
                                            .target = &c->http,
                                            .timeout_ms = c->timeout_ms,
                                            .answer_max = c->output_max,
                                            .is_metric = c->is_metric};
        exec_endpoint_init(&e->exec[i]);
        http_endpoint_init(&e->http[i]);
        e->count++;
    }
    return true;
}

void endpoints_deinit(struct endpoints *e)
{
    for (size_t i = 0; i < e->count; i++) {
        exec_endpoint_deinit(&e->exec[i]);
        http_endpoint_deinit(&e->http[i]);
    }
    marline__memory_free(e->http);
    marline__memory_free(e->exec);
    *e = (struct endpoints){0};
}

static marline_handler_fn handler_of(const struct endpoint_config *c)
{
    return c->http.url ? http_endpoint_handle : exec_endpoint_handle;
}

static void *target_of(const struct endpoints *e, const struct endpoint_config *c, size_t index)
{
    return c->http.url ? (void *)&e->http[index] : (void *)&e->exec[index];
}

static bool add_metric(const struct endpoints *e, const struct config *config, size_t index,
                       marline_client *client, struct failure *f)
{
    const struct endpoint_config *c = config->endpoints[index];
    const marline_metric metric = {.size = sizeof metric,
                                   .name = c->name,
                                   .handler = handler_of(c),
                                   .user = target_of(e, c, index),
                                   .description = c->description,
                                   .score_type = c->score_type,
                                   .wants_expected_output = c->wants_expected_output,
                                   .wants_context = c->wants_context};
    marline_error error = {0};
    marline_status status = marline_client_add_metric(client, &metric, &error);
    return status == MARLINE_OK ||
           failure_set(f, service_exit_code(status), "%s: %s", c->where, error.text);
}

static bool add_one(const struct endpoints *e, const struct config *config, size_t index,
                    marline_client *client, struct failure *f)
{
    /* What the platform's default mapping sends; with a default, so that it may be left out. */
    static const marline_parameter usual_parameter = {"input", "str", ""};
    const struct endpoint_config *c = config->endpoints[index];
    marline_parameter *parameters =
        must(marline__memory_array(c->parameter_count + 1, sizeof *parameters));
    for (size_t i = 0; i < c->parameter_count; i++) {
        parameters[i] = (marline_parameter){c->parameters[i].name, c->parameters[i].type,
                                            c->parameters[i].default_text};
    }
    marline_endpoint endpoint = {.size = sizeof endpoint,
                                 .name = c->name,
                                 .handler = handler_of(c),
                                 .user = target_of(e, c, index),
                                 .description = c->description,
                                 .parameters = c->parameter_count ? parameters : &usual_parameter,
                                 .parameter_count = c->parameter_count ? c->parameter_count : 1,
                                 .return_type = c->return_type,
                                 .request_mapping = c->request_mapping,
                                 .response_mapping = c->response_mapping,
                                 .concurrency = (uint32_t)c->concurrency,
                                 .trace_mode = c->trace_mode,
                                 .flush = c->flush};
    marline_error error = {0};
    marline_status status = marline_client_add_endpoint(client, &endpoint, &error);
    marline__memory_free(parameters);
    return status == MARLINE_OK ||
           failure_set(f, service_exit_code(status), "%s: %s", c->where, error.text);
}

bool endpoints_add(const struct endpoints *e, const struct config *config, marline_client *client,
                   struct failure *f)
{
    marline_error error = {0};
    marline_status status = marline_client_add_declared(client, &error);
    if (status) {
        return failure_set(f, service_exit_code(status), "plugins: %s", error.text);
    }
    for (size_t i = 0; i < config->endpoint_count; i++) {
        bool added = config->endpoints[i]->is_metric ? add_metric(e, config, i, client, f)
                                                     : add_one(e, config, i, client, f);
        if (!added) {
            return false;
        }
    }
    return true;
}
