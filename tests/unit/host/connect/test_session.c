#include "host/fake_agent.h"

#include "host/attempt.h"
#include "host/connect/requests.h"

#define HOUR_MS INT64_C(3600000)

/* ---- The agent's modes */

static void answer_pings(struct fake_in *in)
{
        for (;;) {
                struct er_frame frame = fake_next(in);

                if (frame.type == ER_F_PING)
                        fake_send(ER_F_OK, frame.id, NULL);
                else
                        fake_error(frame.id, ER_REMOTE, NULL, "what is that?");
        }
}

static void be_plain(struct fake_in *in)
{
        fake_hello(in, HOUR_MS);
        answer_pings(in);
}

static void be_noisy(struct fake_in *in)
{
        /* Text, something that looks like the start of an answer, and bytes that nearly are one. */
        static const char noise[] =
                "Welcome to "
                "\x80\0\0\0\x01\0\0\0!\n\xff\xff\xff\xff\x80\0\0\0\x01\0\0\0\x0c\0\0\0\x80\0\0\x01\x01\0\0\0zzzz";

        er_write_full(1, noise, sizeof noise - 1);
        be_plain(in);
}

static void be_loud(struct fake_in *in)
{
        for (int i = 0; i < 20000; i++)
                er_write_full(1, "yada yada\n", 10);
        be_plain(in);
}

static void be_refusing(struct fake_in *in)
{
        fake_error(fake_next(in).id, ER_STATE, NULL, "no version in common");
        answer_pings(in);
}

static void be_mute(struct fake_in *in)
{
        for (;;)
                fake_next(in);
}

static void be_dying(struct fake_in *in)
{
        (void)in;
        er_write_full(2, "boom\nbang\n", 10);
        exit(3);
}

static void be_silent_later(struct fake_in *in)
{
        fake_hello(in, 0);
        be_mute(in);
}

/* Works for long on one request, and answers pings meanwhile. */
static void be_slow(struct fake_in *in)
{
        uint32_t id;

        fake_hello(in, 0);
        id = fake_next(in).id;
        for (int i = 0; i < 6; i++)
                fake_send(ER_F_OK, fake_next(in).id, NULL);
        fake_send(ER_F_OK, id, NULL);
        be_mute(in);
}

static void be_dying_later(struct fake_in *in)
{
        fake_hello(in, 0);
        fake_next(in);
        exit(4);
}

/* Answers two requests the other way round, each in two frames, mixed. */
static void be_mixed(struct fake_in *in)
{
        uint32_t a, b;

        fake_hello(in, 0);
        a = fake_next(in).id;
        b = fake_next(in).id;
        fake_send(ER_F_DATA, b, NULL);
        fake_send(ER_F_DATA, a, NULL);
        fake_send(99, 12345, NULL); /* nobody's, and of no known type */
        fake_send(ER_F_END, b, NULL);
        fake_send(ER_F_END, a, NULL);
        answer_pings(in);
}

static void be_flooding(struct fake_in *in)
{
        er_auto(er_str) fields = ER_STR_INIT;
        er_auto(er_str) data = ER_STR_INIT;

        fake_hello(in, 0);
        er_str_reserve(&data, 512 * 1024);
        memset(data.buf, 'x', 512 * 1024);
        er_msg_bytes(&fields, ER_T_DATA, data.buf, 512 * 1024);
        for (int i = 0; i < 200; i++)
                fake_send(ER_F_DATA, 777, &fields);
        answer_pings(in);
}

static void be_garbled(struct fake_in *in)
{
        fake_hello(in, 0);
        fake_next(in);
        er_write_full(1, "\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 14);
        answer_pings(in);
}

static void be_without_snapshot(struct fake_in *in)
{
        fake_hello(in, 0);
        for (;;) {
                struct er_frame frame = fake_next(in);

                if (frame.type == ER_F_SUBMIT)
                        fake_error(frame.id, ER_NOT_FOUND, "snapshot", "no such snapshot");
                else if (frame.type == ER_F_WATCH)
                        fake_error(frame.id, ER_NOT_FOUND, "attempt", "no such attempt");
                else
                        fake_send(ER_F_OK, frame.id, NULL);
        }
}

static void send_event(uint32_t id, unsigned state, uint64_t seq)
{
        er_auto(er_str) fields = ER_STR_INIT;

        er_msg_u64(&fields, ER_T_SEQ, seq);
        er_msg_u64(&fields, ER_T_STATE, state);
        er_msg_i64(&fields, ER_T_TIME, 1000 * HOUR_MS);
        fake_send(ER_F_EVENT, id, &fields);
}

/* An attempt that runs, prints a log of many frames, and ends. */
static void be_running(struct fake_in *in)
{
        er_auto(er_str) fields = ER_STR_INIT;
        char data[1000];
        uint32_t watch;

        memset(data, 'x', sizeof data);
        fake_hello(in, HOUR_MS);
        fake_send(ER_F_OK, fake_next(in).id, NULL);
        watch = fake_next(in).id;
        send_event(watch, ER_STATE_RUNNING, 1);
        for (uint64_t i = 0; i < 5000; i++) {
                er_str_reset(&fields);
                er_msg_u64(&fields, ER_T_OFFSET, i * sizeof data);
                er_msg_u64(&fields, ER_T_STREAM, i % 2 + 1);
                er_msg_i64(&fields, ER_T_TIME, 1000 * HOUR_MS);
                er_msg_bytes(&fields, ER_T_DATA, data, sizeof data);
                fake_send(ER_F_LOG_DATA, watch, &fields);
        }
        send_event(watch, ER_STATE_ENDED, 2);
        fake_send(ER_F_END, watch, NULL);
        answer_pings(in);
}

/* The attempt was begun by a SUBMIT whose answer got lost with its link, and with another spec. */
static void be_replayed(struct fake_in *in)
{
        fake_hello(in, 0);
        for (;;) {
                struct er_frame frame = fake_next(in);

                if (frame.type == ER_F_SUBMIT) {
                        fake_error(frame.id, ER_EXISTS, NULL, "attempt 1 of t-1.0.abc is on this host already");
                } else if (frame.type == ER_F_WATCH) {
                        send_event(frame.id, ER_STATE_RUNNING, 1);
                        send_event(frame.id, ER_STATE_ENDED, 2);
                        fake_send(ER_F_END, frame.id, NULL);
                } else {
                        fake_send(ER_F_OK, frame.id, NULL);
                }
        }
}

/* Takes requests only slowly and answers each at once: both directions fill up. */
static void be_echoing(struct fake_in *in)
{
        fake_hello(in, 0);
        for (;;) {
                struct er_frame frame = fake_next(in);
                er_auto(er_str) fields = ER_STR_INIT;

                er_str_addn(&fields, frame.payload.ptr, frame.payload.len);
                fake_send(ER_F_OK, frame.id, &fields);
        }
}

static const struct {
        const char *name;
        void (*fn)(struct fake_in *in);
} modes[] = {
        {"plain", be_plain},
        {"noisy", be_noisy},
        {"loud", be_loud},
        {"refusing", be_refusing},
        {"mute", be_mute},
        {"dying", be_dying},
        {"dying_later", be_dying_later},
        {"silent_later", be_silent_later},
        {"slow", be_slow},
        {"mixed", be_mixed},
        {"flooding", be_flooding},
        {"garbled", be_garbled},
        {"without_snapshot", be_without_snapshot},
        {"running", be_running},
        {"echoing", be_echoing},
        {"replayed", be_replayed},
};

static int run_agent(const char *mode)
{
        struct fake_in in = {.buf = ER_STR_INIT};

        for (size_t i = 0; i < ER_LEN(modes); i++)
                if (er_streq(modes[i].name, mode))
                        modes[i].fn(&in);
        return 8;
}

/* ---- The tests */

static int ping(struct er_session *session, struct er_err *err)
{
        return er_session_call(session, ER_F_PING, er_svn("", 0), NULL, err);
}

static void test_hello(void **state)
{
        static const char *const quiet_and_not[] = {"plain", "noisy"};

        (void)state;
        for (size_t i = 0; i < 2; i++) {
                struct er_host host;
                er_auto(er_err) err = ER_ERR_INIT;
                struct er_session *session;
                const struct er_hello *hello;

                fake_host(&host, quiet_and_not[i]);
                session = fake_open(&host, 20000, NULL);
                assert_int_equal(ping(session, &err), 0);
                assert_int_equal(er_session_hello(session, &hello, &err), 0);
                assert_string_equal(hello->build, "fake");
                assert_string_equal(hello->hostname, "fakehost");
                assert_true(hello->clock_skew_ms > HOUR_MS - 20000 && hello->clock_skew_ms <= HOUR_MS);
                assert_int_equal(er_session_call(session, ER_F_GC, er_svn("", 0), NULL, &err), -1);
                unit_assert_err(&err, ER_REMOTE, "fake: what is that?");
                assert_int_equal(ping(session, &err), 0); /* an answer that is an error breaks nothing */
                er_session_free(session);
                fake_host_free(&host);
        }
}

static int waited;

static void on_waiting(const char *host)
{
        assert_string_equal(host, "fake");
        waited++;
}

/* A stopped agent: the user hears of it, and it ends. One that works for long but answers pings is waited for. */
static void test_silence(void **state)
{
        const struct er_session_opts opts = {.connect_ms = 20000, .silence_ms = 600};
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_session *session;
        int64_t began = er_mono_ms();
        struct er_host host;

        (void)state;
        waited = 0;
        er_session_on_waiting(on_waiting);
        fake_host(&host, "silent_later");
        assert_int_equal(er_session_open(&host, &opts, &session, &err), 0);
        assert_int_equal(er_session_call(session, ER_F_GC, er_svn("", 0), NULL, &err), -1);
        unit_assert_err(&err, ER_TRANSPORT, "fake: no data for 1 s");
        assert_int_equal(waited, 1);
        er_session_free(session);
        fake_host_free(&host);

        began = er_mono_ms();
        fake_host(&host, "slow");
        assert_int_equal(er_session_open(&host, &opts, &session, &err), 0);
        assert_int_equal(er_session_call(session, ER_F_GC, er_svn("", 0), NULL, &err), 0);
        assert_true(er_mono_ms() - began >= 1000);
        er_session_free(session);
        fake_host_free(&host);
        er_session_on_waiting(NULL);
}

static void test_bad_starts(void **state)
{
        static const struct {
                const char *mode;
                int64_t connect_ms;
                enum er_code code;
                const char *message;
        } cases[] = {
                {"loud", 20000, ER_REMOTE, "yada yada"},      {"refusing", 20000, ER_STATE, "no version in common"},
                {"mute", 100, ER_TIMEOUT, "does not answer"}, {"dying", 20000, ER_REMOTE, "status 3: boom\\x0abang"},
                {"nonsense", 20000, ER_REMOTE, "status 8"},
        };

        (void)state;
        for (size_t i = 0; i < ER_LEN(cases); i++) {
                struct er_host host;
                er_auto(er_err) err = ER_ERR_INIT;
                struct er_session *session;

                fake_host(&host, cases[i].mode);
                session = fake_open(&host, cases[i].connect_ms, NULL);
                assert_int_equal(ping(session, &err), -1);
                unit_assert_err(&err, cases[i].code, cases[i].message);
                /* Broken for good, with the same reason. */
                assert_int_equal(ping(session, &err), -1);
                unit_assert_err(&err, cases[i].code, cases[i].message);
                er_session_free(session);
                fake_host_free(&host);
        }
}

static void test_lost(void **state)
{
        struct er_host host;
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_session *session;

        (void)state;
        fake_host(&host, "dying_later");
        session = fake_open(&host, 20000, NULL);
        assert_int_equal(ping(session, &err), -1);
        assert_true(err.retryable);
        unit_assert_err(&err, ER_TRANSPORT, "status 4");
        er_session_free(session);
        fake_host_free(&host);

        fake_host(&host, "garbled");
        session = fake_open(&host, 20000, NULL);
        assert_int_equal(ping(session, &err), -1);
        unit_assert_err(&err, ER_REMOTE, "fake");
        er_session_free(session);
        fake_host_free(&host);
}

static void test_order(void **state)
{
        struct er_host host;
        er_auto(er_err) err = ER_ERR_INIT;
        er_auto(er_str) frames = ER_STR_INIT;
        struct er_session *session;
        struct er_frame frame;
        uint32_t a, b;

        (void)state;
        fake_host(&host, "mixed");
        session = fake_open(&host, 20000, NULL);
        a = er_session_next_id(session);
        b = er_session_next_id(session);
        er_frame_end(&frames, er_frame_begin(&frames, ER_F_GET, a));
        er_frame_end(&frames, er_frame_begin(&frames, ER_F_GET, b));
        assert_int_equal(er_session_send(session, er_svn(frames.buf, frames.len), &err), 0);
        assert_int_equal(er_session_recv(session, a, ER_NEVER, &frame, &err), 0);
        assert_int_equal(frame.type, ER_F_DATA);
        assert_int_equal(er_session_recv(session, a, ER_NEVER, &frame, &err), 0);
        assert_int_equal(frame.type, ER_F_END);
        assert_int_equal(er_session_recv(session, b, ER_NEVER, &frame, &err), 0);
        assert_int_equal(frame.type, ER_F_DATA);
        assert_int_equal(frame.id, b);
        assert_int_equal(er_session_recv(session, b, ER_NEVER, &frame, &err), 0);
        assert_int_equal(frame.type, ER_F_END);
        assert_int_equal(er_session_recv(session, b, er_deadline_in(20), &frame, &err), -1);
        unit_assert_err(&err, ER_TIMEOUT, "fake");
        assert_int_equal(ping(session, &err), 0); /* a deadline breaks nothing */
        er_session_free(session);
        fake_host_free(&host);
}

static void test_flood(void **state)
{
        struct er_host host;
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_session *session;

        (void)state;
        fake_host(&host, "flooding");
        session = fake_open(&host, 20000, NULL);
        assert_int_equal(ping(session, &err), -1);
        unit_assert_err(&err, ER_REMOTE, "nobody asked for");
        er_session_free(session);
        /* Unless it was asked for, and is not wanted any more. */
        session = fake_open(&host, 20000, NULL);
        er_session_drop(session, 777, false);
        assert_int_equal(ping(session, &err), 0);
        er_session_free(session);
        fake_host_free(&host);
}

static void test_cancel(void **state)
{
        struct er_host host;
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_session *session;
        struct er_cancel cancel;

        (void)state;
        assert_int_equal(er_cancel_init(&cancel), 0);
        fake_host(&host, "mute");
        session = fake_open(&host, 20000, &cancel);
        er_cancel_fire(&cancel);
        assert_int_equal(ping(session, &err), -1);
        unit_assert_err(&err, ER_CANCELLED, "cancelled");
        er_session_free(session);
        fake_host_free(&host);
        er_cancel_release(&cancel);
}

/* Far more than the channel holds in both directions, sent before anything is received. */
static void test_both_full(void **state)
{
        struct er_host host;
        er_auto(er_err) err = ER_ERR_INIT;
        er_auto(er_str) frames = ER_STR_INIT;
        er_auto(er_str) data = ER_STR_INIT;
        struct er_session *session;
        struct er_frame frame;
        uint32_t first = 0;

        (void)state;
        fake_host(&host, "echoing");
        session = fake_open(&host, 20000, NULL);
        er_str_reserve(&data, 200000);
        memset(data.buf, 'y', 200000);
        for (int i = 0; i < 50; i++) {
                uint32_t id = er_session_next_id(session);
                size_t start;

                if (i == 0)
                        first = id;
                er_str_reset(&frames);
                start = er_frame_begin(&frames, ER_F_PING, id);
                er_msg_bytes(&frames, ER_T_DATA, data.buf, 200000);
                er_frame_end(&frames, start);
                if (er_session_send(session, er_svn(frames.buf, frames.len), &err) < 0)
                        fail_msg("%s", err.message);
        }
        for (uint32_t id = first + 50; id-- > first;) {
                assert_int_equal(er_session_recv(session, id, ER_NEVER, &frame, &err), 0);
                assert_int_equal(er_msg_get(frame.payload, ER_T_DATA).len, 200000);
        }
        er_session_free(session);
        fake_host_free(&host);
}

struct seen {
        uint64_t bytes[3];
        unsigned last_state;
        int events;
        int64_t time_ms;
        uint64_t stop_at;
};

static int on_event(void *arg, const struct er_status *status, struct er_err *err)
{
        struct seen *seen = arg;

        (void)err;
        seen->events++;
        seen->last_state = status->state;
        seen->time_ms = status->time_ms;
        return 0;
}

static int on_log(void *arg, int stream, uint64_t offset, int64_t time_ms, struct er_sv data, struct er_err *err)
{
        struct seen *seen = arg;

        (void)time_ms;
        assert_int_equal(offset, seen->bytes[1] + seen->bytes[2]);
        seen->bytes[stream] += data.len;
        if (seen->stop_at && offset >= seen->stop_at)
                return er_err_set(err, ER_DETACHED, "enough");
        return 0;
}

static int run(struct er_session *session, struct seen *seen, struct er_err *err)
{
        er_auto(er_spec) spec = ER_SPEC_INIT;
        const struct er_submit submit = {.key = "t-1.0.abc", .attempt = 1, .spec = &spec};
        const struct er_watch watch = {
                .key = "t-1.0.abc", .attempt = 1, .log = true, .on_event = on_event, .on_log = on_log, .arg = seen};

        spec.run = er_strdup("t-1");
        spec.project = er_strdup("t");
        er_strv_add(&spec.argv, "true");
        return er_attempt_run(session, &submit, &watch, err);
}

static void test_run(void **state)
{
        struct er_host host;
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_session *session;
        struct seen seen = {0};

        (void)state;
        fake_host(&host, "running");
        session = fake_open(&host, 20000, NULL);
        assert_int_equal(run(session, &seen, &err), 0);
        assert_int_equal(seen.bytes[1], 2500 * 1000);
        assert_int_equal(seen.bytes[2], 2500 * 1000);
        assert_int_equal(seen.events, 2);
        assert_int_equal(seen.last_state, ER_STATE_ENDED);
        /* Its clock is an hour ahead: its times come back by that. */
        assert_true(seen.time_ms >= 999 * (int64_t)HOUR_MS && seen.time_ms < 999 * (int64_t)HOUR_MS + 20000);
        er_session_free(session);

        session = fake_open(&host, 20000, NULL);
        seen = (struct seen){.stop_at = 100000};
        assert_int_equal(run(session, &seen, &err), -1);
        unit_assert_err(&err, ER_DETACHED, "enough");
        assert_int_equal(ping(session, &err), 0); /* what still comes of it is passed over */
        er_session_free(session);
        fake_host_free(&host);
}

static void test_no_snapshot(void **state)
{
        struct er_host host;
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_session *session;
        struct seen seen = {0};

        (void)state;
        fake_host(&host, "without_snapshot");
        session = fake_open(&host, 20000, NULL);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(run(session, &seen, &err), -1);
                assert_string_equal(err.provider_code, "snapshot");
                unit_assert_err(&err, ER_NOT_FOUND, "no such snapshot");
                assert_int_equal(ping(session, &err), 0);
        }
        er_session_free(session);
        fake_host_free(&host);
}

static void test_replayed_submit(void **state)
{
        struct er_host host;
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_session *session;
        struct seen seen = {0};

        (void)state;
        fake_host(&host, "replayed");
        session = fake_open(&host, 20000, NULL);
        if (run(session, &seen, &err) < 0)
                fail_msg("%s", err.message);
        assert_int_equal(seen.events, 2);
        assert_int_equal(seen.last_state, ER_STATE_ENDED);
        assert_int_equal(ping(session, &err), 0);
        er_session_free(session);
        fake_host_free(&host);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_hello),
                cmocka_unit_test(test_silence),
                cmocka_unit_test(test_bad_starts),
                cmocka_unit_test(test_lost),
                cmocka_unit_test(test_order),
                cmocka_unit_test(test_flood),
                cmocka_unit_test(test_cancel),
                cmocka_unit_test(test_both_full),
                cmocka_unit_test(test_run),
                cmocka_unit_test(test_no_snapshot),
                cmocka_unit_test(test_replayed_submit),
        };

        if (argc > 2 && er_streq(argv[1], "agent"))
                return run_agent(argv[2]);
        return UNIT_RUN(tests);
}
