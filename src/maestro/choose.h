/* choose.h - the host of a new attempt. */
#ifndef ER_MAESTRO_CHOOSE_H
#define ER_MAESTRO_CHOOSE_H

#include "host/host.h"

struct er_carry;
struct er_work;

/* On failure, the work's outcome and reason are set. */
int er_choose_host(struct er_carry *m, struct er_work *work, struct er_host *ret, struct er_err *err);

#endif
