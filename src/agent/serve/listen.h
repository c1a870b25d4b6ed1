/*
 * listen.h - a listener: when sessions come in quick succession, a process that further clients reach through the
 * connection they have (ssh's direct-streamlocal), without sshd starting a session for each. It lives for some seconds.
 *
 * It begins only when a client asks for it in its HELLO, and has nothing open that would keep a connection or a
 * session. A client it serves finds what it would find in a session of its own: a process with the same environment,
 * directory, limits and root, for every environment has a listener of its own. Its socket has a name that the client
 * has drawn and nobody else can guess: whoever may only forward, but not log in, does not get to it.
 */
#ifndef ER_AGENT_SERVE_LISTEN_H
#define ER_AGENT_SERVE_LISTEN_H

#include "agent/agent.h"

#define ER_LINGER_MAX_MS 10000

/* The path of the socket of the client's listener for sessions like this one, which is started when there is none
   (owned). NULL: there is none to be had here. name is 24 hex digits of the client's; it ends once nobody has come for
   linger_ms. */
char *er_listen_find(const struct er_agent *agent, struct er_sv name, int64_t linger_ms);

/* `errand-agent listen`: the listener itself, as started by er_listen_find. True: this is a child of it, whose standard
   input and output are a client; false: it has ended. */
bool er_listen_run(const struct er_agent *agent, char **args, int count);

#endif
