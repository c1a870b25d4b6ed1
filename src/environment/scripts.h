/* scripts.h - the files of src/environment/scripts, carried in the program (made by embed-scripts). */
#ifndef ER_ENVIRONMENT_SCRIPTS_H
#define ER_ENVIRONMENT_SCRIPTS_H

#include <stddef.h>

struct er_build_script {
        const char *name; /* "pip.sh" */
        const char *data;
        size_t len;
};
extern const struct er_build_script er_build_scripts[];
extern const size_t er_build_script_count;

#endif
