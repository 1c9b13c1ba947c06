/* The file of undelivered batches; see spool.h.
 *
 * `db` is NULL while no file could be opened: then nothing is stored, and the next put tries to
 * open it again. Ids count up and are never used twice, so one of them tells the batches that an
 * earlier process left (`boundary` and below) from later ones; of those, this process's have even
 * ids, and what its children left odd ones.
 *
 * In the child of a fork (`is_child`), `db` is the parent's, and batches are in `log`. */
#include "trace/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "io/database.h"
#include "trace/spool_log.h"

#define APPLICATION_ID 0x4D4C5350 /* "MLSP" */

static const char mark[] = "marline spool\n";

static const char schema[] =
    "CREATE TABLE batch(id INTEGER PRIMARY KEY, spans INTEGER NOT NULL, checksum INTEGER NOT NULL,"
    " body BLOB NOT NULL);"
    "PRAGMA application_id=0x4D4C5350;"
    "PRAGMA user_version=1;";

enum statement { PUT, OLDEST, REPLACE, REMOVE, STATEMENTS };

static const char *const texts[STATEMENTS] = {
    [PUT] = "INSERT INTO batch(id,spans,checksum,body) VALUES(?1,?2,?3,?4)",
    [OLDEST] = "SELECT id,spans,checksum,body FROM batch WHERE id>?1 ORDER BY id LIMIT 1",
    [REPLACE] = "UPDATE batch SET spans=?2,checksum=?3,body=?4 WHERE id=?1",
    [REMOVE] = "DELETE FROM batch WHERE id<=?1",
};

struct spool {
    pthread_mutex_t mutex;
    char *path;
    uint64_t bytes_max;
    int lock;      /* -1 = none */
    bool is_ours;  /* a spool was here before: by the lock file, or because this is it */
    bool is_child; /* of a fork */
    struct spool *next_child;
    struct spool_log log;
    bool log_failed; /* said once */
    atomic_bool has_forked;
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    sqlite3_int64 last_id;
    sqlite3_int64 boundary;
    sqlite3_int64 removed; /* up to here: although deleting may have failed */
    bool write_failed;     /* said once, until it works again */
    bool rename_failed;    /* of a damaged file; likewise */
    /* written under the mutex, read by any thread */
    atomic_uint_fast64_t batches;
    atomic_uint_fast64_t spans;
    atomic_uint_fast64_t own_spans;
    atomic_uint_fast64_t bytes;
    atomic_uint_fast64_t set_aside;
    atomic_uint_fast64_t lost_spans;
};

enum opening {
    OPENING_GOOD,
    OPENING_DAMAGED,
    OPENING_FOREIGN,  /* somebody else's file */
    OPENING_UNUSABLE, /* for now: rights, memory, a full disk */
};

/* ---- counts ---- */

static bool is_own(const struct spool *s, sqlite3_int64 id)
{
    return s->is_child || (id > s->boundary && id % 2 == 0);
}

/* The next one, for an own batch or for a child's. */
static sqlite3_int64 next_id(const struct spool *s, bool is_own)
{
    sqlite3_int64 id = s->last_id + 1;
    return id % 2 == (is_own ? 0 : 1) ? id : id + 1;
}

static void count_in(struct spool *s, sqlite3_int64 id, uint32_t spans, uint64_t bytes)
{
    atomic_fetch_add(&s->batches, 1);
    atomic_fetch_add(&s->spans, spans);
    atomic_fetch_add(&s->own_spans, is_own(s, id) ? spans : 0);
    atomic_fetch_add(&s->bytes, bytes);
}

static void count_out(struct spool *s, sqlite3_int64 id, uint32_t spans, uint64_t bytes)
{
    atomic_fetch_sub(&s->batches, 1);
    atomic_fetch_sub(&s->spans, spans);
    atomic_fetch_sub(&s->own_spans, is_own(s, id) ? spans : 0);
    atomic_fetch_sub(&s->bytes, bytes);
}

static void count_nothing(struct spool *s)
{
    atomic_store(&s->batches, 0);
    atomic_store(&s->spans, 0);
    atomic_store(&s->own_spans, 0);
    atomic_store(&s->bytes, 0);
}

/* ---- one batch ---- */

/* Of the numbers too: a flipped bit there would be as bad. */
static uint32_t checksum_of(sqlite3_int64 id, uint32_t spans, struct slice body)
{
    unsigned char numbers[12];
    for (int i = 0; i < 8; i++) {
        numbers[i] = (unsigned char)((uint64_t)id >> 8 * i);
    }
    for (int i = 0; i < 4; i++) {
        numbers[8 + i] = (unsigned char)(spans >> 8 * i);
    }
    uLong sum = crc32(0, numbers, sizeof numbers);
    return (uint32_t)crc32_z(sum, (const unsigned char *)body.data, body.size);
}

struct row {
    sqlite3_int64 id;
    uint32_t spans;
    struct slice body; /* borrowed from the statement */
};

/* The row that a SELECT of id, spans, checksum, body stands on; false when it is damaged. */
static bool read_row(sqlite3_stmt *statement, struct row *out)
{
    out->id = sqlite3_column_int64(statement, 0);
    sqlite3_int64 spans = sqlite3_column_int64(statement, 1);
    sqlite3_int64 checksum = sqlite3_column_int64(statement, 2);
    const void *body = sqlite3_column_blob(statement, 3);
    out->body = (struct slice){body ? body : "", (size_t)sqlite3_column_bytes(statement, 3)};
    out->spans = spans > 0 && spans <= UINT32_MAX ? (uint32_t)spans : 0;
    return out->spans > 0 && checksum == checksum_of(out->id, out->spans, out->body);
}

/* By PUT, or by REPLACE. */
static int write_row(struct spool *s, enum statement how, const struct row *row)
{
    sqlite3_stmt *write = s->statements[how];
    sqlite3_bind_int64(write, 1, row->id);
    sqlite3_bind_int64(write, 2, row->spans);
    sqlite3_bind_int64(write, 3, checksum_of(row->id, row->spans, row->body));
    sqlite3_bind_blob64(write, 4, row->body.data, row->body.size, SQLITE_STATIC);
    int code = sqlite3_step(write);
    sqlite3_reset(write);
    sqlite3_clear_bindings(write);
    return code;
}

static int insert(struct spool *s, const struct row *row)
{
    return write_row(s, PUT, row);
}

/* ---- opening ---- */

/* What a failure says about the file. Only a list of what may pass by itself keeps it: a flipped
 * bit shows as anything from a syntax error to a file without its tables. */
static enum opening judge(const struct spool *s, int code)
{
    switch (code & 0xff) {
    case SQLITE_READONLY: /* a flipped version number makes a file read-only, too */
        return access(s->path, W_OK) == 0 ? OPENING_DAMAGED : OPENING_UNUSABLE;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_IOERR:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return OPENING_UNUSABLE;
    default:
        return OPENING_DAMAGED;
    }
}

static void close_file(struct spool *s)
{
    for (int i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(s->statements[i]);
        s->statements[i] = NULL;
    }
    sqlite3_close(s->db);
    s->db = NULL;
}

static bool is_intact(sqlite3 *db)
{
    sqlite3_stmt *check = NULL;
    bool intact = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &check, NULL) == SQLITE_OK &&
                  sqlite3_step(check) == SQLITE_ROW && sqlite3_column_text(check, 0) &&
                  strcmp((const char *)sqlite3_column_text(check, 0), "ok") == 0;
    sqlite3_finalize(check);
    return intact;
}

/* A new file gets the tables; one that has others is not ours to write to. */
static enum opening check_contents(struct spool *s)
{
    static const char read_id[] = "PRAGMA application_id";
    if (marline__database_number(s->db, "SELECT count(*) FROM sqlite_master") == 0 &&
        marline__database_number(s->db, read_id) == 0) {
        return marline__database_execute(s->db, "BEGIN IMMEDIATE") &&
                       marline__database_execute(s->db, schema) &&
                       marline__database_execute(s->db, "COMMIT")
                   ? OPENING_GOOD
                   : judge(s, sqlite3_errcode(s->db));
    }
    if (marline__database_number(s->db, read_id) != APPLICATION_ID) {
        return s->is_ours ? OPENING_DAMAGED : OPENING_FOREIGN;
    }
    return is_intact(s->db) ? OPENING_GOOD : OPENING_DAMAGED;
}

/* EXCLUSIVE: the lock file has settled whose it is, and so no memory is shared through a file that
 * a full disk could take away. */
static enum opening open_file(struct spool *s)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    static const char *const settings[] = {"PRAGMA locking_mode=EXCLUSIVE",
                                           "PRAGMA auto_vacuum=FULL", "PRAGMA journal_mode=WAL",
                                           "PRAGMA synchronous=NORMAL"};
    int made =
        open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600); /* spans are nobody else's business */
    if (made >= 0) {
        close(made);
    }
    int code = sqlite3_open_v2(s->path, &s->db, flags, NULL);
    for (size_t i = 0; code == SQLITE_OK && i < sizeof settings / sizeof *settings; i++) {
        code = sqlite3_exec(s->db, settings[i], NULL, NULL, NULL);
    }
    if (code != SQLITE_OK) {
        enum opening judged = judge(s, code);
        return judged == OPENING_DAMAGED && !s->is_ours ? OPENING_FOREIGN : judged;
    }
    enum opening contents = check_contents(s);
    for (int i = 0; contents == OPENING_GOOD && i < STATEMENTS; i++) {
        code = sqlite3_prepare_v3(s->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &s->statements[i],
                                  NULL);
        contents = code == SQLITE_OK ? OPENING_GOOD : judge(s, code);
    }
    return contents;
}

/* What the file holds, by its own account; each batch is checked when it is read. */
static enum opening count_file(struct spool *s)
{
    sqlite3_stmt *all = NULL;
    int code = sqlite3_prepare_v2(s->db, "SELECT id,spans,length(body) FROM batch WHERE id>?1", -1,
                                  &all, NULL);
    count_nothing(s);
    if (code == SQLITE_OK) {
        sqlite3_bind_int64(all, 1, s->removed);
        while ((code = sqlite3_step(all)) == SQLITE_ROW) {
            sqlite3_int64 id = sqlite3_column_int64(all, 0);
            count_in(s, id, (uint32_t)sqlite3_column_int64(all, 1),
                     (uint64_t)sqlite3_column_int64(all, 2));
            s->last_id = id > s->last_id ? id : s->last_id;
        }
    }
    sqlite3_finalize(all);
    return code == SQLITE_DONE ? OPENING_GOOD : judge(s, code);
}

/* ---- damage ---- */

struct salvage {
    struct spool *s;
    sqlite3_int64 first; /* from the front, good batches were read up to this one */
};

/* Copies good batches until the order ends, or until the file cannot be read further. */
static void copy_rows(struct salvage *v, sqlite3 *damaged, const char *sql)
{
    sqlite3_stmt *rows = NULL;
    if (sqlite3_prepare_v2(damaged, sql, -1, &rows, NULL) != SQLITE_OK) {
        return;
    }
    sqlite3_bind_int64(rows, 1, v->first);
    while (sqlite3_step(rows) == SQLITE_ROW) {
        struct row row;
        if (!read_row(rows, &row) || row.id <= v->s->removed) {
            continue;
        }
        if (insert(v->s, &row) == SQLITE_DONE) {
            count_in(v->s, row.id, row.spans, row.body.size);
            v->s->last_id = row.id > v->s->last_id ? row.id : v->s->last_id;
        }
        v->first = row.id > v->first ? row.id : v->first;
    }
    sqlite3_finalize(rows);
}

static void copy_what_can_be_read(struct spool *s, const char *path)
{
    sqlite3 *damaged = NULL;
    if (sqlite3_open_v2(path, &damaged, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ==
        SQLITE_OK) {
        struct salvage v = {s, s->removed};
        (void)sqlite3_db_config(damaged, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        copy_rows(&v, damaged, "SELECT id,spans,checksum,body FROM batch WHERE id>?1 ORDER BY id");
        /* Beyond a page that stopped the first walk, from the other end. */
        copy_rows(&v, damaged,
                  "SELECT id,spans,checksum,body FROM batch WHERE id>?1 ORDER BY id DESC");
    }
    sqlite3_close(damaged);
}

/* True when there was no such file, too. */
static bool rename_file(const struct spool *s, const char *suffix, const char *aside)
{
    struct buffer from = BUFFER_INIT;
    struct buffer to = BUFFER_INIT;
    marline__buffer_append_format(&from, "%s%s", s->path, suffix);
    marline__buffer_append_format(&to, "%s%s", aside, suffix);
    bool done = !from.failed && !to.failed;
    if (done) {
        (void)unlink(to.data);
        done = rename(from.data, to.data) == 0 || errno == ENOENT;
    }
    marline__buffer_deinit(&from);
    marline__buffer_deinit(&to);
    return done;
}

/* The database and its log go together. */
static bool rename_files(const struct spool *s, const char *aside)
{
    return rename_file(s, "-wal", aside) && rename_file(s, "-shm", aside) &&
           rename_file(s, "", aside);
}

/* What cannot be set aside is tried again with every batch, and told once. */
static void tell_damage(struct spool *s, bool renamed, uint64_t kept, uint64_t lost)
{
    if (renamed || !s->rename_failed) {
        marline__log(LOG_ERROR,
                     "the spool %s is damaged: %s %s.damaged; %llu spans were saved from it, at "
                     "least %llu were not",
                     s->path, renamed ? "set aside as" : "it could not be renamed to", s->path,
                     (unsigned long long)kept, (unsigned long long)lost);
    }
    s->rename_failed = !renamed;
}

/* Leaves a file that works, or none. */
static void replace_file(struct spool *s)
{
    struct buffer aside = BUFFER_INIT;
    uint64_t spans_before = atomic_load(&s->spans);
    close_file(s);
    marline__buffer_append_format(&aside, "%s.damaged", s->path);
    bool renamed = !aside.failed && rename_files(s, aside.data);
    count_nothing(s);
    if (renamed && open_file(s) == OPENING_GOOD) {
        copy_what_can_be_read(s, aside.data);
    } else {
        close_file(s);
    }
    uint64_t kept = atomic_load(&s->spans);
    uint64_t lost = spans_before > kept ? spans_before - kept : 0;
    atomic_fetch_add(&s->set_aside, renamed ? 1 : 0);
    atomic_fetch_add(&s->lost_spans, lost);
    tell_damage(s, renamed, kept, lost);
    marline__buffer_deinit(&aside);
}

/* Locked. Opens the file again where that failed before. */
static bool is_usable(struct spool *s)
{
    if (!s->db) {
        enum opening opening = open_file(s);
        opening = opening == OPENING_GOOD ? count_file(s) : opening;
        if (opening == OPENING_DAMAGED) {
            replace_file(s);
        } else if (opening != OPENING_GOOD) {
            close_file(s);
        }
    }
    return s->db != NULL;
}

/* Locked. After a statement failed: damage costs the file, anything else only this attempt. */
static void note_failure(struct spool *s, int code)
{
    if (!s->write_failed) {
        marline__log(LOG_ERROR, "the spool %s: %s; spans that cannot be delivered are lost now",
                     s->path, sqlite3_errmsg(s->db));
    }
    s->write_failed = true;
    if (judge(s, code) == OPENING_DAMAGED) {
        replace_file(s);
    }
}

/* ---- calls ---- */

/* Says, to whoever opens the path next, that a file found there is ours, however damaged. */
static void mark_lock_file(struct spool *s)
{
    if (pwrite(s->lock, mark, sizeof mark - 1, 0) != sizeof mark - 1) {
        marline__log(LOG_WARN, "the spool %s: its lock file cannot be written: %s", s->path,
                     strerror(errno));
    }
}

static bool has_mark(int lock)
{
    char text[sizeof mark] = "";
    return pread(lock, text, sizeof mark - 1, 0) == sizeof mark - 1 && strcmp(text, mark) == 0;
}

static marline_status fail(marline_error *error, marline_status code, const char *path,
                           const char *cause)
{
    if (error) {
        error->code = code;
        (void)snprintf(error->text, sizeof error->text, "spool %s: %s", path, cause);
    }
    return code;
}

static marline_status open_first(struct spool *s, marline_error *error)
{
    marline_status status = marline__database_lock("spool", s->path, &s->lock, error);
    if (status != MARLINE_OK) {
        return status;
    }
    s->is_ours = has_mark(s->lock);
    enum opening opening = open_file(s);
    opening = opening == OPENING_GOOD ? count_file(s) : opening;
    if (opening == OPENING_FOREIGN) {
        return fail(error, MARLINE_EIO, s->path,
                    "this file is no spool, and is left as it is; give another path");
    }
    if (opening == OPENING_UNUSABLE) {
        return fail(error, MARLINE_EIO, s->path, s->db ? sqlite3_errmsg(s->db) : "out of memory");
    }
    mark_lock_file(s);
    s->is_ours = true;
    if (opening == OPENING_DAMAGED) {
        replace_file(s);
    }
    s->boundary = s->last_id;
    marline__spool_adopt(s);
    s->boundary = s->last_id;
    atomic_store(&s->own_spans, 0);
    return MARLINE_OK;
}

marline_status marline__spool_open(const struct spool_options *options, struct spool **out,
                                   marline_error *error)
{
    struct spool *s = marline__memory_zeroed(sizeof *s);
    if (!s) {
        return fail(error, MARLINE_ENOMEM, options->path, "out of memory");
    }
    s->lock = -1;
    s->log = SPOOL_LOG_CLOSED;
    s->bytes_max = options->bytes_max ? options->bytes_max : SPOOL_BYTES_MAX_DEFAULT;
    s->path = marline__memory_text(options->path);
    if (!s->path || pthread_mutex_init(&s->mutex, NULL) != 0) {
        marline__memory_free(s->path);
        marline__memory_free(s);
        return fail(error, MARLINE_ENOMEM, options->path, "out of memory");
    }
    marline_status status = open_first(s, error);
    if (status != MARLINE_OK) {
        marline__spool_close(s);
        return status;
    }
    *out = s;
    return MARLINE_OK;
}

void marline__spool_close(struct spool *s)
{
    if (!s) {
        return;
    }
    marline__spool_log_close(&s->log);
    if (s->is_child) {
        return; /* it keeps its parent's, untouched: see after_fork_in_child */
    }
    close_file(s);
    if (s->lock >= 0) {
        close(s->lock);
    }
    pthread_mutex_destroy(&s->mutex);
    marline__memory_free(s->path);
    marline__memory_free(s);
}

static bool put(struct spool *s, const struct row *row)
{
    int code = insert(s, row);
    if (code != SQLITE_DONE) {
        note_failure(s, code);
        /* Into the new file, when the old one was damaged. */
        code = s->db && judge(s, code) == OPENING_DAMAGED ? insert(s, row) : code;
    }
    if (code != SQLITE_DONE) {
        return false;
    }
    s->last_id = row->id;
    s->write_failed = false;
    count_in(s, row->id, row->spans, row->body.size);
    return true;
}

/* ---- in a child ---- */

#define DAMAGED_LOG                                                                                \
    "the spool %s is damaged, and set aside as %s.damaged: what was behind the damage is lost"

static bool put_in_child(struct spool *s, struct slice body, uint32_t spans)
{
    if (atomic_load(&s->bytes) + body.size > s->bytes_max) {
        return false;
    }
    if ((s->log.fd < 0 && !marline__spool_log_create(&s->log, s->path)) ||
        !marline__spool_log_put(&s->log, body, spans)) {
        if (!s->log_failed) {
            marline__log(LOG_ERROR,
                         "the spool %s: this child process has no file of its own: %s; spans that "
                         "cannot be delivered are lost now",
                         s->path, strerror(errno));
        }
        s->log_failed = true;
        return false;
    }
    s->log_failed = false;
    count_in(s, 0, spans, body.size);
    return true;
}

static bool oldest_in_child(struct spool *s, struct spool_batch *out)
{
    enum spool_log_read read =
        s->log.fd < 0 ? SPOOL_LOG_END : marline__spool_log_oldest(&s->log, &out->body, &out->spans);
    out->id = (int64_t)s->log.head;
    out->is_own = true;
    if (read == SPOOL_LOG_DAMAGED) {
        marline__log(LOG_ERROR, DAMAGED_LOG, s->log.path, s->log.path);
        marline__spool_log_set_aside(&s->log);
        atomic_fetch_add(&s->set_aside, 1);
        atomic_fetch_add(&s->lost_spans, atomic_load(&s->spans));
        count_nothing(s);
    }
    return read == SPOOL_LOG_BATCH;
}

/* ---- calls, again ---- */

bool marline__spool_put(struct spool *s, struct slice body, uint32_t spans)
{
    pthread_mutex_lock(&s->mutex);
    bool stored = false;
    if (s->is_child) {
        stored = put_in_child(s, body, spans);
    } else if (is_usable(s) && atomic_load(&s->bytes) + body.size <= s->bytes_max) {
        const struct row row = {next_id(s, true), spans, body};
        stored = put(s, &row);
    }
    pthread_mutex_unlock(&s->mutex);
    return stored;
}

/* One look; false and *out_again when the file was replaced under it. */
static bool read_oldest(struct spool *s, struct spool_batch *out, bool *out_again)
{
    sqlite3_stmt *oldest = s->statements[OLDEST];
    struct row row;
    sqlite3_bind_int64(oldest, 1, s->removed);
    int code = sqlite3_step(oldest);
    bool found = code == SQLITE_ROW && read_row(oldest, &row);
    if (found) {
        out->id = row.id;
        out->spans = row.spans;
        out->is_own = is_own(s, row.id);
        marline__buffer_clear(&out->body);
        marline__buffer_append_slice(&out->body, row.body);
        found = !out->body.failed;
        code = SQLITE_DONE;
    }
    sqlite3_reset(oldest);
    *out_again = code == SQLITE_ROW || (code != SQLITE_DONE && judge(s, code) == OPENING_DAMAGED);
    if (*out_again) {
        replace_file(s);
    }
    return found;
}

bool marline__spool_oldest(struct spool *s, struct spool_batch *out)
{
    enum { LOOKS_MAX = 2 }; /* a file made anew is not damaged; if it is, then not now */
    bool found = false;
    bool again = true;
    pthread_mutex_lock(&s->mutex);
    if (s->is_child) {
        again = false;
        found = oldest_in_child(s, out);
    }
    for (int i = 0; i < LOOKS_MAX && again && !found && is_usable(s); i++) {
        found = read_oldest(s, out, &again);
    }
    pthread_mutex_unlock(&s->mutex);
    return found;
}

bool marline__spool_replace(struct spool *s, struct spool_batch *batch, struct slice body,
                            uint32_t spans)
{
    bool replaced = false;
    pthread_mutex_lock(&s->mutex);
    if (!s->is_child && is_usable(s) && batch->id > s->removed) {
        const struct row row = {batch->id, spans, body};
        int code = write_row(s, REPLACE, &row);
        replaced = code == SQLITE_DONE && sqlite3_changes(s->db) == 1;
        if (replaced) {
            count_out(s, batch->id, batch->spans, batch->body.size);
            count_in(s, row.id, spans, body.size);
            batch->spans = spans;
        } else if (code != SQLITE_DONE) {
            note_failure(s, code);
        }
    }
    pthread_mutex_unlock(&s->mutex);
    return replaced;
}

void marline__spool_remove(struct spool *s, const struct spool_batch *batch)
{
    pthread_mutex_lock(&s->mutex);
    if (s->is_child) {
        count_out(s, batch->id, batch->spans, batch->body.size);
        marline__spool_log_remove(&s->log, batch->body.size);
    } else if (is_usable(s) && batch->id > s->removed) {
        s->removed = batch->id;
        count_out(s, batch->id, batch->spans, batch->body.size);
        sqlite3_stmt *remove = s->statements[REMOVE];
        sqlite3_bind_int64(remove, 1, batch->id);
        int code = sqlite3_step(remove);
        sqlite3_reset(remove);
        if (code != SQLITE_DONE) {
            note_failure(s, code); /* it will go with the next one; until then it is passed over */
        }
    }
    pthread_mutex_unlock(&s->mutex);
}

void marline__spool_count(const struct spool *s, struct spool_counts *out)
{
    *out = (struct spool_counts){.batches = atomic_load(&s->batches),
                                 .spans = atomic_load(&s->spans),
                                 .own_spans = atomic_load(&s->own_spans),
                                 .bytes = atomic_load(&s->bytes),
                                 .set_aside = atomic_load(&s->set_aside),
                                 .lost_spans = atomic_load(&s->lost_spans)};
}

/* ---- what children left ---- */

/* Until the end, or the damage, or until there is no more room: then the rest stays for later. */
static enum spool_log_read move_batches(struct spool *s, struct spool_log *log)
{
    struct buffer body = BUFFER_INIT;
    uint32_t spans;
    enum spool_log_read read;
    while ((read = marline__spool_log_oldest(log, &body, &spans)) == SPOOL_LOG_BATCH) {
        const struct row row = {next_id(s, false), spans, marline__buffer_slice(&body)};
        if (atomic_load(&s->bytes) + body.size > s->bytes_max || !put(s, &row)) {
            break;
        }
        marline__spool_log_remove(log, body.size);
    }
    marline__buffer_deinit(&body);
    return read;
}

static void adopt_file(const char *path, void *user)
{
    struct spool *s = user;
    struct spool_log log = SPOOL_LOG_CLOSED;
    uint64_t before = atomic_load(&s->spans);
    if (!is_usable(s) || !marline__spool_log_open(&log, path)) {
        return;
    }
    bool damaged = move_batches(s, &log) == SPOOL_LOG_DAMAGED;
    uint64_t taken = atomic_load(&s->spans) - before;
    if (taken > 0) {
        marline__log(LOG_INFO, "%llu spans are taken up that a child process left in %s",
                     (unsigned long long)taken, path);
    }
    if (damaged) {
        marline__log(LOG_ERROR, DAMAGED_LOG, path, path);
        atomic_fetch_add(&s->set_aside, 1);
        marline__spool_log_set_aside(&log);
    }
    marline__spool_log_close(&log);
}

void marline__spool_adopt(struct spool *s)
{
    pthread_mutex_lock(&s->mutex);
    if (!s->is_child) {
        marline__spool_log_each(s->path, adopt_file, s);
    }
    pthread_mutex_unlock(&s->mutex);
}

bool marline__spool_has_forked(const struct spool *s)
{
    return atomic_load_explicit(&s->has_forked, memory_order_relaxed);
}

/* ---- fork ---- */

void marline__spool_before_fork(struct spool *s)
{
    pthread_mutex_lock(&s->mutex);
}

void marline__spool_after_fork_in_parent(struct spool *s)
{
    atomic_store_explicit(&s->has_forked, !s->is_child, memory_order_relaxed);
    pthread_mutex_unlock(&s->mutex);
}

/* Touching the database here, closing it included, would spoil it for the parent. It is left as it
 * is, and stays reachable, for it is no leak of the child's. The lock must not outlive the parent.
 */
void marline__spool_after_fork_in_child(struct spool *s)
{
    static struct spool *children;
    if (!s->is_child) {
        s->next_child = children;
        children = s;
        (void)close(s->lock);
        s->lock = -1;
    }
    s->is_child = true;
    s->log_failed = false;
    atomic_store(&s->has_forked, false);
    atomic_store(&s->set_aside, 0);
    atomic_store(&s->lost_spans, 0);
    count_nothing(s);
    marline__spool_log_forget(&s->log); /* of a child that has forked */
    pthread_mutex_unlock(&s->mutex);
}
