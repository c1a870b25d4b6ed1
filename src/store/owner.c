/*
 * owner.c - which store this is. Its id is the last part of the keys of its jobs, so a copy (a laptop that was moved, a
 * cloned machine, a directory that was copied) must not go on with the same one: then each of the two would take the
 * jobs of the other for its own, and remove them as forgotten. A copy is known by another inode or another machine,
 * where the file system is local and both mean something. From then on new runs have a new id; those that were there
 * keep theirs. Not noticed: a backup that is written over the file, and a disk that is set back to a snapshot.
 */
#include "store/db.h"

#include <fcntl.h>
#include "base/io.h"
#ifdef __linux__
#include <linux/magic.h>
#include <sys/vfs.h>
#endif

/* Where inodes may change by themselves, or several machines share a home directory, neither tells anything. */
static bool is_elsewhere(const struct er_store *store)
{
#ifdef __linux__
        static const unsigned long local[] = {EXT4_SUPER_MAGIC, BTRFS_SUPER_MAGIC,    XFS_SUPER_MAGIC, TMPFS_MAGIC,
                                              F2FS_SUPER_MAGIC, 0x2FC12FC1 /* ZFS */, 0xCA451A4E /* bcachefs */};
        struct statfs fs;

        if (statfs(store->path, &fs) < 0)
                return true;
        for (size_t i = 0; i < ER_LEN(local); i++)
                if ((unsigned long)fs.f_type == local[i])
                        return false;
        return true;
#else
        (void)store;
        return false;
#endif
}

/* Empty where it cannot be told: machine-id(5) has 32 hexadecimal digits, or says "uninitialized". */
static void read_machine(struct er_str *ret)
{
        er_auto(er_str) text = ER_STR_INIT;
        struct er_sv id;

        if (er_file_read(AT_FDCWD, "/etc/machine-id", 256, &text, NULL) < 0)
                return;
        id = er_sv_trim(er_svn(text.buf, text.len));
        if (id.len == 32 && strspn(id.ptr, "0123456789abcdef") >= 32)
                er_str_addn(ret, id.ptr, id.len);
}

int er_store_read_owners(struct er_store *store, struct er_err *err)
{
        sqlite3_stmt *stmt;
        int rc;

        store->owner_count = 0;
        if (er_db_stmt(store,
                       "SELECT since, id, inode, machine FROM (SELECT * FROM owner ORDER BY since DESC LIMIT ?1) ORDER "
                       "BY since",
                       &stmt, err) < 0)
                return -1;
        er_db_bind_int(stmt, 1, ER_STORE_OWNERS);
        while ((rc = er_db_step(store, stmt, err)) == 1) {
                er_autofree char *id = er_db_text(stmt, 1), *machine = er_db_text(stmt, 3);
                struct er_store_owner *owner;

                if (!id || strlen(id) != ER_STORE_ID) {
                        sqlite3_reset(stmt);
                        return er_db_fail(store, SQLITE_CORRUPT, "reading the store's id", err);
                }
                owner = &store->owners[store->owner_count++];
                owner->since = er_db_int(stmt, 0);
                memcpy(owner->id, id, sizeof owner->id);
                owner->inode = er_db_u64(stmt, 2);
                (void)snprintf(owner->machine, sizeof owner->machine, "%s", machine ? machine : "");
        }
        if (rc == 0 && store->owner_count == 0)
                return er_db_fail(store, SQLITE_CORRUPT, "reading the store's id", err);
        return rc;
}

static bool is_known(const struct er_store_owner *owner)
{
        return owner->inode != 0;
}

/* Past so many, something other than copying changes what we look at. */
static bool is_copy(const struct er_store *store, const struct er_store_owner *owner, const char *machine)
{
        if (!is_known(owner) || store->owner_count == ER_STORE_OWNERS || is_elsewhere(store))
                return false;
        return owner->inode != (uint64_t)store->ino ||
               (machine[0] && owner->machine[0] && !er_streq(owner->machine, machine));
}

/* Notes where the store lies, under the id it has or, for a copy, under a new one. */
static int write_owner(struct er_store *store, const char *machine, struct er_err *err)
{
        static const char fresh[] = "INSERT OR REPLACE INTO owner VALUES("
                                    "(SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'run'),"
                                    " coalesce((SELECT id FROM owner WHERE inode = ?1 AND machine = ?2),"
                                    " substr(lower(hex(randomblob(3))), 1, 6)), ?1, ?2)";
        static const char same[] =
                "UPDATE owner SET inode = ?1, machine = ?2 WHERE since = (SELECT max(since) FROM owner)";
        const struct er_store_owner *owner;
        sqlite3_stmt *stmt;
        int rc;

        if (er_db_begin(store, err) < 0)
                return -1;
        rc = er_store_read_owners(store, err); /* another process may have been first */
        owner = rc == 0 ? &store->owners[store->owner_count - 1] : NULL;
        if (owner && (!is_known(owner) || is_copy(store, owner, machine))) {
                rc = is_known(owner) ? er_db_stmt(store, fresh, &stmt, err) : er_db_stmt(store, same, &stmt, err);
                if (rc == 0) {
                        er_db_bind_u64(stmt, 1, (uint64_t)store->ino);
                        er_db_bind_text(stmt, 2, machine);
                        rc = er_db_run(store, stmt, err);
                }
                if (rc == 0)
                        rc = er_store_read_owners(store, err);
        }
        if (rc < 0) {
                er_db_rollback(store);
                return -1;
        }
        return er_db_commit(store, err);
}

int er_store_find_owner(struct er_store *store, struct er_err *err)
{
        er_auto(er_str) machine = ER_STR_INIT;
        const struct er_store_owner *owner;

        if (er_store_read_owners(store, err) < 0)
                return -1;
        read_machine(&machine);
        owner = &store->owners[store->owner_count - 1];
        if (is_known(owner) && !is_copy(store, owner, machine.buf))
                return 0;
        return write_owner(store, machine.buf, err);
}

const char *er_store_id(const struct er_store *store)
{
        return store->owners[store->owner_count - 1].id;
}

const char *er_store_owner_at(const struct er_store *store, size_t index)
{
        return index < store->owner_count ? store->owners[index].id : NULL;
}

const char *er_store_owner_of(const struct er_store *store, int64_t run_id)
{
        size_t i = store->owner_count - 1;

        while (i > 0 && store->owners[i].since > run_id)
                i--;
        return store->owners[i].id;
}
