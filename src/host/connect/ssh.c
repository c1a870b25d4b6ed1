/* ssh.c - see ssh.h */
#include "host/connect/ssh.h"

#include "base/path.h"
#include "host/connect/control.h"
#include "host/connect/mux.h"

#define ALIVE_S 15 /* ServerAliveInterval; four unanswered ones end a connection */

/* The end of every command line: the destination. */
static void add_target(const struct er_host *host, struct er_strv *ret)
{
        if (host->port)
                er_strv_addf(ret, "-p%d", host->port);
        if (host->identity) {
                er_autofree char *identity = er_path_expand(host->identity);

                er_strv_addf(ret, "-i%s", identity);
        }
        if (host->jump)
                er_strv_addf(ret, "-J%s", host->jump);
        er_strv_add(ret, "--");
        er_strv_add(ret, host->target);
}

int er_ssh_argv(const struct er_host *host, bool interactive, int64_t connect_ms, const struct er_strv *extra,
                struct er_strv *ret, struct er_err *err)
{
        if (!host->target || !host->target[0] || host->target[0] == '-')
                return er_err_set(err, ER_USAGE, "\"%s\" is not a host name that ssh accepts",
                                  host->target ? host->target : "");
        er_strv_add(ret, "ssh");
        if (extra)
                er_strv_addall(ret, extra->items, extra->len);
        er_strv_add(ret, "-T");
        er_strv_add(ret, "-oLogLevel=ERROR"); /* no banner, which might look like an error */
        er_strv_add(ret, "-oRemoteCommand=none");
        er_strv_add(ret, "-oPermitLocalCommand=no");
        er_strv_add(ret, "-oClearAllForwardings=yes");
        er_strv_add(ret, "-oForwardX11=no");
        er_strv_add(ret, "-oForwardAgent=no"); /* a job must not see the user's keys */
        er_strv_addf(ret, "-oServerAliveInterval=%d", ALIVE_S);
        er_strv_add(ret, "-oServerAliveCountMax=4");
        er_strv_addf(ret, "-oConnectTimeout=%lld", (long long)((connect_ms + 999) / 1000));
        if (!interactive)
                er_strv_add(ret, "-oBatchMode=yes");
        add_target(host, ret);
        return 0;
}

int er_ssh_argv_for_user(const struct er_host *host, bool terminal, struct er_strv *ret, struct er_err *err)
{
        if (!host->target || !host->target[0] || host->target[0] == '-')
                return er_err_set(err, ER_USAGE, "\"%s\" is not a host name that ssh accepts",
                                  host->target ? host->target : "");
        er_strv_add(ret, "ssh");
        if (terminal)
                er_strv_add(ret, "-t");
        for (int slot = 0; slot < ER_SLOTS; slot++) {
                er_autofree char *path = er_control_path(host, slot);

                if (!path || !er_mux_listens(path, NULL))
                        continue;
                er_strv_addf(ret, "-S%s", path);
                break;
        }
        add_target(host, ret);
        return 0;
}
