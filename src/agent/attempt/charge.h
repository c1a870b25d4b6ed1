/*
 * charge.h - everything that guard and supervisor are given about the attempt they look after.
 */
#ifndef ER_AGENT_ATTEMPT_CHARGE_H
#define ER_AGENT_ATTEMPT_CHARGE_H

#include "agent/attempt/adir.h"
#include "agent/attempt/ledger.h"
#include "agent/environment/activation.h"
#include "agent/environment/envdir.h"

struct er_charge {
        const struct er_agent *agent;
        struct er_adir dir;
        struct er_ainfo info;
        struct er_strv secrets; /* "NAME=value" */
        struct er_ticket ticket;
        struct er_envdir env;  /* the one the spec names, if any: wanted until the end */
        uint64_t env_failures; /* of its builds before this attempt, which do not count against it */
        struct er_activation activation;
        int lock_fd;
        int ctl_fd; /* listening; -1 where there are no sockets */
};
#define ER_CHARGE_INIT                                                                                                 \
        {.dir = ER_ADIR_INIT,                                                                                          \
         .info = ER_AINFO_INIT,                                                                                        \
         .ticket = ER_TICKET_INIT,                                                                                     \
         .env = ER_ENVDIR_INIT,                                                                                        \
         .lock_fd = -1,                                                                                                \
         .ctl_fd = -1}
void er_charge_release(struct er_charge *charge);

#endif
