/* A child process. */
#include "agent/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "programs/must.h"

void child_close_end(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

/* ---- the start ---- */

struct pipes {
    int input[2];
    int output[2];
    int errors[2];
};

static void close_pair(int pair[2])
{
    child_close_end(&pair[0]);
    child_close_end(&pair[1]);
}

static void close_pipes(struct pipes *p)
{
    close_pair(p->input);
    close_pair(p->output);
    close_pair(p->errors);
}

static int open_pipes(struct pipes *p)
{
    *p = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}};
    if (pipe2(p->input, O_CLOEXEC) || pipe2(p->output, O_CLOEXEC) || pipe2(p->errors, O_CLOEXEC)) {
        return errno;
    }
    /* Only our ends: the program expects to block. */
    if (fcntl(p->input[1], F_SETFL, O_NONBLOCK) || fcntl(p->output[0], F_SETFL, O_NONBLOCK) ||
        fcntl(p->errors[0], F_SETFL, O_NONBLOCK)) {
        return errno;
    }
    return 0;
}

static int set_actions(posix_spawn_file_actions_t *actions, const struct pipes *p,
                       const char *folder)
{
    int error = posix_spawn_file_actions_adddup2(actions, p->input[0], STDIN_FILENO);
    error = error ? error : posix_spawn_file_actions_adddup2(actions, p->output[1], STDOUT_FILENO);
    error = error ? error : posix_spawn_file_actions_adddup2(actions, p->errors[1], STDERR_FILENO);
    error = error ? error : posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
    if (!error && folder) {
        error = posix_spawn_file_actions_addchdir_np(actions, folder);
    }
    return error;
}

/* A group of its own, no blocked signal, and default actions where this program ignores or handles
 * a signal. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none;
    sigset_t all;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    int error = posix_spawnattr_setpgroup(attributes, 0);
    error = error ? error : posix_spawnattr_setsigmask(attributes, &none);
    error = error ? error : posix_spawnattr_setsigdefault(attributes, &all);
    return error ? error
                 : posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP |
                                                            POSIX_SPAWN_SETSIGMASK |
                                                            POSIX_SPAWN_SETSIGDEF);
}

static int spawn(char *const *argv, char *const *environment, const char *folder,
                 const struct pipes *p, pid_t *out_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);
    if (error) {
        return error;
    }
    error = posix_spawnattr_init(&attributes);
    if (!error) {
        error = set_attributes(&attributes);
        error = error ? error : set_actions(&actions, p, folder);
        error = error ? error
                      : posix_spawnp(out_pid, argv[0], &actions, &attributes, argv, environment);
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return error;
}

int child_start(struct child *c, char *const *argv, char *const *environment, const char *folder)
{
    struct pipes pipes;
    *c = (struct child){0, -1, -1, -1, -1};
    int error = open_pipes(&pipes);
    error = error ? error : spawn(argv, environment, folder, &pipes, &c->pid);
    if (error) {
        close_pipes(&pipes);
        c->pid = 0;
        return error;
    }
    c->input = pipes.input[1];
    c->output = pipes.output[0];
    c->errors = pipes.errors[0];
    pipes.input[1] = pipes.output[0] = pipes.errors[0] = -1;
    close_pipes(&pipes);
    c->process = pidfd_open(c->pid, 0);
    return c->process < 0 ? errno : 0;
}

/* ---- its life ---- */

bool child_read(int fd, char *data, size_t capacity, size_t *out_size)
{
    ssize_t n = read(fd, data, capacity);
    *out_size = n > 0 ? (size_t)n : 0;
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

void child_signal(const struct child *c, int signal_number)
{
    /* ESRCH only says that nobody is left. */
    (void)kill(-c->pid, signal_number);
}

void child_reap(struct child *c, struct process_outcome *out)
{
    int status = 0;
    pid_t pid;
    do {
        pid = waitpid(c->pid, &status, 0);
    } while (pid < 0 && errno == EINTR);
    if (pid < 0) {
        out->end = PROCESS_LOST;
        out->detail = errno;
    } else if (WIFSIGNALED(status)) {
        out->end = PROCESS_SIGNALED;
        out->detail = WTERMSIG(status);
    } else {
        out->end = PROCESS_EXITED;
        out->detail = WEXITSTATUS(status);
    }
    child_close_end(&c->input);
    child_close_end(&c->output);
    child_close_end(&c->errors);
    child_close_end(&c->process);
    c->pid = 0;
}

/* ---- lines of stderr ---- */

void line_splitter_init(struct line_splitter *s, void (*on_line)(void *user, const char *line),
                        void *user)
{
    *s = (struct line_splitter){.on_line = on_line, .user = user, .line = BUFFER_INIT};
}

void line_splitter_deinit(struct line_splitter *s)
{
    marline__buffer_deinit(&s->line);
}

void line_splitter_finish(struct line_splitter *s)
{
    size_t size = s->line.size;
    while (size > 0 && (s->line.data[size - 1] == '\r' || s->line.data[size - 1] == ' ')) {
        size--;
    }
    if (size > 0) {
        size_t kept = size < PROCESS_LAST_LINE_SIZE - 1 ? size : PROCESS_LAST_LINE_SIZE - 1;
        s->line.data[size] = '\0';
        memcpy(s->last_line, s->line.data, kept);
        s->last_line[kept] = '\0';
        if (s->on_line) {
            s->on_line(s->user, s->line.data);
        }
    }
    marline__buffer_clear(&s->line);
}

void line_splitter_take(struct line_splitter *s, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\n' || s->line.size == PROCESS_LINE_MAX) {
            line_splitter_finish(s);
        }
        if (data[i] != '\n') {
            /* A NUL would hide the rest of the line from every reader of text. */
            marline__buffer_append_byte(&s->line, data[i] ? data[i] : ' ');
        }
    }
    must_buffer(&s->line);
}
