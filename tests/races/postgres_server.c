/* See postgres_server.h. */
#include "postgres_server.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PATH_MAX_HERE = 256,
    NAME_ROOM = 16,
    EXIT_NO_EXEC = 127,
    OPEN_FOLDERS_MAX = 16,
    ARGUMENT_MAX = 16
};

/* The newest version's folder of programs; Debian keeps each version in a folder of its own. */
static bool find_programs(const char *given, char *out, size_t size)
{
    glob_t found;
    char pattern[PATH_MAX_HERE];
    (void)snprintf(pattern, sizeof pattern, "%s/initdb",
                   given ? given : "/usr/lib/postgresql/*/bin");
    if (glob(pattern, 0, NULL, &found) != 0)
        return false;
    const char *last = found.gl_pathv[found.gl_pathc - 1];
    int length = (int)(strlen(last) - strlen("/initdb"));
    int n = snprintf(out, size, "%.*s", length, last);
    globfree(&found);
    return n > 0 && (size_t)n < size;
}

static bool make_folder(struct postgres_server *server, const struct passwd *user)
{
    const char *parent = getenv("TMPDIR");
    int n = snprintf(server->folder, sizeof server->folder, "%s/marline-races-pg-XXXXXX",
                     parent ? parent : "/tmp");
    if (n >= (int)sizeof server->folder) {
        errno = ENAMETOOLONG;
    } else if (mkdtemp(server->folder)) {
        return !user || chown(server->folder, user->pw_uid, user->pw_gid) == 0;
    }
    server->folder[0] = '\0';
    return false;
}

static bool become(const struct passwd *user)
{
    return initgroups(user->pw_name, user->pw_gid) == 0 && setgid(user->pw_gid) == 0 &&
           setuid(user->pw_uid) == 0;
}

/* In the child: never returns. What the program prints goes to a file in the folder. */
static void become_program(const struct postgres_server *server, const struct passwd *user,
                           const char *const arguments[])
{
    char log[PATH_MAX_HERE];
    char *plain[ARGUMENT_MAX] = {NULL}; /* execv's type is older than const */
    for (int i = 0; arguments[i] && i < ARGUMENT_MAX - 1; i++)
        memcpy(&plain[i], &arguments[i], sizeof plain[i]);
    (void)snprintf(log, sizeof log, "%s/log", server->folder);
    if ((user && !become(user)) || prctl(PR_SET_PDEATHSIG, SIGINT) != 0 ||
        chdir(server->folder) != 0)
        _exit(EXIT_NO_EXEC);
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (out < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
        _exit(EXIT_NO_EXEC);
    (void)execv(plain[0], plain);
    _exit(EXIT_NO_EXEC);
}

static pid_t start_program(const struct postgres_server *server, const struct passwd *user,
                           const char *const arguments[])
{
    pid_t pid = fork();
    if (pid == 0)
        become_program(server, user, arguments);
    return pid;
}

static bool make_cluster(const struct postgres_server *server, const struct passwd *user,
                         const char *programs)
{
    char initdb[PATH_MAX_HERE + NAME_ROOM], data[PATH_MAX_HERE];
    (void)snprintf(initdb, sizeof initdb, "%s/initdb", programs);
    (void)snprintf(data, sizeof data, "%s/data", server->folder);
    const char *arguments[] = {initdb,         "--pgdata",        data,
                               "--auth=trust", "--no-sync",       "--username=races",
                               "--no-locale",  "--encoding=UTF8", NULL};
    int status = 0;
    pid_t pid = start_program(server, user, arguments);
    if (pid < 0)
        return false;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        (void)kill(pid, SIGTERM); /* interrupted: so is initdb */
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static const struct passwd *account(void)
{
    return geteuid() == 0 ? getpwnam("postgres") : NULL;
}

bool postgres_server_launch(struct postgres_server *server)
{
    char postgres[PATH_MAX_HERE + NAME_ROOM], data[PATH_MAX_HERE];
    (void)snprintf(postgres, sizeof postgres, "%s/postgres", server->programs);
    (void)snprintf(data, sizeof data, "%s/data", server->folder);
    /* Schedules need no durability, and autovacuum would only add waits that none asked for. */
    const char *arguments[] = {postgres,
                               "-D",
                               data,
                               "-k",
                               server->folder,
                               "-h",
                               "",
                               "-c",
                               server->is_durable ? "fsync=on" : "fsync=off",
                               "-c",
                               server->is_durable ? "autovacuum=on" : "autovacuum=off",
                               NULL};
    server->pid = start_program(server, account(), arguments);
    return server->pid > 0;
}

void postgres_server_crash(struct postgres_server *server)
{
    if (server->pid > 0 && kill(server->pid, SIGQUIT) == 0)
        (void)waitpid(server->pid, NULL, 0);
    server->pid = -1;
}

static volatile sig_atomic_t interrupted;

static void note_signal(int signal)
{
    (void)signal;
    interrupted = 1;
}

static void catch_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = note_signal};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        (void)sigaction(signals[i], &action, NULL);
}

bool postgres_server_is_interrupted(void)
{
    return interrupted != 0;
}

static enum postgres_start start(struct postgres_server *server, const char *given, char *out_why,
                                 size_t why_size)
{
    const struct passwd *user = account();
    if (!find_programs(given, server->programs, sizeof server->programs) ||
        (geteuid() == 0 && !user)) {
        (void)snprintf(out_why, why_size,
                       "PostgreSQL is not installed; on Debian: apt install postgresql");
        return POSTGRES_MISSING;
    }
    if (!make_folder(server, user)) {
        (void)snprintf(out_why, why_size, "no temporary folder for PostgreSQL: %s",
                       strerror(errno));
        return POSTGRES_FAILED;
    }
    catch_signals();
    if (make_cluster(server, user, server->programs) && postgres_server_launch(server))
        return POSTGRES_STARTED;
    (void)snprintf(out_why, why_size, "PostgreSQL could not be started from %s", server->programs);
    return POSTGRES_FAILED;
}

enum postgres_start postgres_server_start(struct postgres_server *server, const char *programs,
                                          char *out_why, size_t why_size)
{
    *server = (struct postgres_server){.pid = -1};
    return start(server, programs, out_why, why_size);
}

enum postgres_start postgres_server_start_durable(struct postgres_server *server,
                                                  const char *programs, char *out_why,
                                                  size_t why_size)
{
    *server = (struct postgres_server){.pid = -1, .is_durable = true};
    return start(server, programs, out_why, why_size);
}

bool postgres_server_lives(const struct postgres_server *server)
{
    return server->pid > 0 && waitpid(server->pid, NULL, WNOHANG) == 0;
}

void postgres_server_address(const struct postgres_server *server, char *out, size_t size)
{
    (void)snprintf(out, size, "host=%s user=races dbname=postgres", server->folder);
}

void postgres_server_url(const struct postgres_server *server, char *out, size_t size)
{
    (void)snprintf(out, size, "postgresql:///postgres?host=%s&user=races", server->folder);
}

/* Goes on after a failure: what can be removed is. */
static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    (void)remove(path);
    return 0;
}

void postgres_server_stop(struct postgres_server *server)
{
    if (server->pid > 0 && kill(server->pid, SIGINT) == 0)
        (void)waitpid(server->pid, NULL, 0);
    if (server->folder[0])
        (void)nftw(server->folder, remove_entry, OPEN_FOLDERS_MAX, FTW_DEPTH | FTW_PHYS);
    *server = (struct postgres_server){.pid = -1};
}
