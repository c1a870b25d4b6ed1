/*
 * run_names.c - the names of runs. A job's key on its host contains the name of its run, so a name is used only once,
 * even after `errand rm`: the table `counter` remembers it.
 */
#include "store/db.h"

#include "base/parse.h"

static int bump(struct er_store *store, const char *base, int64_t least, bool taken, struct er_err *err)
{
        sqlite3_stmt *stmt;

        if (er_db_stmt(store,
                       "INSERT INTO counter(base, last, taken) VALUES(?1, ?2, ?3) ON CONFLICT(base) DO UPDATE SET"
                       " last = max(last, excluded.last), taken = max(taken, excluded.taken)",
                       &stmt, err) < 0)
                return -1;
        er_db_bind_text(stmt, 1, base);
        er_db_bind_int(stmt, 2, least);
        er_db_bind_int(stmt, 3, taken);
        return er_db_run(store, stmt, err);
}

static int look_up(struct er_store *store, const char *base, int64_t *ret_last, bool *ret_taken, struct er_err *err)
{
        sqlite3_stmt *stmt;
        int rc;

        if (er_db_stmt(store, "SELECT last, taken FROM counter WHERE base = ?1", &stmt, err) < 0)
                return -1;
        er_db_bind_text(stmt, 1, base);
        rc = er_db_step(store, stmt, err);
        if (rc < 0)
                return -1;
        *ret_last = rc == 1 ? er_db_int(stmt, 0) : 0;
        *ret_taken = rc == 1 && er_db_int(stmt, 1) != 0;
        sqlite3_reset(stmt);
        return 0;
}

/* An explicit "mnist-12" also uses up number 12 of mnist. */
static bool split_number(const char *name, char **ret_base, int64_t *ret_number)
{
        const char *dash = strrchr(name, '-');
        uint64_t number;

        if (!dash || dash == name || dash[1] == '0' || er_parse_u64(dash + 1, 1000000000, &number, NULL) < 0)
                return false;
        *ret_base = er_strndup(name, (size_t)(dash - name));
        *ret_number = (int64_t)number;
        return true;
}

int er_store_next_name(struct er_store *store, const char *project, const char *name, char **ret_name,
                       int64_t *ret_number, struct er_err *err)
{
        int64_t last;
        bool taken;
        const char *base;
        int64_t number;

        if (name) {
                er_autofree char *stem = NULL;
                int64_t stem_number = 0, stem_last = 0;
                bool stem_taken;

                if (look_up(store, name, &last, &taken, err) < 0)
                        return -1;
                if (split_number(name, &stem, &stem_number) && look_up(store, stem, &stem_last, &stem_taken, err) < 0)
                        return -1;
                if (!taken && (!stem || stem_number > stem_last)) {
                        if (bump(store, name, 0, true, err) < 0 ||
                            (stem && bump(store, stem, stem_number, false, err) < 0))
                                return -1;
                        *ret_name = er_strdup(name);
                        *ret_number = 0;
                        return 0;
                }
        }
        base = name ? name : project;
        if (look_up(store, base, &last, &taken, err) < 0)
                return -1;
        /* The second run of a name is better called "<name>-2" than "<name>-1". */
        number = name && last == 0 ? 2 : last + 1;
        if (bump(store, base, number, false, err) < 0)
                return -1;
        *ret_name = er_fmt("%s-%lld", base, (long long)number);
        *ret_number = number;
        return 0;
}
