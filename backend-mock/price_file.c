/* See price_file.h. */
#include "price_file.h"

#include <errno.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/log.h"
#include "core/alloc.h"

enum { FILE_MAX = 64 * 1024 * 1024, CHUNK = 256 * 1024 }; /* LiteLLM's has about 1 MiB */

static bool refuse(struct failure *f, const char *path, const char *cause)
{
    return failure_set(
        f, EXIT_CODE_USAGE,
        "--price-file %s: %s\n"
        "It is to be one JSON object in the format of LiteLLM's "
        "model_prices_and_context_window.json:\n"
        "{\"my-model\":{\"input_cost_per_token\":1e-6,\"output_cost_per_token\":2e-6}}",
        path, cause);
}

static bool read_whole(const char *path, struct buffer *out, struct failure *f)
{
    FILE *file = fopen(path, "rbe");
    if (!file) {
        return refuse(f, path, strerror(errno));
    }
    size_t got = 0;
    do {
        (void)marline__buffer_reserve(out, CHUNK);
        alloc_check_buffer(out);
        got = fread(out->data + out->size, 1, CHUNK, file);
        out->size += got;
    } while (got == CHUNK && out->size <= FILE_MAX);
    bool broken = ferror(file) != 0;
    int error = errno;
    (void)fclose(file);
    if (broken) {
        return refuse(f, path, strerror(error));
    }
    return out->size <= FILE_MAX || refuse(f, path, "larger than 64 MiB");
}

static bool load_text(const char *path, struct slice text, struct price_table *table,
                      struct failure *f)
{
    struct price_load_report report = {0};
    char cause[160];
    switch (price_table_load(table, text, &report)) {
    case PRICE_LOAD_OK:
        marline__log(LOG_INFO,
                     "%s: prices of %zu models; %zu without a price per token, %zu flawed", path,
                     report.models, report.unpriced, report.flawed);
        return true;
    case PRICE_LOAD_MALFORMED:
        (void)snprintf(cause, sizeof(cause), "%s at byte %zu", report.error, report.error_offset);
        return refuse(f, path, cause);
    case PRICE_LOAD_TOO_MANY:
        (void)snprintf(cause, sizeof(cause), "more than %d models", PRICE_MODELS_MAX);
        return refuse(f, path, cause);
    case PRICE_LOAD_NO_MEMORY:
        break;
    }
    return refuse(f, path, "out of memory");
}

bool price_file_load(const char *path, struct price_table **out, struct failure *f)
{
    struct price_table *table = price_table_create_builtin();
    if (!table) {
        return refuse(f, path ? path : "(none)", "out of memory");
    }
    struct buffer text = BUFFER_INIT;
    bool loaded = !path || (read_whole(path, &text, f) &&
                            load_text(path, marline__buffer_slice(&text), table, f));
    marline__buffer_deinit(&text);
    if (!loaded) {
        price_table_destroy(table);
        table = NULL;
    }
    *out = table;
    return loaded;
}
