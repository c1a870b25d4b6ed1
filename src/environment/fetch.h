/*
 * fetch.h - Python packages downloaded on this machine for a host that has no way to an index. Which packages and
 * wheels fit is for uv and pip to know; scripts/fetch.sh runs them here, with the same words about failures as on a
 * host.
 */
#ifndef ER_ENVIRONMENT_FETCH_H
#define ER_ENVIRONMENT_FETCH_H

#include "base/cancel.h"
#include "environment/declaration.h"
#include "proto/recipe.h"

/* Who downloads, as the recipe's settings say; of a recipe without Python packages the host. */
enum er_fetch er_recipe_fetch(const struct er_recipe *recipe);

typedef void (*er_fetch_progress)(void *arg, const char *text);
/* One at a time fetches and sends for a recipe: what is fetched lies in one place. *ret_fd holds the turn until it is
 *closed. ret_waited: somebody has had it before, and may have done all there is to do. ER_CANCELLED as below. */
int er_fetch_turn(const struct er_recipe *recipe, struct er_cancel *cancel, int *ret_fd, bool *ret_waited,
                  struct er_err *err);
/* Downloads what the recipe needs for `platform`, as a build script says it: "python=3.11 implementation=cp
   machine=x86_64 libc=glibc-2.36 uv=no" (uv=no: uv is wanted too). The wheels become files of the recipe, which then
   installs them and nothing else; its hash stays. ER_NET, ER_IO or ER_REMOTE with the package first; ER_CANCELLED when
   `cancel` (may be NULL) fires. */
int er_fetch_wheels(struct er_recipe *recipe, const char *platform, struct er_cancel *cancel,
                    er_fetch_progress progress, void *arg, struct er_err *err);
/* Removes what was downloaded here and no fetch has touched for so long; what is being fetched stays. Adds the bytes.
   dry: only counts. */
void er_fetch_collect(int64_t older_ms, bool dry, uint64_t *freed);

#endif
