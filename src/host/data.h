/*
 * data.h - the data of a project on a host: ~/.errand/data/<project>/ there, which all its jobs see as data/.
 */
#ifndef ER_HOST_DATA_H
#define ER_HOST_DATA_H

#include "host/connect/session.h"

struct er_data_wish {
        const char *project;
        const char *root; /* this directory of the host (absolute) instead of the project's; or NULL */
        const char *name; /* of the file there */
        const char *url; /* http, https or ftp; or a path on the host; NULL: it is there already, and is only checked */
        const char *sum; /* "sha256=HEX", also sha512 and md5; or NULL */
        bool unpack;
        /* size 0: unknown. what (may be NULL): "checking", ... */
        void (*progress)(void *arg, uint64_t bytes, uint64_t size, const char *what);
        void *arg;
};
struct er_data_result {
        uint64_t size;
        bool was_there; /* nothing had to be done */
};
/* Waits until the file is there, whole. A download resumes where an earlier one broke off; two of the same name wait
   for each other. ER_NET with provider code "network" or "tool": the host cannot download it, but another machine
   may. ER_REMOTE "checksum": it was a different file, and has been removed. */
int er_data_fetch(struct er_session *session, const struct er_data_wish *wish, struct er_data_result *ret,
                  struct er_err *err);

struct er_data_entry {
        char *name;
        char type; /* 'f', 'd', 'l'; 'p': a part */
        uint64_t size;
        int64_t changed_ms; /* our clock */
};
struct er_data_list {
        char *path;                  /* (owned) the directory there, absolute; it need not exist */
        uint64_t free_bytes;         /* of its disk; 0: unknown */
        struct er_data_entry *items; /* sorted by name */
        size_t count, cap;
};
#define ER_DATA_LIST_INIT {0}
void er_data_list_release(struct er_data_list *list);
/* only_where: only the path, no items. */
int er_data_list(struct er_session *session, const char *project, bool only_where, struct er_data_list *ret,
                 struct er_err *err);
int er_data_remove(struct er_session *session, const char *project, const char *name, uint64_t *ret_freed,
                   struct er_err *err);

#endif
