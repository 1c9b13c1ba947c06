/* See postgres_fixture.h. */
#include "support/postgres_fixture.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>

enum { START_TRIES = 600, TRY_MS = 100 };

bool postgres_fixture_wait(const struct postgres_server *server)
{
    char address[POSTGRES_URL_SIZE];
    postgres_server_address(server, address, sizeof address);
    for (int i = 0; i < START_TRIES && postgres_server_lives(server); i++) {
        if (PQping(address) == PQPING_OK) {
            return true;
        }
        (void)poll(NULL, 0, TRY_MS);
    }
    return false;
}

int postgres_fixture_start(struct postgres_server *server, bool is_durable)
{
    char why[256];
    enum postgres_start start = is_durable
                                    ? postgres_server_start_durable(server, NULL, why, sizeof why)
                                    : postgres_server_start(server, NULL, why, sizeof why);
    if (start != POSTGRES_STARTED) {
        (void)fprintf(stderr, "%s\n", why);
        return start == POSTGRES_MISSING ? EXIT_SKIPPED : 1;
    }
    if (!postgres_fixture_wait(server)) {
        (void)fprintf(stderr, "PostgreSQL does not answer\n");
        return 1;
    }
    return 0;
}

bool postgres_fixture_execute(const struct postgres_server *server, const char *sql)
{
    char address[POSTGRES_URL_SIZE];
    postgres_server_address(server, address, sizeof address);
    PGconn *link = PQconnectdb(address);
    PGresult *result = PQexec(link, sql);
    bool ok = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    PQfinish(link);
    return ok;
}

/* All tables of a store are in a schema, which is quicker to renew than a database. */
bool postgres_fixture_empty(const struct postgres_server *server)
{
    return postgres_fixture_execute(server, "SET client_min_messages = warning;"
                                            " DROP SCHEMA IF EXISTS marline CASCADE");
}
