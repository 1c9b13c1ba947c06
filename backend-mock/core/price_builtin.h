/* The price file that is compiled in. */
#ifndef CORE_PRICE_BUILTIN_H
#define CORE_PRICE_BUILTIN_H

/* In the format of price_table.h; NUL-terminated. */
extern const char price_builtin_text[];

#endif
