/*
 * session_impl.h - the inside of a session, for session.c (frames) and session_open.c (opening, the first answer, the
 * end).
 */
#ifndef ER_HOST_CONNECT_SESSION_IMPL_H
#define ER_HOST_CONNECT_SESSION_IMPL_H

#include "base/io.h"
#include "host/connect/connect.h"
#include "host/connect/fast.h"
#include "host/connect/link.h"
#include "host/connect/requests.h"

/* Size of the read buffer; a whole frame always fits. */
#define ER_IN_MAX (ER_FRAME_MAX + 512u * 1024)
#define ER_HELLO_ID 1u

/* A frame put aside until somebody asks for it. */
struct er_parked {
        struct er_parked *next;
        struct er_frame frame; /* its payload is in data */
        char data[];
};

struct er_session {
        struct er_host host;
        struct er_connect connect;
        struct er_fast fast;
        struct er_cancel *cancel;
        struct er_link link;
        unsigned opened;    /* how many times the link was opened */
        unsigned installed; /* how many times the agent was installed or awaited */
        unsigned retried;   /* how many times a temporary refusal was retried */

        bool greeted;         /* HELLO_OK has arrived */
        er_deadline hello_by; /* else: the deadline for it */
        int64_t hello_sent_ms;
        struct er_str replay;  /* everything sent before HELLO_OK: sent again when the link is reopened */
        struct er_str noise;   /* the start of what the login shell printed before it */
        struct er_hello hello; /* points to the next four */
        char *build, *boot_id, *hostname, *root;

        char *in; /* ER_IN_MAX bytes; start..end is what has been read */
        size_t start, end;
        size_t held;             /* bytes at start that the caller may read until its next call */
        struct er_parked *given; /* (owned) the same for a frame that was put aside */
        struct er_parked *parked, **parked_end;
        size_t parked_bytes;
        uint32_t *dropped; /* requests whose answers nobody wants */
        size_t dropped_len, dropped_cap;

        uint32_t next_id;
        bool heartbeat;
        bool said_waiting;      /* the message has been given */
        int64_t silence_ms;     /* as in er_session_opts */
        int64_t pinged_ms;      /* when that was */
        er_deadline ping_again; /* one could not be sent: not before this */
        uint32_t ping_id;       /* under way; 0: none */
        bool broken;
        struct er_err why;
};

/* Makes the session unusable, for the reason given (moved). Returns -1 with err. */
int er_session_break(struct er_session *session, struct er_err *why, struct er_err *err);
int er_session_refuse(const struct er_session *session, struct er_err *err);
/* The stream has ended. 0: it was reopened (only before the first answer) and everything sent again; -1 with err. */
int er_session_on_end(struct er_session *session, struct er_err *err);
/* Looks for the first answer in what was read, past anything a login shell printed. 1: found; 0: read more; -1:
   something else arrives, or the agent refuses. */
int er_session_find_hello(struct er_session *session, struct er_err *err);

#endif
