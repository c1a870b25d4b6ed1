/*
 * supervise.h - the pair of processes that looks after one attempt. The guard holds the lock and waits; the supervisor
 * does the work. When the supervisor is killed, everything it started falls to the guard, which ends it and writes that
 * the attempt is lost.
 */
#ifndef ER_AGENT_ATTEMPT_SUPERVISE_H
#define ER_AGENT_ATTEMPT_SUPERVISE_H

#include "agent/attempt/adir.h"
#include "agent/environment/env.h"
#include "agent/attempt/ledger.h"

/* What serve hands over. */
struct er_charge {
        const struct er_agent *agent;
        struct er_adir dir;
        struct er_ainfo info;
        struct er_strv secrets; /* "NAME=value" */
        struct er_ticket ticket;
        struct er_env env;     /* of the spec, if it names one: wanted until the end */
        uint64_t env_failures; /* of its builds before this attempt, which are not its own */
        struct er_activation activation;
        int lock_fd;
        int ctl_fd; /* listening; -1 where there are no sockets */
};
#define ER_CHARGE_INIT                                                                                                 \
        {.dir = ER_ADIR_INIT,                                                                                          \
         .info = ER_AINFO_INIT,                                                                                        \
         .ticket = ER_TICKET_INIT,                                                                                     \
         .env = ER_ENV_INIT,                                                                                           \
         .lock_fd = -1,                                                                                                \
         .ctl_fd = -1}
void er_charge_release(struct er_charge *charge);

/* Starts guard and supervisor. forget (may be NULL) is called in them first: memory of the caller that they do not
 * need. */
int er_guard_start(struct er_charge *charge, void (*forget)(void *arg), void *arg, struct er_err *err);
/* The supervisor's whole life. Never returns. */
_Noreturn void er_supervise(struct er_charge *charge);

#endif
