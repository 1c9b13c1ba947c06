/* marline-backend-mock: picks the command. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "programs/console.h"
#include "programs/nearest.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct command {
    const char *name;
    enum exit_code (*run)(int argc, char **argv);
    const char *summary;
};

static enum exit_code command_help(int argc, char **argv);
static enum exit_code command_version(int argc, char **argv);

static const struct command commands[] = {
    {"serve", command_serve, "a small, real backend for tests and traces, on one port"},
    {"run", command_run, "run a file of tests, print a table, and exit with the verdict: for CI"},
    {"help", command_help, "this text, or that of a command: marline-backend-mock help serve"},
    {"version", command_version, "print the version"},
};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COUNT(commands); i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static void print_help(FILE *out)
{
    (void)fputs("Usage: marline-backend-mock COMMAND [OPTION]…\n"
                "\n"
                "Takes test results and traces from agents and SDKs, ties each trace to its\n"
                "result, and shows how.\n"
                "\n"
                "Commands:\n",
                out);
    for (size_t i = 0; i < COUNT(commands); i++) {
        (void)fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
    }
    (void)fputs("\nTry it:\n"
                "  marline-backend-mock serve    # prints base URL, project and key\n"
                "  marline-agent check           # in a second terminal, with what was printed\n"
                "  marline-backend-mock run tests.yaml --with-agent agent.yaml --junit report.xml\n"
                "\n"
                "Options and exit codes: marline-backend-mock help COMMAND\n",
                out);
}

enum exit_code command_fail(const char *command, const struct failure *f)
{
    console_error("%s", f->text);
    if (f->code == EXIT_CODE_USAGE) {
        (void)fprintf(stderr, "See: marline-backend-mock %s --help\n", command);
    }
    return f->code;
}

static enum exit_code refuse_command(const char *name)
{
    const char *near = nearest_word(name, &commands[0].name, COUNT(commands), sizeof commands[0]);
    if (near) {
        console_error("unknown command '%s'; did you mean '%s'?", name, near);
    } else {
        console_error("unknown command '%s'; see: marline-backend-mock help", name);
    }
    return EXIT_CODE_USAGE;
}

static enum exit_code command_help(int argc, char **argv)
{
    const struct command *c = argc > 0 ? find_command(argv[0]) : NULL;
    if (argc > 0 && argv[0][0] != '-' && !c) {
        return refuse_command(argv[0]);
    }
    if (!c || c->run == command_help || c->run == command_version) {
        print_help(stdout);
        return EXIT_CODE_OK;
    }
    char option[] = "--help";
    char *arguments[] = {option, NULL};
    return c->run(1, arguments);
}

static enum exit_code command_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    (void)puts("marline-backend-mock " MARLINE_VERSION_TEXT);
    return EXIT_CODE_OK;
}

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that is gone shows as an error of its write */
    (void)signal(SIGXFSZ, SIG_IGN); /* so does a file that may not grow */
    if (argc < 2) {
        console_error("the command is missing: 'serve' starts the backend");
        print_help(stderr);
        return EXIT_CODE_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        name = "help";
    } else if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        name = "version";
    }
    const struct command *c = find_command(name);
    return c ? (int)c->run(argc - 2, argv + 2) : (int)refuse_command(name);
}
