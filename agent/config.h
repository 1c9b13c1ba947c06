/* What the agent serves: plugins and endpoints, from a configuration file and from the command
 * line. The file's other keys (base_url, …) are settings and go to the option table. One thread. */
#ifndef AGENT_CONFIG_H
#define AGENT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <marline/endpoint.h>

#include "agent/exec_target.h"
#include "agent/http_target.h"
#include "programs/failure.h"
#include "programs/options.h"

enum {
    CONFIG_TIMEOUT_DEFAULT_MS = 120000, /* what the platform waits for a function */
    CONFIG_OUTPUT_DEFAULT = 900 * 1024, /* a result message may have 1 MiB (wire-protocol §1.6) */
    CONFIG_TIMEOUT_MAX_MS = 24 * 3600 * 1000, /* longer is a mistake of units */
    CONFIG_OUTPUT_MAX = 64 * 1024 * 1024,
    CONFIG_CONCURRENCY_MAX = 256,
    CONFIG_NAME_MAX = 200, /* bytes, as the SDK allows */
};

struct parameter_config {
    char *name;
    char *type;
    char *default_text; /* NULL = required */
};

struct endpoint_config {
    char *where; /* "agent.yaml:7", or "--exec" */
    char *name;
    char *description; /* may be NULL, as the next three */
    char *return_type;
    char *request_mapping;  /* JSON */
    char *response_mapping; /* JSON */
    struct parameter_config *parameters;
    size_t parameter_count;
    size_t parameter_capacity;
    uint64_t timeout_ms;
    uint64_t concurrency; /* 0 = as the agent's */
    marline_trace_mode trace_mode;
    marline_flush_mode flush;
    uint64_t output_max;     /* bytes that it may answer */
    struct exec_target exec; /* one of the two is set */
    struct http_target http;
    bool is_metric;   /* of the list `metrics`; then the next ones count */
    char *score_type; /* may be NULL */
    bool wants_expected_output;
    bool wants_context;
};

struct plugin_config {
    char *path;
    char *where; /* NULL: the command line */
};

struct config {
    struct endpoint_config **endpoints;
    size_t endpoint_count;
    size_t endpoint_capacity;
    struct plugin_config *plugins;
    size_t plugin_count;
    size_t plugin_capacity;
    char *plugin_folder; /* NULL = any */
};

#define CONFIG_INIT ((struct config){NULL, 0, 0, NULL, 0, 0, NULL})

void config_deinit(struct config *c);
/* Adds what the file says. Settings go to `options` as values of origin ORIGIN_FILE; a key that is
 * no option of the table, or may not stand in a file, is unknown. */
bool config_read_file(struct config *c, const char *path, struct options *options,
                      struct failure *f);
/* Adds NAME=COMMAND, the quick form of an exec endpoint. */
bool config_add_exec(struct config *c, const char *definition, struct failure *f);
void config_add_plugin(struct config *c, const char *path, const char *where);

#endif
