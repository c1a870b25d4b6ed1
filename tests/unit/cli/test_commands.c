/* The tables of commands, and what is made of them: they must agree, and fit on a terminal. */
#include "unit.h"

#include "base/io.h"
#include "base/proc.h"
#include "base/term.h"
#include "cli/completion.h"
#include "cli/help.h"
#include "cli/opts.h"
#include "cli/roff.h"

#define EACH(command)                                                                                                  \
        for (const struct er_command *const *at_ = er_commands, *command;                                              \
             at_ < er_commands + er_command_count && (command = *at_); at_++)

static bool hidden(const struct er_command *command)
{
        return command->flags & ER_CMD_HIDDEN;
}

static void test_names_are_unique_and_found(void **state)
{
        (void)state;
        for (size_t i = 0; i < er_command_count; i++) {
                assert_ptr_equal(er_command_find(er_commands[i]->name), er_commands[i]);
                for (size_t j = 0; j < i; j++)
                        assert_string_not_equal(er_commands[i]->name, er_commands[j]->name);
        }
        assert_null(er_command_find("no-such-command"));
}

static void test_tables_are_complete(void **state)
{
        (void)state;
        EACH(command)
        {
                bool in_group = false;

                assert_non_null(command->summary);
                assert_non_null(command->arguments ? command->arguments : "");
                assert_non_null(command->run);
                for (size_t g = 0; g < er_group_count; g++)
                        in_group |= er_streq(er_groups[g], command->group);
                assert_true(in_group);
                /* One line of the overview on a terminal of 80 columns. */
                assert_true(strlen(command->summary) <= 64);
                assert_int_not_equal(command->summary[strlen(command->summary) - 1], '.');
                assert_true(command->max_args < 0 || command->max_args >= command->min_args);
        }
}

static void test_options_are_sound(void **state)
{
        (void)state;
        EACH(command)
        {
                const struct er_opt *opt, *other;

                for (size_t i = 0; (opt = er_command_opt(command, i)); i++) {
                        assert_true(strlen(opt->name) > 1);
                        assert_non_null(opt->help);
                        assert_int_not_equal(opt->help[strlen(opt->help) - 1], '.');
                        /* A flag has no value's name, all others have one. */
                        assert_int_equal(opt->type == ER_OPT_FLAG, opt->value == NULL);
                        for (size_t j = 0; j < i && (other = er_command_opt(command, j)); j++) {
                                assert_string_not_equal(opt->name, other->name);
                                assert_true(opt->letter == 0 || opt->letter != other->letter);
                        }
                }
                for (size_t i = 0; i < command->opt_count; i++)
                        assert_true(command->opts[i].offset < command->opts_size);
        }
}

static void contains(const struct er_str *text, const char *what)
{
        if (!strstr(text->buf, what))
                fail_msg("\"%s\" is not in:\n%s", what, text->buf);
}

static void test_help_has_every_option(void **state)
{
        (void)state;
        EACH(command)
        {
                er_auto(er_str) text = ER_STR_INIT;
                const struct er_opt *opt;

                er_help_command(&text, command, false, 80);
                contains(&text, command->summary);
                for (size_t i = 0; (opt = er_command_opt(command, i)); i++) {
                        er_auto(er_str) shown = ER_STR_INIT;

                        er_help_option(&shown, opt);
                        contains(&text, shown.buf);
                }
        }
}

static void test_help_fits_the_terminal(void **state)
{
        (void)state;
        EACH(command)
        {
                er_auto(er_str) text = ER_STR_INIT;
                struct er_sv rest, line;

                er_help_command(&text, command, false, 80);
                er_str_rtrim(&text);
                rest = er_svn(text.buf, text.len);
                while (er_sv_cut(&rest, '\n', &line))
                        if (er_term_columns(line.ptr, line.len) > 80)
                                fail_msg("%s: longer than 80 columns: %.*s", command->name, (int)line.len, line.ptr);
        }
}

static void test_overview_has_every_command(void **state)
{
        er_auto(er_str) text = ER_STR_INIT;

        (void)state;
        er_help_overview(&text, false, 80);
        EACH(command)
        {
                er_autofree char *line = er_fmt("\n  %s ", command->name);

                assert_int_equal(strstr(text.buf, line) != NULL, !hidden(command));
        }
}

static void roff_escape(struct er_str *out, const char *text)
{
        for (const char *p = text; *p; p++)
                if (*p == '-')
                        er_str_add(out, "\\-");
                else
                        er_str_addc(out, *p);
}

static void test_manual_has_every_option(void **state)
{
        (void)state;
        EACH(command)
        {
                er_auto(er_str) page = ER_STR_INIT;
                const struct er_opt *opt;

                er_roff_command(&page, command);
                for (size_t i = 0; (opt = er_command_opt(command, i)); i++) {
                        er_auto(er_str) item = ER_STR_INIT;

                        er_str_add(&item, "Fl \\-");
                        roff_escape(&item, opt->name);
                        contains(&page, item.buf);
                }
        }
}

static void test_manual_of_errand_has_every_command(void **state)
{
        er_auto(er_str) page = ER_STR_INIT;

        (void)state;
        er_roff_main(&page);
        EACH(command)
        {
                er_autofree char *item = er_fmt(".It Cm %s\n", command->name);

                assert_int_equal(strstr(page.buf, item) != NULL, !hidden(command));
        }
        /* Every code of ours has an exit status there. */
        for (int code = 1; code < ER_CODE_COUNT; code++) {
                er_autofree char *item = er_fmt(".It %d\n", er_code_exit_status((enum er_code)code));

                contains(&page, item);
        }
}

/* The build makes a page for each. */
static void test_every_command_is_in_the_build_of_the_manual(void **state)
{
        er_auto(er_str) build = ER_STR_INIT;

        er_autofree char *path = er_strdup(__FILE__);

        (void)state;
        path[strlen(path) - strlen("tests/unit/cli/test_commands.c")] = '\0';
        path = er_realloc(path, strlen(path) + 20);
        memcpy(path + strlen(path), "man/meson.build", 16);
        if (!er_file_exists(AT_FDCWD, path))
                skip(); /* not run from the build directory */
        assert_int_equal(er_file_read(AT_FDCWD, path, 65536, &build, NULL), 0);
        EACH(command)
        {
                er_autofree char *item = er_fmt("'%s'", command->name);

                assert_int_equal(strstr(build.buf, item) != NULL, !hidden(command));
        }
}

static void test_completion_has_every_command_and_option(void **state)
{
        static const char *const shells[] = {"bash", "zsh", "fish"};

        (void)state;
        for (size_t s = 0; s < ER_LEN(shells); s++) {
                er_auto(er_str) script = ER_STR_INIT;

                assert_int_equal(er_completion_script(shells[s], &script, NULL), 0);
                EACH(command)
                {
                        const struct er_opt *opt;

                        if (hidden(command))
                                continue;
                        contains(&script, command->name);
                        for (size_t i = 0; (opt = er_command_opt(command, i)); i++) {
                                er_autofree char *item = er_fmt(s == 2 ? "-l %s" : "--%s", opt->name);

                                contains(&script, item);
                        }
                }
        }
        assert_int_equal(er_completion_script("tcsh", &(struct er_str)ER_STR_INIT, NULL), -1);
}

/* The shells themselves say whether they can read the scripts. */
static void test_completion_is_read_by_its_shell(void **state)
{
        static char *const shells[][4] = {{(char *)"bash", (char *)"-n", NULL},
                                          {(char *)"zsh", (char *)"-n", NULL},
                                          {(char *)"fish", (char *)"-n", NULL}};

        (void)state;
        for (size_t s = 0; s < ER_LEN(shells); s++) {
                er_autofree char *there = er_proc_which(shells[s][0]);
                er_auto(er_str) script = ER_STR_INIT;
                er_auto(er_str) said = ER_STR_INIT;
                const struct er_proc_opts opts = {.argv = shells[s]};
                int status = -1;

                if (!there)
                        continue;
                assert_int_equal(er_completion_script(shells[s][0], &script, NULL), 0);
                assert_int_equal(er_proc_run(&opts, er_svn(script.buf, script.len), NULL, &said, 4096,
                                             er_deadline_in(20000), &status, NULL),
                                 0);
                if (status != 0)
                        fail_msg("%s: %s", shells[s][0], said.buf);
        }
}

/* What bash offers for a line that ends here: the words, each followed by a space. */
static void bash_offers(const char *line, const char *expected)
{
        er_auto(er_str) script = ER_STR_INIT;
        er_auto(er_str) out = ER_STR_INIT;
        char *argv[] = {(char *)"bash", (char *)"--norc", NULL};
        const struct er_proc_opts opts = {.argv = argv};
        int status = -1;

        assert_int_equal(er_completion_script("bash", &script, NULL), 0);
        er_str_addf(&script,
                    "errand() { echo job-1; echo job-2; }\nCOMP_WORDS=(%s)\nCOMP_CWORD=$((${#COMP_WORDS[@]} - "
                    "1))\n_errand\n"
                    "printf '%%s ' \"${COMPREPLY[@]}\"\n",
                    line);
        assert_int_equal(er_proc_run(&opts, er_svn(script.buf, script.len), &out, NULL, 65536, er_deadline_in(20000),
                                     &status, NULL),
                         0);
        assert_string_equal(out.buf, expected);
}

static void test_bash_offers_what_fits(void **state)
{
        (void)state;
        bash_offers("errand ru", "run ");
        bash_offers("errand --state-dir /tmp ru", "run ");
        bash_offers("errand logs --gr", "--grep ");
        bash_offers("errand run --on j", "job-1 job-2 ");
        bash_offers("errand run --on = j", "job-1 job-2 ");
        bash_offers("errand logs ''", "job-1 job-2 ");
        bash_offers("errand hosts a", "add ");
        bash_offers("errand run python3 --gp", " ");
        bash_offers("errand completion z", "zsh ");
}

/* --- the parser */

struct sample {
        bool flag, other;
        const char *text;
        struct er_strv list;
        int64_t count, size, duration;
};

static const struct er_opt sample_opts[] = {
        {"flag", 'f', ER_OPT_FLAG, NULL, "h", offsetof(struct sample, flag), ER_COMPLETE_NONE},
        {"other", 'o', ER_OPT_FLAG, NULL, "h", offsetof(struct sample, other), ER_COMPLETE_NONE},
        {"text", 't', ER_OPT_TEXT, "T", "h", offsetof(struct sample, text), ER_COMPLETE_NONE},
        {"list", 'l', ER_OPT_LIST, "L", "h", offsetof(struct sample, list), ER_COMPLETE_NONE},
        {"count", 'c', ER_OPT_COUNT, "N", "h", offsetof(struct sample, count), ER_COMPLETE_NONE},
        {"size", 0, ER_OPT_SIZE, "S", "h", offsetof(struct sample, size), ER_COMPLETE_NONE},
        {"duration", 0, ER_OPT_DURATION, "D", "h", offsetof(struct sample, duration), ER_COMPLETE_NONE},
};

static const struct er_command sample_command = {
        .name = "sample",
        .summary = "s",
        .arguments = "[ARG]...",
        .opts = sample_opts,
        .opt_count = ER_LEN(sample_opts),
        .opts_size = sizeof(struct sample),
        .flags = ER_CMD_JSON | ER_CMD_QUIET,
        .max_args = -1,
};

static struct sample sample;
static struct er_common_opts common;
static char **args;
static int arg_count;

static int parse(const struct er_command *command, struct er_err *err, const char *const *words)
{
        er_auto(er_strv) argv = ER_STRV_INIT;
        int rc;

        for (; *words; words++)
                er_strv_add(&argv, *words);
        common = (struct er_common_opts){0};
        free(args);
        args = NULL;
        rc = er_opts_parse(command, argv.items, (int)argv.len, &sample, &common, &args, &arg_count, err);
        /* What is borrowed from argv must outlive it here. */
        if (rc == 0) {
                static struct er_strv kept;

                er_strv_release(&kept);
                kept = argv;
                argv = (struct er_strv)ER_STRV_INIT;
        }
        return rc;
}
#define PARSE(...) parse(&sample_command, NULL, (const char *const[]){__VA_ARGS__, NULL})

static void done(void)
{
        er_opts_release(&sample_command, &sample);
}

static void test_values_in_every_spelling(void **state)
{
        (void)state;
        assert_int_equal(
                PARSE("--text", "a", "--list=x", "-l", "y", "-lz", "--count=7", "--size", "2G", "--duration", "1m"), 0);
        assert_string_equal(sample.text, "a");
        assert_int_equal(sample.list.len, 3);
        assert_string_equal(sample.list.items[2], "z");
        assert_int_equal(sample.count, 7);
        assert_true(sample.size == (int64_t)2 << 30);
        assert_int_equal(sample.duration, 60000);
        done();
        assert_int_equal(PARSE("--text=a=b", "--text", "--flag"), 0);
        assert_string_equal(sample.text, "--flag"); /* a value may look like an option */
        assert_false(sample.flag);
        done();
        assert_int_equal(PARSE("--text="), 0);
        assert_string_equal(sample.text, "");
        done();
}

static void test_unset_is_told_from_zero(void **state)
{
        (void)state;
        assert_int_equal(PARSE("--count", "0"), 0);
        assert_int_equal(sample.count, 0);
        assert_true(sample.size == -1 && sample.duration == -1);
        assert_null(sample.text);
        done();
}

static void test_bundled_letters(void **state)
{
        (void)state;
        assert_int_equal(PARSE("-foq", "-fc3", "-c", "4"), 0);
        assert_true(sample.flag && sample.other && common.quiet);
        assert_int_equal(sample.count, 4);
        done();
}

static void test_arguments_anywhere(void **state)
{
        (void)state;
        assert_int_equal(PARSE("a", "--flag", "b", "-", "--", "--other", "-x"), 0);
        assert_int_equal(arg_count, 5);
        assert_string_equal(args[0], "a");
        assert_string_equal(args[2], "-");
        assert_string_equal(args[3], "--other");
        assert_null(args[5]);
        assert_true(sample.flag && !sample.other);
        done();
}

static void test_options_end_at_the_command(void **state)
{
        struct er_command command = sample_command;

        (void)state;
        command.stop_at_argument = true;
        assert_int_equal(parse(&command, NULL, (const char *const[]){"-f", "python3", "--other", "--", "-h", NULL}), 0);
        assert_int_equal(arg_count, 4);
        assert_string_equal(args[1], "--other");
        assert_string_equal(args[2], "--"); /* the command's own */
        assert_true(sample.flag && !sample.other && !common.help);
        done();
        assert_int_equal(parse(&command, NULL, (const char *const[]){"--", "--other", NULL}), 0);
        assert_int_equal(arg_count, 1);
        assert_string_equal(args[0], "--other");
        done();
}

static void test_common_options(void **state)
{
        (void)state;
        assert_int_equal(PARSE("--json", "-q", "--state-dir", "/x"), 0);
        assert_true(common.json && common.quiet && !common.help);
        assert_string_equal(common.state_dir, "/x");
        done();
        assert_int_equal(PARSE("--help", "--no-such-thing"), 0);
        assert_true(common.help);
        done();
        assert_int_equal(PARSE("--version"), -1); /* only errand itself has it */
}

static void refused(const char *said, const char *const *words)
{
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_command command = sample_command;

        command.max_args = 1;
        assert_int_equal(parse(&command, &err, words), -1);
        assert_int_equal(err.code, ER_USAGE);
        if (!strstr(err.message, said))
                fail_msg("\"%s\" is not in \"%s\"", said, err.message);
        assert_non_null(strstr(err.hint, "errand sample --help"));
}
#define REFUSED(said, ...) refused(said, (const char *const[]){__VA_ARGS__, NULL})

static void test_wrong_lines(void **state)
{
        (void)state;
        REFUSED("did you mean --duration", "--duratoin", "5");
        REFUSED("unknown option --xyzzy", "--xyzzy");
        REFUSED("unknown option -x", "-x");
        REFUSED("-x in -fx", "-fx");
        REFUSED("needs a value", "--text");
        REFUSED("needs a value", "-t");
        REFUSED("takes no value", "--flag=yes");
        REFUSED("--count", "--count", "many");
        REFUSED("--count", "--count", "-1");
        REFUSED("--count", "-c99999999999");
        REFUSED("--size", "--size", "12 parsecs");
        REFUSED("--duration", "--duration", "");
        REFUSED("fewer arguments", "a", "b");
        REFUSED("--list", "--list", "kept", "--list");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names_are_unique_and_found),
                cmocka_unit_test(test_tables_are_complete),
                cmocka_unit_test(test_options_are_sound),
                cmocka_unit_test(test_help_has_every_option),
                cmocka_unit_test(test_help_fits_the_terminal),
                cmocka_unit_test(test_overview_has_every_command),
                cmocka_unit_test(test_manual_has_every_option),
                cmocka_unit_test(test_manual_of_errand_has_every_command),
                cmocka_unit_test(test_every_command_is_in_the_build_of_the_manual),
                cmocka_unit_test(test_completion_has_every_command_and_option),
                cmocka_unit_test(test_completion_is_read_by_its_shell),
                cmocka_unit_test(test_bash_offers_what_fits),
                cmocka_unit_test(test_values_in_every_spelling),
                cmocka_unit_test(test_unset_is_told_from_zero),
                cmocka_unit_test(test_bundled_letters),
                cmocka_unit_test(test_arguments_anywhere),
                cmocka_unit_test(test_options_end_at_the_command),
                cmocka_unit_test(test_common_options),
                cmocka_unit_test(test_wrong_lines),
        };
        return UNIT_RUN(tests);
}
