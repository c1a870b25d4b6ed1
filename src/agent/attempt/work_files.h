/*
 * work_files.h - the files in an attempt's work/: real files of its own, made from a snapshot.
 */
#ifndef ER_AGENT_ATTEMPT_WORK_FILES_H
#define ER_AGENT_ATTEMPT_WORK_FILES_H

#include "agent/attempt/adir.h"

/* Makes dir/work from the spec's snapshot, or empty when it has none. `busy` (may be NULL) is called now and then; when
   it returns false, the work stops with ER_CANCELLED. */
int er_work_files_make(const struct er_agent *agent, const struct er_adir *dir, const struct er_spec *spec,
                       bool (*busy)(void *arg), void *arg, struct er_err *err);
/* For the guard, when all is over: makes a spare work directory for the project's next run, if that is worthwhile. At
   idle priority. */
void er_work_files_spare(const struct er_agent *agent, const struct er_adir *dir);

#endif
