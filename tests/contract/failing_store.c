/* A store that fails as told. */
#include "failing_store.h"

#include <stdio.h>
#include <stdlib.h>

struct failing_store {
    struct store base;
    struct store *inner;
    enum failure_kind kind;
    size_t first;
    size_t count;
    size_t transactions;
};

static void failing_close(struct store *base)
{
    free(base);
}

static enum store_status failing_write_all(struct store *base, struct store_write *const *writes,
                                           size_t count, struct store_error *error)
{
    struct failing_store *store = (struct failing_store *)base;
    size_t number = ++store->transactions;
    bool fails = number >= store->first && number < store->first + store->count;
    if (!fails || store->kind == FAIL_AFTER) {
        enum store_status status = store_write_all(store->inner, writes, count, error);
        if (!fails || status != STORE_OK) {
            return status;
        }
    }
    error->status = STORE_FULL;
    (void)snprintf(error->text, sizeof error->text, "no space left (transaction %zu)", number);
    for (size_t i = 0; i < count; i++) {
        writes[i]->outcome = *error;
    }
    return STORE_FULL;
}

static enum store_status failing_waiting_keys(struct store *base, size_t limit, store_key_fn visit,
                                              void *user, struct store_error *error)
{
    struct failing_store *store = (struct failing_store *)base;
    return store_waiting_keys(store->inner, limit, visit, user, error);
}

struct store *failing_store_create(struct store *inner, enum failure_kind kind, size_t first,
                                   size_t count)
{
    static const struct store_ops ops = {
        .close = failing_close,
        .write_all = failing_write_all,
        .waiting_keys = failing_waiting_keys,
    };
    struct failing_store *store = calloc(1, sizeof *store);
    store->base.ops = &ops;
    store->inner = inner;
    store->kind = kind;
    store->first = first;
    store->count = count;
    return &store->base;
}

size_t failing_store_transactions(const struct store *base)
{
    return ((const struct failing_store *)base)->transactions;
}
