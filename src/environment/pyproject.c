/*
 * pyproject.c - what a Python project says it needs: pyproject.toml (PEP 621, Poetry), setup.cfg, and of setup.py the
 * list that stands there in plain text. Nothing is executed. See requirements.h
 */
#include "environment/requirements.h"

#include <fcntl.h>
#include <sys/stat.h>
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"
#include "environment/toml.h"

#define FILE_MAX_BYTES ((size_t)1 << 20)

struct project {
        const struct er_req_origin *origin; /* of the file */
        struct er_requirements *ret;
        struct er_strv extras;  /* asked for, in the form of names */
        struct er_strv offered; /* what there is */
        struct er_strv dynamic_files;
        char *where; /* of the packages: "src" */
        bool source; /* it is imported from where it is: its commands are wanted */
        bool found;  /* there is something about dependencies */
};

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

/* Poetry's "^1.2.3" and "~1.2" as the ranges they stand for. */
static void add_poetry_version(struct er_str *out, const char *text)
{
        uint64_t parts[3] = {0};
        size_t count = 0, keep = 0;
        struct er_sv rest = er_sv(text + 1), part;

        if (er_streq(text, "*") || !*text)
                return;
        if (*text != '^' && *text != '~') {
                er_str_addf(out, "%s%s", *text >= '0' && *text <= '9' ? "==" : "", text);
                return;
        }
        if (text[0] == '~' && text[1] == '=') {
                er_str_add(out, text);
                return;
        }
        while (count < 3 && er_sv_cut(&rest, '.', &part)) {
                er_autofree char *digits = er_sv_dup(er_sv_trim(part));

                if (er_parse_u64(digits, 1000000, &parts[count], NULL) < 0)
                        break;
                count++;
        }
        if (!count)
                return;
        if (*text == '~')
                keep = count > 1 ? 1 : 0;
        else
                while (keep + 1 < count && parts[keep] == 0)
                        keep++;
        er_str_addf(out, ">=%s,<", text + 1);
        for (size_t i = 0; i <= keep; i++)
                er_str_addf(out, "%s%llu", i ? "." : "", (unsigned long long)parts[i] + (i == keep));
}

static int take_poetry(struct project *project, const char *name, const char *version, struct er_err *err)
{
        er_auto(er_str) line = ER_STR_INIT;

        if (er_streq(name, "python")) {
                add_poetry_version(&line, version);
                if (!project->ret->requires_python && line.len)
                        project->ret->requires_python = er_str_detach(&line);
                return 0;
        }
        er_str_add(&line, name);
        add_poetry_version(&line, version);
        return er_requirements_add(er_svn(line.buf, line.len), project->origin, project->ret, err);
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
static void take_script(struct project *project, const char *name, const char *target)
{
        const char *colon = strchr(target, ':');
        er_autofree char *line = er_fmt("%s=%s", name, target);

        if (project->source && colon && is_word(name, strlen(name), "._-") &&
            is_word(target, (size_t)(colon - target), "._") && is_word(colon + 1, strlen(colon + 1), "._") &&
            !er_strv_has(&project->ret->scripts, line))
                er_strv_take(&project->ret->scripts, er_take(line));
}

static int visit(void *arg, const struct er_strv *path, const char *text, bool is_string, struct er_err *err)
{
        struct project *project = arg;

        if (!is_string)
                return 0;
        if (path_is(path, 2, "project", "dependencies", NULL, NULL) && path->len == 2) {
                project->found = true;
                return er_requirements_add(er_sv(text), project->origin, project->ret, err);
        }
        if (path_is(path, 3, "project", "optional-dependencies", NULL, NULL) && path->len == 3) {
                er_autofree char *extra = er_distribution_name(er_sv(path->items[2]));

                if (!er_strv_has(&project->offered, extra))
                        er_strv_add(&project->offered, extra);
                return er_strv_has(&project->extras, extra)
                               ? er_requirements_add(er_sv(text), project->origin, project->ret, err)
                               : 0;
        }
        if (path_is(path, 2, "project", "requires-python", NULL, NULL)) {
                free(project->ret->requires_python);
                project->ret->requires_python = er_strdup(text);
                return 0;
        }
        if (path_is(path, 5, "tool", "setuptools", "dynamic", "dependencies") && er_streq(path->items[4], "file")) {
                er_strv_add(&project->dynamic_files, text);
                project->found = true;
                return 0;
        }
        if (path_is(path, 5, "tool", "setuptools", "packages", "find") && er_streq(path->items[4], "where") &&
            !project->where)
                project->where = er_strdup(text);
        if (path->len == 3 && (path_is(path, 3, "project", "scripts", NULL, NULL) ||
                               path_is(path, 3, "project", "gui-scripts", NULL, NULL)))
                take_script(project, path->items[2], text);
        if (path->len == 4 && path_is(path, 4, "tool", "poetry", "scripts", NULL))
                take_script(project, path->items[3], text);
        if (path_is(path, 4, "tool", "uv", "index", "url") && !er_strv_has(&project->ret->extra_index_urls, text))
                er_strv_add(&project->ret->extra_index_urls, text);
        if (path_is(path, 4, "tool", "poetry", "dependencies", NULL)) {
                project->found = true;
                if (path->len == 4 || (path->len == 5 && er_streq(path->items[4], "version")))
                        return take_poetry(project, path->items[3], text, err);
        }
        return 0;
}

/* The indented lines after "install_requires =". */
static int read_setup_cfg(struct project *project, struct er_sv text, struct er_err *err)
{
        struct er_req_origin origin = *project->origin;
        struct er_sv line;
        bool options = false, inside = false;

        origin.line = 0;
        while (er_sv_cut(&text, '\n', &line)) {
                bool indented = line.len && (line.ptr[0] == ' ' || line.ptr[0] == '\t');
                struct er_sv plain = er_sv_trim(line);

                origin.line++;
                if (!plain.len || plain.ptr[0] == '#' || plain.ptr[0] == ';')
                        continue;
                if (plain.ptr[0] == '[') {
                        options = er_sv_eq(plain, ER_SV("[options]"));
                        inside = false;
                        continue;
                }
                if (!indented) {
                        struct er_sv rest = plain, key;

                        er_sv_cut(&rest, '=', &key);
                        inside = options && er_sv_eq(er_sv_trim(key), ER_SV("install_requires"));
                        if (!inside)
                                continue;
                        project->found = true;
                        plain = rest.ptr ? er_sv_trim(rest) : er_svn("", 0);
                }
                if (inside && plain.len && !er_sv_starts(plain, ER_SV("file:")) &&
                    er_requirements_add(plain, &origin, project->ret, err) < 0)
                        return -1;
        }
        return 0;
}

/* install_requires=["a", 'b>=1'] : only what stands there as texts. */
static int read_setup_py(struct project *project, struct er_sv text, struct er_err *err)
{
        er_autofree char *code = er_sv_dup(text);
        const char *at = strstr(code, "install_requires");
        struct er_req_origin origin = *project->origin;

        origin.line = 0;
        if (!at)
                return 0;
        at += strlen("install_requires");
        at += strspn(at, " \t\r\n");
        if (*at != '=')
                return 0;
        at += 1 + strspn(at + 1, " \t\r\n");
        if (*at != '[' && *at != '(')
                return 0;
        for (at++; *at && *at != ']' && *at != ')'; at++) {
                const char *end;

                if (*at == '#') {
                        at += strcspn(at, "\n");
                        if (!*at)
                                break;
                        continue;
                }
                if (*at != '"' && *at != '\'')
                        continue;
                end = strchr(at + 1, *at);
                if (!end)
                        break;
                project->found = true;
                if (er_requirements_add(er_svn(at + 1, (size_t)(end - at) - 1), &origin, project->ret, err) < 0)
                        return -1;
                at = end;
        }
        return 0;
}

static int read_file(const char *dir, const char *name, struct er_str *ret, struct er_err *err)
{
        er_autofree char *path = er_path_join(dir, name);
        er_auto(er_err) why = ER_ERR_INIT;

        if (er_file_read(AT_FDCWD, path, FILE_MAX_BYTES, ret, &why) == 0)
                return 1;
        return why.code == ER_NOT_FOUND ? 0 : er_err_move(err, &why);
}

static const char *below(const char *path, const char *dir)
{
        size_t n = strlen(dir);

        if (strncmp(path, dir, n) != 0)
                return NULL;
        return path[n] == '/' ? path + n + 1 : path[n] ? NULL : ".";
}

static bool is_dir(const char *dir, const char *name)
{
        er_autofree char *path = er_path_join(dir, name);
        struct stat st;

        return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int read_toml(struct project *project, const char *dir, struct er_sv text, struct er_err *err)
{
        if (er_toml_read(text, project->origin->file, visit, project, err) < 0)
                return -1;
        for (size_t i = 0; i < project->dynamic_files.len; i++) {
                er_autofree char *path = er_path_join(dir, project->dynamic_files.items[i]);

                if (er_requirements_read(path, project->origin, project->ret, err) < 0)
                        return -1;
        }
        for (size_t i = 0; i < project->extras.len; i++)
                if (!er_strv_has(&project->offered, project->extras.items[i]))
                        return er_err_set(err, ER_CONFIG, "%s has no extra named %s", project->origin->file,
                                          project->extras.items[i]);
        return 0;
}

static int read_project(struct project *project, const char *dir, const char *shown, const struct er_req_origin *from,
                        bool source, struct er_err *err)
{
        static const struct {
                const char *name;
                int (*read)(struct project *project, struct er_sv text, struct er_err *err);
        } files[] = {{"pyproject.toml", NULL}, {"setup.cfg", read_setup_cfg}, {"setup.py", read_setup_py}};
        bool any = false;

        for (size_t i = 0; i < ER_LEN(files) && !project->found; i++) {
                er_auto(er_str) text = ER_STR_INIT;
                er_autofree char *file = er_streq(shown, ".") ? er_strdup(files[i].name)
                                                              : er_path_join(shown, files[i].name);
                struct er_req_origin origin = *from;
                int there = read_file(dir, files[i].name, &text, err);

                if (there < 0)
                        return -1;
                if (!there)
                        continue;
                any = true;
                origin.dir = dir;
                origin.file = file;
                origin.line = 0;
                origin.depth++;
                project->origin = &origin;
                there = files[i].read ? files[i].read(project, er_svn(text.buf, text.len), err)
                                      : read_toml(project, dir, er_svn(text.buf, text.len), err);
                project->origin = NULL;
                if (there < 0)
                        return -1;
        }
        if (!any) {
                er_err_set(err, ER_CONFIG,
                           "%s: the directory %s is no Python project (it has no pyproject.toml or setup.py)",
                           from->file, shown);
                return er_err_hint(err, "if it is a virtual environment, it needs its pyvenv.cfg");
        }
        if (source) {
                const char *where = project->where && is_dir(dir, project->where) ? project->where
                                    : is_dir(dir, "src")                          ? "src"
                                                                                  : NULL;
                er_autofree char *path = !where                 ? er_strdup(shown)
                                         : er_streq(shown, ".") ? er_strdup(where)
                                                                : er_path_join(shown, where);

                if (!er_strv_has(&project->ret->sources, path))
                        er_strv_add(&project->ret->sources, path);
        }
        return 0;
}

int er_pyproject_read(const char *dir, struct er_sv extras, bool source, const struct er_req_origin *from,
                      struct er_requirements *ret, struct er_err *err)
{
        er_autofree char *root = er_path_abs(from->project_dir);
        er_autofree char *full = er_path_abs(dir);
        struct project project = {.ret = ret, .source = source};
        const char *shown = below(full, root);
        struct er_sv part;
        int result = -1;

        if (source && !shown) {
                er_err_set(err, ER_CONFIG, "%s: the directory %s is not in the project, so it is not sent to the host",
                           from->file, full);
                return er_err_hint(err, "make a wheel of it (pip wheel --no-deps %s) and name that", full);
        }
        if (er_strv_has(&ret->read, full))
                return 0; /* projects that name each other */
        er_strv_add(&ret->read, full);
        while (er_sv_cut(&extras, ',', &part)) {
                part = er_sv_trim(part);
                if (part.len)
                        er_strv_take(&project.extras, er_distribution_name(part));
        }
        result = read_project(&project, full, shown ? shown : full, from, source, err);
        er_strv_release(&project.extras);
        er_strv_release(&project.offered);
        er_strv_release(&project.dynamic_files);
        free(project.where);
        return result;
}
