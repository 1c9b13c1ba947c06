/* Writing documents for a request: checked, referred to what exists, stored, answered. */
#ifndef HTTP_ENTITY_SAVE_H
#define HTTP_ENTITY_SAVE_H

#include "http/entity.h"
#include "http/entity_body.h"
#include "http/routes.h"

/* One write of several drafts. */
struct entity_save {
    struct http_request *request;
    struct server *server;
    struct entity_draft *drafts; /* owned; the first is answered with */
    size_t count;
    struct store_entity *entities; /* of the drafts, once they are complete */
    struct entity_copy before;     /* of an update */
    struct uuid set_id;            /* nil, or the set that the tests belong to */
    /* Instead of the answer and the freeing, after the commit, on its thread. Not `ok`: the request
     * has its answer. NULL: the first entity is the answer. */
    void (*done)(struct entity_save *save, bool ok);
    void *user; /* of `done` */
    struct commit commit;
};

/* With room for `count` drafts, none read yet. */
struct entity_save *entity_save_create(struct http_request *r, size_t count);
void entity_save_free(struct entity_save *save);

/* Puts the draft into the project that its body names, or that of the scope; and sees that what it
 * refers to exists there. False when it has answered. */
bool entity_save_place(struct entity_save *save, struct entity_draft *draft,
                       const struct store_scope *scope);
/* Stores, then answers, and frees the save; or calls `done`. */
void entity_save_begin(struct entity_save *save);
/* The row as it is after the commit; texts are borrowed from the draft. */
void entity_save_row(const struct entity_save *save, size_t index, struct store_entity_row *out);

#endif
