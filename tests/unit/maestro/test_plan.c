/* The planner, situation by situation. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "maestro/plan.h"

#define NOTHING (-1)

struct situation {
        const char *name;
        struct er_plan_job job;
        int first, second;       /* kinds of action, or NOTHING */
        enum er_job_state state; /* of a FINISH */
        enum er_reason reason;
        int64_t wake; /* 0: never */
};

#define OPEN .attempts = 1, .attempt_open = true
#define OVER(e) .attempts = 1, .attempt_end = (e)

static const struct situation situations[] = {
        {"new", {.state = ER_JOB_WAITING}, .first = ER_ACT_PLACE, .second = NOTHING},
        {"being placed", {.state = ER_JOB_WAITING, .busy = true}, .first = NOTHING, .second = NOTHING},
        {"no connection, pausing",
         {.state = ER_JOB_WAITING, .retry_at_ms = 2000},
         .first = NOTHING,
         .second = NOTHING,
         .wake = 2000},
        {"pause over", {.state = ER_JOB_WAITING, .retry_at_ms = 1000}, .first = ER_ACT_PLACE, .second = NOTHING},
        {"cancelled before anything",
         {.state = ER_JOB_WAITING, .cancel_asked = true},
         .first = ER_ACT_FINISH,
         .second = NOTHING,
         .state = ER_JOB_CANCELLED,
         .reason = ER_REASON_USER},
        {"cancelled while being placed",
         {.state = ER_JOB_WAITING, .cancel_asked = true, .busy = true},
         .first = NOTHING,
         .second = NOTHING},
        {"no host",
         {.state = ER_JOB_WAITING, .attempt_end = ER_END_FAILED, .attempt_reason = ER_REASON_HOST},
         .first = ER_ACT_FINISH,
         .second = NOTHING,
         .state = ER_JOB_FAILED,
         .reason = ER_REASON_HOST},
        {"intended", {.state = ER_JOB_WAITING, OPEN}, .first = ER_ACT_SETTLE, .second = NOTHING},
        {"intended, cancelled",
         {.state = ER_JOB_WAITING, OPEN, .cancel_asked = true},
         .first = ER_ACT_SETTLE,
         .second = NOTHING},
        {"intended, pausing",
         {.state = ER_JOB_WAITING, OPEN, .retry_at_ms = 1500},
         .first = NOTHING,
         .second = NOTHING,
         .wake = 1500},
        {"submitted, found in the store",
         {.state = ER_JOB_RUNNING, OPEN, .submitted = true},
         .first = ER_ACT_WATCH,
         .second = NOTHING},
        {"running",
         {.state = ER_JOB_RUNNING, OPEN, .submitted = true, .watching = true},
         .first = NOTHING,
         .second = NOTHING},
        {"running, cancelled",
         {.state = ER_JOB_RUNNING, OPEN, .submitted = true, .watching = true, .cancel_asked = true},
         .first = ER_ACT_CANCEL,
         .second = NOTHING},
        {"cancel told",
         {.state = ER_JOB_RUNNING,
          OPEN,
          .submitted = true,
          .watching = true,
          .cancel_asked = true,
          .cancel_sent = true},
         .first = NOTHING,
         .second = NOTHING},
        {"cancel being told",
         {.state = ER_JOB_RUNNING, OPEN, .submitted = true, .watching = true, .busy = true, .cancel_asked = true},
         .first = NOTHING,
         .second = NOTHING},
        {"out of touch, cancelled",
         {.state = ER_JOB_RUNNING, OPEN, .submitted = true, .cancel_asked = true},
         .first = ER_ACT_CANCEL,
         .second = ER_ACT_WATCH},
        {"done",
         {.state = ER_JOB_RUNNING, OVER(ER_END_DONE)},
         .first = ER_ACT_FINISH,
         .second = NOTHING,
         .state = ER_JOB_DONE,
         .reason = ER_REASON_NONE},
        {"done though cancelled",
         {.state = ER_JOB_RUNNING, OVER(ER_END_DONE), .cancel_asked = true},
         .first = ER_ACT_FINISH,
         .second = NOTHING,
         .state = ER_JOB_DONE,
         .reason = ER_REASON_NONE},
        {"failed",
         {.state = ER_JOB_RUNNING, OVER(ER_END_FAILED), .attempt_reason = ER_REASON_OOM, .retries = 5},
         .first = ER_ACT_FINISH,
         .second = NOTHING,
         .state = ER_JOB_FAILED,
         .reason = ER_REASON_OOM},
        {"cancelled",
         {.state = ER_JOB_RUNNING, OVER(ER_END_CANCELLED), .cancel_asked = true},
         .first = ER_ACT_FINISH,
         .second = NOTHING,
         .state = ER_JOB_CANCELLED,
         .reason = ER_REASON_USER},
        {"lost",
         {.state = ER_JOB_RUNNING, OVER(ER_END_LOST), .attempt_reason = ER_REASON_REBOOT},
         .first = ER_ACT_FINISH,
         .second = NOTHING,
         .state = ER_JOB_FAILED,
         .reason = ER_REASON_REBOOT},
        {"lost, watch not back yet",
         {.state = ER_JOB_RUNNING, OVER(ER_END_LOST), .retries = 1, .watching = true},
         .first = NOTHING,
         .second = NOTHING},
        {"lost, may be tried again",
         {.state = ER_JOB_RUNNING, OVER(ER_END_LOST), .retries = 1},
         .first = ER_ACT_PLACE,
         .second = NOTHING},
        {"lost, tried often enough",
         {.state = ER_JOB_RUNNING, .attempts = 2, .attempt_end = ER_END_LOST, .retries = 1},
         .first = ER_ACT_FINISH,
         .second = NOTHING,
         .state = ER_JOB_FAILED,
         .reason = ER_REASON_GONE},
        {"the host forgot it, which proves nothing",
         {.state = ER_JOB_RUNNING, OVER(ER_END_LOST), .attempt_reason = ER_REASON_GONE, .retries = 3},
         .first = ER_ACT_FINISH,
         .second = NOTHING,
         .state = ER_JOB_FAILED,
         .reason = ER_REASON_GONE},
        {"lost, cancelled",
         {.state = ER_JOB_RUNNING, OVER(ER_END_LOST), .retries = 1, .cancel_asked = true},
         .first = ER_ACT_FINISH,
         .second = NOTHING,
         .state = ER_JOB_CANCELLED,
         .reason = ER_REASON_USER},
        {"preempted",
         {.state = ER_JOB_RUNNING, OVER(ER_END_PREEMPTED), .retries = 1},
         .first = ER_ACT_PLACE,
         .second = NOTHING},
        {"ended, outputs there",
         {.state = ER_JOB_FAILED, OVER(ER_END_FAILED), .outputs_declared = true},
         .first = ER_ACT_FETCH,
         .second = NOTHING},
        {"being fetched",
         {.state = ER_JOB_DONE, OVER(ER_END_DONE), .outputs_declared = true, .busy = true},
         .first = NOTHING,
         .second = NOTHING},
        {"fetched",
         {.state = ER_JOB_DONE, OVER(ER_END_DONE), .outputs_declared = true, .outputs_fetched = true},
         .first = NOTHING,
         .second = NOTHING},
        {"cannot be fetched now",
         {.state = ER_JOB_DONE, OVER(ER_END_DONE), .outputs_declared = true, .fetch_waits = true},
         .first = NOTHING,
         .second = NOTHING},
        {"fetch broke",
         {.state = ER_JOB_DONE, OVER(ER_END_DONE), .outputs_declared = true, .retry_at_ms = 3000},
         .first = NOTHING,
         .second = NOTHING,
         .wake = 3000},
        {"ended, no outputs", {.state = ER_JOB_DONE, OVER(ER_END_DONE)}, .first = NOTHING, .second = NOTHING},
};

static void test_situations(void **state)
{
        (void)state;
        for (size_t i = 0; i < ER_LEN(situations); i++) {
                const struct situation *s = &situations[i];
                struct er_action actions[2];
                int64_t wake;
                size_t count = er_plan(&s->job, 1, 1000, actions, &wake);
                size_t expected = (size_t)(s->first != NOTHING) + (s->second != NOTHING);

                if (count != expected || (count > 0 && (int)actions[0].kind != s->first) ||
                    (count > 1 && (int)actions[1].kind != s->second))
                        fail_msg("%s: %zu actions, the first %d", s->name, count, count ? (int)actions[0].kind : -1);
                if (s->first == ER_ACT_FINISH && (actions[0].state != s->state || actions[0].reason != s->reason))
                        fail_msg("%s: finishes as %d, %d", s->name, actions[0].state, actions[0].reason);
                if (wake != (s->wake ? s->wake : INT64_MAX))
                        fail_msg("%s: wakes at %lld", s->name, (long long)wake);
        }
}

static void test_each_job_is_planned_by_itself(void **state)
{
        struct er_plan_job jobs[ER_LEN(situations)];
        struct er_action actions[2 * ER_LEN(situations)];
        size_t expected = 0, last = 0;
        int64_t wake;
        size_t count;

        (void)state;
        for (size_t i = 0; i < ER_LEN(situations); i++) {
                jobs[i] = situations[i].job;
                expected += (size_t)(situations[i].first != NOTHING) + (situations[i].second != NOTHING);
        }
        count = er_plan(jobs, ER_LEN(jobs), 1000, actions, &wake);
        assert_int_equal(count, expected);
        assert_int_equal(wake, 1500);
        for (size_t i = 0; i < count; i++) {
                assert_true(actions[i].job >= last && actions[i].job < ER_LEN(jobs));
                last = actions[i].job;
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_situations),
                cmocka_unit_test(test_each_job_is_planned_by_itself),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
