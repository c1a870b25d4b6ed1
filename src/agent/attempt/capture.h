/*
 * capture.h - writes both streams of a job, in order of arrival, to `log` and its index (PROTOCOL.md, section 9). Where
 * the kernel can splice, the bytes go from the pipes to the file without passing through us.
 */
#ifndef ER_AGENT_ATTEMPT_CAPTURE_H
#define ER_AGENT_ATTEMPT_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ER_STDOUT 1u
#define ER_STDERR 2u
#define ER_LOG_RECORD 24u

struct er_capture {
        int dir_fd; /* (borrowed) */
        int log_fd, idx_fd;
        int pipes[2];  /* read ends; -1 after end of file */
        uint64_t size; /* of the log */
        uint64_t records;
        uint64_t record_end;
        int64_t record_ms;
        unsigned record_stream;
        uint64_t dropped; /* bytes lost because they could not be written */
        int lost_errno;   /* why */
        bool no_splice;
        bool enlarged[2];
        char *buf; /* (owned) for output that cannot be spliced */
};
#define ER_CAPTURE_INIT {.dir_fd = -1, .log_fd = -1, .idx_fd = -1, .pipes = {-1, -1}}
/* The log is created with the first output. A full disk is not an error: output is then dropped. */
void er_capture_open(struct er_capture *capture, int dir_fd);
/* Makes the pipes; the write ends are for the job: [0] stdout, [1] stderr. 0, or -1 with errno. */
int er_capture_pipes(struct er_capture *capture, int ret_write[2]);
/* Moves what is in pipe i now to the log. True when the log grew. */
bool er_capture_move(struct er_capture *capture, int i);
/* Adds text of our own, or the content of a file, as if the job had written it. */
void er_capture_text(struct er_capture *capture, unsigned stream, const char *text, size_t len);
void er_capture_file(struct er_capture *capture, unsigned stream, int fd);
/* Moves all that is left, without waiting for writers; then closes and frees. */
void er_capture_finish(struct er_capture *capture);

#endif
