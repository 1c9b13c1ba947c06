/* The contract of store.h as tests, to be run on every kind of store. */
#ifndef TESTS_STORE_CONTRACT_H
#define TESTS_STORE_CONTRACT_H

#include "store_fixture.h"

/* Each runs its group on the kind and returns the number of failures. */
int run_entity_contract(const struct store_kind *kind);
int run_link_contract(const struct store_kind *kind);
int run_failure_contract(const struct store_kind *kind);
int run_trace_contract(const struct store_kind *kind);
int run_document_contract(const struct store_kind *kind);
/* For kinds that outlive their process. */
int run_durability_contract(const struct store_kind *kind);

#define CONTRACT_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

#endif
