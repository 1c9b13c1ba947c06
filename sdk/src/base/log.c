/* One settable log function, guarded by a read-write lock so that it can be replaced at any time.
 */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

enum { LINE_MAX_BYTES = 512 };

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static log_function installed;
static void *installed_user;

void marline__log_install(log_function function, void *user)
{
    pthread_rwlock_wrlock(&lock);
    installed = function;
    installed_user = user;
    pthread_rwlock_unlock(&lock);
}

void marline__log(enum log_level level, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    pthread_rwlock_rdlock(&lock);
    if (installed) {
        installed(installed_user, level, line);
    }
    pthread_rwlock_unlock(&lock);
}

const char *marline__log_level_name(enum log_level level)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    return names[level];
}
