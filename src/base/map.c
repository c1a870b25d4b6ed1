/* map.c - linear probing. See map.h */
#include "base/map.h"

uint64_t er_hash64(const void *data, size_t len)
{
        const unsigned char *bytes = data;
        uint64_t h = 0xcbf29ce484222325u; /* FNV-1a's offset basis and prime */

        for (size_t i = 0; i < len; i++)
                h = (h ^ bytes[i]) * 0x100000001b3u;
        /* MurmurHash3's finaliser: FNV's low bits alone are too regular for a table whose size is a power of two. */
        h ^= h >> 33;
        h *= 0xff51afd7ed558ccdu;
        h ^= h >> 33;
        h *= 0xc4ceb9fe1a85ec53u;
        h ^= h >> 33;
        return h;
}

void er_map_release(struct er_map *map)
{
        for (size_t i = 0; i < map->cap; i++)
                free(map->slots[i].key);
        free(map->slots);
        *map = (struct er_map)ER_MAP_INIT;
}

/* The slot that holds the key, or the free one where it would go. The table always has a free slot. */
static size_t find(const struct er_map *map, const void *key, size_t len, uint64_t hash)
{
        size_t mask = map->cap - 1;
        size_t i = (size_t)hash & mask;

        for (;; i = (i + 1) & mask) {
                const struct er_map_slot *slot = &map->slots[i];

                if (!slot->key)
                        return i;
                if (slot->hash == hash && slot->key_len == len && (len == 0 || memcmp(slot->key, key, len) == 0))
                        return i;
        }
}

static void grow(struct er_map *map)
{
        struct er_map old = *map;

        map->cap = old.cap ? old.cap * 2 : 16;
        map->slots = er_calloc(map->cap, sizeof *map->slots);
        for (size_t i = 0; i < old.cap; i++) {
                const struct er_map_slot *slot = &old.slots[i];

                if (slot->key)
                        map->slots[find(map, slot->key, slot->key_len, slot->hash)] = *slot;
        }
        free(old.slots);
}

void *er_map_get(const struct er_map *map, const void *key, size_t len)
{
        if (map->len == 0)
                return NULL;
        return map->slots[find(map, key, len, er_hash64(key, len))].value;
}

void *er_map_gets(const struct er_map *map, const char *key)
{
        return er_map_get(map, key, strlen(key));
}

void *er_map_set(struct er_map *map, const void *key, size_t len, void *value)
{
        uint64_t hash = er_hash64(key, len);
        struct er_map_slot *slot;
        void *old;

        if ((map->len + 1) * 4 > map->cap * 3)
                grow(map);
        slot = &map->slots[find(map, key, len, hash)];
        old = slot->value;
        if (!slot->key) {
                slot->key = er_strndup(key, len);
                slot->key_len = len;
                slot->hash = hash;
                map->len++;
        }
        slot->value = value;
        return old;
}

void *er_map_sets(struct er_map *map, const char *key, void *value)
{
        return er_map_set(map, key, strlen(key), value);
}

const struct er_map_slot *er_map_next(const struct er_map *map, size_t *pos)
{
        while (*pos < map->cap) {
                const struct er_map_slot *slot = &map->slots[(*pos)++];

                if (slot->key)
                        return slot;
        }
        return NULL;
}
