/* marline-bench size: the library on disk and a tracing program in memory. The program links the
 * shared library as a user's would; what it is compared with links libcurl and does nothing. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "bench_receiver.h"

enum { PATH_ROOM = 512, SPANS = 20000 };

/* A file of the build, named from the folder of this program. */
static void find(const char *name, char out[PATH_ROOM])
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_ROOM - 64);
    out[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(out, '/');
    (void)snprintf(slash ? slash + 1 : out, 64, "%s", name);
}

/* ---- on disk ---- */

static double stripped_kilobytes(const char *library)
{
    static const char copy[] = "bench-stripped.so";
    struct stat file = {0};
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        (void)execlp("strip", "strip", "-o", copy, library, NULL);
        perror("strip");
        _exit(127);
    }
    bench_check(waitpid(pid, &status, 0) == pid && status == 0 && stat(copy, &file) == 0,
                "the library can be stripped");
    (void)unlink(copy);
    return (double)file.st_size / 1024;
}

/* ---- in memory ---- */

/* Runs a program until it says that it is ready, by closing its stdout, and looks at it. */
static double program_kilobytes(const char *name, const char *argument)
{
    char path[PATH_ROOM];
    char byte;
    int ready[2];
    int status;
    find(name, path);
    bench_check(pipe(ready) == 0, "a pipe");
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(ready[1], STDOUT_FILENO);
        (void)close(ready[0]);
        (void)close(ready[1]);
        (void)execl(path, path, argument, NULL);
        perror(path);
        _exit(127);
    }
    (void)close(ready[1]);
    ssize_t n = read(ready[0], &byte, 1);
    double kilobytes = bench_anonymous_kilobytes(pid);
    bench_check(n == 1, "the program did its work");
    (void)close(ready[0]);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
    return kilobytes;
}

static double tracing_kilobytes(void)
{
    struct bench_receiver receiver;
    char endpoint[64];
    bench_receiver_start(&receiver);
    (void)snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%u/v1/traces", receiver.port);
    double kilobytes = program_kilobytes("bench-tracing", endpoint);
    bench_receiver_stop(&receiver);
    bench_check(receiver.received->spans == SPANS, "the tracing program traced");
    bench_receiver_free(&receiver);
    return kilobytes;
}

void bench_size(void)
{
    char library[PATH_ROOM];
    find("../lib/libmarline.so", library);
    double size = stripped_kilobytes(library);
    bench_report("library_stripped", size, "KB", 0, 250, size);
    double empty = program_kilobytes("bench-empty-curl", NULL);
    bench_check(empty > 0, "the memory of the empty program can be read");
    double tracing = tracing_kilobytes();
    bench_report("memory_empty_curl", empty, "KB", 0, -1, 0);
    bench_report("memory_tracing", tracing, "KB", 0, -1, 0);
    bench_report("memory_over_empty_curl", (tracing - empty) / 1024, "MB", tracing / empty, 4,
                 (tracing - empty) / 1024);
}
