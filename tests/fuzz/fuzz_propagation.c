/* A carrier as a peer sends it, one "name: value" a line: extracted, injected, extracted again. */
#include "fuzz/fuzz.h"

#include <string.h>
#include <strings.h>

#include <marline/propagation.h>

struct carrier {
    struct slice lines; /* of the peer */
    char *out[3];       /* what was injected, owned */
};

static const char *const names[] = {"traceparent", "tracestate", "baggage"};

static size_t get_line(void *user, const char *name, marline_string *out, size_t max)
{
    const struct carrier *c = user;
    const char *at = c->lines.data;
    const char *end = at + c->lines.size;
    size_t name_size = strlen(name);
    size_t count = 0;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t size = newline ? (size_t)(newline - at) : (size_t)(end - at);
        if (size > name_size && at[name_size] == ':' && strncasecmp(at, name, name_size) == 0) {
            if (count < max) {
                out[count] = (marline_string){at + name_size + 1, size - name_size - 1};
            }
            count++;
        }
        at += size + 1;
    }
    return count;
}

static void set_out(void *user, const char *name, const char *value)
{
    struct carrier *c = user;
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            free(c->out[i]);
            c->out[i] = value ? strdup(value) : NULL;
        }
    }
}

static size_t get_out(void *user, const char *name, marline_string *out, size_t max)
{
    const struct carrier *c = user;
    for (size_t i = 0; i < 3; i++) {
        if (max > 0 && c->out[i] && strcmp(name, names[i]) == 0) {
            out[0] = marline_text(c->out[i]);
            return 1;
        }
    }
    return 0;
}

static void check_same(struct carrier *c, const marline_span *span)
{
    struct carrier again = {.lines = SLICE_EMPTY};
    marline_context *context =
        marline_extract(MARLINE_PROPAGATE_ALL, marline_context_root(), get_out, c);
    marline_span second = marline_span_current(context);
    FUZZ_CHECK(memcmp(span->context.trace_id, second.context.trace_id, 16) == 0);
    FUZZ_CHECK(memcmp(span->context.span_id, second.context.span_id, 8) == 0);
    marline_inject(MARLINE_PROPAGATE_ALL, context, set_out, &again);
    for (size_t i = 0; i < 3; i++) {
        FUZZ_CHECK(!c->out[i] == !again.out[i]);
        FUZZ_CHECK(!c->out[i] || strcmp(c->out[i], again.out[i]) == 0);
        free(again.out[i]);
    }
    marline_context_unref(context);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct carrier c = {.lines = fuzz_input(data, size)};
    marline_context *context =
        marline_extract(MARLINE_PROPAGATE_ALL, marline_context_root(), get_line, &c);
    marline_span span = marline_span_current(context);
    marline_inject(MARLINE_PROPAGATE_ALL, context, set_out, &c);
    check_same(&c, &span);
    for (size_t i = 0; i < 3; i++) {
        free(c.out[i]);
    }
    marline_context_unref(context);
    return 0;
}
