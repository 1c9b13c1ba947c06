/* Seeding of the id generator; see ids.h. */
#include "trace/ids.h"

#include "base/random.h"

void marline__ids_seed(struct id_source *ids)
{
    do {
        marline__random_fill(marline__random_system(), ids->state, sizeof ids->state);
    } while ((ids->state[0] | ids->state[1] | ids->state[2] | ids->state[3]) == 0);
}
