/*
 * data.h - the data of a project on this host: data/<project>/ below the root, shared by all its attempts here, in no
 * snapshot. A file that is under way is NAME.errand-part, locked (flock) by whoever brings it; NAME.errand-of beside it
 * says of what it is a part, so that what has changed at its source is begun anew.
 */
#ifndef ER_AGENT_DATA_DATA_H
#define ER_AGENT_DATA_DATA_H

#include "agent/agent.h"

#define ER_DATA_PART ".errand-part"
#define ER_DATA_OF ".errand-of"

/* Absolute (owned); it need not be there. */
char *er_data_path(const struct er_agent *agent, const char *project);
/* The same when it is there, else NULL. */
char *er_data_there(const struct er_agent *agent, const char *project);
/* `work/data` of an attempt leads there, when it is there and the snapshot has no `data` of its own; nothing depends on
 * it. */
void er_data_link(const struct er_agent *agent, const char *project, int attempt_fd);

/* A program is asked for a URL, as the agent speaks no HTTP: curl, wget or python3. */
struct er_fetch {
        const struct er_agent *agent;
        const char *url;
        int dir_fd;              /* where the part lies ... */
        const char *part;        /* ... by this name; it is there, and is continued */
        void (*tick)(void *arg); /* several times a second, as long as it takes; ends the process when nobody wants it
                                    any more */
        void *arg;
};
/* What the server says of it, as far as it does. */
struct er_fetch_facts {
        bool has_size;
        uint64_t size;
        char *version; /* (owned) its ETag or time, or NULL */
};
#define ER_FETCH_FACTS_INIT {0}
void er_fetch_facts_release(struct er_fetch_facts *facts);
/*
 * Errors: ER_NOT_FOUND, ER_AUTH, ER_REMOTE for the server's own refusals; ER_NET with provider code "network" (no way
 * to the server from here) or "tool" (none of the programs is here): another machine may have more luck; ER_IO for the
 * disk.
 */
int er_fetch_look(const struct er_fetch *fetch, struct er_fetch_facts *ret, struct er_err *err);
int er_fetch_run(const struct er_fetch *fetch, const struct er_fetch_facts *facts, struct er_err *err);

/* Runs a program in the directory to its end; input (small) on stdin. What it wrote, each up to some KiB, goes into out
   and said (either may be NULL). Its exit status; -1: it could not be started. */
int er_data_tool(const struct er_fetch *fetch, char *const argv[], struct er_sv input, struct er_str *out,
                 struct er_str *said);
bool er_data_has_tool(const char *name);

#endif
