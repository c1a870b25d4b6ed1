/*
 * out.h - the output to the client: frames in memory, and pieces of files that go from the disk to the pipe without
 * passing through us. Never blocks, and holds little.
 */
#ifndef ER_AGENT_SERVE_OUT_H
#define ER_AGENT_SERVE_OUT_H

#include <sys/types.h>
#include "base/str.h"

struct er_out {
        int fd;
        struct er_str head; /* sent first ... */
        size_t sent;        /* ... of which this much has been sent ... */
        int file_fd;        /* ... then this piece of a file ... */
        off_t file_offset;
        uint64_t file_left;
        struct er_str tail; /* ... then what was added meanwhile */
        bool enlarged;      /* the pipe */
        bool no_sendfile;   /* fd does not take it */
        bool broken;        /* the reader is gone */
};
#define ER_OUT_INIT {.fd = -1, .head = ER_STR_INIT, .file_fd = -1, .tail = ER_STR_INIT}
void er_out_init(struct er_out *out, int fd);
void er_out_release(struct er_out *out);

/* Where to append whole frames. */
struct er_str *er_out_buf(struct er_out *out);
/* Appends len bytes of a file, whose descriptor is duplicated. Only when er_out_is_plain. A file that turns out shorter
   is padded with zeros, because its length has been announced. */
void er_out_file(struct er_out *out, int fd, off_t offset, uint64_t len);
/* No piece of a file is waiting. */
static inline bool er_out_is_plain(const struct er_out *out)
{
        return out->file_left == 0;
}
size_t er_out_waiting(const struct er_out *out); /* bytes in memory */
static inline bool er_out_is_idle(const struct er_out *out)
{
        return out->file_left == 0 && out->sent == out->head.len;
}
/* Sends as much as can be sent now. */
void er_out_flush(struct er_out *out);

#endif
