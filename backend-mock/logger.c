/* See logger.h. */
#include "logger.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/time_text.h"

enum { LINE_SIZE = 640 }; /* the library cuts texts at 512 */

static enum log_level highest = LOG_INFO;

static void write_line(void *user, enum log_level level, const char *text)
{
    (void)user;
    if (level > highest) {
        return;
    }
    char time[TIME_TEXT_SIZE];
    char line[LINE_SIZE];
    marline__time_format(marline__clock_wall_ns(marline__clock_system()), time);
    int n =
        snprintf(line, sizeof(line), "%s %-5s %s\n", time, marline__log_level_name(level), text);
    if (n > 0) {
        size_t size = (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1;
        (void)!write(STDERR_FILENO, line, size); /* nobody to tell when stderr is gone */
    }
}

void logger_install(enum log_level level)
{
    highest = level;
    marline__log_install(write_line, NULL);
}
