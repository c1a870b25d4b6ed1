/* work.c - see work.h */
#include "maestro/work.h"

#include "base/clock.h"

struct er_work *er_work_new(enum er_action_kind kind, struct er_carried *job)
{
        struct er_work *work = er_new(struct er_work);

        work->kind = kind;
        work->job = job;
        work->started_ms = er_mono_ms();
        if (kind == ER_ACT_WATCH)
                work->phase = ER_PHASE_WATCHING;
        return work;
}

void er_work_free(struct er_work *work)
{
        if (work)
                er_err_release(&work->err);
        free(work);
}
