/* See journal.h. */
#include "hub/journal.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "core/alloc.h"

struct journal {
    pthread_mutex_t lock;
    struct journal_entry *entries; /* a ring, made with the first entry */
    size_t next;
    size_t count;
    uint64_t last_number;
};

struct journal *journal_create(void)
{
    struct journal *j = alloc_zeroed(sizeof(*j));
    (void)pthread_mutex_init(&j->lock, NULL);
    return j;
}

void journal_destroy(struct journal *j)
{
    if (j) {
        (void)pthread_mutex_destroy(&j->lock);
        marline__memory_free(j->entries);
        marline__memory_free(j);
    }
}

void journal_note(struct journal *j, const struct uuid *organization_id, enum fault_target target,
                  struct slice name, unsigned status)
{
    uint64_t now = marline__clock_wall_ns(marline__clock_system());
    (void)pthread_mutex_lock(&j->lock);
    if (!j->entries) {
        j->entries = alloc_array(JOURNAL_ENTRIES_MAX, sizeof(*j->entries));
    }
    struct journal_entry *entry = &j->entries[j->next];
    *entry = (struct journal_entry){.organization_id = *organization_id,
                                    .number = ++j->last_number,
                                    .at_unix_ns = now,
                                    .target = target,
                                    .status = status};
    (void)snprintf(entry->name, sizeof(entry->name), "%.*s", SLICE_ARG(name));
    j->next = (j->next + 1) % JOURNAL_ENTRIES_MAX;
    j->count += j->count < JOURNAL_ENTRIES_MAX;
    (void)pthread_mutex_unlock(&j->lock);
}

size_t journal_read(struct journal *j, const struct uuid *organization_id,
                    struct journal_entry *out)
{
    size_t found = 0;
    (void)pthread_mutex_lock(&j->lock);
    size_t first = (j->next + JOURNAL_ENTRIES_MAX - j->count) % JOURNAL_ENTRIES_MAX;
    for (size_t i = 0; i < j->count; i++) {
        const struct journal_entry *entry = &j->entries[(first + i) % JOURNAL_ENTRIES_MAX];
        if (marline__uuid_equal(&entry->organization_id, organization_id)) {
            out[found++] = *entry;
        }
    }
    (void)pthread_mutex_unlock(&j->lock);
    return found;
}

/* An entry of nobody matches nobody. */
void journal_clear(struct journal *j, const struct uuid *organization_id)
{
    (void)pthread_mutex_lock(&j->lock);
    for (size_t i = 0; i < j->count; i++) {
        if (marline__uuid_equal(&j->entries[i].organization_id, organization_id)) {
            j->entries[i].organization_id = (struct uuid){.bytes = {0}};
        }
    }
    (void)pthread_mutex_unlock(&j->lock);
}

static bool matches(const struct journal_pattern *pattern, const struct journal_entry *entry)
{
    return pattern->target == entry->target && strcmp(pattern->name, entry->name) == 0;
}

struct journal_finding journal_check(const struct journal_claim *claim,
                                     const struct journal_entry *entries, size_t count)
{
    struct journal_finding finding = {.count = 0};
    for (size_t i = 0; i < count; i++) {
        size_t at = claim->is_order ? finding.count : 0;
        finding.count += at < claim->pattern_count && matches(&claim->patterns[at], &entries[i]);
    }
    finding.holds = claim->is_order
                        ? finding.count == claim->pattern_count
                        : finding.count >= claim->at_least && finding.count <= claim->at_most;
    return finding;
}
