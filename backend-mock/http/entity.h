/* The platform's entities over REST (wire-protocol §8.7): what the kinds are called, how one is
 * read and shown, and how a list is asked for. */
#ifndef HTTP_ENTITY_H
#define HTTP_ENTITY_H

#include "http/http_request.h"
#include "store/store.h"
#include "wire/json_writer.h"

/* The kind that the first segment of the path names; ENTITY_KIND_COUNT for others. */
enum entity_kind entity_kind_of(const struct http_request *r);
const char *entity_id_parameter(enum entity_kind kind); /* "test_run_id" */

/* One entity, with texts of its own. */
struct entity_copy {
    struct store_entity_row row;
    char *texts[8];
};
void entity_copy_deinit(struct entity_copy *copy);

/* Reads one that the scope may see. False, and *out empty, when it has answered: 404, 410 for one
 * that was deleted, or the store's failure. */
bool entity_read(struct http_request *r, const struct store_scope *scope, enum entity_kind kind,
                 const struct uuid *id, struct entity_copy *out);
/* The same by the n-th parameter of the path, in the scope of the request. */
bool entity_read_path(struct http_request *r, size_t n, enum entity_kind kind,
                      struct entity_copy *out);
/* 404 in the platform's form. */
void entity_answer_not_found(struct http_request *r, enum entity_kind kind, const struct uuid *id);

/* An object. */
void entity_write(struct json_writer *w, enum entity_kind kind, const struct uuid *organization_id,
                  const struct store_entity_row *row);
void entity_answer(struct http_request *r, enum entity_kind kind,
                   const struct store_entity_row *row);
/* Answers a page as the query asks for it (skip, limit, sort_by, sort_order, $filter, $select),
 * with X-Total-Count. Only tests of the set, unless `set_id` is NULL. */
void entity_answer_list(struct http_request *r, enum entity_kind kind, const struct uuid *set_id);

/* Of an SDK endpoint: who is called. Empty for others. Raw JSON texts, without their quotes. */
struct entity_target {
    struct uuid project_id;
    struct slice environment;
    struct slice function_name;
    struct slice request_mapping; /* raw object, or empty; so for the next */
    struct slice response_mapping;
};
/* False when the endpoint is no function of an SDK. */
bool entity_target_of(const struct store_entity_row *endpoint, struct entity_target *out);

#endif
