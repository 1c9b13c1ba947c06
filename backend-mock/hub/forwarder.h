/* Passes on what was ingested to another OTLP receiver, such as a Collector, Jaeger or Tempo, off
 * the path on which spans are acknowledged: what the receiver refuses or misses costs nobody here
 * anything. One thread, one request at a time, in the order of the commits. A receiver that is down
 * (no connection, 429, 502, 503, 504) is tried again, with growing pauses; what does not fit into
 * the bounded queue meanwhile, or is refused, is dropped, counted and said in the log. */
#ifndef HUB_FORWARDER_H
#define HUB_FORWARDER_H

#include "base/buffer.h"

enum {
    FORWARD_WAITING_MAX = 64 * 1024 * 1024, /* bytes of requests that wait */
    FORWARD_STOP_MS = 2000,                 /* for what waits when the backend stops */
};

struct forwarder;

/* `url` is that of the traces, such as http://127.0.0.1:4318/v1/traces; without a path that one is
 * added. NULL and a sentence in `error` when it is no http(s) URL or no thread can be started. */
struct forwarder *forwarder_start(const char *url, char error[256]);
/* Sends what waits, for FORWARD_STOP_MS at most, and frees. Accepts NULL. */
void forwarder_stop(struct forwarder *f);

/* Takes the memory of an ExportTraceServiceRequest (protobuf) and empties the buffer. Any thread.
 * Accepts NULL: the request is freed. */
void forwarder_send(struct forwarder *f, struct buffer *request, size_t spans);

struct forwarder_counters {
    uint64_t spans;   /* accepted by the receiver */
    uint64_t dropped; /* refused by it, or no room */
    uint64_t waiting;
};
/* Any thread. Zeros for NULL. */
struct forwarder_counters forwarder_counters(struct forwarder *f);

#endif
