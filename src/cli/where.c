/* where.c - see where.h */
#include "cli/where.h"

#include "cli/words.h"
#include "maestro/maestro.h"

void er_where_release(struct er_where *where)
{
        er_job_release(&where->job);
        er_host_release(&where->host);
        *where = (struct er_where)ER_WHERE_INIT;
}

static int find_host_of_job(const struct er_cli *cli, struct er_where *where, struct er_err *err)
{
        er_host_release(&where->host);
        where->host = (struct er_host)ER_HOST_INIT;
        return where->job.host ? er_hosts_find(cli->store, where->job.host, &where->host, err) : 0;
}

int er_where_reload(const struct er_cli *cli, struct er_where *where, struct er_err *err)
{
        struct er_job fresh = ER_JOB_INIT;

        if (!where->is_job)
                return 0;
        if (er_store_job(cli->store, where->job.id, &fresh, err) < 0)
                return -1;
        er_job_release(&where->job);
        where->job = fresh;
        return find_host_of_job(cli, where, err);
}

int er_where_find(const struct er_cli *cli, const char *name, struct er_where *ret, struct er_err *err)
{
        er_auto(er_host_row) row = {0};
        er_auto(er_err) no_job = ER_ERR_INIT;
        er_auto(er_str) meant = ER_STR_INIT;
        bool known = er_streq(name, "local") || er_store_host(cli->store, name, &row, NULL) == 0;

        if (!known && er_target_job(cli, name, &ret->job, &no_job) == 0) {
                ret->is_job = true;
                return find_host_of_job(cli, ret, err);
        }
        if (!known && no_job.code == ER_USAGE) /* a run of several jobs */
                return er_err_move(err, &no_job);
        if (er_hosts_find(cli->store, name, &ret->host, err) < 0)
                return -1;
        if (!known && er_target_host_meant(cli->store, name, &meant)) /* ssh may know it anyway */
                er_say(cli, "no job or host is called %s; %s", name, meant.buf);
        return 0;
}
