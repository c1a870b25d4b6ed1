/* cmd_completion.c - errand completion, and errand complete-names, which the scripts it prints call. */
#include "cli/completion.h"
#include "cli/target.h"
#include "cli/words.h"
#include "maestro/maestro.h"

#define NAMES_MAX 200 /* nobody wants to choose among more */

static int completion(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        er_auto(er_str) script = ER_STR_INIT;

        (void)cli;
        (void)arg;
        (void)count;
        if (er_completion_script(args[0], &script, err) < 0)
                return -1;
        return er_out(er_svn(script.buf, script.len), err);
}

const struct er_command er_cmd_completion = {
        .name = "completion",
        .group = "About",
        .summary = "Print the completion script for bash, zsh or fish",
        .arguments = "SHELL",
        .description = "For bash or zsh, add the line to ~/.bashrc or ~/.zshrc (there, after compinit):\n"
                       "  eval \"$(errand completion bash)\"\n"
                       "  eval \"$(errand completion zsh)\"\n"
                       "\n"
                       "For fish, run once:\n"
                       "  errand completion fish > ~/.config/fish/completions/errand.fish",
        .min_args = 1,
        .max_args = 1,
        .complete = ER_COMPLETE_SHELL,
        .run = completion,
};

static void add_hosts(const struct er_cli *cli, struct er_strv *names)
{
        er_auto(er_strv) aliases = ER_STRV_INIT;
        struct er_host *hosts = NULL;
        size_t count = 0;

        if (er_hosts_known(cli->store, &hosts, &count, NULL) < 0)
                return;
        for (size_t i = 0; i < count; i++) {
                er_strv_add(names, hosts[i].name);
                er_host_release(&hosts[i]);
        }
        free(hosts);
        er_host_aliases(&aliases);
        for (size_t i = 0; i < aliases.len; i++)
                if (!er_strv_has(names, aliases.items[i]))
                        er_strv_add(names, aliases.items[i]);
}

static int complete_names(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        er_auto(er_strv) names = ER_STRV_INIT;

        (void)arg;
        (void)count;
        if (er_streq(args[0], "hosts"))
                add_hosts(cli, &names);
        else if (er_store_job_names(cli->store, NAMES_MAX, &names, err) < 0)
                return -1;
        for (size_t i = 0; i < names.len; i++)
                if (er_out_line(err, "%s", names.items[i]) < 0)
                        return -1;
        return 0;
}

const struct er_command er_cmd_complete_names = {
        .name = "complete-names",
        .group = "About",
        .summary = "Names for completion: jobs or hosts",
        .arguments = "jobs|hosts",
        .needs = ER_NEED_STORE,
        .flags = ER_CMD_HIDDEN,
        .min_args = 1,
        .max_args = 1,
        .run = complete_names,
};
