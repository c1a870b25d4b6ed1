/* scripts.h - the files of src/environment/scripts, carried in the program (made by embed-scripts). */
#ifndef ER_ENVIRONMENT_SCRIPTS_H
#define ER_ENVIRONMENT_SCRIPTS_H

#include <stddef.h>

struct er_env_script {
        const char *name; /* "pip.sh" */
        const char *data;
        size_t len;
};
extern const struct er_env_script er_env_scripts[];
extern const size_t er_env_script_count;

#endif
