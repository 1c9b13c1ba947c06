/* See run_attempts.h. */
#include "hub/run_attempts.h"

#include "base/memory.h"
#include "core/alloc.h"
#include "core/json_member.h"

static void grow(struct run_attempts *a)
{
    size_t capacity = a->capacity ? 2 * a->capacity : 16;
    a->items = alloc_resize(a->items, capacity * sizeof(*a->items));
    a->capacity = capacity;
}

static struct slice keep(char **owner, struct slice text)
{
    *owner = text.data ? alloc_slice(text) : NULL;
    return (struct slice){*owner, text.size};
}

static void add_row(void *user, const struct store_attempt_row *row)
{
    struct run_attempts *a = user;
    if (a->count == a->capacity) {
        grow(a);
    }
    struct run_attempt *copy = &a->items[a->count++];
    copy->row = *row;
    copy->row.invocation_id = keep(&copy->texts[0], row->invocation_id);
    copy->row.error = keep(&copy->texts[1], row->error);
    copy->row.trace_id = keep(&copy->texts[2], row->trace_id);
}

enum store_status run_attempts_read(struct store *store, const struct store_scope *scope,
                                    const struct uuid *run_id, struct run_attempts *out,
                                    struct store_error *error)
{
    *out = (struct run_attempts){0};
    return store_read_attempts(store, scope, run_id, add_row, out, error);
}

void run_attempts_deinit(struct run_attempts *a)
{
    for (size_t i = 0; i < 3 * a->count; i++) {
        marline__memory_free(a->items[i / 3].texts[i % 3]);
    }
    marline__memory_free(a->items);
    *a = (struct run_attempts){0};
}

/* The first row that is not of an earlier test. */
static size_t lower_bound(const struct run_attempts *a, size_t test)
{
    size_t low = 0;
    size_t high = a->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (a->items[middle].row.test < test) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct run_attempt *run_attempts_of(const struct run_attempts *a, size_t test,
                                          size_t *out_count)
{
    size_t first = lower_bound(a, test);
    size_t end = first;
    while (end < a->count && a->items[end].row.test == test) {
        end++;
    }
    *out_count = end - first;
    return end > first ? &a->items[first] : NULL;
}

static void write_attempt(struct json_writer *w, const struct store_attempt_row *row)
{
    marline__json_begin_object(w);
    marline__json_member_int(w, "attempt", row->attempt);
    json_member_text_or_null(w, "invocation_id", row->invocation_id);
    if (row->has_result) {
        json_member_uuid(w, "test_result_id", &row->result_id);
        marline__json_member_text(w, "status", result_status_name(row->status));
        json_member_text_or_null(w, "error", row->error);
        marline__json_member_double(w, "duration_ms", row->duration_ms);
        json_member_text_or_null(w, "trace_id", row->trace_id);
    } else {
        marline__json_member_null(w, "test_result_id");
        marline__json_member_null(w, "status");
    }
    marline__json_end_object(w);
}

void run_attempts_write(struct json_writer *w, const struct run_attempts *a, size_t test)
{
    size_t count = 0;
    const struct run_attempt *items = run_attempts_of(a, test, &count);
    marline__json_key(w, "attempts");
    marline__json_begin_array(w);
    for (size_t i = 0; i < count; i++) {
        write_attempt(w, &items[i].row);
    }
    marline__json_end_array(w);
}
