/* A backend of the check's own. */
#include "agent/check/own_backend.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/check/answer.h"
#include "base/clock.h"
#include "programs/must.h"

enum { START_TIMEOUT_MS = 10000, STOP_TIMEOUT_MS = 3000, LOOK_MS = 5, READY_MAX = 4096 };

static const char *const program_name = "marline-backend-mock";

/* Beside this program, where a build and an installation have it; else PATH's. */
static void find_program(char *out, size_t size)
{
    ssize_t used = readlink("/proc/self/exe", out, size - 1);
    out[used > 0 ? used : 0] = '\0';
    char *slash = strrchr(out, '/');
    size_t room = slash ? size - (size_t)(slash + 1 - out) : 0;
    if (slash && (size_t)snprintf(slash + 1, room, "%s", program_name) < room &&
        access(out, X_OK) == 0) {
        return;
    }
    (void)snprintf(out, size, "%s", program_name);
}

static void path_of(const struct own_backend *b, const char *name, char out[128])
{
    (void)snprintf(out, 128, "%s/%s", b->folder, name);
}

/* ---- the process ---- */

/* Only what is safe between fork and exec. */
static void become(const struct own_backend *b, int log, pid_t parent)
{
    char store[128 + 8];
    char ready[128];
    sigset_t none;
    path_of(b, "ready.json", ready);
    (void)snprintf(store, sizeof store, "sqlite:%s/store.db", b->folder);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setpgid(0, 0); /* the terminal's Ctrl-C is for the check, which ends it in good order */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent && dup2(log, STDOUT_FILENO) >= 0 && dup2(log, STDERR_FILENO) >= 0) {
        (void)execlp(b->program, program_name, "serve", "--listen", b->listen, "--store", store,
                     "--ready-file", ready, "--rate-limit", "0", (char *)NULL);
    }
    _exit(127);
}

static bool spawn(struct own_backend *b, struct failure *f)
{
    char path[128];
    path_of(b, "backend.log", path);
    int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    pid_t parent = getpid();
    path_of(b, "ready.json", path);
    (void)unlink(path);
    b->pid = log < 0 ? -1 : fork();
    if (b->pid == 0) {
        become(b, log, parent);
    }
    int error = errno;
    if (log >= 0) {
        (void)close(log);
    }
    if (b->pid < 0) {
        b->pid = 0;
        return failure_set(f, EXIT_CODE_INTERNAL, "cannot start a backend: %s", strerror(error));
    }
    return true;
}

/* True when it has ended and is waited for. */
static bool has_ended(struct own_backend *b, int timeout_ms)
{
    int descriptor = pidfd_open(b->pid, 0);
    struct pollfd end = {descriptor, POLLIN, 0};
    (void)poll(&end, 1, timeout_ms);
    if (descriptor >= 0) {
        (void)close(descriptor);
    }
    if (waitpid(b->pid, NULL, WNOHANG) != b->pid) {
        return false;
    }
    b->pid = 0;
    return true;
}

static void kill_it(struct own_backend *b)
{
    if (b->pid) {
        (void)kill(b->pid, SIGKILL);
        (void)waitpid(b->pid, NULL, 0);
        b->pid = 0;
    }
}

/* ---- readiness ---- */

static void read_ready_member(struct json_reader *r, struct slice key, void *user)
{
    struct own_backend *b = user;
    if (marline__json_key_is(key, "base_url")) {
        answer_text(r, b->base_url, sizeof b->base_url);
    } else if (marline__json_key_is(key, "project_id")) {
        answer_text(r, b->project_id, sizeof b->project_id);
    } else if (marline__json_key_is(key, "api_key")) {
        answer_text(r, b->api_key, sizeof b->api_key);
    } else {
        answer_skip(r);
    }
}

/* The file appears whole. */
static bool read_ready(struct own_backend *b)
{
    char path[128];
    char text[READY_MAX];
    path_of(b, "ready.json", path);
    FILE *file = fopen(path, "re");
    if (!file) {
        return false;
    }
    size_t size = fread(text, 1, sizeof text, file);
    (void)fclose(file);
    struct json_reader r;
    marline__json_reader_init(&r, (struct slice){text, size}, JSON_STRICT);
    answer_each_member(&r, read_ready_member, b);
    const char *port = strrchr(b->base_url, ':');
    if (!port || !*b->project_id || !*b->api_key) {
        return false;
    }
    (void)snprintf(b->listen, sizeof b->listen, "127.0.0.1%.12s", port);
    return true;
}

/* The last line of what it wrote: its reason. */
static void read_last_words(const struct own_backend *b, char *out, size_t size)
{
    char path[128];
    char line[OWN_BACKEND_TEXT_SIZE];
    path_of(b, "backend.log", path);
    FILE *file = fopen(path, "re");
    (void)snprintf(out, size, "it says nothing");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        if (*line) {
            (void)snprintf(out, size, "%s", line);
        }
    }
    if (file) {
        (void)fclose(file);
    }
}

static bool start(struct own_backend *b, struct failure *f)
{
    char words[OWN_BACKEND_TEXT_SIZE];
    if (!spawn(b, f)) {
        return false;
    }
    for (int waited = 0; waited < START_TIMEOUT_MS; waited += LOOK_MS) {
        if (read_ready(b)) {
            return true;
        }
        if (has_ended(b, LOOK_MS)) {
            read_last_words(b, words, sizeof words);
            return failure_set(f, EXIT_CODE_UNREACHABLE,
                               "a backend of its own was wanted, and %s did not start: %s; name "
                               "another one with --backend-program, or a running one with "
                               "--base-url",
                               b->program, words);
        }
    }
    return failure_set(f, EXIT_CODE_UNREACHABLE, "%s was not ready in %d s", b->program,
                       START_TIMEOUT_MS / 1000);
}

bool own_backend_start(struct own_backend *b, const char *program, struct failure *f)
{
    *b = (struct own_backend){.listen = "127.0.0.1:0", .folder = "/tmp/marline-check-XXXXXX"};
    if (program) {
        (void)snprintf(b->program, sizeof b->program, "%s", program);
    } else {
        find_program(b->program, sizeof b->program);
    }
    if (!mkdtemp(b->folder)) {
        b->folder[0] = '\0';
        return failure_set(f, EXIT_CODE_INTERNAL, "no temporary folder in /tmp: %s",
                           strerror(errno));
    }
    return start(b, f);
}

bool own_backend_restart(struct own_backend *b, struct failure *f)
{
    kill_it(b);
    return start(b, f);
}

static void remove_folder(const char *folder)
{
    DIR *d = opendir(folder);
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        if (e->d_name[0] != '.') {
            (void)unlinkat(dirfd(d), e->d_name, 0);
        }
    }
    if (d) {
        (void)closedir(d);
    }
    (void)rmdir(folder);
}

void own_backend_stop(struct own_backend *b)
{
    if (b->pid) {
        (void)kill(b->pid, SIGTERM);
        if (!has_ended(b, STOP_TIMEOUT_MS)) {
            kill_it(b);
        }
    }
    if (*b->folder) {
        remove_folder(b->folder);
        b->folder[0] = '\0';
    }
}
