/* Preloaded into a program under test, it reports the steps of an invocation and holds the calling
 * thread at each until the test lets it go on: so a test can cut, freeze or kill exactly there,
 * without a hook in the program itself.
 *
 * A step is seen as a call of a library that the program cannot do without: a commit of SQLite, a
 * frame of libwebsockets, a request of libcurl, a child process. MARLINE_STEPS names the socket of
 * the test (step_server.h); without it, or when the test has gone, nothing is held. */
#include <curl/curl.h>
#include <dlfcn.h>
#include <libwebsockets.h>
#include <pthread.h>
#include <spawn.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define EXPORTED     __attribute__((visibility("default")))

/* dlsym gives an object pointer where a function's is meant: hence the unions. */

/* ---- telling the test ---- */

static int connect_to_test(void)
{
    const char *path = getenv("MARLINE_STEPS");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || strlen(path) >= sizeof address.sun_path) {
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (s >= 0 && connect(s, (struct sockaddr *)&address, sizeof address) != 0) {
        return -1; /* the descriptor is lost: once a thread, in a test */
    }
    return s;
}

/* One connection a thread, so that one held thread does not hold the others. */
static void reach(const char *step)
{
    static _Thread_local int connection = -2;
    char go;
    connection = connection == -2 ? connect_to_test() : connection;
    if (connection >= 0 && (send(connection, step, strlen(step), MSG_NOSIGNAL) < 0 ||
                            recv(connection, &go, 1, 0) != 1)) {
        connection = -1;
    }
}

/* ---- SQLite ---- */

/* What a transaction holds says which step its commit is. */
static const struct {
    const char *statement;
    const char *before;
    const char *after;
} marks[] = {
    {"INSERT INTO invocation(scope,is_metric,id,state,accepted_ns,request,", "accepting",
     "accepted"},
    {"UPDATE invocation SET state=2", "storing", "stored"},
    {"UPDATE invocation SET state=3", "settling", "settled"},
    {"INSERT INTO results(", "backend storing result", "backend stored result"},
    {"INSERT INTO spans(", "backend storing spans", "backend stored spans"},
    {"UPDATE spans SET result_ref", "backend linking", "backend linked"},
};

enum { TRANSACTIONS = 64 };

static struct {
    pthread_mutex_t lock;
    struct {
        sqlite3 *db;
        unsigned marks;
    } open[TRANSACTIONS];
} transactions = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Adds the marks to those of the connection's transaction, or, with 0, takes them all. */
static unsigned note(sqlite3 *db, unsigned seen)
{
    unsigned all = seen;
    pthread_mutex_lock(&transactions.lock);
    for (size_t i = 0; i < TRANSACTIONS; i++) {
        bool is_mine = transactions.open[i].db == db;
        if (is_mine || (seen && !transactions.open[i].db)) {
            all |= is_mine ? transactions.open[i].marks : 0;
            transactions.open[i].db = seen ? db : NULL;
            transactions.open[i].marks = seen ? all : 0;
            break;
        }
    }
    pthread_mutex_unlock(&transactions.lock);
    return all;
}

static unsigned marks_of(const char *sql)
{
    unsigned seen = 0;
    for (size_t i = 0; i < COUNT(marks); i++) {
        if (strncmp(sql, marks[i].statement, strlen(marks[i].statement)) == 0) {
            seen |= 1u << i;
        }
    }
    return seen;
}

static void reach_all(unsigned seen, bool after)
{
    for (size_t i = 0; i < COUNT(marks); i++) {
        if (seen & (1u << i)) {
            reach(after ? marks[i].after : marks[i].before);
        }
    }
}

EXPORTED int sqlite3_step(sqlite3_stmt *statement)
{
    union {
        void *object;
        int (*function)(sqlite3_stmt *statement);
    } real = {dlsym(RTLD_NEXT, "sqlite3_step")};
    const char *sql = sqlite3_sql(statement);
    sqlite3 *db = sqlite3_db_handle(statement);
    unsigned seen = sql ? marks_of(sql) : 0;
    if (seen) {
        (void)note(db, seen);
    }
    bool is_commit = sql && strncmp(sql, "COMMIT", 6) == 0;
    unsigned committed = is_commit ? note(db, 0) : 0;
    reach_all(committed, false);
    int code = real.function(statement);
    reach_all(committed, true);
    return code;
}

/* ---- the testing channel ---- */

static bool holds(const unsigned char *text, size_t size, const char *type)
{
    enum { HEAD = 64 }; /* the type comes first */
    return memmem(text, size < HEAD ? size : HEAD, type, strlen(type)) != NULL;
}

EXPORTED int lws_write(struct lws *wsi, unsigned char *data, size_t size,
                       enum lws_write_protocol protocol)
{
    static const struct {
        const char *type;
        const char *before;
        const char *after;
    } messages[] = {
        {"\"test_result\"", "sending", "sent"},
        {"\"execute_test\"", "backend dispatching", "backend dispatched"},
        {"\"result_ack\"", "backend acknowledging", "backend acknowledged"},
    };
    union {
        void *object;
        int (*function)(struct lws *wsi, unsigned char *data, size_t size,
                        enum lws_write_protocol protocol);
    } real = {dlsym(RTLD_NEXT, "lws_write")};
    const char *after = NULL;
    for (size_t i = 0; i < COUNT(messages); i++) {
        if (holds(data, size, messages[i].type)) {
            reach(messages[i].before);
            after = messages[i].after;
            break;
        }
    }
    int result = real.function(wsi, data, size, protocol);
    if (after) {
        reach(after);
    }
    return result;
}

/* ---- the tracing channel ---- */

EXPORTED CURLMcode curl_multi_add_handle(CURLM *multi, CURL *easy)
{
    union {
        void *object;
        CURLMcode (*function)(CURLM *multi, CURL *easy);
    } real = {dlsym(RTLD_NEXT, "curl_multi_add_handle")};
    reach("exporting");
    return real.function(multi, easy);
}

EXPORTED CURLMsg *curl_multi_info_read(CURLM *multi, int *left)
{
    union {
        void *object;
        CURLMsg *(*function)(CURLM *multi, int *left);
    } real = {dlsym(RTLD_NEXT, "curl_multi_info_read")};
    CURLMsg *message = real.function(multi, left);
    if (message && message->msg == CURLMSG_DONE) {
        reach("exported");
    }
    return message;
}

/* ---- children ---- */

EXPORTED int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                          const posix_spawnattr_t *attributes, char *const argv[],
                          char *const environment[])
{
    union {
        void *object;
        int (*function)(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attributes, char *const argv[],
                        char *const environment[]);
    } real = {dlsym(RTLD_NEXT, "posix_spawnp")};
    reach("spawning");
    int error = real.function(pid, file, actions, attributes, argv, environment);
    reach("spawned");
    return error;
}

EXPORTED pid_t waitpid(pid_t pid, int *status, int options)
{
    union {
        void *object;
        pid_t (*function)(pid_t pid, int *status, int options);
    } real = {dlsym(RTLD_NEXT, "waitpid")};
    pid_t ended = real.function(pid, status, options);
    if (ended > 0) {
        reach("reaped");
    }
    return ended;
}
