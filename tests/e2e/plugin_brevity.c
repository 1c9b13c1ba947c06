/* A plugin that declares a metric and no endpoint. */
#include <string.h>

#include <marline/marline.h>

MARLINE_METRIC(brevity, .description = "The shorter, the better", .score_type = "numeric")
{
    const char *output = marline_input_text(call, "output", NULL);
    (void)marline_score_details_json(call, "{\"unit\":\"bytes\"}");
    return marline_score_number(call, 1.0 / (1.0 + (double)strlen(output)));
}
