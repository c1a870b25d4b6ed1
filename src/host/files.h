/*
 * files.h - single files and directories between here and a host: results, pull, push. Everything resumes: a file that
 * is there with the same size and time is not sent again, a partial one ("<name>.errand-part") is continued, a finished
 * one is renamed into place. Modes, times, symlinks (as links) and any bytes in names are kept. Nothing is written
 * outside `to`.
 */
#ifndef ER_HOST_FILES_H
#define ER_HOST_FILES_H

#include "host/connect/session.h"

struct er_transfer {
        uint64_t files, bytes;                                           /* done */
        uint64_t total_files, total_bytes;                               /* known so far */
        void (*progress)(void *arg, const struct er_transfer *transfer); /* may be NULL */
        void *arg;
};

struct er_pull {
        const char *key; /* from an attempt's directory ... */
        uint32_t attempt;
        const char *dir; /* ... or, key NULL, from this directory of the host (absolute, or relative to the home) */
        const struct er_strv
                *patterns;  /* globs ("*.pt" below out, "**" crosses directories); a directory means all below it */
        const char *to;     /* directory here, created if missing */
        const char *within; /* `to` is below this directory (the project), and no symlink between the two is followed;
                               NULL: `to` is the user's own word */
        bool flat;          /* a single file or directory lands as `to`/basename instead of with its path */
        bool strict;        /* a pattern with wildcards must match something too */
};
/* ER_NOT_FOUND names the first pattern without wildcards (strict: any pattern) that matches nothing; what matches is
   fetched all the same. */
int er_pull(struct er_session *session, const struct er_pull *pull, struct er_transfer *transfer, struct er_err *err);

/* paths (files, directories) of this machine into directory `to` of the host (absolute or relative to its home). */
int er_push(struct er_session *session, const struct er_strv *paths, const char *to, struct er_transfer *transfer,
            struct er_err *err);

#endif
