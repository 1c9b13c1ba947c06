/* The endpoint of test_nothing_lost: writes the id of each invocation to a file, as a handler that
 * changes the world would, then waits at the step "running" and answers.
 *     step-handler SOCKET FILE once|lines */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/step_server.h"

static void act(const char *socket, const char *file, const char *id)
{
    char line[256];
    int size = snprintf(line, sizeof line, "%s\n", id);
    int f = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (f < 0 || write(f, line, (size_t)size) != size) {
        exit(1);
    }
    (void)close(f);
    step_reach(socket, "running");
}

/* The value of "id", the first member of a line. */
static void read_id(const char *line, char id[128])
{
    const char *start = strstr(line, "\"id\":\"");
    id[0] = '\0';
    if (start) {
        start += strlen("\"id\":\"");
        (void)snprintf(id, 128, "%.*s", (int)strcspn(start, "\""), start);
    }
}

static void serve_lines(const char *socket, const char *file)
{
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, stdin) > 0) {
        char id[128];
        read_id(line, id);
        act(socket, file, id);
        (void)printf("{\"id\":\"%s\",\"output\":{\"output\":\"done\"}}\n", id);
        (void)fflush(stdout);
    }
    free(line);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        return 2;
    }
    if (strcmp(argv[3], "lines") == 0) {
        serve_lines(argv[1], argv[2]);
        return 0;
    }
    const char *id = getenv("RHESIS_INVOCATION_ID");
    act(argv[1], argv[2], id ? id : "none");
    (void)puts("{\"output\":\"done\"}");
    return 0;
}
