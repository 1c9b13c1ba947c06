/* Judges one answer by the criteria of its test: core/verdict.h, with the metrics that it wants
 * asked of agents, one after the other. Loop thread only. */
#ifndef HUB_HUB_JUDGE_H
#define HUB_HUB_JUDGE_H

#include "core/run.h"
#include "hub/hub.h"

struct hub_judgement;

struct hub_judge_options {
    struct uuid organization_id;
    struct slice criteria; /* borrowed until done, as the next two */
    struct slice inputs;
    const struct run_answer *answer; /* read at once; its slices are borrowed until done */
    /* Exactly once, possibly before hub_judge returns, unless cancelled. Frees the judgement. */
    void (*done)(struct hub *hub, void *user, const struct run_verdict *verdict);
    void *user;
    struct hub_judgement **handle; /* set before anything else, NULL when `done` is called */
};

void hub_judge(struct hub *hub, const struct hub_judge_options *options);
/* `done` does not come any more. Accepts NULL. */
void hub_judge_cancel(struct hub *hub, struct hub_judgement *judgement);

#endif
