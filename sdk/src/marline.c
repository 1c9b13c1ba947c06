/* What the library says about itself: status texts, version, and the public face of the log. */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <strings.h>

#include <marline/status.h>

#include "base/log.h"

static struct {
    pthread_mutex_t mutex; /* serialises marline_log_set */
    marline_log_fn function;
    void *user;
    int level; /* the least important one that is passed on */
} sink = {PTHREAD_MUTEX_INITIALIZER, NULL, NULL, LOG_DEBUG};

const char *marline_status_text(marline_status status)
{
    switch (status) {
    case MARLINE_OK:
        return "ok";
    case MARLINE_EINVAL:
        return "invalid argument";
    case MARLINE_ENOMEM:
        return "out of memory";
    case MARLINE_ETIMEDOUT:
        return "timed out";
    case MARLINE_ECANCELED:
        return "canceled";
    case MARLINE_EIO:
        return "input or output failed";
    case MARLINE_EPROTO:
        return "protocol violated by the peer";
    case MARLINE_EAUTH:
        return "credentials refused";
    case MARLINE_ENOTFOUND:
        return "not found";
    case MARLINE_EFULL:
        return "full";
    case MARLINE_ESTATE:
        return "not possible in this state";
    case MARLINE_EREJECTED:
        return "rejected by the peer";
    }
    return "unknown status";
}

const char *marline_version(void)
{
    return MARLINE_VERSION_TEXT;
}

/* ---- OTEL_LOG_LEVEL: what the function is given; everything when it is not set ---- */

enum { LEVEL_NONE = -1, LEVEL_UNKNOWN = LOG_DEBUG + 1 /* counts as unset */ };

static int level_from_environment(void)
{
    static const struct {
        const char *name;
        int level;
    } levels[] = {{"none", LEVEL_NONE},
                  {"error", LOG_ERROR},
                  {"warn", LOG_WARN},
                  {"info", LOG_INFO},
                  {"debug", LOG_DEBUG}};
    const char *text = getenv("OTEL_LOG_LEVEL");
    for (size_t i = 0; text && i < sizeof levels / sizeof *levels; i++) {
        if (strcasecmp(text, levels[i].name) == 0) {
            return levels[i].level;
        }
    }
    return text && text[0] != '\0' ? LEVEL_UNKNOWN : LOG_DEBUG;
}

/* Runs under the log's read lock, which keeps `sink` still: see marline_log_set. */
static void forward(void *user, enum log_level level, const char *text)
{
    (void)user;
    if ((int)level <= sink.level) {
        sink.function(sink.user, (marline_log_level)level, text);
    }
}

void marline_log_set(marline_log_fn function, void *user)
{
    pthread_mutex_lock(&sink.mutex);
    /* Waits until no line is being logged, so that the sink can change without a reader. */
    marline__log_install(NULL, NULL);
    sink.function = function;
    sink.user = user;
    sink.level = level_from_environment();
    if (function) {
        marline__log_install(forward, NULL);
    }
    bool unknown = sink.level == LEVEL_UNKNOWN;
    pthread_mutex_unlock(&sink.mutex);
    if (unknown) {
        marline__log(LOG_WARN, "OTEL_LOG_LEVEL=%.40s is not known; every line is passed on",
                     getenv("OTEL_LOG_LEVEL"));
    }
}
