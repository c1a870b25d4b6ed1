/*
 * datadir.h - the data of a project on this host: data/<project>/ below the root, shared by all its attempts here and
 * part of no snapshot. An unfinished file is NAME.errand-part, locked (flock) by whoever transfers it. NAME.errand-of
 * beside it says what it is a part of, so that a file that has changed at its source is started again.
 */
#ifndef ER_AGENT_DATA_DATADIR_H
#define ER_AGENT_DATA_DATADIR_H

#include "agent/agent.h"

#define ER_DATADIR_PART ".errand-part"
#define ER_DATADIR_OF ".errand-of"

/* Its path: absolute (owned). It may not exist. */
char *er_datadir_path(const struct er_agent *agent, const char *project);
/* The same if it exists, otherwise NULL. */
char *er_datadir_there(const struct er_agent *agent, const char *project);
/* Makes an attempt's `work/data` a link to it, if it exists and the snapshot has no `data` of its own. A failure does
   not matter. */
void er_datadir_link(const struct er_agent *agent, const char *project, int attempt_fd);

#endif
