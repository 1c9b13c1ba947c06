/* The backend's side of a connection, fed by a peer that says anything: each line of the input is a
 * message, or, where its first byte says so, something else that happens. */
#include "fuzz/fuzz.h"

#include "base/clock.h"
#include "core/agent_session.h"
#include "wire/json_reader.h"

static void check_step(const struct agent_session *s, const struct agent_step *step)
{
    (void)s;
    FUZZ_CHECK(step->reply.size == 0 || marline__json_is_valid(step->reply, JSON_STRICT));
    FUZZ_CHECK(step->close_code == 0 || (step->close_code >= 1000 && step->close_code < 5000));
    FUZZ_CHECK((step->event == AGENT_NOTHING) || step->message != NULL ||
               step->event == AGENT_DRAIN);
}

static void feed_line(struct agent_session *s, struct slice line, uint64_t *now)
{
    struct agent_step step;
    *now += NS_PER_MS;
    switch (line.size > 0 ? line.data[0] : ' ') {
    case 'B':
        agent_session_binary(s, *now, &step);
        break;
    case 'O':
        agent_session_oversize(s, *now, &step);
        break;
    case 'T':
        *now += NS_PER_S * (line.size > 1 ? (unsigned char)line.data[1] : 1);
        agent_session_tick(s, *now, &step);
        break;
    default:
        agent_session_text(s, line, *now, &step);
        if (step.event == AGENT_REGISTER) {
            struct agent_registration outcome = {.error = line.size % 2 ? "no" : NULL,
                                                 .metrics_only = line.size % 3 == 0};
            check_step(s, &step);
            agent_session_registered(s, &outcome, &step);
        }
        break;
    }
    check_step(s, &step);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct agent_identity identity = {SLICE("c"), SLICE("o"), SLICE("u")};
    struct agent_limits limits = agent_limits_default();
    struct slice rest = fuzz_input(data, size);
    struct agent_step step;
    uint64_t now = 1000 * NS_PER_S;
    struct agent_session *s = agent_session_open(&limits, &identity, now, &step);
    FUZZ_CHECK(s);
    check_step(s, &step);
    while (rest.size > 0) {
        const char *newline = memchr(rest.data, '\n', rest.size);
        size_t length = newline ? (size_t)(newline - rest.data) : rest.size;
        feed_line(s, (struct slice){rest.data, length}, &now);
        length += newline != NULL;
        rest = (struct slice){rest.data + length, rest.size - length};
    }
    agent_session_destroy(s);
    return 0;
}
