/*
 * The planner against a world that breaks: 100,000 jobs whose connections are cut at random moments, whose hosts
 * reboot, whose users change their minds, under a maestro that is killed again and again and knows then only what is in
 * the store. What the hosts do is kept apart from what the store says; the promises are checked on every step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "base/clock.h"
#include "maestro/plan.h"

#define JOBS 100000
#define ATTEMPTS_MAX 4
#define ROUNDS_MAX 5000

/* What is true on the host, whatever anybody here believes. */
enum truth { ABSENT, ALIVE, OVER, FORGOTTEN };
struct there {
        enum truth truth;
        enum er_end end;
        unsigned starts;
        bool told_to_stop;
};

/* Where an action is. */
enum step { IDLE, PLACING, INTENDED, SUBMITTED, SETTLING, WATCHING, FETCHING };

struct sim {
        /* In the store: survives the maestro. */
        enum er_job_state state;
        bool cancel_asked, outputs_declared, outputs_fetched, submitted, attempt_open;
        uint32_t retries, attempts;
        enum er_end end;
        enum er_reason reason;
        /* In the maestro's memory. */
        enum step step;
        bool cancelling, cancel_sent;
        int64_t retry_at_ms;
        enum er_end verdict;
        /* On the hosts. */
        struct there there[ATTEMPTS_MAX + 1]; /* by number */
        unsigned finishes;
};

static struct sim *sims;
static struct er_plan_job *plans;
static struct er_action *actions;
static size_t *open_jobs;
static uint64_t seed;
static int64_t now_ms;

static uint64_t rnd(void)
{
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return seed;
}

static bool chance(unsigned per_mille)
{
        return rnd() % 1000 < per_mille;
}

static void promise(bool kept, const char *what, const struct sim *s)
{
        if (!kept)
                fail_msg("job %zu: %s (state %d, attempts %u, step %d)", (size_t)(s - sims), what, (int)s->state,
                         s->attempts, (int)s->step);
}

static struct there *current(struct sim *s)
{
        return &s->there[s->attempts];
}

static void back_off(struct sim *s)
{
        s->step = IDLE;
        s->retry_at_ms = now_ms + (int64_t)(rnd() % 300);
}

/* The store is written before the host can hear of it. */
static void intend(struct sim *s)
{
        promise(!er_job_state_ended(s->state), "a new attempt of an ended job", s);
        promise(!s->attempt_open, "a new attempt beside an open one", s);
        promise(s->attempts == 0 || s->end == ER_END_LOST || s->end == ER_END_PREEMPTED,
                "a new attempt after one that was not lost", s);
        promise(s->attempts <= s->retries, "more attempts than allowed", s);
        for (uint32_t i = 1; i <= s->attempts; i++)
                promise(s->there[i].truth != ALIVE, "a new attempt while an old one may be alive", s);
        s->attempts++;
        promise(s->attempts <= ATTEMPTS_MAX, "too many attempts", s);
        s->attempt_open = true;
        s->submitted = false;
        s->end = ER_END_NONE;
        s->reason = ER_REASON_NONE;
        s->cancel_sent = false;
        s->step = INTENDED;
}

static void submit(struct sim *s)
{
        struct there *t = current(s);

        promise(s->attempt_open && !er_job_state_ended(s->state), "a submission without an open attempt", s);
        for (uint32_t i = 1; i < s->attempts; i++)
                promise(s->there[i].truth != ALIVE, "two attempts alive at once", s);
        if (t->truth == ABSENT) {
                t->truth = ALIVE;
                t->starts++;
        }
        promise(t->starts == 1, "an attempt started twice", s);
}

static void ended(struct sim *s, enum er_end end, enum er_reason reason)
{
        s->attempt_open = false;
        s->end = end;
        s->reason = reason;
        s->step = IDLE;
}

static void watch(struct sim *s)
{
        struct there *t = current(s);

        s->submitted = true;
        s->step = WATCHING;
        if (s->state < ER_JOB_RUNNING)
                s->state = ER_JOB_RUNNING;
        if (t->truth == FORGOTTEN)
                ended(s, ER_END_LOST, ER_REASON_GONE);
        else if (t->truth == OVER)
                ended(s, t->end, t->end == ER_END_LOST ? ER_REASON_REBOOT : ER_REASON_NONE);
        else
                promise(t->truth == ALIVE, "watching what was never submitted", s);
}

/* One step of the work that is under way; any of them may be the last before the connection breaks. */
static void go_on(struct sim *s)
{
        if (s->cancelling) {
                s->cancelling = false;
                if (chance(150)) {
                        s->retry_at_ms = now_ms + 50;
                } else {
                        s->cancel_sent = true;
                        current(s)->told_to_stop = true;
                }
        }
        if (s->step != IDLE && chance(80)) {
                /* A submission may get through though nobody here hears of it. */
                if ((s->step == INTENDED) && chance(500))
                        submit(s);
                back_off(s);
                return;
        }
        switch (s->step) {
        case IDLE:
                return;
        case PLACING:
                if (s->cancel_asked)
                        s->step = IDLE;
                else if (chance(10)) { /* no host for it at all */
                        s->verdict = ER_END_FAILED;
                        s->step = IDLE;
                } else
                        intend(s);
                return;
        case INTENDED:
                submit(s);
                s->step = SUBMITTED;
                return;
        case SUBMITTED:
        case WATCHING:
                watch(s);
                return;
        case SETTLING:
                if (current(s)->truth != ABSENT)
                        watch(s);
                else if (s->cancel_asked)
                        ended(s, ER_END_CANCELLED, ER_REASON_USER);
                else
                        s->step = INTENDED;
                return;
        case FETCHING:
                s->outputs_fetched = true;
                s->step = IDLE;
                return;
        }
}

/* Hosts live on, watched or not. */
static void live(struct sim *s)
{
        struct there *t = current(s);

        if (s->attempts == 0 || t->truth != ALIVE)
                return;
        if (t->told_to_stop && chance(700)) {
                t->truth = OVER;
                t->end = ER_END_CANCELLED;
        } else if (chance(250)) {
                t->truth = OVER;
                t->end = chance(800) ? ER_END_DONE : ER_END_FAILED;
        } else if (chance(60)) {
                t->truth = chance(900) ? OVER : FORGOTTEN; /* a reboot; a home that was wiped */
                t->end = chance(800) ? ER_END_LOST : ER_END_PREEMPTED;
        }
}

static void finish(struct sim *s, const struct er_action *a)
{
        promise(!er_job_state_ended(s->state), "an end after the end", s);
        promise(!s->attempt_open, "an end with an open attempt", s);
        promise(er_job_state_ended(a->state), "an end that is none", s);
        promise(s->step == IDLE && !s->cancelling, "an end while something is under way", s);
        for (uint32_t i = 1; i <= s->attempts; i++)
                promise(s->there[i].truth != ALIVE, "an end while an attempt is alive", s);
        if (a->state == ER_JOB_DONE)
                promise(s->attempts > 0 && current(s)->end == ER_END_DONE, "done, though its host did not say so", s);
        if (s->attempts > 0 && current(s)->truth == OVER && current(s)->end == ER_END_DONE)
                promise(a->state == ER_JOB_DONE, "its host said done", s);
        if (a->state == ER_JOB_CANCELLED)
                promise(s->cancel_asked, "cancelled without being asked", s);
        if (a->state == ER_JOB_FAILED)
                promise(a->reason != ER_REASON_NONE, "failed without a reason", s);
        s->state = a->state;
        s->finishes++;
        if (s->attempts == 0)
                s->outputs_fetched = true;
}

static void begin(struct sim *s, const struct er_action *a)
{
        promise(a->kind == ER_ACT_CANCEL || s->step == IDLE, "two actions at once", s);
        promise(a->kind == ER_ACT_CANCEL || s->retry_at_ms <= now_ms || a->kind == ER_ACT_FINISH,
                "an action before its time", s);
        switch (a->kind) {
        case ER_ACT_PLACE:
                s->step = PLACING;
                s->state = ER_JOB_WAITING;
                return;
        case ER_ACT_WATCH:
                promise(s->submitted, "watching what is not known to be submitted", s);
                s->step = WATCHING;
                return;
        case ER_ACT_SETTLE:
                promise(s->attempt_open && !s->submitted, "settling what is settled", s);
                s->step = SETTLING;
                return;
        case ER_ACT_CANCEL:
                promise(s->cancel_asked && !s->cancel_sent && !s->cancelling, "a cancel nobody asked for", s);
                s->cancelling = true;
                return;
        case ER_ACT_FETCH:
                promise(er_job_state_ended(s->state), "fetching before the end", s);
                s->step = FETCHING;
                return;
        case ER_ACT_FINISH:
                finish(s, a);
                return;
        }
}

static bool closed(const struct sim *s)
{
        return er_job_state_ended(s->state) && (!s->outputs_declared || s->outputs_fetched);
}

static struct er_plan_job view(const struct sim *s, size_t index)
{
        bool verdict = s->verdict != ER_END_NONE;

        return (struct er_plan_job){
                .job_id = (int64_t)index,
                .state = s->state,
                .cancel_asked = s->cancel_asked,
                .outputs_declared = s->outputs_declared,
                .outputs_fetched = s->outputs_fetched,
                .retries = s->retries,
                .attempts = s->attempts,
                .submitted = s->submitted,
                .attempt_open = s->attempt_open,
                .attempt_end = verdict ? s->verdict : s->end,
                .attempt_reason = verdict ? ER_REASON_HOST : s->reason,
                .busy = s->cancelling || (s->step != IDLE && s->step != WATCHING),
                .watching = s->step == WATCHING,
                .cancel_sent = s->cancel_sent,
                .retry_at_ms = s->retry_at_ms,
        };
}

/* kill -9: of everything that was not in the store nothing is left. */
static void kill_maestro(void)
{
        for (size_t i = 0; i < JOBS; i++) {
                struct sim *s = &sims[i];

                if (s->step == INTENDED && chance(500))
                        submit(s); /* it had just left */
                s->step = IDLE;
                s->cancelling = s->cancel_sent = false;
                s->retry_at_ms = 0;
                s->verdict = ER_END_NONE;
        }
}

static size_t plan_round(int64_t *ret_wake)
{
        size_t open = 0;
        size_t count;

        for (size_t i = 0; i < JOBS; i++) {
                if (closed(&sims[i]))
                        continue;
                plans[open] = view(&sims[i], i);
                open_jobs[open++] = i;
        }
        count = er_plan(plans, open, now_ms, actions, ret_wake);
        assert_true(count <= 2 * open);
        for (size_t i = 0; i < count; i++)
                begin(&sims[open_jobs[actions[i].job]], &actions[i]);
        return open;
}

static void run_world(uint64_t from, unsigned kill_per_mille)
{
        int round = 0;
        size_t by_state[8] = {0};

        seed = from;
        now_ms = 1000;
        memset(sims, 0, JOBS * sizeof *sims);
        for (size_t i = 0; i < JOBS; i++)
                sims[i] = (struct sim){.state = ER_JOB_WAITING,
                                       .retries = (uint32_t)(rnd() % ATTEMPTS_MAX),
                                       .outputs_declared = chance(500)};
        for (;; round++) {
                int64_t wake;

                if (plan_round(&wake) == 0)
                        break;
                if (round == ROUNDS_MAX)
                        fail_msg("some jobs never end");
                for (size_t i = 0; i < JOBS; i++) {
                        struct sim *s = &sims[i];

                        if (closed(s))
                                continue;
                        live(s);
                        go_on(s);
                        if (chance(5))
                                s->cancel_asked = true;
                }
                if (kill_per_mille && chance(kill_per_mille))
                        kill_maestro();
                now_ms += 50;
        }
        for (size_t i = 0; i < JOBS; i++) {
                struct sim *s = &sims[i];

                promise(s->finishes == 1, "not exactly one end", s);
                for (uint32_t k = 1; k <= ATTEMPTS_MAX; k++)
                        promise(s->there[k].truth != ALIVE && s->there[k].starts <= 1, "something is left on a host",
                                s);
                by_state[s->state]++;
        }
        /* A world in which some kind of end never happens would prove little. */
        assert_true(by_state[ER_JOB_DONE] > JOBS / 10);
        assert_true(by_state[ER_JOB_FAILED] > JOBS / 100);
        assert_true(by_state[ER_JOB_CANCELLED] > JOBS / 100);
}

static void test_faults(void **state)
{
        (void)state;
        run_world(0x9e3779b97f4a7c15u, 0);
}

static void test_faults_and_kills(void **state)
{
        (void)state;
        run_world(42, 200);
}

static void test_killed_all_the_time(void **state)
{
        (void)state;
        run_world(7, 700);
}

static int setup(void **state)
{
        (void)state;
        sims = er_calloc(JOBS, sizeof *sims);
        plans = er_calloc(JOBS, sizeof *plans);
        actions = er_calloc(2 * JOBS, sizeof *actions);
        open_jobs = er_calloc(JOBS, sizeof *open_jobs);
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        free(sims);
        free(plans);
        free(actions);
        free(open_jobs);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_faults),
                cmocka_unit_test(test_faults_and_kills),
                cmocka_unit_test(test_killed_all_the_time),
        };
        return cmocka_run_group_tests(tests, setup, teardown);
}
