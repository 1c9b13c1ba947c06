/* A hash table from text to a pointer. Copies keys, never touches values. Not for keys that a peer
 * can choose freely and in number: the hash is not keyed. One owner, no thread safety. */
#ifndef CORE_TEXT_MAP_H
#define CORE_TEXT_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct text_map_entry;

/* A chain of entries whose hashes end alike. */
struct text_map_bucket {
    struct text_map_entry *first;
};

struct text_map {
    struct text_map_bucket *buckets;
    size_t bucket_count;
    size_t count;
};

/* Visits entries in no order. The entry last handed out may be removed, no other. */
struct text_map_cursor {
    size_t bucket;
    struct text_map_entry *next;
};

void text_map_init(struct text_map *map);
void text_map_deinit(struct text_map *map);
/* NULL when absent. */
void *text_map_get(const struct text_map *map, struct slice key);
/* Returns the value replaced, NULL when the key is new. `value` must not be NULL. */
void *text_map_put(struct text_map *map, struct slice key, void *value);
/* Returns the value removed, NULL when absent. */
void *text_map_remove(struct text_map *map, struct slice key);
void text_map_begin(const struct text_map *map, struct text_map_cursor *cursor);
/* NULL at the end. out_key (may be NULL) is borrowed until the entry is removed. */
void *text_map_next(const struct text_map *map, struct text_map_cursor *cursor,
                    struct slice *out_key);

#endif
