#include "store/db.h"

#include "base/parse.h"

#define HOST_COLUMNS "name, target, port, identity, jump, root, added, probe, probed_ms, error, used_ms"

void er_host_row_release(struct er_host_row *row)
{
        free(row->name);
        free(row->target);
        free(row->identity);
        free(row->jump);
        free(row->root);
        free(row->probe);
        free(row->error);
        *row = (struct er_host_row){0};
}

static void read_row(sqlite3_stmt *stmt, struct er_host_row *ret)
{
        *ret = (struct er_host_row){
                .name = er_db_text(stmt, 0),
                .target = er_db_text(stmt, 1),
                .port = (int)er_db_int(stmt, 2),
                .identity = er_db_text(stmt, 3),
                .jump = er_db_text(stmt, 4),
                .root = er_db_text(stmt, 5),
                .added = er_db_int(stmt, 6) != 0,
                .probe = er_db_text(stmt, 7),
                .probed_ms = er_db_int(stmt, 8),
                .error = er_db_text(stmt, 9),
                .used_ms = er_db_int(stmt, 10),
        };
}

int er_store_hosts(struct er_store *store, struct er_host_row **ret, size_t *ret_count, struct er_err *err)
{
        sqlite3_stmt *stmt;
        struct er_host_row *rows = NULL;
        size_t count = 0, cap = 0;
        int rc;

        if (er_db_stmt(store, "SELECT " HOST_COLUMNS " FROM host ORDER BY added DESC, name", &stmt, err) < 0)
                return -1;
        while ((rc = er_db_step(store, stmt, err)) == 1) {
                rows = er_grow(rows, &cap, count + 1, sizeof *rows);
                read_row(stmt, &rows[count++]);
        }
        if (rc < 0) {
                for (size_t i = 0; i < count; i++)
                        er_host_row_release(&rows[i]);
                free(rows);
                return -1;
        }
        *ret = rows;
        *ret_count = count;
        return 0;
}

static int not_found(struct er_store *store, const char *name, struct er_err *err)
{
        struct er_host_row *rows = NULL;
        size_t count = 0;
        er_auto(er_strv) names = ER_STRV_INIT;
        const char *near[1];

        er_err_set(err, ER_NOT_FOUND, "no such host: %s", name);
        if (er_store_hosts(store, &rows, &count, NULL) < 0)
                return -1;
        for (size_t i = 0; i < count; i++) {
                er_strv_add(&names, rows[i].name);
                er_host_row_release(&rows[i]);
        }
        free(rows);
        if (names.len && er_nearest(name, (const char *const *)names.items, names.len, near, 1))
                er_err_hint(err, "did you mean %s?", near[0]);
        else
                er_err_hint(err, "`errand hosts` lists them");
        return -1;
}

int er_store_host(struct er_store *store, const char *name, struct er_host_row *ret, struct er_err *err)
{
        sqlite3_stmt *stmt;
        int rc;

        if (er_db_stmt(store, "SELECT " HOST_COLUMNS " FROM host WHERE name = ?1", &stmt, err) < 0)
                return -1;
        er_db_bind_text(stmt, 1, name);
        rc = er_db_step(store, stmt, err);
        if (rc < 0)
                return -1;
        if (rc == 0)
                return err ? not_found(store, name, err) : -1;
        read_row(stmt, ret);
        sqlite3_reset(stmt);
        return 0;
}

int er_store_put_host(struct er_store *store, const struct er_host_row *row, struct er_err *err)
{
        sqlite3_stmt *stmt;

        if (er_db_stmt(store,
                       "INSERT OR REPLACE INTO host(" HOST_COLUMNS ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)",
                       &stmt, err) < 0)
                return -1;
        er_db_bind_text(stmt, 1, row->name);
        er_db_bind_text(stmt, 2, row->target);
        er_db_bind_int(stmt, 3, row->port);
        er_db_bind_text(stmt, 4, row->identity);
        er_db_bind_text(stmt, 5, row->jump);
        er_db_bind_text(stmt, 6, row->root);
        er_db_bind_int(stmt, 7, row->added);
        er_db_bind_text(stmt, 8, row->probe);
        er_db_bind_int(stmt, 9, row->probed_ms);
        er_db_bind_text(stmt, 10, row->error);
        er_db_bind_int(stmt, 11, row->used_ms);
        return er_db_run(store, stmt, err);
}

int er_store_remove_host(struct er_store *store, const char *name, struct er_err *err)
{
        sqlite3_stmt *stmt;

        if (er_db_stmt(store, "DELETE FROM host WHERE name = ?1", &stmt, err) < 0)
                return -1;
        er_db_bind_text(stmt, 1, name);
        if (er_db_run(store, stmt, err) < 0)
                return -1;
        return sqlite3_changes(store->db) ? 0 : not_found(store, name, err);
}

/* The host may be one that was only named on the command line. It is then remembered as used if it answered; a name
 * with a typing error is not worth remembering. */
int er_store_set_probe(struct er_store *store, const char *name, const char *probe, const char *error, int64_t now_ms,
                       struct er_err *err)
{
        sqlite3_stmt *stmt;

        if (er_db_stmt(
                    store,
                    probe ? "INSERT INTO host(name, probe, error, probed_ms) VALUES(?1, ?2, ?3, ?4) ON CONFLICT(name) "
                            "DO"
                            " UPDATE SET probe = excluded.probe, error = excluded.error, probed_ms = excluded.probed_ms"
                          : "UPDATE host SET probe = coalesce(?2, probe), error = ?3, probed_ms = ?4 WHERE name = ?1",
                    &stmt, err) < 0)
                return -1;
        er_db_bind_text(stmt, 1, name);
        er_db_bind_text(stmt, 2, probe);
        er_db_bind_text(stmt, 3, error);
        er_db_bind_int(stmt, 4, now_ms);
        return er_db_run(store, stmt, err);
}
