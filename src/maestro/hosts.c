/* hosts.c - what names mean: hosts, job keys, directories of results. */
#include "maestro/maestro.h"

#include "base/path.h"

/* A row without a target was only named on a command line: the name says where it is. */
static int from_row(const struct er_host_row *row, struct er_host *ret, struct er_err *err)
{
        if (er_streq(row->name, "local") || !row->target) {
                if (er_host_parse(row->name, ret, err) < 0)
                        return -1;
                if (row->root && !ret->root)
                        ret->root = er_strdup(row->root);
                return 0;
        }
        *ret = (struct er_host){
                .kind = ER_HOST_SSH,
                .name = er_strdup(row->name),
                .target = er_strdup(row->target),
                .port = row->port,
                .identity = er_strdup(row->identity),
                .jump = er_strdup(row->jump),
                .root = er_strdup(row->root),
        };
        return 0;
}

int er_hosts_find(struct er_store *store, const char *name, struct er_host *ret, struct er_err *err)
{
        struct er_host_row row = {0};
        int rc;

        if (er_store_host(store, name, &row, NULL) < 0)
                return er_host_parse(name, ret, err);
        rc = from_row(&row, ret, err);
        er_host_row_release(&row);
        return rc;
}

int er_hosts_known(struct er_store *store, struct er_host **ret, size_t *ret_count, struct er_err *err)
{
        struct er_host_row *rows = NULL;
        size_t row_count = 0, count = 0;
        struct er_host *hosts;
        int rc;

        if (er_store_hosts(store, &rows, &row_count, err) < 0)
                return -1;
        hosts = er_calloc(row_count + 1, sizeof *hosts);
        rc = er_hosts_find(store, "local", &hosts[count++], err);
        for (size_t i = 0; i < row_count; i++) {
                /* Skip a row that this build cannot read: the others are good. */
                if (rc == 0 && !er_streq(rows[i].name, "local") && from_row(&rows[i], &hosts[count], NULL) == 0)
                        count++;
                er_host_row_release(&rows[i]);
        }
        free(rows);
        if (rc < 0) {
                free(hosts);
                return -1;
        }
        *ret = hosts;
        *ret_count = count;
        return 0;
}

char *er_job_key(const struct er_store *store, const struct er_job *job)
{
        return er_fmt("%s.%llx.%s", job->name, (unsigned long long)job->created_ms,
                      er_store_owner_of(store, job->run_id));
}

char *er_job_results_dir(const struct er_job *job)
{
        er_autofree char *results = er_path_join(job->project_dir, "results");

        return er_path_join(results, job->name);
}
