/* carried.c - see carried.h */
#include "maestro/carried.h"

#include "base/clock.h"
#include "maestro/maestro.h"

void er_carried_free(struct er_carried *j)
{
        if (!j)
                return;
        er_job_release(&j->row);
        er_job_release(&j->view);
        er_attempt_release(&j->at);
        er_spec_release(&j->spec);
        er_host_release(&j->host);
        er_err_release(&j->warning);
        free(j->key);
        free(j);
}

static void copy_row(const struct er_job *row, struct er_job *ret)
{
        *ret = *row;
        ret->spec = (struct er_str)ER_STR_INIT;
        ret->name = er_strdup(row->name);
        ret->run = er_strdup(row->run);
        ret->project = er_strdup(row->project);
        ret->project_dir = er_strdup(row->project_dir);
        ret->command = er_strdup(row->command);
        ret->host = er_strdup(row->host);
        ret->detail = er_strdup(row->detail);
}

static int load_attempt(struct er_store *store, struct er_carried *j, struct er_err *err)
{
        struct er_attempt *attempts = NULL;
        size_t count = 0;

        if (j->row.attempt == 0)
                return 0;
        if (er_store_attempts(store, j->row.id, &attempts, &count, err) < 0)
                return -1;
        if (count > 0) {
                j->at = attempts[--count];
                j->has_host = er_hosts_find(store, j->at.host, &j->host, err) == 0;
        }
        for (size_t i = 0; i < count; i++)
                er_attempt_release(&attempts[i]);
        free(attempts);
        return j->has_host || !j->at.id ? 0 : -1;
}

struct er_carried *er_carried_load(struct er_store *store, const struct er_job *row, struct er_err *err)
{
        struct er_carried *j = er_new(struct er_carried);

        copy_row(row, &j->row);
        copy_row(row, &j->view);
        j->told = row->state;
        j->told_attempt = row->attempt;
        j->spec = (struct er_spec)ER_SPEC_INIT;
        j->key = er_job_key(store, row);
        if (er_spec_decode(er_svn(row->spec.buf, row->spec.len), &j->spec, err) < 0 ||
            load_attempt(store, j, err) < 0) {
                er_carried_free(j);
                return NULL;
        }
        if (!j->spec.run)
                j->spec.run = er_strdup(row->run);
        return j;
}

void er_carried_dirty(struct er_carried *j, bool attempt)
{
        if (!j->job_dirty && !j->attempt_dirty)
                j->dirty_ms = er_mono_ms();
        j->job_dirty = true;
        j->attempt_dirty |= attempt;
}
