/* marline-backend-mock: its commands. */
#include <signal.h>

#include "commands.h"
#include "programs/dispatch.h"

#define PROGRAM "marline-backend-mock"

static const struct command commands[] = {
    {"serve", command_serve, "a small, real backend for tests and traces, on one port"},
    {"run", command_run, "run a file of tests, print a table, and exit with the verdict: for CI"},
    {"help", NULL, "this text, or that of a command: marline-backend-mock help serve"},
    {"version", NULL, "print the version"},
};

static const struct program program = {
    .name = PROGRAM,
    .version = MARLINE_VERSION_TEXT,
    .introduction = "Takes test results and traces from agents and SDKs, ties each trace to its\n"
                    "result, and shows how.\n",
    .advice = "Try it:\n"
              "  marline-backend-mock serve    # prints base URL, project and key\n"
              "  marline-agent check           # in a second terminal, with what was printed\n"
              "  marline-backend-mock run tests.yaml --with-agent agent.yaml --junit report.xml\n"
              "\n"
              "Options and exit codes: marline-backend-mock help COMMAND\n",
    .missing = "the command is missing: 'serve' starts the backend",
    .commands = commands,
    .command_count = sizeof commands / sizeof commands[0],
};

enum exit_code command_fail(const char *command, const struct failure *f)
{
    return dispatch_fail(PROGRAM, command, f);
}

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that is gone shows as an error of its write */
    (void)signal(SIGXFSZ, SIG_IGN); /* so does a file that may not grow */
    return dispatch(&program, argc, argv);
}
