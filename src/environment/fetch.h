/*
 * fetch.h - Python packages downloaded on this machine for a host that cannot reach an index. uv and pip know which
 * packages and wheels fit; scripts/fetch.sh runs them here, and reports failures in the same words as on a host.
 */
#ifndef ER_ENVIRONMENT_FETCH_H
#define ER_ENVIRONMENT_FETCH_H

#include "base/cancel.h"
#include "environment/declaration.h"
#include "proto/recipe.h"

/* Who downloads, as the recipe's settings say; without Python packages, the host. */
enum er_fetch er_recipe_fetch(const struct er_recipe *recipe);

typedef void (*er_fetch_progress)(void *arg, const char *text);
/* Only one process at a time fetches and sends for a recipe, since all use the same directory. *ret_fd holds the turn
   until it is closed. ret_waited: another process has had it before, and may have done all there is to do.
   ER_CANCELLED as below. */
int er_fetch_turn(const struct er_recipe *recipe, struct er_cancel *cancel, int *ret_fd, bool *ret_waited,
                  struct er_err *err);
/* Downloads what the recipe needs for `platform`, as a build script says it: "python=3.11 implementation=cp
   machine=x86_64 libc=glibc-2.36 uv=no" (uv=no: uv is wanted too). The wheels become files of the recipe, which then
   installs them and nothing else; its hash stays. ER_NET, ER_IO or ER_REMOTE with the package first; ER_CANCELLED when
   `cancel` (may be NULL) fires. */
int er_fetch_wheels(struct er_recipe *recipe, const char *platform, struct er_cancel *cancel,
                    er_fetch_progress progress, void *arg, struct er_err *err);
/* Removes what was downloaded here and has not been touched by a fetch for older_ms; what is being fetched stays.
   Adds the bytes. dry: only counts. */
void er_fetch_collect(int64_t older_ms, bool dry, uint64_t *freed);

#endif
