/* logread.c - see logread.h */
#include "agent/attempt/logread.h"

#include <endian.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/attempt/capture.h"
#include "base/io.h"
#include "base/mem.h"

#define TAIL_BLOCK 16384

void er_logread_init(struct er_logread *log, int dir_fd, uint64_t offset)
{
        *log = (struct er_logread)ER_LOGREAD_INIT;
        log->dir_fd = dir_fd;
        log->offset = offset;
}

void er_logread_release(struct er_logread *log)
{
        er_close(&log->log_fd);
        er_close(&log->idx_fd);
}

static bool open_log(struct er_logread *log)
{
        if (log->log_fd < 0)
                log->log_fd = openat(log->dir_fd, "log", O_RDONLY | O_CLOEXEC);
        if (log->idx_fd < 0)
                log->idx_fd = openat(log->dir_fd, "log.idx", O_RDONLY | O_CLOEXEC);
        return log->log_fd >= 0;
}

static uint64_t file_size(int fd)
{
        struct stat st;

        return fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0 ? (uint64_t)st.st_size : 0;
}

uint64_t er_logread_size(struct er_logread *log)
{
        open_log(log);
        return file_size(log->log_fd);
}

struct record {
        uint64_t end;
        int64_t time_ms;
        unsigned stream;
};

static void decode(const unsigned char *p, struct record *ret)
{
        uint64_t end, time;
        uint32_t stream;

        memcpy(&end, p, 8);
        memcpy(&time, p + 8, 8);
        memcpy(&stream, p + 16, 4);
        *ret = (struct record){le64toh(end), (int64_t)le64toh(time),
                               le32toh(stream) == ER_STDERR ? ER_STDERR : ER_STDOUT};
}

/* Every record but the last of a log is final; the last one grows in place until another follows. So the block is read
   a second time, now that there are records after it. */
static bool load(struct er_logread *log, uint64_t number)
{
        off_t at = (off_t)(number * ER_LOG_RECORD);
        ssize_t n;

        log->block_first = number;
        log->block_len = 0;
        if (log->idx_fd < 0)
                return false;
        n = er_pread_full(log->idx_fd, log->block, sizeof log->block, at);
        log->block_len = n > 0 ? (size_t)n / ER_LOG_RECORD : 0;
        if (log->block_len > 1 &&
            er_pread_full(log->idx_fd, log->block, (log->block_len - 1) * ER_LOG_RECORD, at) < (ssize_t)ER_LOG_RECORD)
                log->block_len = 0;
        return log->block_len > 0;
}

static bool is_final(const struct er_logread *log, uint64_t number)
{
        return number >= log->block_first && number + 1 < log->block_first + log->block_len;
}

static bool get_record(struct er_logread *log, uint64_t number, struct record *ret)
{
        if (!is_final(log, number) && !load(log, number))
                return false;
        decode(log->block + (number - log->block_first) * ER_LOG_RECORD, ret);
        return true;
}

/* Binary search: the first record for which `after` is true. */
static uint64_t find_record(struct er_logread *log, bool (*after)(const struct record *record, uint64_t value),
                            uint64_t value)
{
        uint64_t low = 0, high = file_size(log->idx_fd) / ER_LOG_RECORD;

        while (low < high) {
                uint64_t middle = low + (high - low) / 2;
                struct record record;

                if (!load(log, middle))
                        break;
                decode(log->block, &record);
                if (after(&record, value))
                        high = middle;
                else
                        low = middle + 1;
        }
        return low;
}

static bool ends_after(const struct record *record, uint64_t offset)
{
        return record->end > offset;
}

static bool not_before(const struct record *record, uint64_t time)
{
        return record->time_ms >= (int64_t)time;
}

bool er_logread_next(struct er_logread *log, bool complete, size_t max, struct er_logpiece *ret)
{
        struct record record;
        uint64_t size, end;

        if (!open_log(log))
                return false;
        if (log->record == 0 && log->offset > 0) {
                log->record = find_record(log, ends_after, log->offset);
                if (log->record > 0)
                        log->record--; /* it may have been the last one, and grow to cover the offset */
        }
        for (;; log->record++) {
                bool there = get_record(log, log->record, &record);

                if (there && record.end > log->offset)
                        break;
                if (!there || !is_final(log, log->record)) {
                        size = complete ? file_size(log->log_fd) : 0;
                        if (size <= log->offset)
                                return false;
                        record = (struct record){.end = size, .stream = ER_STDOUT};
                        break;
                }
        }
        /* Do not trust an index that describes more than the log holds (after a crash of the host). */
        end = record.end;
        if (complete && end > (size = file_size(log->log_fd)))
                end = size;
        if (end <= log->offset)
                return false;
        *ret = (struct er_logpiece){
                .offset = log->offset,
                .len = end - log->offset > max ? max : (size_t)(end - log->offset),
                .stream = record.stream,
                .time_ms = record.time_ms,
        };
        return true;
}

uint64_t er_logread_since(struct er_logread *log, int64_t time_ms)
{
        struct record before;
        uint64_t number;

        if (!open_log(log) || time_ms <= 0)
                return 0;
        number = find_record(log, not_before, (uint64_t)time_ms);
        if (number == 0)
                return 0;
        return load(log, number - 1) ? (decode(log->block, &before), before.end) : 0;
}

uint64_t er_logread_tail(struct er_logread *log, uint64_t end, uint64_t lines)
{
        char *block = er_malloc(TAIL_BLOCK);
        uint64_t at = end, found = 0;
        bool first = true;

        if (!open_log(log) || lines == 0)
                at = lines == 0 ? end : 0;
        while (log->log_fd >= 0 && lines > 0 && at > 0) {
                size_t len = at < TAIL_BLOCK ? (size_t)at : TAIL_BLOCK;
                ssize_t n = er_pread_full(log->log_fd, block, len, (off_t)(at - len));

                if (n != (ssize_t)len)
                        break;
                for (size_t i = len; i-- > 0;) {
                        bool last_byte = first;

                        first = false;
                        /* A newline at the very end closes the last line and does not begin another. */
                        if (block[i] != '\n' || last_byte || ++found < lines)
                                continue;
                        at = at - len + i + 1;
                        free(block);
                        return at;
                }
                at -= len;
        }
        free(block);
        return at;
}
