/* names.h - an arena of names, each ended by NUL; they live as long as the arena. Private to src/host. */
#ifndef ER_HOST_SNAPSHOT_NAMES_H
#define ER_HOST_SNAPSHOT_NAMES_H

#include "base/str.h"

struct er_names {
        char **blocks; /* (owned) */
        size_t count, cap;
        char *next; /* in the last block */
        size_t room;
};
#define ER_NAMES_INIT {0}
void er_names_release(struct er_names *names);
const char *er_names_add(struct er_names *names, struct er_sv prefix, struct er_sv name);
/* Takes over what `from` holds; it is empty afterwards. */
void er_names_merge(struct er_names *names, struct er_names *from);

#endif
