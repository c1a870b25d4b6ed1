/*
 * path.h - file names. A path is bytes; nothing here assumes UTF-8.
 */
#ifndef ER_BASE_PATH_H
#define ER_BASE_PATH_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/str.h"

/* "a" and "b" make "a/b" (owned); if b is absolute, b alone. */
char *er_path_join(const char *a, const char *b);
const char *er_path_base(const char *path); /* (borrowed) after the last slash */
char *er_path_dir(const char *path);        /* (owned) */
/* An absolute path without "." and ".."; symlinks are not resolved (owned). */
char *er_path_abs(const char *path);
/* Expands a leading "~/" (owned). */
char *er_path_expand(const char *path);
/* True for a relative path without "..", empty parts and NUL: it is safe to create below a directory. */
bool er_path_is_safe(const char *path, size_t len);
/* Like mkdir -p; what it creates gets mode. at may be AT_FDCWD. */
int er_mkdir_p(int at, const char *path, mode_t mode, struct er_err *err);
/* Removes a tree if it exists. Follows no symlinks; makes directories writable as needed. Adds the disk space that was
 * freed to *ret_bytes (may be NULL). */
int er_rmtree(int at, const char *path, uint64_t *ret_bytes, struct er_err *err);
/* Disk space in use below a path (st_blocks * 512); 0 if it does not exist. */
uint64_t er_du(int at, const char *path);

/* The user's directories (owned): $ERRAND_HOME/state, else $XDG_STATE_HOME/errand, else ~/.local/state/errand, and so
 * on. */
char *er_dir_home(void);
char *er_dir_state(void);   /* store, leases, logs */
char *er_dir_cache(void);   /* stat caches, manifests: may be deleted at any time */
char *er_dir_config(void);  /* config.yaml */
char *er_dir_runtime(void); /* control sockets: a short path, 0700; created if it does not exist */

#endif
