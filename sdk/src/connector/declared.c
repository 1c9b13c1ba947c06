/* The process-wide lists of what is declared with MARLINE_ENDPOINT and MARLINE_METRIC: filled by
 * constructors, before main or while a plugin is loaded, so on whatever thread calls dlopen. */
#include <pthread.h>

#include "base/log.h"
#include "base/memory.h"
#include <marline/endpoint.h>

enum { DECLARED_MAX = 1024 }; /* of each kind */

struct declared {
    const void *items[DECLARED_MAX];
    size_t count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct declared endpoints;
static struct declared metrics;

static void declare(struct declared *d, const void *item, const char *kind)
{
    pthread_mutex_lock(&lock);
    bool room = d->count < DECLARED_MAX;
    if (room && item) {
        d->items[d->count++] = item;
    }
    pthread_mutex_unlock(&lock);
    if (!room) {
        marline__log(LOG_ERROR, "more than %d %s are declared; the rest is ignored", DECLARED_MAX,
                     kind);
    }
}

static size_t count(const struct declared *d)
{
    pthread_mutex_lock(&lock);
    size_t result = d->count;
    pthread_mutex_unlock(&lock);
    return result;
}

static const void *at(const struct declared *d, size_t index)
{
    pthread_mutex_lock(&lock);
    const void *item = index < d->count ? d->items[index] : NULL;
    pthread_mutex_unlock(&lock);
    return item;
}

void marline_endpoint_declare(const marline_endpoint *endpoint)
{
    declare(&endpoints, endpoint, "endpoints");
}

size_t marline_endpoint_declared_count(void)
{
    return count(&endpoints);
}

const marline_endpoint *marline_endpoint_declared(size_t index)
{
    return at(&endpoints, index);
}

void marline_metric_declare(const marline_metric *metric)
{
    declare(&metrics, metric, "metrics");
}

size_t marline_metric_declared_count(void)
{
    return count(&metrics);
}

const marline_metric *marline_metric_declared(size_t index)
{
    return at(&metrics, index);
}
