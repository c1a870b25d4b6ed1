/* pyproject.c - see pyproject.h */
#include "environment/pyproject.h"

#include <fcntl.h>
#include <sys/stat.h>
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"
#include "environment/requirement.h"
#include "environment/toml.h"

#define FILE_MAX_BYTES ((size_t)1 << 20)

struct reading {
        struct er_pyproject *project;
        const char *file;       /* as the user calls it, (borrowed) from the project */
        struct er_strv extras;  /* asked for, in the form of names */
        struct er_strv offered; /* what there is */
        char *where;            /* of the packages: "src" */
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

static void take_poetry(struct reading *r, const char *name, const char *version)
{
        er_auto(er_str) line = ER_STR_INIT;

        if (er_streq(name, "python")) {
                add_poetry_version(&line, version);
                if (!r->project->requires_python && line.len) {
                        r->project->requires_python = er_str_detach(&line);
                        r->project->is_poetry = true;
                }
                return;
        }
        er_str_add(&line, name);
        add_poetry_version(&line, version);
        add(r, er_svn(line.buf, line.len), 0);
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

static int visit(void *arg, const struct er_strv *path, const char *text, bool is_string, struct er_err *err)
{
        struct reading *r = arg;
        struct er_pyproject *project = r->project;

        (void)err;
        if (!is_string)
                return 0;
        if (path_is(path, 2, "project", "dependencies", NULL, NULL) && path->len == 2) {
                r->found = true;
                add(r, er_sv(text), 0);
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
        if (path_is(path, 4, "tool", "poetry", "dependencies", NULL)) {
                r->found = true;
                if (path->len == 4 || (path->len == 5 && er_streq(path->items[4], "version")))
                        take_poetry(r, path->items[3], text);
        }
        return 0;
}

/* The indented lines after "install_requires =". */
static void read_setup_cfg(struct reading *r, struct er_sv text)
{
        struct er_sv line;
        bool options = false, inside = false;
        unsigned number = 0;

        while (er_sv_cut(&text, '\n', &line)) {
                bool indented = line.len && (line.ptr[0] == ' ' || line.ptr[0] == '\t');
                struct er_sv plain = er_sv_trim(line);

                number++;
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
                        r->found = true;
                        plain = rest.ptr ? er_sv_trim(rest) : er_svn("", 0);
                }
                if (inside && plain.len && !er_sv_starts(plain, ER_SV("file:")))
                        add(r, plain, number);
        }
}

/* install_requires=["a", 'b>=1'] : only what stands there as texts. */
static void read_setup_py(struct reading *r, struct er_sv text)
{
        er_autofree char *code = er_sv_dup(text);
        const char *at = strstr(code, "install_requires");

        if (!at)
                return;
        at += strlen("install_requires");
        at += strspn(at, " \t\r\n");
        if (*at != '=')
                return;
        at += 1 + strspn(at + 1, " \t\r\n");
        if (*at != '[' && *at != '(')
                return;
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
                r->found = true;
                add(r, er_svn(at + 1, (size_t)(end - at) - 1), 0);
                at = end;
        }
}

static int read_file(const char *dir, const char *name, struct er_str *ret, struct er_err *err)
{
        er_autofree char *path = er_path_join(dir, name);
        er_auto(er_err) why = ER_ERR_INIT;

        if (er_file_read(AT_FDCWD, path, FILE_MAX_BYTES, ret, &why) == 0)
                return 1;
        return why.code == ER_NOT_FOUND ? 0 : er_err_move(err, &why);
}

static bool is_dir(const char *dir, const char *name)
{
        er_autofree char *path = er_path_join(dir, name);
        struct stat st;

        return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int read_toml(struct reading *r, struct er_sv text, struct er_err *err)
{
        if (er_toml_read(text, r->file, visit, r, err) < 0)
                return -1;
        for (size_t i = 0; i < r->extras.len; i++)
                if (!er_strv_has(&r->offered, r->extras.items[i]))
                        return er_err_set(err, ER_CONFIG, "%s has no extra named %s", r->file, r->extras.items[i]);
        return 0;
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
                if (i == 0 && read_toml(r, er_svn(text.buf, text.len), err) < 0)
                        return -1;
                if (i == 1)
                        read_setup_cfg(r, er_svn(text.buf, text.len));
                if (i == 2)
                        read_setup_py(r, er_svn(text.buf, text.len));
        }
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
        return rc;
}
