/* Why the backend cannot be reached.
 *
 * The look's thread and the owner share one object, freed by the one that lets go of it last. */
#include "agent/diagnosis.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "agent/doctor_checks.h"
#include "base/clock.h"
#include "programs/logger.h"
#include "programs/must.h"

enum { TEXTS = 5, CAUSE_SIZE = 2 * DOCTOR_TEXT_SIZE + 2 };

struct diagnosis {
    struct connection connection;
    char *texts[TEXTS]; /* owned; the connection's constant texts are among them */
    atomic_uint holders;
    atomic_bool is_looking;
    atomic_bool is_over;
    uint64_t asked_ns; /* owner only; 0 = never */
    pthread_mutex_t mutex;
    char told[CAUSE_SIZE]; /* under the mutex: the last cause in the log; "" = none */
};

/* Keeps a copy in the next place. */
static const char *keep(struct diagnosis *d, size_t *count, const char *text)
{
    d->texts[*count] = text ? must_text(text) : NULL;
    return d->texts[(*count)++];
}

struct diagnosis *diagnosis_create(const struct connection *connection)
{
    struct diagnosis *d = must_zeroed(sizeof *d);
    size_t count = 0;
    d->connection.base_url = keep(d, &count, connection->base_url);
    d->connection.project_id = keep(d, &count, connection->project_id);
    d->connection.ca_file = keep(d, &count, connection->ca_file);
    d->connection.certificate_file = keep(d, &count, connection->certificate_file);
    d->connection.key_file = keep(d, &count, connection->key_file);
    d->connection.environment = must_text(connection->environment);
    d->connection.api_key = must_text(connection->api_key);
    atomic_store(&d->holders, 1);
    (void)pthread_mutex_init(&d->mutex, NULL);
    return d;
}

static void let_go(struct diagnosis *d)
{
    if (atomic_fetch_sub(&d->holders, 1) > 1) {
        return;
    }
    (void)pthread_mutex_destroy(&d->mutex);
    for (size_t i = 0; i < TEXTS; i++) {
        marline__memory_free(d->texts[i]);
    }
    connection_deinit(&d->connection);
    marline__memory_free(d);
}

/* True when this cause is news. */
static bool remember(struct diagnosis *d, const char *cause)
{
    (void)pthread_mutex_lock(&d->mutex);
    bool is_news = strcmp(d->told, cause) != 0;
    (void)snprintf(d->told, sizeof d->told, "%s", cause);
    (void)pthread_mutex_unlock(&d->mutex);
    return is_news;
}

static void *look(void *user)
{
    struct diagnosis *d = user;
    struct finding finding = {0};
    char cause[CAUSE_SIZE];
    if (doctor_find_fault(&d->connection, &finding)) {
        (void)snprintf(cause, sizeof cause, "%s; %s", finding.text, finding.advice);
        if (!atomic_load(&d->is_over) && remember(d, cause)) {
            logger_write(LOG_ERROR, "%s", cause);
        }
    }
    atomic_store(&d->is_looking, false);
    let_go(d);
    return NULL;
}

void diagnosis_ask(struct diagnosis *d)
{
    uint64_t now = marline__clock_monotonic_ns(marline__clock_system());
    if (atomic_load(&d->is_looking) ||
        (d->asked_ns && now - d->asked_ns < DIAGNOSIS_PERIOD_MS * NS_PER_MS)) {
        return;
    }
    pthread_t thread;
    d->asked_ns = now;
    atomic_store(&d->is_looking, true);
    atomic_fetch_add(&d->holders, 1);
    if (pthread_create(&thread, NULL, look, d) == 0) {
        (void)pthread_detach(thread);
    } else {
        atomic_store(&d->is_looking, false);
        atomic_fetch_sub(&d->holders, 1);
    }
}

void diagnosis_forget(struct diagnosis *d)
{
    d->asked_ns = 0;
    (void)remember(d, "");
}

void diagnosis_destroy(struct diagnosis *d)
{
    if (!d) {
        return;
    }
    atomic_store(&d->is_over, true);
    let_go(d);
}
