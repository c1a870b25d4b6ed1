/*
 * datadir.h - the data of a project on this host: data/<project>/ below the root, shared by all its attempts here, in
 * no snapshot. A file that is under way is NAME.errand-part, locked (flock) by whoever brings it; NAME.errand-of beside
 * it says of what it is a part, so that what has changed at its source is begun anew.
 */
#ifndef ER_AGENT_DATA_DATADIR_H
#define ER_AGENT_DATA_DATADIR_H

#include "agent/agent.h"

#define ER_DATADIR_PART ".errand-part"
#define ER_DATADIR_OF ".errand-of"

/* Absolute (owned); it need not be there. */
char *er_datadir_path(const struct er_agent *agent, const char *project);
/* The same when it is there, else NULL. */
char *er_datadir_there(const struct er_agent *agent, const char *project);
/* `work/data` of an attempt leads there, when it is there and the snapshot has no `data` of its own; nothing depends on
 * it. */
void er_datadir_link(const struct er_agent *agent, const char *project, int attempt_fd);

#endif
