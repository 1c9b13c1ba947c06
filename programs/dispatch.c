/* A table of commands; see dispatch.h. */
#include "programs/dispatch.h"

#include <stdbool.h>
#include <string.h>

#include "programs/console.h"
#include "programs/nearest.h"

static const struct command *find_command(const struct program *p, const char *name)
{
    for (size_t i = 0; i < p->command_count; i++) {
        if (strcmp(p->commands[i].name, name) == 0) {
            return &p->commands[i];
        }
    }
    return NULL;
}

static void print_help(const struct program *p, FILE *out)
{
    size_t longest = 0;
    for (size_t i = 0; i < p->command_count; i++) {
        size_t size = strlen(p->commands[i].name);
        longest = size > longest ? size : longest;
    }
    (void)fprintf(out, "Usage: %s COMMAND [OPTION]…\n\n%s\nCommands:\n", p->name, p->introduction);
    for (size_t i = 0; i < p->command_count; i++) {
        (void)fprintf(out, "  %-*s %s\n", (int)longest + 1, p->commands[i].name,
                      p->commands[i].summary);
    }
    (void)fprintf(out, "\n%s", p->advice);
}

static enum exit_code refuse_command(const struct program *p, const char *name)
{
    const char *near =
        nearest_word(name, &p->commands[0].name, p->command_count, sizeof p->commands[0]);
    if (near) {
        console_error("unknown command '%s'; did you mean '%s'?", name, near);
    } else {
        console_error("unknown command '%s'; see: %s help", name, p->name);
    }
    return EXIT_CODE_USAGE;
}

/* `word` is what follows `help`; NULL = nothing does. */
static enum exit_code explain(const struct program *p, const char *word)
{
    bool is_name = word && word[0] != '-';
    const struct command *c = is_name ? find_command(p, word) : NULL;
    if (is_name && !c) {
        return refuse_command(p, word);
    }
    if (!c || !c->run) {
        print_help(p, stdout);
        return EXIT_CODE_OK;
    }
    char option[] = "--help";
    char *arguments[] = {option, NULL};
    return c->run(1, arguments);
}

static enum exit_code run(const struct program *p, const char *name, int argc, char **argv)
{
    const struct command *c = find_command(p, name);
    if (!c) {
        return refuse_command(p, name);
    }
    if (c->run) {
        return c->run(argc, argv);
    }
    if (strcmp(name, "help") == 0) {
        return explain(p, argc > 0 ? argv[0] : NULL);
    }
    (void)printf("%s %s\n", p->name, p->version);
    return EXIT_CODE_OK;
}

int dispatch(const struct program *p, int argc, char **argv)
{
    if (argc < 2) {
        if (p->missing) {
            console_error("%s", p->missing);
        }
        print_help(p, stderr);
        return EXIT_CODE_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        name = "help";
    } else if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        name = "version";
    }
    return (int)run(p, name, argc - 2, argv + 2);
}

enum exit_code dispatch_fail(const char *program, const char *command, const struct failure *f)
{
    console_error("%s", f->text);
    if (f->code == EXIT_CODE_USAGE) {
        (void)fprintf(stderr, "See: %s %s --help\n", program, command);
    }
    return f->code;
}
