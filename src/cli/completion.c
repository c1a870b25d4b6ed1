/* completion.c - see completion.h */
#include "cli/completion.h"

#include "base/parse.h"
#include "cli/command.h"
#include "cli/opts.h"

static bool shown(const struct er_command *command)
{
        return !(command->flags & ER_CMD_HIDDEN);
}

/* The subcommands of `errand hosts`. errand env has subcommands too, but it takes any command. */
static const char *sub_words(const struct er_command *command)
{
        return er_streq(command->name, "hosts") ? "list add rm" : "";
}

/* --- bash */

static const char *bash_kind(enum er_complete complete)
{
        switch (complete) {
        case ER_COMPLETE_NONE:
                return "none";
        case ER_COMPLETE_JOB:
                return "jobs";
        case ER_COMPLETE_HOST:
                return "hosts";
        case ER_COMPLETE_FILE:
                return "files";
        case ER_COMPLETE_DIR:
                return "dirs";
        case ER_COMPLETE_COMMAND:
                return "programs";
        case ER_COMPLETE_NAME:
                return "commands";
        case ER_COMPLETE_SHELL:
                return "shells";
        }
        return "none";
}

static void bash_command(struct er_str *out, const struct er_command *command)
{
        const struct er_opt *opt;

        er_str_addf(out, "    %s)\n        opts='", command == &er_cmd_errand ? "''" : command->name);
        for (size_t i = 0; (opt = er_command_opt(command, i)); i++)
                er_str_addf(out, "%s--%s", i > 0 ? " " : "", opt->name);
        er_str_addf(out, "' kind=%s words='%s' stop=%d\n        case $option in\n", bash_kind(command->complete),
                    sub_words(command), command->stop_at_argument);
        for (size_t i = 0; (opt = er_command_opt(command, i)); i++) {
                if (opt->type == ER_OPT_FLAG)
                        continue;
                er_str_addf(out, "        --%s", opt->name);
                if (opt->letter)
                        er_str_addf(out, " | -%c", opt->letter);
                er_str_addf(out, ") value=%s ;;\n", bash_kind(opt->complete));
        }
        er_str_add(out, "        esac\n        ;;\n");
}

static void bash_script(struct er_str *out)
{
        er_str_add(out, "# bash completion for errand: eval \"$(errand completion bash)\"\n"
                        "_errand_table() {\n"
                        "    # What is known of command $1, and of its option $2: opts kind words stop value\n"
                        "    local command=$1 option=$2\n"
                        "    value=''\n"
                        "    case $command in\n");
        bash_command(out, &er_cmd_errand);
        for (size_t i = 0; i < er_command_count; i++)
                if (shown(er_commands[i]))
                        bash_command(out, er_commands[i]);
        er_str_add(out, "    *) opts='' kind=none words='' stop=0 ;;\n"
                        "    esac\n"
                        "}\n"
                        "_errand_reply() { # the lines of its input; without mapfile, which an old bash has not\n"
                        "    local line\n"
                        "    COMPREPLY=()\n"
                        "    while IFS= read -r line; do COMPREPLY+=(\"$line\"); done\n"
                        "}\n"
                        "_errand_offer() {\n"
                        "    case $1 in\n"
                        "    files | dirs | programs) compopt -o filenames 2>/dev/null ;;\n"
                        "    esac\n"
                        "    case $1 in\n"
                        "    jobs | hosts) _errand_reply < <(compgen -W \"$words $(errand complete-names \"$1\" "
                        "2>/dev/null)\" -- \"$cur\") ;;\n"
                        "    files) _errand_reply < <(compgen -f -- \"$cur\") ;;\n"
                        "    dirs) _errand_reply < <(compgen -d -- \"$cur\") ;;\n"
                        "    programs) _errand_reply < <(compgen -c -- \"$cur\"; compgen -f -- \"$cur\") ;;\n"
                        "    commands) _errand_reply < <(compgen -W '");
        for (size_t i = 0; i < er_command_count; i++)
                if (shown(er_commands[i]))
                        er_str_addf(out, "%s%s", i > 0 ? " " : "", er_commands[i]->name);
        er_str_add(out,
                   "' -- \"$cur\") ;;\n"
                   "    shells) _errand_reply < <(compgen -W 'bash zsh fish' -- \"$cur\") ;;\n"
                   "    esac\n"
                   "}\n"
                   "_errand() {\n"
                   "    local cur=${COMP_WORDS[COMP_CWORD]} command='' opts kind words stop value i ended='' args=0\n"
                   "    COMPREPLY=()\n"
                   "    _errand_table '' ''\n"
                   "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                   "        _errand_table \"$command\" \"${COMP_WORDS[i]}\"\n"
                   "        if [[ -z $ended && ${COMP_WORDS[i]} == -- ]]; then ended=1\n"
                   "        elif [[ -z $ended && -n $value && ${COMP_WORDS[i + 1]} == = ]]; then ((i += 2))\n"
                   "        elif [[ -z $ended && -n $value ]]; then ((i++))\n"
                   "        elif [[ -z $ended && ${COMP_WORDS[i]} == -* ]]; then :\n"
                   "        elif [[ -z $command ]]; then command=${COMP_WORDS[i]}\n"
                   "        else\n"
                   "            ((args++))\n"
                   "            if [[ $stop == 1 ]]; then ended=1; fi\n"
                   "        fi\n"
                   "    done\n"
                   "    if ((i > COMP_CWORD)) && [[ -z $ended ]]; then # the value of an option\n"
                   "        if [[ $cur == = ]]; then cur=''; fi\n"
                   "        _errand_offer \"$value\"\n"
                   "        return\n"
                   "    fi\n"
                   "    _errand_table \"$command\" ''\n"
                   "    if [[ -z $ended && $cur == -* ]]; then\n"
                   "        _errand_reply < <(compgen -W \"$opts\" -- \"$cur\")\n"
                   "    elif [[ $command == pull && $args -gt 0 ]] || [[ $command == push && $args -gt 0 ]] || [[ "
                   "$kind == programs && $args -gt 0 ]]; then\n"
                   "        _errand_offer files\n"
                   "    else\n"
                   "        _errand_offer \"$kind\"\n"
                   "    fi\n"
                   "}\n"
                   "complete -F _errand errand\n");
}

/* --- zsh */

static const char *zsh_action(enum er_complete complete)
{
        switch (complete) {
        case ER_COMPLETE_NONE:
                return " ";
        case ER_COMPLETE_JOB:
                return "_errand_job_names";
        case ER_COMPLETE_HOST:
                return "_errand_host_names";
        case ER_COMPLETE_FILE:
                return "_files";
        case ER_COMPLETE_DIR:
                return "_files -/";
        case ER_COMPLETE_COMMAND:
                return "_normal";
        case ER_COMPLETE_NAME:
                return "_errand_commands";
        case ER_COMPLETE_SHELL:
                return "(bash zsh fish)";
        }
        return " ";
}

/* Text inside '...[here]...' of an _arguments specification. */
static void zsh_text(struct er_str *out, const char *text)
{
        for (const char *p = text; *p; p++) {
                if (*p == '\'')
                        er_str_add(out, "'\\'");
                else if (strchr("[]:\\", *p))
                        er_str_addc(out, '\\');
                er_str_addc(out, *p);
        }
}

static void zsh_option(struct er_str *out, const struct er_opt *opt)
{
        const char *repeat = opt->type == ER_OPT_LIST ? "*" : "";

        for (int letter = 0; letter <= (opt->letter != 0); letter++) {
                er_str_addf(out, "        '%s", repeat);
                if (opt->letter && opt->type != ER_OPT_LIST)
                        er_str_addf(out, "(-%c --%s)", opt->letter, opt->name);
                if (letter)
                        er_str_addf(out, "-%c%s[", opt->letter, opt->value ? "+" : "");
                else
                        er_str_addf(out, "--%s%s[", opt->name, opt->value ? "=" : "");
                zsh_text(out, opt->help);
                er_str_addc(out, ']');
                if (opt->value) {
                        er_str_addc(out, ':');
                        zsh_text(out, opt->value);
                        er_str_addf(out, ":%s", zsh_action(opt->complete));
                }
                er_str_add(out, "' \\\n");
        }
}

static void zsh_function_name(struct er_str *out, const struct er_command *command)
{
        er_str_add(out, "_errand_");
        for (const char *p = command->name; *p; p++)
                er_str_addc(out, *p == '-' ? '_' : *p);
}

static void zsh_command(struct er_str *out, const struct er_command *command)
{
        const struct er_opt *opt;

        zsh_function_name(out, command);
        er_str_addf(out, "() {\n    _arguments -s%s \\\n", command->stop_at_argument ? " -S -A '-*'" : "");
        for (size_t i = 0; (opt = er_command_opt(command, i)); i++)
                zsh_option(out, opt);
        if (sub_words(command)[0])
                er_str_addf(out, "        '1:what:(%s)' \\\n", sub_words(command));
        if (er_streq(command->name, "push"))
                er_str_add(out, "        '1:HOST:_errand_host_names' \\\n        '*:PATH:_files'\n");
        else if (er_streq(command->name, "pull"))
                er_str_add(out, "        '1:JOB:_errand_job_names' \\\n        '*:PATH:_files'\n");
        else if (command->complete == ER_COMPLETE_COMMAND)
                er_str_add(out, "        '*::command:_normal'\n");
        else if (command->max_args == 0)
                er_str_add(out, "        && return\n");
        else
                er_str_addf(out, "        '%s:name:%s'\n", command->max_args == 1 ? "1" : "*",
                            zsh_action(command->complete));
        er_str_add(out, "}\n");
}

static void zsh_script(struct er_str *out)
{
        const struct er_opt *opt;

        er_str_add(out, "#compdef errand\n"
                        "# zsh completion for errand: put it into a directory of $fpath as _errand, or eval \"$(errand "
                        "completion zsh)\"\n"
                        "_errand_names() {\n"
                        "    local what=$1\n"
                        "    local -a names\n"
                        "    shift\n"
                        "    names=(${(f)\"$(errand complete-names $what 2>/dev/null)\"})\n"
                        "    compadd \"$@\" -a names\n"
                        "}\n"
                        "_errand_job_names() { _errand_names jobs \"$@\" }\n"
                        "_errand_host_names() { _errand_names hosts \"$@\" }\n"
                        "_errand_commands() {\n"
                        "    local -a commands\n"
                        "    commands=(\n");
        for (size_t i = 0; i < er_command_count; i++) {
                if (!shown(er_commands[i]))
                        continue;
                er_str_addf(out, "        '%s:", er_commands[i]->name);
                zsh_text(out, er_commands[i]->summary);
                er_str_add(out, "'\n");
        }
        er_str_add(out, "    )\n    _describe 'command' commands\n}\n");
        for (size_t i = 0; i < er_command_count; i++)
                if (shown(er_commands[i]))
                        zsh_command(out, er_commands[i]);
        er_str_add(out, "_errand() {\n    local curcontext=$curcontext state line\n    _arguments -C -A '-*' \\\n");
        for (size_t i = 0; (opt = er_command_opt(&er_cmd_errand, i)); i++)
                zsh_option(out, opt);
        er_str_add(out, "        '1:command:_errand_commands' \\\n"
                        "        '*::arg:->args' && return\n"
                        "    case $line[1] in\n");
        for (size_t i = 0; i < er_command_count; i++) {
                if (!shown(er_commands[i]))
                        continue;
                er_str_addf(out, "    %s) ", er_commands[i]->name);
                zsh_function_name(out, er_commands[i]);
                er_str_add(out, " ;;\n");
        }
        er_str_add(out, "    esac\n}\n"
                        "if [[ $funcstack[1] == _errand ]]; then _errand \"$@\"; else compdef _errand errand; fi\n");
}

/* --- fish */

static const char *fish_names(enum er_complete complete)
{
        switch (complete) {
        case ER_COMPLETE_JOB:
                return "(errand complete-names jobs 2>/dev/null)";
        case ER_COMPLETE_HOST:
                return "(errand complete-names hosts 2>/dev/null)";
        case ER_COMPLETE_DIR:
                return "(__fish_complete_directories)";
        case ER_COMPLETE_NAME:
                return "(__errand_commands)";
        case ER_COMPLETE_SHELL:
                return "bash zsh fish";
        case ER_COMPLETE_COMMAND:
                return "(__fish_complete_subcommand --fcs-skip=2)";
        case ER_COMPLETE_NONE:
        case ER_COMPLETE_FILE:
                return NULL;
        }
        return NULL;
}

static void fish_text(struct er_str *out, const char *text)
{
        er_str_addc(out, '\'');
        for (const char *p = text; *p; p++) {
                if (*p == '\'' || *p == '\\')
                        er_str_addc(out, '\\');
                er_str_addc(out, *p);
        }
        er_str_addc(out, '\'');
}

static void fish_command(struct er_str *out, const struct er_command *command)
{
        const struct er_opt *opt;
        const char *names = fish_names(command->complete);
        bool top = command == &er_cmd_errand;
        er_autofree char *when = top ? er_strdup("__errand_needs_command") : er_fmt("__errand_is %s", command->name);

        for (size_t i = 0; (opt = er_command_opt(command, i)); i++) {
                const char *values = fish_names(opt->complete);

                er_str_addf(out, "complete -c errand -n '%s' -l %s", when, opt->name);
                if (opt->letter)
                        er_str_addf(out, " -s %c", opt->letter);
                if (opt->value)
                        er_str_add(out, opt->complete == ER_COMPLETE_FILE ? " -r -F" : " -x");
                if (opt->value && values)
                        er_str_addf(out, " -a '%s'", values);
                er_str_add(out, " -d ");
                fish_text(out, opt->help);
                er_str_addc(out, '\n');
        }
        if (top)
                return;
        if (sub_words(command)[0])
                er_str_addf(out, "complete -c errand -n '%s' -f -a '%s'\n", when, sub_words(command));
        if (er_streq(command->name, "pull") || er_streq(command->name, "push"))
                er_str_addf(out, "complete -c errand -n '%s' -F\n", when);
        else
                er_str_addf(out, "complete -c errand -n '%s' -f\n", when);
        if (names)
                er_str_addf(out, "complete -c errand -n '%s' -a '%s'\n", when, names);
}

static void fish_script(struct er_str *out)
{
        er_str_add(out,
                   "# fish completion for errand: errand completion fish > ~/.config/fish/completions/errand.fish\n"
                   "function __errand_commands\n");
        for (size_t i = 0; i < er_command_count; i++) {
                if (!shown(er_commands[i]))
                        continue;
                er_str_addf(out, "    printf '%%s\\t%%s\\n' %s ", er_commands[i]->name);
                fish_text(out, er_commands[i]->summary);
                er_str_addc(out, '\n');
        }
        er_str_add(out, "end\n"
                        "function __errand_command\n"
                        "    set -l words (commandline -opc)\n"
                        "    set -e words[1]\n"
                        "    while set -q words[1]\n"
                        "        switch $words[1]\n"
                        "            case --state-dir\n"
                        "                set -e words[1]\n"
                        "            case '-*'\n"
                        "            case '*'\n"
                        "                echo $words[1]\n"
                        "                return 0\n"
                        "        end\n"
                        "        set -e words[1]\n"
                        "    end\n"
                        "    return 1\n"
                        "end\n"
                        "function __errand_needs_command\n"
                        "    not __errand_command >/dev/null\n"
                        "end\n"
                        "function __errand_is\n"
                        "    test (__errand_command; or echo '') = $argv[1]\n"
                        "end\n"
                        "complete -c errand -n __errand_needs_command -f -a '(__errand_commands)'\n");
        fish_command(out, &er_cmd_errand);
        for (size_t i = 0; i < er_command_count; i++)
                if (shown(er_commands[i]))
                        fish_command(out, er_commands[i]);
}

int er_completion_script(const char *shell, struct er_str *out, struct er_err *err)
{
        static const struct {
                const char *name;
                void (*script)(struct er_str *out);
        } shells[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};

        for (size_t i = 0; i < ER_LEN(shells); i++)
                if (er_streq(shells[i].name, shell)) {
                        shells[i].script(out);
                        return 0;
                }
        er_err_set(err, ER_USAGE, "no completion for %s", shell);
        return er_err_hint(err, "use bash, zsh or fish");
}
