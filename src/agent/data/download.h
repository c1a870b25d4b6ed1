/*
 * download.h - downloads, by whichever program is here: curl, wget or python3. The agent itself speaks no HTTP.
 */
#ifndef ER_AGENT_DATA_DOWNLOAD_H
#define ER_AGENT_DATA_DOWNLOAD_H

#include "agent/agent.h"

/* A download. */
struct er_download {
        const struct er_agent *agent;
        const char *url;
        int dir_fd;              /* the directory of the part ... */
        const char *part;        /* ... and its name; it exists, and is continued */
        void (*tick)(void *arg); /* called several times a second; exits when nobody waits any more */
        void *arg;
};
/* What the server says about the file, if it does. */
struct er_download_facts {
        bool has_size;
        uint64_t size;
        char *version; /* (owned) its ETag or modification time, or NULL */
};
/*
 * Errors: ER_NOT_FOUND, ER_AUTH and ER_REMOTE when the server refuses; ER_NET with provider code "network" (the server
 * cannot be reached from here) or "tool" (none of the programs is here), where another machine may succeed; ER_IO for
 * the disk.
 */
int er_download_look(const struct er_download *download, struct er_download_facts *ret, struct er_err *err);
int er_download_run(const struct er_download *download, const struct er_download_facts *facts, struct er_err *err);

/* Runs a program in the directory to its end, with input (small) on stdin. What it writes to stdout and stderr, up to
   some KiB each, goes into out and said (either may be NULL). Returns its exit status; -1: it could not be started. */
int er_download_tool(const struct er_download *download, char *const argv[], struct er_sv input, struct er_str *out,
                     struct er_str *said);
bool er_download_has_tool(const char *name);

#endif
