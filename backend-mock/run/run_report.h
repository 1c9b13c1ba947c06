/* What a run came to, as read from GET /mock/runs/{id}, and as it is shown to a person. */
#ifndef RUN_RUN_REPORT_H
#define RUN_RUN_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/slice.h"

enum report_status { REPORT_PASS, REPORT_FAIL, REPORT_ERROR, REPORT_SKIPPED };
enum { REPORT_STATUS_COUNT = REPORT_SKIPPED + 1 };

struct report_test {
    char *name;   /* owned; never NULL */
    char *reason; /* owned; NULL when it passed */
    enum report_status status;
    double duration_ms;
    size_t attempts;
    size_t spans;
    size_t linked;
    bool is_complete; /* all spans that are stored, or declared, are linked */
};

struct run_report {
    struct report_test *tests;
    size_t count;
    size_t by_status[REPORT_STATUS_COUNT];
    size_t spans;
    size_t linked;
    bool is_complete; /* of every test that has a result */
    bool is_cancelled;
    bool has_notice;    /* it is known what became of the webhook */
    char *notice_error; /* owned: why it was not told; NULL = it was, or is not known */
};

/* False when the text is not such a body; then nothing is left to free. */
bool run_report_read(struct run_report *r, struct slice body);
void run_report_deinit(struct run_report *r);

/* The table, and the sum below it. */
void run_report_print(const struct run_report *r, double seconds, bool has_colour, FILE *out);

#endif
