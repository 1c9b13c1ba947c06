/* See simulate.h. */
#include "simulate.h"

#include <string.h>

#include "postgres_server.h"
#include "print.h"
#include "simulation/edited_store.h"
#include "simulation/memory_store.h"

enum {
    COLUMN_MUTANT = 28,
    COLUMN_PLACE = 20,
    COLUMN_SEED = 8,
    COLUMN_FACT = 12,
    COLUMN_SITUATION = 66
};

/* A database grows with each run, and every sweep scans what waits: open it anew after so many (a
 * database in memory is then a new one). */
enum { RUNS_PER_STORE = 25 };

enum { PROGRESS_RUNS = 50 };

static bool is_on_memory_store(const struct simulate_options *options)
{
    return !options->location && !mutant_is_of_store(options->mutant);
}

static struct store *open_store(const struct simulate_options *options, struct store_error *error)
{
    if (mutant_is_of_store(options->mutant)) {
        return edited_store_open(options->mutant, error);
    }
    return options->location ? store_open(options->location, error) : memory_store_open();
}

static void add(struct simulate_tally *t, const struct simulation_outcome *run)
{
    t->runs++;
    t->steps += run->steps;
    t->virtual_ms += run->virtual_ms;
    for (int i = 0; i < SITUATION_COUNT; i++) {
        t->visits[i] += run->visited >> i & 1;
    }
}

static void note_violation(struct simulate_tally *t, uint64_t seed, const char *text)
{
    t->violated = true;
    t->violating_seed = seed;
    (void)snprintf(t->violation, sizeof t->violation, "%s", text);
}

/* False: the run was violated. */
static bool run_seed(const struct simulate_options *options, uint64_t seed, struct store *store,
                     struct simulate_tally *t)
{
    const struct simulation_options run = {
        .seed = seed, .mutant = options->mutant, .faults = options->faults, .log = options->log};
    struct simulation_outcome outcome;
    if (is_on_memory_store(options)) {
        memory_store_clear(store);
    }
    simulation_run(&run, store, &outcome);
    add(t, &outcome);
    t->store_failed = outcome.store_died;
    if (outcome.store_died) {
        (void)snprintf(t->violation, sizeof t->violation, "seed %llu: %.480s",
                       (unsigned long long)seed, outcome.violation);
    } else if (outcome.violation[0]) {
        note_violation(t, seed, outcome.violation);
    }
    return !t->violated && !t->store_failed;
}

static void print_progress(const struct simulate_options *options, const struct simulate_tally *t)
{
    if (options->progress && (t->runs % PROGRESS_RUNS == 0 || t->runs == options->runs)) {
        bool last = t->runs == options->runs;
        (void)fprintf(options->progress, last ? "\r\033[K" : "\r  %llu of %llu runs",
                      (unsigned long long)t->runs, (unsigned long long)options->runs);
        (void)fflush(options->progress);
    }
}

static bool run_some(const struct simulate_options *options, uint64_t from, uint64_t count,
                     struct simulate_tally *t)
{
    struct store_error error = {STORE_OK, ""};
    struct store *store = open_store(options, &error);
    if (!store) {
        t->store_failed = true;
        (void)snprintf(t->violation, sizeof t->violation, "%s", error.text);
        return false;
    }
    bool good = true;
    for (uint64_t i = 0; i < count && good; i++) {
        if (postgres_server_is_interrupted()) {
            t->store_failed = true;
            (void)snprintf(t->violation, sizeof t->violation, "interrupted");
            break;
        }
        good = run_seed(options, options->seed + from + i, store, t);
        print_progress(options, t);
    }
    store_close(store);
    return good && !t->store_failed;
}

void simulate_runs(const struct simulate_options *options, struct simulate_tally *out)
{
    uint64_t most = is_on_memory_store(options) ? options->runs : RUNS_PER_STORE;
    uint64_t from = 0;
    *out = (struct simulate_tally){0};
    while (from < options->runs) {
        uint64_t count = options->runs - from < most ? options->runs - from : most;
        if (!run_some(options, from, count, out)) {
            return;
        }
        from += count;
    }
}

int simulate_unvisited(const struct simulate_tally *t)
{
    int count = 0;
    for (int i = 0; i < SITUATION_COUNT; i++) {
        count += t->visits[i] == 0;
    }
    return count;
}

bool simulate_faults_known(const char *name, const struct faults **out_faults)
{
    static const struct faults none = {.network_ms_max = 10};
    *out_faults = strcmp(name, "none") == 0 ? &none : NULL;
    return *out_faults || strcmp(name, "mix") == 0;
}

bool simulate_mutant_known(const char *name, enum mutant *out_mutant)
{
    for (int m = MUTANT_NONE; m < MUTANT_COUNT; m++) {
        if (strcmp(name, mutant_id((enum mutant)m)) == 0) {
            *out_mutant = (enum mutant)m;
            return true;
        }
    }
    return false;
}

/* ---- reports ---- */

static void print_fact(FILE *out, const char *name, const char *text)
{
    (void)fputs("  ", out);
    print_padded(out, COLOUR_DIM, name, COLUMN_FACT);
    (void)fprintf(out, "%s\n", text);
}

static void print_counts(FILE *out, const struct simulate_options *options,
                         const struct simulate_tally *t, uint64_t elapsed_ms)
{
    char text[160];
    uint64_t ms = elapsed_ms ? elapsed_ms : 1;
    unsigned long long last = options->seed + t->runs - (t->runs > 0);
    if (t->runs == 1) {
        (void)snprintf(text, sizeof text, "1, seed %llu, on the %s store", last,
                       options->store_name);
    } else {
        (void)snprintf(text, sizeof text, "%llu, seeds %llu to %llu, on the %s store",
                       (unsigned long long)t->runs, (unsigned long long)options->seed, last,
                       options->store_name);
    }
    print_fact(out, "runs", text);
    (void)snprintf(text, sizeof text, "%llu, after each commit all invariants were checked",
                   (unsigned long long)t->steps);
    print_fact(out, "steps", text);
    if (t->runs == 1) {
        (void)snprintf(text, sizeof text, "%.0f s of virtual time", (double)t->virtual_ms / 1e3);
    } else {
        (void)snprintf(text, sizeof text, "%.1f hours in %.1f s, %.0f runs a second",
                       (double)t->virtual_ms / 3.6e6, (double)ms / 1e3,
                       (double)t->runs * 1e3 / (double)ms);
    }
    print_fact(out, "time", text);
}

/* Few runs need not have met all: what is missing is then no news. */
static void print_situations(FILE *out, const struct simulate_options *options,
                             const struct simulate_tally *t)
{
    char text[64];
    bool few = t->violated || options->faults || t->runs < SIMULATE_COVERED_RUNS;
    (void)fputs("\n  ", out);
    print_padded(out, COLOUR_DIM, "situation", COLUMN_SITUATION);
    print_text(out, COLOUR_DIM, "      runs");
    (void)fputs("\n  ", out);
    print_rule(out, COLUMN_SITUATION + 10);
    for (int i = 0; i < SITUATION_COUNT; i++) {
        if (few && !t->visits[i]) {
            continue;
        }
        (void)fputs("  ", out);
        print_padded(out, COLOUR_NONE, situation_text((enum situation)i), COLUMN_SITUATION);
        if (t->visits[i]) {
            print_number(out, COLOUR_NONE, t->visits[i], 10);
        } else {
            print_text(out, COLOUR_WARN, "     never");
        }
        (void)fputc('\n', out);
    }
    if (few && simulate_unvisited(t)) {
        (void)snprintf(text, sizeof text, "  and %d others not at all\n", simulate_unvisited(t));
        print_text(out, COLOUR_DIM, text);
    }
    (void)fputc('\n', out);
}

static void print_verdict(FILE *out, const struct simulate_options *options,
                          const struct simulate_tally *t)
{
    char text[600];
    if (t->violated) {
        print_padded(out, COLOUR_BAD, "  VIOLATED", COLUMN_FACT + 2);
        print_text(out, COLOUR_BAD, t->violation);
        (void)snprintf(
            text, sizeof text, "marline-races simulate --seed %llu --log%s%s%s%s%s",
            (unsigned long long)t->violating_seed,
            options->faults ? " --faults none" : "", /* the only one with a name */
            options->location ? " --store " : "", options->location ? options->store_name : "",
            options->mutant ? " --mutant " : "", options->mutant ? mutant_id(options->mutant) : "");
        (void)fputc('\n', out);
        print_fact(out, "replay", text);
    } else if (!options->faults && t->runs >= SIMULATE_COVERED_RUNS && simulate_unvisited(t)) {
        print_text(out, COLOUR_BAD,
                   "  situations were never visited: this proves less than it seems\n");
    } else {
        print_text(out, COLOUR_GOOD, "  no invariant was violated\n");
    }
}

void simulate_report(FILE *out, const struct simulate_options *options,
                     const struct simulate_tally *tally, uint64_t elapsed_ms)
{
    (void)fputc('\n', out);
    print_counts(out, options, tally, elapsed_ms);
    print_situations(out, options, tally);
    print_verdict(out, options, tally);
}

static void print_mutant(FILE *out, enum mutant mutant, const struct simulate_tally *t)
{
    char seed[32] = "-";
    if (t->violated) {
        (void)snprintf(seed, sizeof seed, "%llu", (unsigned long long)t->violating_seed);
    }
    (void)fputs("  ", out);
    print_padded(out, COLOUR_BOLD, mutant_id(mutant), COLUMN_MUTANT);
    print_padded(out, COLOUR_DIM, mutant_place(mutant), COLUMN_PLACE);
    print_padded(out, COLOUR_NONE, seed, COLUMN_SEED);
    print_text(out, t->violated ? COLOUR_NONE : COLOUR_BAD,
               t->violated ? t->violation : "NOT FOUND");
    (void)fputc('\n', out);
}

bool simulate_mutants(FILE *out, uint64_t seed)
{
    int found = 0;
    (void)fputs("\n  ", out);
    print_padded(out, COLOUR_DIM, "mutant", COLUMN_MUTANT);
    print_padded(out, COLOUR_DIM, "a rule of", COLUMN_PLACE);
    print_padded(out, COLOUR_DIM, "seed", COLUMN_SEED);
    print_text(out, COLOUR_DIM, "found by");
    (void)fputs("\n  ", out);
    print_rule(out, COLUMN_MUTANT + COLUMN_PLACE + COLUMN_SEED + 56);
    for (int m = MUTANT_NONE + 1; m < MUTANT_COUNT; m++) {
        const struct simulate_options options = {
            .seed = seed, .runs = SIMULATE_MUTANT_RUNS, .mutant = (enum mutant)m};
        struct simulate_tally tally;
        simulate_runs(&options, &tally);
        print_mutant(out, (enum mutant)m, &tally);
        found += tally.violated;
    }
    (void)fprintf(out, "\n  %d of %d found\n", found, MUTANT_COUNT - 1);
    return found == MUTANT_COUNT - 1;
}
