/* See world.h. Events are a binary heap by time and, at one time, by the order of their making. */
#include "world.h"

#include <stdarg.h>
#include <string.h>

#include "core/alloc.h"

enum { LOG_LINE_SIZE = 512, HEAP_FIRST = 256 };

#define FNV_OFFSET 14695981039346656037ull
#define FNV_PRIME  1099511628211ull

const char *situation_text(enum situation situation)
{
    static const char *const texts[] = {
#define SITUATION_TEXT(name, text) text,
        SITUATIONS(SITUATION_TEXT)
#undef SITUATION_TEXT
    };
    return texts[situation];
}

void world_init(struct world *w, uint64_t seed, enum mutant mutant, FILE *log)
{
    *w = (struct world){.mutant = mutant, .log = log, .log_hash = FNV_OFFSET};
    w->random = marline__random_seeded(&w->seeded, seed);
}

/* ---- events ---- */

static bool is_before(const struct event_slot *a, const struct event_slot *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void swap(struct event_slot *a, struct event_slot *b)
{
    struct event_slot c = *a;
    *a = *b;
    *b = c;
}

void world_after(struct world *w, uint64_t delay_ns, world_fn run, void *user, const uint64_t *life)
{
    if (w->count == w->capacity) {
        w->capacity = w->capacity ? 2 * w->capacity : HEAP_FIRST;
        w->heap = alloc_resize(w->heap, w->capacity * sizeof *w->heap);
    }
    size_t at = w->count++;
    w->heap[at] = (struct event_slot){.at_ns = w->now_ns + delay_ns,
                                      .order = w->orders++,
                                      .run = run,
                                      .user = user,
                                      .life = life,
                                      .life_then = life ? *life : 0};
    while (at > 0 && is_before(&w->heap[at], &w->heap[(at - 1) / 2])) {
        swap(&w->heap[at], &w->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static struct event_slot pop(struct world *w)
{
    struct event_slot first = w->heap[0];
    w->heap[0] = w->heap[--w->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < w->count && is_before(&w->heap[child + 1], &w->heap[child])) {
            child++;
        }
        if (child >= w->count || !is_before(&w->heap[child], &w->heap[at])) {
            return first;
        }
        swap(&w->heap[child], &w->heap[at]);
        at = child;
    }
}

bool world_step(struct world *w, uint64_t until_ns)
{
    if (w->count == 0 || w->heap[0].at_ns > until_ns) {
        return false;
    }
    struct event_slot event = pop(w);
    w->now_ns = event.at_ns;
    w->steps++;
    event.run(w, event.user, event.life && *event.life != event.life_then);
    return true;
}

void world_deinit(struct world *w)
{
    while (w->count > 0) {
        struct event_slot event = pop(w);
        event.run(w, event.user, true);
    }
    marline__memory_free(w->heap);
}

uint64_t world_wall_ns(const struct world *w)
{
    return WORLD_WALL_BASE_S * NS_PER_S + w->now_ns;
}

/* ---- chance ---- */

uint64_t world_random(struct world *w)
{
    return marline__random_u64(&w->random);
}

uint64_t world_between(struct world *w, uint64_t low, uint64_t high)
{
    return low + marline__random_below(&w->random, high - low + 1);
}

bool world_fault(struct world *w, unsigned per_mille)
{
    return !w->calm && per_mille > 0 && marline__random_below(&w->random, 1000) < per_mille;
}

bool world_is_mutant(const struct world *w, enum mutant mutant)
{
    return w->mutant == mutant;
}

/* ---- what is told ---- */

void world_visit(struct world *w, enum situation situation)
{
    w->visited |= (uint64_t)1 << situation;
}

static void log_line(struct world *w, const char *format, va_list arguments)
{
    char line[LOG_LINE_SIZE];
    int n = snprintf(line, sizeof line, "%12.6f  ", (double)w->now_ns / (double)NS_PER_S);
    (void)vsnprintf(line + n, sizeof line - (size_t)n, format, arguments);
    for (const char *c = line; *c; c++) {
        w->log_hash = (w->log_hash ^ (unsigned char)*c) * FNV_PRIME;
    }
    if (w->log) {
        (void)fprintf(w->log, "%s\n", line);
    }
}

void world_log(struct world *w, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_line(w, format, arguments);
    va_end(arguments);
}

void world_violate(struct world *w, const char *format, ...)
{
    if (w->violation[0]) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(w->violation, sizeof w->violation, format, arguments);
    va_end(arguments);
    world_log(w, "VIOLATION %s", w->violation);
}
