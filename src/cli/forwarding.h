/*
 * forwarding.h - what errand forward and errand notebook have in common: a place by its name (a job or a host), ports
 * of it on this machine, and waiting until somebody wants an end of it.
 */
#ifndef ER_CLI_FORWARDING_H
#define ER_CLI_FORWARDING_H

#include "cli/where.h"
#include "host/forward.h"

struct er_port {
        uint16_t port, local; /* there, here; local 0: any free one */
        bool exact;           /* local and no other */
};
/* "PORT" or "PORT:LOCAL" */
int er_port_parse(const char *text, struct er_port *ret, struct er_err *err);

/* The signals that end a forwarding. Those that were ignored stay so. */
struct er_signals {
        struct er_cancel stop;
        bool on;
};
#define ER_SIGNALS_INIT                                                                                                \
        {                                                                                                              \
                .stop = { {-1, -1} }                                                                                   \
        }
int er_signals_catch(struct er_signals *signals, struct er_err *err);
void er_signals_release(struct er_signals *signals); /* they do again what they did before */

/* Where its news go; (borrowed) as long as it lives. */
struct er_forwarding_words {
        struct er_live *live;
        const char *when_lost; /* what to do when there is no contact, or NULL */
};
/* A session to the host, so that there is contact and the agent, then its ports; locals are filled in. */
int er_forwarding_open(const struct er_cli *cli, struct er_forwarding_words *words, const struct er_host *host,
                       struct er_port *ports, size_t count, struct er_forward **ret, struct er_err *err);

enum er_forwarding_end {
        ER_FORWARDING_STOPPED, /* by a signal */
        ER_FORWARDING_ENDED,   /* the job is over */
        ER_FORWARDING_MOVED,   /* it is on another host now */
};
/* Waits; a place that is no job only ends by a signal. -1 with err. */
int er_forwarding_wait(const struct er_cli *cli, struct er_where *where, const struct er_signals *signals,
                       struct er_err *err);
/* Until the job runs on a host (1), has ended (0), or a signal came (ER_CANCELLED). */
int er_forwarding_wait_for_start(const struct er_cli *cli, struct er_live *live, struct er_where *where,
                                 const struct er_signals *signals, struct er_err *err);

/* Has a background errand do it, which ends with the job; locals are filled in. */
int er_forwarding_detach(const struct er_cli *cli, const char *name, struct er_port *ports, size_t count,
                         struct er_err *err);

#endif
