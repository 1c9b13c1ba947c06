/* Plays one schedule on a store.
 *
 * A step that blocks parks its side; letters of a parked side are owed, and run as soon as its
 * statement returns, before the schedule goes on. A side that was aborted drops its letters and is
 * retried afterwards, from the beginning of the transaction that failed, after all letters are
 * used. */
#ifndef RACES_PLAYER_H
#define RACES_PLAYER_H

#include "schedule.h"
#include "store.h"

enum event_kind {
    EVENT_STEP,
    EVENT_BLOCKED,
    EVENT_OWED, /* the letter of a parked side: runs later */
    EVENT_RESUMED,
    EVENT_ABORTED,
    EVENT_DROPPED, /* the letter of an aborted side */
    EVENT_RETRIED, /* a step of a retry */
    EVENT_SWEPT,
};

struct event {
    enum event_kind kind;
    int letter; /* position in the schedule, 1 …; 0 after its end */
    int party;
    enum step step;
    struct sight sight;
};

enum { EVENT_MAX = 8 * SCHEDULE_SIZE, RETRY_MAX = 3 };

struct play {
    int event_count;
    struct event events[EVENT_MAX];
    bool waited;
    bool aborted;
    bool stuck; /* a side never came back, or every retry failed */
    int swept;  /* rows that the sweep linked */
    struct rest rest;
};

/* The schedule must have passed schedule_check. False when the store failed (see its `failure`). */
bool play_schedule(struct race_store *store, const struct design *design, const char *schedule,
                   struct play *out_play);

#endif
