/* marline-agent dead-letters: what an agent's outbox keeps because it could not be executed or
 * delivered. */
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <marline/dead_letters.h>

#include "agent/commands.h"
#include "agent/settings.h"
#include "base/clock.h"
#include "base/time_text.h"
#include "programs/must.h"
#include "wire/json_pointer.h"
#include "wire/json_reader.h"

enum {
    RETRY_WAIT_MS = 10000, /* for an agent that runs to take it; milliseconds, unless it is stuck */
    RETRY_LOOK_MS = 20,
};

struct letters {
    struct settings settings;
    struct failure *failure;
    const char *outbox;
    int64_t number; /* the one that is asked for; 0 = all */
    bool is_found;
    struct marline_dead_letter letter; /* owned copies */
};

/* What says which outbox. The command reads the other settings of an agent as well, for they may
 * stand in the same file and environment, and does nothing with them. */
static void print_options(const struct settings *s)
{
    for (size_t i = 0; i < s->spec_count; i++) {
        const char *name = s->specs[i].name;
        if (strcmp(name, "config") == 0 || strcmp(name, "outbox") == 0) {
            options_print_help(&s->specs[i], 1, stdout);
        }
    }
}

static void print_help(const struct settings *s)
{
    (void)puts("Usage: marline-agent dead-letters list [OPTION]…\n"
               "       marline-agent dead-letters show|retry|drop NUMBER [OPTION]…\n"
               "       marline-agent dead-letters retry|drop all [OPTION]…\n"
               "\n"
               "An agent with an --outbox keeps there what it had to refuse, and results that\n"
               "the backend would not take, with their test and trace context.\n"
               "\n"
               "  marline-agent dead-letters list --outbox agent.db\n"
               "  marline-agent dead-letters show 3 --outbox agent.db\n"
               "  marline-agent dead-letters retry 3 --outbox agent.db\n"
               "  marline-agent dead-letters drop all --outbox agent.db\n"
               "\n"
               "retry has the agent that uses the outbox try again: at once when it runs, else\n"
               "when it starts next. What was refused is executed under its old id, in a span\n"
               "that continues the trace of the failure and links to it; a result that was not\n"
               "taken is sent again.\n"
               "\n"
               "Options:");
    print_options(s);
    (void)puts("");
    command_print_exit_codes(stdout);
}

/* ---- reading ---- */

static char *function_of(const marline_dead_letter *letter)
{
    struct slice raw;
    struct buffer name = BUFFER_INIT;
    if (letter->request_json &&
        marline__json_pointer_find(marline__slice_text(letter->request_json), "/function_name",
                                   &raw) &&
        raw.size > 2 && raw.data[0] == '"') {
        marline__json_unescape((struct slice){raw.data + 1, raw.size - 2}, &name);
    } else {
        marline__buffer_append_text(&name, "-");
    }
    must_buffer(&name);
    return marline__buffer_take(&name);
}

static void print_row(void *user, const marline_dead_letter *letter)
{
    struct letters *l = user;
    char time[TIME_TEXT_SIZE];
    char *function = function_of(letter);
    marline__time_format(letter->at_unix_ns, time);
    (void)printf("%6" PRId64 "  %-27s  %-20s  %-18s  %s\n", letter->number, time, function,
                 letter->invocation_id, letter->reason);
    marline__memory_free(function);
    l->is_found = true;
}

static void keep_letter(void *user, const marline_dead_letter *letter)
{
    struct letters *l = user;
    if (letter->number != l->number || l->is_found) {
        return;
    }
    l->is_found = true;
    l->letter = (marline_dead_letter){.number = letter->number,
                                      .at_unix_ns = letter->at_unix_ns,
                                      .scope = must_text(letter->scope),
                                      .invocation_id = must_text(letter->invocation_id),
                                      .reason = must_text(letter->reason),
                                      .traceparent = must_text(letter->traceparent),
                                      .is_retry_asked = letter->is_retry_asked,
                                      .request_json = must_text(letter->request_json),
                                      .result_json = must_text(letter->result_json)};
}

/* The copies are the command's own, so the const is given up. */
static void free_text(const char *text)
{
    union {
        const char *in;
        char *out;
    } u = {text};
    marline__memory_free(u.out);
}

static void free_letter(struct letters *l)
{
    free_text(l->letter.scope);
    free_text(l->letter.invocation_id);
    free_text(l->letter.reason);
    free_text(l->letter.traceparent);
    free_text(l->letter.request_json);
    free_text(l->letter.result_json);
}

static bool visit_with(struct letters *l, marline_dead_letter_fn function, void *user)
{
    marline_error error = {0};
    marline_status status = marline_dead_letters_list(l->outbox, function, user, &error);
    return status == MARLINE_OK ||
           failure_set(l->failure, EXIT_CODE_CONFIGURATION, "%s", error.text);
}

static bool visit(struct letters *l, marline_dead_letter_fn function)
{
    return visit_with(l, function, l);
}

static bool find(struct letters *l)
{
    return visit(l, keep_letter) &&
           (l->is_found || failure_set(l->failure, EXIT_CODE_USAGE,
                                       "no dead letter %" PRId64 " in %s; see: marline-agent "
                                       "dead-letters list",
                                       l->number, l->outbox));
}

static bool list(struct letters *l)
{
    if (!visit(l, print_row)) {
        return false;
    }
    if (!l->is_found) {
        (void)puts("no dead letters");
    }
    return true;
}

static bool show(struct letters *l)
{
    char time[TIME_TEXT_SIZE];
    if (!find(l)) {
        return false;
    }
    const marline_dead_letter *letter = &l->letter;
    marline__time_format(letter->at_unix_ns, time);
    (void)printf("number      %" PRId64 "\nat          %s\nscope       %s\ninvocation  %s\n"
                 "reason      %s\nretry       %s\nfailed span %s\nrequest     %s\n"
                 "result      %s\n",
                 letter->number, time, letter->scope, letter->invocation_id, letter->reason,
                 letter->is_retry_asked ? "asked for; waits for an agent" : "not asked for",
                 letter->traceparent[0] ? letter->traceparent : "(none)",
                 letter->request_json ? letter->request_json : "(not kept)",
                 letter->result_json ? letter->result_json : "(never executed)");
    return true;
}

static bool drop(struct letters *l)
{
    marline_error error = {0};
    marline_status status = marline_dead_letters_drop(l->outbox, l->number, &error);
    return status == MARLINE_OK ||
           failure_set(l->failure,
                       status == MARLINE_ENOTFOUND ? EXIT_CODE_USAGE : EXIT_CODE_CONFIGURATION,
                       "%s", error.text);
}

/* ---- retrying ---- */

/* The agent that has the outbox does the work; this process asks for it, and looks what came of it.
 */
struct retries {
    struct retried {
        int64_t number;
        char *invocation_id;
        bool is_there; /* the letter still is */
        bool is_asked; /* …and no agent took it yet */
        char *scope;
        int64_t successor; /* a new letter of the same invocation, 0 = none */
        char reason[512];  /* of the letter, or of its successor */
        char trace_id[33]; /* of the failure, "" = none */
    } * items;
    size_t count;
    size_t capacity;
    int64_t wanted; /* 0 = all */
};

static void add_retry(void *user, const marline_dead_letter *letter)
{
    struct retries *r = user;
    if (r->wanted != 0 && r->wanted != letter->number) {
        return;
    }
    r->items = must_grow(r->items, r->count, &r->capacity, sizeof *r->items);
    struct retried *item = &r->items[r->count++];
    *item = (struct retried){.number = letter->number,
                             .invocation_id = must_text(letter->invocation_id),
                             .scope = must_text(letter->scope)};
    if (strlen(letter->traceparent) > 35) { /* version, trace id, span id */
        (void)snprintf(item->trace_id, sizeof item->trace_id, "%s", letter->traceparent + 3);
    }
}

static void look(void *user, const marline_dead_letter *letter)
{
    struct retries *r = user;
    for (size_t i = 0; i < r->count; i++) {
        struct retried *item = &r->items[i];
        bool is_same = item->number == letter->number;
        bool is_next = letter->number > item->number &&
                       strcmp(letter->invocation_id, item->invocation_id) == 0;
        if (is_same) {
            item->is_there = true;
            item->is_asked = letter->is_retry_asked;
        } else if (is_next) {
            item->successor = letter->number;
        }
        if (is_same || is_next) {
            (void)snprintf(item->reason, sizeof item->reason, "%s", letter->reason);
        }
    }
}

/* Waits until the agent has taken all, if one runs. */
static bool watch_retries(struct letters *l, struct retries *r, bool is_served)
{
    uint64_t deadline =
        marline__clock_monotonic_ns(marline__clock_system()) + RETRY_WAIT_MS * NS_PER_MS;
    bool is_waiting = true;
    while (is_waiting) {
        for (size_t i = 0; i < r->count; i++) {
            r->items[i].is_there = false;
        }
        if (!visit_with(l, look, r)) {
            return false;
        }
        is_waiting = false;
        for (size_t i = 0; i < r->count; i++) {
            is_waiting |= r->items[i].is_there && r->items[i].is_asked;
        }
        is_waiting &= is_served && marline__clock_monotonic_ns(marline__clock_system()) < deadline;
        if (is_waiting) {
            (void)poll(NULL, 0, RETRY_LOOK_MS);
        }
    }
    return true;
}

/* False: it was tried and refused. */
static bool print_retry(const struct retried *item)
{
    (void)printf("%6" PRId64 "  %s  ", item->number, item->invocation_id);
    if (item->is_there && item->is_asked) {
        (void)printf("waits for an agent of %s\n", item->scope);
    } else if (item->is_there) {
        (void)printf("not retried: %s\n", item->reason);
    } else if (item->successor) {
        (void)printf("refused again, now dead letter %" PRId64 ": %s\n", item->successor,
                     item->reason);
    } else if (item->trace_id[0]) {
        (void)printf("taken by the agent; goes on in trace %s\n", item->trace_id);
    } else {
        (void)printf("taken by the agent\n");
    }
    return item->is_there ? item->is_asked : item->successor == 0;
}

static bool retry(struct letters *l)
{
    struct retries r = {.wanted = l->number};
    marline_error error = {0};
    bool is_served = false;
    bool ok = (l->number == 0 || find(l)) && visit_with(l, add_retry, &r);
    if (ok && r.count == 0) {
        (void)puts("no dead letters");
    } else if (ok &&
               marline_dead_letters_retry(l->outbox, l->number, &is_served, &error) != MARLINE_OK) {
        ok = failure_set(l->failure, EXIT_CODE_CONFIGURATION, "%s", error.text);
    } else if (ok && watch_retries(l, &r, is_served)) {
        size_t refused = 0;
        for (size_t i = 0; i < r.count; i++) {
            refused += !print_retry(&r.items[i]);
        }
        ok = refused == 0 || failure_set(l->failure, EXIT_CODE_CHECK_FAILED,
                                         "%zu of %zu refused; see: marline-agent dead-letters list",
                                         refused, r.count);
    }
    for (size_t i = 0; i < r.count; i++) {
        marline__memory_free(r.items[i].invocation_id);
        marline__memory_free(r.items[i].scope);
    }
    marline__memory_free(r.items);
    return ok;
}

/* ---- the command ---- */

struct verb {
    const char *name;
    bool takes_number;
    bool (*run)(struct letters *l);
};

static bool read_number(struct letters *l, const struct verb *verb, const char *text)
{
    if (text && verb->run != show && strcmp(text, "all") == 0) {
        return true;
    }
    char *end = NULL;
    l->number = text ? strtoll(text, &end, 10) : 0;
    return (text && *end == '\0' && l->number > 0) ||
           failure_set(l->failure, EXIT_CODE_USAGE,
                       "say which one: marline-agent dead-letters %s NUMBER", verb->name);
}

static bool perform(struct letters *l, const struct verb *verb, int argc, char **argv)
{
    bool has_number = verb->takes_number && argc > 0 && argv[0][0] != '-';
    if (!settings_read(&l->settings, argc - has_number, argv + has_number, l->failure)) {
        return false;
    }
    if (l->settings.options.help) {
        print_help(&l->settings);
        return true;
    }
    l->outbox = options_text(&l->settings.options, "outbox");
    if (!l->outbox) {
        return failure_set(l->failure, EXIT_CODE_USAGE,
                           "say which outbox: --outbox FILE, or MARLINE_OUTBOX");
    }
    return (!verb->takes_number || read_number(l, verb, has_number ? argv[0] : NULL)) &&
           verb->run(l);
}

enum exit_code command_dead_letters(int argc, char **argv)
{
    static const struct verb verbs[] = {
        {"list", false, list}, {"show", true, show}, {"retry", true, retry}, {"drop", true, drop}};
    struct failure failure = FAILURE_INIT;
    struct letters letters = {.failure = &failure};
    const struct verb *verb = NULL;
    settings_init(&letters.settings, NULL, 0);
    for (size_t i = 0; argc > 0 && i < sizeof verbs / sizeof verbs[0]; i++) {
        verb = strcmp(verbs[i].name, argv[0]) == 0 ? &verbs[i] : verb;
    }
    if (verb) {
        (void)perform(&letters, verb, argc - 1, argv + 1);
    } else if (argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)) {
        print_help(&letters.settings);
    } else {
        failure_set(&failure, EXIT_CODE_USAGE,
                    "say what to do: marline-agent dead-letters list|show|retry|drop");
    }
    free_letter(&letters);
    settings_deinit(&letters.settings);
    return failure.code ? command_fail("dead-letters", &failure) : EXIT_CODE_OK;
}
