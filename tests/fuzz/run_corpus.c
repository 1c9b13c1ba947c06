/* Feeds every file of the folders named on the command line to a fuzz target, so that the corpus is
 * an ordinary test. A failed check aborts; no file at all is a failure too. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "fuzz/fuzz.h"

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct buffer content = BUFFER_INIT;
    char block[4096];
    size_t n;
    if (!file) {
        return 0;
    }
    while ((n = fread(block, 1, sizeof block, file)) > 0) {
        marline__buffer_append(&content, block, n);
    }
    (void)fclose(file);
    /* A block of the exact size shows a read beyond its end to a sanitizer. */
    uint8_t *exact = malloc(content.size + (content.size == 0));
    FUZZ_CHECK(exact && !content.failed);
    if (content.size > 0) {
        memcpy(exact, content.data, content.size);
    }
    (void)LLVMFuzzerTestOneInput(exact, content.size);
    free(exact);
    marline__buffer_deinit(&content);
    return 1;
}

static int run_folder(const char *folder)
{
    DIR *entries = opendir(folder);
    struct dirent *entry;
    int count = 0;
    if (!entries) {
        return 0;
    }
    while ((entry = readdir(entries)) != NULL) {
        char path[4096];
        if (entry->d_name[0] == '.') {
            continue;
        }
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        (void)printf("%s\n", path);
        (void)fflush(stdout);
        count += run_file(path);
    }
    (void)closedir(entries);
    return count;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++) {
        count += run_folder(argv[i]);
    }
    (void)printf("%d inputs\n", count);
    return count > 0 ? 0 : 1;
}
