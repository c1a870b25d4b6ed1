/* pyproject.c - see pyproject.h */
#include "environment/pyproject.h"

#include <fcntl.h>
#include <sys/stat.h>
#include "base/io.h"
#include "base/path.h"
#include "environment/dep_table.h"
#include "environment/requirement.h"
#include "environment/setup_py.h"
#include "environment/toml.h"

#define FILE_MAX_BYTES ((size_t)1 << 20)

struct reading {
        struct er_pyproject *project;
        const char *file;       /* as the user calls it, (borrowed) from the project */
        struct er_strv extras;  /* asked for, in the form of names */
        struct er_strv offered; /* what there is */
        char *where;            /* of the packages: "src" */
        char *name;             /* of the project, in the form of names */
        bool has_project;       /* there is a [project] */
        bool is_dynamic;        /* its dependencies are said elsewhere */
        struct er_deps poetry;  /* [tool.poetry.dependencies] */
        struct er_deps uv;      /* [tool.uv.sources] */
        struct er_strv wanted;  /* Poetry's optional ones that an extra asks for */
        bool found;             /* there is something about dependencies */
};

void er_pyproject_release(struct er_pyproject *project)
{
        struct er_strv *lists[] = {&project->files, &project->requirement_files, &project->index_urls,
                                   &project->scripts};

        for (size_t i = 0; i < project->count; i++)
                free(project->items[i].text);
        free(project->items);
        for (size_t i = 0; i < ER_LEN(lists); i++)
                er_strv_release(lists[i]);
        free(project->dir);
        free(project->source);
        free(project->requires_python);
        *project = (struct er_pyproject)ER_PYPROJECT_INIT;
}

static void add(struct reading *r, struct er_sv text, unsigned line)
{
        struct er_pyproject *project = r->project;

        project->items = er_grow(project->items, &project->cap, project->count + 1, sizeof *project->items);
        project->items[project->count++] = (struct er_pyproject_item){
                .text = er_sv_dup(text),
                .file = r->file,
                .line = line,
        };
}

static bool path_is(const struct er_strv *path, size_t n, const char *a, const char *b, const char *c, const char *d)
{
        const char *parts[] = {a, b, c, d};

        if (path->len < n)
                return false;
        for (size_t i = 0; i < ER_LEN(parts) && parts[i]; i++)
                if (i >= path->len || !er_streq(path->items[i], parts[i]))
                        return false;
        return true;
}

/* "python" among Poetry's dependencies: of alternatives the last, which is the newest by custom. */
static void take_poetry_python(struct reading *r, const char *version)
{
        const char *last = strrchr(version, '|');
        er_auto(er_str) line = ER_STR_INIT;

        (void)er_poetry_version(last ? last + 1 + strspn(last + 1, " ") : version, &line);
        if (r->project->requires_python || !line.len)
                return;
        r->project->requires_python = er_str_detach(&line);
        r->project->is_poetry = true;
}

/* Tables that say where a dependency comes from, laid over the lines of the same name. */
static int take_sources(struct reading *r, const struct er_deps *deps, struct er_err *err)
{
        struct er_pyproject *project = r->project;
        er_auto(er_strv) lines = ER_STRV_INIT;

        if (!deps->count)
                return 0;
        for (size_t i = 0; i < project->count; i++)
                er_strv_take(&lines, project->items[i].text);
        project->count = 0;
        if (er_deps_lay_over(deps, project->dir, r->file, &lines, err) < 0)
                return -1;
        for (size_t i = 0; i < lines.len; i++)
                add(r, er_sv(lines.items[i]), 0);
        return 0;
}

/* What of Poetry's is wanted: what is optional only by an extra; beside [project], which has the versions, only where
   something comes from. */
static int take_poetry(struct reading *r, struct er_err *err)
{
        bool beside = r->has_project && !r->is_dynamic;

        for (size_t i = 0; i < r->poetry.count; i++) {
                const struct er_dep *dep = &r->poetry.items[i];
                er_autofree char *name = er_distribution_name(er_sv(dep->name));
                er_auto(er_str) line = ER_STR_INIT;

                if (er_streq(dep->name, "python")) {
                        if (dep->version)
                                take_poetry_python(r, dep->version);
                        continue;
                }
                if (beside || (dep->optional && !er_strv_has(&r->wanted, name)))
                        continue;
                if (er_dep_line(dep, r->project->dir, NULL, NULL, &line, err) < 0)
                        return er_err_wrap(err, "%s", r->file);
                add(r, er_svn(line.buf, line.len), 0);
        }
        return beside ? take_sources(r, &r->poetry, err) : 0;
}

static bool is_word(const char *text, size_t len, const char *more)
{
        for (size_t i = 0; i < len; i++)
                if (!((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z') ||
                      (text[i] >= '0' && text[i] <= '9') || strchr(more, text[i])))
                        return false;
        return len > 0 && text[0] != '.' && text[0] != '-';
}

/* "train" = "package.train:main". What is no function of a module is left to those who install the project. */
static void take_script(struct reading *r, const char *name, const char *target)
{
        const char *colon = strchr(target, ':');

        if (colon && is_word(name, strlen(name), "._-") && is_word(target, (size_t)(colon - target), "._") &&
            is_word(colon + 1, strlen(colon + 1), "._"))
                er_strv_addf(&r->project->scripts, "%s=%s", name, target);
}

/* A leaf or the end of a dependency that is a table. */
static bool take_table(struct reading *r, const struct er_strv *path, const char *text)
{
        bool poetry = path_is(path, 4, "tool", "poetry", "dependencies", NULL);
        struct er_deps *deps = poetry ? &r->poetry : &r->uv;

        if (!poetry && !path_is(path, 4, "tool", "uv", "sources", NULL))
                return !text;
        r->found = r->found || poetry;
        if (!text)
                er_deps_end(deps);
        else if (path->len == 5 || (path->len == 4 && poetry))
                er_deps_take(deps, path->items[3], path->len == 5 ? path->items[4] : NULL, text);
        return true;
}

static int visit(void *arg, const struct er_strv *path, const char *text, bool is_string, struct er_err *err)
{
        struct reading *r = arg;
        struct er_pyproject *project = r->project;

        (void)err;
        if (take_table(r, path, text) || !is_string)
                return 0;
        if (path_is(path, 2, "project", "dependencies", NULL, NULL) && path->len == 2) {
                r->found = true;
                add(r, er_sv(text), 0);
                return 0;
        }
        if (path->len == 2 && path_is(path, 2, "project", "name", NULL, NULL)) {
                free(r->name);
                r->name = er_distribution_name(er_sv(text));
                r->has_project = true;
        }
        if (path->len == 2 && path_is(path, 2, "build-system", "build-backend", NULL, NULL) &&
            (er_starts(text, "maturin") || er_starts(text, "mesonpy") || er_starts(text, "scikit_build_core")))
                project->extensions = true;
        if (path_is(path, 3, "tool", "setuptools", "ext-modules", NULL))
                project->extensions = true;
        if (path_is(path, 3, "tool", "poetry", "name", NULL) && path->len == 3 && !r->name)
                r->name = er_distribution_name(er_sv(text));
        if (path->len == 2 && path_is(path, 2, "project", "dynamic", NULL, NULL) && er_streq(text, "dependencies"))
                r->is_dynamic = true;
        if (path->len == 6 && path_is(path, 4, "tool", "setuptools", "dynamic", "optional-dependencies") &&
            er_streq(path->items[5], "file")) {
                er_autofree char *extra = er_distribution_name(er_sv(path->items[4]));

                if (!er_strv_has(&r->offered, extra))
                        er_strv_add(&r->offered, extra);
                if (er_strv_has(&r->extras, extra))
                        er_strv_add(&project->requirement_files, text);
                return 0;
        }
        if (path_is(path, 3, "project", "optional-dependencies", NULL, NULL) && path->len == 3) {
                er_autofree char *extra = er_distribution_name(er_sv(path->items[2]));

                if (!er_strv_has(&r->offered, extra))
                        er_strv_add(&r->offered, extra);
                if (er_strv_has(&r->extras, extra))
                        add(r, er_sv(text), 0);
                return 0;
        }
        if (path_is(path, 2, "project", "requires-python", NULL, NULL)) {
                free(project->requires_python);
                project->requires_python = er_strdup(text);
                project->is_poetry = false;
                return 0;
        }
        if (path_is(path, 5, "tool", "setuptools", "dynamic", "dependencies") && er_streq(path->items[4], "file")) {
                er_strv_add(&project->requirement_files, text);
                r->found = true;
                return 0;
        }
        if (path_is(path, 5, "tool", "setuptools", "packages", "find") && er_streq(path->items[4], "where") &&
            !r->where)
                r->where = er_strdup(text);
        if (path->len == 3 && (path_is(path, 3, "project", "scripts", NULL, NULL) ||
                               path_is(path, 3, "project", "gui-scripts", NULL, NULL)))
                take_script(r, path->items[2], text);
        if (path->len == 4 && path_is(path, 4, "tool", "poetry", "scripts", NULL))
                take_script(r, path->items[3], text);
        if (path_is(path, 4, "tool", "uv", "index", "url"))
                er_strv_add(&project->index_urls, text);
        if (path->len == 4 && path_is(path, 4, "tool", "poetry", "source", "url"))
                er_strv_add(&project->index_urls, text);
        if (path->len == 4 && path_is(path, 4, "tool", "poetry", "extras", NULL)) {
                er_autofree char *extra = er_distribution_name(er_sv(path->items[3]));
                er_autofree char *name = er_distribution_name(er_svn(text, strcspn(text, "[ ")));

                if (!er_strv_has(&r->offered, extra))
                        er_strv_add(&r->offered, extra);
                if (er_strv_has(&r->extras, extra))
                        er_strv_take(&r->wanted, er_take(name));
        }
        return 0;
}

/* Is the value of this key of setup.cfg wanted? */
static bool is_wanted_key(struct reading *r, struct er_sv key, bool options, bool extras)
{
        er_autofree char *name = er_distribution_name(key);

        if (options && er_sv_eq(key, ER_SV("install_requires"))) {
                r->found = true;
                return true;
        }
        if (!extras)
                return false;
        if (!er_strv_has(&r->offered, name))
                er_strv_add(&r->offered, name);
        return er_strv_has(&r->extras, name);
}

/* The indented lines after "install_requires =", and those of the extras; "file: NAME, NAME" in their place. */
static void read_setup_cfg(struct reading *r, struct er_sv text)
{
        struct er_sv line;
        bool options = false, extras = false, metadata = false, inside = false;
        unsigned number = 0;

        while (er_sv_cut(&text, '\n', &line)) {
                bool indented = line.len && (line.ptr[0] == ' ' || line.ptr[0] == '\t');
                struct er_sv plain = er_sv_trim(line), part;

                number++;
                if (!plain.len || plain.ptr[0] == '#' || plain.ptr[0] == ';')
                        continue;
                if (plain.ptr[0] == '[') {
                        options = er_sv_eq(plain, ER_SV("[options]"));
                        extras = er_sv_eq(plain, ER_SV("[options.extras_require]"));
                        metadata = er_sv_eq(plain, ER_SV("[metadata]"));
                        inside = false;
                        continue;
                }
                if (!indented) {
                        struct er_sv rest = plain, key;

                        er_sv_cut(&rest, '=', &key);
                        rest = rest.ptr ? er_sv_trim(rest) : er_svn("", 0);
                        key = er_sv_trim(key);
                        if (metadata && er_sv_eq(key, ER_SV("name")) && !r->name)
                                r->name = er_distribution_name(rest);
                        inside = is_wanted_key(r, key, options, extras);
                        if (!inside)
                                continue;
                        plain = rest;
                }
                if (!inside || !plain.len)
                        continue;
                if (!er_sv_starts(plain, ER_SV("file:"))) {
                        add(r, plain, number);
                        continue;
                }
                plain = er_svn(plain.ptr + 5, plain.len - 5);
                while (er_sv_cut(&plain, ',', &part)) {
                        er_autofree char *name = er_sv_dup(er_sv_trim(part));

                        if (name[0])
                                er_strv_take(&r->project->requirement_files, er_take(name));
                }
        }
}

static int read_setup_py(struct reading *r, struct er_sv text, struct er_err *err)
{
        er_auto(er_setup_py) setup = ER_SETUP_PY_INIT;

        er_setup_py_read(text, &r->extras, &setup);
        if (setup.unclear) {
                er_err_set(err, ER_CONFIG,
                           "%s:%u: %s is computed there, and setup.py is not run to find out what it is", r->file,
                           setup.line, setup.unclear);
                return er_err_hint(err, "name the requirements in place of the directory (pip: requirements.txt), or "
                                        "write them as [project] dependencies in a pyproject.toml");
        }
        r->found = r->found || setup.found;
        r->project->extensions = r->project->extensions || setup.extensions;
        for (size_t i = 0; i < setup.requires.len; i++)
                add(r, er_sv(setup.requires.items[i]), 0);
        er_strv_addall(&r->project->requirement_files, setup.files.items, setup.files.len);
        er_strv_addall(&r->offered, setup.offered.items, setup.offered.len);
        for (size_t i = 0; i < setup.scripts.len; i++) {
                er_autofree char *name = er_strdup(setup.scripts.items[i]);
                char *equals = strchr(name, '=');

                if (equals) {
                        *equals = '\0';
                        take_script(r, name, equals + 1);
                }
        }
        if (setup.name && !r->name)
                r->name = er_distribution_name(er_sv(setup.name));
        if (setup.python_requires && !r->project->requires_python)
                r->project->requires_python = er_take(setup.python_requires);
        return 0;
}

/* "all = ['p8[a]']" of the project p8 itself: its own extras, never a package of an index. True: there are new ones. */
static bool take_own_extras(struct reading *r)
{
        struct er_pyproject *project = r->project;
        size_t kept = 0;
        bool more = false;

        for (size_t i = 0; i < project->count; i++) {
                struct er_pyproject_item *item = &project->items[i];
                struct er_sv text = er_sv_trim(er_sv(item->text)), part;
                size_t n = strcspn(text.ptr, " <>=!~;@,[");
                er_autofree char *name = er_distribution_name(er_svn(text.ptr, n));
                const char *open = strchr(item->text, '['), *close = open ? strchr(open, ']') : NULL;

                if (!r->name || !er_streq(name, r->name)) {
                        project->items[kept++] = *item;
                        continue;
                }
                text = close ? er_svn(open + 1, (size_t)(close - open) - 1) : er_svn("", 0);
                while (er_sv_cut(&text, ',', &part)) {
                        er_autofree char *extra = er_distribution_name(er_sv_trim(part));

                        if (extra[0] && !er_strv_has(&r->extras, extra)) {
                                er_strv_take(&r->extras, er_take(extra));
                                more = true;
                        }
                }
                free(item->text);
        }
        project->count = kept;
        return more;
}

static int read_file(const char *dir, const char *name, struct er_str *ret, struct er_err *err)
{
        er_autofree char *path = er_path_join(dir, name);
        er_auto(er_err) why = ER_ERR_INIT;

        if (er_file_read(AT_FDCWD, path, FILE_MAX_BYTES, ret, &why) == 0)
                return 1;
        return why.code == ER_NOT_FOUND ? 0 : er_err_move(err, &why);
}

static int read_toml(struct reading *r, struct er_sv text, struct er_err *err)
{
        int rc = er_toml_read(text, r->file, visit, r, err);

        if (rc == 0)
                rc = take_poetry(r, err);
        if (rc == 0)
                rc = take_sources(r, &r->uv, err);
        er_deps_release(&r->poetry);
        er_deps_release(&r->uv);
        er_strv_release(&r->wanted);
        if (rc < 0)
                return -1;
        /* What the table [project] does not call dynamic is what it says, also where that is nothing. */
        r->found = r->found || (r->has_project && !r->is_dynamic);
        return 0;
}

static bool is_dir(const char *dir, const char *name)
{
        er_autofree char *path = er_path_join(dir, name);
        struct stat st;

        return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int read_one(struct reading *r, const char *name, struct er_sv text, struct er_err *err)
{
        if (er_streq(name, "setup.py"))
                return read_setup_py(r, text, err);
        if (er_streq(name, "setup.cfg")) {
                read_setup_cfg(r, text);
                return 0;
        }
        return read_toml(r, text, err);
}

/* Once more, and from the beginning, when the extras name others. */
static int read_again(struct reading *r, const char *name, struct er_sv text, struct er_err *err)
{
        struct er_pyproject *project = r->project;

        for (;;) {
                if (read_one(r, name, text, err) < 0)
                        return -1;
                if (!take_own_extras(r))
                        return 0;
                for (size_t i = 0; i < project->count; i++)
                        free(project->items[i].text);
                project->count = 0;
                er_strv_release(&project->requirement_files);
                er_strv_release(&project->index_urls);
                er_strv_release(&project->scripts);
        }
}

/* setup.py may say what is to be compiled beside a pyproject.toml that says the rest. */
static void look_for_extensions(struct reading *r)
{
        er_auto(er_setup_py) setup = ER_SETUP_PY_INIT;
        er_auto(er_str) text = ER_STR_INIT;

        if (!r->found || er_streq(er_path_base(r->file), "setup.py") ||
            read_file(r->project->dir, "setup.py", &text, NULL) <= 0)
                return;
        er_setup_py_read(er_svn(text.buf, text.len), &r->extras, &setup);
        r->project->extensions = r->project->extensions || setup.extensions;
}

static int read_project(struct reading *r, const char *shown, struct er_err *err)
{
        static const char *const names[] = {"pyproject.toml", "setup.cfg", "setup.py"};
        struct er_pyproject *project = r->project;

        for (size_t i = 0; i < ER_LEN(names) && !r->found; i++) {
                er_auto(er_str) text = ER_STR_INIT;
                int there = read_file(project->dir, names[i], &text, err);

                if (there < 0)
                        return -1;
                if (!there)
                        continue;
                er_strv_take(&project->files,
                             er_streq(shown, ".") ? er_strdup(names[i]) : er_path_join(shown, names[i]));
                r->file = project->file = project->files.items[project->files.len - 1];
                if (read_again(r, names[i], er_svn(text.buf, text.len), err) < 0)
                        return -1;
        }
        look_for_extensions(r);
        for (size_t i = 0; project->file && i < r->extras.len; i++)
                if (!er_strv_has(&r->offered, r->extras.items[i]))
                        return er_err_set(err, ER_CONFIG, "%s has no extra named %s", r->file, r->extras.items[i]);
        return 0;
}

/* The directory that modules are imported from. */
static char *find_source(const struct reading *r, const char *shown)
{
        const char *dir = r->project->dir;
        const char *where = r->where && is_dir(dir, r->where) ? r->where : is_dir(dir, "src") ? "src" : NULL;

        if (!where)
                return er_strdup(shown);
        return er_streq(shown, ".") ? er_strdup(where) : er_path_join(shown, where);
}

int er_pyproject_read(const char *dir, const char *shown, struct er_sv extras, struct er_pyproject *ret,
                      struct er_err *err)
{
        struct er_pyproject project = ER_PYPROJECT_INIT;
        struct reading r = {.project = &project};
        struct er_sv part;
        int rc;

        project.dir = er_strdup(dir);
        while (er_sv_cut(&extras, ',', &part)) {
                part = er_sv_trim(part);
                if (part.len)
                        er_strv_take(&r.extras, er_distribution_name(part));
        }
        rc = read_project(&r, shown, err);
        if (rc == 0) {
                project.source = find_source(&r, shown);
                *ret = project;
        } else {
                er_pyproject_release(&project);
        }
        er_strv_release(&r.extras);
        er_strv_release(&r.offered);
        free(r.where);
        free(r.name);
        return rc;
}
