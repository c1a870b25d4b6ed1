/* assemble.c - makes a recipe of what is wanted: the canonical declaration, its hash, the files, the script. */
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/hash.h"
#include "base/io.h"
#include "base/path.h"
#include "environment/credentials.h"
#include "environment/scripts.h"
#include "environment/wants.h"

/* Larger files are sent separately from the recipe. */
#define SMALL_FILE ((uint64_t)64 * 1024)
#define FILES_MAX 4000u

struct assembly {
        const struct er_wants *wants;
        struct er_recipe recipe;
        struct er_str text; /* the declaration */
        struct er_str settings;
        bool links_sent; /* wheels of a find_links directory are among the files */
};

static void declare(struct assembly *a, const char *word, const char *value)
{
        er_str_addf(&a->text, "%s ", word);
        er_credentials_mask(value, &a->text); /* a new password does not make a new environment */
        er_str_addc(&a->text, '\n');
}

static void declare_list(struct assembly *a, const char *word, const struct er_strv *list, bool sorted)
{
        er_auto(er_strv) copy = ER_STRV_INIT;

        er_strv_addall(&copy, list->items, list->len);
        if (sorted)
                er_strv_sort(&copy);
        for (size_t i = 0; i < copy.len; i++)
                declare(a, word, copy.items[i]);
}

int er_wants_hash_file(const char *path, struct er_hash *ret, uint64_t *ret_size, struct er_err *err)
{
        er_autofree char *buf = er_malloc(1 << 20);
        er_auto(er_hasher) hasher = {0};
        er_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n;

        if (fd < 0)
                return er_err_errno(err, errno, "open %s", path);
        if (er_hasher_init(&hasher, err) < 0)
                return -1;
        er_hasher_begin(&hasher);
        *ret_size = 0;
        while ((n = er_read_full(fd, buf, 1 << 20)) > 0) {
                er_hasher_add(&hasher, buf, (size_t)n);
                *ret_size += (uint64_t)n;
        }
        if (n < 0)
                return er_err_errno(err, errno, "read %s", path);
        er_hasher_end(&hasher, ret);
        return 0;
}

/* The quoted texts of a TOML file, with variables in place of what is secret in them; a text changed like this has
   the same hash for every password. */
static int take_toml(struct assembly *a, struct er_str *text, struct er_hash *hash, struct er_err *err)
{
        er_auto(er_str) out = ER_STR_INIT;
        er_auto(er_hasher) hasher = {0};
        const char *at = text->buf;

        while (*at) {
                const char *end = *at == '"' || *at == '\'' ? at + 1 + strcspn(at + 1, *at == '"' ? "\"\n" : "'\n")
                                                            : at;

                er_str_addc(&out, *at++);
                if (end > at && *end == at[-1]) {
                        er_autofree char *inside = er_strndup(at, (size_t)(end - at));

                        er_credentials_hide(inside, &a->recipe, &out);
                        er_str_addc(&out, *end);
                        at = end + 1;
                }
        }
        if (er_streq(out.buf, text->buf))
                return 0;
        if (er_hasher_init(&hasher, err) < 0)
                return -1;
        er_hasher_begin(&hasher);
        er_hasher_add(&hasher, out.buf, out.len);
        er_hasher_end(&hasher, hash);
        er_str_reset(text);
        er_str_addn(text, out.buf, out.len);
        return 0;
}

/* A file of this machine under its own name: its content counts, not where it lies. */
static int add_file(struct assembly *a, const char *path, struct er_err *err)
{
        const char *name = er_path_base(path);
        char hex[ER_HASH_HEX];
        struct er_recipe_file *file;
        struct er_hash hash;
        uint64_t size = 0;

        if (name[0] == '.')
                return er_err_set(err, ER_CONFIG, "%s: files whose names begin with a dot cannot be sent", path);
        if (er_wants_hash_file(path, &hash, &size, err) < 0)
                return -1;
        for (size_t i = 0; i < a->recipe.file_count; i++) {
                if (!er_streq(a->recipe.files[i].name, name))
                        continue;
                if (memcmp(a->recipe.files[i].hash, hash.bytes, ER_ENV_HASH) == 0)
                        return 0;
                return er_err_set(err, ER_CONFIG, "two different files are named %s; one is %s", name, path);
        }
        if (a->recipe.file_count >= FILES_MAX)
                return er_err_set(err, ER_CONFIG, "more than %u files for one environment", FILES_MAX);
        if (size <= SMALL_FILE && !er_ends(name, ".whl")) {
                er_auto(er_str) text = ER_STR_INIT;

                if (er_file_read(AT_FDCWD, path, SMALL_FILE, &text, err) < 0 ||
                    (er_streq(name, "pyproject.toml") && take_toml(a, &text, &hash, err) < 0))
                        return -1;
                file = er_recipe_add(&a->recipe, name, er_svn(text.buf, text.len), 0600);
        } else {
                file = er_recipe_add(&a->recipe, name, er_svn("", 0), 0600);
                file->path = er_strdup(path);
                file->size = size;
        }
        er_hash_hex(&hash, hex);
        er_str_addf(&a->text, "file %s %s\n", name, hex);
        memcpy(file->hash, hash.bytes, ER_ENV_HASH);
        return 0;
}

static int add_files(struct assembly *a, const struct er_strv *paths, struct er_err *err)
{
        er_auto(er_strv) sorted = ER_STRV_INIT;

        er_strv_addall(&sorted, paths->items, paths->len);
        er_strv_sort(&sorted);
        for (size_t i = 0; i < sorted.len; i++)
                if (add_file(a, sorted.items[i], err) < 0)
                        return -1;
        return 0;
}

/* The wheels and archives of a find_links directory. */
static int add_links(struct assembly *a, const char *path, struct er_err *err)
{
        static const char *const ends[] = {".whl", ".tar.gz", ".zip"};
        er_auto(er_strv) names = ER_STRV_INIT;
        DIR *dir = opendir(path);
        struct dirent *entry;

        if (!dir)
                return er_err_errno(err, errno, "find_links: read %s", path);
        while ((entry = readdir(dir)))
                for (size_t i = 0; i < ER_LEN(ends); i++)
                        if (entry->d_name[0] != '.' && er_ends(entry->d_name, ends[i]))
                                er_strv_take(&names, er_path_join(path, entry->d_name));
        closedir(dir);
        a->links_sent = true;
        return add_files(a, &names, err);
}

static void set(struct assembly *a, const char *name, const char *value)
{
        if (!value)
                return;
        er_str_addf(&a->settings, "%s=", name);
        er_credentials_take(value, &a->recipe, &a->settings);
        er_str_addc(&a->settings, '\n');
}

static void set_list(struct assembly *a, const char *name, const struct er_strv *values)
{
        for (size_t i = 0; i < values->len; i++)
                set(a, name, values->items[i]);
}

static void add_line(struct assembly *a, const char *line, struct er_str *out)
{
        er_credentials_take(line, &a->recipe, out);
        er_str_addc(out, '\n');
}

/* A file of lines, if there are any. */
static void add_lines(struct assembly *a, const char *name, const struct er_strv *first, const struct er_strv *lines,
                      bool always)
{
        er_auto(er_str) text = ER_STR_INIT;

        for (size_t i = 0; first && i < first->len; i++)
                add_line(a, first->items[i], &text);
        for (size_t i = 0; i < lines->len; i++)
                add_line(a, lines->items[i], &text);
        if (text.len || always)
                er_recipe_add(&a->recipe, name, er_svn(text.buf, text.len), 0600);
}

static void add_pip(struct assembly *a)
{
        const struct er_requirements *pip = &a->wants->pip;

        declare_list(a, "pip", &pip->items, true);
        declare_list(a, "constraint", &pip->constraints, true);
        declare_list(a, "pip-option", &pip->options, true);
        declare_list(a, "source", &pip->sources, false);
        declare_list(a, "command", &pip->scripts, true);
        if (pip->index_url)
                declare(a, "index-url", pip->index_url);
        declare_list(a, "extra-index-url", &pip->extra_index_urls, false);
        if (pip->no_index)
                er_str_add(&a->text, "no-index\n");
        if (pip->pre)
                er_str_add(&a->text, "pre\n");
        if (a->wants->said->torch_backend)
                declare(a, "torch-backend", a->wants->said->torch_backend);
        set(a, "index_url", pip->index_url);
        set_list(a, "extra_index_url", &pip->extra_index_urls);
        set_list(a, "trusted_host", &pip->trusted_hosts);
        set(a, "no_index", pip->no_index ? "1" : NULL);
        set(a, "pre", pip->pre ? "1" : NULL);
        set(a, "torch_backend", a->wants->said->torch_backend);
        set_list(a, "note", &pip->notes);
        for (size_t i = 0; i < a->wants->found.len; i++)
                if (!strchr(a->wants->found.items[i], '\n'))
                        set(a, "found_name", a->wants->found.items[i]);
        set(a, "uv_lock", a->wants->has_lock ? "1" : NULL);
        add_lines(a, "requirements.txt", &pip->options, &pip->items, true);
        add_lines(a, "constraints.txt", NULL, &pip->constraints, false);
        add_lines(a, "sources.txt", NULL, &pip->sources, false);
        add_lines(a, "commands.txt", NULL, &pip->scripts, false);
}

static int add_pip_files(struct assembly *a, struct er_err *err)
{
        const struct er_requirements *pip = &a->wants->pip;

        if (add_files(a, &pip->files, err) < 0)
                return -1;
        for (size_t i = 0; i < pip->find_links.len; i++) {
                const char *link = pip->find_links.items[i];

                if (link[0] == '/') {
                        if (add_links(a, link, err) < 0)
                                return -1;
                } else {
                        declare(a, "find-links", link);
                        set(a, "find_links", link);
                }
        }
        set(a, "sent_links", a->links_sent ? "1" : NULL);
        return 0;
}

/* The user's shell lines: as they are, but for passwords in addresses, which are filled in just before the shell
   reads them. */
static void add_setup(struct assembly *a)
{
        er_auto(er_str) text = ER_STR_INIT;

        for (size_t i = 0; i < a->wants->said->setup.len; i++) {
                struct er_sv rest = er_sv(a->wants->said->setup.items[i]), line;

                er_credentials_hide(a->wants->said->setup.items[i], &a->recipe, &text);
                er_str_addc(&text, '\n');
                while (er_sv_cut(&rest, '\n', &line)) {
                        er_autofree char *shown = er_sv_dup(line);

                        declare(a, "setup", shown);
                }
        }
        if (text.len)
                er_recipe_add(&a->recipe, "setup.txt", er_svn(text.buf, text.len), 0600);
}

/* The parts of the script that are needed, and what they run. */
static int add_script(struct assembly *a, const struct er_strv *parts, bool container, struct er_err *err)
{
        static char index[] = "pip_index.sh", explain[] = "pip_explain.sh", build[] = "pip.sh";
        static char *const pip[] = {index, explain, build};
        er_auto(er_str) script = ER_STR_INIT;
        er_auto(er_strv) names = ER_STRV_INIT;

        er_strv_add(&names, "lib.sh");
        /* The conda part asks the pip parts how packages of pip will be installed. */
        if (er_strv_has(parts, "pip") || er_strv_has(parts, "conda"))
                er_strv_addall(&names, pip, ER_LEN(pip));
        for (size_t i = 0; i < parts->len; i++)
                if (!er_streq(parts->items[i], "pip"))
                        er_strv_addf(&names, "%s.sh", parts->items[i]);
        if (container)
                er_strv_add(&names, "container.sh");
        er_strv_add(&names, "main.sh");
        er_str_add(&script, "#!/bin/sh\n# Made by errand: how this environment is built and verified.\n");
        for (size_t i = 0; i < names.len; i++) {
                const struct er_build_script *found = NULL;

                for (size_t k = 0; k < er_build_script_count; k++)
                        if (er_streq(er_build_scripts[k].name, names.items[i]))
                                found = &er_build_scripts[k];
                if (!found)
                        return er_err_set(err, ER_INTERNAL, "the script %s is missing from this program",
                                          names.items[i]);
                if (er_streq(found->name, "main.sh")) {
                        er_str_add(&script, "\nPARTS='");
                        for (size_t k = 0; k < parts->len; k++)
                                er_str_addf(&script, "%s%s", k ? " " : "", parts->items[k]);
                        er_str_addf(&script, "'\nCONTAINER=%s\n", container ? "yes" : "");
                }
                er_str_addc(&script, '\n');
                er_str_addn(&script, found->data, found->len);
        }
        er_recipe_add(&a->recipe, "build.sh", er_svn(script.buf, script.len), 0700);
        for (size_t k = 0; k < er_build_script_count; k++)
                if (!er_ends(er_build_scripts[k].name, ".sh"))
                        er_recipe_add(&a->recipe, er_build_scripts[k].name,
                                      er_svn(er_build_scripts[k].data, er_build_scripts[k].len), 0600);
        return 0;
}

/* "pip: numpy, torch==2.1 and 3 more" */
static void summarize(struct er_str *out, const char *word, const struct er_strv *list)
{
        size_t shown = list->len > 5 ? 4 : list->len;
        er_auto(er_strv) sorted = ER_STRV_INIT;

        if (!list->len)
                return;
        er_strv_addall(&sorted, list->items, list->len);
        er_strv_sort(&sorted);
        er_str_addf(out, "%s%s: ", out->len ? "; " : "", word);
        for (size_t i = 0; i < shown; i++) {
                er_auto(er_str) item = ER_STR_INIT;

                er_credentials_mask(sorted.items[i], &item);
                er_str_cut(&item, strcspn(item.buf, ";\n"));
                if (strstr(item.buf, " --"))
                        er_str_cut(&item, (size_t)(strstr(item.buf, " --") - item.buf));
                er_str_rtrim(&item);
                er_str_addf(out, "%s%s", i ? ", " : "",
                            er_starts(item.buf, "${ERRAND_FILES}/") ? item.buf + strlen("${ERRAND_FILES}/") : item.buf);
        }
        if (shown < sorted.len)
                er_str_addf(out, " and %zu more", sorted.len - shown);
}

static char *summary_of(const struct er_wants *wants)
{
        const struct er_declaration *said = wants->said;
        er_auto(er_str) out = ER_STR_INIT;

        if (said->container) {
                er_str_add(&out, "container: ");
                er_credentials_mask(said->container, &out);
        }
        summarize(&out, "apt", &wants->apt);
        summarize(&out, "conda", &wants->conda);
        summarize(&out, "pip", &wants->pip.items);
        for (size_t i = 0; i < wants->data.len; i++)
                er_str_addf(&out, "%s%s", out.len ? "; " : "", er_path_base(wants->data.items[i]));
        summarize(&out, "julia", &wants->julia);
        if (said->python)
                er_str_addf(&out, "%spython %s", out.len ? "; " : "", said->python);
        if (said->setup.len)
                er_str_addf(&out, "%ssetup: %zu line%s", out.len ? "; " : "", said->setup.len,
                            said->setup.len == 1 ? "" : "s");
        if (!out.len)
                er_str_add(&out, "the project's own source");
        return er_str_detach(&out);
}

static bool has_data(const struct er_wants *wants, const char *name)
{
        for (size_t i = 0; i < wants->data.len; i++)
                if (er_streq(er_path_base(wants->data.items[i]), name))
                        return true;
        return false;
}

static int assemble(struct assembly *a, struct er_err *err)
{
        const struct er_wants *wants = a->wants;
        const struct er_declaration *said = wants->said;
        const struct er_requirements *pip = &wants->pip;
        const char *
                requires
        = said->python ? NULL : pip->requires_python;
        er_auto(er_strv) parts = ER_STRV_INIT;
        er_auto(er_hasher) hasher = {0};
        struct er_hash hash;

        if (wants->apt.len)
                er_strv_add(&parts, "apt");
        if (wants->conda.len)
                er_strv_add(&parts, "conda");
        if (pip->items.len || pip->sources.len || wants->has_lock ||
            (said->python && !wants->conda.len && !said->container))
                er_strv_add(&parts, "pip");
        if (wants->julia.len || has_data(wants, "Project.toml"))
                er_strv_add(&parts, "julia");
        if (said->setup.len)
                er_strv_add(&parts, "setup");
        if (!parts.len && !said->container)
                return 0;

        if (said->container)
                declare(a, "container", said->container);
        if (said->python)
                declare(a, "python", said->python);
        else if (requires)
                declare(a, "requires-python", requires);
        declare_list(a, "apt", &wants->apt, true);
        declare_list(a, "channel", &wants->channels, false);
        declare_list(a, "conda", &wants->conda, true);
        if (er_strv_has(&parts, "pip"))
                add_pip(a);
        declare_list(a, "julia", &wants->julia, true);
        set(a, "container", said->container);
        set(a, "python", said->python);
        set(a, "requires_python", requires);
        if (wants->only_found &&
            pip->items.len) { /* not the same as asking for these packages: what the host has will do */
                declare(a, "found-in", "scripts");
                set(a, "found", "yes");
        }
        /* Not part of the declaration: it is another way to the same content. */
        set(a, "fetch", er_fetch_name(said->fetch));
        if (er_strv_has(&parts, "pip") && add_pip_files(a, err) < 0)
                return -1;
        if (add_files(a, &wants->data, err) < 0)
                return -1;
        add_setup(a);
        add_lines(a, "apt.txt", NULL, &wants->apt, false);
        add_lines(a, "conda.txt", NULL, &wants->conda, false);
        add_lines(a, "channels.txt", NULL, &wants->channels, false);
        add_lines(a, "julia.txt", NULL, &wants->julia, false);
        er_recipe_add(&a->recipe, "settings", er_svn(a->settings.buf, a->settings.len), 0600);
        if (add_script(a, &parts, said->container, err) < 0 || er_hasher_init(&hasher, err) < 0)
                return -1;
        er_hasher_begin(&hasher);
        er_hasher_add(&hasher, "errand environment 1\n", strlen("errand environment 1\n"));
        er_hasher_add(&hasher, a->text.buf, a->text.len);
        er_hasher_end(&hasher, &hash);
        memcpy(a->recipe.hash, hash.bytes, ER_ENV_HASH);
        a->recipe.declaration = er_str_detach(&a->text);
        a->recipe.summary = summary_of(wants);
        return 1;
}

int er_wants_assemble(const struct er_wants *wants, struct er_recipe *ret, struct er_err *err)
{
        struct assembly a = {.wants = wants, .text = ER_STR_INIT, .settings = ER_STR_INIT};
        er_auto(er_str) encoded = ER_STR_INIT;
        int result = assemble(&a, err);

        if (result == 1) {
                er_recipe_encode(&a.recipe, &encoded);
                if (encoded.len > ER_RECIPE_MAX) {
                        er_err_set(err, ER_CONFIG, "the environment's files are too large in total (%zu KB)",
                                   encoded.len / 1024);
                        result = -1;
                }
        }
        if (result == 1)
                *ret = a.recipe;
        else
                er_recipe_release(&a.recipe);
        er_str_release(&a.text);
        er_str_release(&a.settings);
        return result;
}
