/*
 * listen.h - the listener: when sessions come in quick succession, a process that further clients reach through the
 * connection they already have (ssh's direct-streamlocal), without sshd starting a session for each. It lives for some
 * seconds.
 *
 * It starts only when a client asks for it in HELLO, and keeps nothing open that would hold up a connection or a
 * session. A client that it serves finds what it would find in a session of its own: the same variables, directory,
 * limits and root, since there is one listener for each such combination. Its socket has a random name chosen by the
 * client that nobody else can guess, so whoever may only forward but not log in cannot reach it.
 */
#ifndef ER_AGENT_SERVE_LISTEN_H
#define ER_AGENT_SERVE_LISTEN_H

#include "agent/agent.h"

#define ER_LINGER_MAX_MS 10000

/* The path (owned) of the socket of the client's listener for sessions like this one; starts the listener when there is
   none. NULL: not possible here. name: 24 hex digits from the client. The listener ends when nobody has come for
   linger_ms. */
char *er_listen_find(const struct er_agent *agent, struct er_sv name, int64_t linger_ms);

/* `errand-agent listen`: the listener itself, as started by er_listen_find. True: this is a child of it, with a client
   on standard input and output; false: the listener has ended. */
bool er_listen_run(const struct er_agent *agent, char **args, int count);

#endif
