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

static double seconds_of(const struct check_run *r)
{
    return (double)(r->ended_ns - r->started_ns) / (double)NS_PER_S;
}

static void print_case(const struct check_run *r, FILE *out)
{
    (void)fprintf(out, "    <testcase classname=\"marline.check\" name=\"%s\" time=\"%.3f\"",
                  r->scenario->name, seconds_of(r));
    const struct words *failures = &r->verdict.failures;
    if (r->obstacle) {
        (void)fputs(">\n      <skipped message=\"", out);
        print_escaped(out, r->obstacle);
        (void)fputs("\"/>\n    </testcase>\n", out);
        return;
    }
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

static void print_suite(const struct check *c, FILE *out)
{
    size_t failed = 0;
    size_t skipped = 0;
    double longest = 0;
    for (size_t i = 0; i < c->run_count; i++) {
        double seconds = seconds_of(&c->runs[i]);
        failed += !check_run_is_pass(&c->runs[i]);
        skipped += c->runs[i].obstacle != NULL;
        longest = seconds > longest ? seconds : longest;
    }
    (void)fprintf(out,
                  "  <testsuite name=\"marline-agent check%s\" tests=\"%zu\" failures=\"%zu\" "
                  "errors=\"0\" skipped=\"%zu\" time=\"%.3f\">\n",
                  c->is_prompt ? " --flush prompt" : "", c->run_count, failed, skipped, longest);
    for (size_t i = 0; i < c->run_count; i++) {
        print_case(&c->runs[i], out);
    }
    (void)fputs("  </testsuite>\n", out);
}

void report_junit(const struct check *const *checks, size_t count, FILE *out)
{
    (void)fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n", out);
    for (size_t i = 0; i < count; i++) {
        print_suite(checks[i], out);
    }
    (void)fputs("</testsuites>\n", out);
}
