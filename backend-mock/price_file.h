/* Reads the file of --price-file. */
#ifndef BACKEND_PRICE_FILE_H
#define BACKEND_PRICE_FILE_H

#include <stdbool.h>

#include "core/price_table.h"
#include "programs/failure.h"

/* The built-in prices with those of the file over them; path NULL: the built-in ones alone. The
 * caller owns the table. A model whose entry is flawed is passed over and counted in the log. */
bool price_file_load(const char *path, struct price_table **out, struct failure *f);

#endif
