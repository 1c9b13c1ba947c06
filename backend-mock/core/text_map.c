/* Chained buckets, doubled when there are as many entries as buckets. */
#include "core/text_map.h"

#include <stdint.h>

#include "core/alloc.h"

enum { BUCKETS_MIN = 16 }; /* a power of two */

struct text_map_entry {
    struct text_map_entry *next;
    void *value;
    uint32_t hash;
    size_t key_size;
    char key[];
};

/* FNV-1a. */
static uint32_t hash_text(struct slice key)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < key.size; i++) {
        hash = (hash ^ (uint8_t)key.data[i]) * 16777619u;
    }
    return hash;
}

void text_map_init(struct text_map *map)
{
    map->bucket_count = BUCKETS_MIN;
    map->buckets = alloc_array(BUCKETS_MIN, sizeof(*map->buckets));
    map->count = 0;
}

void text_map_deinit(struct text_map *map)
{
    for (size_t i = 0; map->buckets && i < map->bucket_count; i++) {
        struct text_map_entry *entry = map->buckets[i].first;
        while (entry) {
            struct text_map_entry *next = entry->next;
            marline__memory_free(entry);
            entry = next;
        }
    }
    marline__memory_free(map->buckets);
    map->buckets = NULL;
    map->bucket_count = map->count = 0;
}

/* The link that points at the entry, or at the end of its chain. */
static struct text_map_entry **find_link(const struct text_map *map, struct slice key,
                                         uint32_t hash)
{
    struct text_map_entry **link = &map->buckets[hash & (map->bucket_count - 1)].first;
    while (*link) {
        struct text_map_entry *entry = *link;
        if (entry->hash == hash &&
            marline__slice_equal((struct slice){entry->key, entry->key_size}, key)) {
            break;
        }
        link = &entry->next;
    }
    return link;
}

static void grow(struct text_map *map)
{
    size_t wider = map->bucket_count * 2;
    struct text_map_bucket *buckets = alloc_array(wider, sizeof(*buckets));
    for (size_t i = 0; i < map->bucket_count; i++) {
        struct text_map_entry *entry = map->buckets[i].first;
        while (entry) {
            struct text_map_entry *next = entry->next;
            struct text_map_bucket *bucket = &buckets[entry->hash & (wider - 1)];
            entry->next = bucket->first;
            bucket->first = entry;
            entry = next;
        }
    }
    marline__memory_free(map->buckets);
    map->buckets = buckets;
    map->bucket_count = wider;
}

void *text_map_get(const struct text_map *map, struct slice key)
{
    struct text_map_entry *entry = *find_link(map, key, hash_text(key));
    return entry ? entry->value : NULL;
}

void *text_map_put(struct text_map *map, struct slice key, void *value)
{
    uint32_t hash = hash_text(key);
    struct text_map_entry *entry = *find_link(map, key, hash);
    if (entry) {
        void *old = entry->value;
        entry->value = value;
        return old;
    }
    if (map->count == map->bucket_count) {
        grow(map);
    }
    entry = (struct text_map_entry *)alloc_zeroed(sizeof(*entry) + key.size);
    entry->hash = hash;
    entry->value = value;
    entry->key_size = key.size;
    if (key.size) {
        memcpy(entry->key, key.data, key.size);
    }
    struct text_map_bucket *bucket = &map->buckets[hash & (map->bucket_count - 1)];
    entry->next = bucket->first;
    bucket->first = entry;
    map->count++;
    return NULL;
}

void *text_map_remove(struct text_map *map, struct slice key)
{
    struct text_map_entry **link = find_link(map, key, hash_text(key));
    struct text_map_entry *entry = *link;
    if (!entry) {
        return NULL;
    }
    void *value = entry->value;
    *link = entry->next;
    marline__memory_free(entry);
    map->count--;
    return value;
}

static void skip_empty_buckets(const struct text_map *map, struct text_map_cursor *cursor)
{
    while (!cursor->next && cursor->bucket < map->bucket_count) {
        cursor->next = map->buckets[cursor->bucket++].first;
    }
}

void text_map_begin(const struct text_map *map, struct text_map_cursor *cursor)
{
    cursor->bucket = 0;
    cursor->next = NULL;
    skip_empty_buckets(map, cursor);
}

void *text_map_next(const struct text_map *map, struct text_map_cursor *cursor,
                    struct slice *out_key)
{
    struct text_map_entry *entry = cursor->next;
    if (!entry) {
        return NULL;
    }
    cursor->next = entry->next;
    skip_empty_buckets(map, cursor);
    if (out_key) {
        *out_key = (struct slice){entry->key, entry->key_size};
    }
    return entry->value;
}
