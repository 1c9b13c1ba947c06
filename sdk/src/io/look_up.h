/* Looks a host name up without making the caller wait: getaddrinfo can be neither interrupted nor
 * bounded, and a name server that does not answer holds it for half a minute.
 *
 * Each look-up has a thread of its own, which ends with it. A look-up that its owner lets go goes
 * on alone and frees itself; an owner that keeps at most one has at most one such thread at a time,
 * so it should ask the one under way again rather than start another. */
#ifndef MARLINE_IO_LOOK_UP_H
#define MARLINE_IO_LOOK_UP_H

#include <stdbool.h>
#include <stddef.h>

#include <marline/status.h>

enum {
    LOOK_UP_ADDRESSES_MAX = 8, /* more are not worth waiting for */
    LOOK_UP_ADDRESS_SIZE = 64, /* a numeric IPv6 address with its scope */
};

struct look_up_answer {
    const char *error; /* a fixed text; NULL: there is at least one address */
    size_t count;
    char addresses[LOOK_UP_ADDRESSES_MAX][LOOK_UP_ADDRESS_SIZE]; /* in the order to be tried */
};

/* Where names are looked up. */
struct name_source {
    /* Called on the thread of the look-up; may block. `out` is all zero. */
    void (*find)(void *user, const char *host, struct look_up_answer *out);
    void *user;
};

/* getaddrinfo, whose order (RFC 6724) is kept: of a host that has both, IPv6 comes first where this
 * machine can use it. */
const struct name_source *marline__name_source_system(void);

/* True: a numeric address, which needs no look-up. */
bool marline__address_is_numeric(const char *host);

struct look_up;

/* Copies the host. `done` is called once, on the look-up's thread, while it holds the look-up's
 * lock: it may wake somebody, and nothing else. It is not called after a release. MARLINE_ENOMEM;
 * MARLINE_EIO: no thread could be started. */
marline_status marline__look_up_start(const struct name_source *names, const char *host,
                                      void (*done)(void *user), void *user, struct look_up **out);
/* The answer, the look-up's; NULL while it is under way. */
const struct look_up_answer *marline__look_up_answer(struct look_up *l);
/* Lets it go, finished or not. NULL is allowed. */
void marline__look_up_release(struct look_up *l);

#endif
