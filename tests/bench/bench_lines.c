/* A long-lived program as the agent's exec endpoints have it, which does nothing: for each line,
 * the shortest answer with the line's id. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    static const char start[] = "{\"id\":\"";
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, stdin) > 0) {
        const char *id = strncmp(line, start, strlen(start)) == 0 ? line + strlen(start) : "";
        (void)printf("{\"id\":\"%.*s\",\"output\":{\"output\":\"\"}}\n", (int)strcspn(id, "\""),
                     id);
        (void)fflush(stdout);
    }
    free(line);
    return 0;
}
