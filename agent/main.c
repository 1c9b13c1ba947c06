/* marline-agent: its commands. */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <marline/status.h>

#include "agent/commands.h"
#include "programs/dispatch.h"

#define PROGRAM "marline-agent"
#define EXIT_CODES                                                                                 \
    "Exit codes:\n"                                                                                \
    "  0   done\n"                                                                                 \
    "  1   check: a span is not linked as it should be\n"                                          \
    "  2   unknown command or option, or a value out of range\n"                                   \
    "  3   configuration, plugin or endpoint at fault\n"                                           \
    "  4   backend not reached, or not working now; a later try may succeed\n"                     \
    "  5   key, project or certificate refused; a later try will fail as well\n"                   \
    "  70  internal error, or out of memory\n"

static const struct command commands[] = {
    {"run", command_run, "serve endpoints: plugins and programs"},
    {"check", command_check, "show that results and traces are linked, end to end"},
    {"config", command_config, "show the settings in effect: marline-agent config show --origin"},
    {"doctor", command_doctor, "find out why an agent does not work, and what to do about it"},
    {"dead-letters", command_dead_letters, "list, show, retry or drop what could not be done"},
    {"help", NULL, "this text, or that of a command: marline-agent help run"},
    {"version", NULL, "print the version"},
};

void command_print_exit_codes(FILE *out)
{
    (void)fputs(EXIT_CODES, out);
}

enum exit_code command_fail(const char *command, const struct failure *f)
{
    return dispatch_fail(PROGRAM, command, f);
}

/* A program started without its three standard descriptors would give their numbers to sockets. */
static void open_standard_descriptors(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) {
        (void)close(fd);
    }
}

int main(int argc, char **argv)
{
    const struct program program = {
        .name = PROGRAM,
        .version = marline_version(),
        .introduction =
            "Ties test results to the traces they caused: serves endpoints to a test platform\n"
            "over a WebSocket, and exports their spans over HTTP.\n",
        .advice = "Try it:\n"
                  "  marline-agent check             # brings a backend of its own\n"
                  "\n"
                  "Then against a backend that stays:\n"
                  "  marline-backend-mock serve      # prints base URL, project and key to export\n"
                  "  marline-agent run --exec 'answer=python3 answer.py'\n"
                  "\n" EXIT_CODES,
        .commands = commands,
        .command_count = sizeof commands / sizeof commands[0],
    };
    open_standard_descriptors();
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that is gone shows as an error of its write */
    return dispatch(&program, argc, argv);
}
