/*
 * command.h - a command is a const struct at the end of its file and one line in commands.c. Its option table gives
 * parsing, --help, completion and the manual's OPTIONS. Commands print; they decide nothing that outlives them.
 *
 * To add one: src/cli/cmd_<name>.c with `const struct er_command er_cmd_<name>`, its line in commands.c, its file in
 * src/cli/meson.build, its name in man/meson.build, an e2e test. Its manual page is made from the struct.
 * tests/unit/cli/test_commands.c checks that they agree.
 */
#ifndef ER_CLI_COMMAND_H
#define ER_CLI_COMMAND_H

#include "base/err.h"
#include "base/str.h"
#include "store/store.h"

enum er_opt_type {
        ER_OPT_FLAG,     /* bool */
        ER_OPT_TEXT,     /* const char * */
        ER_OPT_LIST,     /* struct er_strv: may repeat */
        ER_OPT_COUNT,    /* int64_t, 0 or more */
        ER_OPT_SIZE,     /* int64_t bytes */
        ER_OPT_DURATION, /* int64_t ms */
};
/* What a completion offers for an option's value or an argument. */
enum er_complete {
        ER_COMPLETE_NONE,
        ER_COMPLETE_JOB,
        ER_COMPLETE_HOST,
        ER_COMPLETE_FILE,
        ER_COMPLETE_DIR,
        ER_COMPLETE_COMMAND, /* a program to run */
        ER_COMPLETE_NAME,    /* of one of our commands */
        ER_COMPLETE_SHELL,   /* bash, zsh, fish */
};

struct er_opt {
        const char *name; /* "time-limit" */
        char letter;      /* 'f' or 0 */
        enum er_opt_type type;
        const char *value; /* "DURATION"; NULL for a flag */
        const char *help;  /* one line, without a full stop */
        size_t offset;     /* of the member in the command's own struct of options */
        enum er_complete complete;
};

struct er_cli {                 /* what main.c prepares for a command */
        struct er_store *store; /* opened if the command needs it */
        const char *program;    /* path of this program */
        const char *state_dir;  /* of the store */
        bool json, quiet;
};

enum er_need { ER_NEED_NOTHING = 0, ER_NEED_STORE = 1 };

enum er_command_flags {
        ER_CMD_JSON = 1,   /* takes --json */
        ER_CMD_QUIET = 2,  /* takes --quiet */
        ER_CMD_HIDDEN = 4, /* not for people: not listed anywhere */
};

struct er_command {
        const char *name;
        const char *group;       /* "Run", "Follow", "Hosts", "Clean up", "About" */
        const char *summary;     /* one line */
        const char *arguments;   /* "[JOB]", "[[--] COMMAND [ARG]...]" */
        const char *description; /* paragraphs for --help and the manual; NULL if the summary is enough */
        const char *examples;    /* lines "errand run ...\twhat it does\n"; or NULL */
        const struct er_opt *opts;
        size_t opt_count;
        size_t opts_size;      /* of the struct that the offsets point into; zeroed before parsing, with COUNT, SIZE and
                                  DURATION set to -1 */
        unsigned needs;        /* enum er_need */
        unsigned flags;        /* enum er_command_flags */
        bool stop_at_argument; /* options end at the first argument: run, ssh, exec */
        int min_args, max_args; /* -1: no limit */
        enum er_complete complete;
        /* Returns the exit status, or -1 with err set; main.c prints that and derives the exit status from its code. */
        int (*run)(struct er_cli *cli, void *opts, char **args, int count, struct er_err *err);
};

extern const struct er_command *const er_commands[];
extern const size_t er_command_count;
const struct er_command *er_command_find(const char *name);
/* Sets err for a name that no command has, and suggests the nearest. */
int er_command_unknown(const char *name, struct er_err *err);

#endif
