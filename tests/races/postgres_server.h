/* A private PostgreSQL for one process: made by initdb in a temporary folder, reached through a
 * Unix socket in it, stopped and removed at the end. Needs Debian's package `postgresql`. Run by
 * root, the server runs as the user postgres, since initdb refuses root. It stops when its parent
 * dies. */
#ifndef RACES_POSTGRES_SERVER_H
#define RACES_POSTGRES_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct postgres_server {
    char folder[64];
    char programs[256];
    bool is_durable;
    pid_t pid;
};

enum postgres_start {
    POSTGRES_STARTED,
    POSTGRES_MISSING,
    POSTGRES_FAILED,
};

/* `programs`: the folder of initdb and postgres; NULL takes Debian's newest. Returns when the
 * server was started, which is before it answers: see postgres_server_lives. */
enum postgres_start postgres_server_start(struct postgres_server *server, const char *programs,
                                          char *out_why, size_t why_size);
/* The same with fsync on: what it acknowledged survives a crash of the machine. */
enum postgres_start postgres_server_start_durable(struct postgres_server *server,
                                                  const char *programs, char *out_why,
                                                  size_t why_size);
/* Ends it as a crash does: no checkpoint, connections cut. `launch` starts it again on what is in
 * its folder. */
void postgres_server_crash(struct postgres_server *server);
bool postgres_server_launch(struct postgres_server *server);
/* After a start, SIGINT, SIGTERM and SIGHUP only set this mark, so that the folder can be removed.
 */
bool postgres_server_is_interrupted(void);
bool postgres_server_lives(const struct postgres_server *server);
/* A connection string; the caller's buffer of 192 bytes or more. */
void postgres_server_address(const struct postgres_server *server, char *out, size_t size);
/* The same as a URL. */
void postgres_server_url(const struct postgres_server *server, char *out, size_t size);
/* Also cleans up after a failed start. */
void postgres_server_stop(struct postgres_server *server);

#endif
