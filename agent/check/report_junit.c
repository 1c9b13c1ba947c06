/* The outcome of a check for a CI service. */
#include "agent/check/report.h"

#include "base/clock.h"

/* Escapes for text and attributes alike; what XML 1.0 cannot hold becomes '?'. */
static void print_escaped(FILE *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        switch (*c) {
        case '&':
            (void)fputs("&amp;", out);
            break;
        case '<':
            (void)fputs("&lt;", out);
            break;
        case '>':
            (void)fputs("&gt;", out);
            break;
        case '"':
            (void)fputs("&quot;", out);
            break;
        default:
            (void)fputc((unsigned char)*c < ' ' && *c != '\n' && *c != '\t' ? '?' : *c, out);
            break;
        }
    }
}

static double seconds_of(const struct check *c, const struct check_run *r)
{
    return (r->ended_at - r->started_at) * (double)c->pace->interval_ns / (double)NS_PER_S;
}

static void print_case(const struct check *c, const struct check_run *r, FILE *out)
{
    (void)fprintf(out, "    <testcase classname=\"marline.check\" name=\"%s\" time=\"%.3f\"",
                  r->scenario->name, seconds_of(c, r));
    const struct words *failures = &r->verdict.failures;
    if (failures->count == 0) {
        (void)fputs("/>\n", out);
        return;
    }
    (void)fputs(">\n      <failure message=\"", out);
    print_escaped(out, failures->items[0]);
    (void)fputs("\">", out);
    for (size_t i = 0; i < failures->count; i++) {
        print_escaped(out, failures->items[i]);
        (void)fputc('\n', out);
    }
    (void)fputs("</failure>\n    </testcase>\n", out);
}

void report_junit(const struct check *c, FILE *out)
{
    size_t failed = 0;
    double longest = 0;
    for (size_t i = 0; i < c->run_count; i++) {
        double seconds = seconds_of(c, &c->runs[i]);
        failed += !verdict_is_pass(&c->runs[i].verdict);
        longest = seconds > longest ? seconds : longest;
    }
    (void)fprintf(out,
                  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                  "<testsuites>\n"
                  "  <testsuite name=\"marline-agent check\" tests=\"%zu\" failures=\"%zu\" "
                  "errors=\"0\" time=\"%.3f\">\n",
                  c->run_count, failed, longest);
    for (size_t i = 0; i < c->run_count; i++) {
        print_case(c, &c->runs[i], out);
    }
    (void)fputs("  </testsuite>\n</testsuites>\n", out);
}
