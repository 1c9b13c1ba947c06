/* Reading OTEL_* variables; see environment.h. */
#include "trace/environment.h"

#include <stdlib.h>
#include <strings.h>

#include "base/log.h"

const char *marline__environment_text(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] != '\0' ? value : NULL;
}

bool marline__environment_flag(const char *name)
{
    const char *value = marline__environment_text(name);
    if (!value || strcasecmp(value, "false") == 0) {
        return false;
    }
    if (strcasecmp(value, "true") == 0) {
        return true;
    }
    marline__log(LOG_WARN, "%s=%.40s is neither true nor false; it counts as false", name, value);
    return false;
}

uint32_t marline__environment_number(const char *name, uint32_t minimum, uint32_t otherwise)
{
    const char *value = marline__environment_text(name);
    if (!value) {
        return otherwise;
    }
    uint64_t number = 0;
    const char *at = value;
    while (*at >= '0' && *at <= '9' && number <= INT32_MAX) {
        number = number * 10 + (uint64_t)(*at++ - '0');
    }
    if (*at != '\0' || number > INT32_MAX || number < minimum) {
        marline__log(LOG_WARN, "%s=%.40s is no whole number from %u to %d; %u is used", name, value,
                     minimum, INT32_MAX, otherwise);
        return otherwise;
    }
    return (uint32_t)number;
}
