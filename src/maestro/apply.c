/* apply.c - see apply.h */
#include "maestro/apply.h"

#include "base/clock.h"
#include "base/crash.h"
#include "maestro/work.h"

#define GIVE_UP_MS 60000 /* on a host that breaks all connections before anything has been submitted */
#define BACKOFF_MS 200
#define BACKOFF_MAX_MS 15000

static void set_text(char **text, const char *value)
{
        char *copy = er_strdup(value);

        free(*text);
        *text = copy;
}

/* From the host */

static void all_is_well(struct er_carried *j)
{
        j->failures = 0;
        j->failing_ms = 0;
        j->warned = ER_OK;
        j->plan.retry_at_ms = 0;
}

static enum er_job_state job_state(enum er_state state)
{
        switch (state) {
        case ER_STATE_QUEUED:
                return ER_JOB_QUEUED;
        case ER_STATE_STARTING:
                return ER_JOB_STARTING;
        case ER_STATE_RUNNING:
        case ER_STATE_ENDED: /* its end is written by FINISH, with all that belongs to it */
                return ER_JOB_RUNNING;
        case ER_STATE_WAITING:
                break;
        }
        return ER_JOB_WAITING;
}

static void take_end(struct er_attempt *at, const struct er_status *status)
{
        at->end = status->end ? (enum er_end)status->end : ER_END_LOST;
        at->reason = (enum er_reason)status->reason;
        at->exit_code = status->exit_code;
        at->signal = status->signal;
        at->ended_ms = status->ended_ms ? status->ended_ms : status->time_ms ? status->time_ms : er_now_ms();
        at->log_size = status->log_size;
        set_text(&at->detail, status->detail);
}

bool er_apply_status(struct er_carried *j, const struct er_status *status, bool event)
{
        struct er_attempt *at = &j->at;
        bool first;

        all_is_well(j);
        j->row.news_ms = er_now_ms();
        if (at->end != ER_END_NONE)
                return false;
        at->submitted = true;
        /* Only an event counts as seen. A status has the number of the last one too, but did not bring it. */
        if (event && status->seq > at->seq)
                at->seq = status->seq;
        if (status->state > (unsigned)at->state && status->state <= ER_STATE_ENDED &&
            (event || status->state != ER_STATE_ENDED))
                at->state = (enum er_state)status->state;
        if (status->state == ER_STATE_QUEUED && !at->queued_ms)
                at->queued_ms = status->time_ms ? status->time_ms : er_now_ms();
        /* What the build of its environment is doing, or what its end waits for. */
        if (event && status->state != ER_STATE_ENDED)
                set_text(&j->row.detail, status->detail);
        if (status->started_ms)
                at->started_ms = status->started_ms;
        else if (status->state == ER_STATE_RUNNING && !at->started_ms)
                at->started_ms = status->time_ms ? status->time_ms : er_now_ms();
        if (status->cpu_ms)
                at->cpu_ms = status->cpu_ms;
        if (status->max_rss > at->max_rss)
                at->max_rss = status->max_rss;
        if (status->gpu_mem > at->gpu_mem)
                at->gpu_mem = status->gpu_mem;
        if (status->gpu_mask)
                at->gpu_mask = status->gpu_mask;
        if (status->gpu_util >= 0)
                at->gpu_util = status->gpu_util;
        if (status->gpu_util_max > at->gpu_util_max)
                at->gpu_util_max = status->gpu_util_max;
        at->gpu_shared |= status->gpu_shared;
        if (event && status->state == ER_STATE_ENDED) {
                take_end(at, status);
        } else {
                j->row.state = job_state(at->state);
                j->row.started_ms = at->started_ms;
        }
        first = !j->attempt_dirty;
        er_carried_dirty(j, true);
        return first && at->end == ER_END_NONE;
}

void er_apply_end(struct er_carried *j, enum er_end end, enum er_reason reason, const char *detail)
{
        if (j->at.end != ER_END_NONE)
                return;
        j->at.state = ER_STATE_ENDED;
        j->at.end = end;
        j->at.reason = reason;
        j->at.ended_ms = er_now_ms();
        set_text(&j->at.detail, detail);
        er_carried_dirty(j, true);
}

/* From the workers */

static int64_t backoff(struct er_carried *j)
{
        int64_t pause = BACKOFF_MS;
        uint64_t spread;

        for (unsigned i = 1; i < j->failures && pause < BACKOFF_MAX_MS; i++)
                pause *= 2;
        if (pause > BACKOFF_MAX_MS)
                pause = BACKOFF_MAX_MS;
        /* Up to a quarter less, so that many jobs do not all come back at the same moment. */
        spread = (uint64_t)er_mono_us() * 2654435761u + (uint64_t)j->row.id * 40503u;
        return pause - (int64_t)((spread >> 8) % (uint64_t)(pause / 4));
}

static void warn_once(struct er_carried *j, const struct er_work *work, bool attempt_open)
{
        const struct er_err *err = &work->err;
        const char *host = j->has_host ? j->host.name : "the host";
        const char *why = err->message ? err->message : er_code_name(err->code);

        if (j->warned == err->code)
                return;
        j->warned = err->code;
        er_err_clear(&j->warning);
        if (work->kind == ER_ACT_CANCEL || (j->row.cancel_asked && attempt_open))
                er_err_set(&j->warning, err->code, "cannot reach %s to cancel it, still trying: %s", host, why);
        else if (er_job_state_ended(j->row.state))
                er_err_set(&j->warning, err->code, "outputs are still on %s, trying again: %s", host, why);
        else if (attempt_open)
                er_err_set(&j->warning, err->code, "lost contact with %s, trying again (the job does not need it): %s",
                           host, why);
        else
                er_err_set(&j->warning, err->code, "no connection yet, trying again: %s", why);
        if (err->hint)
                er_err_hint(&j->warning, "%s", err->hint);
}

static void fail_for_good(struct er_carried *j, enum er_reason reason, const struct er_err *err)
{
        const char *why = err->message ? err->message : er_code_name(err->code);
        er_autofree char *detail = err->hint ? er_fmt("%s\n%s", why, err->hint) : er_strdup(why);

        if (j->at.id && j->at.end == ER_END_NONE) {
                er_apply_end(j, ER_END_FAILED, reason, detail);
        } else {
                j->verdict = true;
                j->verdict_reason = reason;
                set_text(&j->row.detail, detail);
        }
}

static void broken(struct er_carried *j, struct er_work *work)
{
        int64_t now = er_mono_ms();
        bool attempt_open = j->at.id && j->at.end == ER_END_NONE;
        bool unknown = work->err.code == ER_NET && !j->at.id;

        if (work->reused && j->failures == 0) {
                j->failures = 1; /* the connection may have died long ago: try again at once, and say nothing */
                return;
        }
        j->failures++;
        if (!j->failing_ms)
                j->failing_ms = now;
        /* If there is no such host, or it is off, say so at once instead of trying for a minute. A host that is to get
           another attempt may be booting. */
        if (work->kind == ER_ACT_PLACE && !attempt_open && (unknown || now - j->failing_ms > GIVE_UP_MS)) {
                fail_for_good(j, ER_REASON_HOST, &work->err);
                return;
        }
        j->plan.retry_at_ms = now + backoff(j);
        if (j->failures > 1 || !attempt_open || now - work->started_ms > 2000)
                warn_once(j, work, attempt_open);
}

static void cannot_fetch(struct er_carried *j, const struct er_work *work)
{
        j->plan.fetch_waits = true;
        er_err_clear(&j->warning);
        er_err_set(&j->warning, work->err.code, "the outputs could not be fetched: %s",
                   work->err.message ? work->err.message : er_code_name(work->err.code));
        er_err_hint(&j->warning, "they are still on %s; fetch them with `errand pull %s PATH...`%s%s", j->host.name,
                    j->row.name, work->err.hint ? "; " : "", work->err.hint ? work->err.hint : "");
}

static void fetched(struct er_carried *j)
{
        j->row.outputs_fetched = true;
        er_carried_dirty(j, false);
}

/* Nothing is left to fetch, and that must not look like success. */
static void outputs_are_gone(struct er_carried *j)
{
        er_err_clear(&j->warning);
        er_err_set(&j->warning, ER_NOT_FOUND, "the outputs of %s are gone from %s", j->row.name, j->host.name);
        er_err_hint(&j->warning, "something removed them there; `errand rerun %s` makes them again", j->row.name);
        fetched(j);
}

static void apply_outcome(struct er_carried *j, struct er_work *work, struct er_err *fatal)
{
        bool fetching = work->kind == ER_ACT_FETCH;

        switch (work->outcome) {
        case ER_OUT_OK:
                all_is_well(j);
                if (work->kind == ER_ACT_CANCEL)
                        j->plan.cancel_sent = true;
                if (fetching)
                        fetched(j);
                return;
        case ER_OUT_BROKEN:
                broken(j, work);
                return;
        case ER_OUT_REFUSED:
                if (fetching)
                        cannot_fetch(j, work);
                else
                        fail_for_good(j, work->reason, &work->err);
                return;
        case ER_OUT_GONE:
                if (fetching)
                        outputs_are_gone(j);
                else
                        er_apply_end(j, ER_END_LOST, ER_REASON_GONE, "the host no longer knows it");
                return;
        case ER_OUT_AGAIN:
                if (work->stop == ER_STOP_TURN)
                        j->plan.retry_at_ms = er_mono_ms() + 1000;
                return;
        case ER_OUT_FATAL:
                if (!fatal->code)
                        er_err_move(fatal, &work->err);
                return;
        }
}

void er_apply_work(struct er_work *work, struct er_err *fatal)
{
        struct er_carried *j = work->job;
        bool ended = j->at.end != ER_END_NONE && work->kind != ER_ACT_FETCH &&
                     (work->kind != ER_ACT_PLACE || work->phase >= ER_PHASE_WATCHING);

        if (j->work == work)
                j->work = NULL;
        if (j->cancel == work)
                j->cancel = NULL;
        /* A watch that breaks after it has brought the end has done its work. */
        if (ended && work->outcome != ER_OUT_FATAL)
                work->outcome = ER_OUT_OK;
        apply_outcome(j, work, fatal);
}

/* The end of a job */

int er_apply_finish(struct er_store *store, struct er_carried *j, const struct er_action *action, struct er_err *err)
{
        static const enum er_end ends[] = {
                [ER_JOB_DONE] = ER_END_DONE, [ER_JOB_FAILED] = ER_END_FAILED, [ER_JOB_CANCELLED] = ER_END_CANCELLED};
        struct er_job *row = &j->row;
        const struct er_attempt *at = &j->at;
        enum er_job_state before = row->state;
        bool lost = action->state == ER_JOB_FAILED && !j->verdict &&
                    (at->end == ER_END_LOST || at->end == ER_END_PREEMPTED);
        bool of_attempt = at->id && !j->verdict;
        struct er_status status = ER_STATUS_INIT;

        status.end = lost ? at->end : ends[action->state];
        status.reason = action->reason;
        status.exit_code = of_attempt ? at->exit_code : -1;
        status.signal = of_attempt ? at->signal : 0;

        row->state = action->state;
        row->reason = action->reason;
        row->exit_status = er_status_exit(&status);
        row->started_ms = of_attempt ? at->started_ms : 0;
        row->ended_ms = of_attempt && at->ended_ms ? at->ended_ms : er_now_ms();
        if (of_attempt)
                set_text(&row->detail, at->detail);
        if (j->spec.outputs.len == 0 || !at->id || !at->started_ms || at->reason == ER_REASON_GONE)
                row->outputs_fetched = true;
        er_crashpoint("finish");
        if (er_store_update(store, row, at->id ? at : NULL, err) < 0) {
                row->state = before;
                return -1;
        }
        er_crashpoint("finished");
        j->job_dirty = j->attempt_dirty = false;
        all_is_well(j);
        return 0;
}

void er_apply_plan(struct er_carried *j)
{
        struct er_plan_job *p = &j->plan;
        const struct er_attempt *at = &j->at;

        p->job_id = j->row.id;
        p->state = j->row.state;
        p->cancel_asked = j->row.cancel_asked;
        p->outputs_declared = j->spec.outputs.len > 0;
        p->outputs_fetched = j->row.outputs_fetched;
        p->retries = j->spec.retries;
        p->attempts = j->row.attempt;
        p->submitted = at->submitted;
        p->attempt_open = !j->verdict && at->id && at->end == ER_END_NONE;
        p->attempt_end = j->verdict ? ER_END_FAILED : at->end;
        p->attempt_reason = j->verdict ? j->verdict_reason : at->reason;
        p->watching = j->work && j->work->phase >= ER_PHASE_WATCHING;
        p->busy = (j->work && !p->watching) || j->cancel;
}
