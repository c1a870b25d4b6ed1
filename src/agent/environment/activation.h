/*
 * activation.h - the file `activate` of an environment, which says what a job's variables and command become, so that
 * no shell runs at a job's start.
 */
#ifndef ER_AGENT_ENVIRONMENT_ACTIVATION_H
#define ER_AGENT_ENVIRONMENT_ACTIVATION_H

#include "agent/agent.h"

/* What a job's start takes from it. */
struct er_activation {
        char *boot_id;          /* good for this boot only, */
        char *hostname;         /* of this machine; NULL: for good */
        struct er_strv set;     /* "NAME=VALUE" */
        struct er_strv prepend; /* the same; joined with ':' */
        struct er_strv unset;   /* "NAME" */
        struct er_strv wrap;    /* words before the command, see er_activation_wrap */
        struct er_strv end; /* a command to run when the job is over: a container is not below us in the process tree */
};
#define ER_ACTIVATION_INIT {0}
void er_activation_release(struct er_activation *activation);
void er_activation_encode(const struct er_activation *activation, struct er_str *out);
/* A line of the build script's control channel: true when it belongs to an activation. */
bool er_activation_take(struct er_activation *activation, struct er_sv word, struct er_sv rest);
/* From the directory of an environment. False: there is none, or it is from before the machine went down. *ret is to be
   released either way. */
bool er_activation_read(const struct er_agent *agent, int env_fd, struct er_activation *ret);
/* Variables as they are after it. */
void er_activation_apply(const struct er_activation *activation, struct er_strv *vars);
/*
 * The words before a command, filled in: {work} the attempt's work/, {dir} where the command runs, {id} the attempt's
 * id, {root} errand's root; a word {each-var:TEXT} comes once for each of `names` and {each-gpu:TEXT} once for each
 * GPU, with % in TEXT standing for it.
 */
struct er_wrap {
        const char *work, *dir, *id, *root;
        const struct er_strv *names;
        uint64_t gpu_mask;
};
void er_activation_wrap(const struct er_strv *words, const struct er_wrap *wrap, struct er_strv *ret);

#endif
