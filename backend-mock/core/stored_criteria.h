/* What a stored test expects of its answer, as criteria (core/criteria.h):
 *
 *     test_metadata.expect, .metrics    as in a file of tests; else those of metadata
 *     prompt.expected_response          with metrics: what they are given as expected_output;
 *                                       with neither: what the text of the answer must be
 *
 * Pure; aborts when there is no memory. */
#ifndef CORE_STORED_CRITERIA_H
#define CORE_STORED_CRITERIA_H

#include "base/buffer.h"
#include "core/criteria.h"

/* Appends them. `test` is the body of the entity; where the answer's text is, `response_mapping`
 * says: a raw object, or empty. False, and nothing appended, when the test expects nothing: then an
 * answer that succeeded passes. */
bool stored_criteria_write(struct slice test, struct slice response_mapping, struct buffer *out);

/* The member of the test that is at fault ("test_metadata"), and an error; NULL: none is. */
const char *stored_criteria_fault(struct slice test, char error[CRITERIA_ERROR_SIZE]);

#endif
