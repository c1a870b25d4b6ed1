/* attempts.c - attempts, and writing back what changed; see store.h */
#include "store/db.h"

#include "base/crash.h"

void er_attempt_release(struct er_attempt *attempt)
{
        free(attempt->host);
        free(attempt->boot_id);
        free(attempt->dir);
        free(attempt->detail);
        *attempt = (struct er_attempt){0};
}

static int add_in_tx(struct er_store *store, int64_t job_id, uint32_t number, const char *host, int64_t now_ms,
                     int64_t *ret_id, struct er_err *err)
{
        sqlite3_stmt *stmt;
        int64_t id;

        if (er_db_stmt(store, "INSERT INTO attempt(job_id, number, host, state, created_ms) VALUES(?1, ?2, ?3, ?4, ?5)",
                       &stmt, err) < 0)
                return -1;
        er_db_bind_int(stmt, 1, job_id);
        er_db_bind_int(stmt, 2, number);
        er_db_bind_text(stmt, 3, host);
        er_db_bind_int(stmt, 4, ER_STATE_WAITING);
        er_db_bind_int(stmt, 5, now_ms);
        if (er_db_run(store, stmt, err) < 0)
                return -1;
        id = sqlite3_last_insert_rowid(store->db);
        if (er_db_stmt(store, "UPDATE job SET host = ?2, attempt = ?3 WHERE id = ?1 AND state < 5", &stmt, err) < 0)
                return -1;
        er_db_bind_int(stmt, 1, job_id);
        er_db_bind_text(stmt, 2, host);
        er_db_bind_int(stmt, 3, number);
        if (er_db_run(store, stmt, err) < 0)
                return -1;
        if (sqlite3_changes(store->db) == 0)
                return er_err_set(err, ER_STATE, "the job has ended or was removed, so there is no new attempt");
        if (er_db_stmt(store, "UPDATE host SET used_ms = ?2 WHERE name = ?1", &stmt, err) < 0)
                return -1;
        er_db_bind_text(stmt, 1, host);
        er_db_bind_int(stmt, 2, now_ms);
        if (er_db_run(store, stmt, err) < 0)
                return -1;
        *ret_id = id;
        return 0;
}

int er_store_add_attempt(struct er_store *store, int64_t job_id, uint32_t number, const char *host, int64_t now_ms,
                         int64_t *ret_id, struct er_err *err)
{
        int64_t id = 0;

        if (er_db_begin(store, err) < 0)
                return -1;
        if (add_in_tx(store, job_id, number, host, now_ms, &id, err) < 0) {
                er_db_rollback(store);
                return er_err_wrap(err, "storing attempt %u", (unsigned)number);
        }
        er_crashpoint("store attempt");
        if (er_db_commit(store, err) < 0)
                return -1;
        *ret_id = id;
        return 0;
}

int er_store_attempts(struct er_store *store, int64_t job_id, struct er_attempt **ret, size_t *ret_count,
                      struct er_err *err)
{
        sqlite3_stmt *stmt;
        struct er_attempt *list = NULL;
        size_t count = 0, cap = 0;
        int rc;

        if (er_db_stmt(store,
                       "SELECT id, number, host, boot_id, dir, submitted, state, \"end\", reason, exit_code, signal, "
                       "detail,"
                       " queued_ms, started_ms, ended_ms, cpu_ms, max_rss, gpu_mem, gpu_mask, gpu_util, seq, log_size,"
                       " gpu_shared, gpu_util_max"
                       " FROM attempt WHERE job_id = ?1 ORDER BY number",
                       &stmt, err) < 0)
                return -1;
        er_db_bind_int(stmt, 1, job_id);
        while ((rc = er_db_step(store, stmt, err)) == 1) {
                list = er_grow(list, &cap, count + 1, sizeof *list);
                list[count++] = (struct er_attempt){
                        .id = er_db_int(stmt, 0),
                        .job_id = job_id,
                        .number = (uint32_t)er_db_int(stmt, 1),
                        .host = er_db_text(stmt, 2),
                        .boot_id = er_db_text(stmt, 3),
                        .dir = er_db_text(stmt, 4),
                        .submitted = er_db_int(stmt, 5) != 0,
                        .state = (enum er_state)er_db_int(stmt, 6),
                        .end = (enum er_end)er_db_int(stmt, 7),
                        .reason = (enum er_reason)er_db_int(stmt, 8),
                        .exit_code = (int)er_db_int(stmt, 9),
                        .signal = (int)er_db_int(stmt, 10),
                        .detail = er_db_text(stmt, 11),
                        .queued_ms = er_db_int(stmt, 12),
                        .started_ms = er_db_int(stmt, 13),
                        .ended_ms = er_db_int(stmt, 14),
                        .cpu_ms = er_db_u64(stmt, 15),
                        .max_rss = er_db_u64(stmt, 16),
                        .gpu_mem = er_db_int(stmt, 17),
                        .gpu_mask = er_db_u64(stmt, 18),
                        .gpu_util = (int)er_db_int(stmt, 19),
                        .seq = er_db_u64(stmt, 20),
                        .log_size = er_db_u64(stmt, 21),
                        .gpu_shared = er_db_int(stmt, 22) != 0,
                        .gpu_util_max = (int)er_db_int(stmt, 23),
                };
        }
        if (rc < 0) {
                for (size_t i = 0; i < count; i++)
                        er_attempt_release(&list[i]);
                free(list);
                return -1;
        }
        *ret = list;
        *ret_count = count;
        return 0;
}

static int update_attempt(struct er_store *store, const struct er_attempt *attempt, struct er_err *err)
{
        sqlite3_stmt *stmt;

        /* An attempt that has ended stays that way. */
        if (er_db_stmt(store,
                       "UPDATE attempt SET host=?2, boot_id=?3, dir=?4, submitted=?5, state=?6, \"end\"=?7, reason=?8,"
                       " exit_code=?9, signal=?10, detail=?11, queued_ms=?12, started_ms=?13, ended_ms=?14, cpu_ms=?15,"
                       " max_rss=?16, gpu_mem=?17, gpu_mask=?18, gpu_util=?19, seq=?20, log_size=?21,"
                       " gpu_shared=?22, gpu_util_max=?23"
                       " WHERE id=?1 AND (\"end\" = 0 OR ?7 <> 0)",
                       &stmt, err) < 0)
                return -1;
        er_db_bind_int(stmt, 1, attempt->id);
        er_db_bind_text(stmt, 2, attempt->host);
        er_db_bind_text(stmt, 3, attempt->boot_id);
        er_db_bind_text(stmt, 4, attempt->dir);
        er_db_bind_int(stmt, 5, attempt->submitted);
        er_db_bind_int(stmt, 6, attempt->state);
        er_db_bind_int(stmt, 7, attempt->end);
        er_db_bind_int(stmt, 8, attempt->reason);
        er_db_bind_int(stmt, 9, attempt->exit_code);
        er_db_bind_int(stmt, 10, attempt->signal);
        er_db_bind_text(stmt, 11, attempt->detail);
        er_db_bind_int(stmt, 12, attempt->queued_ms);
        er_db_bind_int(stmt, 13, attempt->started_ms);
        er_db_bind_int(stmt, 14, attempt->ended_ms);
        er_db_bind_u64(stmt, 15, attempt->cpu_ms);
        er_db_bind_u64(stmt, 16, attempt->max_rss);
        er_db_bind_int(stmt, 17, attempt->gpu_mem);
        er_db_bind_u64(stmt, 18, attempt->gpu_mask);
        er_db_bind_int(stmt, 19, attempt->gpu_util);
        er_db_bind_u64(stmt, 20, attempt->seq);
        er_db_bind_u64(stmt, 21, attempt->log_size);
        er_db_bind_int(stmt, 22, attempt->gpu_shared);
        er_db_bind_int(stmt, 23, attempt->gpu_util_max);
        return er_db_run(store, stmt, err);
}

static int update_job(struct er_store *store, const struct er_job *job, struct er_err *err)
{
        sqlite3_stmt *stmt;

        /* Since the job was read, others may have asked to cancel it or fetched its outputs: never take that back. A
         * job that has ended stays that way. */
        if (er_db_stmt(store,
                       "UPDATE job SET state=?2, reason=?3, detail=?4, exit_status=?5, host=?6, attempt=?7,"
                       " cancel_asked=max(cancel_asked, ?8), outputs_fetched=max(outputs_fetched, ?9), started_ms=?10,"
                       " ended_ms=?11, news_ms=max(news_ms, ?12) WHERE id=?1 AND (state < 5 OR ?2 >= 5)",
                       &stmt, err) < 0)
                return -1;
        er_db_bind_int(stmt, 1, job->id);
        er_db_bind_int(stmt, 2, job->state);
        er_db_bind_int(stmt, 3, job->reason);
        er_db_bind_text(stmt, 4, job->detail);
        er_db_bind_int(stmt, 5, job->exit_status);
        er_db_bind_text(stmt, 6, job->host);
        er_db_bind_int(stmt, 7, job->attempt);
        er_db_bind_int(stmt, 8, job->cancel_asked);
        er_db_bind_int(stmt, 9, job->outputs_fetched);
        er_db_bind_int(stmt, 10, job->started_ms);
        er_db_bind_int(stmt, 11, job->ended_ms);
        er_db_bind_int(stmt, 12, job->news_ms);
        return er_db_run(store, stmt, err);
}

int er_store_update(struct er_store *store, const struct er_job *job, const struct er_attempt *attempt,
                    struct er_err *err)
{
        bool both = job && attempt;

        er_crashpoint_named("store update");
        if (both && er_db_begin(store, err) < 0)
                return -1;
        if ((attempt && update_attempt(store, attempt, err) < 0) || (job && update_job(store, job, err) < 0)) {
                er_db_rollback(store);
                return -1;
        }
        if (both)
                er_crashpoint_named("store update half");
        return both ? er_db_commit(store, err) : 0;
}
