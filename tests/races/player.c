/* See player.h. */
#include "player.h"

#include <assert.h>
#include <string.h>

struct lane {
    int next; /* index of the step to run next */
    int owed; /* letters that passed while it was parked */
    bool parked;
    bool aborted;
    int retries;
};

struct player {
    struct race_store *store;
    const struct design *design;
    struct play *play;
    struct lane lanes[PARTY_MAX];
    int parked_order[PARTY_MAX]; /* who waits, the longest first */
    int parked_count;
    int letter;
    bool store_failed;
};

static struct event *add_event(struct player *p, enum event_kind kind, int party, enum step step)
{
    struct play *play = p->play;
    assert(play->event_count < EVENT_MAX);
    struct event *event = &play->events[play->event_count++];
    *event = (struct event){.kind = kind, .letter = p->letter, .party = party, .step = step};
    return event;
}

static void park(struct player *p, int party)
{
    p->lanes[party].parked = true;
    p->parked_order[p->parked_count++] = party;
    p->play->waited = true;
}

static void unpark(struct player *p, int index)
{
    p->lanes[p->parked_order[index]].parked = false;
    p->parked_count--;
    for (int i = index; i < p->parked_count; i++)
        p->parked_order[i] = p->parked_order[i + 1];
}

/* Books how a statement of the lane ended. */
static void settle(struct player *p, int party, enum outcome outcome, struct event *event)
{
    struct lane *lane = &p->lanes[party];
    p->play->waited |= event->sight.waited;
    switch (outcome) {
    case OUTCOME_DONE:
        lane->next++;
        return;
    case OUTCOME_BLOCKED:
        event->kind = EVENT_BLOCKED;
        park(p, party);
        return;
    case OUTCOME_SERIALIZATION:
    case OUTCOME_DEADLOCK:
        event->kind = EVENT_ABORTED;
        lane->aborted = true;
        lane->owed = 0;
        p->play->aborted = true;
        return;
    case OUTCOME_STORE_FAILED:
        p->store_failed = true;
        return;
    }
}

static void run_step(struct player *p, int party, enum event_kind kind)
{
    struct lane *lane = &p->lanes[party];
    enum step step = p->design->steps[party][lane->next];
    struct event *event = add_event(p, kind, party, step);
    settle(p, party, p->store->functions->run(p->store, party, step, &event->sight), event);
}

static void pay_owed(struct player *p, int party)
{
    struct lane *lane = &p->lanes[party];
    while (lane->owed > 0 && !lane->parked && !lane->aborted && !p->store_failed) {
        lane->owed--;
        run_step(p, party, EVENT_STEP);
    }
}

/* Asks one parked side whether its statement returned; true when it did. */
static bool try_resume(struct player *p, int index)
{
    int party = p->parked_order[index];
    enum step step = p->design->steps[party][p->lanes[party].next];
    struct sight sight = {0};
    enum outcome outcome = p->store->functions->resume(p->store, party, &sight);
    if (outcome == OUTCOME_BLOCKED)
        return false;
    unpark(p, index);
    struct event *event = add_event(p, EVENT_RESUMED, party, step);
    event->sight = sight;
    settle(p, party, outcome, event);
    pay_owed(p, party);
    return true;
}

/* One statement's end may free several sides, and theirs others in turn. */
static void resume_parked(struct player *p)
{
    int index = 0;
    while (index < p->parked_count && !p->store_failed) {
        if (try_resume(p, index))
            index = 0;
        else
            index++;
    }
}

static void play_letter(struct player *p, int party)
{
    struct lane *lane = &p->lanes[party];
    enum step step = p->design->steps[party][lane->next];
    if (lane->aborted) {
        (void)add_event(p, EVENT_DROPPED, party, step);
        return;
    }
    if (lane->parked) {
        lane->owed++;
        (void)add_event(p, EVENT_OWED, party, p->design->steps[party][lane->next + lane->owed]);
        return;
    }
    run_step(p, party, EVENT_STEP);
    resume_parked(p);
}

static int transaction_start(const struct design *d, int party, int at)
{
    while (at > 0 && d->steps[party][at] != STEP_BEGIN)
        at--;
    return at;
}

static void retry_aborted(struct player *p, int party)
{
    struct lane *lane = &p->lanes[party];
    int length = design_length(p->design, party);
    while (lane->aborted && lane->retries < RETRY_MAX && !p->store_failed) {
        lane->aborted = false;
        lane->retries++;
        lane->next = transaction_start(p->design, party, lane->next);
        while (lane->next < length && !lane->aborted && !lane->parked && !p->store_failed)
            run_step(p, party, EVENT_RETRIED);
    }
}

static void finish(struct player *p)
{
    p->letter = 0;
    for (int party = 0; party < p->design->party_count; party++)
        retry_aborted(p, party);
    for (int party = 0; party < p->design->party_count; party++)
        p->play->stuck |= p->lanes[party].next < design_length(p->design, party);
    if (!p->design->sweeps || p->store_failed || p->play->stuck)
        return;
    struct event *event = add_event(p, EVENT_SWEPT, 0, STEP_LINK);
    enum outcome outcome = p->store->functions->sweep(p->store, &event->sight);
    p->play->swept = event->sight.changed;
    p->store_failed = outcome == OUTCOME_STORE_FAILED;
}

static int party_of(char letter)
{
    for (int party = 0; party < PARTY_MAX; party++) {
        if (party_letter(party) == letter)
            return party;
    }
    assert(false);
    return 0;
}

bool play_schedule(struct race_store *store, const struct design *design, const char *schedule,
                   struct play *out_play)
{
    struct player p = {.store = store, .design = design, .play = out_play};
    out_play->event_count = 0;
    out_play->waited = out_play->aborted = out_play->stuck = false;
    out_play->swept = 0;
    out_play->rest = (struct rest){0};
    if (!store->functions->reset(store, design))
        return false;
    for (size_t i = 0; schedule[i] && !p.store_failed; i++) {
        p.letter = (int)i + 1;
        play_letter(&p, party_of(schedule[i]));
    }
    if (!p.store_failed)
        finish(&p);
    return !p.store_failed && store->functions->look_at_rest(store, &out_play->rest);
}
