/*
 * path.h - names of files. A path is bytes; nothing here assumes UTF-8.
 */
#ifndef ER_BASE_PATH_H
#define ER_BASE_PATH_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/str.h"

/* "a" + "b" -> "a/b" (owned); an absolute second part wins. */
char *er_path_join(const char *a, const char *b);
const char *er_path_base(const char *path); /* (borrowed) after the last slash */
char *er_path_dir(const char *path);        /* (owned) */
/* Absolute, without "." and "..", symlinks kept (owned). */
char *er_path_abs(const char *path);
/* Expands a leading "~/" (owned). */
char *er_path_expand(const char *path);
/* True for a relative path without "..", empty parts, or a NUL: safe to create below a directory. */
bool er_path_is_safe(const char *path, size_t len);
/* mkdir -p with mode for what is made. at may be AT_FDCWD. */
int er_mkdir_p(int at, const char *path, mode_t mode, struct er_err *err);
/* Removes a tree, never following symlinks, making directories writable as needed. Absent is fine.
 *ret_bytes (may be NULL) is increased by the disk space of what went. */
int er_rmtree(int at, const char *path, uint64_t *ret_bytes, struct er_err *err);
/* Bytes below a path (st_blocks * 512), 0 when absent. */
uint64_t er_du(int at, const char *path);

/* The user's directories, all (owned): $ERRAND_HOME/state or $XDG_STATE_HOME/errand or ~/.local/state/errand ... */
char *er_dir_home(void);
char *er_dir_state(void);   /* store, leases, logs */
char *er_dir_cache(void);   /* stat caches, manifests: may be deleted any time */
char *er_dir_config(void);  /* config.yaml */
char *er_dir_runtime(void); /* control sockets: short, 0700, made when missing */

#endif
