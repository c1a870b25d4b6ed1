/*
 * session.h - one channel to errand-agent on a host, over whatever carries bytes: a local pipe, ssh's control socket
 * spoken to directly (PROTOCOL.mux), or an ssh process. Blocking; a session belongs to one thread at a time.
 *
 * Opening sends HELLO and does not wait; the first answer brings HELLO_OK. If the agent is missing on the host (or not
 * executable), the session installs it and resends what has not been answered; callers do not notice.
 *
 * Errors: ER_NET (name, refused, no route), ER_HOSTKEY, ER_AUTH, ER_TRANSPORT (the connection broke; retryable: open a
 * new session and go on), ER_TIMEOUT, ER_CANCELLED, ER_REMOTE and whatever the agent answers.
 */
#ifndef ER_HOST_CONNECT_SESSION_H
#define ER_HOST_CONNECT_SESSION_H

#include "base/clock.h"
#include "base/cancel.h"
#include "host/host.h"
#include "proto/msg.h"
#include "proto/spec.h"

struct er_session;

struct er_session_opts {
        bool interactive;         /* ssh may ask for a password or a touch on the terminal */
        int64_t connect_ms;       /* how long connecting may take; 0: 30 s */
        int64_t silence_ms;       /* a host that stays silent for so long, though pinged, is given up; 0: 2 min */
        struct er_cancel *cancel; /* (borrowed, may be NULL) when it fires, whatever blocks returns ER_CANCELLED */
        void (*note)(void *arg,
                     const char *text); /* (may be NULL) "gpu-box: installing errand-agent" for the status line */
        void *note_arg;
};

/* silence_ms for one of many hosts: it must not hold up the others. */
#define ER_ONE_OF_MANY_MS 20000

/* Called, from any thread, when a host has been silent for some seconds and the session has no note. For the whole
   process; NULL: nothing. */
void er_session_on_waiting(void (*say)(const char *host));

int er_session_open(const struct er_host *host, const struct er_session_opts *opts, struct er_session **ret,
                    struct er_err *err);
void er_session_free(struct er_session *session);
ER_DEFINE_AUTOPTR(er_session)
const char *er_session_host(const struct er_session *session); /* its name, for messages */

/* False while this session's ssh process has yet to log in: until then, what is sent may never arrive. */
bool er_session_is_logged_in(const struct er_session *session);
/* The agent has answered and the connection is intact: an error is the agent's own. */
bool er_session_is_sound(const struct er_session *session);

/* What the agent says about itself; waits for HELLO_OK if necessary. */
struct er_hello {
        char *build, *boot_id, *hostname, *root; /* (borrowed) until the session is freed */
        unsigned version;
        int64_t clock_skew_ms; /* its clock minus ours */
};
int er_session_hello(struct er_session *session, const struct er_hello **ret, struct er_err *err);
/* Which machine it is and where errand's files are on it, whatever name it was reached by (owned): equal for the same
   boot, hostname and root. */
char *er_machine(const struct er_hello *hello);

#endif
