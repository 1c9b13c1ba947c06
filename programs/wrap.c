/* Text in lines that fit. */
#include "programs/wrap.h"

#include <stdbool.h>
#include <string.h>

/* Code points: every byte but the continuation bytes of UTF-8. */
static size_t count_columns(const char *word, size_t size)
{
    size_t columns = 0;
    for (size_t i = 0; i < size; i++) {
        columns += ((unsigned char)word[i] & 0xC0u) != 0x80u;
    }
    return columns;
}

void wrap_print(FILE *out, const char *text, size_t column, size_t indent)
{
    bool is_first = true; /* of its line */
    text += strspn(text, " \n");
    while (*text) {
        size_t size = strcspn(text, " \n");
        size_t columns = count_columns(text, size);
        if (!is_first && column + 1 + columns > WRAP_COLUMNS) {
            (void)fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
            is_first = true;
        }
        (void)fprintf(out, "%s%.*s", is_first ? "" : " ", (int)size, text);
        column += columns + !is_first;
        is_first = false;
        text += size + strspn(text + size, " \n");
    }
    (void)fputc('\n', out);
}
