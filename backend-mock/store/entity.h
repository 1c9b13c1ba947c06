/* The platform's entities as the store keeps them: documents (endpoints, tests, test sets, test
 * configurations), whose members are JSON, and test runs and results, which have tables of their
 * own. Plain values; the functions are in store.h. */
#ifndef STORE_ENTITY_H
#define STORE_ENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/uuid.h"
#include "core/odata_filter.h"

enum entity_kind {
    ENTITY_ENDPOINT,
    ENTITY_TEST,
    ENTITY_TEST_SET,
    ENTITY_TEST_CONFIGURATION,
    ENTITY_DOCUMENT_COUNT, /* the kinds above can be saved and deleted */
    ENTITY_TEST_RUN = ENTITY_DOCUMENT_COUNT,
    ENTITY_TEST_RESULT,
    ENTITY_KIND_COUNT,
};

/* A document to be written. */
struct store_entity {
    enum entity_kind kind;
    struct uuid id;
    struct uuid project_id; /* nil = without project */
    struct slice name;      /* "" = none */
    struct slice status;    /* NULL data = none; so for the next */
    struct slice environment;
    struct slice body; /* JSON object: all members that the columns do not hold */
    struct uuid endpoint_id;
    struct uuid test_set_id; /* nil = none, both */
};

/* Inserts, or replaces with `update`, all or none. STORE_CONFLICT: an id is taken; STORE_NOT_FOUND:
 * one to be replaced is not there. */
struct store_save_entities {
    struct uuid organization_id;
    const struct store_entity *entities;
    size_t count;
    bool update;
    struct uuid set_id; /* not nil: the tests among them become members of this set */
};

/* What an agent serves in a project and environment: created or replaced, and the other endpoints
 * of that project and environment become Inactive (wire-protocol §2.3, §2.4). One that is known and
 * comes without mappings keeps its body. */
struct store_sync_endpoints {
    struct uuid organization_id;
    struct uuid project_id;
    struct slice environment;
    const struct store_entity *endpoints; /* each id once */
    const bool *has_mappings;             /* of each */
    size_t count;
    /* out */
    size_t created;
    size_t updated;
    size_t marked_inactive;
};

/* Keeps the row, for 410 Gone. STORE_NOT_FOUND when there is none, or no more. */
struct store_delete_entity {
    struct uuid organization_id;
    enum entity_kind kind;
    struct uuid id;
};

/* Adds tests to a set, or removes them. Unknown ones, and those of another project, are left out.
 */
struct store_set_members {
    struct uuid organization_id;
    struct uuid set_id;
    const struct uuid *test_ids;
    size_t count;
    bool remove;
    /* out */
    size_t changed;
};

struct store_entity_query {
    enum entity_kind kind;
    struct uuid id;                    /* nil = all; else this one, even when it is deleted */
    struct uuid set_id;                /* not nil: only tests of this set */
    const struct odata_filter *filter; /* NULL = all; its fields are store_entity_fields(kind) */
    const struct filter_field *sort;   /* one of these fields; NULL = by creation */
    bool descending;
    uint32_t skip;
    uint32_t limit;
};

struct store_entity_row {
    struct uuid id;
    struct uuid project_id;
    struct slice name;   /* "" = none */
    struct slice status; /* the platform's word; NULL data = none */
    uint64_t created_unix_ns;
    uint64_t updated_unix_ns;
    bool is_deleted;
    struct slice environment; /* of endpoints; NULL data = none */
    struct slice body;        /* documents: JSON object; runs: attributes, NULL data = none */
    struct uuid endpoint_id;  /* of documents */
    struct uuid test_set_id;
    size_t test_count; /* of sets and runs */
    struct uuid configuration_id;
    struct uuid run_id; /* of results, as the rest */
    struct uuid test_id;
    uint32_t attempt;
    struct slice output;  /* JSON; NULL data = null, so for the next */
    struct slice metrics; /* JSON object */
    struct slice error;
    struct slice trace_id;
    double duration_ms;
    struct uuid duplicate_of; /* nil = canonical */
};

/* What can be filtered and sorted by. */
const struct filter_field *store_entity_fields(enum entity_kind kind, size_t *out_count);

#endif
