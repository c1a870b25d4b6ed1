/* fuzz_statcache.c - a stat cache with anything in it is refused, or every view of it lies inside. */
#include "fuzz.h"

#include <string.h>
#include "base/path.h"
#include "host/snapshot/statcache.h"

#define DIR "/p"

static uint64_t touch(const char *names, const struct er_stat_record *record)
{
        uint64_t sum = record->stat.size + record->hash[0];

        FUZZ_CHECK(names[record->path + record->path_len] == '\0');
        for (uint32_t i = 0; i < record->path_len; i++)
                sum += (unsigned char)names[record->path + i];
        return sum;
}

static volatile uint64_t sink; /* so that reading is not left out */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct er_statcache cache = ER_STATCACHE_INIT;
        /* A block of exactly that size, so that a sanitizer sees a byte too much; aligned as a mapping is. */
        unsigned char *copy = er_memdup(data, size);

        /* What the checksum would have kept out is tried all the same: the size is right. */
        if (size >= 24) {
                uint64_t whole = size;

                memcpy(copy + 16, &whole, sizeof whole);
        }
        if (er_statcache_parse(copy, size, DIR, &cache)) {
                for (size_t i = 0; i < cache.file_count; i++) {
                        FUZZ_CHECK(er_path_is_safe(cache.names + cache.files[i].path, cache.files[i].path_len));
                        sink += touch(cache.names, &cache.files[i]);
                }
                for (size_t i = 0; i < cache.watch_count; i++)
                        sink += touch(cache.names, &cache.watches[i]);
        }
        free(copy);
        return 0;
}
