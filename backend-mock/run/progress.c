/* See progress.h. */
#include "run/progress.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire/json_pointer.h"

enum { BAR_COLUMNS = 24 };

void progress_init(struct progress *p, FILE *out, bool is_wanted)
{
    const char *terminal = getenv("TERM");
    *p = (struct progress){.out = out};
    p->is_shown = is_wanted && isatty(fileno(out)) && terminal && strcmp(terminal, "dumb") != 0;
}

void progress_clear(struct progress *p)
{
    if (p->is_dirty) {
        (void)fputs("\r\033[K", p->out);
        (void)fflush(p->out);
        p->is_dirty = false;
    }
}

void progress_text(struct progress *p, const char *text)
{
    if (p->is_shown) {
        (void)fprintf(p->out, "\r\033[K  %s", text);
        (void)fflush(p->out);
        p->is_dirty = true;
    }
}

static unsigned long count_of(struct slice body, const char *pointer)
{
    struct slice raw = SLICE_EMPTY;
    return marline__json_pointer_find(body, pointer, &raw) ? strtoul(raw.data, NULL, 10) : 0;
}

void progress_run(struct progress *p, struct slice body, double seconds)
{
    unsigned long tests = count_of(body, "/tests");
    unsigned long passed = count_of(body, "/passed");
    unsigned long failed = count_of(body, "/failed");
    unsigned long errors = count_of(body, "/errors");
    unsigned long done = passed + failed + errors + count_of(body, "/skipped");
    if (!p->is_shown || tests == 0) {
        return;
    }
    unsigned long filled = done * BAR_COLUMNS / tests;
    (void)fputs("\r\033[K  ", p->out);
    for (unsigned long i = 0; i < BAR_COLUMNS; i++) {
        (void)fputs(i < filled ? "█" : "░", p->out);
    }
    (void)fprintf(p->out, " %lu of %lu · %lu passed · %lu failed · %lu running · %.1f s", done,
                  tests, passed, failed + errors, count_of(body, "/running"), seconds);
    (void)fflush(p->out);
    p->is_dirty = true;
}
