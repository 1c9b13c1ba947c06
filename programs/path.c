/* File names. */
#include "programs/path.h"

#include <string.h>

#include "programs/must.h"

char *path_join(const char *folder, struct slice name)
{
    struct buffer b = BUFFER_INIT;
    if (folder && !marline__slice_starts(name, "/")) {
        marline__buffer_append_format(&b, "%s/", folder);
    }
    marline__buffer_append_slice(&b, name);
    must_buffer(&b);
    return marline__buffer_take(&b);
}

char *path_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) {
        return must_text(".");
    }
    return slash == path ? must_text("/")
                         : must_slice((struct slice){path, (size_t)(slash - path)});
}
