/* marline-races: finds, replays and counts the orders in which a link is lost.
 *
 * Exit codes: 0 as expected · 1 a number or an outcome differs from what was measured · 2 misuse ·
 * 3 the store is not installed · 4 the store failed. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "explore.h"
#include "postgres_server.h"
#include "print.h"
#include "report.h"
#include "simulate.h"

enum exit_code {
    EXIT_AS_EXPECTED = 0,
    EXIT_DIFFERENT = 1,
    EXIT_MISUSE = 2,
    EXIT_STORE_MISSING = 3,
    EXIT_STORE_FAILED = 4,
};

enum {
    SEED_SHIFT = 24, /* a new seed is short enough to be typed */
    RUNS_DEFAULT = 2000,
    ADDRESS_SIZE = 192,
    START_TRIES_MAX = 600,
    START_POLL_MS = 50,
    DESIGN_MAX = 64,
    SHRINK_SWITCHES_MAX = 12,
    SHRINK_SWITCHES_MANY = 4
};

struct options {
    const struct design *design; /* NULL: all */
    enum store_kind store;
    const char *journal;
    const char *programs; /* of PostgreSQL; NULL: search */
    const char *schedule;
    struct explore_options explore;
    bool json;
    bool shrink;
    uint64_t runs;
    bool log;
    bool mutants;
    enum mutant mutant;
    const struct faults *faults;
};

static const char usage[] =
    "usage: marline-races COMMAND [OPTION]...\n"
    "\n"
    "  list                     the designs: what each does, and why it holds or loses\n"
    "  explore                  plays every interleaving of each design and counts the lost links\n"
    "      --design ID          this design only\n"
    "      --json               one JSON object instead of the table\n"
    "      --seed N             of the sample, where a design has too many schedules (default 1)\n"
    "      --all                no samples: every schedule, however long it takes\n"
    "  replay --design ID       plays one schedule, step by step\n"
    "      --schedule LETTERS   for example RRRSSSSRS: one letter a step, R result side, S span "
    "side\n"
    "      --shrink             finds the losing schedule with the fewest changes of turn\n"
    "  simulate                 agents and backend in a virtual world, from seeds\n"
    "      --seed N             the first seed (default 1), or new: a random one\n"
    "      --runs N             how many, a seed each (default 1; 2000 without --seed)\n"
    "      --faults NAME        mix (default: a mixture of each seed's own) or none\n"
    "      --log                every event\n"
    "      --mutant NAME        with this deliberate bug\n"
    "      --mutants            each deliberate bug in turn, until it is found\n"
    "  help\n"
    "\n"
    "  These also take\n"
    "      --store NAME         model (default; simulate calls it memory), sqlite, postgres (a\n"
    "                           private server; needs Debian's package postgresql)\n"
    "      --journal MODE       of sqlite: wal (default) or delete\n"
    "      --programs FOLDER    of postgres: where initdb and postgres are\n"
    "                           (default: the newest under /usr/lib/postgresql)\n"
    "\n"
    "exit: 0 as measured · 1 different · 2 misuse · 3 store not installed · 4 store failed\n";

__attribute__((format(printf, 1, 2))) static int misuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fputs("marline-races: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputs("\nTry 'marline-races help'.\n", stderr);
    va_end(arguments);
    return EXIT_MISUSE;
}

static int choose_design(struct options *options, const char *id)
{
    options->design = design_find(id);
    if (options->design)
        return 0;
    (void)fprintf(stderr, "marline-races: no design \"%s\"; the nearest is \"%s\"\n", id,
                  design_nearest(id));
    return EXIT_MISUSE;
}

static int choose_store(struct options *options, const char *name)
{
    static const struct {
        const char *name;
        enum store_kind kind;
    } stores[] = {{"model", STORE_MODEL},
                  {"memory", STORE_MODEL}, /* as the reports of simulate call it */
                  {"sqlite", STORE_SQLITE},
                  {"postgres", STORE_POSTGRES}};
    for (size_t i = 0; i < sizeof stores / sizeof stores[0]; i++) {
        if (strcmp(name, stores[i].name) == 0) {
            options->store = stores[i].kind;
            return 0;
        }
    }
    return misuse("no store \"%s\"; there are model, sqlite and postgres", name);
}

static int choose_journal(struct options *options, const char *mode)
{
    if (strcmp(mode, "wal") != 0 && strcmp(mode, "delete") != 0)
        return misuse("no journal mode \"%s\"; there are wal and delete", mode);
    options->journal = mode;
    return 0;
}

static int choose_seed(struct options *options, const char *text)
{
    char *end = NULL;
    errno = 0;
    unsigned long long seed = strtoull(text, &end, 10);
    options->runs = options->runs ? options->runs : 1;
    if (strcmp(text, "new") == 0) {
        options->explore.seed = marline__random_u64(marline__random_system()) >> SEED_SHIFT;
        return 0;
    }
    if (errno || end == text || *end || text[0] == '-')
        return misuse("seed \"%s\" is not a number from 0 to 18446744073709551615, nor \"new\"",
                      text);
    options->explore.seed = seed;
    return 0;
}

static int choose_runs(struct options *options, const char *text)
{
    char *end = NULL;
    errno = 0;
    unsigned long long runs = strtoull(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || runs == 0)
        return misuse("runs \"%s\" is not a number from 1", text);
    options->runs = runs;
    return 0;
}

static int choose_faults(struct options *options, const char *name)
{
    if (!simulate_faults_known(name, &options->faults))
        return misuse("no faults \"%s\"; there are mix and none", name);
    return 0;
}

static int choose_mutant(struct options *options, const char *name)
{
    if (!simulate_mutant_known(name, &options->mutant))
        return misuse("no mutant \"%s\"; --mutants lists them", name);
    return 0;
}

static int choose(struct options *options, int option)
{
    switch (option) {
    case 'r':
        return choose_runs(options, optarg);
    case 'f':
        return choose_faults(options, optarg);
    case 'm':
        return choose_mutant(options, optarg);
    case 'M':
        options->mutants = true;
        return 0;
    case 'l':
        options->log = true;
        return 0;
    case 'd':
        return choose_design(options, optarg);
    case 's':
        return choose_store(options, optarg);
    case 'o':
        return choose_journal(options, optarg);
    case 'p':
        options->programs = optarg;
        return 0;
    case 'c':
        options->schedule = optarg;
        return 0;
    case 'n':
        return choose_seed(options, optarg);
    case 'j':
        options->json = true;
        return 0;
    case 'a':
        options->explore.all = true;
        return 0;
    case 'k':
        options->shrink = true;
        return 0;
    default: /* getopt has said what is wrong */
        (void)fputs("Try 'marline-races help'.\n", stderr);
        return EXIT_MISUSE;
    }
}

static int read_options(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {{"design", required_argument, NULL, 'd'},
                                          {"store", required_argument, NULL, 's'},
                                          {"journal", required_argument, NULL, 'o'},
                                          {"schedule", required_argument, NULL, 'c'},
                                          {"seed", required_argument, NULL, 'n'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"programs", required_argument, NULL, 'p'},
                                          {"shrink", no_argument, NULL, 'k'},
                                          {"all", no_argument, NULL, 'a'},
                                          {"runs", required_argument, NULL, 'r'},
                                          {"faults", required_argument, NULL, 'f'},
                                          {"mutant", required_argument, NULL, 'm'},
                                          {"mutants", no_argument, NULL, 'M'},
                                          {"log", no_argument, NULL, 'l'},
                                          {NULL, 0, NULL, 0}};
    int option = 0;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        int failed = choose(options, option);
        if (failed)
            return failed;
    }
    return optind < argc ? misuse("what is \"%s\" for?", argv[optind]) : 0;
}

static int open_store(const struct options *options, struct race_store **out_store)
{
    char why[512] = "out of memory";
    enum store_open opened = STORE_OPEN_FAILED;
    switch (options->store) {
    case STORE_MODEL:
        opened = store_model_open(false, out_store);
        break;
    case STORE_SQLITE:
        opened = store_sqlite_open(options->journal, out_store, why, sizeof why);
        break;
    case STORE_POSTGRES:
        opened = store_postgres_open(options->programs, out_store, why, sizeof why);
        break;
    }
    if (opened == STORE_OPEN_OK)
        return EXIT_AS_EXPECTED;
    (void)fprintf(stderr, "marline-races: %s\n", why);
    return opened == STORE_OPEN_MISSING ? EXIT_STORE_MISSING : EXIT_STORE_FAILED;
}

/* ---- explore ---- */

static size_t designs_to_explore(const struct options *options, const struct design **out)
{
    size_t count = 0;
    for (const struct design *d = designs; d->id && count < DESIGN_MAX; d++) {
        if ((!options->design || options->design == d) && (d->stores & options->store))
            out[count++] = d;
    }
    return count;
}

static int explore_all(const struct options *options, struct race_store *store,
                       struct race_store *predictor)
{
    const struct design *explored[DESIGN_MAX];
    static struct tally tallies[DESIGN_MAX];
    size_t count = designs_to_explore(options, explored);
    bool golden = true;
    if (!options->json)
        report_table_head(stdout, store);
    for (size_t i = 0; i < count; i++) {
        explore_design(store, predictor, explored[i], &options->explore, &tallies[i]);
        if (tallies[i].store_failed) {
            (void)fflush(stdout);
            (void)fprintf(stderr, "marline-races: %s failed in design %s: %s\n", store->describe,
                          explored[i]->id, store->failure);
            return EXIT_STORE_FAILED;
        }
        golden &= explore_is_golden(explored[i], store->kind, &tallies[i]);
        if (!options->json)
            report_table_row(stdout, explored[i], store->kind, &tallies[i]);
    }
    if (options->json) {
        struct buffer json = BUFFER_INIT;
        report_json(&json, explored, tallies, count, store);
        (void)fprintf(stdout, "%.*s\n", (int)json.size, json.data);
        marline__buffer_deinit(&json);
    }
    return golden ? EXIT_AS_EXPECTED : EXIT_DIFFERENT;
}

static int command_explore(const struct options *options)
{
    if (options->design && !(options->design->stores & options->store))
        return misuse("design %s cannot run on this store", options->design->id);
    struct race_store *store = NULL, *predictor = NULL;
    int code = open_store(options, &store);
    if (code != EXIT_AS_EXPECTED)
        return code;
    if (options->store == STORE_MODEL ||
        store_model_open(options->store == STORE_SQLITE, &predictor) == STORE_OPEN_OK)
        code = explore_all(options, store, predictor);
    else
        code = EXIT_STORE_FAILED;
    race_store_close(predictor);
    race_store_close(store);
    return code;
}

/* ---- replay ---- */

static int shrink(const struct options *options, struct race_store *model,
                  char out_schedule[SCHEDULE_SIZE])
{
    const struct design *d = options->design;
    bool many = schedule_count(d) > EXPLORE_ALL_MAX;
    int switches = many ? SHRINK_SWITCHES_MANY : SHRINK_SWITCHES_MAX;
    if (explore_shrink(model, d, switches, out_schedule))
        return EXIT_AS_EXPECTED;
    if (many)
        (void)printf("design %s: no schedule with up to %d changes of turn loses a link\n", d->id,
                     switches);
    else
        (void)printf("design %s: no schedule loses a link\n", d->id);
    return EXIT_DIFFERENT;
}

static int play_and_report(const struct options *options, struct race_store *store,
                           struct race_store *model, const char *schedule)
{
    static struct play play;
    const struct design *d = options->design;
    if (!play_schedule(store, d, schedule, &play)) {
        (void)fprintf(stderr, "marline-races: %s failed: %s\n", store->describe, store->failure);
        return EXIT_STORE_FAILED;
    }
    bool small = schedule_count(d) <= EXPLORE_ALL_MAX;
    int decided = small ? explore_point_of_no_return(model, d, schedule) : 0;
    report_play(stdout, d, store, schedule, &play, decided);
    return EXIT_AS_EXPECTED;
}

static int replay(const struct options *options, struct race_store *store, struct race_store *model)
{
    char shrunk[SCHEDULE_SIZE];
    const char *schedule = options->schedule;
    if (options->shrink) {
        if (shrink(options, model, shrunk) != EXIT_AS_EXPECTED)
            return EXIT_AS_EXPECTED;
        schedule = shrunk;
    }
    return play_and_report(options, store, model, schedule);
}

static int command_replay(const struct options *options)
{
    char why[256];
    const struct design *d = options->design;
    if (!d)
        return misuse("replay needs --design");
    if (!(d->stores & options->store))
        return misuse("design %s cannot run on this store", d->id);
    if (!options->schedule && !options->shrink)
        return misuse("replay needs --schedule, or --shrink to find one");
    if (options->schedule && !schedule_check(d, options->schedule, why, sizeof why))
        return misuse("%s", why);
    struct race_store *store = NULL, *model = NULL;
    int code = open_store(options, &store);
    if (code != EXIT_AS_EXPECTED)
        return code;
    if (store_model_open(options->store == STORE_SQLITE, &model) == STORE_OPEN_OK)
        code = replay(options, store, model);
    else
        code = EXIT_STORE_FAILED;
    race_store_close(model);
    race_store_close(store);
    return code;
}

/* ---- simulate ---- */

/* A private server, when it answers: its address for the store of production. */
static int start_postgres(const struct options *options, struct postgres_server *server,
                          char location[ADDRESS_SIZE])
{
    char why[512] = "";
    struct store_error error = {STORE_OK, ""};
    enum postgres_start started = postgres_server_start(server, options->programs, why, sizeof why);
    if (started != POSTGRES_STARTED) {
        (void)fprintf(stderr, "marline-races: %s\n", why);
        return started == POSTGRES_MISSING ? EXIT_STORE_MISSING : EXIT_STORE_FAILED;
    }
    postgres_server_url(server, location, ADDRESS_SIZE);
    for (int tries = 0; tries < START_TRIES_MAX && postgres_server_lives(server); tries++) {
        struct store *store = store_open(location, &error);
        store_close(store);
        if (store)
            return EXIT_AS_EXPECTED;
        (void)poll(NULL, 0, START_POLL_MS);
    }
    (void)fprintf(stderr, "marline-races: PostgreSQL: %s\n", error.text);
    return EXIT_STORE_FAILED;
}

static int simulate(const struct options *options, const char *location)
{
    const struct simulate_options simulate = {
        .seed = options->explore.seed,
        .runs = options->runs ? options->runs : RUNS_DEFAULT,
        .location = location,
        .store_name = options->store == STORE_POSTGRES ? "postgres"
                      : options->store == STORE_SQLITE || mutant_is_of_store(options->mutant)
                          ? "sqlite"
                          : "memory",
        .mutant = options->mutant,
        .faults = options->faults,
        .log = options->log ? stdout : NULL,
        .progress = isatty(STDERR_FILENO) && !options->log ? stderr : NULL};
    struct simulate_tally tally;
    uint64_t start_ns = marline__clock_monotonic_ns(marline__clock_system());
    simulate_runs(&simulate, &tally);
    uint64_t elapsed_ns = marline__clock_monotonic_ns(marline__clock_system()) - start_ns;
    if (tally.store_failed) {
        (void)fprintf(stderr, "marline-races: %s\n", tally.violation);
        return EXIT_STORE_FAILED;
    }
    if (!options->log)
        simulate_report(stdout, &simulate, &tally, elapsed_ns / NS_PER_MS);
    bool covered = tally.runs < SIMULATE_COVERED_RUNS || simulate_unvisited(&tally) == 0;
    return tally.violated || (!options->faults && !covered) ? EXIT_DIFFERENT : EXIT_AS_EXPECTED;
}

static int simulate_on_postgres(const struct options *options)
{
    char location[ADDRESS_SIZE];
    struct postgres_server server;
    int code = start_postgres(options, &server, location);
    if (code == EXIT_AS_EXPECTED)
        code = simulate(options, location);
    postgres_server_stop(&server);
    return code;
}

static int command_simulate(const struct options *options)
{
    if (options->mutants)
        return simulate_mutants(stdout, options->explore.seed) ? EXIT_AS_EXPECTED : EXIT_DIFFERENT;
    if (mutant_is_of_store(options->mutant) && options->store == STORE_POSTGRES)
        return misuse("%s is an edit of the statements for SQLite", mutant_id(options->mutant));
    if (options->store == STORE_POSTGRES)
        return simulate_on_postgres(options);
    return simulate(options, options->store == STORE_SQLITE ? "sqlite::memory:" : NULL);
}

/* Wherever it stands, so that `marline-races replay --help` helps too. */
static bool is_help_wanted(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    }
    return argc > 1 && strcmp(argv[1], "help") == 0;
}

int main(int argc, char **argv)
{
    static char name[] = "marline-races";
    struct options options = {.store = STORE_MODEL, .journal = "wal", .explore = {.seed = 1}};
    const char *command = argc > 1 ? argv[1] : "";
    print_choose_colours(stdout);
    if (is_help_wanted(argc, argv)) {
        (void)fputs(usage, stdout);
        return EXIT_AS_EXPECTED;
    }
    if (argc > 1)
        argv[1] = name; /* getopt names the program by it */
    int failed = argc > 1 ? read_options(argc - 1, argv + 1, &options) : 0;
    if (failed)
        return failed;
    if (strcmp(command, "list") == 0) {
        report_list(stdout);
        return EXIT_AS_EXPECTED;
    }
    if (strcmp(command, "explore") == 0)
        return command_explore(&options);
    if (strcmp(command, "replay") == 0)
        return command_replay(&options);
    if (strcmp(command, "simulate") == 0)
        return command_simulate(&options);
    return *command ? misuse("no command \"%s\"", command) : misuse("a command is needed");
}
