/* What an http endpoint asks of which service. Plain data: filled while the configuration is read,
 * then read only. */
#ifndef AGENT_HTTP_TARGET_H
#define AGENT_HTTP_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/words.h"
#include "programs/failure.h"

/* name -> template, or name -> JSON pointer. */
struct http_pair {
    char *name;
    char *value;
};

struct http_pairs {
    struct http_pair *items;
    size_t count;
    size_t capacity;
};

struct http_target {
    char *method; /* NULL = POST */
    char *url;    /* template; NULL = this is no http endpoint */
    struct http_pairs headers;
    char *body;                 /* JSON with holes; NULL = the inputs as they are */
    struct http_pairs response; /* member of the output -> JSON pointer; empty = the whole answer */
    char *ca_file;              /* PEM, as the next two; NULL = none */
    char *certificate_file;
    char *key_file;
};

void http_target_deinit(struct http_target *t);
/* Copies. */
void http_pairs_add(struct http_pairs *p, const char *name, const char *value);
/* A URL that is none, a method with a space, …: a failure that names the endpoint and the place. */
bool http_target_check(const struct http_target *t, const char *where, const char *name,
                       struct failure *f);

#endif
