/* A program of this project under test, as a child process. What it writes goes to a file. */
#ifndef TESTS_SUPPORT_PROGRAM_H
#define TESTS_SUPPORT_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct program {
    pid_t pid;      /* 0 when it was never started, or has been waited for */
    int descriptor; /* a pidfd */
    int status;     /* as of waitpid, once it has ended */
};

/* argv[0] is a path, or the name of a program of the build's bin folder. NAME=value lines in
 * `environment` (NULL at the end; may be NULL) come on top of this process's own. stdout and stderr
 * are appended to `log`. False when it cannot be started. */
bool program_start(struct program *p, const char *const *argv, const char *const *environment,
                   const char *log);
/* Waits until the file exists and is not empty; false when the time is up or the program ends. */
bool program_wait_for_file(struct program *p, const char *path, uint64_t timeout_ms);
/* Waits until the file holds the text; else as above. */
bool program_wait_for_text(struct program *p, const char *path, const char *text,
                           uint64_t timeout_ms);
/* Waits for the end; false when the time is up. */
bool program_wait(struct program *p, uint64_t timeout_ms);
void program_signal(const struct program *p, int signal_number);
/* Ends it with SIGTERM, or with SIGKILL when that takes longer than 10 s. Fits one that has ended.
 */
void program_stop(struct program *p);
/* The exit status; -1 for a death by signal, or when it still runs. */
int program_exit_status(const struct program *p);

/* Returns owned (free with marline__memory_free): the whole file, "" when there is none. */
char *program_read_file(const char *path);

#endif
