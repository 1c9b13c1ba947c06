/* Plays one order of the four steps of linking on a real backend. */
#include "agent/check/conductor.h"

#include <ctype.h>
#include <string.h>

#include "base/clock.h"

enum { POLL_MS = 2 };

static const char *const steps_of_result[] = {"result.store", "result.link"};
static const char *const steps_of_spans[] = {"spans.store", "spans.link"};

bool schedule_check(const char *letters, struct failure *f)
{
    size_t results = 0;
    size_t spans = 0;
    for (const char *c = letters; *c; c++) {
        results += toupper((unsigned char)*c) == 'R';
        spans += toupper((unsigned char)*c) == 'S';
    }
    if (strlen(letters) == SCHEDULE_LENGTH && results == 2 && spans == 2) {
        return true;
    }
    return failure_set(f, EXIT_CODE_USAGE,
                       "schedule '%s' cannot run: it takes two R (the result is stored, then "
                       "linked) and two S (spans are stored, then linked), such as RSRS",
                       letters);
}

/* The name of the index-th step. */
static const char *step_at(const char *letters, size_t index)
{
    bool is_result = toupper((unsigned char)letters[index]) == 'R';
    size_t earlier = 0;
    for (size_t i = 0; i < index; i++) {
        earlier += toupper((unsigned char)letters[i]) == toupper((unsigned char)letters[index]);
    }
    return is_result ? steps_of_result[earlier % 2] : steps_of_spans[earlier % 2];
}

enum link_point schedule_links_at(const char *letters)
{
    size_t stored = 0;
    for (size_t i = 0; i < SCHEDULE_LENGTH; i++) {
        const char *step = step_at(letters, i);
        if (strstr(step, ".store")) {
            stored++;
        } else if (stored == 2) {
            return strcmp(step, steps_of_result[1]) == 0 ? LINK_RESULT : LINK_INGEST;
        }
    }
    return LINK_NONE;
}

bool conductor_shut(struct backend_api *api, struct failure *f)
{
    return backend_api_set_gates(api, true, f);
}

/* Waits until the gate has what is asked for: a write before it, or one more behind it. */
static bool await(struct backend_api *api, struct pace *pace, const char *step, uint64_t committed,
                  bool is_arrival, struct failure *f)
{
    double poll = (double)(POLL_MS * NS_PER_MS) / (double)pace->interval_ns;
    uint64_t deadline = pace_at(pace, pace_now(pace)) + CONDUCTOR_STEP_TIMEOUT_MS * NS_PER_MS;
    for (;;) {
        struct gate_state state = {0};
        if (!backend_api_read_gate(api, step, &state, f)) {
            return false;
        }
        if (is_arrival ? state.waiting > 0 : state.committed > committed) {
            return true;
        }
        if (pace_at(pace, pace_now(pace)) > deadline || !pace_wait(pace, pace_now(pace) + poll)) {
            return failure_set(f, EXIT_CODE_UNREACHABLE,
                               "step %s did not %s within %d s; the backend's log may say why",
                               step, is_arrival ? "come" : "end", CONDUCTOR_STEP_TIMEOUT_MS / 1000);
        }
    }
}

static bool play_step(struct backend_api *api, struct pace *pace, const char *step,
                      struct failure *f)
{
    struct gate_state before = {0};
    return await(api, pace, step, 0, true, f) && backend_api_read_gate(api, step, &before, f) &&
           backend_api_release(api, step, f) && await(api, pace, step, before.committed, false, f);
}

bool conductor_play(struct backend_api *api, struct pace *pace, const char *letters,
                    struct failure *f)
{
    bool ok = true;
    for (size_t i = 0; ok && i < SCHEDULE_LENGTH; i++) {
        ok = play_step(api, pace, step_at(letters, i), f);
    }
    struct failure ignored = FAILURE_INIT; /* the first failure is the one to tell */
    return backend_api_set_gates(api, false, ok ? f : &ignored) && ok;
}
