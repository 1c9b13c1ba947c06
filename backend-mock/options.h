/* The command line of marline-backend-mock. */
#ifndef BACKEND_OPTIONS_H
#define BACKEND_OPTIONS_H

#include <stdint.h>

#include "base/log.h"
#include "programs/exit_code.h"

struct options {
    const char *listen;
    const char *store;
    const char *api_key;        /* NULL = made at the first start */
    const char *ready_file;     /* NULL = none */
    const char *otlp_anonymous; /* a project; NULL = a key is needed */
    uint32_t message_size_max;  /* of agents' messages, characters */
    uint32_t rate_per_second;   /* of agents' messages; 0 = any */
    uint32_t idle_timeout_ms;   /* 0 = never */
    enum log_level log_level;
};

enum options_outcome {
    OPTIONS_SERVE,
    OPTIONS_DONE, /* help or version was printed */
    OPTIONS_WRONG /* said so on stderr */
};
/* Texts borrow from argv. */
enum options_outcome options_read(int argc, char **argv, struct options *out);

#endif
