/* Tracing: providers, tracers, spans. OpenTelemetry's model in C, safe from any thread unless a
 * function says otherwise. No call crashes on NULL, on an ended span, or after shutdown (otel.md
 * API-09).
 *
 * A span is a small value, copied freely; nothing needs freeing. Once ended, every copy of it
 * ignores changes, and its ids stay readable, so it is still a valid parent (otel.md SPN-10). */
#ifndef MARLINE_TRACE_H
#define MARLINE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <marline/context.h>
#include <marline/resource.h>
#include <marline/sampler.h>
#include <marline/span_data.h>
#include <marline/status.h>

MARLINE_BEGIN_DECLS

/* What makes, processes and exports spans; a program has one as a rule. */
typedef struct marline_provider marline_provider;
/* Starts spans under the name of the code that traces. */
typedef struct marline_tracer marline_tracer;

enum { MARLINE_TRACE_ID_TEXT_SIZE = 33, MARLINE_SPAN_ID_TEXT_SIZE = 17 }; /* with the NUL */

/* What identifies a span everywhere. */
typedef struct marline_span_context {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t flags;  /* W3C: bit 0 sampled, bit 1 random */
    bool is_remote; /* came from another process */
} marline_span_context;

/* A handle of a span; copies are handles of the same one. */
typedef struct marline_span {
    marline_span_context context;
    /* private */
    bool has_own_state; /* the sampler gave it a trace state */
    void *record;
    uint64_t generation;
} marline_span;

/* ---- values: MARLINE_STRING("key", "text") and friends build attributes in place ---- */

static inline marline_string marline_text(const char *text)
{
    marline_string s = {text, text ? strlen(text) : 0};
    return s;
}

/* ---- spans ---- */

/* How a span starts. Start from MARLINE_SPAN_OPTIONS_INIT. */
typedef struct marline_span_options {
    size_t size;             /* sizeof(marline_span_options) */
    marline_span_kind kind;  /* optional: 0 = INTERNAL */
    marline_context *parent; /* optional, borrowed during the call: NULL = current context */
    bool force_root;         /* optional: a new trace whatever the parent (CTX-13) */
    uint64_t start_unix_ns;  /* optional: 0 = now */
    const marline_attribute *attributes; /* optional, copied; the sampler sees them */
    size_t attribute_count;
    const marline_link_data *links; /* optional, copied */
    size_t link_count;
    /* optional, borrowed during the call: a span of an earlier process that is recorded once more,
     * under its old ids, for it may have been lost. Who has it already sees a repeat. */
    const marline_span_context *again;
} marline_span_options;

/* Everything left out. */
#define MARLINE_SPAN_OPTIONS_INIT                                                                  \
    {                                                                                              \
        sizeof(marline_span_options), (marline_span_kind)0, NULL, false, 0, NULL, 0, NULL, 0, NULL \
    }

/* Starts a span. Does not make it current (CTX-12): see marline_scope_enter and MARLINE_OBSERVE.
 * options may be NULL. A NULL tracer gives a span that records nothing and passes its parent's ids
 * on. */
MARLINE_API marline_span marline_span_start(marline_tracer *tracer, const char *name,
                                            const marline_span_options *options);
/* A span that only carries the ids of a remote parent; put it into a context to continue its trace.
 */
MARLINE_API marline_span marline_span_remote(const marline_span_context *context);
/* The span of a context (NULL: the thread's current one); without one a non-recording, invalid
 * span. */
MARLINE_API marline_span marline_span_current(marline_context *context);

/* The first end wins; never blocks on I/O (SPN-10, SPN-11). Fits __attribute__((cleanup)). */
MARLINE_API void marline_span_end(marline_span *span);
/* As marline_span_end, with an end time of your own: nanoseconds since 1970. */
MARLINE_API void marline_span_end_at(marline_span *span, uint64_t end_unix_ns);

/* A link to a span, of this process or of another: its ids, without attributes, to which the caller
 * may add. All zero for an invalid span. */
static inline marline_link_data marline_link_to(const marline_span *span)
{
    marline_link_data link;
    memset(&link, 0, sizeof link);
    memcpy(link.trace_id, span->context.trace_id, sizeof link.trace_id);
    memcpy(link.span_id, span->context.span_id, sizeof link.span_id);
    link.flags = span->context.flags;
    link.is_remote = span->context.is_remote;
    return link;
}

/* False once ended, or when not sampled. */
MARLINE_API bool marline_span_is_recording(const marline_span *span);
/* Writes lower-case hexadecimal and a NUL. */
MARLINE_API void marline_span_trace_id_text(const marline_span *span,
                                            char out[MARLINE_TRACE_ID_TEXT_SIZE]);
MARLINE_API void marline_span_id_text(const marline_span *span,
                                      char out[MARLINE_SPAN_ID_TEXT_SIZE]);

/* Copies. The same key overwrites (SPN-03). A NULL or empty key is ignored; a NULL text counts as
 * "". */
MARLINE_API void marline_span_set_text(marline_span *span, const char *key, const char *value);
MARLINE_API void marline_span_set_string(marline_span *span, const char *key, marline_string value);
MARLINE_API void marline_span_set_int(marline_span *span, const char *key, int64_t value);
MARLINE_API void marline_span_set_double(marline_span *span, const char *key, double value);
MARLINE_API void marline_span_set_bool(marline_span *span, const char *key, bool value);
MARLINE_API void marline_span_set_attribute(marline_span *span, const marline_attribute *attribute);

/* time_unix_ns 0 = now. Copies. */
MARLINE_API void marline_span_add_event(marline_span *span, const char *name, uint64_t time_unix_ns,
                                        const marline_attribute *attributes, size_t count);
/* Prefer links at start: the sampler sees those (SPN-06). Copies. */
MARLINE_API void marline_span_add_link(marline_span *span, const marline_link_data *link);
/* OK beats ERROR beats UNSET; a description is kept with ERROR only (SPN-08, SPN-09). */
MARLINE_API void marline_span_set_status(marline_span *span, marline_span_status status,
                                         const char *description);
/* Replaces the name. Copies; the sampler has decided already. */
MARLINE_API void marline_span_update_name(marline_span *span, const char *name);
/* Adds an `exception` event with exception.type and exception.message (either may be NULL, not
 * both); neither sets the status nor ends the span (SPN-12). */
MARLINE_API void marline_span_record_exception(marline_span *span, const char *type,
                                               const char *message);
/* The usual end of failed work: exception event, status ERROR with the message, error.type = type.
 */
MARLINE_API void marline_span_fail(marline_span *span, const char *type, const char *message);

/* For an error on the way: puts it on the thread's current span, as marline_span_fail does, and
 * into the log as one line with the trace and span id, in one call. The text is cut at 400 bytes.
 */
MARLINE_API void marline_record_error(const char *type, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- scopes ---- */

/* A span that is current from begin to the end of its block. */
typedef struct marline_observed {
    marline_span span;
    marline_scope scope;
} marline_observed;

/* Starts a child of the current span with the global provider's tracer and makes it current.
 * `observed` lives on the stack and must not move. */
MARLINE_API void marline_observe_begin(marline_observed *observed, const char *name);
/* Leaves the scope; ends the span with status OK unless another status was set. */
MARLINE_API void marline_observe_end(marline_observed *observed);

/* Traces the rest of the enclosing block, on every path out of it:
 *     MARLINE_OBSERVE(lookup, "function.lookup");
 *     marline_span_set_text(&lookup.span, "word", word); */
#define MARLINE_OBSERVE(variable, name)                                                            \
    __attribute__((cleanup(marline_observe_end))) marline_observed variable;                       \
    marline_observe_begin(&(variable), (name))

/* ---- exporters ---- */

/* What became of one batch. */
typedef struct marline_export_result {
    size_t exported;
    size_t rejected; /* refused for good by the receiver, or invalid for its protocol */
    size_t failed;   /* not delivered: retries used up, or the deadline passed */
    char reason[MARLINE_ERROR_TEXT_SIZE]; /* one line when rejected or failed > 0 */
    /* NULL, or one for each span, all false: an exporter that knows which spans failed sets theirs,
     * and then only those are kept for a later delivery; else the whole batch is. */
    bool *is_failed;
} marline_export_result;

/* A destination for finished spans; initialise with designators, the rest with zeros. Calls never
 * overlap (PRC-03) and come from the processor's thread. An exporter must not wait for spans of its
 * own: those that it makes in a simple processor are dropped (rejected). `spans` and all it points
 * to are borrowed during the call. exported + rejected + failed = count. */
typedef struct marline_exporter {
    void (*export_spans)(void *user, const marline_span_data *spans, size_t count,
                         uint64_t timeout_ms, marline_export_result *out);
    /* optional */
    marline_status (*force_flush)(void *user, uint64_t timeout_ms);
    /* optional; may be called while export_spans or force_flush runs, and must make it return soon.
     * Later exports may follow. */
    void (*cancel)(void *user);
    /* optional; in the child of a fork, before any other call there: to let go of connections and
     * locks that are the parent's */
    void (*after_fork)(void *user);
    /* optional; last call */
    void (*destroy)(void *user);
    void *user;
    /* optional: export_spans always returns by its timeout. Saves the thread that would watch over
     * an exporter with cancel. */
    bool keeps_timeout;
} marline_exporter;

/* The platform's own channel: POST {base_url}/telemetry/traces (wire-protocol §4.8, §5). Texts are
 * copied. Retries 408, 429, 5xx and lost connections, three attempts within 10 s a chunk of 100. */
typedef struct marline_platform_exporter_options {
    size_t size;                  /* sizeof(marline_platform_exporter_options) */
    const char *base_url;         /* required: http(s):// or ws(s):// */
    const char *api_key;          /* required */
    const char *project_id;       /* optional */
    const char *environment;      /* optional: NULL = "development" */
    const char *ca_file;          /* optional: PEM, replaces the system's trust store */
    const char *certificate_file; /* optional: PEM, of this client */
    const char *key_file;         /* optional: PEM, its key */
} marline_platform_exporter_options;

/* MARLINE_EINVAL names the option at fault. */
MARLINE_API marline_status marline_exporter_platform_create(
    const marline_platform_exporter_options *options, marline_exporter *out, marline_error *error);

/* Keeps what is exported, for tests of your own. Any thread may read. */
typedef struct marline_memory_exporter marline_memory_exporter;
MARLINE_API marline_memory_exporter *marline_memory_exporter_create(marline_exporter *out);
/* Forgets what it has. */
MARLINE_API void marline_memory_exporter_reset(marline_memory_exporter *memory);
/* How many spans it keeps. */
MARLINE_API size_t marline_memory_exporter_count(marline_memory_exporter *memory);
/* Copies nothing: the view is valid until the exporter is destroyed or reset. NULL beyond the end.
 */
MARLINE_API const marline_span_data *marline_memory_exporter_span(marline_memory_exporter *memory,
                                                                  size_t index);

/* ---- provider ---- */

/* Why a span was not exported. */
typedef enum marline_drop_reason {
    MARLINE_DROP_QUEUE_FULL,
    MARLINE_DROP_LIMITS,
    MARLINE_DROP_REJECTED,
    MARLINE_DROP_TIMEOUT,
    MARLINE_DROP_SHUTDOWN,
    MARLINE_DROP_SPOOL_FULL,
    MARLINE_DROP_UNSAMPLED,
    MARLINE_DROP_REASONS, /* how many */
} marline_drop_reason;

/* The balance of a provider: started = exported + spooled + sum of dropped + in_flight, at every
 * moment. A span that several exporters get counts as exported once one of them delivered it. */
typedef struct marline_delivery {
    uint64_t started;
    uint64_t exported;
    uint64_t spooled; /* waiting on disk for a later delivery, in this process or in the next */
    uint64_t dropped[MARLINE_DROP_REASONS];
    uint64_t in_flight; /* running, queued, or being exported */
} marline_delivery;

/* Where ids come from instead of the library's own generator (CTX-03). Called from any thread,
 * several at once. Both functions are required; ids of zeros are drawn again a few times, then the
 * library's are taken. */
typedef struct marline_id_generator {
    void (*trace_id)(void *user, uint8_t out[16]);
    void (*span_id)(void *user, uint8_t out[8]);
    void (*destroy)(void *user); /* optional */
    void *user;
    bool is_random; /* the low 56 bits of trace ids are: roots say so in their flags (CTX-09) */
} marline_id_generator;

/* How a provider works. Start from MARLINE_PROVIDER_OPTIONS_INIT. */
typedef struct marline_provider_options {
    size_t size;              /* sizeof(marline_provider_options) */
    const char *service_name; /* optional: OTEL_SERVICE_NAME, else unknown_service:<program> */
    const marline_attribute *resource; /* optional, copied: more resource attributes */
    size_t resource_count;
    /* optional, taken, on failure too: NULL = OTEL_TRACES_SAMPLER, else parent-based always on */
    const marline_sampler *sampler;
    const marline_span_limits
        *limits; /* optional, copied: NULL = OTEL_*_LIMIT, else the defaults */
    /* optional, taken once the provider is made: NULL = random, from the kernel's seed */
    const marline_id_generator *ids;
    /* optional, copied: of your program's detectors, merged. It beats the environment; `resource`
     * and `service_name` beat it. Its schema URL becomes that of all. */
    const marline_resource *detected;
} marline_provider_options;

/* Everything left out. */
#define MARLINE_PROVIDER_OPTIONS_INIT                                                              \
    {                                                                                              \
        sizeof(marline_provider_options), NULL, NULL, 0, NULL, NULL, NULL, NULL                    \
    }

/* options may be NULL. With OTEL_SDK_DISABLED=true the provider records nothing and starts no
 * thread; ids pass through. */
MARLINE_API marline_status marline_provider_create(const marline_provider_options *options,
                                                   marline_provider **out, marline_error *error);
/* Stops what still runs, as shutdown with a timeout of 0, and frees. Spans of it become inert. */
MARLINE_API void marline_provider_destroy(marline_provider *provider);

/* The process-wide default, used by MARLINE_OBSERVE; NULL until set (then nothing is recorded).
 * Borrowed: the provider must stay alive until another, or NULL, is set. */
MARLINE_API void marline_provider_set_global(marline_provider *provider);
MARLINE_API marline_provider *marline_provider_global(void);

/* Never NULL for a non-NULL provider; owned by the provider; the same name gives the same tracer.
 */
MARLINE_API marline_tracer *marline_tracer_get(marline_provider *provider, const char *name,
                                               const char *version);

/* All of a scope. Start from MARLINE_TRACER_OPTIONS_INIT. */
typedef struct marline_tracer_options {
    size_t size;                         /* sizeof(marline_tracer_options) */
    const char *name;                    /* of the instrumentation; without one the log says so */
    const char *version;                 /* optional */
    const char *schema_url;              /* optional: of the attributes' names */
    const marline_attribute *attributes; /* optional, of the scope */
    size_t attribute_count;
} marline_tracer_options;

/* Everything left out. */
#define MARLINE_TRACER_OPTIONS_INIT                                                                \
    {                                                                                              \
        sizeof(marline_tracer_options), NULL, NULL, NULL, NULL, 0                                  \
    }

/* As marline_tracer_get, with all of a scope (API-02). Copies. The same options give the same
 * tracer; one stays until the provider is destroyed, so attributes that vary belong on spans. */
MARLINE_API marline_tracer *marline_tracer_get_with(marline_provider *provider,
                                                    const marline_tracer_options *options);

/* False while nothing that the tracer starts would be recorded: no processor, shut down, or
 * disabled. The answer may change, so ask each time (API-05). */
MARLINE_API bool marline_tracer_is_enabled(const marline_tracer *tracer);

/* When a batch leaves, and how large. Start from MARLINE_BATCH_OPTIONS_INIT. */
typedef struct marline_batch_options {
    size_t size;                /* sizeof(marline_batch_options) */
    uint32_t queue_max;         /* optional: 0 = OTEL_BSP_MAX_QUEUE_SIZE, else 2048 */
    uint32_t batch_max;         /* optional: 0 = OTEL_BSP_MAX_EXPORT_BATCH_SIZE, else 512 */
    uint32_t interval_ms;       /* optional: 0 = OTEL_BSP_SCHEDULE_DELAY, else 5000 */
    uint32_t export_timeout_ms; /* optional: 0 = OTEL_BSP_EXPORT_TIMEOUT, else 30000 */
    bool
        prompt; /* optional: the end of a root, or of a child of a remote parent, exports at once */
    bool no_thread; /* optional: the program calls marline_provider_pump instead */
    /* optional, copied: a file for batches that cannot be delivered; they are sent when the
     * receiver is back, oldest first, and by the next process if need be. NULL = MARLINE_SPOOL,
     * else none;
     * "" = none. One process at a time has a file; a forked child makes one of its own beside it,
     * spool_path.child-PID, from which the parent, or the next process, takes up what is left. */
    const char *spool_path;
    uint64_t spool_bytes_max;   /* optional: 0 = MARLINE_SPOOL_BYTES, else 64 MiB; what comes beyond
                                   is dropped */
    uint32_t spool_spans_per_s; /* optional: how fast it is emptied; 0 = 1000 */
} marline_batch_options;

/* Everything left out. */
#define MARLINE_BATCH_OPTIONS_INIT                                                                 \
    {                                                                                              \
        sizeof(marline_batch_options), 0, 0, 0, 0, false, false, NULL, 0, 0                        \
    }

/* Adds a batch processor with a thread of its own. Exports happen when batch_max spans wait, on
 * flush, on shutdown, and every interval_ms counted from this call, so that the ticks are
 * predictable: tick k is at the time of this call + k * interval_ms. Takes the exporter, on failure
 * too. options may be NULL.
 *
 * An export that lasts longer than export_timeout_ms is cancelled (BSP-05). After three failed ones
 * in a row the exporter is left alone for 5 s, then for longer, a minute at most; meanwhile batches
 * go into the spool, or, without one, wait in the queue.
 *
 * MARLINE_ESTATE: another process has the spool. MARLINE_EIO: it cannot be opened, or the file is
 * something else. A spool that only MARLINE_SPOOL names is then done without, and the log says so.
 */
MARLINE_API marline_status
marline_provider_add_batch_processor(marline_provider *provider, const marline_exporter *exporter,
                                     const marline_batch_options *options, marline_error *error);

/* Adds a processor that exports each span alone, in the thread that ends it: for tests and
 * consoles, because marline_span_end waits for the exporter, and so do flush and destroy. A span
 * that the exporter itself makes meanwhile cannot be exported: it is dropped (rejected). Takes the
 * exporter, on failure too. */
MARLINE_API marline_status marline_provider_add_simple_processor(marline_provider *provider,
                                                                 const marline_exporter *exporter,
                                                                 marline_error *error);

/* A processor of your own. All functions are optional. on_start gets the running span, which it may
 * change, and the context it started under (NULL = the thread's current one); on_end the ended
 * span, read-only, borrowed during the call. Both run in the thread that starts or ends the span,
 * several at once, and must not block (PRC-01). destroy is the last call. */
typedef struct marline_span_processor {
    void (*on_start)(void *user, marline_span *span, marline_context *parent);
    /* Between the two, in the thread that ends the span: the end time is fixed, the span may still
     * be changed. All on_ending come before any on_end (PRC-02). */
    void (*on_ending)(void *user, marline_span *span);
    void (*on_end)(void *user, const marline_span_data *span);
    marline_status (*force_flush)(void *user, uint64_t timeout_ms);
    marline_status (*shutdown)(void *user, uint64_t timeout_ms);
    void (*destroy)(void *user);
    void *user;
} marline_span_processor;

/* Copies the table, takes `user`, on failure too. Processors run in the order they were added. */
MARLINE_API marline_status marline_provider_add_processor(marline_provider *provider,
                                                          const marline_span_processor *processor,
                                                          marline_error *error);

/* Exports everything ended before the call. MARLINE_ETIMEDOUT when the deadline came first. */
MARLINE_API marline_status marline_provider_force_flush(marline_provider *provider,
                                                        uint64_t timeout_ms);
/* For batch processors with no_thread: exports what is due, in the calling thread, and returns
 * after how many milliseconds to call again (UINT64_MAX: no such processor). Call it from an event
 * loop, and whenever a full batch should not wait for that; flush and shutdown do the same work in
 * their callers, and their timeouts bound its exports. One thread at a time does it; a call while
 * another is at it returns at once.
 *
 * An exporter of your own that has cancel and does not keep its timeout is cancelled by another
 * thread: in a shutdown by one that is started for it; one without cancel holds its caller. */
MARLINE_API uint64_t marline_provider_pump(marline_provider *provider);

/* Flushes within the timeout, then stops: whatever is left is counted as dropped. Once; a second
 * call answers MARLINE_ESTATE. */
MARLINE_API marline_status marline_provider_shutdown(marline_provider *provider,
                                                     uint64_t timeout_ms);
/* The balance as it stands: a snapshot. */
MARLINE_API void marline_provider_delivery(const marline_provider *provider, marline_delivery *out);

/* What the spools of a provider hold and did, of this process's spans and of earlier ones'. The
 * latter are not in the balance: it was another process that started them. */
typedef struct marline_spool_state {
    uint64_t waiting_spans;
    uint64_t waiting_bytes;
    uint64_t recovered;      /* spans of earlier processes that were delivered */
    uint64_t recovered_lost; /* refused, or lost with a damaged file */
    uint64_t damaged_files;  /* set aside */
} marline_spool_state;

/* A snapshot of the spools of all batch processors. */
MARLINE_API void marline_provider_spool(const marline_provider *provider, marline_spool_state *out);

MARLINE_END_DECLS
#endif
