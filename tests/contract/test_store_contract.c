/* The store contract on SQLite, file and memory. */
#include "store_contract.h"

int main(void)
{
    static const struct store_kind *const kinds[] = {&sqlite_file_kind, &sqlite_memory_kind};
    int failures = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        failures += run_entity_contract(kinds[i]);
        failures += run_link_contract(kinds[i]);
        failures += run_failure_contract(kinds[i]);
        failures += run_trace_contract(kinds[i]);
        failures += run_document_contract(kinds[i]);
    }
    return failures + run_durability_contract(&sqlite_file_kind);
}
