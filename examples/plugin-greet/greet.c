/* A plugin: endpoints in a shared object, loaded by marline-agent.
 *
 *     marline-agent run --plugin build/release/lib/plugin-greet.so
 */
#include <stdlib.h>

#include <marline/marline.h>

/* Every call is a span, function.greet, linked to the test that caused it. */
MARLINE_ENDPOINT(greet, .description = "Greets by name")
{
    const char *name = marline_input_text(call, "input", "world");
    return marline_output_format(call, "Hello, %s!", name);
}

/* A block with a span of its own, which ends on every path out of it. */
static long long sum_of_squares(long long n)
{
    MARLINE_OBSERVE(sum, "function.sum_of_squares");
    marline_span_set_int(&sum.span, "n", n);
    long long total = 0;
    for (long long i = 1; i <= n; i++) {
        total += i * i;
    }
    return total;
}

MARLINE_ENDPOINT(squares, .description = "Adds the squares of 1 to n")
{
    enum { N_MAX = 1000000 };
    long long n = marline_input_int(call, "n", 10);
    if (n < 1 || n > N_MAX) {
        return marline_fail(call, "n must be from 1 to %d, not %lld", N_MAX, n);
    }
    return marline_output_format(call, "%lld", sum_of_squares(n));
}
