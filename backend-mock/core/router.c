/* See router.h. Three tables: sessions by number, routes by "project:environment", calls by id. */
#include "core/router.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/list.h"
#include "core/alloc.h"
#include "core/rules.h"
#include "core/text_map.h"

enum { ROUTE_KEY_SIZE = 384 }; /* two names of up to 255 bytes would never both be so long */

struct session {
    uint64_t number;
    char *organization;
    char *credential;
    char *agent_id; /* "" until told */
    char *route;    /* key of the one it registered last; NULL until then */
};

/* Outlives the session: its calls compare with what the agent was. */
struct call {
    struct list node;
    char *id;
    char *route; /* key of the route it was sent over */
    char *organization;
    char *credential; /* "" of a restored call */
    char *agent_id;
    uint64_t session;
    bool is_test;
    bool is_lost;
    uint64_t deadline_ns;
    void *user;
};

struct route {
    uint64_t session;
};

struct router {
    struct router_rules rules;
    struct text_map sessions;
    struct text_map routes;
    struct text_map calls;
    struct list calls_in_order;
    size_t lost_count; /* of calls, still to be handed out */
    /* A lower bound: it may lie before the earliest deadline after that call was completed. */
    uint64_t next_deadline_ns;
    struct text_map completed;
    char *completed_ring[ROUTER_COMPLETED_MAX];
    size_t completed_next;
    struct router_counters counters;
};

/* Routes are keyed by both names; ':' is in no UUID, so keys are unambiguous. */
static struct slice route_key(struct slice project, struct slice environment,
                              char text[ROUTE_KEY_SIZE])
{
    int n = snprintf(text, ROUTE_KEY_SIZE, "%.*s:%.*s", SLICE_ARG(project), SLICE_ARG(environment));
    if (n < 0) {
        n = 0;
    }
    size_t size = (size_t)n < ROUTE_KEY_SIZE ? (size_t)n : ROUTE_KEY_SIZE - 1;
    return (struct slice){text, size};
}

static struct slice session_key(const uint64_t *number)
{
    return (struct slice){(const char *)number, sizeof(*number)};
}

static struct session *find_session(const struct router *r, uint64_t number)
{
    return text_map_get(&r->sessions, session_key(&number));
}

static void free_session(struct session *s)
{
    marline__memory_free(s->organization);
    marline__memory_free(s->credential);
    marline__memory_free(s->agent_id);
    marline__memory_free(s->route);
    marline__memory_free(s);
}

static void free_call(struct call *c)
{
    marline__memory_free(c->id);
    marline__memory_free(c->route);
    marline__memory_free(c->organization);
    marline__memory_free(c->credential);
    marline__memory_free(c->agent_id);
    marline__memory_free(c);
}

struct router *router_create(void)
{
    struct router *r = alloc_zeroed(sizeof(*r));
    text_map_init(&r->sessions);
    text_map_init(&r->routes);
    text_map_init(&r->calls);
    text_map_init(&r->completed);
    marline__list_init(&r->calls_in_order);
    r->next_deadline_ns = TIME_NEVER;
    r->rules = ROUTER_RULES_KEPT;
    return r;
}

void router_set_rules(struct router *r, const struct router_rules *rules)
{
    r->rules = *rules;
}

void router_destroy(struct router *r)
{
    if (!r) {
        return;
    }
    struct text_map_cursor cursor;
    text_map_begin(&r->sessions, &cursor);
    for (struct session *s; (s = text_map_next(&r->sessions, &cursor, NULL));) {
        free_session(s);
    }
    text_map_begin(&r->routes, &cursor);
    for (struct route *route; (route = text_map_next(&r->routes, &cursor, NULL));) {
        marline__memory_free(route);
    }
    LIST_EACH(&r->calls_in_order, node)
    {
        free_call(LIST_ENTRY(node, struct call, node));
    }
    for (size_t i = 0; i < ROUTER_COMPLETED_MAX; i++) {
        marline__memory_free(r->completed_ring[i]);
    }
    text_map_deinit(&r->sessions);
    text_map_deinit(&r->routes);
    text_map_deinit(&r->calls);
    text_map_deinit(&r->completed);
    marline__memory_free(r);
}

/* ---- sessions and routes ---- */

void router_session_opened(struct router *r, uint64_t session, struct slice organization,
                           struct slice credential)
{
    struct session *s = alloc_zeroed(sizeof(*s));
    s->number = session;
    s->organization = alloc_slice(organization);
    s->credential = alloc_slice(credential);
    s->agent_id = alloc_slice(SLICE(""));
    text_map_put(&r->sessions, session_key(&session), s);
}

void router_session_identified(struct router *r, uint64_t session, struct slice agent_id)
{
    struct session *s = find_session(r, session);
    if (s) {
        marline__memory_free(s->agent_id);
        s->agent_id = alloc_slice(agent_id);
    }
}

/* Whether the route ends with the session. Without comparing, that of whoever came after it does,
 * too. */
static bool is_route_of(const struct router *r, const struct route *route, const struct session *s)
{
    if (route->session == s->number || r->rules.compare_and_delete) {
        return route->session == s->number;
    }
    const struct session *owner = find_session(r, route->session);
    return owner && strcmp(owner->agent_id, s->agent_id) == 0;
}

void router_session_closed(struct router *r, uint64_t session)
{
    struct session *s = text_map_remove(&r->sessions, session_key(&session));
    if (!s) {
        return;
    }
    struct text_map_cursor cursor;
    struct slice key;
    text_map_begin(&r->routes, &cursor);
    for (struct route *route; (route = text_map_next(&r->routes, &cursor, &key));) {
        if (is_route_of(r, route, s)) {
            text_map_remove(&r->routes, key);
            marline__memory_free(route);
        }
    }
    free_session(s);
}

void router_register(struct router *r, uint64_t session, struct slice project,
                     struct slice environment)
{
    struct session *s = find_session(r, session);
    if (!s) {
        return; /* closed while its registration was looked into */
    }
    char text[ROUTE_KEY_SIZE];
    struct slice key = route_key(project, environment, text);
    marline__memory_free(s->route);
    s->route = alloc_slice(key);
    struct route *route = text_map_get(&r->routes, key);
    if (!route) {
        route = alloc_zeroed(sizeof(*route));
        text_map_put(&r->routes, key, route);
    }
    route->session = session;
}

uint64_t router_find(const struct router *r, struct slice project, struct slice environment)
{
    char text[ROUTE_KEY_SIZE];
    const struct route *route = text_map_get(&r->routes, route_key(project, environment, text));
    return route ? route->session : 0;
}

/* ---- calls ---- */

struct slice router_agent_id(const struct router *r, uint64_t session)
{
    const struct session *s = find_session(r, session);
    return marline__slice_text(s ? s->agent_id : "");
}

void router_call_begin(struct router *r, const struct router_call *call)
{
    const struct session *s = find_session(r, call->session);
    char text[ROUTE_KEY_SIZE];
    struct call *c = alloc_zeroed(sizeof(*c));
    c->id = alloc_slice(call->id);
    c->route = alloc_slice(route_key(call->project, call->environment, text));
    c->organization = alloc_slice(s ? marline__slice_text(s->organization) : call->organization);
    c->credential = alloc_slice(marline__slice_text(s ? s->credential : ""));
    c->agent_id = alloc_slice(s ? marline__slice_text(s->agent_id) : call->agent_id);
    c->session = call->session;
    c->is_test = call->is_test;
    c->deadline_ns = call->deadline_ns;
    c->user = call->user;
    text_map_put(&r->calls, call->id, c);
    marline__list_push_back(&r->calls_in_order, &c->node);
    if (call->deadline_ns < r->next_deadline_ns) {
        r->next_deadline_ns = call->deadline_ns;
    }
}

void router_remember_completed(struct router *r, struct slice id)
{
    if (!r->rules.remember_completed || text_map_get(&r->completed, id)) {
        return;
    }
    char **slot = &r->completed_ring[r->completed_next];
    r->completed_next = (r->completed_next + 1) % ROUTER_COMPLETED_MAX;
    if (*slot) {
        text_map_remove(&r->completed, marline__slice_text(*slot));
        marline__memory_free(*slot);
    }
    *slot = alloc_slice(id);
    text_map_put(&r->completed, id, *slot);
}

/* Frees the call; returns its user. */
static void *end_call(struct router *r, struct call *c)
{
    void *user = c->user;
    router_remember_completed(r, marline__slice_text(c->id));
    r->lost_count -= c->is_lost;
    text_map_remove(&r->calls, marline__slice_text(c->id));
    marline__list_remove(&c->node);
    if (marline__list_is_empty(&r->calls_in_order)) {
        r->next_deadline_ns = TIME_NEVER;
    }
    free_call(c);
    return user;
}

/* Whether a session speaks for the agent that a call was sent to. An agent that reconnects may
 * deliver before it has registered again; from then on it must have registered the call's route, or
 * be the one that did. */
static bool is_same_agent(const struct router *r, const struct call *c, uint64_t number)
{
    if (number == c->session || !r->rules.agents_not_sessions) {
        return number == c->session;
    }
    const struct session *s = find_session(r, number);
    if (!s || strcmp(s->organization, c->organization) != 0) {
        return false;
    }
    if (c->credential[0] && strcmp(s->credential, c->credential) != 0) {
        return false;
    }
    if (s->agent_id[0] && c->agent_id[0]) {
        return strcmp(s->agent_id, c->agent_id) == 0;
    }
    /* Not who owns the route now: a registration that a dead connection left behind may come late.
     */
    return !s->route || strcmp(s->route, c->route) == 0;
}

enum router_verdict router_complete(struct router *r, struct slice id, uint64_t session,
                                    void **out_user)
{
    struct call *c = text_map_get(&r->calls, id);
    if (!c) {
        bool repeated = text_map_get(&r->completed, id) != NULL;
        r->counters.repeated += repeated;
        r->counters.unknown += !repeated;
        return repeated ? ROUTER_COMPLETED : ROUTER_UNKNOWN;
    }
    if (!is_same_agent(r, c, session)) {
        r->counters.foreign++;
        return ROUTER_FOREIGN;
    }
    r->counters.accepted++;
    r->counters.accepted_elsewhere += c->session != session;
    *out_user = end_call(r, c);
    return ROUTER_ACCEPTED;
}

void *router_cancel(struct router *r, struct slice id)
{
    struct call *c = text_map_get(&r->calls, id);
    return c ? end_call(r, c) : NULL;
}

void *router_expire(struct router *r, uint64_t now_ns)
{
    if (now_ns < r->next_deadline_ns) {
        return NULL;
    }
    uint64_t earliest = TIME_NEVER;
    LIST_EACH(&r->calls_in_order, node)
    {
        struct call *c = LIST_ENTRY(node, struct call, node);
        if (c->deadline_ns <= now_ns) {
            r->counters.expired++;
            return end_call(r, c);
        }
        if (c->deadline_ns < earliest) {
            earliest = c->deadline_ns;
        }
    }
    r->next_deadline_ns = earliest;
    return NULL;
}

/* Only who says who it is can be told from others that serve the same. */
static bool went_to(const struct call *c, const struct session *s)
{
    return c->is_test && c->session != s->number && s->agent_id[0] &&
           strcmp(s->agent_id, c->agent_id) == 0 && strcmp(s->organization, c->organization) == 0 &&
           (!c->credential[0] || strcmp(s->credential, c->credential) == 0);
}

void router_reported(struct router *r, uint64_t session,
                     bool (*has)(const void *reported, struct slice id), const void *reported)
{
    const struct session *s = find_session(r, session);
    if (!s) {
        return;
    }
    LIST_EACH(&r->calls_in_order, node)
    {
        struct call *c = LIST_ENTRY(node, struct call, node);
        if (!c->is_lost && went_to(c, s) && !has(reported, marline__slice_text(c->id))) {
            c->is_lost = true;
            r->lost_count++;
        }
    }
}

void *router_next_lost(struct router *r)
{
    if (r->lost_count == 0) {
        return NULL;
    }
    LIST_EACH(&r->calls_in_order, node)
    {
        struct call *c = LIST_ENTRY(node, struct call, node);
        if (c->is_lost) {
            r->counters.lost++;
            return end_call(r, c);
        }
    }
    return NULL;
}

uint64_t router_next_deadline(const struct router *r)
{
    return r->next_deadline_ns;
}

uint64_t router_call_session(const struct router *r, struct slice id)
{
    const struct call *c = text_map_get(&r->calls, id);
    return c ? c->session : 0;
}

const struct router_counters *router_counters(const struct router *r)
{
    return &r->counters;
}
