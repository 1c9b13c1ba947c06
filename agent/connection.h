/* Which backend, with which key, for which project: the settings that every command needs. */
#ifndef AGENT_CONNECTION_H
#define AGENT_CONNECTION_H

#include <stdbool.h>

#include "programs/failure.h"
#include "programs/options.h"

/* Rows for the option table of a command. */
#define CONNECTION_OPTIONS                                                                         \
    {.name = "base-url",                                                                           \
     .kind = OPTION_TEXT,                                                                          \
     .value_name = "URL",                                                                          \
     .environment = "RHESIS_BASE_URL",                                                             \
     .default_text = "http://localhost:8080",                                                      \
     .in_file = true,                                                                              \
     .help = "backend: http(s):// or ws(s)://"},                                                   \
        {.name = "api-key",                                                                        \
         .kind = OPTION_TEXT,                                                                      \
         .value_name = "KEY",                                                                      \
         .environment = "RHESIS_API_KEY",                                                          \
         .secret = true,                                                                           \
         .help = "key; other users can see it here: prefer the variable or the file"},             \
        {.name = "api-key-file",                                                                   \
         .kind = OPTION_TEXT,                                                                      \
         .value_name = "FILE",                                                                     \
         .environment = "RHESIS_API_KEY_FILE",                                                     \
         .in_file = true,                                                                          \
         .is_path = true,                                                                          \
         .help = "file whose first line is the key"},                                              \
        {.name = "ca-file",                                                                        \
         .kind = OPTION_TEXT,                                                                      \
         .value_name = "FILE",                                                                     \
         .environment = "MARLINE_CA_FILE",                                                         \
         .in_file = true,                                                                          \
         .is_path = true,                                                                          \
         .help = "PEM file of the CAs to trust, instead of the system's"},                         \
        {.name = "client-certificate-file",                                                        \
         .kind = OPTION_TEXT,                                                                      \
         .value_name = "FILE",                                                                     \
         .environment = "MARLINE_CLIENT_CERTIFICATE_FILE",                                         \
         .in_file = true,                                                                          \
         .is_path = true,                                                                          \
         .help = "PEM file of the client's certificate"},                                          \
        {.name = "client-key-file",                                                                \
         .kind = OPTION_TEXT,                                                                      \
         .value_name = "FILE",                                                                     \
         .environment = "MARLINE_CLIENT_KEY_FILE",                                                 \
         .in_file = true,                                                                          \
         .is_path = true,                                                                          \
         .help = "PEM file of its key"},                                                           \
        {.name = "project-id",                                                                     \
         .kind = OPTION_TEXT,                                                                      \
         .value_name = "UUID",                                                                     \
         .environment = "RHESIS_PROJECT_ID",                                                       \
         .in_file = true,                                                                          \
         .help = "project that the endpoints belong to"},                                          \
    {                                                                                              \
        .name = "environment", .kind = OPTION_TEXT, .value_name = "NAME",                          \
        .environment = "RHESIS_ENVIRONMENT", .default_text = "development", .in_file = true,       \
        .help = "production, staging, development or local"                                        \
    }

/* And for every command that logs; its usual level differs. */
#define LOG_OPTIONS(default_level)                                                                 \
    {.name = "log-level",                                                                          \
     .kind = OPTION_CHOICE,                                                                        \
     .value_name = "LEVEL",                                                                        \
     .environment = "MARLINE_LOG_LEVEL",                                                           \
     .default_text = (default_level),                                                              \
     .choices = "error|warn|info|debug",                                                           \
     .in_file = true,                                                                              \
     .help = "error, warn, info or debug"},                                                        \
    {                                                                                              \
        .name = "log-format", .kind = OPTION_CHOICE, .value_name = "FORMAT",                       \
        .environment = "MARLINE_LOG_FORMAT", .default_text = "text", .choices = "text|json",       \
        .in_file = true, .help = "text or json"                                                    \
    }

/* How spans leave, for commands that serve. */
#define FLUSH_OPTION                                                                               \
    {                                                                                              \
        .name = "flush", .kind = OPTION_CHOICE, .value_name = "MODE",                              \
        .environment = "MARLINE_FLUSH", .default_text = "batch", .choices = "batch|prompt",        \
        .in_file = true,                                                                           \
        .help = "batch: with the next export; prompt: at once, and the result after them"          \
    }

struct connection {
    const char *base_url; /* borrowed from the options, as all but the key */
    const char *project_id;
    const char *ca_file; /* NULL = none, as the next two */
    const char *certificate_file;
    const char *key_file;
    char *environment; /* owned, lower case */
    char *api_key;     /* owned */
};

/* Checks everything that can be checked without a network. Each failure names the flag and the
 * variable that mend it. Also starts the log as the options want it. */
bool connection_resolve(struct connection *c, const struct options *o, struct failure *f);
void connection_deinit(struct connection *c);

#endif
