#include "unit.h"

#include "host/host.h"

static void check(const char *text, const char *target, int port)
{
        er_auto(er_host) host = ER_HOST_INIT;
        er_auto(er_err) err = ER_ERR_INIT;

        if (er_host_parse(text, &host, &err) < 0)
                fail_msg("%s: %s", text, err.message);
        assert_int_equal(host.kind, ER_HOST_SSH);
        assert_string_equal(host.name, text);
        assert_string_equal(host.target, target);
        assert_int_equal(host.port, port);
}

static void test_parse(void **state)
{
        er_auto(er_host) local = ER_HOST_INIT;
        er_auto(er_host) copy = ER_HOST_INIT;

        (void)state;
        check("gpu-box", "gpu-box", 0);
        check("me@gpu-box", "me@gpu-box", 0);
        check("me@10.0.0.1:2222", "me@10.0.0.1", 2222);
        check("10.0.0.1:1", "10.0.0.1", 1);
        check("me@[fe80::1%eth0]:22", "me@fe80::1%eth0", 22);
        check("[::1]:2022", "::1", 2022);
        check("[::1]", "::1", 0);
        check("::1", "::1", 0);
        check("local.example.org", "local.example.org", 0);
        check("me@mail@host:3", "me@mail@host", 3);
        check("CORP\\me@host:22", "CORP\\me@host", 22);
        assert_int_equal(er_host_parse("local", &local, NULL), 0);
        assert_int_equal(local.kind, ER_HOST_LOCAL);
        assert_null(local.target);
        er_host_copy(&local, &copy);
        assert_string_equal(copy.name, "local");
}

static void test_refused(void **state)
{
        static const char *const bad[] = {
                "",           "-oProxyCommand=x",
                "me@-host",   "-me@host",
                "a b",        "a\tb",
                "a\nb",       "@host",
                "me@",        "host:0",
                "host:65536", "host:x",
                "host:",      "[::1",
                "[::1]x",     "a[b]",
                "h;id",       "`id`",
                "$(id)",      "a/b",
                "h|x",        "h'x",
                "h\\x",       "me@[::1]:",
                "me\\@host",  "a\\b;c@host",
                ":22",        "h\x7f",
                "--",
        };

        (void)state;
        for (size_t i = 0; i < ER_LEN(bad); i++) {
                er_auto(er_host) host = ER_HOST_INIT;
                er_auto(er_err) err = ER_ERR_INIT;

                if (er_host_parse(bad[i], &host, &err) == 0)
                        fail_msg("\"%s\" was taken for a host", bad[i]);
                unit_assert_err(&err, ER_USAGE, "is not a host");
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_refused),
        };

        return UNIT_RUN(tests);
}
