/*
 * edit.h - adding packages to the files that declare them, as a person would with an editor: comments, order and layout
 * stay, and so do encoding and line ends. What is not written simply (one item a line, or a list on one line) is left
 * alone and the caller says what to add by hand.
 */
#ifndef ER_ENVIRONMENT_EDIT_H
#define ER_ENVIRONMENT_EDIT_H

#include "base/str.h"

enum er_edit_kind { ER_EDIT_PIP, ER_EDIT_CONDA, ER_EDIT_APT, ER_EDIT_JULIA };

/* "Torch_Vision[x]>=0.2" -> "torch-vision" (owned): a new item replaces one of the same name. */
char *er_edit_name(enum er_edit_kind kind, const char *item);

/* All return true if the text was changed (or had it already); false if it is not simple enough, and then leave it as
   it is. */

/* A list of a YAML text: `keys` lead to it ("environments", "train", "pip"), NULL at the end. A missing last key is
   added, with `before` (may be NULL) as first item; a single value there becomes a list, except "none", which is
   dropped. */
bool er_edit_yaml(struct er_str *text, const char *const *keys, enum er_edit_kind kind, const char *before,
                  const struct er_strv *items);
/* A requirements file. */
bool er_edit_requirements(struct er_str *text, const struct er_strv *items);
/* `dependencies` of [project] of a pyproject.toml. */
bool er_edit_pyproject(struct er_str *text, const struct er_strv *items);

#endif
