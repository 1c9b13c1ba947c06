/* What every call of the library answers, and where its diagnostics go. Any thread. */
#ifndef MARLINE_STATUS_H
#define MARLINE_STATUS_H

#include <marline/export.h>

MARLINE_BEGIN_DECLS

/* 0, or what went wrong. */
typedef enum marline_status {
    MARLINE_OK = 0,
    MARLINE_EINVAL = -1,     /* an argument is out of its documented range */
    MARLINE_ENOMEM = -2,     /* out of memory; nothing was changed */
    MARLINE_ETIMEDOUT = -3,  /* the deadline passed; what was done so far stays done */
    MARLINE_ECANCELED = -4,  /* stopped by a shutdown or a cancellation */
    MARLINE_EIO = -5,        /* the network or a file failed; worth a retry */
    MARLINE_EPROTO = -6,     /* the peer answered something that the protocol does not allow */
    MARLINE_EAUTH = -7,      /* credentials refused; a retry with the same ones is pointless */
    MARLINE_ENOTFOUND = -8,  /* no such thing */
    MARLINE_EFULL = -9,      /* a bounded queue or table is full */
    MARLINE_ESTATE = -10,    /* not possible in this state, such as after shutdown */
    MARLINE_EREJECTED = -11, /* the peer refused this very data; do not send it again */
} marline_status;

enum { MARLINE_ERROR_TEXT_SIZE = 256 };

/* Optional detail of a failure, owned by the caller. `text` is one sentence that names the cause
 * and, where there is one, the fix. */
typedef struct marline_error {
    marline_status code;
    char text[MARLINE_ERROR_TEXT_SIZE];
} marline_error;

/* A short fixed English text, never NULL. */
MARLINE_API const char *marline_status_text(marline_status status);

/* From the gravest to the least. */
typedef enum marline_log_level {
    MARLINE_LOG_ERROR,
    MARLINE_LOG_WARN,
    MARLINE_LOG_INFO,
    MARLINE_LOG_DEBUG,
} marline_log_level;

/* `text` is one line without a newline, valid during the call; called from any thread. */
typedef void (*marline_log_fn)(void *user, marline_log_level level, const char *text);

/* Sets where diagnostics go; NULL (the default) silences them. The library itself never prints.
 * OTEL_LOG_LEVEL, read here (none, error, warn, info, debug), keeps less important ones back;
 * without it the function gets them all. */
MARLINE_API void marline_log_set(marline_log_fn function, void *user);

/* "MAJOR.MINOR.PATCH" of the library at run time. */
MARLINE_API const char *marline_version(void);

MARLINE_END_DECLS
#endif
