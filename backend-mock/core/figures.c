/* Decimal rounding through the C library's exact conversion; scaling by a power of ten instead
 * would round twice (1.005, 2 places). Text is read back as it was written, so the locale's decimal
 * point does not matter. */
#include "core/figures.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

double figure_round(double value, int places)
{
    char text[DBL_MAX_10_EXP + FIGURE_PLACES_MAX + 8];
    assert(places >= 0 && places <= FIGURE_PLACES_MAX);
    if (!isfinite(value)) {
        return value;
    }
    (void)snprintf(text, sizeof text, "%.*f", places, value);
    return strtod(text, NULL) + 0.0;
}
