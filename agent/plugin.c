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

static bool resolve(const char *path, const char *where, char out[PATH_MAX], struct failure *f)
{
    return realpath(path, out) ||
           failure_set(f, EXIT_CODE_CONFIGURATION, "%splugin %s: %s", where, path, strerror(errno));
}

/* Whoever may write the file, or put another in its place, may do all that the agent may do. */
static bool check_writers(const char *absolute, const char *where, bool is_strict,
                          struct failure *f)
{
    struct stat status;
    if (stat(absolute, &status) != 0) {
        return failure_set(f, EXIT_CODE_CONFIGURATION, "%splugin %s: %s", where, absolute,
                           strerror(errno));
    }
    bool is_ours = status.st_uid == 0 || status.st_uid == geteuid();
    bool is_sticky = S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX);
    if ((status.st_mode & S_IWOTH) && !is_sticky) {
        return failure_set(
            f, EXIT_CODE_CONFIGURATION,
            "%splugin: every user may write %s, so its code is not loaded; chmod o-w "
            "%s",
            where, absolute, absolute);
    }
    if (is_strict && !is_ours) {
        return failure_set(f, EXIT_CODE_CONFIGURATION,
                           "%splugin: %s belongs to user %u, neither root nor the agent's own, so "
                           "its code is not loaded; copy it, or chown it",
                           where, absolute, (unsigned)status.st_uid);
    }
    return true;
}

static bool check_trust(const char *absolute, const char *where, bool is_strict, struct failure *f)
{
    char folder[PATH_MAX];
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(absolute, '/') - absolute),
                   absolute);
    return check_writers(absolute, where, is_strict, f) &&
           check_writers(folder[0] ? folder : "/", where, is_strict, f);
}

static bool check_folder(const char *absolute, const char *where, const char *folder,
                         struct failure *f)
{
    char allowed[PATH_MAX];
    if (!realpath(folder, allowed)) {
        return failure_set(f, EXIT_CODE_CONFIGURATION, "plugin_directory %s: %s", folder,
                           strerror(errno));
    }
    size_t size = strlen(allowed);
    return (strncmp(absolute, allowed, size) == 0 && absolute[size] == '/') ||
           failure_set(f, EXIT_CODE_CONFIGURATION,
                       "%splugin %s lies outside of plugin_directory %s, the only folder that "
                       "plugins are loaded from; install it there",
                       where, absolute, allowed);
}

static bool open_file(const char *path, const char *absolute, const char *where, struct failure *f)
{
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

static size_t declared_count(void)
{
    return marline_endpoint_declared_count() + marline_metric_declared_count();
}

bool plugin_load(const char *path, const char *where, const char *folder, struct failure *f)
{
    char absolute[PATH_MAX]; /* which also keeps dlopen from searching */
    char place[512] = "";
    if (where) {
        (void)snprintf(place, sizeof place, "%s: ", where);
    }
    size_t before = declared_count();
    if (!check_file(path, place, f) || !resolve(path, place, absolute, f) ||
        (folder && !check_folder(absolute, place, folder, f)) ||
        !check_trust(absolute, place, folder != NULL, f) || !open_file(path, absolute, place, f)) {
        return false;
    }
    size_t declared = declared_count() - before;
    if (declared == 0) {
        return failure_set(
            f, EXIT_CODE_CONFIGURATION,
            "%splugin %s declares no endpoint and no metric; use MARLINE_ENDPOINT(name) { ... } "
            "in it, and link it with -lmarline",
            place, path);
    }
    logger_write(LOG_INFO, "plugin %s declares %zu endpoint%s or metric%s", path, declared,
                 declared == 1 ? "" : "s", declared == 1 ? "" : "s");
    return true;
}
