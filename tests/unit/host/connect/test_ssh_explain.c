#include "unit.h"

#include "host/connect/ssh.h"
#include "host/connect/ssh_explain.h"

static const struct {
        const char *said;
        enum er_code code;
        bool retryable, momentary;
        const char *message, *hint;
} cases[] = {
        {"ssh: Could not resolve hostname nowhere: Name or service not known\r\n", ER_NET, true, false, "no such host",
         "spelling"},
        {"ssh: connect to host box port 2222: Connection refused\r\n", ER_NET, true, false, "connection refused",
         "sshd"},
        {"ssh: connect to host box port 22: No route to host\r\n", ER_NET, true, false, "no route to it",
         "on its network"},
        {"ssh: connect to host box port 22: Connection timed out\r\n", ER_NET, true, false, "does not answer",
         "firewall"},
        {"Connection timed out during banner exchange\r\nConnection to 1.2.3.4 port 22 timed out\r\n", ER_NET, true,
         false, "does not answer", NULL},
        {"@@@@@@@@@@@@@@@\r\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n@@@@@@@@@@@@@@@\r\n"
         "IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\r\nHost key for [box]:2222 has changed and you have "
         "requested strict checking.\r\nHost key verification failed.\r\n",
         ER_HOSTKEY, false, false, "not the known one", "ssh-keygen -R '[box]:2222'"},
        {"@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\r\n  remove with:\r\n  ssh-keygen -f "
         "\"/home/me/.ssh/known_hosts\" -R \"[1.2.3.4]:2222\"\r\nHost key verification failed.\r\n",
         ER_HOSTKEY, false, false, "not the known one",
         "ssh-keygen -f \"/home/me/.ssh/known_hosts\" -R \"[1.2.3.4]:2222\""},
        {"Host key verification failed.\r\n", ER_HOSTKEY, false, false, "not known yet", "ssh -p 2222 me@box"},
        {"me@box: Permission denied (publickey).\r\n", ER_AUTH, false, false, "does not let you in", "ssh-add"},
        {"me@box: Permission denied (publickey,password).\r\n", ER_AUTH, false, false, "does not let you in",
         "password"},
        {"Received disconnect from 1.2.3.4 port 22:2: Too many authentication failures\r\nDisconnected\r\n", ER_AUTH,
         false, false, "too many keys", "IdentitiesOnly"},
        {"@ WARNING: UNPROTECTED PRIVATE KEY FILE! @\r\nme@box: Permission denied (publickey).\r\n", ER_AUTH, false,
         false, "private key", "chmod"},
        {"Bad owner or permissions on /home/me/.ssh/config\r\n", ER_CONFIG, false, false, "configuration file", NULL},
        {"kex_exchange_identification: Connection closed by remote host\r\nConnection closed by 127.0.0.1 port 22\r\n",
         ER_TRANSPORT, true, true, "before the login", NULL},
        {"kex_exchange_identification: read: Connection reset by peer\r\n", ER_TRANSPORT, true, true,
         "before the login", NULL},
        {"Connection closed by UNKNOWN port 65535\r\n", ER_TRANSPORT, true, true, "closed the connection", NULL},
        {"client_loop: send disconnect: Broken pipe\r\n", ER_TRANSPORT, true, false, "connection broke", NULL},
        {"something new\r\n", ER_TRANSPORT, true, false, "something new", NULL},
        {"", ER_TRANSPORT, true, false, "status 255", NULL},
};

static void test_table(void **state)
{
        const struct er_host host = {
                .kind = ER_HOST_SSH, .name = (char[]){"gpu"}, .target = (char[]){"me@box"}, .port = 2222};

        (void)state;
        for (size_t i = 0; i < ER_LEN(cases); i++) {
                er_auto(er_err) err = ER_ERR_INIT;
                bool momentary = er_ssh_explain(&host, false, cases[i].said, 255, &err);

                if (momentary != cases[i].momentary || err.retryable != cases[i].retryable)
                        fail_msg("%s: momentary %d, retryable %d", cases[i].said, momentary, err.retryable);
                if (cases[i].hint && (!err.hint || !strstr(err.hint, cases[i].hint)))
                        fail_msg("%s: the hint is \"%s\"", cases[i].said, err.hint ? err.hint : "");
                assert_true(er_starts(err.message, "gpu: "));
                assert_null(strchr(err.message, '\n'));
                assert_null(strchr(err.message, '\r'));
                unit_assert_err(&err, cases[i].code, cases[i].message);
        }
}

/* A hint that leaves the jump host or the key out sends the reader to where nothing is. */
static void test_the_way_that_errand_went(void **state)
{
        const struct er_host host = {.kind = ER_HOST_SSH,
                                     .name = (char[]){"gpu"},
                                     .target = (char[]){"me@box"},
                                     .port = 2222,
                                     .identity = (char[]){"/k y"},
                                     .jump = (char[]){"door"}};
        er_auto(er_err) err = ER_ERR_INIT;

        (void)state;
        er_ssh_explain(&host, false, "Host key verification failed.\r\n", 255, &err);
        assert_non_null(strstr(err.hint, "`ssh -J door -i '/k y' -p 2222 me@box`"));
}

static void test_terminal_is_safe(void **state)
{
        const struct er_host host = {.kind = ER_HOST_SSH, .name = (char[]){"gpu"}, .target = (char[]){"box"}};
        er_auto(er_err) err = ER_ERR_INIT;

        (void)state;
        er_ssh_explain(&host, false, "\x1b]0;owned\x07\x1b[31mhello\xff\n", 255, &err);
        for (const char *p = err.message; *p; p++)
                assert_true((unsigned char)*p >= ' ' && (unsigned char)*p < 0x7f);
}

static void test_way(void **state)
{
        static const char kex[] = "kex_exchange_identification: Connection closed by remote host\r\n";
        static const struct {
                enum er_ssh_way way;
                const char *said;
                enum er_code code;
                bool momentary;
                const char *message;
        } ways[] = {
                {ER_WAY_COMMAND, "session expired; run: tsh login\n", ER_NET, false,
                 "ProxyCommand on the way to it says: session expired; run: tsh login"},
                {ER_WAY_COMMAND, "a\nb\nc\nd\n", ER_NET, false, "says: b | c | d"},
                {ER_WAY_COMMAND, "/c line 3: Unsupported option \"x\"\n", ER_NET, true, "before the login"},
                {ER_WAY_COMMAND, "", ER_NET, true, "before the login"},
                {ER_WAY_STRAIGHT, "session expired\n", ER_TRANSPORT, true, "before the login"},
                {ER_WAY_JUMP, "All use is logged\n", ER_TRANSPORT, true, "before the login"},
                {ER_WAY_JUMP, "channel 0: open failed: administratively prohibited: open failed\r\n", ER_NET, false,
                 "the jump host on the way to it says: channel 0: open failed"},
                {ER_WAY_JUMP, "ssh: Could not resolve hostname door: Name or service not known\r\n", ER_NET, false,
                 "no such host"},
        };
        const struct er_host host = {.kind = ER_HOST_SSH, .name = (char[]){"gpu"}, .target = (char[]){"box"}};

        (void)state;
        for (size_t i = 0; i < ER_LEN(ways); i++) {
                er_autofree char *said = er_fmt("%s%s", ways[i].said, kex);
                er_auto(er_err) err = ER_ERR_INIT;

                assert_int_equal(er_ssh_explain_way(&host, ways[i].way, false, said, 255, &err), ways[i].momentary);
                unit_assert_err(&err, ways[i].code, ways[i].message);
        }
        assert_int_equal(er_ssh_way("user me\nproxyjump door\n"), ER_WAY_JUMP);
        assert_int_equal(er_ssh_way("proxycommand /usr/bin/ssh -W %h:%p door\n"), ER_WAY_JUMP);
        assert_int_equal(er_ssh_way("proxycommand exec tsh proxy ssh\n"), ER_WAY_COMMAND);
        assert_int_equal(er_ssh_way("proxycommand none\nproxyusefdpass no\n"), ER_WAY_STRAIGHT);
}

static bool has(const struct er_strv *argv, const char *text)
{
        return er_strv_has(argv, text);
}

static void test_argv(void **state)
{
        struct er_host host = {.kind = ER_HOST_SSH,
                               .name = (char[]){"gpu"},
                               .target = (char[]){"me@box"},
                               .port = 2222,
                               .identity = (char[]){"/k y"},
                               .jump = (char[]){"j1,j2"}};
        er_auto(er_strv) argv = ER_STRV_INIT;
        er_auto(er_err) err = ER_ERR_INIT;

        (void)state;
        assert_int_equal(er_ssh_argv(&host, false, 1500, NULL, &argv, &err), 0);
        assert_string_equal(argv.items[0], "ssh");
        assert_true(has(&argv, "-oBatchMode=yes") && has(&argv, "-oConnectTimeout=2") && has(&argv, "-p2222") &&
                    has(&argv, "-i/k y") && has(&argv, "-Jj1,j2"));
        assert_string_equal(argv.items[argv.len - 2], "--");
        assert_string_equal(argv.items[argv.len - 1], "me@box");
        er_strv_release(&argv);
        assert_int_equal(er_ssh_argv(&host, true, 1500, NULL, &argv, &err), 0);
        assert_false(has(&argv, "-oBatchMode=yes"));
        er_strv_release(&argv);
        host.target = (char[]){"-oProxyCommand=id"};
        assert_int_equal(er_ssh_argv(&host, true, 1500, NULL, &argv, &err), -1);
        unit_assert_err(&err, ER_USAGE, "ProxyCommand");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_table),
                cmocka_unit_test(test_the_way_that_errand_went),
                cmocka_unit_test(test_terminal_is_safe),
                cmocka_unit_test(test_way),
                cmocka_unit_test(test_argv),
        };

        return UNIT_RUN(tests);
}
