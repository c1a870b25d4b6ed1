/*
 * carried.h - one job while its run is carried: what the store says of it, and what happens to it now.
 *
 * The lock of its carry guards all members but those of the watch and of the view.
 */
#ifndef ER_MAESTRO_CARRIED_H
#define ER_MAESTRO_CARRIED_H

#include "host/host.h"
#include "maestro/plan.h"
#include "proto/spec.h"
#include "store/store.h"

struct er_work;

struct er_carried {
        struct er_job row;
        struct er_attempt at; /* the latest; id 0: none yet */
        struct er_spec spec;
        char *key;
        bool has_host;
        struct er_host host; /* of the latest attempt */

        struct er_plan_job plan;
        struct er_work *work, *cancel; /* in progress; a cancel runs beside a watch */
        bool closed;

        bool job_dirty, attempt_dirty; /* differ from the store */
        int64_t dirty_ms;              /* since when (monotonic) */
        int64_t news_due_ms;           /* when to write the time of the last news again (monotonic) */
        bool verdict;                  /* a new attempt failed for good before there was one, for this reason: */
        enum er_reason verdict_reason;
        bool host_new; /* used for the first time: to be remembered */

        unsigned failures;   /* in a row */
        int64_t failing_ms;  /* since when; 0: all is well (monotonic) */
        enum er_code warned; /* what the user was told about this outage */

        struct er_err warning; /* the user has not been told yet */

        /* Only the one watch touches these. */
        uint64_t log_offset;
        bool log_gone;

        /* What front ends see; only tell.c touches it, under its own lock. */
        struct er_job view;
        enum er_job_state told;
        uint32_t told_attempt;
};

/* Reads what the store has of the job. NULL if this build cannot make sense of it. */
struct er_carried *er_carried_load(struct er_store *store, const struct er_job *row, struct er_err *err);
void er_carried_free(struct er_carried *j);
/* The row, or the attempt too, has changed and must be written. */
void er_carried_dirty(struct er_carried *j, bool attempt);

#endif
