/*
 * requests.h - requests and their answers over a session, for the modules of this floor. Private to src/host.
 */
#ifndef ER_HOST_CONNECT_REQUESTS_H
#define ER_HOST_CONNECT_REQUESTS_H

#include "host/connect/session.h"

/* The two halves of a request. Sending never waits for an answer, but may block on a full pipe, reading answers
   meanwhile. Receiving returns the next frame of the request, whose payload is valid until the next call; an ERROR
   frame becomes -1 and its error. */
uint32_t er_session_next_id(struct er_session *session);
int er_session_send(struct er_session *session, struct er_sv frames, struct er_err *err);
int er_session_recv(struct er_session *session, uint32_t id, er_deadline deadline, struct er_frame *ret,
                    struct er_err *err);
/* Sends one request built from fields and waits for its OK (or other single answer). */
int er_session_call(struct er_session *session, enum er_frame_type type, struct er_sv fields, struct er_frame *ret,
                    struct er_err *err);

/* The next frame of any request from first to last, for callers with many requests under way; an ERROR frame is
   returned as it is. */
int er_session_recv_range(struct er_session *session, uint32_t first, uint32_t last, er_deadline deadline,
                          struct er_frame *ret, struct er_err *err);
/* True if a frame of this request arrived while another was awaited; its payload is copied to `payload`. Does not
   wait, and leaves what the last call returned untouched. */
bool er_session_take_waiting(struct er_session *session, uint32_t id, struct er_frame *ret, struct er_str *payload);
/* Drops a request under way: whatever still arrives for it is discarded. stream: it is a WATCH, LOG, GET, LIST or
   ENV, and is told to stop. Never fails: the next call notices a broken session. */
void er_session_drop(struct er_session *session, uint32_t id, bool stream);
/* While on, a host that has long been silent is sent a PING, and given up if it does not answer: for requests that
   may be silent for hours but are served at once. */
void er_session_heartbeat(struct er_session *session, bool on);
/* From the host's clock to ours. 0 stays 0. */
int64_t er_session_our_time(const struct er_session *session, int64_t theirs_ms);
int64_t er_session_their_time(const struct er_session *session, int64_t ours_ms);
bool er_frame_is_closing(enum er_frame_type type);

#endif
