/* kept_out.c - see kept_out.h */
#include "host/snapshot/kept_out.h"

#include <fcntl.h>
#include <sys/stat.h>
#include "base/io.h"
#include "base/map.h"
#include "base/proc.h"
#include "host/snapshot/gitrun.h"
#include "host/snapshot/project.h"

void er_kept_out_release(struct er_kept_out *kept)
{
        for (size_t i = 0; i < kept->largest_len; i++)
                free(kept->largest[i].path);
        *kept = (struct er_kept_out){0};
}

static void list_snapshot(const struct er_snapshot *snapshot, struct er_map *ret)
{
        struct er_tree_entry entry;

        for (size_t i = 0; snapshot && er_snapshot_entry(snapshot, i, &entry); i++)
                er_map_set(ret, entry.path.ptr, entry.path.len, ret);
}

static void insert(struct er_kept_out *kept, const struct er_map_slot *slot)
{
        const struct er_dir_size *sum = slot->value;
        size_t at = kept->largest_len;

        while (at > 0 &&
               (kept->largest[at - 1].bytes < sum->bytes ||
                (kept->largest[at - 1].bytes == sum->bytes && strcmp(kept->largest[at - 1].path, slot->key) > 0)))
                at--;
        if (at == ER_KEPT_OUT_MAX)
                return;
        if (kept->largest_len == ER_KEPT_OUT_MAX)
                free(kept->largest[--kept->largest_len].path);
        memmove(&kept->largest[at + 1], &kept->largest[at], (kept->largest_len - at) * sizeof *kept->largest);
        kept->largest[at] = (struct er_dir_size){er_strdup(slot->key), sum->files, sum->bytes};
        kept->largest_len++;
}

static void add(struct er_map *sums, struct er_kept_out *kept, struct er_sv name, uint64_t bytes)
{
        const char *slash = memchr(name.ptr, '/', name.len);
        size_t len = slash ? (size_t)(slash - name.ptr) + 1 : name.len;
        struct er_dir_size *sum = er_map_get(sums, name.ptr, len);

        if (!sum) {
                sum = er_calloc(1, sizeof *sum);
                er_map_set(sums, name.ptr, len, sum);
        }
        sum->files++;
        sum->bytes += bytes;
        kept->files++;
        kept->bytes += bytes;
}

void er_kept_out_find(const char *dir, const struct er_snapshot *snapshot, struct er_kept_out *ret)
{
        static const char *const args[] = {"ls-files", "-z", "-o", "-i", "--exclude-standard", NULL};
        er_autofree char *top = er_git_top(dir), *program = top ? er_proc_which("git") : NULL;
        er_autoclose int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        er_auto(er_git) git = ER_GIT_INIT;
        er_auto(er_map) travels = ER_MAP_INIT;
        er_auto(er_map) sums = ER_MAP_INIT;
        const struct er_map_slot *slot;
        struct er_sv rest, name;

        git.args = args;
        if (!program || dir_fd < 0 || er_git_run(&git, dir, NULL, NULL) < 0 || git.status != 0)
                return;
        list_snapshot(snapshot, &travels);
        rest = er_svn(git.out.buf, git.out.len);
        while (er_sv_cut(&rest, '\0', &name)) {
                struct stat st;

                if (name.len == 0 || name.ptr[name.len - 1] == '/' || er_sv_starts(name, ER_SV("results/")) ||
                    er_map_get(&travels, name.ptr, name.len))
                        continue;
                if (fstatat(dir_fd, name.ptr, &st, AT_SYMLINK_NOFOLLOW) == 0)
                        add(&sums, ret, name, S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0);
        }
        for (size_t i = 0; (slot = er_map_next(&sums, &i));) {
                insert(ret, slot);
                free(slot->value);
        }
}
