/* The PostgreSQL driver, on libpq. Statements are prepared on first use; values travel in binary.
 *
 * Durable: synchronous_commit is on, so COMMIT returns after the log is on the server's disk. A
 * connection that the server lost fails what is under way and is made anew before the next
 * transaction, so a restart of the server costs errors while it lasts and nothing afterwards.
 * Texts in PostgreSQL hold no NUL byte: it is stored as U+FFFD. */
#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "core/alloc.h"
#include "store/open.h"
#include "store/store_sql.h"

enum {
    NAME_SIZE = 24,
    SQLSTATE_SIZE = 6,
    DETAIL_SIZE = 192,
};

/* Numbers of types in pg_type, fixed for ever. */
enum {
    TYPE_BOOL = 16,
    TYPE_BYTES = 17,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_TEXT = 25,
    TYPE_FLOAT8 = 701,
    TYPE_UUID = 2950,
    TYPE_BYTES_ARRAY = 1001,
    TYPE_TEXT_ARRAY = 1009,
    TYPE_INT8_ARRAY = 1016,
    TYPE_FLOAT8_ARRAY = 1022,
    TYPE_UUID_ARRAY = 2951,
};

struct postgres_connection {
    struct sql_connection base;
    PGconn *link;
    unsigned generation; /* counts reconnections: older statements are to be prepared again */
    unsigned statements; /* made so far, for their names */
    const char *setup;   /* script for a new session */
    size_t changes;
    char state[SQLSTATE_SIZE]; /* of the last failure; "" = the connection itself */
    char detail[DETAIL_SIZE];
};

struct postgres_statement {
    struct sql_statement base;
    struct postgres_connection *connection;
    char name[NAME_SIZE];
    char *text; /* owned, with $N */
    bool is_prepared;
    unsigned generation;
    int count; /* of parameters */
    Oid types[SQL_PARAMETERS_MAX];
    const char *values[SQL_PARAMETERS_MAX];
    int lengths[SQL_PARAMETERS_MAX];
    uint64_t numbers[SQL_PARAMETERS_MAX]; /* in network order, pointed to by values */
    char *cleaned[SQL_PARAMETERS_MAX];    /* owned: texts that had NULs */
    size_t rows;                          /* kept in `columns`; 0 = the values are single ones */
    struct buffer columns[SQL_PARAMETERS_MAX]; /* arrays as the server reads them */
    PGresult *result;
    int row;
};

static struct postgres_connection *connection_of(struct sql_connection *c)
{
    return (struct postgres_connection *)c;
}

static struct postgres_statement *statement_of(struct sql_statement *s)
{
    return (struct postgres_statement *)s;
}

/* ---- failures ---- */

/* Keeps the first line of what libpq or the server said. */
static void note_failure(struct postgres_connection *c, const PGresult *result)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *text = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    text = text ? text : PQerrorMessage(c->link);
    (void)snprintf(c->state, sizeof c->state, "%s", state ? state : "");
    (void)snprintf(c->detail, sizeof c->detail, "%.*s", (int)strcspn(text, "\n"), text);
}

static bool state_is(const struct postgres_connection *c, const char *prefix)
{
    return strncmp(c->state, prefix, strlen(prefix)) == 0;
}

static enum store_status driver_failed(struct sql_connection *base, struct store_error *error)
{
    const struct postgres_connection *c = connection_of(base);
    if (state_is(c, "53100")) {
        return error_set(error, STORE_FULL, "no space left for %s: free some, it goes on by itself",
                         base->name);
    }
    if (c->state[0] == '\0' || state_is(c, "08") || state_is(c, "57")) {
        return error_set(error, STORE_BUSY, "%s does not answer (%s)", base->name, c->detail);
    }
    if (state_is(c, "40") || state_is(c, "53") || state_is(c, "55")) {
        return error_set(error, STORE_BUSY, "%s is busy (%s)", base->name, c->detail);
    }
    if (state_is(c, "23")) {
        return error_set(error, STORE_CONFLICT, "%s", c->detail);
    }
    if (state_is(c, "22") || state_is(c, "54")) {
        return error_set(error, STORE_INVALID, "%s", c->detail);
    }
    if (state_is(c, "28") || state_is(c, "3D")) {
        return error_set(error, STORE_BROKEN, "%s refuses: %s", base->name, c->detail);
    }
    return error_set(error, STORE_BROKEN, "%s: %s (SQLSTATE %s)", base->name, c->detail, c->state);
}

/* ---- statements ---- */

/* ? and ?N become $N; what stands in quotes stays. */
static char *translate(const char *text)
{
    struct buffer out = BUFFER_INIT;
    bool quoted = false;
    unsigned next = 1;
    for (const char *at = text; *at; at++) {
        quoted ^= *at == '\'';
        if (*at != '?' || quoted) {
            marline__buffer_append_byte(&out, *at);
            continue;
        }
        marline__buffer_append_byte(&out, '$');
        if (at[1] < '0' || at[1] > '9') {
            marline__buffer_append_unsigned(&out, next++);
        }
    }
    char *copy = alloc_slice(marline__buffer_slice(&out));
    marline__buffer_deinit(&out);
    return copy;
}

static struct sql_statement *driver_prepare(struct sql_connection *c, const char *text,
                                            enum sql_lifetime lifetime, struct store_error *error)
{
    (void)error; /* prepared by the first step, when the types are known */
    struct postgres_statement *s = alloc_zeroed(sizeof *s);
    s->base.driver = c->driver;
    s->connection = connection_of(c);
    s->text = translate(text);
    if (lifetime == SQL_KEPT) { /* else the one without name, which the next replaces */
        (void)snprintf(s->name, sizeof s->name, "s%u", s->connection->statements++);
    }
    return &s->base;
}

static void driver_reset(struct sql_statement *base)
{
    struct postgres_statement *s = statement_of(base);
    PQclear(s->result);
    s->result = NULL;
    s->row = -1;
    s->rows = 0;
    for (int i = 0; i < s->count; i++) {
        marline__memory_free(s->cleaned[i]);
        s->cleaned[i] = NULL;
    }
}

static void driver_free_statement(struct sql_statement *base)
{
    struct postgres_statement *s = statement_of(base);
    driver_reset(base);
    for (int i = 0; i < SQL_PARAMETERS_MAX; i++) {
        marline__buffer_deinit(&s->columns[i]);
    }
    marline__memory_free(s->text);
    marline__memory_free(s);
}

static void set(struct postgres_statement *s, int at, Oid type, const char *value, size_t size)
{
    int i = at - 1;
    s->count = s->count > at ? s->count : at;
    s->types[i] = type;
    s->values[i] = value;
    s->lengths[i] = (int)size;
}

static Oid oid_of(enum sql_type type)
{
    static const Oid oids[] = {TYPE_INT8, TYPE_FLOAT8, TYPE_TEXT, TYPE_BYTES, TYPE_UUID};
    return oids[type];
}

static void driver_bind_null(struct sql_statement *s, int at, enum sql_type type)
{
    set(statement_of(s), at, oid_of(type), NULL, 0);
}

static void set_number(struct postgres_statement *s, int at, Oid type, uint64_t bits)
{
    s->numbers[at - 1] = __builtin_bswap64(bits);
    set(s, at, type, (const char *)&s->numbers[at - 1], sizeof bits);
}

static void driver_bind_int(struct sql_statement *s, int at, int64_t value)
{
    set_number(statement_of(s), at, TYPE_INT8, (uint64_t)value);
}

static void driver_bind_real(struct sql_statement *s, int at, double value)
{
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    set_number(statement_of(s), at, TYPE_FLOAT8, bits);
}

static char *replace_nuls(struct slice text, size_t *out_size)
{
    struct buffer out = BUFFER_INIT;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i]) {
            marline__buffer_append_byte(&out, text.data[i]);
        } else {
            marline__buffer_append_text(&out, "\xef\xbf\xbd");
        }
    }
    *out_size = out.size;
    char *copy = alloc_slice(marline__buffer_slice(&out));
    marline__buffer_deinit(&out);
    return copy;
}

static void driver_bind_bytes(struct sql_statement *base, int at, enum sql_type type,
                              struct slice value)
{
    struct postgres_statement *s = statement_of(base);
    if (type == SQL_TEXT && value.size > 0 && memchr(value.data, '\0', value.size)) {
        marline__memory_free(s->cleaned[at - 1]);
        s->cleaned[at - 1] = replace_nuls(value, &value.size);
        value.data = s->cleaned[at - 1];
    }
    set(s, at, oid_of(type), value.data ? value.data : "", value.size);
}

/* ---- many rows at once ---- */

/* Head of a one-dimensional array with its fields: dimensions, whether NULLs occur, the elements'
 * type, their number, the index of the first. */
enum { ARRAY_HEAD = 20, ARRAY_NULLS_AT = 4, ARRAY_TYPE_AT = 8, ARRAY_COUNT_AT = 12 };

static void put_int32(char *at, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(at, &value, sizeof value);
}

static Oid array_of(Oid type)
{
    switch (type) {
    case TYPE_FLOAT8:
        return TYPE_FLOAT8_ARRAY;
    case TYPE_TEXT:
        return TYPE_TEXT_ARRAY;
    case TYPE_BYTES:
        return TYPE_BYTES_ARRAY;
    case TYPE_UUID:
        return TYPE_UUID_ARRAY;
    default:
        return TYPE_INT8_ARRAY;
    }
}

static void begin_array(struct buffer *column, Oid type)
{
    static const char head[ARRAY_HEAD] = {0, 0, 0, 1, [ARRAY_HEAD - 1] = 1};
    marline__buffer_clear(column);
    marline__buffer_append(column, head, sizeof head);
    alloc_check_buffer(column);
    put_int32(column->data + ARRAY_TYPE_AT, type);
}

static void add_element(struct buffer *column, const char *value, int size)
{
    char length[sizeof(uint32_t)];
    put_int32(length, value ? (uint32_t)size : UINT32_MAX);
    marline__buffer_append(column, length, sizeof length);
    marline__buffer_append(column, value, value ? (size_t)size : 0);
    alloc_check_buffer(column);
    if (!value) {
        put_int32(column->data + ARRAY_NULLS_AT, 1);
    }
}

static void driver_add_row(struct sql_statement *base)
{
    struct postgres_statement *s = statement_of(base);
    for (int i = 0; i < s->count; i++) {
        if (s->rows == 0) {
            begin_array(&s->columns[i], s->types[i]);
        }
        add_element(&s->columns[i], s->values[i], s->lengths[i]);
    }
    s->rows++;
}

/* The arrays take the place of the single values. */
static void bind_arrays(struct postgres_statement *s)
{
    for (int i = 0; i < s->count; i++) {
        put_int32(s->columns[i].data + ARRAY_COUNT_AT, (uint32_t)s->rows);
        set(s, i + 1, array_of(s->types[i]), s->columns[i].data, s->columns[i].size);
    }
}

/* ---- carrying out ---- */

/* True: the command was carried out. Notes the failure and frees the result otherwise. */
static bool take_result(struct postgres_connection *c, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        return true;
    }
    note_failure(c, result);
    PQclear(result);
    return false;
}

static bool make_ready(struct postgres_statement *s)
{
    struct postgres_connection *c = s->connection;
    if (s->is_prepared && s->generation == c->generation) {
        return true;
    }
    PGresult *result = PQprepare(c->link, s->name, s->text, s->count, s->types);
    if (!take_result(c, result)) {
        return false;
    }
    PQclear(result);
    s->is_prepared = true;
    s->generation = c->generation;
    return true;
}

static size_t parse_count(const char *digits)
{
    size_t count = 0;
    for (; *digits >= '0' && *digits <= '9'; digits++) {
        count = 10 * count + (size_t)(*digits - '0');
    }
    return count;
}

static enum sql_step driver_step(struct sql_statement *base)
{
    static const int binary[SQL_PARAMETERS_MAX] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                                   1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    struct postgres_statement *s = statement_of(base);
    if (!s->result) {
        if (s->rows > 0) {
            bind_arrays(s);
        }
        if (!make_ready(s)) {
            return SQL_FAILED;
        }
        PGresult *result = PQexecPrepared(s->connection->link, s->name, s->count, s->values,
                                          s->lengths, binary, 1);
        if (!take_result(s->connection, result)) {
            return SQL_FAILED;
        }
        s->result = result;
        s->row = -1;
        s->connection->changes = parse_count(PQcmdTuples(result));
    }
    s->row++;
    return s->row < PQntuples(s->result) ? SQL_ROW : SQL_DONE;
}

/* ---- columns ---- */

static bool driver_is_null(struct sql_statement *base, int at)
{
    struct postgres_statement *s = statement_of(base);
    return PQgetisnull(s->result, s->row, at) != 0;
}

static struct slice driver_bytes(struct sql_statement *base, int at)
{
    struct postgres_statement *s = statement_of(base);
    return (struct slice){PQgetvalue(s->result, s->row, at),
                          (size_t)PQgetlength(s->result, s->row, at)};
}

/* Big-endian, of one to eight bytes, sign extended: bool, int2, int4 and int8 alike. */
static int64_t driver_integer(struct sql_statement *s, int at)
{
    struct slice bytes = driver_bytes(s, at);
    if (driver_is_null(s, at) || bytes.size == 0 || bytes.size > sizeof(int64_t)) {
        return 0;
    }
    uint64_t value = bytes.size > 1 && (bytes.data[0] & 0x80) ? UINT64_MAX : 0;
    for (size_t i = 0; i < bytes.size; i++) {
        value = value << 8 | (uint8_t)bytes.data[i];
    }
    return (int64_t)value;
}

static double driver_real(struct sql_statement *s, int at)
{
    uint64_t bits = (uint64_t)driver_integer(s, at);
    double value = 0;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Two backends that met in the wrong order: one of them was made to give way. */
static bool driver_is_retriable(struct sql_connection *c)
{
    return state_is(connection_of(c), "40");
}

static size_t driver_changes(struct sql_connection *c)
{
    return connection_of(c)->changes;
}

/* ---- connections ---- */

static bool driver_in_transaction(struct sql_connection *c)
{
    PGTransactionStatusType status = PQtransactionStatus(connection_of(c)->link);
    return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}

static enum store_status driver_execute(struct sql_connection *base, const char *script,
                                        struct store_error *error)
{
    struct postgres_connection *c = connection_of(base);
    PGresult *result = PQexec(c->link, script);
    if (!take_result(c, result)) {
        return driver_failed(base, error);
    }
    PQclear(result);
    return STORE_OK;
}

#define SETUP "SET search_path = marline; SET synchronous_commit = on"
static const char reader_setup[] = SETUP;
/* The writer finds rows by their keys and nothing else. A plan is made while the tables are small
 * and then kept: without these settings it would go on reading whole tables as they grow. */
static const char writer_setup[] =
    SETUP "; SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;"
          " SET enable_hashjoin = off; SET enable_mergejoin = off";
#undef SETUP

static void driver_refresh(struct sql_connection *base)
{
    struct postgres_connection *c = connection_of(base);
    if (PQstatus(c->link) == CONNECTION_OK) {
        return;
    }
    PQreset(c->link);
    c->generation++;
    struct store_error error;
    if (PQstatus(c->link) == CONNECTION_OK && driver_execute(base, c->setup, &error) != STORE_OK) {
        note_failure(c, NULL); /* whoever asks next fails, and is told */
    }
}

static void driver_close(struct sql_connection *base)
{
    PQfinish(connection_of(base)->link);
    marline__memory_free(base);
}

static void ignore_notice(void *user, const PGresult *result)
{
    (void)user;
    (void)result;
}

static struct sql_connection *driver_open(const char *location, const char *name, bool read_only,
                                          struct store_error *error);

static const struct sql_driver postgres_driver = {
    .dialect = SQL_POSTGRES,
    .begin_write = "BEGIN ISOLATION LEVEL READ COMMITTED;"
                   " SELECT pg_advisory_xact_lock_shared(" SQL_WRITERS_LOCK ")",
    .begin_read = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    .open = driver_open,
    .close = driver_close,
    .refresh = driver_refresh,
    .prepare = driver_prepare,
    .free_statement = driver_free_statement,
    .bind_null = driver_bind_null,
    .bind_int = driver_bind_int,
    .bind_real = driver_bind_real,
    .bind_bytes = driver_bind_bytes,
    .add_row = driver_add_row,
    .step = driver_step,
    .reset = driver_reset,
    .is_null = driver_is_null,
    .integer = driver_integer,
    .real = driver_real,
    .bytes = driver_bytes,
    .changes = driver_changes,
    .in_transaction = driver_in_transaction,
    .execute = driver_execute,
    .failed = driver_failed,
    .is_retriable = driver_is_retriable,
};

/* Links need the primary: a standby would show results late. */
static bool is_primary(struct postgres_connection *c)
{
    PGresult *result = PQexec(c->link, "SELECT pg_is_in_recovery()");
    bool primary = PQntuples(result) == 1 && strcmp(PQgetvalue(result, 0, 0), "f") == 0;
    PQclear(result);
    return primary;
}

static struct sql_connection *driver_open(const char *location, const char *name, bool read_only,
                                          struct store_error *error)
{
    struct postgres_connection *c = alloc_zeroed(sizeof *c);
    c->setup = read_only ? reader_setup : writer_setup;
    c->base.driver = &postgres_driver;
    c->base.name = name;
    c->link = PQconnectdb(location);
    if (PQstatus(c->link) != CONNECTION_OK) {
        note_failure(c, NULL);
        (void)error_set(error, STORE_BROKEN, "cannot connect to %s: %s", name, c->detail);
    } else if (!is_primary(c)) {
        (void)error_set(error, STORE_BROKEN, "%s is a standby; name the primary", name);
    } else {
        (void)PQsetNoticeReceiver(c->link, ignore_notice, NULL);
        if (driver_execute(&c->base, c->setup, error) == STORE_OK) {
            return &c->base;
        }
    }
    driver_close(&c->base);
    return NULL;
}

/* Host and database for messages; never the password. */
static void name_of(const char *location, char *out, size_t size)
{
    const char *host = "localhost";
    const char *database = "default";
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(location, &why);
    for (PQconninfoOption *o = options; o && o->keyword; o++) {
        host = o->val && strcmp(o->keyword, "host") == 0 ? o->val : host;
        database = o->val && strcmp(o->keyword, "dbname") == 0 ? o->val : database;
    }
    (void)snprintf(out, size, "PostgreSQL database %s on %s", database, host);
    PQconninfoFree(options);
    PQfreemem(why);
}

struct store *store_open_postgres(const char *location, struct store_error *error)
{
    char name[160];
    name_of(location, name, sizeof name);
    return sql_store_open(&postgres_driver, location, name, false, error);
}
