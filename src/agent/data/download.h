/*
 * download.h - downloads, by whichever program is here (curl, wget or python3), as the agent speaks no HTTP.
 */
#ifndef ER_AGENT_DATA_DOWNLOAD_H
#define ER_AGENT_DATA_DOWNLOAD_H

#include "agent/agent.h"

/* A program is asked for a URL, as the agent speaks no HTTP: curl, wget or python3. */
struct er_download {
        const struct er_agent *agent;
        const char *url;
        int dir_fd;              /* where the part lies ... */
        const char *part;        /* ... by this name; it is there, and is continued */
        void (*tick)(void *arg); /* several times a second, as long as it takes; ends the process when nobody wants it
                                    any more */
        void *arg;
};
/* What the server says of it, as far as it does. */
struct er_download_facts {
        bool has_size;
        uint64_t size;
        char *version; /* (owned) its ETag or time, or NULL */
};
/*
 * Errors: ER_NOT_FOUND, ER_AUTH, ER_REMOTE for the server's own refusals; ER_NET with provider code "network" (no way
 * to the server from here) or "tool" (none of the programs is here): another machine may have more luck; ER_IO for the
 * disk.
 */
int er_download_look(const struct er_download *download, struct er_download_facts *ret, struct er_err *err);
int er_download_run(const struct er_download *download, const struct er_download_facts *facts, struct er_err *err);

/* Runs a program in the directory to its end; input (small) on stdin. What it wrote, each up to some KiB, goes into out
   and said (either may be NULL). Its exit status; -1: it could not be started. */
int er_download_tool(const struct er_download *download, char *const argv[], struct er_sv input, struct er_str *out,
                     struct er_str *said);
bool er_download_has_tool(const char *name);

#endif
