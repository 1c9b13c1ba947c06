/* The process-wide list of endpoints declared with MARLINE_ENDPOINT: filled by constructors, before
 * main or while a plugin is loaded, so on whatever thread calls dlopen. */
#include <pthread.h>

#include "base/log.h"
#include "base/memory.h"
#include <marline/endpoint.h>

enum { DECLARED_MAX = 1024 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const marline_endpoint *declared[DECLARED_MAX];
static size_t declared_count;

void marline_endpoint_declare(const marline_endpoint *endpoint)
{
    pthread_mutex_lock(&lock);
    bool room = declared_count < DECLARED_MAX;
    if (room && endpoint) {
        declared[declared_count++] = endpoint;
    }
    pthread_mutex_unlock(&lock);
    if (!room) {
        marline__log(LOG_ERROR, "more than %d endpoints are declared; the rest is ignored",
                     DECLARED_MAX);
    }
}

size_t marline_endpoint_declared_count(void)
{
    pthread_mutex_lock(&lock);
    size_t count = declared_count;
    pthread_mutex_unlock(&lock);
    return count;
}

const marline_endpoint *marline_endpoint_declared(size_t index)
{
    pthread_mutex_lock(&lock);
    const marline_endpoint *endpoint = index < declared_count ? declared[index] : NULL;
    pthread_mutex_unlock(&lock);
    return endpoint;
}
