/* Which turn of a conversation a root span belongs to, so that the answer is shown at the span that
 * gave it and at no other of the same trace. Pure: turns and spans come in, in whatever order they
 * were stored; nothing is kept. Any thread. */
#ifndef CORE_TRACE_TURNS_H
#define CORE_TRACE_TURNS_H

#include "core/trace_view.h"

struct trace_turn {
    struct slice conversation_id; /* NULL data = none */
    struct slice input;
    struct slice output; /* NULL data = the turn failed, or is under way */
    uint64_t started_unix_ns;
    uint64_t ended_unix_ns; /* 0 = under way */
};

/* Both by start. Gives spans without conversation that of the turns, and to the root of a turn its
 * output. The root is the span without parent that was asked the same and started while the turn
 * was under way. When not one root fits its turn so, the clocks of the two sides differ: then equal
 * questions go by their order, once all of their roots are there. The spans borrow from the turns.
 */
void trace_turns_apply(const struct trace_turn *turns, size_t turn_count, struct trace_span *spans,
                       size_t span_count);

#endif
