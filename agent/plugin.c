/* Loads shared objects that declare endpoints. */
#include "agent/plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <marline/endpoint.h>

#include "programs/logger.h"

/* What to do about the loader's complaint, as far as its text tells. */
static const char *advice_for(const char *complaint)
{
    if (strstr(complaint, "undefined symbol")) {
        return "link the plugin with everything it uses (and with -lmarline)";
    }
    if (strstr(complaint, "invalid ELF header") || strstr(complaint, "file too short")) {
        return "a plugin is a shared object: build it with -shared -fPIC";
    }
    if (strstr(complaint, "wrong ELF class") || strstr(complaint, "cannot open shared object")) {
        return "a library it needs is missing, or is built for another machine: see ldd";
    }
    return "see the loader's text above for the cause";
}

static bool check_file(const char *path, const char *where, struct failure *f)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        return failure_set(f, EXIT_CODE_CONFIGURATION,
                           "%splugin %s: %s; is it built, and its path right?", where, path,
                           strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) {
        return failure_set(f, EXIT_CODE_CONFIGURATION, "%splugin %s is not a file", where, path);
    }
    if (access(path, R_OK) != 0) {
        return failure_set(f, EXIT_CODE_CONFIGURATION, "%splugin %s: %s", where, path,
                           strerror(errno));
    }
    return true;
}

static bool open_file(const char *path, const char *where, struct failure *f)
{
    /* An absolute path keeps dlopen from searching. */
    char absolute[PATH_MAX];
    if (!realpath(path, absolute)) {
        return failure_set(f, EXIT_CODE_CONFIGURATION, "%splugin %s: %s", where, path,
                           strerror(errno));
    }
    /* RTLD_NOW: a missing symbol shows here, not in the middle of a call. The handle is kept open:
     * the endpoints live as long as the process. */
    void *handle = dlopen(absolute, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char *complaint = dlerror();
        complaint = complaint ? complaint : "unknown error of the loader";
        return failure_set(f, EXIT_CODE_CONFIGURATION, "%splugin %s cannot be loaded: %s; %s",
                           where, path, complaint, advice_for(complaint));
    }
    return true;
}

bool plugin_load(const char *path, const char *where, struct failure *f)
{
    char place[512] = "";
    if (where) {
        (void)snprintf(place, sizeof place, "%s: ", where);
    }
    size_t before = marline_endpoint_declared_count();
    if (!check_file(path, place, f) || !open_file(path, place, f)) {
        return false;
    }
    size_t declared = marline_endpoint_declared_count() - before;
    if (declared == 0) {
        return failure_set(f, EXIT_CODE_CONFIGURATION,
                           "%splugin %s declares no endpoint; use MARLINE_ENDPOINT(name) { ... } "
                           "in it, and link it with -lmarline",
                           place, path);
    }
    logger_write(LOG_INFO, "plugin %s declares %zu endpoint%s", path, declared,
                 declared == 1 ? "" : "s");
    return true;
}
