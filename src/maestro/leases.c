/*
 * leases.c - see leases.h. POSIX record locks belong to the process, and vanish when any descriptor of the file is
 * closed. So there is one descriptor for each state directory as long as the process lives, and a list of what its
 * threads hold.
 */
#include "maestro/leases.h"

#include <pthread.h>
#include "base/lock.h"
#include "maestro/maestro.h"

struct lease_file {
        char *dir;
        struct er_leases leases;
        int64_t *held;
        size_t held_count, held_cap;
        struct lease_file *next;
};

static pthread_mutex_t lease_lock = PTHREAD_MUTEX_INITIALIZER;
static struct lease_file *lease_files;

static struct lease_file *find(struct er_store *store, struct er_err *err)
{
        const char *dir = er_store_dir(store);
        er_autofree char *path = er_fmt("%s/leases", dir);
        struct er_leases leases = ER_LEASES_INIT;
        struct lease_file *file = lease_files;

        while (file && !er_streq(file->dir, dir))
                file = file->next;
        if (file)
                return file;
        if (er_leases_open(&leases, path, err) < 0)
                return NULL;
        file = er_new(struct lease_file);
        file->dir = er_strdup(dir);
        file->leases = leases;
        file->next = lease_files;
        lease_files = file;
        return file;
}

static size_t held_index(const struct lease_file *file, int64_t run_id)
{
        size_t i = 0;

        while (i < file->held_count && file->held[i] != run_id)
                i++;
        return i;
}

int er_run_take(struct er_store *store, int64_t run_id, struct er_err *err)
{
        struct lease_file *file;
        int rc = -1;

        pthread_mutex_lock(&lease_lock);
        file = find(store, err);
        if (file && held_index(file, run_id) < file->held_count) {
                rc = 0; /* another thread of this process */
        } else if (file) {
                rc = er_lease_take(&file->leases, run_id, err);
                if (rc == 1) {
                        file->held = er_grow(file->held, &file->held_cap, file->held_count + 1, sizeof *file->held);
                        file->held[file->held_count++] = run_id;
                }
        }
        pthread_mutex_unlock(&lease_lock);
        return rc;
}

void er_run_drop(struct er_store *store, int64_t run_id)
{
        struct lease_file *file;
        size_t i;

        pthread_mutex_lock(&lease_lock);
        file = find(store, NULL);
        i = file ? held_index(file, run_id) : 0;
        if (file && i < file->held_count) {
                er_lease_drop(&file->leases, run_id);
                file->held[i] = file->held[--file->held_count];
        }
        pthread_mutex_unlock(&lease_lock);
}

bool er_maestro_is_carried(struct er_store *store, int64_t run_id)
{
        struct lease_file *file;
        bool carried;

        pthread_mutex_lock(&lease_lock);
        file = find(store, NULL);
        carried = file && (held_index(file, run_id) < file->held_count || er_lease_holder(&file->leases, run_id) != 0);
        pthread_mutex_unlock(&lease_lock);
        return carried;
}
