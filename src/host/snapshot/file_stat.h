/* file_stat.h - the stat data that change when a file does. All zero: there is no file. Private to src/host. */
#ifndef ER_HOST_SNAPSHOT_FILE_STAT_H
#define ER_HOST_SNAPSHOT_FILE_STAT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct er_file_stat {
        uint64_t size;
        int64_t mtime_ns;
        int64_t ctime_ns;
        uint64_t ino;
        uint32_t mode; /* st_mode: type and permissions */
        uint32_t dev;  /* not compared: it may change at a reboot */
};
void er_file_stat_from(const struct stat *st, struct er_file_stat *ret);
bool er_file_stat_same(const struct er_file_stat *a, const struct er_file_stat *b);
/* Changed so shortly before taken_ns that a later change could leave the same stat data. */
bool er_file_stat_is_racy(const struct er_file_stat *stat, int64_t taken_ns);

#endif
