/* See hub_judge.h. */
#include "hub/hub_judge.h"

#include <stdio.h>

#include "core/alloc.h"
#include "core/verdict.h"
#include "hub/hub_parts.h"

struct hub_judgement {
    struct hub_judge_options options;
    struct slice output;
    struct criteria *criteria;
    struct verdict verdict;
    struct hub_call call;
    struct buffer inputs; /* of the metric that is asked for */
    bool asking;
};

static void free_judgement(struct hub_judgement *j)
{
    if (j->options.handle) {
        *j->options.handle = NULL;
    }
    verdict_deinit(&j->verdict);
    criteria_destroy(j->criteria);
    marline__buffer_deinit(&j->inputs);
    marline__memory_free(j);
}

static void finish(struct hub *hub, struct hub_judgement *j)
{
    verdict_end(&j->verdict);
    const struct run_verdict verdict = {.status = j->verdict.status,
                                        .metrics = marline__buffer_slice(&j->verdict.metrics),
                                        .error = marline__buffer_slice(&j->verdict.reason)};
    if (j->options.handle) {
        *j->options.handle = NULL;
        j->options.handle = NULL;
    }
    j->options.done(hub, j->options.user, &verdict);
    free_judgement(j);
}

static void go_on(struct hub *hub, struct hub_judgement *j);

static void metric_answered(struct hub *hub, struct hub_call *call, const struct hub_answer *answer)
{
    struct hub_judgement *j = LIST_ENTRY(call, struct hub_judgement, call);
    struct verdict_score score = {.success = false};
    j->asking = false;
    if (answer->metric) {
        score = (struct verdict_score){.success = answer->metric->success,
                                       .score = answer->metric->score,
                                       .details = answer->metric->details,
                                       .error = answer->metric->error,
                                       .duration_ms = answer->metric->duration_ms};
    } else {
        score.error = answer->failure ? marline__slice_text(answer->failure)
                                      : SLICE("another kind of result came");
    }
    verdict_add_score(&j->verdict, &score);
    go_on(hub, j);
}

/* False when no agent has registered it. */
static bool ask(struct hub *hub, struct hub_judgement *j, const char *name)
{
    char organization[UUID_TEXT_SIZE];
    uint64_t random = marline__random_u64(marline__random_system());
    marline__uuid_format(&j->options.organization_id, organization);
    (void)snprintf(j->call.id, sizeof(j->call.id), "metric_%012llx",
                   (unsigned long long)(random & 0xffffffffffffull));
    marline__buffer_clear(&j->inputs);
    verdict_metric_inputs(&j->verdict, j->options.inputs, j->output, &j->inputs);
    j->call.done = metric_answered;
    const struct hub_metric_call metric = {
        .organization = marline__slice_text(organization),
        .metric_name = marline__slice_text(name),
        .inputs = marline__buffer_slice(&j->inputs),
        .deadline_ns = hub_now_ns(hub) + HUB_METRIC_TIMEOUT_MS * NS_PER_MS,
    };
    j->asking = true;
    j->asking = hub_metric_send(hub, &metric, &j->call);
    return j->asking;
}

static void go_on(struct hub *hub, struct hub_judgement *j)
{
    const char *name;
    while ((name = verdict_metric(&j->verdict))) {
        if (ask(hub, j, name)) {
            return;
        }
        const struct verdict_score none = {.error = SLICE("no agent has registered it")};
        verdict_add_score(&j->verdict, &none);
    }
    finish(hub, j);
}

void hub_judge(struct hub *hub, const struct hub_judge_options *options)
{
    char error[CRITERIA_ERROR_SIZE];
    struct hub_judgement *j = alloc_zeroed(sizeof(*j));
    j->options = *options;
    j->options.answer = NULL;
    j->output = options->answer->output;
    if (options->handle) {
        *options->handle = j;
    }
    struct verdict_answer answer = {.success = options->answer->success,
                                    .output = options->answer->output,
                                    .error = options->answer->error,
                                    .duration_ms = options->answer->duration_ms};
    j->criteria = criteria_parse(options->criteria, error);
    if (!j->criteria) { /* checked when the run was accepted: a store edited by hand */
        answer.success = false;
        answer.error = marline__slice_text(error);
    }
    verdict_begin(&j->verdict, j->criteria, &answer);
    go_on(hub, j);
}

void hub_judge_cancel(struct hub *hub, struct hub_judgement *j)
{
    if (!j) {
        return;
    }
    if (j->asking) {
        hub_call_withdraw(hub, &j->call);
    }
    free_judgement(j);
}
