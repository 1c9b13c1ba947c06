/* A child process with three pipes, in a process group of its own: what process.h and
 * long_lived_process.h have in common. One thread at a time. */
#ifndef AGENT_CHILD_H
#define AGENT_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "agent/process.h"
#include "base/buffer.h"

struct child {
    pid_t pid; /* 0 when there is none */
    int input; /* non-blocking ends of its stdin, stdout and stderr; each -1 once closed */
    int output;
    int errors;
    int process; /* a pidfd: readable when the process has ended */
};

/* Returns 0, or an errno: with pid 0 it was not started; else it runs but cannot be watched. */
int child_start(struct child *c, char *const *argv, char *const *environment, const char *folder);
/* To the whole group. Not after child_reap: the id may be somebody else's then. */
void child_signal(const struct child *c, int signal_number);
/* Waits for the end, says how it came in out->end and out->detail, and closes everything. */
void child_reap(struct child *c, struct process_outcome *out);

void child_close_end(int *fd);
/* Returns false when the pipe has nothing more, ever. */
bool child_read(int fd, char *data, size_t capacity, size_t *out_size);

/* Cuts a stream into lines; keeps the last one that is not empty. */
struct line_splitter {
    void (*on_line)(void *user, const char *line); /* may be NULL */
    void *user;
    struct buffer line;
    char last_line[PROCESS_LAST_LINE_SIZE];
};

void line_splitter_init(struct line_splitter *s, void (*on_line)(void *user, const char *line),
                        void *user);
void line_splitter_deinit(struct line_splitter *s);
void line_splitter_take(struct line_splitter *s, const char *data, size_t size);
/* The last line may lack its newline. */
void line_splitter_finish(struct line_splitter *s);

#endif
