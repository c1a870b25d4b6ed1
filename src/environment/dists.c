/* dists.c - which distribution owns an import, from the metadata of what is installed. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/map.h"
#include "environment/dists.h"
#include "environment/dists_python.h"
#include "environment/requirement.h"

#define RECORD_MAX ((size_t)64 << 20)
#define SMALL_MAX ((size_t)1 << 20)

/* One *.dist-info or *.egg-info. Its files are read when first needed. */
struct info {
        struct er_dist dist;
        char *dir; /* name of the directory (or file) below its site */
        size_t site;
        bool read, looked_for_origin;
        struct er_str record, top_level; /* empty: there is none */
};
/* A directory of packages: what is in it, by name. */
struct site {
        char *path;
        int fd;
        struct er_map entries;
};
struct er_dists {
        char *project_dir;
        bool loaded;
        struct site *sites;
        size_t site_count;
        struct info *infos;
        size_t count, cap;
        struct er_map by_name; /* normalised name -> index + 1 of the first info */
};

struct er_dists *er_dists_new(const char *project_dir)
{
        struct er_dists *dists = er_new(struct er_dists);

        dists->project_dir = er_strdup(project_dir);
        return dists;
}

void er_dists_free(struct er_dists *dists)
{
        if (!dists)
                return;
        for (size_t i = 0; i < dists->site_count; i++) {
                free(dists->sites[i].path);
                er_close(&dists->sites[i].fd);
                er_map_release(&dists->sites[i].entries);
        }
        for (size_t i = 0; i < dists->count; i++) {
                free(dists->infos[i].dist.name);
                free(dists->infos[i].dist.version);
                free(dists->infos[i].dist.note);
                free(dists->infos[i].dir);
                er_str_release(&dists->infos[i].record);
                er_str_release(&dists->infos[i].top_level);
        }
        er_map_release(&dists->by_name);
        free(dists->sites);
        free(dists->infos);
        free(dists->project_dir);
        free(dists);
}

/* The version that an index has: without the builder's own part ("2.1.0+cu118"); none for what no index has. */
static char *index_version(struct er_sv version)
{
        const char *plus = memchr(version.ptr, '+', version.len);

        if (plus)
                version.len = (size_t)(plus - version.ptr);
        if (version.len == 0 || !isdigit((unsigned char)version.ptr[0]) ||
            memmem(version.ptr, version.len, ".dev", 4) || er_sv_eq(version, ER_SV("0.0.0")))
                return NULL;
        for (size_t i = 0; i < version.len; i++)
                if (!isalnum((unsigned char)version.ptr[i]) && !strchr("._-!", version.ptr[i]))
                        return NULL;
        return er_sv_dup(version);
}

/* "scikit_learn-1.3.0.dist-info", "PyYAML-6.0.egg-info", "x-1.0-py3.11.egg-info" */
static void add_info(struct er_dists *dists, size_t site, const char *entry)
{
        bool dist_info = er_ends(entry, ".dist-info");
        size_t len = strlen(entry) - (dist_info ? 10 : 9); /* ".egg-info" */
        struct er_sv stem = er_svn(entry, len), name, version = er_svn(entry, 0);
        const char *dash = memchr(entry, '-', len), *py;
        struct info *info;

        name = stem;
        if (dash) {
                name = er_svn(entry, (size_t)(dash - entry));
                version = er_svn(dash + 1, len - name.len - 1);
                py = dist_info ? NULL : memmem(version.ptr, version.len, "-py", 3);
                if (py)
                        version.len = (size_t)(py - version.ptr);
        }
        if (name.len == 0 || name.ptr[0] == '~') /* pip's name for something it could not remove */
                return;
        dists->infos = er_grow(dists->infos, &dists->cap, dists->count + 1, sizeof *dists->infos);
        info = &dists->infos[dists->count++];
        *info = (struct info){.site = site, .record = ER_STR_INIT, .top_level = ER_STR_INIT};
        info->dir = er_strdup(entry);
        info->dist.name = er_distribution_name(name);
        info->dist.version = index_version(version);
        if (!er_map_gets(&dists->by_name, info->dist.name)) {
                uintptr_t number = dists->count;
                void *value;

                memcpy(&value, &number, sizeof value);
                er_map_sets(&dists->by_name, info->dist.name, value);
        }
}

static void load_site(struct er_dists *dists, const char *path)
{
        struct site *site = &dists->sites[dists->site_count];
        static char present;
        struct dirent *entry;
        DIR *dir;

        *site = (struct site){.path = er_strdup(path), .fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        dists->site_count++;
        dir = opendir(path);
        if (!dir)
                return;
        while ((entry = readdir(dir))) {
                if (entry->d_name[0] == '.')
                        continue;
                er_map_sets(&site->entries, entry->d_name, &present);
                if (er_ends(entry->d_name, ".dist-info") || er_ends(entry->d_name, ".egg-info"))
                        add_info(dists, dists->site_count - 1, entry->d_name);
        }
        closedir(dir);
}

static void load(struct er_dists *dists)
{
        er_auto(er_strv) paths = ER_STRV_INIT;

        dists->loaded = true;
        er_dists_python_paths(dists->project_dir, &paths);
        dists->sites = er_calloc(paths.len + 1, sizeof *dists->sites);
        for (size_t i = 0; i < paths.len; i++)
                load_site(dists, paths.items[i]);
}

/* ---- One distribution */

static void read_part(const struct er_dists *dists, const struct info *info, const char *file, size_t max,
                      struct er_str *out)
{
        er_autofree char *path = er_fmt("%s/%s", info->dir, file);

        if (er_file_read(dists->sites[info->site].fd, path, max, out, NULL) < 0)
                er_str_reset(out);
}

static void read_info(const struct er_dists *dists, struct info *info)
{
        if (info->read)
                return;
        info->read = true;
        read_part(dists, info, "RECORD", RECORD_MAX, &info->record);
        if (info->record.len == 0)
                read_part(dists, info, "top_level.txt", SMALL_MAX, &info->top_level);
}

/* PEP 610: what did not come from an index. conda writes one too, naming the directory where it built the package. */
static void look_for_origin(const struct er_dists *dists, struct info *info)
{
        er_auto(er_str) text = ER_STR_INIT, installer = ER_STR_INIT;
        json_t *json = NULL;
        const char *url;

        if (info->looked_for_origin)
                return;
        info->looked_for_origin = true;
        read_part(dists, info, "direct_url.json", SMALL_MAX, &text);
        if (text.len == 0)
                return;
        read_part(dists, info, "INSTALLER", SMALL_MAX, &installer);
        er_str_rtrim(&installer);
        if (er_streq(installer.buf, "conda") || er_json_parse(text.buf, text.len, "direct_url.json", &json, NULL) < 0)
                return;
        url = json_string_value(json_object_get(json, "url"));
        if (url) {
                info->dist.note = er_fmt("installed here from %s, not from an index", url);
                free(er_take(info->dist.version));
        }
        json_decref(json);
}

static bool has_line(const struct er_str *text, struct er_sv line, char end)
{
        const char *at = text->buf;

        while ((at = memmem(at, text->len - (size_t)(at - text->buf), line.ptr, line.len))) {
                if ((at == text->buf || at[-1] == '\n') &&
                    (at[line.len] == end || at[line.len] == '\r' || at[line.len] == '\0'))
                        return true;
                at++;
        }
        return false;
}

/* Does this distribution own the file (below the site)? Debian removes RECORD: then the first part of the import
   decides. */
static bool owns(const struct er_dists *dists, struct info *info, struct er_sv file, struct er_sv top)
{
        er_autofree char *name = NULL;

        read_info(dists, info);
        if (info->record.len > 0)
                return has_line(&info->record, file, ',');
        if (info->top_level.len > 0)
                return has_line(&info->top_level, top, '\n');
        name = er_distribution_name(top);
        return er_streq(name, info->dist.name);
}

static struct info *by_name(const struct er_dists *dists, const char *name)
{
        void *value = er_map_gets(&dists->by_name, name);
        uintptr_t number;

        memcpy(&number, &value, sizeof number);
        return number ? &dists->infos[number - 1] : NULL;
}

/* The file of a module below a site, for the longest part of the import that is one; false: none is. */
static bool module_file(const struct site *site, struct er_sv import, struct er_str *file)
{
        static const char *const endings[] = {".py", "/__init__.py"};
        struct er_sv part = import;
        const char *dot = memchr(import.ptr, '.', import.len);
        er_autofree char *top = er_strndup(import.ptr, dot ? (size_t)(dot - import.ptr) : import.len);
        size_t slot = 0;
        const struct er_map_slot *entry;

        if (er_map_gets(&site->entries, top)) {
                while (part.len > 0) {
                        for (size_t i = ER_LEN(endings); i-- > 0;) {
                                er_str_reset(file);
                                er_str_addn(file, part.ptr, part.len);
                                for (size_t k = 0; k < file->len; k++)
                                        if (file->buf[k] == '.')
                                                file->buf[k] = '/';
                                er_str_add(file, endings[i]);
                                if (faccessat(site->fd, file->buf, F_OK, 0) == 0)
                                        return true;
                        }
                        while (part.len > 0 && part.ptr[part.len - 1] != '.')
                                part.len--;
                        part.len -= part.len > 0;
                }
        }
        er_str_reset(file);
        er_str_addf(file, "%s.py", top);
        if (er_map_gets(&site->entries, file->buf))
                return true;
        if (er_map_gets(&site->entries, top))
                return false;
        er_str_cut(file, file->len - 2); /* "name." of a compiled module */
        while ((entry = er_map_next(&site->entries, &slot)))
                if (er_starts(entry->key, file->buf) && er_ends(entry->key, ".so")) {
                        er_str_reset(file);
                        er_str_add(file, entry->key);
                        return true;
                }
        return false;
}

static struct info *owner(const struct er_dists *dists, size_t site, struct er_sv import, struct er_sv file)
{
        const char *dot = memchr(import.ptr, '.', import.len);
        struct er_sv top = er_svn(import.ptr, dot ? (size_t)(dot - import.ptr) : import.len);
        er_autofree char *whole = er_distribution_name(import), *first = er_distribution_name(top);
        const char *likely[] = {whole, er_dist_known(import), first};

        for (size_t i = 0; i < ER_LEN(likely); i++) {
                struct info *info = likely[i] ? by_name(dists, likely[i]) : NULL;

                if (info && info->site == site && owns(dists, info, file, top))
                        return info;
        }
        for (size_t i = 0; i < dists->count; i++)
                if (dists->infos[i].site == site && owns(dists, &dists->infos[i], file, top))
                        return &dists->infos[i];
        return NULL;
}

/* Without a file below a site: an editable installation has the name of the import, or lists it in top_level.txt. */
static struct info *editable(struct er_dists *dists, struct er_sv import)
{
        const char *dot = memchr(import.ptr, '.', import.len);
        struct er_sv top = er_svn(import.ptr, dot ? (size_t)(dot - import.ptr) : import.len);
        er_autofree char *name = er_distribution_name(top);
        struct info *info = by_name(dists, name);

        if (!dists->infos)
                return NULL;
        if (!info) {
                for (size_t i = 0; i < dists->count && !info; i++) {
                        er_auto(er_str) text = ER_STR_INIT;

                        look_for_origin(dists, &dists->infos[i]);
                        if (!dists->infos[i].dist.note)
                                continue;
                        read_part(dists, &dists->infos[i], "top_level.txt", SMALL_MAX, &text);
                        if (has_line(&text, top, '\n'))
                                info = &dists->infos[i];
                }
        } else
                look_for_origin(dists, info);
        return info && info->dist.note ? info : NULL;
}

/* old setuptools: NAME.egg-link holds the directory */
static struct er_dist *egg_link(struct er_dists *dists, struct er_sv import)
{
        const char *dot = memchr(import.ptr, '.', import.len);
        struct er_sv top = er_svn(import.ptr, dot ? (size_t)(dot - import.ptr) : import.len);

        for (size_t i = 0; i < dists->site_count; i++) {
                er_autofree char *link = er_fmt("%.*s.egg-link", (int)top.len, top.ptr);
                er_auto(er_str) text = ER_STR_INIT;
                struct info *info;
                struct er_sv rest, line;

                if (!er_map_gets(&dists->sites[i].entries, link) ||
                    er_file_read(dists->sites[i].fd, link, SMALL_MAX, &text, NULL) < 0)
                        continue;
                rest = er_svn(text.buf, text.len);
                if (!er_sv_cut(&rest, '\n', &line))
                        continue;
                dists->infos = er_grow(dists->infos, &dists->cap, dists->count + 1, sizeof *dists->infos);
                info = &dists->infos[dists->count++];
                *info = (struct info){.site = i,
                                      .read = true,
                                      .looked_for_origin = true,
                                      .record = ER_STR_INIT,
                                      .top_level = ER_STR_INIT};
                info->dir = er_strdup(link);
                info->dist.name = er_distribution_name(top);
                info->dist.note = er_fmt("installed here from %.*s, not from an index", (int)line.len, line.ptr);
                return &info->dist;
        }
        return NULL;
}

const struct er_dist *er_dists_find(struct er_dists *dists, struct er_sv import)
{
        er_auto(er_str) file = ER_STR_INIT;
        struct info *found = NULL;

        if (!dists->loaded)
                load(dists);
        for (size_t i = 0; i < dists->site_count && !found; i++)
                if (module_file(&dists->sites[i], import, &file)) {
                        found = owner(dists, i, import, er_svn(file.buf, file.len));
                        if (!found)
                                return NULL; /* owned by none: put there by hand */
                        look_for_origin(dists, found);
                }
        if (!found)
                found = editable(dists, import);
        return found ? &found->dist : egg_link(dists, import);
}
