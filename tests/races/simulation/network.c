/* The network between agents and backend; see simulation.h. A connection keeps the order of its
 * messages, as TCP does, and loses those under way when it breaks. POSTs are on their own each. */
#include "simulation.h"

#include <string.h>

#include "core/alloc.h"

enum { CODE_LOST = 1006, AGENT_LEARNS_MS_MAX = 1000, BACKEND_LEARNS_MS_MAX = 20000 };

enum packet_kind { PACKET_OPEN, PACKET_OPENED, PACKET_REFUSED, PACKET_TEXT, PACKET_CLOSED };

struct packet {
    struct simulation *sim;
    enum packet_kind kind;
    int connection;
    int direction;
    uint16_t code;
    bool by_peer;
    struct slice text; /* of `copy` */
    char *copy;        /* owned */
};

static uint64_t delay(struct simulation *s)
{
    unsigned most = s->world.calm ? 5 : s->world.faults.network_ms_max;
    return world_between(&s->world, NS_PER_MS / 10, most * NS_PER_MS);
}

static void deliver_to_backend(struct simulation *s, const struct packet *p)
{
    struct backend *b = backend_of(s, s->connections[p->connection].agent);
    switch (p->kind) {
    case PACKET_OPEN:
        break;
    case PACKET_TEXT:
        backend_on_text(b, p->connection, p->text);
        break;
    case PACKET_CLOSED:
        backend_on_closed(b, p->connection);
        break;
    case PACKET_OPENED:
    case PACKET_REFUSED:
        break;
    }
}

static void deliver_to_agent(struct simulation *s, const struct packet *p)
{
    struct agent *a = &s->agents[s->connections[p->connection].agent];
    if (!a->up || a->life != s->connections[p->connection].agent_life) {
        return;
    }
    switch (p->kind) {
    case PACKET_OPENED:
        agent_on_opened(a, p->connection);
        break;
    case PACKET_REFUSED:
        agent_on_refused(a, p->connection);
        break;
    case PACKET_TEXT:
        agent_on_text(a, p->connection, p->text);
        break;
    case PACKET_CLOSED:
        agent_on_closed(a, p->connection, p->code, p->by_peer);
        break;
    case PACKET_OPEN:
        break;
    }
}

static void send(struct simulation *s, const struct packet *p, uint64_t after_ns);

/* The backend answers an upgrade at once: open, or nobody there. */
static void answer_open(struct simulation *s, int connection)
{
    struct connection *c = &s->connections[connection];
    struct backend *b = backend_of(s, c->agent);
    bool accepted = b->up && !c->broken;
    send(s,
         &(struct packet){.sim = s,
                          .kind = accepted ? PACKET_OPENED : PACKET_REFUSED,
                          .connection = connection,
                          .direction = TO_AGENT},
         delay(s));
    if (accepted) {
        (void)backend_on_connect(b, connection);
    }
}

static void arrive(struct world *w, void *user, bool dead)
{
    (void)w;
    struct packet *p = user;
    struct simulation *s = p->sim;
    bool carried = !s->connections[p->connection].broken || p->kind == PACKET_CLOSED ||
                   p->kind == PACKET_REFUSED;
    if (!dead && p->kind == PACKET_OPEN) {
        answer_open(s, p->connection);
    } else if (!dead && carried && p->direction == TO_BACKEND) {
        deliver_to_backend(s, p);
    } else if (!dead && carried) {
        deliver_to_agent(s, p);
    }
    marline__memory_free(p->copy);
    marline__memory_free(p);
}

static void send(struct simulation *s, const struct packet *p, uint64_t after_ns)
{
    struct packet *copy = alloc_zeroed(sizeof *copy);
    *copy = *p;
    if (p->text.size) {
        copy->copy = alloc_slice(p->text);
        copy->text.data = copy->copy;
    }
    uint64_t *ready_ns = &s->connections[p->connection].ready_ns[p->direction];
    uint64_t at = s->world.now_ns + after_ns;
    *ready_ns = at > *ready_ns ? at : *ready_ns;
    world_after(&s->world, *ready_ns - s->world.now_ns, arrive, copy, NULL);
}

int network_connect(struct simulation *s, int agent)
{
    if (s->connection_count == CONNECTIONS_MAX) {
        world_violate(&s->world, "more than %d connections: nothing comes to rest",
                      CONNECTIONS_MAX);
        return -1;
    }
    int number = s->connection_count++;
    s->connections[number] =
        (struct connection){.agent = agent, .agent_life = s->agents[agent].life};
    send(s,
         &(struct packet){
             .sim = s, .kind = PACKET_OPEN, .connection = number, .direction = TO_BACKEND},
         delay(s));
    return number;
}

void network_text(struct simulation *s, int connection, int direction, struct slice text)
{
    if (s->connections[connection].broken) {
        return;
    }
    send(s,
         &(struct packet){.sim = s,
                          .kind = PACKET_TEXT,
                          .connection = connection,
                          .direction = direction,
                          .text = text},
         delay(s));
    if (world_fault(&s->world, s->world.faults.cuts)) {
        network_cut(s, connection);
    }
}

static void tell_end(struct simulation *s, int connection, int direction, uint16_t code,
                     bool by_peer, uint64_t after_ns)
{
    send(s,
         &(struct packet){.sim = s,
                          .kind = PACKET_CLOSED,
                          .connection = connection,
                          .direction = direction,
                          .code = code,
                          .by_peer = by_peer},
         after_ns);
}

void network_close(struct simulation *s, int connection, int direction, uint16_t code)
{
    s->connections[connection].ended = true;
    tell_end(s, connection, direction, code, true, delay(s));
}

void network_cut(struct simulation *s, int connection)
{
    struct connection *c = &s->connections[connection];
    if (c->broken || c->ended) {
        return;
    }
    c->broken = true;
    world_visit(&s->world, SITUATION_CUT);
    world_log(&s->world, "connection %d of agent %d is cut", connection, c->agent);
    tell_end(s, connection, TO_AGENT, CODE_LOST, false,
             world_between(&s->world, 0, AGENT_LEARNS_MS_MAX * NS_PER_MS));
    tell_end(s, connection, TO_BACKEND, CODE_LOST, false,
             world_between(&s->world, 0, BACKEND_LEARNS_MS_MAX * NS_PER_MS));
}

/* ---- POSTs ---- */

struct parcel {
    struct simulation *sim;
    int http_status; /* of an answer */
    struct post *post;
};

static struct parcel *pack(struct simulation *s, const struct post *post, int http_status)
{
    size_t size = sizeof *post + post->count * sizeof post->spans[0];
    struct parcel *parcel = alloc_zeroed(sizeof *parcel);
    *parcel = (struct parcel){.sim = s, .http_status = http_status, .post = alloc_zeroed(size)};
    memcpy(parcel->post, post, size);
    return parcel;
}

static void unpack(struct parcel *parcel)
{
    marline__memory_free(parcel->post);
    marline__memory_free(parcel);
}

enum { NO_CONNECTION = 0 };

static void post_arrives(struct world *w, void *user, bool dead)
{
    (void)w;
    struct parcel *parcel = user;
    struct simulation *s = parcel->sim;
    struct backend *b = &s->backends[parcel->post->backend];
    if (!dead && b->up) {
        backend_on_post(b, parcel->post);
    } else if (!dead) {
        network_answer(s, parcel->post, NO_CONNECTION);
    }
    unpack(parcel);
}

/* Returns the backend it goes to: any, as behind a load balancer. */
static int deliver_post(struct simulation *s, const struct post *post)
{
    struct parcel *parcel = pack(s, post, 0);
    if (s->backend_count > 1) {
        parcel->post->backend = (int)world_between(&s->world, 0, (uint64_t)s->backend_count - 1);
    }
    world_after(&s->world, delay(s), post_arrives, parcel, NULL);
    return parcel->post->backend;
}

void network_post(struct simulation *s, const struct post *post)
{
    if (world_fault(&s->world, s->world.faults.post_loss)) {
        world_visit(&s->world, SITUATION_POST_LOST);
        world_log(&s->world, "POST %s is lost on its way", post->id);
        return;
    }
    int first = deliver_post(s, post);
    if (world_fault(&s->world, s->world.faults.post_repeat)) {
        world_visit(&s->world, SITUATION_POST_REPEATED);
        if (deliver_post(s, post) != first) {
            world_visit(&s->world, SITUATION_POST_ELSEWHERE);
        }
    }
}

static void answer_arrives(struct world *w, void *user, bool dead)
{
    (void)w;
    struct parcel *parcel = user;
    struct agent *a = &parcel->sim->agents[parcel->post->agent];
    if (!dead && a->up) {
        agent_on_answer(a, parcel->post->number, parcel->http_status);
    }
    unpack(parcel);
}

void network_answer(struct simulation *s, const struct post *post, int http_status)
{
    if (world_fault(&s->world, s->world.faults.post_loss)) {
        world_visit(&s->world, SITUATION_POST_LOST);
        world_log(&s->world, "the answer to POST %s is lost", post->id);
        return;
    }
    world_after(&s->world, delay(s), answer_arrives, pack(s, post, http_status), NULL);
}
