/* file_stat.c - see file_stat.h */
#include "host/snapshot/file_stat.h"

#include <time.h>

#define SECOND_NS ((int64_t)1000 * 1000 * 1000)
#define RACY_COARSE_NS (2 * SECOND_NS) /* the coarsest time stamps in use: FAT */
#define RACY_FINE_NS (SECOND_NS / 10)  /* Linux time stamps advance with its tick, 10 ms at most */

static int64_t timespec_ns(const struct timespec *ts)
{
        return (int64_t)ts->tv_sec * 1000000000 + ts->tv_nsec;
}

void er_file_stat_from(const struct stat *st, struct er_file_stat *ret)
{
        *ret = (struct er_file_stat){
                .size = (uint64_t)st->st_size,
#ifdef __APPLE__
                .mtime_ns = timespec_ns(&st->st_mtimespec),
                .ctime_ns = timespec_ns(&st->st_ctimespec),
#else
                .mtime_ns = timespec_ns(&st->st_mtim),
                .ctime_ns = timespec_ns(&st->st_ctim),
#endif
                .ino = (uint64_t)st->st_ino,
                .mode = (uint32_t)st->st_mode,
                .dev = (uint32_t)st->st_dev,
        };
}

bool er_file_stat_same(const struct er_file_stat *a, const struct er_file_stat *b)
{
        return a->size == b->size && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns && a->ino == b->ino &&
               a->mode == b->mode;
}

bool er_file_stat_is_racy(const struct er_file_stat *stat, int64_t taken_ns)
{
        int64_t latest = stat->mtime_ns > stat->ctime_ns ? stat->mtime_ns : stat->ctime_ns;
        bool coarse = stat->mtime_ns % SECOND_NS == 0 && stat->ctime_ns % SECOND_NS == 0;

        return latest >= taken_ns - (coarse ? RACY_COARSE_NS : RACY_FINE_NS);
}
