/* See blank.h. */
#include "base/blank.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct slice marline__blank_strip(struct slice s)
{
    while (s.size > 0 && is_blank(s.data[0])) {
        s = (struct slice){s.data + 1, s.size - 1};
    }
    while (s.size > 0 && is_blank(s.data[s.size - 1])) {
        s.size--;
    }
    return s;
}
