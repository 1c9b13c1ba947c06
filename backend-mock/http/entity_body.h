/* What the body of a request says a document shall be: checked member by member, with the
 * platform's error texts. Members that are not known are left out, as on the platform. */
#ifndef HTTP_ENTITY_BODY_H
#define HTTP_ENTITY_BODY_H

#include "http/body_faults.h"
#include "store/entity.h"

enum { ENTITY_BODY_MAX = 256 * 1024, ENTITY_TEXT_MAX = 255 };

/* A document to be written, and what its slices point to. */
struct entity_draft {
    struct store_entity entity;
    struct buffer body;
    struct buffer name;
    bool has_project; /* the body names one, or null */
};

/* `object` is well-formed. `where` is its place for the faults. `before` is what is stored, for an
 * update: members that are not named stay, and none is required; NULL when it is created. What the
 * text of the faults does not cover is in *out, to be deinitialised in any case. */
void entity_body_read(enum entity_kind kind, struct slice object, const char *where,
                      const struct store_entity_row *before, struct body_faults *faults,
                      struct entity_draft *out);
void entity_draft_deinit(struct entity_draft *draft);

#endif
