/*
 * forwarding.h - what errand forward and errand notebook have in common: ports of a host on this machine, for as long
 * as the user wants and the job runs.
 */
#ifndef ER_CLI_FORWARDING_H
#define ER_CLI_FORWARDING_H

#include "cli/where.h"
#include "host/forward.h"

struct er_port {
        uint16_t port, local; /* port there, local here; local 0: any free one */
        bool exact;           /* this local port and no other */
};
/* "PORT" or "PORT:LOCAL" */
int er_port_parse(const char *text, struct er_port *ret, struct er_err *err);

/* The signals that end a forwarding. Signals that were ignored stay ignored. */
struct er_signals {
        struct er_cancel stop;
        bool on;
};
#define ER_SIGNALS_INIT                                                                                                \
        {                                                                                                              \
                .stop = { {-1, -1} }                                                                                   \
        }
int er_signals_catch(struct er_signals *signals, struct er_err *err);
void er_signals_release(struct er_signals *signals); /* restores what they did before */

/* Where its messages go; (borrowed) as long as the forwarding lives. */
struct er_forwarding_words {
        struct er_live *live;
        const char *when_lost; /* what the user can do while there is no contact, or NULL */
};
/* Opens a session, so that the host is known to be there and has the agent, then forwards the ports. Fills in their
 * locals. */
int er_forwarding_open(const struct er_cli *cli, struct er_forwarding_words *words, const struct er_host *host,
                       struct er_port *ports, size_t count, struct er_forward **ret, struct er_err *err);

enum er_forwarding_end {
        ER_FORWARDING_STOPPED, /* by a signal */
        ER_FORWARDING_ENDED,   /* the job has ended */
        ER_FORWARDING_MOVED,   /* it is on another host now */
};
/* Waits for a signal, or until the job ends or moves. Returns an er_forwarding_end, or -1. */
int er_forwarding_wait(const struct er_cli *cli, struct er_where *where, const struct er_signals *signals,
                       struct er_err *err);
/* Waits until the job runs on a host (1), has ended (0), or a signal came (-1, ER_CANCELLED). */
int er_forwarding_wait_for_start(const struct er_cli *cli, struct er_live *live, struct er_where *where,
                                 const struct er_signals *signals, struct er_err *err);

/* Starts an errand forward in the background, which ends with the job. Fills in the locals. */
int er_forwarding_detach(const struct er_cli *cli, const char *name, struct er_port *ports, size_t count,
                         struct er_err *err);

#endif
