/* How runs, results and links are said to stand: the words of the REST contract. Plain values. */
#ifndef CORE_OUTCOME_H
#define CORE_OUTCOME_H

/* Stored as numbers. Cancelling: told to end, and what was dispatched has not its result yet. */
enum run_status { RUN_QUEUED, RUN_RUNNING, RUN_COMPLETED, RUN_CANCELLED, RUN_CANCELLING };
enum result_status { RESULT_PASS, RESULT_FAIL, RESULT_ERROR };
/* Who found a link: point 1 (after a result), point 2 (after spans), or the sweeper. */
enum link_point { LINK_POINT_RESULT, LINK_POINT_INGEST, LINK_POINT_SWEEP };
enum { LINK_POINT_COUNT = 3 };

const char *run_status_name(enum run_status status);       /* "queued" … */
const char *result_status_name(enum result_status status); /* "Pass" … */
const char *link_point_name(enum link_point point);        /* "result" … */

#endif
