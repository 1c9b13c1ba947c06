/* See edited_store.h. The bugs are edits of the very statements that production runs, made on their
 * way to the database: a driver in front of the driver. Production has no switch for them.
 *
 * An edit that no statement matches any more changes nothing, so its bug is not found, and the
 * proof by mutants fails. */
#include "edited_store.h"

#include <string.h>

#include "base/buffer.h"
#include "core/alloc.h"
#include "store/open.h"
#include "store/store_sql.h"

static const struct edit {
    enum mutant mutant;
    const char *begin; /* of the statement */
    const char *from;  /* a part of it; NULL: `to` is a script, run once */
    const char *to;
} edits[] = {
    {MUTANT_LINK_MOVES, "UPDATE spans SET result_ref", " AND result_ref IS NULL", ""},
    {MUTANT_LAST_RESULT_WINS, "SELECT a.attempt, a.at",
     "r.context_ref = c.ref AND r.duplicate_of IS NULL",
     "r.ref = (SELECT max(x.ref) FROM results x WHERE x.context_ref = c.ref)"},
    {MUTANT_KEY_WITHOUT_CONFIGURATION, "SELECT a.attempt, a.at", "c.configuration_id = ?3",
     "?3 IS NOT NULL"},
    {MUTANT_KEY_WITHOUT_TEST, "SELECT a.attempt, a.at", "c.test_id = ?2", "?2 IS NOT NULL"},
    {MUTANT_SPANS_STORED_TWICE, NULL, NULL, "DROP INDEX spans_identity"},
    {MUTANT_ALL_RUNS_RESUMED, "SELECT organization_id, project_id, id, environment, status",
     " AND backend = ?1", " AND ?1 IS NOT NULL"},
    {MUTANT_RECEIPT_UNCOUNTED, "UPDATE posts SET stored", "duplicate = ?", "duplicate = 0 * ?"},
};

struct edited_driver {
    struct sql_driver driver; /* what the connection calls */
    const struct sql_driver *inner;
    const struct edit *edit;
    struct edited_driver *self; /* to be freed with the connection, which has it as const */
};

/* NULL: it does not occur there. Owned by the caller. */
static char *edited(const struct edit *edit, const char *text)
{
    bool same = edit->from && strncmp(text, edit->begin, strlen(edit->begin)) == 0;
    const char *at = same ? strstr(text, edit->from) : NULL;
    if (!at) {
        return NULL;
    }
    struct buffer out = BUFFER_INIT;
    marline__buffer_append(&out, text, (size_t)(at - text));
    marline__buffer_append_text(&out, edit->to);
    marline__buffer_append_text(&out, at + strlen(edit->from));
    alloc_check_buffer(&out);
    char *copy = alloc_slice(marline__buffer_slice(&out));
    marline__buffer_deinit(&out);
    return copy;
}

static struct sql_statement *prepare(struct sql_connection *c, const char *text,
                                     enum sql_lifetime lifetime, struct store_error *error)
{
    const struct edited_driver *d = (const struct edited_driver *)c->driver;
    char *copy = edited(d->edit, text);
    struct sql_statement *s = d->inner->prepare(c, copy ? copy : text, lifetime, error);
    marline__memory_free(copy); /* SQLite keeps one of its own */
    return s;
}

static void close_connection(struct sql_connection *c)
{
    const struct edited_driver *d = (const struct edited_driver *)c->driver;
    d->inner->close(c);
    marline__memory_free(d->self);
}

static const struct edit *edit_of(enum mutant mutant)
{
    const struct edit *edit = edits;
    while (edit->mutant != mutant) {
        edit++;
    }
    return edit;
}

struct store *edited_store_open(enum mutant mutant, struct store_error *error)
{
    struct store *base = store_open_sqlite(":memory:", error);
    if (!base) {
        return NULL;
    }
    struct sql_store *store = (struct sql_store *)base;
    struct sql_connection *c = store->writer.connection; /* in memory there is no other */
    struct edited_driver *d = alloc_zeroed(sizeof *d);
    *d = (struct edited_driver){*store->driver, store->driver, edit_of(mutant), d};
    d->driver.prepare = prepare;
    d->driver.close = close_connection;
    store->driver = c->driver = &d->driver;
    if (!d->edit->from && sql_execute(c, d->edit->to, error) != STORE_OK) {
        store_close(base);
        return NULL;
    }
    return base;
}
