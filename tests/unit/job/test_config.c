/* test_config.c - errand.yaml and options: what is accepted, what is refused, and the messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/io.h"
#include "base/path.h"
#include "job/config.h"

static char *dir;

static int setup(void **state)
{
        char path[] = "/tmp/er-config-XXXXXX";

        (void)state;
        assert_non_null(mkdtemp(path));
        dir = er_strdup(path);
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        er_rmtree(AT_FDCWD, dir, NULL, NULL);
        free(dir);
        return 0;
}

static void put(const char *name, const char *text)
{
        er_autofree char *path = er_path_join(dir, name);

        assert_int_equal(er_file_write(AT_FDCWD, path, text, strlen(text), 0644, false, NULL), 0);
}

static int load(const char *yaml, struct er_config *ret, struct er_err *err)
{
        put("errand.yaml", yaml);
        return er_config_load(dir, ret, err);
}

static void test_all_keys(void **state)
{
        er_auto(er_config) c = ER_CONFIG_INIT;
        er_auto(er_err) err = ER_ERR_INIT;

        (void)state;
        if (load("name: mnist\ncommand: [python, train.py, '--lr', 0.1]\non: [gpu-box, any]\ncpus: 4\nmemory: "
                 "16G\ngpus: 1\n"
                 "time_limit: 1h30m\ngrace: 5m\nenv:\n  A: 1\n  B: 'two words'\n  HOME:\nenv_file: .env\nsecrets: "
                 "[TOKEN]\n"
                 "outputs: [out/, '*.pt']\nworkdir: sub\nsync: no\nretries: 2\n",
                 &c, &err) < 0)
                fail_msg("%s", err.message);
        assert_string_equal(c.name, "mnist");
        assert_int_equal(c.command.len, 4);
        assert_string_equal(c.command.items[3], "0.1");
        assert_false(c.command_is_line);
        assert_int_equal(c.on.len, 2);
        assert_int_equal(c.cpus, 4);
        assert_int_equal(c.memory, (int64_t)16 << 30);
        assert_int_equal(c.time_limit_ms, 5400000);
        assert_int_equal(c.grace_ms, 300000);
        assert_int_equal(c.env.len, 3);
        assert_string_equal(c.env.items[1], "B=two words");
        assert_string_equal(c.env.items[2], "HOME");
        assert_int_equal(c.sync, 0);
        assert_int_equal(c.retries, 2);
}

static void test_absent_and_empty(void **state)
{
        er_auto(er_config) c = ER_CONFIG_INIT;

        (void)state;
        assert_int_equal(er_config_load("/nonexistent", &c, NULL), 0);
        assert_int_equal(c.cpus, -1);
        assert_int_equal(load("", &c, NULL), 0);
        assert_int_equal(load("# only a comment\n", &c, NULL), 0);
        assert_int_equal(load("env:\ncommand: python train.py\n", &c, NULL), 0);
        assert_true(c.command_is_line);
        assert_int_equal(c.command.len, 1);
}

static void test_refusals(void **state)
{
        static const struct {
                const char *yaml, *message, *hint;
        } cases[] = {
                {"memry: 4G\n", "errand.yaml:1:1: unknown key \"memry\"", "memory"},
                {"cpus: 2\nzzzzzz: 1\n", "errand.yaml:2:1: unknown key", "valid keys are"},
                {"cpus: many\n", "errand.yaml:1:7: cpus: ", NULL},
                {"cpus: -1\n", "cpus: ", NULL},
                {"memory: 4 Q\n", "errand.yaml:1:9: memory: ", NULL},
                {"time_limit: soon\n", "errand.yaml:1:13: time_limit: ", NULL},
                {"sync: maybe\n", "sync must be true or false", NULL},
                {"name: [a, b]\n", "name must be a single value", NULL},
                {"outputs: {a: b}\n", "outputs must be a single value or a list", NULL},
                {"env: {A-B: 1}\n", "\"A-B\" is not a valid name", NULL},
                {"env: 1\n", "env must be a map", NULL},
                {"command: []\n", "command is empty", NULL},
                {"command: \"a\\0b\"\n", "NUL", NULL},
                {"- a\n- b\n", "expected keys and values", "command:"},
                {"cpus: 1\ncpus: 2\n", "errand.yaml:2:1: ", NULL},
                {"env: &x {A: 1}\nsecrets: *x\n", "alias", NULL},
                {"a: [", "errand.yaml:", NULL},
        };

        (void)state;
        for (size_t i = 0; i < ER_LEN(cases); i++) {
                er_auto(er_config) c = ER_CONFIG_INIT;
                er_auto(er_err) err = ER_ERR_INIT;

                assert_int_equal(load(cases[i].yaml, &c, &err), -1);
                assert_int_equal(err.code, ER_CONFIG);
                if (!strstr(err.message, cases[i].message))
                        fail_msg("%s: \"%s\"", cases[i].yaml, err.message);
                if (cases[i].hint && (!err.hint || !strstr(err.hint, cases[i].hint)))
                        fail_msg("%s: hint \"%s\"", cases[i].yaml, err.hint ? err.hint : "none");
        }
}

static void test_alias_bomb(void **state)
{
        er_auto(er_str) bomb = ER_STR_INIT;
        er_auto(er_config) c = ER_CONFIG_INIT;
        er_auto(er_err) err = ER_ERR_INIT;

        (void)state;
        er_str_add(&bomb, "a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for (int i = 1; i < 10; i++) {
                er_str_addf(&bomb, "a%d: &a%d [", i, i);
                for (int k = 0; k < 9; k++)
                        er_str_addf(&bomb, "%s*a%d", k ? "," : "", i - 1);
                er_str_add(&bomb, "]\n");
        }
        assert_int_equal(load(bomb.buf, &c, &err), -1);
        assert_int_equal(err.code, ER_CONFIG);
}

static void test_overlay(void **state)
{
        er_auto(er_config) file = ER_CONFIG_INIT, over = ER_CONFIG_INIT;
        er_auto(er_spec) spec = ER_SPEC_INIT;
        er_auto(er_err) err = ER_ERR_INIT;

        (void)state;
        assert_int_equal(
                load("command: python a.py\non: [a, b]\ncpus: 4\nenv: {A: 1, B: 2}\noutputs: [x]\n", &file, NULL), 0);
        er_strv_add(&over.command, "python");
        er_strv_add(&over.command, "b c.py");
        er_strv_add(&over.on, "c");
        er_strv_add(&over.env, "B=3");
        over.gpus = 2;
        er_config_overlay(&file, &over);
        if (er_config_to_spec(&file, dir, "", &spec, &err) < 0)
                fail_msg("%s", err.message);
        assert_false(spec.shell);
        assert_int_equal(spec.argv.len, 2);
        assert_string_equal(spec.argv.items[1], "b c.py");
        assert_int_equal(spec.hosts.len, 1);
        assert_int_equal(spec.cpus, 4);
        assert_int_equal(spec.gpus, 2);
        assert_int_equal(spec.env.len, 2);
        assert_string_equal(spec.env.items[1], "B=3");
        assert_int_equal(spec.outputs.len, 1);
        assert_true(spec.sync);
}

static void one_spec(const char *command, const char *subdir, struct er_spec *spec)
{
        er_auto(er_config) c = ER_CONFIG_INIT;
        er_auto(er_err) err = ER_ERR_INIT;

        er_strv_add(&c.command, command);
        er_strv_add(&c.outputs, "./out/");
        er_strv_add(&c.outputs, "out");
        if (er_config_to_spec(&c, "/home/me/My Project!", subdir, spec, &err) < 0)
                fail_msg("%s", err.message);
}

static void test_spec_defaults(void **state)
{
        er_auto(er_spec) line = ER_SPEC_INIT, word = ER_SPEC_INIT;

        (void)state;
        one_spec("echo a b", "src/deep", &line);
        assert_true(line.shell);
        assert_string_equal(line.workdir, "src/deep");
        assert_string_equal(line.project, "My-Project");
        assert_int_equal(line.cpus, 1);
        assert_int_equal(line.hosts.len, 0);
        assert_int_equal(line.outputs.len, 1);
        assert_string_equal(line.outputs.items[0], "out");
        one_spec("./train.sh", "", &word);
        assert_false(word.shell);
        assert_null(word.workdir);
}

static void refuse_spec(void (*change)(struct er_config *), enum er_code code, const char *message)
{
        er_auto(er_config) c = ER_CONFIG_INIT;
        er_auto(er_spec) spec = ER_SPEC_INIT;
        er_auto(er_err) err = ER_ERR_INIT;

        er_strv_add(&c.command, "true");
        change(&c);
        assert_int_equal(er_config_to_spec(&c, dir, "", &spec, &err), -1);
        assert_int_equal(err.code, code);
        if (!strstr(err.message, message))
                fail_msg("\"%s\"", err.message);
        assert_null(strstr(err.message, "hunter2"));
        assert_true(!err.hint || !strstr(err.hint, "hunter2"));
}

static void no_command(struct er_config *c)
{
        er_strv_release(&c->command);
}
static void bad_name(struct er_config *c)
{
        c->name = er_strdup("-x/y");
}
static void no_cpus(struct er_config *c)
{
        c->cpus = 0;
}
static void bad_output(struct er_config *c)
{
        er_strv_add(&c->outputs, "../x");
}
static void absolute_output(struct er_config *c)
{
        er_strv_add(&c->outputs, "/etc/passwd");
}
static void bad_workdir(struct er_config *c)
{
        c->workdir = er_strdup("a/../../b");
}
static void bad_host(struct er_config *c)
{
        er_strv_add(&c->on, "-oProxyCommand=x");
}
static void unset_env(struct er_config *c)
{
        er_strv_add(&c->env, "SURELY_NOT_SET_ANYWHERE");
}
static void bad_env(struct er_config *c)
{
        er_strv_add(&c->env, "A B=hunter2");
}
static void secret_value(struct er_config *c)
{
        er_strv_add(&c->secrets, "TOKEN=hunter2");
}
static void no_env_file(struct er_config *c)
{
        c->env_file = er_strdup("absent.env");
}
static void huge(struct er_config *c)
{
        er_autofree char *big = er_malloc(900000);

        memset(big, 'x', 899999);
        big[899999] = '\0';
        er_strv_add(&c->command, big);
}

static void test_spec_refusals(void **state)
{
        (void)state;
        refuse_spec(no_command, ER_USAGE, "no command");
        refuse_spec(bad_name, ER_CONFIG, "-x/y");
        refuse_spec(no_cpus, ER_CONFIG, "cpus");
        refuse_spec(bad_output, ER_CONFIG, "../x");
        refuse_spec(absolute_output, ER_CONFIG, "/etc/passwd");
        refuse_spec(bad_workdir, ER_CONFIG, "a/../../b");
        refuse_spec(bad_host, ER_CONFIG, "-oProxyCommand");
        refuse_spec(unset_env, ER_CONFIG, "SURELY_NOT_SET_ANYWHERE");
        refuse_spec(bad_env, ER_CONFIG, "A B");
        refuse_spec(secret_value, ER_CONFIG, "without a value");
        refuse_spec(no_env_file, ER_NOT_FOUND, "absent.env");
        refuse_spec(huge, ER_CONFIG, "bytes");
}

static void test_env_file(void **state)
{
        er_auto(er_strv) env = ER_STRV_INIT;
        er_auto(er_err) err = ER_ERR_INIT;
        er_autofree char *path = er_path_join(dir, ".env");
        static const char *const expected[] = {"A=1", "B=x # y", "C=a\n\"b\" $HOME", "D=", "E=a=b#c", "HOME"};

        (void)state;
        put(".env", "# comment\n\nA=1\nexport B = no\n");
        assert_int_equal(er_env_file_load(path, &env, &err), -1);
        assert_non_null(strstr(err.message, ".env:4:"));
        er_strv_release(&env);
        put(".env",
            "# comment\nA=1  # one\nexport B='x # y'\r\nC=\"a\\n\\\"b\\\" $HOME\"\nD=\nE=a=b#c\n  F = \nHOME\n");
        er_strv_release(&env);
        er_err_clear(&err);
        assert_int_equal(er_env_file_load(path, &env, &err), -1); /* "F =" */
        er_strv_release(&env);
        put(".env", "# comment\nA=1  # one\nexport B='x # y'\r\nC=\"a\\n\\\"b\\\" $HOME\"\nD=\nE=a=b#c\nHOME\n");
        er_err_clear(&err);
        if (er_env_file_load(path, &env, &err) < 0)
                fail_msg("%s", err.message);
        assert_int_equal(env.len, ER_LEN(expected));
        for (size_t i = 0; i < env.len; i++)
                assert_string_equal(env.items[i], expected[i]);
        er_strv_release(&env);
        put(".env", "A='hunter2\n");
        er_err_clear(&err);
        assert_int_equal(er_env_file_load(path, &env, &err), -1);
        assert_non_null(strstr(err.message, "quote"));
        assert_null(strstr(err.message, "hunter2"));
}

static void test_project_names(void **state)
{
        er_auto(er_config) c = ER_CONFIG_INIT;

        static const struct {
                const char *dir, *name;
        } cases[] = {{"/a/mnist", "mnist"},    {"/a/My Work (2)", "My-Work-2"}, {"/", "job"},
                     {"/a/.hidden", "hidden"}, {"/a/\xc3\xa9t\xc3\xa9", "t"},   {"/a/-x-", "x"}};

        (void)state;
        for (size_t i = 0; i < ER_LEN(cases); i++) {
                er_autofree char *name = er_config_project(&c, cases[i].dir);

                assert_string_equal(name, cases[i].name);
        }
}

int main(void)
{
#define WITH_DIR(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                WITH_DIR(test_all_keys),      WITH_DIR(test_absent_and_empty), WITH_DIR(test_refusals),
                WITH_DIR(test_alias_bomb),    WITH_DIR(test_overlay),          WITH_DIR(test_spec_defaults),
                WITH_DIR(test_spec_refusals), WITH_DIR(test_env_file),         WITH_DIR(test_project_names),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
