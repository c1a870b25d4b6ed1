/*
 * logread.h - reads an attempt's log from any offset on, and cuts it into pieces of one stream each.
 */
#ifndef ER_AGENT_ATTEMPT_LOGREAD_H
#define ER_AGENT_ATTEMPT_LOGREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct er_logread {
        int dir_fd; /* (borrowed) */
        int log_fd, idx_fd;
        uint64_t offset;              /* the next byte to return */
        uint64_t record;              /* the first record that may cover it */
        unsigned char block[64 * 24]; /* records from block_first on */
        uint64_t block_first;
        size_t block_len;
};
#define ER_LOGREAD_INIT {.dir_fd = -1, .log_fd = -1, .idx_fd = -1}
void er_logread_init(struct er_logread *log, int dir_fd, uint64_t offset);
void er_logread_release(struct er_logread *log);
struct er_logpiece {
        uint64_t offset;
        size_t len;
        unsigned stream;
        int64_t time_ms;
};
/* The next piece, at most max bytes. complete: nobody writes to the log any more, so bytes that the index does not
   describe count too. False: nothing now. The position stays; er_logread_took moves it. */
bool er_logread_next(struct er_logread *log, bool complete, size_t max, struct er_logpiece *ret);
static inline void er_logread_took(struct er_logread *log, size_t len)
{
        log->offset += len;
}
uint64_t er_logread_size(struct er_logread *log);
/* The offset of the first byte written at or after a time; the offset where the last `lines` lines before `end`
   begin. */
uint64_t er_logread_since(struct er_logread *log, int64_t time_ms);
uint64_t er_logread_tail(struct er_logread *log, uint64_t end, uint64_t lines);

#endif
