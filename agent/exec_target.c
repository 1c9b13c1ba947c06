/* What an exec endpoint runs, and whether it can be run at all. */
#include "agent/exec_target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "programs/must.h"
#include "programs/path.h"

void exec_target_deinit(struct exec_target *t)
{
    words_deinit(&t->command);
    words_deinit(&t->environment);
    words_deinit(&t->pass);
    marline__memory_free(t->folder);
}

static bool is_program(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

static bool is_in_path(const char *program)
{
    const char *path = getenv("PATH");
    bool found = false;
    for (const char *at = path ? path : "/usr/bin:/bin"; at && !found;) {
        const char *colon = strchr(at, ':');
        size_t size = colon ? (size_t)(colon - at) : strlen(at);
        char *folder = must_slice(size ? (struct slice){at, size} : SLICE("."));
        char *file = path_join(folder, marline__slice_text(program));
        found = is_program(file);
        marline__memory_free(file);
        marline__memory_free(folder);
        at = colon ? colon + 1 : NULL;
    }
    return found;
}

static bool check_program(const struct exec_target *t, const char *where, const char *name,
                          struct failure *f)
{
    const char *program = t->command.items[0];
    if (!strchr(program, '/')) {
        return is_in_path(program) ||
               failure_set(
                   f, EXIT_CODE_CONFIGURATION,
                   "%s: endpoint '%s': no program '%s' in PATH; install it, or name its path",
                   where, name, program);
    }
    char *file = path_join(t->folder, marline__slice_text(program));
    bool ok = is_program(file);
    if (!ok) {
        const char *missing =
            program[0] == '/' ? "no such file" : "no such file; relative paths start at the folder";
        failure_set(f, EXIT_CODE_CONFIGURATION, "%s: endpoint '%s': cannot run %s: %s", where, name,
                    file,
                    access(file, F_OK) ? missing
                                       : "not an executable file (chmod +x it, or name its "
                                         "interpreter first)");
    }
    marline__memory_free(file);
    return ok;
}

static bool check_folder(const struct exec_target *t, const char *where, const char *name,
                         struct failure *f)
{
    struct stat status;
    if (!t->folder || (stat(t->folder, &status) == 0 && S_ISDIR(status.st_mode))) {
        return true;
    }
    return failure_set(f, EXIT_CODE_CONFIGURATION,
                       "%s: endpoint '%s': folder %s does not exist; make it, or mend 'folder'",
                       where, name, t->folder);
}

bool exec_target_check(const struct exec_target *t, const char *where, const char *name,
                       struct failure *f)
{
    return check_folder(t, where, name, f) && check_program(t, where, name, f);
}
