/* An agent's registration: its project is looked up on a worker, its endpoints are stored, then the
 * routes are set, the agent is told, and what it does not have any more is given up. */
#include <stdio.h>

#include "base/log.h"
#include "core/alloc.h"
#include "hub/endpoint_sync.h"
#include "hub/hub_parts.h"
#include "wire/json_reader.h"

/* The reference's four; anything else fails each function's endpoint (wire-protocol §2.3). */
static const char *const environments[] = {"production", "staging", "development", "local"};

struct registration {
    struct worker_job work;
    struct hub_job job;
    struct hub *hub;
    uint64_t session;
    uint64_t sequence;
    struct auth_identity identity;
    char *project_id; /* "" = metrics only */
    char *environment;
    char *functions;
    char *metrics;
    char *in_flight; /* NULL: the agent does not report */
    /* out */
    struct uuid project;
    bool found;
    bool store_failed;
    struct endpoint_sync *sync; /* made where the project is found */
    struct hub_commit commit;   /* of the endpoints */
};

static void free_registration(struct registration *r)
{
    marline__memory_free(r->project_id);
    marline__memory_free(r->environment);
    marline__memory_free(r->functions);
    marline__memory_free(r->metrics);
    marline__memory_free(r->in_flight);
    endpoint_sync_destroy(r->sync);
    marline__memory_free(r);
}

static void note_project(void *user, const struct store_project *row)
{
    struct registration *r = user;
    if (!r->found && marline__uuid_equal(&row->project_id, &r->project)) {
        const struct endpoint_owner owner = {r->identity.organization_id, r->project, row->name,
                                             marline__slice_text(r->environment)};
        r->found = true;
        r->sync = endpoint_sync_create(&owner, marline__slice_text(r->functions));
    }
}

/* On a worker. */
static void look_up_project(struct worker_job *work, bool canceled)
{
    struct registration *r = LIST_ENTRY(work, struct registration, work);
    if (!canceled && marline__uuid_parse(marline__slice_text(r->project_id), &r->project)) {
        struct store_scope scope = {.organization_id = r->identity.organization_id,
                                    .project_id = r->identity.project_id};
        struct store_error error;
        if (store_list_projects(r->hub->options.store, &scope, note_project, r, &error) !=
            STORE_OK) {
            marline__log(LOG_ERROR, "cannot look up a project: %s", error.text);
            r->store_failed = true;
        }
    }
    hub_post(r->hub, &r->job);
}

static bool is_environment(const char *name)
{
    for (size_t i = 0; i < sizeof(environments) / sizeof(environments[0]); i++) {
        if (strcmp(name, environments[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void lower_case(char *text)
{
    for (; *text; text++) {
        if (*text >= 'A' && *text <= 'Z') {
            *text = (char)(*text - 'A' + 'a');
        }
    }
}

/* False, with the reason, when the list is malformed. */
static bool check_functions(const char *functions, char reason[DECODE_REASON_SIZE])
{
    struct buffer scratch = BUFFER_INIT;
    struct message_function function;
    size_t position = 0;
    reason[0] = '\0';
    while (marline__message_next_function(marline__slice_text(functions), &position, &function,
                                          &scratch, reason)) {
        marline__buffer_clear(&scratch);
    }
    marline__buffer_deinit(&scratch);
    return reason[0] == '\0';
}

struct slice hub_metric_route(struct slice name, char out[HUB_METRIC_ROUTE_SIZE])
{
    int n = snprintf(out, HUB_METRIC_ROUTE_SIZE, "metric:%.*s", SLICE_ARG(name));
    return (struct slice){out, n > 0 && n < HUB_METRIC_ROUTE_SIZE ? (size_t)n : 0};
}

static void set_metric_route(struct hub *hub, const struct hub_session *s, struct slice name)
{
    char organization[UUID_TEXT_SIZE];
    char route[HUB_METRIC_ROUTE_SIZE];
    marline__uuid_format(&s->identity.organization_id, organization);
    router_register(hub->loop.router, s->number, marline__slice_text(organization),
                    hub_metric_route(name, route));
}

/* Routes every metric with a name; others are left out. Returns how many. */
static size_t set_metric_routes(struct hub *hub, const struct hub_session *s, const char *metrics)
{
    struct json_reader r;
    struct slice key;
    struct buffer name = BUFFER_INIT;
    size_t count = 0;
    marline__json_reader_init(&r, marline__slice_text(metrics), JSON_ALLOW_NON_FINITE);
    (void)marline__json_enter_array(&r);
    while (marline__json_next_element(&r) && marline__json_enter_object(&r)) {
        marline__buffer_clear(&name);
        while (marline__json_next_member(&r, &key)) {
            if (marline__json_key_is(key, "name") && marline__json_peek(&r) == JSON_STRING) {
                (void)marline__json_read_string(&r, &name);
            } else {
                (void)marline__json_skip(&r, NULL);
            }
        }
        if (name.size > 0 && name.size <= 255) {
            set_metric_route(hub, s, marline__buffer_slice(&name));
            count++;
        }
    }
    alloc_check_buffer(&name);
    marline__buffer_deinit(&name);
    return count;
}

static void set_route(struct hub *hub, struct hub_session *s, struct registration *r)
{
    char project[UUID_TEXT_SIZE];
    char name[HUB_ROUTE_NAME_SIZE];
    marline__uuid_format(&r->project, project);
    router_register(hub->loop.router, s->number, marline__slice_text(project),
                    marline__slice_text(r->environment));
    (void)snprintf(name, sizeof(name), "%s:%s", project, r->environment);
    marline__memory_free(text_map_put(&s->functions, marline__slice_text(name), r->functions));
    r->functions = NULL;
}

static void write_stats(struct buffer *out, const struct store_sync_endpoints *sync, size_t metrics)
{
    marline__buffer_append_format(
        out, "{\"created\":%zu,\"updated\":%zu,\"marked_inactive\":%zu,\"errors\":[]",
        sync->created, sync->updated, sync->marked_inactive);
    if (metrics) {
        marline__buffer_append_format(out,
                                      ",\"metric_sync\":{\"created\":%zu,\"updated\":0,"
                                      "\"marked_inactive\":0,\"errors\":[]}",
                                      metrics);
    }
    marline__buffer_append_text(out, "}");
    alloc_check_buffer(out);
}

enum { REGISTRATION_ERROR_SIZE = 256 };

/* The text of the refusal, or an empty one. */
static void check_registration(const struct registration *r, char error[REGISTRATION_ERROR_SIZE])
{
    char reason[DECODE_REASON_SIZE];
    bool well_formed = check_functions(r->functions, reason);
    error[0] = '\0';
    if (r->store_failed) {
        (void)snprintf(error, REGISTRATION_ERROR_SIZE,
                       "The store is not available, register again later");
    } else if (!r->found) {
        (void)snprintf(error, REGISTRATION_ERROR_SIZE, "Project %.64s not found or not accessible",
                       r->project_id);
    } else if (!well_formed) {
        (void)snprintf(error, REGISTRATION_ERROR_SIZE, "%s", reason);
    } else if (!is_environment(r->environment)) {
        (void)snprintf(error, REGISTRATION_ERROR_SIZE,
                       "Environment '%.32s' is none of production, staging, development, local",
                       r->environment);
    }
}

static bool is_listed(const void *reported, struct slice id)
{
    return text_map_get(reported, id) != NULL;
}

/* What an agent was sent over a connection that it has lost, and does not have: it will never
 * answer. */
static void end_lost_calls(struct hub *hub, const struct hub_session *s, struct slice in_flight)
{
    const struct hub_answer answer = {.failure =
                                          "lost: its agent connected again, and does not have it"};
    struct text_map listed;
    struct json_reader r;
    struct buffer id = BUFFER_INIT;
    text_map_init(&listed);
    marline__json_reader_init(&r, in_flight, JSON_STRICT);
    (void)marline__json_enter_array(&r);
    while (marline__json_next_element(&r)) {
        marline__buffer_clear(&id);
        if (marline__json_peek(&r) == JSON_STRING && marline__json_read_string(&r, &id)) {
            text_map_put(&listed, marline__buffer_slice(&id), hub);
        } else {
            (void)marline__json_skip(&r, NULL);
        }
    }
    router_reported(hub->loop.router, s->number, is_listed, &listed);
    text_map_deinit(&listed);
    marline__buffer_deinit(&id);
    for (struct hub_call *call; (call = router_next_lost(hub->loop.router));) {
        call->done(hub, call, &answer);
    }
}

/* Answers, unless the agent has gone meanwhile, and frees the registration. */
static void answer_registration(struct hub *hub, struct registration *r, const char *error)
{
    struct hub_session *s = hub_session_find(hub, r->session);
    if (s) {
        struct agent_registration outcome = {.metrics_only = r->project_id[0] == '\0'};
        struct buffer stats = BUFFER_INIT;
        if (error[0]) {
            outcome.error = error;
        } else {
            write_stats(&stats, &r->commit.commit.write.sync_endpoints,
                        set_metric_routes(hub, s, r->metrics));
            outcome.stats = marline__buffer_slice(&stats);
        }
        struct agent_step step;
        agent_session_registered(s->agent, &outcome, &step);
        hub_session_apply(hub, s, &step);
        marline__buffer_deinit(&stats);
        if (r->in_flight) { /* now that what comes of it can be dispatched again */
            end_lost_calls(hub, s, marline__slice_text(r->in_flight));
        }
    }
    free_registration(r);
}

/* The endpoints are stored, or not: the route is set in any case (wire-protocol §2.5), and not
 * before, so that the agent hears that it is registered before it is called. */
static void endpoints_stored(struct hub *hub, struct hub_commit *commit)
{
    struct registration *r = LIST_ENTRY(commit, struct registration, commit);
    struct hub_session *s = hub_session_find(hub, r->session);
    const struct store_error *outcome = &commit->commit.write.outcome;
    if (s) {
        char project[UUID_TEXT_SIZE];
        set_route(hub, s, r);
        marline__uuid_format(&r->project, project);
        hub_runs_served(hub, marline__slice_text(project), marline__slice_text(r->environment));
    }
    if (outcome->status != STORE_OK) {
        marline__log(LOG_ERROR, "endpoints of an agent could not be stored: %s", outcome->text);
    }
    answer_registration(
        hub, r,
        outcome->status == STORE_OK ? "" : "The store is not available, register again later");
}

static void store_endpoints(struct hub *hub, struct registration *r)
{
    struct store_write *write = &r->commit.commit.write;
    write->type = STORE_SYNC_ENDPOINTS;
    endpoint_sync_fill(r->sync, &write->sync_endpoints);
    r->commit.done = endpoints_stored;
    hub_submit(hub, &r->commit);
}

static void finish_registration(struct hub *hub, struct hub_job *job)
{
    struct registration *r = LIST_ENTRY(job, struct registration, job);
    struct hub_session *s = hub_session_find(hub, r->session);
    char error[REGISTRATION_ERROR_SIZE] = "";
    bool metrics_only = r->project_id[0] == '\0';
    if (s && !metrics_only) {
        check_registration(r, error);
    }
    if (s && !metrics_only && !error[0] && r->sequence > s->registration_applied) {
        s->registration_applied = r->sequence;
        store_endpoints(hub, r);
    } else {
        answer_registration(hub, r, error);
    }
}

void hub_registration_begin(struct hub *hub, struct hub_session *s,
                            const struct message_register *message)
{
    struct registration *r = alloc_zeroed(sizeof(*r));
    r->hub = hub;
    r->session = s->number;
    r->sequence = ++s->registrations_begun;
    r->identity = s->identity;
    r->project_id = alloc_slice(message->project_id);
    r->environment =
        alloc_slice(message->environment.size ? message->environment : SLICE("development"));
    lower_case(r->environment);
    r->functions = alloc_slice(message->functions.size ? message->functions : SLICE("[]"));
    r->metrics = alloc_slice(message->metrics.size ? message->metrics : SLICE("[]"));
    r->work.run = look_up_project;
    r->job.run = finish_registration;
    if (message->agent_id.size) {
        router_session_identified(hub->loop.router, s->number, message->agent_id);
        bool reports = message->capabilities & CAPABILITY_IN_FLIGHT && message->in_flight.size;
        r->in_flight = reports ? alloc_slice(message->in_flight) : NULL;
    }
    if (r->project_id[0] == '\0' ||
        marline__worker_pool_submit(hub->options.workers, &r->work) != MARLINE_OK) {
        r->store_failed = true;
        hub_post(hub, &r->job);
    }
}
