/* The words of the REST contract. */
#include "core/outcome.h"

const char *run_status_name(enum run_status status)
{
    static const char *const names[] = {"queued", "running", "completed", "cancelled",
                                        "cancelling"};
    return names[status];
}

const char *result_status_name(enum result_status status)
{
    static const char *const names[] = {"Pass", "Fail", "Error"};
    return names[status];
}

const char *link_point_name(enum link_point point)
{
    static const char *const names[] = {"result", "ingest", "sweep"};
    return names[point];
}
