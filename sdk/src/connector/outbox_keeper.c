/* One thread over two descriptors: an eventfd for this process, an inotify for the others. */
#include "connector/outbox_keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/signals.h"

enum {
    CHECKPOINT_PAGES = 1000,     /* 4 MB of log, as SQLite's own default */
    CHECKPOINT_RETRY_PAGES = 16, /* commits differ in size: asked within so many pages above */
    EVENTS_SIZE = 4096,
};

struct outbox_keeper {
    char *path;
    void (*on_touched)(void *user);
    void *user;
    int wake;  /* eventfd */
    int life;  /* the lock file, with a lock on it that others can see without taking it */
    int watch; /* inotify, -1 = none */
    pthread_t thread;
    bool started;
    atomic_bool checkpoint_due;
    atomic_bool stop;
};

/* A passive one blocks no writer. */
static void run_checkpoint(const char *path)
{
    sqlite3 *db = NULL;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
        sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) != SQLITE_OK) {
        marline__log(LOG_WARN, "outbox %s: its log could not be moved into it: %s", path,
                     db ? sqlite3_errmsg(db) : "out of memory");
    }
    sqlite3_close(db);
}

/* True: there was something. */
static bool drain_events(int descriptor)
{
    char events[EVENTS_SIZE];
    bool any = false;
    while (read(descriptor, events, sizeof events) > 0) {
        any = true;
    }
    return any;
}

static void *serve(void *user)
{
    struct outbox_keeper *k = user;
    while (!atomic_load(&k->stop)) {
        eventfd_t ignored;
        struct pollfd sources[] = {{k->wake, POLLIN, 0}, {k->watch, POLLIN, 0}};
        (void)poll(sources, k->watch >= 0 ? 2 : 1, -1);
        (void)eventfd_read(k->wake, &ignored);
        if (atomic_exchange(&k->checkpoint_due, false)) {
            run_checkpoint(k->path);
        }
        if (k->watch >= 0 && drain_events(k->watch) && !atomic_load(&k->stop)) {
            k->on_touched(k->user);
        }
    }
    return NULL;
}

static bool lock_file_name(const char *path, struct buffer *out)
{
    marline__buffer_append_format(out, "%s.lock", path);
    return !out->failed;
}

/* An own descriptor, and another kind of lock than the one that keeps other owners away. */
static int show_life(const char *path)
{
    struct buffer name = BUFFER_INIT;
    struct flock alive = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    int descriptor = lock_file_name(path, &name) ? open(name.data, O_RDWR | O_CLOEXEC) : -1;
    if (descriptor >= 0) {
        (void)fcntl(descriptor, F_OFD_SETLK, &alive);
    }
    marline__buffer_deinit(&name);
    return descriptor;
}

static int watch_lock_file(const char *path)
{
    struct buffer name = BUFFER_INIT;
    int descriptor = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    bool watched = lock_file_name(path, &name) && descriptor >= 0 &&
                   inotify_add_watch(descriptor, name.data, IN_ATTRIB) >= 0;
    if (!watched) {
        marline__log(LOG_WARN,
                     "outbox %s cannot be watched (%s): a retry of a dead letter that another "
                     "process asks for waits for the next start",
                     path, strerror(errno));
        if (descriptor >= 0) {
            (void)close(descriptor);
        }
        descriptor = -1;
    }
    marline__buffer_deinit(&name);
    return descriptor;
}

struct outbox_keeper *marline__outbox_keeper_start(const char *path, void (*on_touched)(void *user),
                                                   void *user)
{
    struct outbox_keeper *k = marline__memory_zeroed(sizeof *k);
    if (!k) {
        return NULL;
    }
    k->on_touched = on_touched;
    k->user = user;
    k->path = marline__memory_text(path);
    k->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    k->life = on_touched ? show_life(path) : -1;
    k->watch = on_touched ? watch_lock_file(path) : -1;
    atomic_init(&k->checkpoint_due, false);
    atomic_init(&k->stop, false);
    k->started = k->path && k->wake >= 0 && marline__thread_start(&k->thread, serve, k) == 0;
    if (!k->started) {
        marline__outbox_keeper_stop(k);
        return NULL;
    }
    return k;
}

void marline__outbox_keeper_stop(struct outbox_keeper *k)
{
    if (!k) {
        return;
    }
    if (k->started) {
        atomic_store(&k->stop, true);
        (void)eventfd_write(k->wake, 1);
        pthread_join(k->thread, NULL);
    }
    if (k->watch >= 0) {
        (void)close(k->watch);
    }
    if (k->life >= 0) {
        (void)close(k->life);
    }
    if (k->wake >= 0) {
        (void)close(k->wake);
    }
    marline__memory_free(k->path);
    marline__memory_free(k);
}

void marline__outbox_keeper_log_size(struct outbox_keeper *k, int pages)
{
    if (k && pages >= CHECKPOINT_PAGES && pages % CHECKPOINT_PAGES < CHECKPOINT_RETRY_PAGES) {
        atomic_store(&k->checkpoint_due, true);
        (void)eventfd_write(k->wake, 1);
    }
}

bool marline__outbox_keeper_touch(const char *path)
{
    struct buffer name = BUFFER_INIT;
    struct flock seen = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    int descriptor = lock_file_name(path, &name) ? open(name.data, O_RDWR | O_CLOEXEC) : -1;
    bool is_alive =
        descriptor >= 0 && fcntl(descriptor, F_OFD_GETLK, &seen) == 0 && seen.l_type != F_UNLCK;
    bool is_touched = is_alive && futimens(descriptor, NULL) == 0;
    if (descriptor >= 0) {
        (void)close(descriptor);
    }
    marline__buffer_deinit(&name);
    return is_touched;
}
