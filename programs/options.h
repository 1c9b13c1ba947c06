/* Settings of a command from a table: command line over environment over file over default. Every
 * value is checked when it is set, and remembers where it came from. One thread. */
#ifndef PROGRAMS_OPTIONS_H
#define PROGRAMS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "programs/failure.h"

enum option_kind {
    OPTION_FLAG,
    OPTION_TEXT,
    OPTION_LIST,   /* may be given several times */
    OPTION_CHOICE, /* one of `choices` */
    OPTION_WHOLE,
    OPTION_REAL,
};

/* In ascending strength. */
enum option_origin { ORIGIN_DEFAULT, ORIGIN_FILE, ORIGIN_ENVIRONMENT, ORIGIN_FLAG };

struct option_spec {
    const char *name; /* "base-url" is --base-url, and base_url in a file */
    enum option_kind kind;
    bool in_file;             /* may stand in the configuration file */
    bool is_path;             /* of a file or folder: in a file, relative to that file's folder */
    bool secret;              /* never shown */
    const char *value_name;   /* shown in the help; NULL for a flag */
    const char *environment;  /* variable that sets it; NULL = none */
    const char *default_text; /* NULL = none */
    double minimum;           /* of numbers, in the option's unit */
    double maximum;
    const char *choices; /* "one|two|three" */
    const char *help;
};

struct option_value {
    char **texts;
    size_t count;
    size_t capacity;
    enum option_origin origin;
    char *where; /* of the last text: "agent.yaml:3"; NULL where the origin says it all */
};

struct options {
    const struct option_spec *specs;
    size_t count;
    struct option_value *values;
    char **operands; /* borrowed from the argument vector */
    size_t operand_count;
    bool help; /* --help or -h was given */
};

/* Borrows the table. Sets the defaults. */
void options_init(struct options *o, const struct option_spec *specs, size_t count);
void options_deinit(struct options *o);

/* Reads what follows the command's name. argv is borrowed until deinit. */
bool options_read_arguments(struct options *o, int argc, char **argv, struct failure *f);
/* Reads the variables of the table. An empty variable counts as unset. */
bool options_read_environment(struct options *o, struct failure *f);
/* Sets one value, unless a stronger origin has set it before. `where` may be NULL. Copies. */
bool options_set(struct options *o, const char *name, const char *text, enum option_origin origin,
                 const char *where, struct failure *f);

/* Each asks for an option of the table; any other name is an internal error. */
const char *options_text(const struct options *o, const char *name); /* NULL when unset */
uint64_t options_whole(const struct options *o, const char *name);
double options_real(const struct options *o, const char *name);
bool options_flag(const struct options *o, const char *name);
const struct option_value *options_value(const struct options *o, const char *name);

const char *option_origin_name(enum option_origin origin);
/* One paragraph per option, aligned, with its variable and default. */
void options_print_help(const struct option_spec *specs, size_t count, FILE *out);

#endif
