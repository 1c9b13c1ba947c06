/* A look-up is shared by its owner and its thread; whoever is the last frees it. */
#include "io/look_up.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "base/memory.h"
#include "base/signals.h"

struct look_up {
    struct name_source names;
    char *host;
    pthread_mutex_t lock;
    /* under lock */
    void (*done)(void *user);
    void *user;
    bool finished;
    bool released;
    struct look_up_answer answer; /* the thread's until finished, the owner's afterwards */
};

/* ---- the system's names ---- */

static void find_in_system(void *user, const char *host, struct look_up_answer *out)
{
    (void)user;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(host, NULL, &hints, &found);
    if (error != 0) {
        out->error = gai_strerror(error);
        return;
    }
    for (const struct addrinfo *a = found; a && out->count < LOOK_UP_ADDRESSES_MAX;
         a = a->ai_next) {
        if (getnameinfo(a->ai_addr, a->ai_addrlen, out->addresses[out->count], LOOK_UP_ADDRESS_SIZE,
                        NULL, 0, NI_NUMERICHOST) == 0) {
            out->count++;
        }
    }
    freeaddrinfo(found);
}

const struct name_source *marline__name_source_system(void)
{
    static const struct name_source system = {find_in_system, NULL};
    return &system;
}

bool marline__address_is_numeric(const char *host)
{
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

/* ---- a look-up ---- */

static void free_look_up(struct look_up *l)
{
    pthread_mutex_destroy(&l->lock);
    marline__memory_free(l->host);
    marline__memory_free(l);
}

static void *find(void *user)
{
    struct look_up *l = user;
    l->names.find(l->names.user, l->host, &l->answer);
    if (l->answer.count == 0 && !l->answer.error) {
        l->answer.error = "the name has no address";
    }
    pthread_mutex_lock(&l->lock);
    bool last = l->released;
    l->finished = true;
    if (!last) {
        l->done(l->user);
    }
    pthread_mutex_unlock(&l->lock);
    if (last) {
        free_look_up(l);
    }
    return NULL;
}

marline_status marline__look_up_start(const struct name_source *names, const char *host,
                                      void (*done)(void *user), void *user, struct look_up **out)
{
    struct look_up *l = marline__memory_zeroed(sizeof *l);
    if (!l) {
        return MARLINE_ENOMEM;
    }
    l->names = *names;
    l->done = done;
    l->user = user;
    pthread_mutex_init(&l->lock, NULL);
    l->host = marline__memory_text(host);
    pthread_t thread;
    marline_status status = l->host ? MARLINE_OK : MARLINE_ENOMEM;
    if (status == MARLINE_OK && marline__thread_start(&thread, find, l) != 0) {
        status = MARLINE_EIO;
    }
    if (status != MARLINE_OK) {
        free_look_up(l);
        return status;
    }
    pthread_detach(thread);
    *out = l;
    return MARLINE_OK;
}

const struct look_up_answer *marline__look_up_answer(struct look_up *l)
{
    pthread_mutex_lock(&l->lock);
    bool finished = l->finished;
    pthread_mutex_unlock(&l->lock);
    return finished ? &l->answer : NULL;
}

void marline__look_up_release(struct look_up *l)
{
    if (!l) {
        return;
    }
    pthread_mutex_lock(&l->lock);
    bool last = l->finished;
    l->released = true;
    pthread_mutex_unlock(&l->lock);
    if (last) {
        free_look_up(l);
    }
}
