/* Which backend, with which key, for which project. */
#include "agent/connection.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/uuid.h"
#include "programs/logger.h"
#include "programs/must.h"

enum { KEY_MAX = 4096 }; /* a token is about 50 characters; JSON web tokens are longer */

static void start_log(const struct options *o)
{
    enum log_level level = LOG_INFO;
    (void)logger_parse_level(options_text(o, "log-level"), &level);
    logger_start(level, strcmp(options_text(o, "log-format"), "json") == 0 ? LOG_FORMAT_JSON
                                                                           : LOG_FORMAT_TEXT);
}

static bool read_key_file(const char *path, char **out, struct failure *f)
{
    FILE *file = fopen(path, "rbe");
    if (!file) {
        return failure_set(f, EXIT_CODE_CONFIGURATION, "key file %s: %s", path, strerror(errno));
    }
    char line[KEY_MAX] = "";
    bool has_line = fgets(line, sizeof line, file) != NULL;
    (void)fclose(file);
    size_t size = strcspn(line, " \t\r\n");
    if (!has_line || size == 0) {
        return failure_set(f, EXIT_CODE_CONFIGURATION, "key file %s: the first line is empty",
                           path);
    }
    *out = must_slice((struct slice){line, size});
    return true;
}

static bool read_key(struct connection *c, const struct options *o, struct failure *f)
{
    const char *file = options_text(o, "api-key-file");
    const char *key = options_text(o, "api-key");
    /* Of two ways to give the key the stronger origin counts, the key itself on a tie. */
    if (key && (!file ||
                options_value(o, "api-key")->origin >= options_value(o, "api-key-file")->origin)) {
        c->api_key = must_text(key);
        return true;
    }
    if (file) {
        return read_key_file(file, &c->api_key, f);
    }
    return failure_set(f, EXIT_CODE_CONFIGURATION,
                       "no API key: set RHESIS_API_KEY, or name a file that holds it with "
                       "--api-key-file, RHESIS_API_KEY_FILE or api_key_file in the configuration");
}

static bool check_url(const char *url, struct failure *f)
{
    static const char *const schemes[] = {"http://", "https://", "ws://", "wss://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t size = strlen(schemes[i]);
        if (strncasecmp(url, schemes[i], size) == 0 && url[size] != '\0' && url[size] != '/') {
            return true;
        }
    }
    return failure_set(f, EXIT_CODE_CONFIGURATION,
                       "base URL '%s' is not of the form http(s)://host[:port] or ws(s)://…; set "
                       "--base-url or RHESIS_BASE_URL",
                       url);
}

static bool check_project(const char *id, struct failure *f)
{
    struct uuid u;
    if (!id) {
        return failure_set(f, EXIT_CODE_CONFIGURATION,
                           "no project: set --project-id or RHESIS_PROJECT_ID");
    }
    if (!marline__uuid_parse(marline__slice_text(id), &u)) {
        return failure_set(f, EXIT_CODE_CONFIGURATION,
                           "project id '%s' is not a UUID; copy it from the backend's start-up "
                           "message or the platform's project page",
                           id);
    }
    return true;
}

static bool check_environment(const char *name, struct failure *f)
{
    static const char *const known[] = {"production", "staging", "development", "local"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(name, known[i]) == 0) {
            return true;
        }
    }
    return failure_set(f, EXIT_CODE_CONFIGURATION,
                       "environment '%s' is not production, staging, development or local", name);
}

static bool check_readable(const char *path, struct failure *f)
{
    return !path || access(path, R_OK) == 0 ||
           failure_set(f, EXIT_CODE_CONFIGURATION, "%s: %s", path, strerror(errno));
}

bool connection_resolve(struct connection *c, const struct options *o, struct failure *f)
{
    *c = (struct connection){.base_url = options_text(o, "base-url"),
                             .project_id = options_text(o, "project-id"),
                             .ca_file = options_text(o, "ca-file"),
                             .certificate_file = options_text(o, "client-certificate-file"),
                             .key_file = options_text(o, "client-key-file"),
                             .environment = must_text(options_text(o, "environment"))};
    for (char *letter = c->environment; *letter; letter++) {
        *letter = (char)tolower((unsigned char)*letter);
    }
    start_log(o);
    bool ok = check_url(c->base_url, f) && read_key(c, o, f) && check_project(c->project_id, f) &&
              check_environment(c->environment, f) && check_readable(c->ca_file, f) &&
              check_readable(c->certificate_file, f) && check_readable(c->key_file, f);
    if (!ok) {
        connection_deinit(c);
    }
    return ok;
}

void connection_deinit(struct connection *c)
{
    if (c->api_key) {
        explicit_bzero(c->api_key, strlen(c->api_key));
    }
    marline__memory_free(c->api_key);
    marline__memory_free(c->environment);
    *c = (struct connection){0};
}
