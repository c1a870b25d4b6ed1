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
        "you reach by SSH. There is no server to keep and nothing to install on the host: at first use, a small static "
        "program is copied to it over SSH.\n"
        "\n"
        "What is run is a job. Its name is the project's and a number, mnist-12.0; mnist-12 names the run it is part "
        "of, and where a JOB may be left out, the latest run of the project is meant that the current directory is in. "
        "A project is a directory with errand.yaml, else the top of a git repository, else the directory itself.\n"
        "\n"
        "Jobs survive what happens here: a closed terminal, a killed process, a lost network, a reboot of this "
        "machine. errand jobs tells how they are, and errand logs what they print.";

static const struct {
        const char *status, *meaning;
} statuses[] = {
        {"0", "All went well; for run, rerun and wait: the job exited with 0 and its outputs are there."},
        {"1..199", "The job's own exit status, where a command has that of a job: 124 for its time limit, 126 not "
                   "executable, 127 not found, 128+N ended by signal N, 137 also out of memory. A cancelled job has "
                   "that of its end, 143 as a rule."},
        {"201", "The command line is wrong."},
        {"202", "errand.yaml, an option's value or another file of the user is wrong."},
        {"203", "Credentials or permission were refused by the other side."},
        {"204", "A limit of the account is reached."},
        {"205", "No room: no host fits."},
        {"206", "No such job, host or file."},
        {"207", "It is there already."},
        {"208", "A host cannot be reached."},
        {"209", "It took too long."},
        {"210", "The connection broke."},
        {"211", "The host failed at it."},
        {"212", "Not possible in this state; or the store is newer than this program, or damaged."},
        {"213", "The question was answered with no, or the work was interrupted."},
        {"214", "Trouble with a file or a disk of this machine."},
        {"215", "The host's key is not the one that is known."},
        {"216", "Not an error: errand left while the job goes on."},
        {"217", "A bug of errand's."},
        {"220", "A declared output was missing at the end of the job."},
        {"221", "The job was lost with its host, and may not be tried again."},
        {"222", "The job failed for another reason; errand show says which."},
};

static const struct {
        const char *name, *meaning;
} variables[] = {
        {"ERRAND_HOME",
         "Everything errand keeps on this machine goes below this directory, instead of the usual places."},
        {"XDG_STATE_HOME, XDG_CACHE_HOME, XDG_CONFIG_HOME", "Where, without ERRAND_HOME, the store, what is remembered "
                                                            "of files, and git's own list of ignored names are."},
        {"XDG_RUNTIME_DIR",
         "Where the sockets of shared ssh connections are; without it, or when it is long, in /tmp."},
        {"ERRAND_SSH_PERSIST",
         "For how many seconds an idle ssh connection is kept for the next command; 0: none is kept or shared."},
        {"ERRAND_LINGER", "0: no listener is left on a host for some seconds when commands follow each other quickly."},
        {"SSH_AUTH_SOCK", "Used by ssh, as are all its other settings."},
        {"SHELL", "What errand ssh starts on this machine without a command."},
        {"PATH", "Where ssh and git are found."},
        {"ERRAND_LOG", "For whoever looks for a fault: debug, or a list of parts of the program (host,maestro), traces "
                       "to standard error."},
        {"ERRAND_LOG_FILE", "Where those traces go instead."},
        {"NO_COLOR", "When set, nothing is coloured."},
        {"TERM", "On a dumb terminal there is no status line and no colour."},
};

static const struct {
        const char *path, *meaning;
} files[] = {
        {"errand.yaml", "What a project says of its runs; see errand.yaml(5)."},
        {".errandignore", "What does not travel with a job, in the syntax of gitignore(5)."},
        {"results/JOB/", "In the project: the outputs of a job."},
        {"~/.local/state/errand/store.db",
         "What errand knows of jobs and hosts. A damaged one is kept aside, never deleted."},
        {"~/.errand/", "On a host: the agent, snapshots, and a directory for each job."},
};

/* Words that roff would take for its own. */
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

/* One sentence, in lines of a readable length. */
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

/* Sentences begin on lines of their own, as mdoc wants them. */
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
        er_str_add(out, ".Sh COMMANDS\nEach has a page of its own, for instance errand\\-run(1), and\n.Fl \\-help .\n");
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
        er_str_add(out, ".El\n.Sh EXAMPLES\nThe first minute, with any script:\n.Bd -literal -offset indent\n"
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
