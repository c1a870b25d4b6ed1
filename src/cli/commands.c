/* commands.c - the list of commands, in the order they are shown. */
#include "cli/command.h"

extern const struct er_command er_cmd_run, er_cmd_rerun, er_cmd_jobs, er_cmd_show, er_cmd_logs, er_cmd_wait,
        er_cmd_cancel, er_cmd_pull, er_cmd_push, er_cmd_hosts, er_cmd_ssh, er_cmd_doctor, er_cmd_rm, er_cmd_gc,
        er_cmd_maestro, er_cmd_completion, er_cmd_complete_names, er_cmd_help, er_cmd_man;

const struct er_command *const er_commands[] = {
        &er_cmd_run,
        &er_cmd_rerun,
        &er_cmd_cancel,
        &er_cmd_maestro,
        &er_cmd_jobs,
        &er_cmd_show,
        &er_cmd_logs,
        &er_cmd_wait,
        &er_cmd_pull,
        &er_cmd_push,
        &er_cmd_hosts,
        &er_cmd_ssh,
        &er_cmd_doctor,
        &er_cmd_rm,
        &er_cmd_gc,
        &er_cmd_help,
        &er_cmd_man,
        &er_cmd_completion,
        &er_cmd_complete_names,
};
const size_t er_command_count = ER_LEN(er_commands);

const struct er_command *er_command_find(const char *name)
{
        for (size_t i = 0; i < er_command_count; i++)
                if (er_streq(er_commands[i]->name, name))
                        return er_commands[i];
        return NULL;
}
