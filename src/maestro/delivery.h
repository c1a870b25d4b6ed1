/*
 * delivery.h - what goes to a host for a job (its snapshot, its environment), and the outputs that come back. On
 * failure, these set the work's outcome and reason, but for _fetch().
 */
#ifndef ER_MAESTRO_DELIVERY_H
#define ER_MAESTRO_DELIVERY_H

#include "host/environment.h"

struct er_carry;
struct er_conn;
struct er_work;

/* Takes the job's snapshot if it has none yet, and writes its hash into the job's spec. */
int er_delivery_name_tree(struct er_carry *m, struct er_work *work, struct er_conn *conn, struct er_err *err);
/* Sends the files. build (may be NULL): of the environment, in progress there; its progress is told too. */
int er_delivery_send_tree(struct er_carry *m, struct er_work *work, struct er_conn *conn,
                          struct er_environment_request *build, struct er_err *err);
/* Has the host start to build the job's environment. */
int er_delivery_ask_environment(struct er_carry *m, struct er_work *work, struct er_conn *conn,
                                struct er_environment_request *ret, struct er_err *err);
int er_delivery_fetch(struct er_carry *m, struct er_work *work, struct er_conn *conn, struct er_err *err);

#endif
