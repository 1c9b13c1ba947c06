/* File names. Pure. */
#ifndef PROGRAMS_PATH_H
#define PROGRAMS_PATH_H

#include "base/slice.h"

/* Returns owned: the name below the folder. An absolute name, or a NULL folder, leaves the name as
 * it is. */
char *path_join(const char *folder, struct slice name);
/* Returns owned: what stands before the last slash; "." without one. */
char *path_folder(const char *path);

#endif
