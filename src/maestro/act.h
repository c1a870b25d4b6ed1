/* act.h - does one action of the planner, as blocking code. */
#ifndef ER_MAESTRO_ACT_H
#define ER_MAESTRO_ACT_H

struct er_carry;
struct er_work;

void er_act(struct er_carry *m, struct er_work *work);

#endif
