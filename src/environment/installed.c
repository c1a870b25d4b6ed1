/* installed.c - see installed.h */
#include "environment/installed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "base/io.h"
#include "base/json.h"
#include "base/path.h"
#include "base/yaml.h"
#include "environment/requirement.h"

#define METADATA_MAX ((size_t)4 << 20)

static bool has(const char *dir, const char *name)
{
        er_autofree char *path = er_path_join(dir, name);

        return er_file_exists(AT_FDCWD, path);
}

bool er_is_venv(const char *dir)
{
        return has(dir, "pyvenv.cfg");
}

bool er_is_conda(const char *dir)
{
        return has(dir, "conda-meta");
}

static bool any_name(const char *name)
{
        return name[0] != '.';
}

static bool is_dist_info(const char *name)
{
        return er_ends(name, ".dist-info");
}

static bool is_json(const char *name)
{
        return er_ends(name, ".json");
}

static bool is_python_dir(const char *name)
{
        return er_starts(name, "python3.") || er_starts(name, "pypy3.");
}

/* The sorted names in a directory that match. No directory: none. */
static int list_dir(const char *path, bool (*suits)(const char *name), struct er_strv *ret, struct er_err *err)
{
        DIR *dir = opendir(path);
        struct dirent *entry;

        if (!dir)
                return errno == ENOENT ? 0 : er_err_errno(err, errno, "read %s", path);
        while ((entry = readdir(dir)))
                if (any_name(entry->d_name) && suits(entry->d_name))
                        er_strv_add(ret, entry->d_name);
        closedir(dir);
        er_strv_sort(ret);
        return 0;
}

/* "Name: x" and "Version: y" of the head of a METADATA file. */
static void read_head(struct er_sv text, char **name, char **version)
{
        struct er_sv line;

        while (er_sv_cut(&text, '\n', &line) && er_sv_trim(line).len) {
                if (!*name && er_sv_starts(line, ER_SV("Name:")))
                        *name = er_sv_dup(er_sv_trim(er_svn(line.ptr + 5, line.len - 5)));
                else if (!*version && er_sv_starts(line, ER_SV("Version:")))
                        *version = er_sv_dup(er_sv_trim(er_svn(line.ptr + 8, line.len - 8)));
        }
}

/* direct_url.json (PEP 610): how it was installed, if not from an index. */
static int origin(const char *info, const char *name, char **ret_requirement, struct er_err *err)
{
        er_autofree char *path = er_path_join(info, "direct_url.json");
        er_auto(er_str) text = ER_STR_INIT;
        const char *url, *vcs, *commit;
        json_t *json = NULL;
        int result = 0;

        if (er_file_read(AT_FDCWD, path, METADATA_MAX, &text, NULL) < 0)
                return 0;
        if (er_json_parse(text.buf, text.len, path, &json, NULL) < 0)
                return 0;
        url = json_string_value(json_object_get(json, "url"));
        vcs = json_string_value(json_object_get(json_object_get(json, "vcs_info"), "vcs"));
        commit = json_string_value(json_object_get(json_object_get(json, "vcs_info"), "commit_id"));
        if (url && vcs && commit) {
                *ret_requirement = er_fmt("%s @ %s+%s@%s", name, vcs, url, commit);
        } else if (url && json_object_get(json, "dir_info")) {
                er_err_set(err, ER_CONFIG, "%s was installed from the directory %s", name,
                           er_starts(url, "file://") ? url + 7 : url);
                er_err_hint(err, "list the packages in requirements.txt instead: with \"-e .\" for the project itself, "
                                 "a wheel for another");
                result = -1;
        }
        json_decref(json);
        return result;
}

/* by_pip: only what pip or uv put there. */
static int list_site(const char *site, bool by_pip, struct er_strv *ret, struct er_err *err)
{
        static const char *const tools[] = {"pip", "setuptools", "wheel"};
        er_auto(er_strv) infos = ER_STRV_INIT;

        if (list_dir(site, is_dist_info, &infos, err) < 0)
                return -1;
        for (size_t i = 0; i < infos.len; i++) {
                er_autofree char *info = er_path_join(site, infos.items[i]);
                er_autofree char *meta = er_path_join(info, "METADATA");
                er_autofree char *installer = er_path_join(info, "INSTALLER");
                er_autofree char *name = NULL, *version = NULL, *canonical = NULL, *other = NULL;
                er_auto(er_str) text = ER_STR_INIT;
                bool is_tool = false;

                if (by_pip && er_file_read(AT_FDCWD, installer, 4096, &text, NULL) == 0 && er_starts(text.buf, "conda"))
                        continue;
                if (er_file_read(AT_FDCWD, meta, METADATA_MAX, &text, NULL) < 0)
                        continue; /* half removed: pip does not see it either */
                read_head(er_svn(text.buf, text.len), &name, &version);
                if (!name || !version)
                        continue;
                canonical = er_distribution_name(er_sv(name));
                for (size_t k = 0; k < ER_LEN(tools); k++)
                        is_tool = is_tool || er_streq(canonical, tools[k]);
                if (is_tool)
                        continue;
                if (origin(info, canonical, &other, err) < 0)
                        return -1;
                /* A local version ("2.1.0+cu121") is that of this machine's build. */
                if (strchr(version, '+'))
                        *strchr(version, '+') = '\0';
                if (other)
                        er_strv_take(ret, er_take(other));
                else
                        er_strv_addf(ret, "%s==%s", canonical, version);
        }
        return 0;
}

static int list_sites(const char *root, bool by_pip, struct er_strv *ret, char **ret_python, struct er_err *err)
{
        static const char *const libs[] = {"lib", "lib64"};

        for (size_t k = 0; k < ER_LEN(libs); k++) {
                er_autofree char *lib = er_path_join(root, libs[k]);
                er_auto(er_strv) pythons = ER_STRV_INIT;
                struct stat st;

                if (lstat(lib, &st) < 0 || S_ISLNK(st.st_mode))
                        continue; /* lib64 is lib again */
                if (list_dir(lib, is_python_dir, &pythons, err) < 0)
                        return -1;
                for (size_t i = 0; i < pythons.len; i++) {
                        er_autofree char *dir = er_path_join(lib, pythons.items[i]);
                        er_autofree char *site = er_path_join(dir, "site-packages");

                        if (list_site(site, by_pip, ret, err) < 0)
                                return -1;
                        if (ret_python && !*ret_python && er_starts(pythons.items[i], "python"))
                                *ret_python = er_strdup(pythons.items[i] + strlen("python"));
                }
        }
        return 0;
}

int er_venv_list(const char *dir, struct er_strv *ret, char **ret_python, struct er_err *err)
{
        er_autofree char *python = NULL;

        if (list_sites(dir, false, ret, &python, err) < 0)
                return er_err_wrap(err, "the virtual environment %s", dir);
        er_strv_sort(ret);
        *ret_python = er_take(python);
        return 0;
}

/* "https://conda.anaconda.org/conda-forge/linux-64" -> "conda-forge"; another server keeps its URL. */
static void add_channel(struct er_strv *channels, const char *url)
{
        static const char known[] = "https://conda.anaconda.org/", defaults[] = "https://repo.anaconda.com/pkgs/";
        er_autofree char *name = NULL, *slash = NULL;

        if (er_starts(url, defaults))
                name = er_strdup("defaults");
        else
                name = er_strdup(er_starts(url, known) ? url + strlen(known) : url);
        slash = strrchr(name, '/') ? er_strdup(strrchr(name, '/')) : NULL;
        if (slash && (er_streq(slash, "/noarch") || er_starts(slash, "/linux-") || er_starts(slash, "/osx-") ||
                      er_starts(slash, "/win-")))
                *strrchr(name, '/') = '\0';
        if (*name && !er_strv_has(channels, name))
                er_strv_add(channels, name);
}

int er_conda_list(const char *dir, struct er_strv *ret_conda, struct er_strv *ret_pip, struct er_strv *ret_channels,
                  struct er_err *err)
{
        er_autofree char *meta = er_path_join(dir, "conda-meta");
        er_auto(er_strv) names = ER_STRV_INIT;

        if (list_dir(meta, is_json, &names, err) < 0)
                return -1;
        for (size_t i = 0; i < names.len; i++) {
                er_autofree char *path = er_path_join(meta, names.items[i]);
                er_auto(er_str) text = ER_STR_INIT;
                const char *name, *version, *channel;
                json_t *json = NULL;

                if (er_file_read(AT_FDCWD, path, (size_t)64 << 20, &text, err) < 0 ||
                    er_json_parse(text.buf, text.len, path, &json, err) < 0)
                        return -1;
                name = json_string_value(json_object_get(json, "name"));
                version = json_string_value(json_object_get(json, "version"));
                channel = json_string_value(json_object_get(json, "channel"));
                if (name && version)
                        er_strv_addf(ret_conda, "%s=%s", name, version);
                if (channel)
                        add_channel(ret_channels, channel);
                json_decref(json);
        }
        return list_sites(dir, true, ret_pip, NULL, err);
}

static int take_dependencies(const struct er_yaml *yaml, const struct er_yaml_node *list,
                             const struct er_req_origin *origin, struct er_strv *conda,
                             struct er_requirements *requirements, struct er_err *err)
{
        if (er_yaml_type(list) != ER_YAML_LIST)
                return er_yaml_err(yaml, list, err, "dependencies must be a list");
        for (size_t i = 0; i < er_yaml_count(list); i++) {
                const struct er_yaml_node *item = er_yaml_item(list, i), *pip;
                const char *text = er_yaml_text(item, NULL);

                if (text) {
                        er_strv_add(conda, text);
                        continue;
                }
                pip = er_yaml_type(item) == ER_YAML_MAP ? er_yaml_get(item, "pip") : NULL;
                if (!pip || er_yaml_type(pip) != ER_YAML_LIST)
                        return er_yaml_err(yaml, item, err, "expected a package, or pip: and a list");
                for (size_t k = 0; k < er_yaml_count(pip); k++) {
                        size_t len = 0;

                        text = er_yaml_text(er_yaml_item(pip, k), &len);
                        if (!text)
                                return er_yaml_err(yaml, er_yaml_item(pip, k), err, "expected a requirement");
                        if (er_requirements_add(er_svn(text, len), origin, requirements, err) < 0)
                                return -1;
                }
        }
        return 0;
}

int er_condafile_read(const char *path, const struct er_req_origin *from, struct er_strv *conda,
                      struct er_strv *channels, struct er_requirements *requirements, struct er_err *err)
{
        er_autofree char *dir = er_path_dir(path);
        struct er_req_origin origin = *from;
        const struct er_yaml_node *root, *node;
        er_autoptr(er_yaml) yaml = NULL;

        if (er_yaml_load(path, &yaml, err) < 0)
                return -1;
        origin.dir = dir;
        origin.file = er_path_base(path);
        root = er_yaml_root(yaml);
        if (!root || er_yaml_type(root) != ER_YAML_MAP)
                return er_err_set(err, ER_CONFIG, "%s: expected channels: and dependencies:", origin.file);
        node = er_yaml_get(root, "channels");
        for (size_t i = 0; node && i < er_yaml_count(node); i++) {
                const char *text = er_yaml_text(er_yaml_item(node, i), NULL);

                if (!text)
                        return er_yaml_err(yaml, er_yaml_item(node, i), err, "expected the name of a channel");
                if (!er_strv_has(channels, text) && !er_streq(text, "nodefaults"))
                        er_strv_add(channels, text);
        }
        node = er_yaml_get(root, "dependencies");
        if (node)
                return take_dependencies(yaml, node, &origin, conda, requirements, err);
        for (size_t i = 0; i < er_yaml_count(root); i++) {
                static const char *const known[] = {"name", "channels", "prefix", "variables", "platforms", "category"};
                const struct er_yaml_node *key_node;
                const char *key;
                bool is_known = false;

                er_yaml_pair(root, i, &key, &key_node);
                for (size_t k = 0; k < ER_LEN(known); k++)
                        is_known = is_known || er_streq(key, known[k]);
                if (!is_known)
                        return er_yaml_err(yaml, key_node, err,
                                           "conda knows no key %s, and there is no dependencies:", key);
        }
        er_err_set(err, ER_CONFIG, "%s: there is no dependencies: in it", origin.file);
        return er_err_hint(err, "write dependencies: [], if nothing is to be installed");
}
