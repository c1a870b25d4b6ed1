/*
 * tell.h - what front ends are told of a job, one call at a time. None of these may be called under the lock of the
 * carry.
 */
#ifndef ER_MAESTRO_TELL_H
#define ER_MAESTRO_TELL_H

#include <pthread.h>
#include "maestro/maestro.h"

struct er_carried;

struct er_teller {
        const struct er_maestro_ui *ui; /* (borrowed) */
        pthread_mutex_t *carry_lock;    /* (borrowed) guards what is told */
        pthread_mutex_t lock;           /* held during a call of the front end */
};

/* Those with `wait` false return false if the front end is busy: try again. */
bool er_tell_state(struct er_teller *t, struct er_carried *j, bool wait);
bool er_tell_warn(struct er_teller *t, struct er_carried *j, const struct er_err *err, bool wait);
/* -1: nobody reads the log any more. */
int er_tell_log(struct er_teller *t, struct er_carried *j, int stream, struct er_sv data);
void er_tell_note(struct er_teller *t, struct er_carried *j, const char *fmt, ...) ER_PRINTF(3, 4);
void er_tell_transfer(struct er_teller *t, struct er_carried *j, const char *what, const struct er_transfer *transfer);
void er_tell_fetched(struct er_teller *t, struct er_carried *j, const char *dir, const struct er_transfer *transfer);

#endif
