/* resolve.c - what a declaration's words mean: packages, files that list them, or directories they lie in. */
#include "environment/declaration.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"
#include "environment/credentials.h"
#include "environment/imports.h"
#include "environment/installed.h"
#include "environment/wants.h"
#include "environment/requirement.h"

struct resolving {
        const struct er_declaration *said;
        const struct er_declaration_context *context;
        struct er_wants wants;
};

static char *in_project(const struct resolving *r, const char *name)
{
        er_autofree char *plain = er_path_expand(name);
        er_autofree char *joined = er_path_join(r->context->project_dir, plain);

        return er_path_abs(joined);
}

static bool is_dir(const char *path)
{
        struct stat st;

        return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_file(const char *path)
{
        struct stat st;

        return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static struct er_req_origin origin_of(const struct resolving *r, const char *what)
{
        return (struct er_req_origin){
                .project_dir = r->context->project_dir, .dir = r->context->project_dir, .file = what};
}

/* A name that looks like a file which does not exist. */
static int no_file(const struct resolving *r, const char *what, const char *item, struct er_err *err)
{
        er_err_set(err, ER_CONFIG, "%s: there is no file %s in the project", what, item);
        return er_err_hint(err, "names are relative to %s", r->context->project_dir);
}

static int take_lock(struct resolving *r, const char *path, struct er_err *err)
{
        er_autofree char *dir = er_path_dir(path);
        er_autofree char *project = er_path_join(dir, "pyproject.toml");
        struct er_req_origin origin = origin_of(r, "pip");

        if (!is_file(project)) {
                er_err_set(err, ER_CONFIG, "pip: %s needs its pyproject.toml beside it", er_path_base(path));
                return -1;
        }
        r->wants.has_lock = true;
        er_strv_add(&r->wants.data, path);
        er_strv_add(&r->wants.data, project);
        /* For hosts where uv cannot be had. */
        return er_requirements_read_project(dir, er_svn("", 0), &origin, &r->wants.pip, err);
}

static int take_pyproject(struct resolving *r, const char *path, struct er_err *err)
{
        er_autofree char *dir = er_path_dir(path);
        er_autofree char *lock = er_path_join(dir, "uv.lock");
        struct er_req_origin origin = origin_of(r, "pip");

        if (is_file(lock))
                return take_lock(r, lock, err);
        return er_requirements_read_project(dir, er_svn("", 0), &origin, &r->wants.pip, err);
}

static int take_venv(struct resolving *r, const char *path, struct er_err *err)
{
        er_auto(er_strv) items = ER_STRV_INIT;
        er_autofree char *python = NULL;
        struct er_req_origin origin = origin_of(r, path);

        if (er_venv_list(path, &items, &python, err) < 0)
                return -1;
        for (size_t i = 0; i < items.len; i++)
                if (!er_starts(items.items[i], "pkg-resources==0.0.0") && /* Debian's, a part of setuptools */
                    !er_starts(items.items[i], "pkg_resources==0.0.0") &&
                    er_requirements_add(er_sv(items.items[i]), &origin, &r->wants.pip, err) < 0)
                        return -1;
        if (python && !r->said->python && !r->wants.pip.requires_python)
                r->wants.pip.requires_python = er_take(python);
        return 0;
}

static bool ends_any(const char *text, const char *const *ends)
{
        for (; *ends; ends++)
                if (er_ends(text, *ends))
                        return true;
        return false;
}

static int take_pip_item(struct resolving *r, const char *item, struct er_err *err)
{
        static const char *const lists[] = {".txt", ".in", ".pip", NULL};
        static const char *const yaml[] = {".yml", ".yaml", NULL};
        static const char *const others[] = {"Pipfile",  "Pipfile.lock",   "poetry.lock",
                                             "pdm.lock", "conda-lock.yml", NULL};
        er_autofree char *path = in_project(r, item);
        struct er_req_origin origin = origin_of(r, "pip");
        const char *base = er_path_base(item);

        if (er_streq(base, "pyproject.toml") || er_streq(base, "uv.lock")) {
                if (!is_file(path))
                        return no_file(r, "pip", item, err);
                return er_streq(base, "uv.lock") ? take_lock(r, path, err) : take_pyproject(r, path, err);
        }
        if (er_streq(base, "setup.py") || er_streq(base, "setup.cfg")) {
                er_autofree char *dir = er_path_dir(path);

                if (!is_file(path))
                        return no_file(r, "pip", item, err);
                return er_requirements_read_project(dir, er_svn("", 0), &origin, &r->wants.pip, err);
        }
        for (size_t i = 0; others[i]; i++)
                if (er_streq(base, others[i])) {
                        er_err_set(err, ER_CONFIG, "pip: %s is not supported", item);
                        return er_err_hint(err, "name pyproject.toml, or write its packages into a requirements.txt");
                }
        if (item[0] == '-')
                return er_requirements_add(er_sv(item), &origin, &r->wants.pip, err);
        if (ends_any(item, yaml) && !strchr(item, ' ')) {
                er_err_set(err, ER_CONFIG, "pip: %s is a conda file", item);
                return er_err_hint(err, "write conda: %s", item);
        }
        if (ends_any(item, lists) && !strpbrk(item, " =<>;@")) {
                if (!is_file(path))
                        return no_file(r, "pip", item, err);
                return er_requirements_read(path, &origin, &r->wants.pip, err);
        }
        /* A bare name can be a directory of the project and a package at once ("wandb"): it means the directory only
           if that is an environment. */
        if (!strpbrk(item, " =<>;@[") && is_dir(path)) {
                if (er_is_venv(path))
                        return take_venv(r, path, err);
                if (er_is_conda(path)) {
                        er_err_set(err, ER_CONFIG, "pip: %s is a conda environment", item);
                        return er_err_hint(err, "write conda: %s", item);
                }
        }
        return er_requirements_add(er_sv(item), &origin, &r->wants.pip, err);
}

static bool has_secret(const char *text)
{
        er_auto(er_str) masked = ER_STR_INIT;

        er_credentials_mask(text, &masked);
        return !er_streq(masked.buf, text);
}

static int take_conda_item(struct resolving *r, const char *item, struct er_err *err)
{
        static const char *const yaml[] = {".yml", ".yaml", NULL};
        er_autofree char *path = in_project(r, item);
        struct er_req_origin origin = origin_of(r, "conda");

        if (ends_any(item, yaml) && !strpbrk(item, " =<>[")) {
                if (!is_file(path))
                        return no_file(r, "conda", item, err);
                return er_condafile_read(path, &origin, &r->wants.conda, &r->wants.channels, &r->wants.pip, err);
        }
        if (!strpbrk(item, " =<>[") && is_dir(path) && er_is_conda(path)) {
                er_auto(er_strv) pip = ER_STRV_INIT;

                if (er_conda_list(path, &r->wants.conda, &pip, &r->wants.channels, err) < 0)
                        return -1;
                for (size_t i = 0; i < pip.len; i++)
                        if (er_requirements_add(er_sv(pip.items[i]), &origin, &r->wants.pip, err) < 0)
                                return -1;
                return 0;
        }
        if (strchr(item, '/') && !strstr(item, "::")) {
                er_err_set(err, ER_CONFIG, "conda: %s is neither a package nor the root of a conda environment here",
                           item);
                return er_err_hint(err, "a package looks like numpy, numpy=1.26 or conda-forge::numpy");
        }
        if (item[0] == '-')
                return er_err_set(err, ER_CONFIG, "conda: %s is not a package", item);
        if (has_secret(item)) { /* it would be among the arguments of conda */
                er_err_set(err, ER_CONFIG, "conda: %s: a package cannot name a channel with a password", item);
                return er_err_hint(err, "name the channel under channels:, and the package alone");
        }
        er_strv_add(&r->wants.conda, item);
        return 0;
}

static bool is_apt_item(const char *item)
{
        for (const char *at = item; *at; at++)
                if (!isalnum((unsigned char)*at) && !strchr("+-.:=~*_", *at))
                        return false;
        return isalnum((unsigned char)item[0]);
}

static int take_apt(struct resolving *r, struct er_err *err)
{
        for (size_t i = 0; i < r->said->apt.len; i++) {
                const char *item = r->said->apt.items[i];

                if (!is_apt_item(item)) {
                        er_err_set(err, ER_CONFIG, "apt: \"%s\" is not a package name", item);
                        return er_err_hint(err, "write ffmpeg, or ffmpeg=7:5.1.6-0+deb12u1 for a version");
                }
                if (!er_strv_has(&r->wants.apt, item))
                        er_strv_add(&r->wants.apt, item);
        }
        return 0;
}

/* Manifest.toml, and those for one version of Julia (Manifest-v1.11.toml): the host knows which is right. */
static void take_manifests(struct resolving *r, const char *path)
{
        DIR *dir = opendir(path);
        const struct dirent *entry;

        while (dir && (entry = readdir(dir)))
                if (er_streq(entry->d_name, "Manifest.toml") ||
                    (er_starts(entry->d_name, "Manifest-v") && er_ends(entry->d_name, ".toml")))
                        er_strv_take(&r->wants.data, er_path_join(path, entry->d_name));
        if (dir)
                closedir(dir);
}

static int take_julia(struct resolving *r, struct er_err *err)
{
        for (size_t i = 0; i < r->said->julia.len; i++) {
                const char *item = r->said->julia.items[i];
                er_autofree char *path = in_project(r, item);

                if (er_ends(item, ".toml")) {
                        er_autofree char *dir = er_path_dir(path);

                        if (!er_streq(er_path_base(item), "Project.toml"))
                                return er_err_set(err, ER_CONFIG,
                                                  "julia: %s: expected a Project.toml or names of packages", item);
                        if (!is_file(path))
                                return no_file(r, "julia", item, err);
                        er_strv_add(&r->wants.data, path);
                        take_manifests(r, dir);
                        continue;
                }
                for (const char *at = item; *at; at++)
                        if (!isalnum((unsigned char)*at) && !strchr("_@.-+", *at)) {
                                er_err_set(err, ER_CONFIG, "julia: \"%s\" is not a package name", item);
                                return er_err_hint(err, "write DataFrames, or DataFrames@1.6 for a version");
                        }
                if (!er_strv_has(&r->wants.julia, item))
                        er_strv_add(&r->wants.julia, item);
        }
        return 0;
}

/* Inline metadata of the scripts (PEP 723). 1: there was some. */
static int take_inline(struct resolving *r, const struct er_strv *scripts, struct er_err *err)
{
        int any = 0;

        for (size_t i = 0; i < scripts->len; i++) {
                er_autofree char *path = in_project(r, scripts->items[i]);
                er_auto(er_inline_script) inline_script = ER_INLINE_SCRIPT_INIT;
                struct er_req_origin origin = origin_of(r, scripts->items[i]);
                int there = scripts->items[i][0] == '-' ? 0 : er_inline_script_read(path, &inline_script, err);

                if (there < 0)
                        return er_err_wrap(err, "%s", scripts->items[i]);
                if (!there)
                        continue;
                any = 1;
                for (size_t k = 0; k < inline_script.requirements.len; k++)
                        if (er_requirements_add(er_sv(inline_script.requirements.items[k]), &origin, &r->wants.pip,
                                                err) < 0)
                                return -1;
                if (inline_script.requires_python && !r->wants.pip.requires_python)
                        r->wants.pip.requires_python = er_take(inline_script.requires_python);
        }
        return any;
}

/* What is asked for by name is not added again as it was found ("auto, numpy<2"). */
static bool is_named(const struct er_strv *pip, const char *distribution)
{
        for (size_t i = 0; i < pip->len; i++) {
                er_autofree char *name = er_distribution_name(
                        er_svn(pip->items[i], strcspn(pip->items[i], " =<>!~[;@(")));

                if (er_streq(name, distribution))
                        return true;
        }
        return false;
}

static int take_found(struct resolving *r, const struct er_strv *scripts, struct er_err *err)
{
        er_auto(er_found_list) found = ER_FOUND_LIST_INIT;
        struct er_req_origin origin = origin_of(r, "pip: auto");

        if (er_imports_find(r->context->project_dir, scripts, &found, err) < 0)
                return -1;
        r->wants.only_found = r->said->pip.len <= 1; /* not beside packages that were asked for */
        for (size_t i = 0; i < found.options.len; i++)
                if (er_requirements_add(er_sv(found.options.items[i]), &origin, &r->wants.pip, err) < 0)
                        return -1;
        for (size_t i = 0; i < found.count; i++) {
                const struct er_found *item = &found.items[i];
                er_auto(er_str) line = ER_STR_INIT;

                if (item->optional || is_named(&r->said->pip, item->distribution))
                        continue;
                er_str_add(&line, item->requirement ? item->requirement : item->distribution);
                /* A local version ("2.1.0+cu121") is that of this machine's build. */
                if (item->version && !item->requirement)
                        er_str_addf(&line, "==%.*s", (int)strcspn(item->version, "+"), item->version);
                if (er_requirements_add(er_svn(line.buf, line.len), &origin, &r->wants.pip, err) < 0)
                        return -1;
                if (!item->requirement)
                        er_strv_addf(&r->wants.found, "%s %.*s %s:%u", item->distribution,
                                     (int)strcspn(item->import, " ."), item->import, item->file, item->line);
        }
        return 0;
}

/* What the script declares, else what is found in it. */
static int take_auto(struct resolving *r, bool asked, struct er_err *err)
{
        er_auto(er_strv) scripts = ER_STRV_INIT;
        int inline_there;

        if (r->context->command)
                er_imports_scripts_of(r->context->project_dir, r->context->workdir, r->context->command,
                                      r->context->shell, &scripts);
        if (!scripts.len && !asked)
                return 0; /* no Python command */
        inline_there = take_inline(r, &scripts, err);
        if (inline_there)
                return inline_there < 0 ? -1 : 0;
        return take_found(r, &scripts, err);
}

static int take_julia_auto(struct resolving *r, struct er_err *err)
{
        er_auto(er_strv) scripts = ER_STRV_INIT;
        er_auto(er_found_list) found = ER_FOUND_LIST_INIT;

        if (!r->context->command)
                return 0;
        er_julia_scripts_of(r->context->project_dir, r->context->workdir, r->context->command, r->context->shell,
                            &scripts);
        if (!scripts.len)
                return 0;
        if (er_julia_find(r->context->project_dir, &scripts, &found, err) < 0)
                return -1;
        for (size_t i = 0; i < found.count; i++) {
                const struct er_found *item = &found.items[i];

                if (!item->optional)
                        er_strv_addf(&r->wants.julia, "%s%s%s", item->distribution, item->version ? "@" : "",
                                     item->version ? item->version : "");
        }
        return 0;
}

static int take_pip(struct resolving *r, struct er_err *err)
{
        const struct er_strv *pip = &r->said->pip;

        for (size_t i = 0; i < pip->len; i++) {
                const char *item = pip->items[i];

                if (er_streq(item, "none") || er_streq(item, "auto")) {
                        if (er_streq(item, "none") && pip->len > 1) {
                                er_err_set(err, ER_CONFIG, "pip: none cannot be combined with other packages");
                                return er_err_hint(err, "leave it out, or use it alone");
                        }
                        if (er_streq(item, "auto") && take_auto(r, true, err) < 0)
                                return -1;
                } else if (take_pip_item(r, item, err) < 0) {
                        return -1;
                }
        }
        return 0;
}

static bool is_python_wish(const char *text)
{
        for (const char *at = text; *at; at++)
                if (!isalnum((unsigned char)*at) && !strchr("._-+<>=!~,* ", *at))
                        return false;
        return true;
}

/* Where packages come from: what is said here comes after what files say, and replaces it or adds to it. */
static int take_sources(struct resolving *r, struct er_err *err)
{
        struct er_requirements *pip = &r->wants.pip;
        struct er_req_origin origin = origin_of(r, "find_links");
        const struct er_declaration *said = r->said;

        if (said->index_url) {
                free(pip->index_url);
                pip->index_url = er_strdup(said->index_url);
        }
        for (size_t i = 0; i < said->extra_index_urls.len; i++)
                if (!er_strv_has(&pip->extra_index_urls, said->extra_index_urls.items[i]))
                        er_strv_add(&pip->extra_index_urls, said->extra_index_urls.items[i]);
        for (size_t i = 0; i < said->find_links.len; i++) {
                er_autofree char *line = er_fmt("--find-links %s", said->find_links.items[i]);

                if (er_requirements_add(er_sv(line), &origin, pip, err) < 0)
                        return -1;
        }
        if (said->python && !is_python_wish(said->python)) {
                er_err_set(err, ER_CONFIG, "python: \"%s\" is not a version", said->python);
                return er_err_hint(err, "write \"3.11\" or \">=3.10\"");
        }
        if (said->torch_backend && !is_python_wish(said->torch_backend)) {
                er_err_set(err, ER_CONFIG, "torch_backend: \"%s\" is not one of its values", said->torch_backend);
                return er_err_hint(err, "use auto, cpu, cu121, cu128, rocm6.3, ...");
        }
        return 0;
}

static int resolve(struct resolving *r, struct er_err *err)
{
        const struct er_declaration *said = r->said;

        if (said->container && has_secret(said->container)) {
                er_err_set(err, ER_CONFIG, "container: %s: an image's address cannot hold a password", said->container);
                return er_err_hint(err, "log in on the host: docker login, podman login, apptainer remote login");
        }
        /* The channels said here come before those of files. */
        er_strv_addall(&r->wants.channels, said->channels.items, said->channels.len);
        for (size_t i = 0; i < said->conda.len; i++)
                if (take_conda_item(r, said->conda.items[i], err) < 0)
                        return -1;
        if (take_apt(r, err) < 0 || take_pip(r, err) < 0 || take_julia(r, err) < 0)
                return -1;
        /* What says nothing about Python leaves it to the script. */
        if (!said->pip.len && !said->conda.len && !said->container && !said->setup.len && !said->julia.len &&
            (take_auto(r, false, err) < 0 || take_julia_auto(r, err) < 0))
                return -1;
        return take_sources(r, err);
}

/* Errors quote what was declared, without the secrets in it. */
static void mask(char **text)
{
        er_auto(er_str) out = ER_STR_INIT;

        if (!*text)
                return;
        er_credentials_mask(*text, &out);
        free(*text);
        *text = er_str_detach(&out);
}

static int make_recipe(const struct er_declaration *declaration, const struct er_declaration_context *context,
                       struct er_recipe *ret, struct er_err *err)
{
        struct resolving r = {.said = declaration, .context = context, .wants = {.said = declaration}};
        int result = resolve(&r, err);

        if (result == 0)
                result = er_wants_assemble(&r.wants, ret, err);
        if (result < 0 && err) {
                mask(&err->message);
                mask(&err->hint);
        }
        er_requirements_release(&r.wants.pip);
        er_strv_release(&r.wants.conda);
        er_strv_release(&r.wants.channels);
        er_strv_release(&r.wants.apt);
        er_strv_release(&r.wants.julia);
        er_strv_release(&r.wants.data);
        er_strv_release(&r.wants.found);
        return result;
}

static bool is_declared(const struct er_recipe *recipe, const char *package)
{
        struct er_sv rest = er_sv(recipe->declaration), line;
        size_t len = strlen(package);

        while (er_sv_cut(&rest, '\n', &line)) {
                const char *space = memchr(line.ptr, ' ', line.len);
                size_t left = space ? line.len - (size_t)(space + 1 - line.ptr) : 0;

                if (space && left >= len && strncmp(space + 1, package, len) == 0 &&
                    (left == len || strchr(" =<>!~[;@", space[1 + len])))
                        return true;
        }
        return false;
}

/* True if something was added. An image has its own packages. */
static bool add_missing(const struct er_recipe *recipe, struct er_declaration *declaration)
{
        bool added = false;

        for (size_t i = 0; !declaration->container && i < declaration->also.len; i++) {
                if (is_declared(recipe, declaration->also.items[i]))
                        continue;
                if (declaration->pip.len == 1 && er_streq(declaration->pip.items[0], "none"))
                        er_strv_release(&declaration->pip);
                er_strv_add(&declaration->pip, declaration->also.items[i]);
                added = true;
        }
        return added;
}

int er_declaration_resolve(const struct er_declaration *declaration, const struct er_declaration_context *context,
                           struct er_recipe *ret, struct er_err *err)
{
        er_auto(er_declaration) full = ER_DECLARATION_INIT;
        struct er_declaration_context wide = *context;
        int rc;

        if (!declaration->also.len)
                return make_recipe(declaration, context, ret, err);
        er_declaration_overlay(&full, declaration); /* copies */
        if (er_declaration_is_empty(&full))
                er_strv_add(&full.pip, "auto");
        wide.command = NULL;
        rc = make_recipe(&full, &wide, ret, err);
        if (rc < 0 || !add_missing(ret, &full))
                return rc;
        er_recipe_release(ret);
        return make_recipe(&full, &wide, ret, err);
}
