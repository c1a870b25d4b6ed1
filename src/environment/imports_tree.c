/* imports_tree.c - see imports_tree.h */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "environment/imports_tree.h"

#define MAX_DEPTH 24

struct listing {
        struct er_map entries; /* name -> one of kinds[] */
        bool has_code, is_venv;
};
/* The kinds as values of a map. */
static char kinds[4];

static void listing_free(struct listing *listing)
{
        er_map_release(&listing->entries);
        free(listing);
}

int er_project_open(struct er_project *project, const char *dir, struct er_err *err)
{
        *project = (struct er_project)ER_PROJECT_INIT;
        project->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (project->fd < 0)
                return er_err_errno(err, errno, "open %s", dir);
        return 0;
}

void er_project_release(struct er_project *project)
{
        const struct er_map_slot *slot;
        size_t i = 0;

        while ((slot = er_map_next(&project->dirs, &i)))
                listing_free(slot->value);
        er_map_release(&project->dirs);
        er_close(&project->fd);
}

static enum er_entry kind_of(int fd, const struct dirent *entry)
{
        struct stat st;

        if (entry->d_type == DT_REG)
                return ER_ENTRY_FILE;
        if (entry->d_type == DT_DIR)
                return ER_ENTRY_DIR;
        if ((entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN) || fstatat(fd, entry->d_name, &st, 0) < 0)
                return ER_ENTRY_NONE;
        return S_ISREG(st.st_mode) ? ER_ENTRY_FILE : S_ISDIR(st.st_mode) ? ER_ENTRY_DIR : ER_ENTRY_NONE;
}

static struct listing *read_listing(const struct er_project *project, const char *dir)
{
        struct listing *listing = er_new(struct listing);
        int fd = openat(project->fd, dir[0] ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *stream = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry;

        if (!stream) {
                er_close(&fd);
                return listing;
        }
        while ((entry = readdir(stream))) {
                const char *name = entry->d_name, *dot;
                enum er_entry kind;

                if (name[0] == '.' || (kind = kind_of(fd, entry)) == ER_ENTRY_NONE)
                        continue;
                er_map_sets(&listing->entries, name, &kinds[kind]);
                if (kind != ER_ENTRY_FILE)
                        continue;
                listing->has_code = listing->has_code || er_ends(name, ".py");
                listing->is_venv = listing->is_venv || er_streq(name, "pyvenv.cfg");
                dot = strchr(name, '.');
                if (dot && (er_ends(name, ".so") || er_ends(name, ".pyx") || er_ends(name, ".pyd")) &&
                    !er_map_get(&listing->entries, name, (size_t)(dot - name)))
                        er_map_set(&listing->entries, name, (size_t)(dot - name), &kinds[ER_ENTRY_COMPILED]);
        }
        closedir(stream);
        return listing;
}

static struct listing *listing_of(struct er_project *project, const char *dir)
{
        struct listing *listing = er_map_gets(&project->dirs, dir);

        if (!listing) {
                listing = read_listing(project, dir);
                er_map_sets(&project->dirs, dir, listing);
        }
        return listing;
}

enum er_entry er_project_look(struct er_project *project, const char *dir, const char *name, size_t len)
{
        const char *kind = er_map_get(&listing_of(project, dir)->entries, name, len);

        return kind ? (enum er_entry)(kind - kinds) : ER_ENTRY_NONE;
}

bool er_project_has_code(struct er_project *project, const char *dir)
{
        return listing_of(project, dir)->has_code;
}

static bool is_skipped(const char *name)
{
        static const char *const names[] = {
                "__pycache__", "node_modules", "site-packages", "dist-packages", "venv",
                "env",         "virtualenv",   "build",         "dist",
        };

        for (size_t i = 0; i < ER_LEN(names); i++)
                if (er_streq(name, names[i]))
                        return true;
        return er_ends(name, ".egg-info") || er_ends(name, ".dist-info");
}

static void walk(struct er_project *project, const char *dir, unsigned depth, struct er_strv *ret)
{
        const struct listing *listing = listing_of(project, dir);
        const struct er_map_slot *slot;
        size_t i = 0;

        if (listing->is_venv)
                return;
        while ((slot = er_map_next(&listing->entries, &i))) {
                er_autofree char *path = dir[0] ? er_fmt("%s/%s", dir, slot->key) : er_strdup(slot->key);
                struct stat st;

                if (slot->value == &kinds[ER_ENTRY_FILE] && (er_ends(slot->key, ".py") || er_ends(slot->key, ".ipynb")))
                        er_strv_take(ret, er_take(path));
                else if (slot->value == &kinds[ER_ENTRY_DIR] && !is_skipped(slot->key) && depth < MAX_DEPTH &&
                         fstatat(project->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
                        walk(project, path, depth + 1, ret);
        }
}

void er_project_files(struct er_project *project, struct er_strv *ret)
{
        walk(project, "", 0, ret);
        er_strv_sort(ret);
}
