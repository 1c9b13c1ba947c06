/* marline-agent: picks the command. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <marline/status.h>

#include "agent/commands.h"
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
    {"run", command_run, "serve endpoints: plugins and programs"},
    {"check", command_check, "show that results and traces are linked, end to end"},
    {"config", command_config, "show the settings in effect: marline-agent config show --origin"},
    {"doctor", command_doctor, "find out why an agent does not work, and what to do about it"},
    {"dead-letters", command_dead_letters, "list, show, retry or drop what could not be done"},
    {"help", command_help, "this text, or that of a command: marline-agent help run"},
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
    (void)fputs("Usage: marline-agent COMMAND [OPTION]…\n"
                "\n"
                "Ties test results to the traces they caused: serves endpoints to a test platform\n"
                "over a WebSocket, and exports their spans over HTTP.\n"
                "\n"
                "Commands:\n",
                out);
    for (size_t i = 0; i < COUNT(commands); i++) {
        (void)fprintf(out, "  %-13s %s\n", commands[i].name, commands[i].summary);
    }
    (void)fputs("\n"
                "Try it:\n"
                "  marline-agent check             # brings a backend of its own\n"
                "\n"
                "Then against a backend that stays:\n"
                "  marline-backend-mock serve      # prints base URL, project and key to export\n"
                "  marline-agent run --exec 'answer=python3 answer.py'\n"
                "\n",
                out);
    command_print_exit_codes(out);
}

void command_print_exit_codes(FILE *out)
{
    (void)fputs("Exit codes:\n"
                "  0   done\n"
                "  1   check: a span is not linked as it should be\n"
                "  2   unknown command or option, or a value out of range\n"
                "  3   configuration, plugin or endpoint at fault\n"
                "  4   backend not reached, or not working now; a later try may succeed\n"
                "  5   key, project or certificate refused; a later try will fail as well\n"
                "  70  internal error, or out of memory\n",
                out);
}

enum exit_code command_fail(const char *command, const struct failure *f)
{
    console_error("%s", f->text);
    if (f->code == EXIT_CODE_USAGE) {
        (void)fprintf(stderr, "See: marline-agent %s --help\n", command);
    }
    return f->code;
}

static enum exit_code refuse_command(const char *name)
{
    const char *near = nearest_word(name, &commands[0].name, COUNT(commands), sizeof commands[0]);
    if (near) {
        console_error("unknown command '%s'; did you mean '%s'?", name, near);
    } else {
        console_error("unknown command '%s'; see: marline-agent help", name);
    }
    return EXIT_CODE_USAGE;
}

static enum exit_code command_help(int argc, char **argv)
{
    if (argc == 0 || argv[0][0] == '-') {
        print_help(stdout);
        return EXIT_CODE_OK;
    }
    const struct command *c = find_command(argv[0]);
    if (!c) {
        return refuse_command(argv[0]);
    }
    if (c->run == command_help || c->run == command_version) {
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
    (void)printf("marline-agent %s\n", marline_version());
    return EXIT_CODE_OK;
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
    open_standard_descriptors();
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that is gone shows as an error of its write */
    if (argc < 2) {
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
