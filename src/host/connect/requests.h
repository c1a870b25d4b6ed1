/*
 * requests.h - requests and their answers over a session, for the modules of this floor. Private to src/host.
 */
#ifndef ER_HOST_CONNECT_REQUESTS_H
#define ER_HOST_CONNECT_REQUESTS_H

#include "host/connect/session.h"

/* The two halves of a request: sending never waits for an answer (but may block on a
   full pipe, reading answers meanwhile); receiving gives the next frame of that request, payload valid until the next
   call. An ERROR frame becomes a -1 with its error. */
uint32_t er_session_next_id(struct er_session *session);
int er_session_send(struct er_session *session, struct er_sv frames, struct er_err *err);
int er_session_recv(struct er_session *session, uint32_t id, er_deadline deadline, struct er_frame *ret,
                    struct er_err *err);
/* Sends one request built from fields and waits for its OK (or other single answer). */
int er_session_call(struct er_session *session, enum er_frame_type type, struct er_sv fields, struct er_frame *ret,
                    struct er_err *err);

/* The next frame of any request from first to last; an ERROR frame is given out as it is. For many requests under way.
 */
int er_session_recv_range(struct er_session *session, uint32_t first, uint32_t last, er_deadline deadline,
                          struct er_frame *ret, struct er_err *err);
/* A frame of this request that came while others were waited for: true, and its payload is in `payload`. Neither waits
   nor touches what the last call gave out. */
bool er_session_take_waiting(struct er_session *session, uint32_t id, struct er_frame *ret, struct er_str *payload);
/* Nothing more is wanted of a request under way: what still comes of it is dropped. stream: it is a WATCH, LOG, GET,
   LIST or ENV, and is told to stop. Never fails: a broken session is noticed by whoever uses it next. */
void er_session_drop(struct er_session *session, uint32_t id, bool stream);
/* While on, a host that is silent for long is asked with PING, and given up when it does not answer that: for
   requests that may be silent for hours and are served at once. */
void er_session_heartbeat(struct er_session *session, bool on);
/* Host's clock to ours. 0 stays 0. */
int64_t er_session_our_time(const struct er_session *session, int64_t theirs_ms);
int64_t er_session_their_time(const struct er_session *session, int64_t ours_ms);
bool er_frame_is_closing(enum er_frame_type type);

#endif
