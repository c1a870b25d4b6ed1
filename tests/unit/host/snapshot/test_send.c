/* test_send.c - bringing a snapshot to a host (memory_host.h): the difference, resuming, files that change. */
#include "host/snapshot/memory_host.h"
#include "host/snapshot/snapshot_world.h"

#include <errno.h>

static struct er_snapshot *take(const struct world *w)
{
        const struct er_snapshot_opts opts = {.dir = w->dir, .project = "p"};
        struct er_snapshot *snapshot;
        er_auto(er_err) err = ER_ERR_INIT;

        if (er_snapshot_take(&opts, &snapshot, &err) < 0)
                fail_msg("%s", err.message);
        return snapshot;
}

static void send_ok(struct er_session *host, const struct world *w, const struct er_snapshot *snapshot)
{
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_transfer transfer = {0};

        host->blob_bytes = 0;
        if (er_snapshot_send(host, snapshot, w->dir, "p", &transfer, &err) < 0)
                fail_msg("%s", err.message);
        assert_int_equal(transfer.files, transfer.total_files);
        assert_true(transfer.bytes == transfer.total_bytes);
        assert_true(transfer.bytes == host->blob_bytes);
        assert_non_null(find_tree(host, er_snapshot_hash(snapshot)));
}

static void fill(const struct world *w)
{
        put(w, "a", "1");
        put(w, "same", "1");
        put(w, "none", "");
        put(w, "b/c", "three");
        sh(w, "ln -s a link; mkdir empty; head -c 1500000 /dev/urandom >big; head -c 65536 /dev/urandom >chunk;"
              "for i in $(seq 100); do echo $i >b/f$i; done");
}

static void test_first_and_difference(void **state)
{
        struct world w;
        struct er_session *host = host_new();
        er_autoptr(er_snapshot) s3 = NULL;
        er_autoptr(er_snapshot) s2 = NULL;
        uint64_t frames;
        er_autoptr(er_snapshot) s1 = NULL;

        (void)state;
        world_init(&w);
        fill(&w);
        s1 = take(&w);
        send_ok(host, &w, s1);
        assert_int_equal(host->entries_sent, 108);
        assert_true(host->blob_bytes > 1565536);
        assert_int_equal(host->puts, 1);

        /* Again: nothing but the question. */
        frames = host->frames;
        send_ok(host, &w, s1);
        assert_int_equal(host->frames, frames + 1);

        /* One new, one changed, two gone, one that became executable. */
        sh(&w, "echo new >b/new; echo changed >a; rm none b/f7; chmod +x b/c");
        s2 = take(&w);
        send_ok(host, &w, s2);
        assert_int_equal(host->entries_sent, 3);
        assert_int_equal(host->gone_sent, 2);
        assert_int_equal(host->blob_bytes, 12);

        /* Back: the contents are there. */
        sh(&w, "rm -r b; printf 1 >a");
        s3 = take(&w);
        send_ok(host, &w, s3);
        assert_int_equal(host->entries_sent, 1);
        assert_int_equal(host->gone_sent, 101);
        assert_int_equal(host->blob_bytes, 0);
        host_free(host);
        world_release(&w);
}

static void test_empty(void **state)
{
        struct world w;
        struct er_session *host = host_new();
        er_autoptr(er_snapshot) s2 = NULL;
        er_autoptr(er_snapshot) s1 = NULL;

        (void)state;
        world_init(&w);
        s1 = take(&w);
        send_ok(host, &w, s1);
        put(&w, "a", "x");
        s2 = take(&w);
        send_ok(host, &w, s2);
        host_free(host);
        world_release(&w);
}

/* Without our lists everything is sent as new; a list that is damaged is no list. */
static void test_lost_lists(void **state)
{
        static const char *const losses[] = {"rm -r ../own/cache/trees",
                                             "for f in ../own/cache/trees/*/*; do printf x >>$f; done"};
        struct world w;
        struct er_session *host = host_new();
        er_autoptr(er_snapshot) s1 = NULL;

        (void)state;
        world_init(&w);
        fill(&w);
        s1 = take(&w);
        send_ok(host, &w, s1);
        for (size_t i = 0; i < ER_LEN(losses); i++) {
                er_autoptr(er_snapshot) s = NULL;

                sh(&w, losses[i]);
                sh(&w, i ? "echo y >y" : "echo x >x");
                s = take(&w);
                send_ok(host, &w, s);
                assert_int_equal(host->entries_sent, 109 + i);
                assert_int_equal(host->blob_bytes, 2);
        }
        host_free(host);
        world_release(&w);
}

static void test_base_went(void **state)
{
        struct world w;
        struct er_session *host = host_new();
        er_autoptr(er_snapshot) s2 = NULL;
        er_autoptr(er_snapshot) s1 = NULL;

        (void)state;
        world_init(&w);
        fill(&w);
        s1 = take(&w);
        send_ok(host, &w, s1);
        put(&w, "x", "x");
        s2 = take(&w);
        host->forget = true; /* listed, and gone when it is asked for: garbage was collected in between */
        send_ok(host, &w, s2);
        assert_int_equal(host->puts, 3);
        assert_int_equal(host->entries_sent, 109);
        host_free(host);
        world_release(&w);
}

/* Few lists are kept, those used last. */
static void test_lists_kept(void **state)
{
        struct world w;
        struct er_session *host = host_new();
        er_autoptr(er_snapshot) last = NULL;

        (void)state;
        world_init(&w);
        for (int i = 0; i < 12; i++) {
                er_autofree char *text = er_fmt("%d", i);
                er_autoptr(er_snapshot) s = NULL;

                put(&w, "a", text);
                s = take(&w);
                send_ok(host, &w, s);
        }
        sh(&w, "test $(ls ../own/cache/trees/*/* | wc -l) = 8");
        put(&w, "a", "11");
        put(&w, "b", "x");
        last = take(&w);
        send_ok(host, &w, last);
        assert_int_equal(host->entries_sent, 1);
        host_free(host);
        world_release(&w);
}

/* Cut off anywhere, the next try goes on where it was. */
static void test_resume(void **state)
{
        static const int64_t cuts[] = {0, 1, 100, 65536, 700000, 1200000, 1560000};

        (void)state;
        for (size_t i = 0; i < ER_LEN(cuts); i++) {
                struct world w;
                struct er_session *host = host_new();
                er_auto(er_err) err = ER_ERR_INIT;
                struct er_transfer transfer = {0};
                uint64_t before;
                er_autoptr(er_snapshot) s = NULL;

                world_init(&w);
                fill(&w);
                s = take(&w);
                host->break_after = cuts[i];
                assert_int_equal(er_snapshot_send(host, s, w.dir, "p", &transfer, &err), -1);
                unit_assert_err(&err, ER_TRANSPORT, "broke");
                host->broken = false;
                host->break_after = -1;
                host->answered = host->answers.len;
                before = host->blob_bytes;
                send_ok(host, &w, s);
                if (cuts[i] > 0) /* else it never came to asking how much there is */
                        assert_true(before + host->blob_bytes == transfer.total_bytes);
                host_free(host);
                world_release(&w);
        }
}

static struct world *changing;

static void change_big(void)
{
        sh(changing, "printf x | dd of=big conv=notrunc bs=1 seek=1499999 2>/dev/null");
}

static void touch_big(void)
{
        sh(changing, "cp big ../copy; cat ../copy >big; chmod 600 big");
}

static void remove_big(void)
{
        sh(changing, "rm big");
}

static void test_changed(void **state)
{
        struct world w;
        struct er_session *host = host_new();
        er_auto(er_err) err = ER_ERR_INIT;
        er_autoptr(er_snapshot) s1 = NULL;
        er_autoptr(er_snapshot) s3 = NULL;
        er_autoptr(er_snapshot) s4 = NULL;
        void (*const calls[])(void) = {change_big, remove_big};

        (void)state;
        world_init(&w);
        changing = &w;
        fill(&w);
        s1 = take(&w);
        /* Before: a content of the same size. */
        sh(&w, "printf 2 >a");
        assert_int_equal(er_snapshot_send(host, s1, w.dir, "p", NULL, &err), -1);
        assert_string_equal(err.provider_code, "changed");
        unit_assert_err(&err, ER_STATE, "a has changed");
        assert_int_equal(host->taken_back, 1);
        assert_int_equal(host->tree_count, 0);
        /* Written again with the same content: that is no change. */
        sh(&w, "printf 1 >a; touch same b/c");
        send_ok(host, &w, s1);

        /* While the file is under way. */
        for (size_t i = 0; i < ER_LEN(calls); i++) {
                er_autoptr(er_snapshot) s = NULL;
                int rc;

                sh(&w, "head -c 1500000 /dev/urandom >big; rm -f a");
                s = take(&w);
                host->at_blob = calls[i];
                rc = er_snapshot_send(host, s, w.dir, "p", NULL, &err);
                if (calls[i] == remove_big) {
                        assert_int_equal(rc, 0); /* it was open; what was read is what was hashed */
                } else {
                        assert_int_equal(rc, -1);
                        assert_string_equal(err.provider_code, "changed");
                        unit_assert_err(&err, ER_STATE, "big has changed");
                }
        }
        sh(&w, "head -c 1500000 /dev/urandom >big");
        s3 = take(&w);
        host->at_blob = touch_big;
        send_ok(host, &w, s3);
        sh(&w, "rm big; echo now >zz");
        s4 = take(&w);
        sh(&w, "rm zz");
        assert_int_equal(er_snapshot_send(host, s4, w.dir, "p", NULL, &err), -1);
        unit_assert_err(&err, ER_STATE, "zz has changed");
        host_free(host);
        world_release(&w);
}

/* A full disk there is noticed long before all is sent. */
static void test_refused(void **state)
{
        struct world w;
        struct er_session *host = host_new();
        er_auto(er_err) err = ER_ERR_INIT, full = ER_ERR_INIT;
        er_autoptr(er_snapshot) s = NULL;

        (void)state;
        world_init(&w);
        er_err_errno(&full, ENOSPC, "write");
        sh(&w, "head -c 20000000 /dev/zero >big");
        s = take(&w);
        host->refuse = &full;
        assert_int_equal(er_snapshot_send(host, s, w.dir, "p", NULL, &err), -1);
        unit_assert_err(&err, ER_IO, "write");
        assert_true(host->frames < 40);
        host->refuse = NULL;
        host->answered = host->answers.len;
        send_ok(host, &w, s);
        host_free(host);
        world_release(&w);
}

/* More names than one frame takes. */
static void test_long_list(void **state)
{
        struct world w;
        struct er_session *host = host_new();
        er_autoptr(er_snapshot) s = NULL;

        (void)state;
        world_init(&w);
        sh(&w, "n=$(printf '%0200d' 0); mkdir $n; cd $n; for i in $(seq 4000); do : >$n$i; done");
        s = take(&w);
        send_ok(host, &w, s);
        assert_int_equal(host->entries_sent, 4000);
        host_free(host);
        world_release(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_first_and_difference),
                cmocka_unit_test(test_empty),
                cmocka_unit_test(test_lost_lists),
                cmocka_unit_test(test_base_went),
                cmocka_unit_test(test_lists_kept),
                cmocka_unit_test(test_resume),
                cmocka_unit_test(test_changed),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_long_list),
        };

        return UNIT_RUN(tests);
}
