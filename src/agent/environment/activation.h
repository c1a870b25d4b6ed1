/*
 * activation.h - the file `activate` of an environment: how it changes a job's variables and command, so that no shell
 * needs to run when a job starts.
 */
#ifndef ER_AGENT_ENVIRONMENT_ACTIVATION_H
#define ER_AGENT_ENVIRONMENT_ACTIVATION_H

#include "agent/agent.h"

/* What the file says. */
struct er_activation {
        char *boot_id;          /* good only for this boot ... */
        char *hostname;         /* ... of this machine; NULL: for good */
        struct er_strv set;     /* "NAME=VALUE" */
        struct er_strv prepend; /* the same; put before the old value with ':' */
        struct er_strv unset;   /* "NAME" */
        struct er_strv wrap;    /* words before the command, see er_activation_wrap */
        struct er_strv say;     /* lines for whoever reads a job's log: what is not in the environment */
        struct er_strv end;     /* the words of a command to run when the job is over (outside.h) */
};
#define ER_ACTIVATION_INIT {0}
void er_activation_release(struct er_activation *activation);
void er_activation_encode(const struct er_activation *activation, struct er_str *out);
/* Takes a line of the build script's control channel; true when it belongs to an activation. */
bool er_activation_take(struct er_activation *activation, struct er_sv word, struct er_sv rest);
/* Reads the file from an environment's directory. False: there is none, or it is from before the machine went down.
   Release *ret either way. */
bool er_activation_read(const struct er_agent *agent, int env_fd, struct er_activation *ret);
/* Applies it to a job's variables. */
void er_activation_apply(const struct er_activation *activation, struct er_strv *vars);
/*
 * Fills in the words before a command: {work} is the attempt's work/, {dir} where the command runs, {id} the attempt's
 * id, {root} errand's root. A word {each-var:TEXT} is repeated for each of `names`, and {each-gpu:TEXT} for each GPU; %
 * in TEXT stands for it.
 */
struct er_wrap {
        const char *work, *dir, *id, *root;
        const struct er_strv *names;
        uint64_t gpu_mask;
};
void er_activation_wrap(const struct er_strv *words, const struct er_wrap *wrap, struct er_strv *ret);

#endif
