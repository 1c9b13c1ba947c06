/* A run as JUnit XML, as CI services read it: a test suite, a test case per test. Attempts before
 * the last one show as Surefire's flakyError (the test passed in the end) or rerunError. Any
 * thread. */
#ifndef HTTP_RUN_JUNIT_H
#define HTTP_RUN_JUNIT_H

#include "base/buffer.h"
#include "store/store.h"

enum store_status run_junit_write(struct store *store, const struct store_scope *scope,
                                  const struct uuid *run_id, struct buffer *out,
                                  struct store_error *error);

#endif
