/* The agent's side of a connection, fed by a backend that says anything: each line of the input is
 * a message, or, where its first byte says so, something else that happens. Handlers return at
 * random moments, connections come and go. */
#include "fuzz/fuzz.h"

#include "base/clock.h"
#include "connector/session.h"
#include "wire/json_reader.h"

enum { JOBS_MAX = 16, OUTPUTS_MAX = 10000 };

struct rig {
    struct session *session;
    uint64_t now;
    uint64_t random;
    struct session_job *jobs[JOBS_MAX];
    size_t job_count;
};

static bool find(void *user, struct slice name, struct session_endpoint *out)
{
    (void)user;
    *out = (struct session_endpoint){.key = 1, .timeout_ms = 2000, .concurrency = 1};
    return marline__slice_is(name, "f");
}

static void write_registration(void *user, struct buffer *functions, struct buffer *metrics)
{
    (void)user;
    marline__buffer_append_text(functions, "[{\"name\":\"f\"}]");
    marline__buffer_append_text(metrics, "[]");
}

static void take_action(struct rig *rig, const struct session_action *action)
{
    if (action->type == SESSION_INVOKE) {
        FUZZ_CHECK(rig->job_count < JOBS_MAX);
        rig->jobs[rig->job_count++] = action->job;
    } else if (action->type == SESSION_CONNECT) {
        rig->random = rig->random * 6364136223846793005u + 1442695040888963407u;
        if (rig->random >> 62 == 0) {
            marline__session_refused(rig->session, rig->now, rig->random, 503, "busy");
        } else {
            marline__session_opened(rig->session, rig->now);
        }
    } else if (action->type == SESSION_CLOSE) {
        marline__session_closed(rig->session, rig->now, rig->random, action->code, false,
                                SLICE_EMPTY);
    }
}

/* Takes all that the session wants done now. It must come to rest. */
static void drain(struct rig *rig)
{
    struct session_action action;
    struct slice text;
    size_t outputs = 0;
    bool more = true;
    while (more) {
        more = false;
        while (marline__session_next_action(rig->session, rig->now, &action)) {
            take_action(rig, &action);
            more = true;
            FUZZ_CHECK(++outputs < OUTPUTS_MAX);
        }
        if (marline__session_next_text(rig->session, rig->now, &text)) {
            FUZZ_CHECK(marline__json_is_valid(text, JSON_ALLOW_NON_FINITE));
            (void)marline__session_written(rig->session, rig->now);
            more = true;
            FUZZ_CHECK(++outputs < OUTPUTS_MAX);
        }
    }
}

static void finish_job(struct rig *rig)
{
    if (rig->job_count == 0) {
        return;
    }
    struct session_job *job = rig->jobs[0];
    rig->job_count--;
    memmove(&rig->jobs[0], &rig->jobs[1], rig->job_count * sizeof rig->jobs[0]);
    if (job->is_metric) {
        marline__session_metric_finished(
            rig->session, rig->now,
            &(struct message_metric_result){.metric_run_id = job->test.invocation_id,
                                            .success = true});
    } else {
        marline__session_finished(
            rig->session, rig->now,
            &(struct message_test_result){.invocation_id = job->test.invocation_id,
                                          .success = true,
                                          .output = job->test.inputs});
    }
    marline__session_job_free(job);
}

static void feed_line(struct rig *rig, struct slice line)
{
    uint64_t amount = line.size > 1 ? (unsigned char)line.data[1] : 1;
    switch (line.size > 0 ? line.data[0] : ' ') {
    case 'T': /* time */
        rig->now += amount * NS_PER_S / 4;
        marline__session_tick(rig->session, rig->now);
        break;
    case 'C': /* the connection ends */
        marline__session_closed(rig->session, rig->now, rig->random, (uint16_t)(1000 + amount % 16),
                                amount % 2 == 0, SLICE("bye"));
        break;
    case 'F': /* a handler returns */
        finish_job(rig);
        break;
    case 'E':
        marline__session_endpoints_changed(rig->session, rig->now);
        break;
    case 'S':
        marline__session_stop(rig->session, rig->now, amount * NS_PER_S);
        break;
    default:
        marline__session_text(rig->session, rig->now, line);
        break;
    }
    rig->now += NS_PER_MS;
    drain(rig);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct session_host host = {
        .find_endpoint = find, .find_metric = find, .write_registration = write_registration};
    const struct session_options options = {.project_id = SLICE("p"),
                                            .environment = SLICE("local"),
                                            .agent_id = SLICE("a"),
                                            .sdk_version = SLICE("1"),
                                            .concurrency = 2,
                                            .queue_max = 3,
                                            .backoff_first_ns = NS_PER_S,
                                            .backoff_max_ns = 60 * NS_PER_S};
    struct slice rest = fuzz_input(data, size);
    struct rig rig = {.now = 1000 * NS_PER_S, .random = size};
    rig.session = marline__session_create(&options, &host);
    FUZZ_CHECK(rig.session);
    marline__session_start(rig.session, rig.now);
    drain(&rig);
    while (rest.size > 0) {
        const char *newline = memchr(rest.data, '\n', rest.size);
        size_t length = newline ? (size_t)(newline - rest.data) : rest.size;
        feed_line(&rig, (struct slice){rest.data, length});
        length += newline != NULL;
        rest = (struct slice){rest.data + length, rest.size - length};
    }
    while (rig.job_count > 0) {
        finish_job(&rig);
    }
    marline__session_destroy(rig.session);
    return 0;
}
