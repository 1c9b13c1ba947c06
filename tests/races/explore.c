/* See explore.h. */
#include "explore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void describe(const struct play *play, char *out, size_t size)
{
    (void)snprintf(out, size, "%d of %d unlinked%s%s%s", play->rest.unlinked, play->rest.spans,
                   play->waited ? ", waited" : "", play->aborted ? ", aborted" : "",
                   play->swept ? ", swept" : "");
}

static bool is_alike(const struct play *a, const struct play *b)
{
    return a->rest.spans == b->rest.spans && a->rest.unlinked == b->rest.unlinked &&
           a->waited == b->waited && a->aborted == b->aborted && a->swept == b->swept &&
           a->stuck == b->stuck;
}

static void compare(const struct play *played, const struct play *predicted, const char *schedule,
                    struct tally *t)
{
    if (is_alike(played, predicted))
        return;
    t->different++;
    if (t->first_difference[0])
        return;
    char seen[80], expected[80];
    describe(played, seen, sizeof seen);
    describe(predicted, expected, sizeof expected);
    (void)snprintf(t->first_difference, sizeof t->first_difference, "%s: %s; the model says %s",
                   schedule, seen, expected);
}

static void count(const struct play *play, const char *schedule, struct tally *t)
{
    bool missed = play->rest.unlinked > 0;
    if (missed && !t->first_loss[0])
        memcpy(t->first_loss, schedule, strlen(schedule) + 1);
    t->schedules++;
    t->missed += missed;
    t->partly += missed && play->rest.unlinked < play->rest.spans;
    t->repaired += play->swept > 0;
    t->waited += play->waited;
    t->aborted += play->aborted;
    t->stuck += play->stuck;
}

static bool explore_one(struct race_store *store, struct race_store *predictor,
                        const struct design *design, const char *schedule, struct tally *t)
{
    struct play play, predicted;
    if (!play_schedule(store, design, schedule, &play)) {
        t->store_failed = true;
        return false;
    }
    count(&play, schedule, t);
    if (predictor && play_schedule(predictor, design, schedule, &predicted))
        compare(&play, &predicted, schedule, t);
    return true;
}

void explore_design(struct race_store *store, struct race_store *predictor,
                    const struct design *design, const struct explore_options *options,
                    struct tally *out_tally)
{
    *out_tally = (struct tally){.possible = schedule_count(design)};
    char schedule[SCHEDULE_SIZE];
    if (options->all || out_tally->possible <= EXPLORE_ALL_MAX) {
        schedule_first(design, schedule);
        while (explore_one(store, predictor, design, schedule, out_tally) &&
               schedule_next(schedule))
            ;
        return;
    }
    out_tally->sampled = true;
    struct random_seeded state;
    struct random_source random = marline__random_seeded(&state, options->seed);
    for (int i = 0; i < EXPLORE_SAMPLES && !out_tally->store_failed; i++) {
        schedule_random(design, &random, schedule);
        (void)explore_one(store, predictor, design, schedule, out_tally);
    }
}

static bool is_likely_sample(const struct golden *g, const struct tally *t)
{
    double share = (double)g->missed / (double)g->schedules;
    double expected = share * (double)t->schedules;
    double variance = expected * (1 - share);
    double off = (double)t->missed - expected;
    return off * off <= 25 * variance && t->aborted == 0;
}

bool explore_is_golden(const struct design *design, enum store_kind kind, const struct tally *t)
{
    const struct golden *g = kind == STORE_SQLITE ? &design->golden_sqlite : &design->golden;
    if (t->store_failed || t->stuck || t->different || t->possible != (uint64_t)g->schedules)
        return false;
    if (t->sampled)
        return is_likely_sample(g, t);
    return t->schedules == t->possible && t->missed == (uint64_t)g->missed &&
           t->repaired == (uint64_t)g->repaired && t->waited == (uint64_t)g->waited &&
           t->aborted == (uint64_t)g->aborted;
}

/* ---- shrinking: schedules in order of their changes of turn ---- */

struct shrink {
    struct race_store *store;
    const struct design *design;
    int left[PARTY_MAX];
    size_t length;
    char schedule[SCHEDULE_SIZE];
};

static bool loses(struct race_store *store, const struct design *design, const char *schedule)
{
    struct play play;
    return play_schedule(store, design, schedule, &play) && play.rest.unlinked > 0;
}

static bool extend(struct shrink *s, int last_party, int switches);

/* Gives `party` from one letter to all it has left, the longest run first, and goes on from there.
 */
static bool extend_with(struct shrink *s, int party, int switches)
{
    int all = s->left[party];
    size_t start = s->length;
    for (int run = all; run > 0; run--) {
        memset(s->schedule + start, party_letter(party), (size_t)run);
        s->length = start + (size_t)run;
        s->left[party] = all - run;
        if (extend(s, party, switches))
            return true;
    }
    s->length = start;
    s->left[party] = all;
    return false;
}

/* True when some completion with exactly `switches` more changes of turn loses. */
static bool extend(struct shrink *s, int last_party, int switches)
{
    int left = 0;
    for (int party = 0; party < s->design->party_count; party++)
        left += s->left[party];
    if (left == 0) {
        s->schedule[s->length] = '\0';
        return switches == 0 && loses(s->store, s->design, s->schedule);
    }
    for (int party = 0; party < s->design->party_count && switches > 0; party++) {
        if (party != last_party && s->left[party] > 0 && extend_with(s, party, switches - 1))
            return true;
    }
    return false;
}

bool explore_shrink(struct race_store *store, const struct design *design, int switches_max,
                    char out_schedule[SCHEDULE_SIZE])
{
    for (int switches = 0; switches <= switches_max; switches++) {
        struct shrink s = {.store = store, .design = design};
        for (int party = 0; party < design->party_count; party++)
            s.left[party] = design_length(design, party);
        if (extend(&s, -1, switches + 1)) {
            memcpy(out_schedule, s.schedule, s.length + 1);
            return true;
        }
    }
    return false;
}

static int compare_letters(const void *a, const void *b)
{
    return *(const char *)a - *(const char *)b;
}

static bool every_continuation_loses(struct race_store *store, const struct design *design,
                                     const char *schedule, size_t kept)
{
    char tried[SCHEDULE_SIZE];
    memcpy(tried, schedule, strlen(schedule) + 1);
    qsort(tried + kept, strlen(tried) - kept, 1, compare_letters);
    do {
        if (!loses(store, design, tried))
            return false;
    } while (schedule_next(tried + kept));
    return true;
}

int explore_point_of_no_return(struct race_store *store, const struct design *design,
                               const char *schedule)
{
    size_t kept = strlen(schedule);
    if (!loses(store, design, schedule))
        return 0;
    while (kept > 0 && every_continuation_loses(store, design, schedule, kept - 1))
        kept--;
    return (int)kept;
}
