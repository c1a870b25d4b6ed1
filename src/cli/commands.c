/* commands.c - the list of commands, in the order they are shown. */
#include "cli/command.h"

#include "base/parse.h"

extern const struct er_command er_cmd_run, er_cmd_rerun, er_cmd_jobs, er_cmd_show, er_cmd_logs, er_cmd_wait,
        er_cmd_cancel, er_cmd_pull, er_cmd_push, er_cmd_hosts, er_cmd_ssh, er_cmd_doctor, er_cmd_rm, er_cmd_gc,
        er_cmd_maestro, er_cmd_completion, er_cmd_complete_names, er_cmd_help, er_cmd_man, er_cmd_env, er_cmd_init,
        er_cmd_install, er_cmd_data, er_cmd_top, er_cmd_exec, er_cmd_forward, er_cmd_notebook, er_cmd_code;

const struct er_command *const er_commands[] = {
        &er_cmd_run,     &er_cmd_rerun, &er_cmd_exec,       &er_cmd_notebook,       &er_cmd_cancel,  &er_cmd_init,
        &er_cmd_install, &er_cmd_env,   &er_cmd_data,       &er_cmd_maestro,        &er_cmd_jobs,    &er_cmd_show,
        &er_cmd_logs,    &er_cmd_wait,  &er_cmd_pull,       &er_cmd_push,           &er_cmd_forward, &er_cmd_hosts,
        &er_cmd_top,     &er_cmd_ssh,   &er_cmd_code,       &er_cmd_doctor,         &er_cmd_rm,      &er_cmd_gc,
        &er_cmd_help,    &er_cmd_man,   &er_cmd_completion, &er_cmd_complete_names,
};
const size_t er_command_count = ER_LEN(er_commands);

const struct er_command *er_command_find(const char *name)
{
        for (size_t i = 0; i < er_command_count; i++)
                if (er_streq(er_commands[i]->name, name))
                        return er_commands[i];
        return NULL;
}

int er_command_unknown(const char *name, struct er_err *err)
{
        const char *names[64], *near[1];
        size_t count = 0;

        for (size_t i = 0; i < er_command_count && count < ER_LEN(names); i++)
                if (!(er_commands[i]->flags & ER_CMD_HIDDEN))
                        names[count++] = er_commands[i]->name;
        if (er_nearest(name, names, count, near, ER_LEN(near)) > 0) {
                er_err_set(err, ER_USAGE, "no such command: %s; did you mean %s?", name, near[0]);
                return er_err_hint(err, "see errand --help");
        }
        er_err_set(err, ER_USAGE, "no such command: %s", name);
        return er_err_hint(err, "errand --help lists the commands; to run a program: errand run %s", name);
}
