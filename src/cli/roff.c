/* roff.c - see roff.h */
#include "cli/roff.h"

#include <ctype.h>
#include "cli/help.h"
#include "cli/opts.h"
#include "cli/words.h"

#define PAGE_DATE "November 21, 2026"
#define SOURCE_WIDTH 72u

static const char about[] =
        "errand runs your script on any machine and brings the results back: this one, the box under the desk, a host "
        "you reach by SSH. There is no server to run and nothing to install on the host: on first use, errand copies a "
        "small static program to it over SSH.\n"
        "\n"
        "Each errand run starts a run, named after the project and a number, such as mnist-12. A run consists of jobs, "
        "such as mnist-12.0. If a command may be given without JOB, it applies to the latest run of the current "
        "project. The project is the nearest directory upwards that contains errand.yaml, else the top of the git "
        "repository, else the current directory.\n"
        "\n"
        "Jobs survive whatever happens on this machine: a closed terminal, a killed process, a lost network "
        "connection, a reboot. errand jobs shows how they are doing, and errand logs shows what they print.";

static const struct {
        const char *status, *meaning;
} statuses[] = {
        {"0", "Success. For run, rerun and wait: the job exited with 0 and its outputs are here."},
        {"1..199",
         "The job's own exit status, from commands that return it: 124 for its time limit, 126 not executable, 127 not "
         "found, 128+N ended by signal N, 137 also out of memory. A cancelled job usually has 143."},
        {"201", "The command line is wrong."},
        {"202", "errand.yaml, the value of an option, or another of your files is wrong."},
        {"203", "The other side refused the credentials or denied permission."},
        {"204", "A limit of the account has been reached."},
        {"205", "No room: no host fits the job."},
        {"206", "No such job, host or file."},
        {"207", "It already exists."},
        {"208", "A host cannot be reached."},
        {"209", "It took too long."},
        {"210", "The connection broke."},
        {"211", "The host reported a failure."},
        {"212", "Not possible in the present state; or the store is damaged, or newer than this program."},
        {"213", "You answered no to a question, or the work was interrupted."},
        {"214", "Problem with a file or a disk of this machine."},
        {"215", "The host's key is not the known one."},
        {"216", "Not an error: errand left while the job goes on."},
        {"217", "A bug in errand."},
        {"220", "A declared output was missing when the job ended."},
        {"221", "The job was lost with its host, and may not be tried again."},
        {"222", "The job failed for another reason; see errand show."},
};

static const struct {
        const char *name, *meaning;
} variables[] = {
        {"ERRAND_HOME", "The directory for everything that errand keeps on this machine, instead of the usual places."},
        {"XDG_STATE_HOME, XDG_CACHE_HOME, XDG_CONFIG_HOME",
         "Without ERRAND_HOME: where the store, cached data about files, and git's own list of ignored files are."},
        {"XDG_RUNTIME_DIR",
         "Where the sockets of shared ssh connections are. If it is unset or too long, they are in /tmp."},
        {"ERRAND_SSH_PERSIST", "How many seconds an idle ssh connection is kept for the next command. With 0, "
                               "connections are neither kept nor shared."},
        {"ERRAND_LINGER", "If 0, errand leaves no listener on a host. Otherwise one stays for a few seconds when "
                          "commands follow each other quickly."},
        {"SSH_AUTH_SOCK", "Used by ssh, as are all of its settings."},
        {"SHELL", "The shell that errand ssh starts on this machine if no command is given."},
        {"PATH", "Where ssh and git are looked for."},
        {"ERRAND_LOG",
         "For debugging: debug, or a list of parts of the program (host,maestro), prints traces to standard error."},
        {"ERRAND_LOG_FILE", "The file that these traces go to instead."},
        {"NO_COLOR", "If set, nothing is coloured."},
        {"TERM", "On a dumb terminal there is no status line and no colour."},
};

static const struct {
        const char *path, *meaning;
} files[] = {
        {"errand.yaml", "The project's settings for its runs; see errand.yaml(5)."},
        {".errandignore", "Files that do not travel with a job, in the syntax of gitignore(5)."},
        {"results/JOB/", "In the project's directory: the outputs of a job."},
        {"~/.local/state/errand/store.db",
         "The store: what errand knows about jobs and hosts. A damaged store is kept aside, never deleted."},
        {"~/.errand/", "On a host: the agent, snapshots, environments, data, and a directory for each job."},
};

/* Escapes what roff would interpret. */
static void escape(struct er_str *out, struct er_sv text, bool line_start)
{
        for (size_t i = 0; i < text.len; i++) {
                char c = text.ptr[i];

                if ((c == '.' || c == '\'') && line_start && i == 0)
                        er_str_add(out, "\\&");
                if (c == '\\')
                        er_str_add(out, "\\e");
                else if (c == '-')
                        er_str_add(out, "\\-");
                else
                        er_str_addc(out, c);
        }
}

/* Adds one sentence, in lines of a readable length. */
static void sentence(struct er_str *out, struct er_sv text)
{
        er_autofree char *copy = er_sv_dup(text);
        er_auto(er_str) wrapped = ER_STR_INIT;
        struct er_sv rest, line;

        er_wrap(&wrapped, copy, 0, SOURCE_WIDTH);
        er_str_rtrim(&wrapped);
        rest = er_svn(wrapped.buf, wrapped.len);
        while (er_sv_cut(&rest, '\n', &line)) {
                escape(out, line, true);
                er_str_addc(out, '\n');
        }
}

/* Starts each sentence on a new line, as mdoc wants it. */
static void paragraph(struct er_str *out, struct er_sv text)
{
        size_t begin = 0;

        for (size_t i = 0; i < text.len; i++) {
                bool stop = (text.ptr[i] == '.' || text.ptr[i] == ':') && i + 2 < text.len && text.ptr[i + 1] == ' ' &&
                            isupper((unsigned char)text.ptr[i + 2]);

                if (!stop)
                        continue;
                sentence(out, er_svn(text.ptr + begin, i + 1 - begin));
                begin = i + 2;
        }
        sentence(out, er_svn(text.ptr + begin, text.len - begin));
}

static void prose(struct er_str *out, const char *text)
{
        struct er_sv rest = er_sv(text), line;
        bool literal = false, gap = false;

        while (er_sv_cut(&rest, '\n', &line)) {
                bool is_literal = line.len > 0 && line.ptr[0] == ' ';

                if (is_literal && !literal)
                        er_str_add(out, ".Bd -literal -offset indent\n");
                if (!is_literal && literal)
                        er_str_add(out, ".Ed\n");
                if (!is_literal && line.len > 0 && (gap || literal))
                        er_str_add(out, ".Pp\n");
                literal = is_literal;
                gap = line.len == 0;
                if (is_literal) {
                        struct er_sv trimmed = er_sv_trim(line);

                        escape(out, trimmed, true);
                        er_str_addc(out, '\n');
                } else if (line.len > 0)
                        paragraph(out, line);
        }
        if (literal)
                er_str_add(out, ".Ed\n");
}

static void option_item(struct er_str *out, const struct er_opt *opt)
{
        er_str_add(out, ".It ");
        if (opt->letter)
                er_str_addf(out, "Fl %c , ", opt->letter);
        er_str_add(out, "Fl \\-");
        escape(out, er_sv(opt->name), false);
        if (opt->value) {
                er_str_add(out, " Ar ");
                escape(out, er_sv(opt->value), false);
        }
        er_str_addc(out, '\n');
        paragraph(out, er_sv(opt->help));
}

static void options(struct er_str *out, const struct er_command *command)
{
        const struct er_opt *opt;

        er_str_add(out, ".Sh OPTIONS\n.Bl -tag -width Ds\n");
        for (size_t i = 0; (opt = er_command_opt(command, i)); i++)
                option_item(out, opt);
        er_str_add(out, ".El\n");
}

static void lower_first(struct er_str *out, const char *text)
{
        er_auto(er_str) copy = ER_STR_INIT;

        er_str_add(&copy, text);
        if (copy.len > 1 && !isupper((unsigned char)copy.buf[1]))
                copy.buf[0] = (char)tolower((unsigned char)copy.buf[0]);
        escape(out, er_svn(copy.buf, copy.len), true);
}

static void page_head(struct er_str *out, const char *page, const char *summary)
{
        er_str_addf(out, ".Dd %s\n.Dt ", PAGE_DATE);
        for (const char *p = page; *p; p++)
                er_str_addc(out, (char)toupper((unsigned char)*p));
        er_str_addf(out, " 1\n.Os errand\n.Sh NAME\n.Nm %s\n.Nd ", page);
        lower_first(out, summary);
        er_str_addc(out, '\n');
}

static void examples(struct er_str *out, const char *text)
{
        struct er_sv rest = er_sv(text), command, what;
        bool first = true;

        er_str_add(out, ".Sh EXAMPLES\n");
        while (er_help_example(&rest, &command, &what)) {
                if (!first && what.len > 0)
                        er_str_add(out, ".Pp\n");
                first = false;
                if (what.len > 0) {
                        er_auto(er_str) line = ER_STR_INIT;

                        er_str_addn(&line, what.ptr, what.len);
                        line.buf[0] = (char)toupper((unsigned char)line.buf[0]);
                        er_str_addc(&line, ':');
                        paragraph(out, er_svn(line.buf, line.len));
                }
                er_str_add(out, ".Dl ");
                escape(out, command, false);
                er_str_addc(out, '\n');
        }
}

void er_roff_command(struct er_str *out, const struct er_command *command)
{
        er_autofree char *page = er_fmt("errand-%s", command->name);

        page_head(out, page, command->summary);
        er_str_addf(out, ".Sh SYNOPSIS\n.Nm errand %s\n.Op Ar OPTION ...\n", command->name);
        if (command->arguments && command->arguments[0]) {
                escape(out, er_sv(command->arguments), true);
                er_str_addc(out, '\n');
        }
        er_str_add(out, ".Sh DESCRIPTION\n");
        if (command->description)
                prose(out, command->description);
        else {
                paragraph(out, er_sv(command->summary));
                er_str_cut(out, out->len - 1);
                er_str_add(out, ".\n");
        }
        options(out, command);
        if (command->examples)
                examples(out, command->examples);
        er_str_add(out, ".Sh SEE ALSO\n.Xr errand 1 ,\n.Xr errand.yaml 5\n");
}

void er_roff_main(struct er_str *out)
{
        er_auto(er_strv) names = ER_STRV_INIT;

        page_head(out, "errand", er_cmd_errand.summary);
        er_str_add(out, ".Sh SYNOPSIS\n.Nm errand\n.Op Ar OPTION ...\n.Ar COMMAND\n.Op Ar ARG ...\n.Sh DESCRIPTION\n");
        prose(out, about);
        er_str_add(out, ".Sh COMMANDS\nEach has a manual page of its own, such as\n.Xr errand-run 1 ,\nand an "
                        "option\n.Fl \\-help .\n");
        for (size_t g = 0; g < er_group_count; g++) {
                er_str_addf(out, ".Ss %s\n.Bl -tag -width complete\n", er_groups[g]);
                for (size_t i = 0; i < er_command_count; i++) {
                        const struct er_command *command = er_commands[i];

                        if (command->flags & ER_CMD_HIDDEN || !er_streq(command->group, er_groups[g]))
                                continue;
                        er_str_addf(out, ".It Cm %s\n", command->name);
                        paragraph(out, er_sv(command->summary));
                }
                er_str_add(out, ".El\n");
        }
        options(out, &er_cmd_errand);
        er_str_add(out, ".Sh ENVIRONMENT\n.Bl -tag -width Ds\n");
        for (size_t i = 0; i < ER_LEN(variables); i++) {
                er_str_addf(out, ".It Ev %s\n", variables[i].name);
                paragraph(out, er_sv(variables[i].meaning));
        }
        er_str_add(out, ".El\n.Sh FILES\n.Bl -tag -width Ds\n");
        for (size_t i = 0; i < ER_LEN(files); i++) {
                er_str_addf(out, ".It Pa %s\n", files[i].path);
                paragraph(out, er_sv(files[i].meaning));
        }
        er_str_add(out, ".El\n.Sh EXIT STATUS\n.Bl -tag -width Ds\n");
        for (size_t i = 0; i < ER_LEN(statuses); i++) {
                er_str_addf(out, ".It %s\n", statuses[i].status);
                paragraph(out, er_sv(statuses[i].meaning));
        }
        er_str_add(out, ".El\n.Sh EXAMPLES\nGetting started, with any script:\n.Bd -literal -offset indent\n"
                        "errand run python3 train.py\nerrand run \\-\\-on me@gpu\\-box python3 train.py\nerrand "
                        "jobs\nerrand logs \\-f\n.Ed\n"
                        ".Sh SEE ALSO\n");
        for (size_t i = 0; i < er_command_count; i++)
                if (!(er_commands[i]->flags & ER_CMD_HIDDEN))
                        er_strv_add(&names, er_commands[i]->name);
        er_strv_sort(&names);
        for (size_t i = 0; i < names.len; i++)
                er_str_addf(out, ".Xr errand-%s 1 ,\n", names.items[i]);
        er_str_add(out, ".Xr errand.yaml 5 ,\n.Xr ssh_config 5\n");
}
