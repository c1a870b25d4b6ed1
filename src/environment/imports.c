/* imports.c - from the scripts through the project's modules to the distributions. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/io.h"
#include "base/map.h"
#include "base/path.h"
#include "environment/dists.h"
#include "environment/imports.h"
#include "environment/imports_scan.h"
#include "environment/imports_tree.h"
#include "environment/stdlib.h"
#include "environment/requirement.h"

#define MAX_FILE ((size_t)32 << 20)
#define MAX_FILES 200000
#define FIRST_READ ((size_t)64 << 10)
#define MAX_THREADS 4
#define FILES_A_THREAD 24 /* fewer files are read faster than a thread starts */

/* A file of the project, or the text of `-c`. */
struct file {
        char *path; /* relative to the project; "-c" for a text of the command line */
        char *text; /* of "-c", or NULL */
        bool needed, scanned, queued;
        struct er_import_scan scan;
};
enum kind { TARGET_NOTHING, TARGET_LOCAL, TARGET_STDLIB, TARGET_DIST };
/* What an import comes to. */
struct target {
        enum kind kind;
        bool space;      /* of a package that many distributions share: its name is more than its first part */
        bool available;  /* where the script was written, no fallback is needed */
        uint32_t *files; /* TARGET_LOCAL */
        size_t count, cap;
        char *distribution, *version, *note;
};
struct indexes {
        uint32_t *items;
        size_t count, cap;
};
struct search {
        char *project_dir;
        struct er_project project;
        struct er_dists *dists;
        struct er_strv roots; /* directories searched for a module */
        struct er_map root_set;
        bool whole; /* every file of the project is a script */
        struct file *files;
        size_t count, cap;
        struct er_map by_path;        /* -> index + 1 */
        struct indexes needed, maybe; /* to be read: first what is surely imported */
        struct er_map targets;        /* [root NUL] import -> struct target */
        struct er_map anywhere;       /* name of any module of the project -> index of its file + 1; made when needed */
        bool walked;
        struct er_strv all;     /* what the walk found */
        struct er_map found_at; /* distribution -> index + 1 in ret */
        struct er_map written;  /* modules that notebooks write */
        struct er_found_list found;
};

void er_found_list_release(struct er_found_list *list)
{
        for (size_t i = 0; i < list->count; i++) {
                free(list->items[i].import);
                free(list->items[i].distribution);
                free(list->items[i].version);
                free(list->items[i].requirement);
                free(list->items[i].file);
                free(list->items[i].note);
        }
        free(list->items);
        er_strv_release(&list->options);
        *list = (struct er_found_list)ER_FOUND_LIST_INIT;
}

static void *number_value(size_t number)
{
        uintptr_t bits = number;
        void *value;

        memcpy(&value, &bits, sizeof value);
        return value;
}

static size_t value_number(void *value)
{
        uintptr_t bits;

        memcpy(&bits, &value, sizeof bits);
        return bits;
}

static void push(struct indexes *list, uint32_t index)
{
        list->items = er_grow(list->items, &list->cap, list->count + 1, sizeof *list->items);
        list->items[list->count++] = index;
}

/* ---- Files */

static uint32_t intern(struct search *s, const char *path)
{
        size_t number = value_number(er_map_gets(&s->by_path, path));

        if (number == 0) {
                s->files = er_grow(s->files, &s->cap, s->count + 1, sizeof *s->files);
                s->files[s->count++] = (struct file){.path = er_strdup(path), .scan = ER_IMPORT_SCAN_INIT};
                number = s->count;
                er_map_sets(&s->by_path, path, number_value(number));
        }
        return (uint32_t)(number - 1);
}

static void want(struct search *s, uint32_t index, bool needed)
{
        struct file *file = &s->files[index];

        if (s->count > MAX_FILES || file->scanned || (file->queued && (file->needed || !needed)))
                return;
        file->queued = true;
        file->needed = needed;
        push(needed ? &s->needed : &s->maybe, index);
}

struct reading {
        struct search *s;
        const struct indexes *wave;
        atomic_size_t next;
};

/* All of a file, usually in one read: its size is not asked for. */
static bool read_file(int at, const char *path, struct er_str *text)
{
        er_autoclose int fd = openat(at, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        ssize_t len = 1;

        er_str_reset(text);
        while (fd >= 0 && len > 0 && text->len <= MAX_FILE) {
                er_str_reserve(text, text->len > 0 ? text->len : FIRST_READ);
                len = read(fd, text->buf + text->len, text->cap - text->len - 1);
                if (len < 0)
                        return false;
                text->len += (size_t)len;
                if (text->len < text->cap - 1) /* a regular file gives less only at its end */
                        break;
        }
        return fd >= 0 && text->len > 0 && text->len <= MAX_FILE;
}

static void scan_file(const struct search *s, struct file *file, struct er_str *text)
{
        if (file->text)
                er_import_scan_python(file->text, strlen(file->text), &file->scan);
        else if (!read_file(s->project.fd, file->path, text))
                return;
        else if (er_ends(file->path, ".ipynb"))
                er_import_scan_notebook(text->buf, text->len, &file->scan);
        else
                er_import_scan_python(text->buf, text->len, &file->scan);
}

static void *scan_some(void *arg)
{
        struct reading *reading = arg;
        er_auto(er_str) text = ER_STR_INIT;
        size_t i;

        while ((i = atomic_fetch_add(&reading->next, 1)) < reading->wave->count)
                scan_file(reading->s, &reading->s->files[reading->wave->items[i]], &text);
        return NULL;
}

static void scan_wave(struct search *s, const struct indexes *wave)
{
        struct reading reading = {.s = s, .wave = wave};
        pthread_t threads[MAX_THREADS];
        long cpus = sysconf(_SC_NPROCESSORS_ONLN);
        size_t want_threads = wave->count / FILES_A_THREAD, started = 0;

        if (cpus > 0 && want_threads > (size_t)cpus - 1)
                want_threads = (size_t)cpus - 1;
        if (want_threads > MAX_THREADS)
                want_threads = MAX_THREADS;
        while (started < want_threads && pthread_create(&threads[started], NULL, scan_some, &reading) == 0)
                started++;
        scan_some(&reading);
        while (started > 0)
                pthread_join(threads[--started], NULL);
}

/* ---- The project's own modules */

enum match { MATCH_NONE, MATCH_SPACE, MATCH_SPACE_FILE, MATCH_MODULE };

static void add_module(struct search *s, const struct er_str *dir, const char *file, struct target *target)
{
        er_autofree char *path = dir->len ? er_fmt("%s/%s", dir->buf, file) : er_strdup(file);

        target->files = er_grow(target->files, &target->cap, target->count + 1, sizeof *target->files);
        target->files[target->count++] = intern(s, path);
}

static void enter(struct er_str *dir, struct er_sv part)
{
        if (dir->len > 0)
                er_str_addc(dir, '/');
        er_str_addn(dir, part.ptr, part.len);
}

/* Follows a dotted name below one directory, as Python's finder does: packages, modules, namespaces. */
static enum match match_in(struct search *s, const char *root, struct er_sv name, struct target *target)
{
        er_auto(er_str) dir = ER_STR_INIT, file = ER_STR_INIT;
        enum match match = MATCH_NONE;
        bool space = false;
        struct er_sv part;

        er_str_add(&dir, root);
        while (er_sv_cut(&name, '.', &part)) {
                enum er_entry entry = er_project_look(&s->project, dir.buf, part.ptr, part.len);
                size_t parent = dir.len;

                if (entry == ER_ENTRY_DIR) {
                        enter(&dir, part);
                        if (er_project_look(&s->project, dir.buf, "__init__.py", 11) == ER_ENTRY_FILE) {
                                add_module(s, &dir, "__init__.py", target);
                                match = space ? MATCH_SPACE_FILE : MATCH_MODULE;
                                continue;
                        }
                }
                er_str_reset(&file);
                er_str_addf(&file, "%.*s.py", (int)part.len, part.ptr);
                er_str_cut(&dir, parent);
                if (er_project_look(&s->project, dir.buf, file.buf, file.len) == ER_ENTRY_FILE) {
                        add_module(s, &dir, file.buf, target);
                        return space ? MATCH_SPACE_FILE : MATCH_MODULE;
                }
                if (entry == ER_ENTRY_COMPILED)
                        return space ? MATCH_SPACE_FILE : MATCH_MODULE;
                if (entry != ER_ENTRY_DIR)
                        break;
                enter(&dir, part);
                space = match != MATCH_MODULE;
                if (match == MATCH_NONE && er_project_has_code(&s->project, dir.buf))
                        match = MATCH_SPACE;
        }
        return match;
}

static enum match match_local(struct search *s, const char *own_root, struct er_sv name, struct target *target)
{
        enum match best = MATCH_NONE;

        for (size_t i = 0; i < s->roots.len + 1; i++) {
                const char *root = i == 0 ? own_root : s->roots.items[i - 1];
                struct target here = {0};
                enum match match = root ? match_in(s, root, name, &here) : MATCH_NONE;

                if (match > best) {
                        free(target->files);
                        target->files = er_take(here.files);
                        target->count = here.count;
                        target->cap = here.cap;
                        best = match;
                }
                free(here.files);
                if (best == MATCH_MODULE)
                        break;
        }
        return best;
}

static char *dir_of(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? er_strndup(path, (size_t)(slash - path)) : er_strdup("");
}

/* The directory above the package that a file is in. */
static char *package_root(struct search *s, const char *path)
{
        char *dir = dir_of(path);

        while (dir[0] && er_project_look(&s->project, dir, "__init__.py", 11) == ER_ENTRY_FILE) {
                char *up = dir_of(dir);

                free(dir);
                dir = up;
        }
        return dir;
}

static void walk(struct search *s)
{
        if (s->walked)
                return;
        s->walked = true;
        er_project_files(&s->project, &s->all);
        for (size_t i = 0; i < s->all.len; i++) {
                const char *path = s->all.items[i], *base = er_path_base(path);
                er_autofree char *dir = dir_of(path);
                er_autofree char *stem = NULL;

                if (!er_ends(base, ".py"))
                        continue;
                stem = er_strndup(base, strlen(base) - 3);
                if (!er_map_gets(&s->anywhere, stem))
                        er_map_sets(&s->anywhere, stem, number_value(intern(s, path) + 1u));
                /* A directory that has modules may be imported; its __init__.py usually sorts before them. */
                if (dir[0] && (er_streq(base, "__init__.py") || !er_map_gets(&s->anywhere, er_path_base(dir))))
                        er_map_sets(&s->anywhere, er_path_base(dir), number_value(intern(s, path) + 1u));
        }
}

/* ---- What an import comes to */

static void resolve_dist(struct search *s, struct er_sv name, struct er_sv top, struct target *target)
{
        const struct er_dist *dist = er_dists_find(s->dists, name);
        size_t number;

        if (dist) {
                target->kind = TARGET_DIST;
                target->available = true;
                target->distribution = er_strdup(dist->name);
                target->version = dist->version ? er_strdup(dist->version) : NULL;
                target->note = dist->note ? er_strdup(dist->note) : NULL;
                if (dist->note && strstr(dist->note, s->project_dir))
                        target->kind = TARGET_NOTHING; /* the project itself */
                return;
        }
        if (!er_dist_known(name) && !target->space) {
                er_autofree char *first = er_sv_dup(top);

                walk(s);
                number = value_number(er_map_gets(&s->anywhere, first));
                if (number > 0) {
                        target->kind = TARGET_LOCAL;
                        target->available = true;
                        target->files = er_grow(target->files, &target->cap, 1, sizeof *target->files);
                        target->files[target->count++] = (uint32_t)(number - 1);
                        return;
                }
                if (top.ptr[0] == '_')
                        return; /* an optional accelerator, tried and missing */
        }
        target->distribution = er_dist_guess(name);
        if (target->distribution)
                target->kind = TARGET_DIST;
}

static bool is_written(const struct search *s, struct er_sv top)
{
        er_autofree char *name = er_sv_dup(top);

        return er_map_gets(&s->written, name) != NULL;
}

static struct target *resolve(struct search *s, const char *own_root, struct er_sv name)
{
        er_auto(er_str) key = ER_STR_INIT;
        const char *dot = memchr(name.ptr, '.', name.len);
        struct er_sv top = er_svn(name.ptr, dot ? (size_t)(dot - name.ptr) : name.len);
        struct target *target;
        enum match match;

        if (own_root)
                er_str_addn(&key, own_root, strlen(own_root) + 1);
        er_str_addn(&key, name.ptr, name.len);
        target = er_map_get(&s->targets, key.buf, key.len);
        if (target)
                return target;
        target = er_new(struct target);
        target->space = er_dist_is_space(top);
        if (is_written(s, top)) {
                target->kind = TARGET_LOCAL;
                target->available = true;
                er_map_set(&s->targets, key.buf, key.len, target);
                return target;
        }
        match = match_local(s, own_root, name, target);
        if (match < MATCH_MODULE && er_stdlib_has(top)) {
                target->kind = TARGET_STDLIB;
                target->available = !er_stdlib_is_recent(top);
        } else if (match >= MATCH_SPACE_FILE ||
                   (match == MATCH_SPACE && !er_dist_known(top) && !er_dists_find(s->dists, name))) {
                target->kind = TARGET_LOCAL;
                target->available = true;
        } else
                resolve_dist(s, name, top, target);
        er_map_set(&s->targets, key.buf, key.len, target);
        return target;
}

/* `from ..x import y`: below the package of the file, whatever it is called. */
static void relative(struct search *s, const struct file *file, const struct er_import *item, bool needed)
{
        er_autofree char *dir = dir_of(file->path);
        const char *name = file->scan.names.buf + item->name;
        er_auto(er_str) init = ER_STR_INIT;
        struct target target = {0};

        for (unsigned i = 1; i < item->level; i++) {
                char *up = dir_of(dir);

                free(dir);
                dir = up;
        }
        if (er_project_look(&s->project, dir, "__init__.py", 11) == ER_ENTRY_FILE) {
                er_str_add(&init, dir);
                add_module(s, &init, "__init__.py", &target);
        }
        if (name[0])
                (void)match_in(s, dir, er_sv(name), &target);
        for (size_t i = 0; i < target.count; i++)
                want(s, target.files[i], needed);
        free(target.files);
}

/* ---- What is found */

static void add_found(struct search *s, const char *path, const struct er_import *item, const char *written,
                      size_t written_len, const char *distribution, const char *version, const char *note,
                      bool optional)
{
        size_t number = value_number(er_map_gets(&s->found_at, distribution));
        struct er_found *found;

        if (number == 0) {
                s->found.items = er_grow(s->found.items, &s->found.cap, s->found.count + 1, sizeof *s->found.items);
                found = &s->found.items[s->found.count++];
                *found = (struct er_found){.distribution = er_strdup(distribution), .optional = optional};
                er_map_sets(&s->found_at, distribution, number_value(s->found.count));
        } else {
                found = &s->found.items[number - 1];
                if (!found->optional || optional)
                        return;
                found->optional = false;
                free(found->import);
                free(found->version);
                free(found->file);
                free(found->note);
        }
        found->import = er_strndup(written, written_len);
        found->version = version ? er_strdup(version) : NULL;
        found->note = note ? er_strdup(note) : NULL;
        found->file = er_strdup(path);
        found->line = item->line;
}

/* "-r FILE": beside the notebook, or below the project. A missing one comes with a `git clone` in the notebook. */
static void add_option(struct search *s, const char *path, const char *text)
{
        const char *value = strchr(text, ' ') + 1;
        er_auto(er_str) line = ER_STR_INIT;

        if (er_starts(text, "-r ") || er_starts(text, "-c ")) {
                er_autofree char *dir = dir_of(path);
                er_autofree char *beside = dir[0] ? er_path_join(dir, value) : er_strdup(value);
                const char *names[] = {beside, value};

                for (size_t i = 0; i < ER_LEN(names) && !line.len; i++) {
                        er_autofree char *full = er_path_join(s->project_dir, names[i]);

                        if (access(full, R_OK) == 0)
                                er_str_addf(&line, "%.2s %s", text, names[i]);
                }
        } else {
                er_str_add(&line, text);
        }
        if (line.len && !er_strv_has(&s->found.options, line.buf))
                er_strv_add(&s->found.options, line.buf);
}

/* "numpy==1.26 ; marker" of a line that installs. */
static void add_declared(struct search *s, const char *path, const struct er_import *item, const char *text,
                         bool optional)
{
        bool source = strstr(text, "://") && strcspn(text, " @;") > strcspn(text, ":");
        size_t len = strcspn(text, " <>=!~;@,[");
        const char *close = text[len] == '[' ? strchr(text + len, ']') : NULL;
        const char *rest = close ? close + 1 : text + len, *why;
        er_autofree char *name = source ? er_import_source_name(text) : er_distribution_name(er_svn(text, len));
        er_autofree char *whole = source ? er_strdup(text) : er_requirement_canonical(er_sv(text), &why);
        er_autofree char *version = NULL;
        struct er_found *found;

        if (text[0] == '-') {
                if (!optional)
                        add_option(s, path, text);
                return;
        }
        if (!whole || !name[0])
                return;
        rest += strspn(rest, " ");
        if (!source && er_starts(rest, "==") && rest[2] != '=') {
                const char *begin = rest + 2 + strspn(rest + 2, " ");
                size_t version_len = strcspn(begin, " ,;");

                if (!memchr(begin, '*', version_len))
                        version = er_strndup(begin, version_len);
        }
        add_found(s, path, item, text, strlen(text), name, version, NULL, optional);
        found = &s->found.items[value_number(er_map_gets(&s->found_at, name)) - 1];
        if (!found->requirement && found->optional == optional && strlen(whole) > strlen(name))
                found->requirement = er_take(whole);
}

/* Is this branch of the `try` statements around it the one that is taken? */
static bool chosen(const struct file *file, const struct er_import *item, bool available, const uint32_t *missing)
{
        int32_t group = item->group;
        bool handler = item->handler;

        while (group >= 0) {
                const struct er_import_group *g = &file->scan.groups[group];

                if (g->catches) {
                        if (handler ? missing[group] == 0 : !available && !g->raises)
                                return false;
                }
                handler = g->handler;
                group = g->parent;
        }
        return true;
}

static void follow_file(struct search *s, uint32_t index)
{
        struct file file = s->files[index]; /* the array may move */
        er_autofree char *own = s->whole ? package_root(s, file.path) : NULL;
        const char *own_root = own && !er_map_gets(&s->root_set, own) ? own : NULL;
        er_autofree struct target **targets = er_calloc(file.scan.count + 1, sizeof(struct target *));
        er_autofree uint32_t *missing = er_calloc(file.scan.group_count + 1, sizeof(uint32_t));

        for (size_t i = 0; i < file.scan.count; i++) {
                const struct er_import *item = &file.scan.items[i];

                if (item->flags & ER_IMPORT_WRITTEN)
                        er_map_sets(&s->written, file.scan.names.buf + item->name, number_value(1));
                if (item->level > 0 || item->flags & (ER_IMPORT_DECLARED | ER_IMPORT_WRITTEN))
                        continue;
                targets[i] = resolve(s, own_root, er_sv(file.scan.names.buf + item->name));
                if (item->group >= 0 && !item->handler && !targets[i]->available)
                        missing[item->group]++;
        }
        for (size_t i = 0; i < file.scan.count; i++) {
                const struct er_import *item = &file.scan.items[i];
                const struct target *target = targets[i];
                const char *name = file.scan.names.buf + item->name;
                bool needed = file.needed && !(item->flags & ER_IMPORT_NEVER) &&
                              chosen(&file, item, !target || target->available, missing);

                if (item->flags & ER_IMPORT_WRITTEN)
                        continue;
                if (item->level > 0)
                        relative(s, &file, item, needed);
                else if (!target)
                        add_declared(s, file.path, item, name, !needed);
                else if (target->kind == TARGET_LOCAL)
                        for (size_t k = 0; k < target->count; k++)
                                want(s, target->files[k], needed);
                else if (target->kind == TARGET_DIST) {
                        /* Torch has the module, but not what it is made of. */
                        if (er_starts(name, "torch.utils.tensorboard"))
                                add_found(s, file.path, item, name, item->module_len, "tensorboard", NULL, NULL,
                                          !needed);
                        add_found(s, file.path, item, name, target->space ? strlen(name) : item->module_len,
                                  target->distribution, target->version, target->note, !needed || target->note);
                }
        }
}

/* In waves: several threads read the files of one, which are then followed in order, so that the answer is always the
   same. */
static void follow_all(struct search *s)
{
        while (s->needed.count > 0 || s->maybe.count > 0) {
                struct indexes wave = {0}, *from = s->needed.count > 0 ? &s->needed : &s->maybe;

                for (size_t i = 0; i < from->count; i++)
                        if (!s->files[from->items[i]].scanned) {
                                s->files[from->items[i]].scanned = true;
                                push(&wave, from->items[i]);
                        }
                from->count = 0;
                scan_wave(s, &wave);
                for (size_t i = 0; i < wave.count; i++)
                        follow_file(s, wave.items[i]);
                free(wave.items);
        }
}

/* ---- Where it begins */

static void add_root(struct search *s, const char *dir)
{
        static char present;

        if (er_map_gets(&s->root_set, dir))
                return;
        er_map_sets(&s->root_set, dir, &present);
        er_strv_add(&s->roots, dir);
}

/* The test files below a directory, as pytest and unittest find them. */
static void begin_tests(struct search *s, const char *dir)
{
        size_t len = strlen(dir);

        walk(s);
        for (size_t i = 0; i < s->all.len; i++) {
                const char *path = s->all.items[i], *base = er_path_base(path);
                er_autofree char *own = dir_of(path), *root = NULL;

                if (len && (strncmp(path, dir, len) != 0 || path[len] != '/'))
                        continue;
                if (!er_ends(base, ".py") ||
                    (!er_starts(base, "test") && !er_ends(base, "_test.py") && !er_streq(base, "conftest.py")))
                        continue;
                root = package_root(s, path);
                add_root(s, own);
                add_root(s, root);
                want(s, intern(s, path), true);
        }
}

static void begin_script(struct search *s, const char *script)
{
        if (er_starts(script, "-t ")) {
                begin_tests(s, script + 3);
                return;
        }
        if (er_starts(script, "-c ") || er_starts(script, "-m ")) {
                uint32_t index = intern(s, script);

                free(s->files[index].text);
                s->files[index].text = script[1] == 'c' ? er_strdup(script + 3) : er_fmt("import %s\n", script + 3);
                s->files[index].path[2] = '\0'; /* only "-c" is shown */
                want(s, index, true);
                return;
        }
        if (!er_path_is_safe(script, strlen(script)))
                return;
        if (!s->whole) {
                er_autofree char *dir = dir_of(script), *root = package_root(s, script);

                add_root(s, dir);
                add_root(s, root);
        }
        want(s, intern(s, script), true);
}

static int compare_found(const void *a, const void *b)
{
        const struct er_found *left = a, *right = b;

        return strcmp(left->distribution, right->distribution);
}

static void search_release(struct search *s)
{
        const struct er_map_slot *slot;
        size_t i = 0;

        while ((slot = er_map_next(&s->targets, &i))) {
                struct target *target = slot->value;

                free(target->files);
                free(target->distribution);
                free(target->version);
                free(target->note);
                free(target);
        }
        for (i = 0; i < s->count; i++) {
                free(s->files[i].path);
                free(s->files[i].text);
                er_import_scan_release(&s->files[i].scan);
        }
        free(s->files);
        free(s->needed.items);
        free(s->maybe.items);
        free(s->project_dir);
        er_map_release(&s->targets);
        er_map_release(&s->by_path);
        er_map_release(&s->anywhere);
        er_map_release(&s->found_at);
        er_map_release(&s->written);
        er_map_release(&s->root_set);
        er_strv_release(&s->roots);
        er_strv_release(&s->all);
        er_found_list_release(&s->found);
        er_dists_free(s->dists);
        er_project_release(&s->project);
}

int er_imports_find(const char *project_dir, const struct er_strv *scripts, struct er_found_list *ret,
                    struct er_err *err)
{
        static const char *const usual_roots[] = {"src", "lib", "python"};
        struct search s = {.project = ER_PROJECT_INIT};

        if (er_project_open(&s.project, project_dir, err) < 0)
                return -1;
        s.project_dir = er_path_abs(project_dir);
        s.dists = er_dists_new(s.project_dir);
        if (!scripts || scripts->len == 0) {
                s.whole = true;
                walk(&s);
                scripts = &s.all;
        }
        for (size_t i = 0; i < scripts->len; i++)
                begin_script(&s, scripts->items[i]);
        add_root(&s, "");
        for (size_t i = 0; i < ER_LEN(usual_roots); i++)
                if (er_project_look(&s.project, "", usual_roots[i], strlen(usual_roots[i])) == ER_ENTRY_DIR)
                        add_root(&s, usual_roots[i]);
        follow_all(&s);
        if (s.found.count > 0)
                qsort(s.found.items, s.found.count, sizeof *s.found.items, compare_found);
        *ret = s.found;
        s.found = (struct er_found_list)ER_FOUND_LIST_INIT;
        search_release(&s);
        return 0;
}
