/* plan.c - see plan.h */
#include "maestro/plan.h"

/* How the end of an attempt becomes the end of its job. Ends that may lead to a new attempt are looked at before. */
static const struct {
        enum er_job_state state;
        enum er_reason otherwise; /* when the attempt gives no reason */
} ends[] = {
        [ER_END_DONE] = {ER_JOB_DONE, ER_REASON_NONE},           [ER_END_FAILED] = {ER_JOB_FAILED, ER_REASON_EXIT},
        [ER_END_CANCELLED] = {ER_JOB_CANCELLED, ER_REASON_USER}, [ER_END_PREEMPTED] = {ER_JOB_FAILED, ER_REASON_GONE},
        [ER_END_LOST] = {ER_JOB_FAILED, ER_REASON_GONE},
};

struct planner {
        struct er_action *actions;
        size_t count;
        int64_t now_ms, wake_ms;
};

static void act(struct planner *p, size_t index, enum er_action_kind kind)
{
        p->actions[p->count++] = (struct er_action){.kind = kind, .job = index};
}

static void finish(struct planner *p, size_t index, enum er_job_state state, enum er_reason reason)
{
        p->actions[p->count++] = (struct er_action){
                .kind = ER_ACT_FINISH, .job = index, .state = state, .reason = reason};
}

/* True if the pause after a broken connection is over; else notes when to look again. */
static bool due(struct planner *p, const struct er_plan_job *job)
{
        if (job->retry_at_ms <= p->now_ms)
                return true;
        if (job->retry_at_ms < p->wake_ms)
                p->wake_ms = job->retry_at_ms;
        return false;
}

static void plan_ended(struct planner *p, size_t index, const struct er_plan_job *job)
{
        bool wanted = job->outputs_declared && !job->outputs_fetched && !job->fetch_waits;

        if (wanted && !job->busy && !job->watching && due(p, job))
                act(p, index, ER_ACT_FETCH);
}

static void plan_open_attempt(struct planner *p, size_t index, const struct er_plan_job *job)
{
        bool wants_watch = !job->watching, wants_cancel = job->cancel_asked && !job->cancel_sent;

        if (!job->submitted) {
                /* For a cancel, too: only the host knows whether there is anything to end. */
                if (!job->busy && !job->watching && due(p, job))
                        act(p, index, ER_ACT_SETTLE);
                return;
        }
        if (job->busy)
                return;
        if (!(wants_watch || wants_cancel) || !due(p, job))
                return;
        if (wants_cancel)
                act(p, index, ER_ACT_CANCEL);
        if (wants_watch)
                act(p, index, ER_ACT_WATCH);
}

static void plan_between_attempts(struct planner *p, size_t index, const struct er_plan_job *job)
{
        bool over = job->attempt_end != ER_END_NONE;
        bool may_go_on = job->attempt_end == ER_END_LOST || job->attempt_end == ER_END_PREEMPTED;
        /* A host that has forgotten an attempt does not say that it is over. */
        bool proven = job->attempt_reason != ER_REASON_GONE;

        if (job->busy || job->watching)
                return;
        if (over && !may_go_on) {
                enum er_reason reason = job->attempt_reason ? job->attempt_reason : ends[job->attempt_end].otherwise;
                finish(p, index, ends[job->attempt_end].state,
                       job->attempt_end == ER_END_DONE ? ER_REASON_NONE : reason);
        } else if (job->cancel_asked) {
                finish(p, index, ER_JOB_CANCELLED, ER_REASON_USER);
        } else if (over && (job->attempts > job->retries || !proven)) {
                finish(p, index, ends[job->attempt_end].state,
                       job->attempt_reason ? job->attempt_reason : ends[job->attempt_end].otherwise);
        } else if (due(p, job)) {
                act(p, index, ER_ACT_PLACE);
        }
}

size_t er_plan(const struct er_plan_job *jobs, size_t count, int64_t now_ms, struct er_action *ret,
               int64_t *ret_wake_ms)
{
        struct planner p = {.actions = ret, .now_ms = now_ms, .wake_ms = INT64_MAX};

        for (size_t i = 0; i < count; i++) {
                if (er_job_state_ended(jobs[i].state))
                        plan_ended(&p, i, &jobs[i]);
                else if (jobs[i].attempt_open)
                        plan_open_attempt(&p, i, &jobs[i]);
                else
                        plan_between_attempts(&p, i, &jobs[i]);
        }
        *ret_wake_ms = p.wake_ms;
        return p.count;
}
