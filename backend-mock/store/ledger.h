/* What became of all spans that came in. Part of store.h. */
#ifndef STORE_LEDGER_H
#define STORE_LEDGER_H

#include <stdint.h>

#include "core/outcome.h"

/* Conservation (I5), counted from the rows themselves: received = stored + rejected + duplicate;
 * stored = linked + waiting + without_context. */
struct store_ledger {
    uint64_t received;
    uint64_t stored;
    uint64_t rejected;
    uint64_t duplicate;
    uint64_t linked;
    uint64_t waiting;
    uint64_t without_context;
    uint64_t links_by_source[LINK_POINT_COUNT];
};

#endif
