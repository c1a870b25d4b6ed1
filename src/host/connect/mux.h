/*
 * mux.h - a client of ssh's control socket: the multiplexing protocol of OpenSSH (PROTOCOL.mux in its sources, version
 * 4).
 *
 * We open sessions as a "passenger": the three descriptors of the session travel over the socket, the master moves the
 * bytes, and the socket stays open as long as the session lives. A frame is  u32 length | u32 type | body,  big-endian.
 * Private to src/host.
 */
#ifndef ER_HOST_CONNECT_MUX_H
#define ER_HOST_CONNECT_MUX_H

#include "base/clock.h"
#include "base/cancel.h"
#include "base/str.h"

enum er_mux_answer {
        ER_MUX_OPENED, /* the session is open */
        ER_MUX_FULL,   /* the server refused one more session on this connection (MaxSessions) */
        ER_MUX_DENIED, /* the master refused: it asks its user first (ControlMaster ask) */
        ER_MUX_DEAD,   /* nobody listens, or it hung up: the master is gone */
        ER_MUX_SILENT, /* no answer until the deadline: its connection is stuck */
        ER_MUX_ODD,    /* it speaks something else: use an ssh process */
        ER_MUX_CANCELLED,
};

struct er_mux {
        int fd;
        uint32_t session;   /* the master's number for it */
        int exit_status;    /* -1: not known */
        struct er_str in;   /* received, but not a whole frame yet */
        struct er_str said; /* the reason for a refusal */
};
#define ER_MUX_INIT {.fd = -1, .exit_status = -1, .in = ER_STR_INIT, .said = ER_STR_INIT}

/* Connects, asks for a session that runs `command`, and waits for the answer. fds are its stdin, stdout and stderr: the
   caller closes its copies. Anything but OPENED leaves nothing open. */
enum er_mux_answer er_mux_open(struct er_mux *mux, const char *path, const char *command, const int fds[3],
                               er_deadline deadline, const struct er_cancel *cancel);
/* The same for a connection from the master's host to a port of `host` ("open stdio forwarding"): fds[0] carries what
   is sent there, fds[1] what comes back. FULL means here that it was refused: nothing listens on the port, or sshd
   forbids forwarding. */
enum er_mux_answer er_mux_forward(struct er_mux *mux, const char *path, const char *host, uint16_t port,
                                  const int fds[2], er_deadline deadline, const struct er_cancel *cancel);
/* Makes the master listen on a unix socket here and connect each client to one on its host
   (direct-streamlocal@openssh.com), as long as the master lives. It does not check whether anything listens there. */
enum er_mux_answer er_mux_listen(struct er_mux *mux, const char *path, const char *here, const char *there,
                                 er_deadline deadline, const struct er_cancel *cancel);
/* The exit status of the session's command, waiting for it until the deadline; -1 if the master did not report it. */
int er_mux_exit(struct er_mux *mux, er_deadline deadline);
/* Closes: the master then ends the session, if it still runs. */
void er_mux_release(struct er_mux *mux);
/* A connection to a unix socket, non-blocking; -1 with errno. */
int er_mux_connect(const char *path, er_deadline deadline);
/* True if something listens on the socket. *ret_errno (may be NULL) says why not. */
bool er_mux_listens(const char *path, int *ret_errno);

#endif
