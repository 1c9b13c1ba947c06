/* What is wrong with a request body, collected in FastAPI's form (wire-protocol §5.3):
 * {"detail":[{"type","loc","msg","ctx"}, …]}. One thread at a time. */
#ifndef HTTP_BODY_FAULTS_H
#define HTTP_BODY_FAULTS_H

#include "http/http_request.h"
#include "wire/json_reader.h"
#include "wire/json_writer.h"

enum { BODY_FAULTS_MAX = 100 }; /* reported; a body with more is beyond reading */

struct body_faults {
    struct buffer text;
    struct json_writer w;
    size_t count;
};

void body_faults_init(struct body_faults *f);
void body_faults_deinit(struct body_faults *f);
/* `where` is the place in the body, its names separated by dots ("tests.3.prompt"; "" = the body
 * itself); `ctx` a JSON object or NULL. */
void body_faults_add(struct body_faults *f, const char *type, const char *where, const char *msg,
                     const char *ctx);
/* 422. There is at least one fault; they are empty afterwards. */
void body_faults_answer(struct body_faults *f, struct http_request *r);

/* Checks that the body is JSON and an object. False when it has answered 422. */
bool body_is_object(struct http_request *r);
/* The n-th parameter of the path as a UUID, called `name` in the answer. False when it has answered
 * 422. */
bool body_path_uuid(struct http_request *r, size_t n, const char *name, struct uuid *out);

#endif
