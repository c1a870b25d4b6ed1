/*
 * files_dir.h - the directory that a request about files refers to: that of an attempt's command (KEY, ATTEMPT), ROOT,
 * or the home directory.
 */
#ifndef ER_AGENT_DATA_FILES_DIR_H
#define ER_AGENT_DATA_FILES_DIR_H

#include "agent/agent.h"

/* make: create ROOT when it is missing. ER_NOT_FOUND names what is missing. */
int er_files_dir_open(const struct er_agent *agent, struct er_sv payload, bool make, int *ret_fd, struct er_err *err);
/* The request's PATH (owned): safe below the directory, or absolute if no KEY is given. */
int er_files_dir_path(struct er_sv payload, char **ret, struct er_err *err);

#endif
