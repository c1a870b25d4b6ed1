/* requirements.c - the lines of requirement files; see requirements.h */
#include "environment/requirements.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "base/io.h"
#include "base/path.h"
#include "environment/encoding.h"
#include "environment/pyproject.h"
#include "environment/requirement.h"

#define FILE_MAX_BYTES ((size_t)1 << 20)
#define DEPTH_MAX 16u
#define ITEMS_MAX ((size_t)20000)

void er_requirements_release(struct er_requirements *r)
{
        struct er_strv *lists[] = {&r->items,      &r->constraints,   &r->options, &r->extra_index_urls,
                                   &r->find_links, &r->trusted_hosts, &r->sources, &r->files,
                                   &r->read,       &r->scripts,       &r->notes};

        for (size_t i = 0; i < ER_LEN(lists); i++)
                er_strv_release(lists[i]);
        free(r->index_url);
        free(r->requires_python);
        *r = (struct er_requirements)ER_REQUIREMENTS_INIT;
}

/* ER_CONFIG, beginning with where it is. */
static int fail_at(const struct er_req_origin *origin, struct er_err *err, const char *fmt, ...) ER_PRINTF(3, 4);
static int fail_at(const struct er_req_origin *origin, struct er_err *err, const char *fmt, ...)
{
        er_auto(er_str) text = ER_STR_INIT;
        va_list args;

        va_start(args, fmt);
        er_str_addv(&text, fmt, args);
        va_end(args);
        if (origin->line)
                return er_err_set(err, ER_CONFIG, "%s:%u: %s", origin->file, origin->line, text.buf);
        return er_err_set(err, ER_CONFIG, "%s: %s", origin->file, text.buf);
}

static bool is_url(struct er_sv s)
{
        for (size_t i = 0; i + 2 < s.len && !er_req_is_space(s.ptr[i]); i++)
                if (s.ptr[i] == ':' && s.ptr[i + 1] == '/' && s.ptr[i + 2] == '/')
                        return i > 0;
        return er_sv_starts(s, ER_SV("git+")) || er_sv_starts(s, ER_SV("file:"));
}

static bool is_archive(const char *path)
{
        static const char *const ends[] = {".whl", ".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz"};

        for (size_t i = 0; i < ER_LEN(ends); i++)
                if (er_ends(path, ends[i]))
                        return true;
        return false;
}

/* The absolute name of a file or directory that exists, tried below the project and beside the file; or NULL. */
static char *locate(struct er_sv name, const struct er_req_origin *origin, struct stat *st)
{
        er_autofree char *text = er_sv_dup(name);
        er_autofree char *plain = er_path_expand(text);
        const char *bases[] = {origin->project_dir, origin->dir};

        for (size_t i = 0; i < ER_LEN(bases); i++) {
                er_autofree char *joined = bases[i] ? er_path_join(bases[i], plain) : er_strdup(plain);
                char *path = er_path_abs(joined);

                if (stat(path, st) == 0)
                        return path;
                free(path);
        }
        return NULL;
}

static int add_item(const struct er_req_origin *origin, struct er_requirements *ret, char *item, struct er_err *err)
{
        struct er_strv *list = origin->constraint ? &ret->constraints : &ret->items;

        if (list->len >= ITEMS_MAX) {
                free(item);
                return fail_at(origin, err, "more than %zu requirements", ITEMS_MAX);
        }
        if (er_strv_has(list, item))
                free(item);
        else
                er_strv_take(list, item);
        return 0;
}

/* "PATH[extras] ; marker --options" of this machine. */
static int add_local(struct er_sv line, const struct er_req_origin *origin, struct er_requirements *ret,
                     struct er_err *err)
{
        struct er_sv options, marker, path, extras = er_svn("", 0);
        er_auto(er_str) item = ER_STR_INIT;
        er_autofree char *found = NULL;
        struct stat st;
        size_t n = er_req_find_options(line);

        options = er_req_from(line, n);
        line.len = n;
        n = er_req_find_marker(line, true);
        marker = n < line.len ? er_req_from(line, n + 1) : er_svn("", 0);
        path = er_sv_trim(er_svn(line.ptr, n));
        if (er_sv_starts(path, ER_SV("file://")))
                path = er_req_from(path, 7);
        else if (er_sv_starts(path, ER_SV("file:")))
                path = er_req_from(path, 5);
        if (path.len && path.ptr[path.len - 1] == ']') {
                for (n = path.len; n > 0 && path.ptr[n - 1] != '['; n--)
                        ;
                if (n) {
                        extras = er_svn(path.ptr + n, path.len - n - 1);
                        path.len = n - 1;
                }
        }
        if (memchr(path.ptr, '\0', path.len))
                return fail_at(origin, err, "a NUL character");
        found = locate(path, origin, &st);
        if (!found)
                return fail_at(origin, err, "%.*s: no such file or directory", (int)path.len, path.ptr);
        if (S_ISDIR(st.st_mode))
                return er_requirements_read_project(found, extras, origin, ret, err);
        if (!S_ISREG(st.st_mode) || !is_archive(found))
                return fail_at(origin, err, "%.*s is neither a directory nor a wheel or source archive", (int)path.len,
                               path.ptr);
        er_str_addf(&item, "${ERRAND_FILES}/%s", er_path_base(found));
        if (!er_req_add_extras(&item, extras))
                return fail_at(origin, err, "what is in [ ] must be names of extras");
        er_req_add_tail(&item, marker, options);
        if (!er_strv_has(&ret->files, found))
                er_strv_add(&ret->files, found);
        return add_item(origin, ret, er_str_detach(&item), err);
}

/* The argument of an option, without quotes around it. */
static struct er_sv unquote(struct er_sv s)
{
        s = er_sv_trim(s);
        if (s.len >= 2 && (s.ptr[0] == '"' || s.ptr[0] == '\'') && s.ptr[s.len - 1] == s.ptr[0])
                return er_svn(s.ptr + 1, s.len - 2);
        return s;
}

static int set_index(struct er_sv value, const struct er_req_origin *origin, struct er_requirements *ret,
                     struct er_err *err)
{
        (void)origin;
        (void)err;
        free(ret->index_url);
        ret->index_url = er_sv_dup(value);
        return 0;
}

static int add_once(struct er_strv *list, struct er_sv value)
{
        er_autofree char *text = er_sv_dup(value);

        if (!er_strv_has(list, text))
                er_strv_take(list, er_take(text));
        return 0;
}

static int add_extra_index(struct er_sv value, const struct er_req_origin *origin, struct er_requirements *ret,
                           struct er_err *err)
{
        (void)origin;
        (void)err;
        return add_once(&ret->extra_index_urls, value);
}

/* A directory of this machine becomes absolute; its contents travel with the recipe (resolve.c). */
static int add_find_links(struct er_sv value, const struct er_req_origin *origin, struct er_requirements *ret,
                          struct er_err *err)
{
        er_autofree char *path = NULL;
        struct stat st;

        if (is_url(value) && !er_sv_starts(value, ER_SV("file:")))
                return add_once(&ret->find_links, value);
        if (er_sv_starts(value, ER_SV("file://")))
                value = er_req_from(value, 7);
        path = locate(value, origin, &st);
        if (!path)
                return fail_at(origin, err, "--find-links %.*s: no such directory", (int)value.len, value.ptr);
        return add_once(&ret->find_links, er_sv(path));
}

static int add_trusted(struct er_sv value, const struct er_req_origin *origin, struct er_requirements *ret,
                       struct er_err *err)
{
        (void)origin;
        (void)err;
        return add_once(&ret->trusted_hosts, value);
}

static int include(struct er_sv value, const struct er_req_origin *origin, struct er_requirements *ret, bool constraint,
                   struct er_err *err)
{
        er_autofree char *name = er_sv_dup(value);
        er_autofree char *path = NULL;
        struct er_req_origin inner = *origin;

        if (is_url(value))
                return fail_at(origin, err, "%s: files at URLs are not read; download it into the project", name);
        path = er_path_join(origin->dir ? origin->dir : origin->project_dir, name);
        inner.constraint = origin->constraint || constraint;
        return er_requirements_read(path, &inner, ret, err);
}

static int include_requirements(struct er_sv value, const struct er_req_origin *origin, struct er_requirements *ret,
                                struct er_err *err)
{
        return include(value, origin, ret, false, err);
}

static int include_constraints(struct er_sv value, const struct er_req_origin *origin, struct er_requirements *ret,
                               struct er_err *err)
{
        return include(value, origin, ret, true, err);
}

static int add_editable(struct er_sv value, const struct er_req_origin *origin, struct er_requirements *ret,
                        struct er_err *err)
{
        if (!is_url(value) || er_sv_starts(value, ER_SV("file:")))
                return add_local(value, origin, ret, err);
        /* From a repository: nobody edits it on the host, so it is installed like any other. */
        return er_requirements_add(value, origin, ret, err);
}

static int set_no_index(struct er_sv value, const struct er_req_origin *origin, struct er_requirements *ret,
                        struct er_err *err)
{
        (void)value;
        (void)origin;
        (void)err;
        ret->no_index = true;
        return 0;
}

static int set_pre(struct er_sv value, const struct er_req_origin *origin, struct er_requirements *ret,
                   struct er_err *err)
{
        (void)value;
        (void)origin;
        (void)err;
        ret->pre = true;
        return 0;
}

static int ignore(struct er_sv value, const struct er_req_origin *origin, struct er_requirements *ret,
                  struct er_err *err)
{
        (void)value;
        (void)origin;
        (void)ret;
        (void)err;
        return 0;
}

static const struct option {
        const char *name;
        bool argument;
        /* NULL: kept as a line of the file that is made. */
        int (*take)(struct er_sv value, const struct er_req_origin *origin, struct er_requirements *ret,
                    struct er_err *err);
} options[] = {
        {"-r", true, include_requirements},
        {"--requirement", true, include_requirements},
        {"-c", true, include_constraints},
        {"--constraint", true, include_constraints},
        {"-e", true, add_editable},
        {"--editable", true, add_editable},
        {"-i", true, set_index},
        {"--index-url", true, set_index},
        {"--pypi-url", true, set_index},
        {"--extra-index-url", true, add_extra_index},
        {"-f", true, add_find_links},
        {"--find-links", true, add_find_links},
        {"--trusted-host", true, add_trusted},
        {"--no-index", false, set_no_index},
        {"--pre", false, set_pre},
        {"--no-binary", true, NULL},
        {"--only-binary", true, NULL},
        {"--prefer-binary", false, ignore},  /* both tools prefer wheels of the same version */
        {"--require-hashes", false, ignore}, /* follows from the hashes in the lines */
        {"--use-feature", true, ignore},
        {"--use-pep517", false, ignore},
        {"--process-dependency-links", false, ignore},
};

static int add_option(struct er_sv line, const struct er_req_origin *origin, struct er_requirements *ret,
                      struct er_err *err)
{
        for (size_t i = 0; i < ER_LEN(options); i++) {
                const struct option *option = &options[i];
                bool is_long = option->name[1] == '-';
                struct er_sv value;
                er_autofree char *kept = NULL;

                if (!er_sv_starts(line, er_sv(option->name)))
                        continue;
                value = er_req_from(line, strlen(option->name));
                /* "-rfile" is one word, "--requirements" is another option */
                if (value.len && !er_req_is_space(value.ptr[0]) && value.ptr[0] != '=' &&
                    (is_long || !option->argument))
                        continue;
                if (option->argument && value.len && value.ptr[0] == '=' && is_long)
                        value = er_req_from(value, 1);
                value = unquote(value);
                if (option->argument && !value.len)
                        return fail_at(origin, err, "%s needs a value", option->name);
                if (memchr(value.ptr, '\0', value.len))
                        return fail_at(origin, err, "a NUL character");
                if (option->take)
                        return option->take(value, origin, ret, err);
                kept = er_fmt("%s %.*s", option->name, (int)value.len, value.ptr);
                return add_once(&ret->options, er_sv(kept));
        }
        return fail_at(origin, err, "the option %.*s is not supported", (int)(line.len > 60 ? 60 : line.len), line.ptr);
}

static bool looks_local(struct er_sv line)
{
        struct er_sv word = line;
        er_autofree char *text = NULL;

        for (word.len = 0; word.len < line.len && !er_req_is_space(line.ptr[word.len]) && line.ptr[word.len] != ';';
             word.len++)
                ;
        if (er_sv_starts(word, ER_SV("file:")))
                return true;
        if (is_url(word) || er_sv_starts(word, ER_SV("$")))
                return false;
        if (er_sv_eq(word, ER_SV(".")) || er_sv_starts(word, ER_SV(".[")) || er_sv_eq(word, ER_SV("..")))
                return true;
        text = er_sv_dup(word);
        if (strchr(text, '['))
                *strchr(text, '[') = '\0';
        return strchr(text, '/') || is_archive(text);
}

/* Lines that pip freeze and conda list write, and that no index can serve; what to write instead, or NULL. */
static const char *odd_line(struct er_sv line)
{
        static const char *const conda_dirs[] = {"file:///croot/", "file:///tmp/build/", "file:///home/conda/",
                                                 "file:///opt/conda/", "file:///Users/runner/"};
        er_autofree char *text = er_sv_dup(line);
        size_t n = strcspn(text, " <>=!~;@,[");
        er_autofree char *name = er_distribution_name(er_svn(text, n));
        const char *rest = text + n;

        for (size_t i = 0; i < ER_LEN(conda_dirs); i++)
                if (strstr(text, conda_dirs[i]))
                        return "pip freeze wrote it for a package of conda, with a directory of the machine that built "
                               "it; "
                               "write the name with ==VERSION";
        if (er_streq(name, "pkg-resources") && strstr(rest, "0.0.0"))
                return "Debian's pip freeze writes it by mistake; leave it out";
        if (er_streq(name, "python"))
                return "Python is no package of an index; write python: \"3.11\" in errand.yaml, or --python 3.11";
        if (rest[0] == '=' && rest[1] != '=' && strchr(rest + 1, '='))
                return "it is a line of conda list; write NAME==VERSION, or name the file under conda:";
        return NULL;
}

int er_requirements_add(struct er_sv line, const struct er_req_origin *origin, struct er_requirements *ret,
                        struct er_err *err)
{
        er_autofree char *item = NULL;
        const char *why = NULL, *at;
        struct er_sv url;

        line = er_sv_trim(line);
        if (!line.len)
                return 0;
        if (memchr(line.ptr, '\0', line.len))
                return fail_at(origin, err, "a NUL character");
        if (line.ptr[0] == '-')
                return add_option(line, origin, ret, err);
        why = odd_line(line);
        if (why)
                return fail_at(origin, err, "\"%.*s\" cannot be installed: %s", (int)(line.len > 80 ? 80 : line.len),
                               line.ptr, why);
        if (looks_local(line))
                return add_local(line, origin, ret, err);
        if (is_url(line)) {
                er_auto(er_str) text = ER_STR_INIT;
                size_t n = er_req_find_marker(line, true);

                er_str_addn(&text, line.ptr, er_sv_trim(er_svn(line.ptr, n)).len);
                er_req_add_tail(&text, n < line.len ? er_req_from(line, n + 1) : er_svn("", 0), er_svn("", 0));
                return add_item(origin, ret, er_str_detach(&text), err);
        }
        /* "name @ file:..." is a local one with a name before it. */
        at = memchr(line.ptr, '@', line.len);
        if (at) {
                url = er_req_skip_space(er_svn(at + 1, line.len - (size_t)(at + 1 - line.ptr)));
                if (er_sv_starts(url, ER_SV("file:")))
                        return add_local(url, origin, ret, err);
        }
        item = er_requirement_canonical(line, &why);
        if (!item) {
                er_autofree char *shown = er_strndup(line.ptr, line.len > 80 ? 80 : line.len);

                return fail_at(origin, err, "\"%s\" is not a requirement: %s", shown, why);
        }
        return add_item(origin, ret, er_take(item), err);
}

/* Cuts the comment off: a '#' at the start or after white space. */
static struct er_sv uncomment(struct er_sv line)
{
        for (size_t i = 0; i < line.len; i++)
                if (line.ptr[i] == '#' && (i == 0 || er_req_is_space(line.ptr[i - 1])))
                        return er_svn(line.ptr, i);
        return line;
}

int er_requirements_parse(struct er_sv text, const struct er_req_origin *from, struct er_requirements *ret,
                          struct er_err *err)
{
        struct er_req_origin origin = *from;
        er_auto(er_str) logical = ER_STR_INIT;
        struct er_sv line;
        unsigned number = 0;

        if (er_sv_starts(text, ER_SV("\xef\xbb\xbf")))
                text = er_req_from(text, 3);
        while (er_sv_cut(&text, '\n', &line)) {
                bool goes_on, comment;

                number++;
                if (line.len && line.ptr[line.len - 1] == '\r')
                        line.len--;
                comment = er_req_skip_space(line).len && er_req_skip_space(line).ptr[0] == '#';
                goes_on = !comment && line.len && line.ptr[line.len - 1] == '\\' && text.ptr;
                if (!logical.len)
                        origin.line = number;
                if (goes_on)
                        line.len--;
                if (!comment)
                        er_str_addn(&logical, line.ptr, line.len);
                if (goes_on) {
                        er_str_addc(&logical, ' ');
                        continue;
                }
                if (er_requirements_add(uncomment(er_svn(logical.buf, logical.len)), &origin, ret, err) < 0)
                        return -1;
                er_str_reset(&logical);
        }
        return 0;
}

/* As the user would call it: below the project without the project before it. */
static const char *shown_name(const char *path, const char *project_dir)
{
        size_t n = strlen(project_dir);

        return strncmp(path, project_dir, n) == 0 && path[n] == '/' ? path + n + 1 : path;
}

int er_requirements_read(const char *path, const struct er_req_origin *from, struct er_requirements *ret,
                         struct er_err *err)
{
        er_autofree char *full = er_path_abs(path);
        er_autofree char *dir = er_path_dir(full);
        er_auto(er_str) text = ER_STR_INIT;
        er_auto(er_err) why = ER_ERR_INIT;
        struct er_req_origin origin = *from;

        if (origin.depth >= DEPTH_MAX)
                return fail_at(&origin, err, "files include each other more than %u deep", DEPTH_MAX);
        if (er_strv_has(&ret->read, full))
                return 0; /* each counts once: that ends circles too */
        if (er_file_read(AT_FDCWD, full, FILE_MAX_BYTES, &text, &why) < 0) {
                if (why.code == ER_NOT_FOUND && origin.depth)
                        return fail_at(&origin, err, "%s: no such file", shown_name(full, origin.project_dir));
                return er_err_move(err, &why);
        }
        er_strv_add(&ret->read, full);
        (void)er_encoding_take(&text);
        origin.dir = dir;
        origin.file = shown_name(full, origin.project_dir);
        origin.line = 0;
        origin.depth++;
        return er_requirements_parse(er_svn(text.buf, text.len), &origin, ret, err);
}

static const char *below(const char *path, const char *dir)
{
        size_t n = strlen(dir);

        if (strncmp(path, dir, n) != 0)
                return NULL;
        return path[n] == '/' ? path + n + 1 : path[n] ? NULL : ".";
}

static int take_project(const struct er_pyproject *project, const struct er_req_origin *from,
                        struct er_requirements *ret, struct er_err *err)
{
        struct er_req_origin origin = *from;

        origin.dir = project->dir;
        origin.depth++;
        for (size_t i = 0; i < project->count; i++) {
                origin.file = project->items[i].file;
                origin.line = project->items[i].line;
                if (er_requirements_add(er_sv(project->items[i].text), &origin, ret, err) < 0)
                        return -1;
        }
        origin.line = 0;
        for (size_t i = 0; i < project->requirement_files.len; i++) {
                er_autofree char *path = er_path_join(project->dir, project->requirement_files.items[i]);

                origin.file = project->file;
                if (er_requirements_read(path, &origin, ret, err) < 0)
                        return -1;
        }
        if (project->requires_python && (!project->is_poetry || !ret->requires_python)) {
                free(ret->requires_python);
                ret->requires_python = er_strdup(project->requires_python);
        }
        for (size_t i = 0; i < project->index_urls.len; i++)
                add_once(&ret->extra_index_urls, er_sv(project->index_urls.items[i]));
        for (size_t i = 0; i < project->scripts.len; i++)
                add_once(&ret->scripts, er_sv(project->scripts.items[i]));
        if (project->extensions) {
                er_autofree char *note = er_fmt("%s: it has modules that must be compiled; they are not built when its "
                                                "directory is named: make a wheel of it (pip wheel --no-deps .) and "
                                                "name that, if the job imports them",
                                                project->file);

                add_once(&ret->notes, er_sv(note));
        }
        return add_once(&ret->sources, er_sv(project->source));
}

int er_requirements_read_project(const char *dir, struct er_sv extras, const struct er_req_origin *from,
                                 struct er_requirements *ret, struct er_err *err)
{
        er_autofree char *root = er_path_abs(from->project_dir);
        er_autofree char *full = er_path_abs(dir);
        er_auto(er_pyproject) project = ER_PYPROJECT_INIT;
        const char *shown = below(full, root);

        if (!shown) {
                er_err_set(err, ER_CONFIG, "%s: the directory %s is not in the project, so it is not sent to the host",
                           from->file, full);
                return er_err_hint(err, "make a wheel of it (pip wheel --no-deps %s) and name that", full);
        }
        if (er_strv_has(&ret->read, full))
                return 0; /* projects that name each other */
        er_strv_add(&ret->read, full);
        if (er_pyproject_read(full, shown, extras, &project, err) < 0)
                return -1;
        if (!project.file) {
                er_err_set(err, ER_CONFIG,
                           "%s: the directory %s is not a Python project (it has no pyproject.toml or setup.py)",
                           from->file, shown);
                return er_err_hint(err, "if it is a virtual environment, its pyvenv.cfg is missing");
        }
        return take_project(&project, from, ret, err);
}
