/*
 * map.h - a hash map from byte strings to pointers (open addressing, keys copied).
 */
#ifndef ER_BASE_MAP_H
#define ER_BASE_MAP_H

#include <stdbool.h>
#include <stdint.h>
#include "base/mem.h"

struct er_map_slot {
        char *key; /* (owned) NUL-terminated copy; NULL: free */
        size_t key_len;
        uint64_t hash;
        void *value; /* (borrowed) the caller's */
};
struct er_map {
        struct er_map_slot *slots;
        size_t cap;
        size_t len;
};
#define ER_MAP_INIT {0}

void er_map_release(struct er_map *map);
/* The value, or NULL if there is none. */
void *er_map_get(const struct er_map *map, const void *key, size_t len);
void *er_map_gets(const struct er_map *map, const char *key);
/* Adds or replaces. value must not be NULL. Returns the old value, or NULL if there was none. */
void *er_map_set(struct er_map *map, const void *key, size_t len, void *value);
void *er_map_sets(struct er_map *map, const char *key, void *value);
/* for (size_t i = 0; (slot = er_map_next(map, &i));) ... */
const struct er_map_slot *er_map_next(const struct er_map *map, size_t *pos);

/* FNV-1a 64 with a final mix. Files and the protocol use it, so it never changes. */
uint64_t er_hash64(const void *data, size_t len);

#endif
