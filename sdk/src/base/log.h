/* The library's diagnostics. It never prints: each line goes to one settable function. Any thread.
 */
#ifndef MARLINE_BASE_LOG_H
#define MARLINE_BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* `text` is one line without its newline, valid during the call. */
typedef void (*log_function)(void *user, enum log_level level, const char *text);

/* NULL silences. The function may be called from any thread until the next call returns. */
void marline__log_install(log_function function, void *user);
/* Never log a secret or a payload. Lines over 512 bytes are cut. */
void marline__log(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
const char *marline__log_level_name(enum log_level level);

#endif
