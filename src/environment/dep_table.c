/* dep_table.c - see dep_table.h */
#include "environment/dep_table.h"

#include "base/parse.h"
#include "base/path.h"
#include "environment/requirement.h"

void er_deps_release(struct er_deps *deps)
{
        for (size_t i = 0; i < deps->count; i++) {
                struct er_dep *dep = &deps->items[i];

                free(dep->name);
                free(dep->version);
                free(dep->python);
                free(dep->markers);
                free(dep->platform);
                free(dep->git);
                free(dep->ref);
                free(dep->subdirectory);
                free(dep->url);
                free(dep->path);
                er_strv_release(&dep->extras);
        }
        free(deps->items);
        *deps = (struct er_deps)ER_DEPS_INIT;
}

void er_deps_take(struct er_deps *deps, const char *name, const char *key, const char *text)
{
        struct er_dep *dep = deps->count ? &deps->items[deps->count - 1] : NULL;
        char **place = NULL;

        if (!dep || !deps->open || !er_streq(dep->name, name)) {
                deps->items = er_grow(deps->items, &deps->cap, deps->count + 1, sizeof *deps->items);
                dep = &deps->items[deps->count++];
                *dep = (struct er_dep){.name = er_strdup(name)};
                deps->open = true;
        }
        if (!key || er_streq(key, "version"))
                place = &dep->version;
        else if (er_streq(key, "python"))
                place = &dep->python;
        else if (er_streq(key, "markers") || er_streq(key, "marker"))
                place = &dep->markers;
        else if (er_streq(key, "platform"))
                place = &dep->platform;
        else if (er_streq(key, "git"))
                place = &dep->git;
        else if (er_streq(key, "branch") || er_streq(key, "tag") || er_streq(key, "rev"))
                place = &dep->ref;
        else if (er_streq(key, "subdirectory"))
                place = &dep->subdirectory;
        else if (er_streq(key, "url"))
                place = &dep->url;
        else if (er_streq(key, "path") || er_streq(key, "file"))
                place = &dep->path;
        else if (er_streq(key, "extras"))
                er_strv_add(&dep->extras, text);
        else if (er_streq(key, "optional"))
                dep->optional = er_streq(text, "true");
        else if (er_streq(key, "workspace"))
                dep->workspace = er_streq(text, "true");
        if (place) {
                free(*place);
                *place = er_strdup(text);
        }
}

void er_deps_end(struct er_deps *deps)
{
        deps->open = false;
}

bool er_dep_has_source(const struct er_dep *dep)
{
        return dep->git || dep->url || dep->path || dep->workspace;
}

/* One of "^1.2.3", "~1.2", "1.*", ">=2". */
static void add_version(struct er_str *out, const char *text)
{
        uint64_t parts[3] = {0};
        size_t count = 0, keep = 0;
        struct er_sv rest = er_sv_trim(er_sv(text + 1)), part, begin = rest;

        if (er_streq(text, "*") || !*text)
                return;
        if (*text == '=' && text[1] != '=') {
                er_str_addf(out, "==%.*s", (int)rest.len, rest.ptr);
                return;
        }
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
        er_str_addf(out, ">=%.*s,<", (int)begin.len, begin.ptr);
        for (size_t i = 0; i <= keep; i++)
                er_str_addf(out, "%s%llu", i ? "." : "", (unsigned long long)parts[i] + (i == keep));
}

bool er_poetry_version(const char *text, struct er_str *out)
{
        struct er_sv rest = er_sv(text), part;
        size_t start = out->len;

        if (strchr(text, '|'))
                return false;
        while (er_sv_cut(&rest, ',', &part)) {
                er_autofree char *one = er_sv_dup(er_sv_trim(part));
                er_auto(er_str) said = ER_STR_INIT;

                add_version(&said, one);
                er_str_addf(out, "%s%s", said.len && out->len > start ? "," : "", said.buf);
        }
        return true;
}

/* ">=3.8,<4" as "python_version >= '3.8' and python_version < '4'" */
static void add_python(const char *versions, struct er_str *out)
{
        struct er_sv rest = er_sv(versions), part;
        bool first = true;

        while (er_sv_cut(&rest, ',', &part)) {
                er_autofree char *one = er_sv_dup(er_sv_trim(part));
                size_t n = strspn(one, "<>=!~");
                const char *number = one + n + strspn(one + n, " ");
                size_t dots = 0;

                if (!number[0])
                        continue;
                for (const char *c = number; *c; c++)
                        dots += *c == '.';
                if (er_ends(number, ".*"))
                        dots--;
                er_str_addf(out, "%spython_%s %.*s '%s'", first ? "" : " and ", dots > 1 ? "full_version" : "version",
                            n ? (int)n : 2, n ? one : "==", number);
                first = false;
        }
}

/* Poetry's python: alternatives are allowed there. */
static void add_pythons(const char *text, struct er_str *out)
{
        struct er_sv rest = er_sv(text), part;
        size_t count = 0;

        while (er_sv_cut(&rest, '|', &part)) {
                er_autofree char *one = er_sv_dup(er_sv_trim(part));
                er_auto(er_str) versions = ER_STR_INIT;
                er_auto(er_str) marker = ER_STR_INIT;

                if (!one[0])
                        continue; /* between the two */
                (void)er_poetry_version(one, &versions);
                add_python(versions.buf, &marker);
                if (!marker.len)
                        continue;
                er_str_addf(out, "%s%s", count++ ? " or " : "", marker.buf);
        }
}

static void add_marker(struct er_str *all, const char *marker)
{
        er_autofree char *before = NULL;

        if (!marker || !marker[0])
                return;
        if (!all->len) {
                er_str_add(all, marker);
                return;
        }
        before = er_strdup(all->buf);
        er_str_reset(all);
        er_str_addf(all, "(%s) and (%s)", before, marker);
}

static void add_git(const struct er_dep *dep, struct er_str *out)
{
        const char *at = strchr(dep->git, '@'), *colon = strchr(dep->git, ':');

        er_str_add(out, er_starts(dep->git, "git+") ? "" : "git+");
        if (!strstr(dep->git, "://") && at && colon && at < colon) /* git@host:owner/name */
                er_str_addf(out, "ssh://%.*s/%s", (int)(colon - dep->git), dep->git, colon + 1);
        else
                er_str_add(out, dep->git);
        if (dep->ref)
                er_str_addf(out, "@%s", dep->ref);
        if (dep->subdirectory)
                er_str_addf(out, "#subdirectory=%s", dep->subdirectory);
}

int er_dep_line(const struct er_dep *dep, const char *dir, const char *extras, const char *marker, struct er_str *out,
                struct er_err *err)
{
        er_auto(er_str) markers = ER_STR_INIT;
        er_auto(er_str) own = ER_STR_INIT;
        er_auto(er_str) python = ER_STR_INIT;
        er_autofree char *path = dep->path ? er_path_join(dir, dep->path) : NULL;

        for (size_t i = 0; i < dep->extras.len; i++)
                er_str_addf(&own, "%s%s", i ? "," : "[", dep->extras.items[i]);
        if (own.len)
                er_str_addc(&own, ']');
        if (extras && !own.len)
                er_str_add(&own, extras);
        if (path) {
                er_str_addf(out, "%s%s", path, own.buf);
        } else if (dep->git) {
                er_str_addf(out, "%s%s @ ", dep->name, own.buf);
                add_git(dep, out);
        } else if (dep->url) {
                er_str_addf(out, "%s%s @ %s", dep->name, own.buf, dep->url);
        } else {
                er_str_addf(out, "%s%s", dep->name, own.buf);
                if (dep->version && !er_poetry_version(dep->version, out)) {
                        er_err_set(err, ER_CONFIG, "%s = \"%s\": pip has no such alternatives", dep->name,
                                   dep->version);
                        return er_err_hint(err, "write one range, for instance \">=1.0,<3\"");
                }
        }
        add_marker(&markers, marker);
        add_marker(&markers, dep->markers);
        if (dep->python)
                add_pythons(dep->python, &python);
        add_marker(&markers, python.buf);
        if (dep->platform) {
                er_autofree char *platform = er_fmt("sys_platform == '%s'", dep->platform);

                add_marker(&markers, platform);
        }
        if (markers.len)
                er_str_addf(out, " ; %s", markers.buf);
        return 0;
}

/* Takes the lines of this name out; what the first says of extras ("[a]") and its marker come back (owned). */
static bool take_out(struct er_strv *lines, const char *name, char **ret_extras, char **ret_marker)
{
        er_autofree char *wanted = er_distribution_name(er_sv(name));
        size_t kept = 0;
        bool found = false;

        for (size_t i = 0; i < lines->len; i++) {
                struct er_sv text = er_sv_trim(er_sv(lines->items[i]));
                size_t n = strcspn(text.ptr, " <>=!~;@,["), marker = er_req_find_marker(text, false);
                const char *open = text.ptr + n + strspn(text.ptr + n, " ");
                const char *close = *open == '[' ? strchr(open, ']') : NULL;
                er_autofree char *own = er_distribution_name(er_svn(text.ptr, n));

                if (!er_streq(own, wanted)) {
                        lines->items[kept++] = lines->items[i];
                        continue;
                }
                if (!found) {
                        *ret_extras = close ? er_strndup(open, (size_t)(close - open) + 1) : NULL;
                        *ret_marker = marker < text.len ? er_sv_dup(er_sv_trim(er_req_from(text, marker + 1))) : NULL;
                }
                found = true;
                free(lines->items[i]);
        }
        lines->len = kept;
        if (lines->items)
                lines->items[kept] = NULL;
        return found;
}

int er_deps_lay_over(const struct er_deps *deps, const char *dir, const char *file, struct er_strv *lines,
                     struct er_err *err)
{
        for (size_t i = 0, next; i < deps->count; i = next) {
                const char *name = deps->items[i].name;
                er_autofree char *extras = NULL, *marker = NULL;

                for (next = i + 1; next < deps->count && er_streq(deps->items[next].name, name); next++)
                        ;
                if (!er_dep_has_source(&deps->items[i]) || !take_out(lines, name, &extras, &marker))
                        continue;
                for (; i < next; i++) {
                        er_auto(er_str) line = ER_STR_INIT;

                        if (deps->items[i].workspace) {
                                er_err_set(err, ER_CONFIG, "%s: %s comes from the workspace (tool.uv.sources)", file,
                                           name);
                                return er_err_hint(err,
                                                   "make uv.lock (uv lock) and name that, or give its path: %s = { "
                                                   "path = \"...\" }",
                                                   name);
                        }
                        if (er_dep_line(&deps->items[i], dir, extras, marker, &line, err) < 0)
                                return er_err_wrap(err, "%s", file);
                        er_strv_add(lines, line.buf);
                }
        }
        return 0;
}
