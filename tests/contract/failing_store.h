/* A store that fails as told: wraps another, counts the transactions, and lets chosen ones fail
 * before or after the inner store committed (the answer of a commit can be lost). */
#ifndef TESTS_FAILING_STORE_H
#define TESTS_FAILING_STORE_H

#include "store/store.h"

enum failure_kind {
    FAIL_BEFORE, /* nothing is stored */
    FAIL_AFTER,  /* everything is stored, and the caller is told otherwise */
};

/* Borrows `inner`. `first` … `first + count - 1`, from 1, are the transactions that fail. */
struct store *failing_store_create(struct store *inner, enum failure_kind kind, size_t first,
                                   size_t count);
size_t failing_store_transactions(const struct store *store);

#endif
