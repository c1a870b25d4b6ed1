/* agent_program.c - see agent_program.h */
#include "host/connect/agent_program.h"

#include "base/parse.h"
#include "base/path.h"
#include "host/connect/agent_blob.h"

struct er_sv er_agent_for(const char *arch)
{
        const struct {
                const char *name;
                const unsigned char *start, *end;
        } agents[] = {
                {"x86_64", er_agent_x86_64_start, er_agent_x86_64_end},
                {"amd64", er_agent_x86_64_start, er_agent_x86_64_end},
                {"aarch64", er_agent_aarch64_start, er_agent_aarch64_end},
                {"arm64", er_agent_aarch64_start, er_agent_aarch64_end},
        };

        for (size_t i = 0; i < ER_LEN(agents); i++)
                if (er_streq(agents[i].name, arch))
                        return er_svn(agents[i].start, (size_t)(agents[i].end - agents[i].start));
        return er_svn("", 0);
}

char *er_local_root(const struct er_host *host)
{
        const char *own = getenv("ERRAND_HOME");
        er_autofree char *home = NULL;

        if (host->root) {
                er_autofree char *expanded = er_path_expand(host->root);

                return er_path_abs(expanded);
        }
        if (own && own[0]) {
                home = er_path_abs(own);
                return er_path_join(home, "agent");
        }
        home = er_dir_home();
        return er_path_join(home, ".errand");
}

const char *er_agent_remote_root(const struct er_host *host)
{
        if (!host->root)
                return ".errand";
        return er_starts(host->root, "~/") ? host->root + 2 : host->root;
}

void er_agent_argv(const struct er_host *host, struct er_strv *ret)
{
        er_autofree char *local = host->kind == ER_HOST_LOCAL ? er_local_root(host) : NULL;
        const char *root = local ? local : er_agent_remote_root(host);

        er_strv_addf(ret, "%s/bin/errand-agent-%s", root, er_agent_build);
        if (local || host->root) {
                er_strv_add(ret, "--root");
                er_strv_add(ret, root);
        }
}

char *er_agent_command(const struct er_host *host)
{
        er_auto(er_strv) argv = ER_STRV_INIT;
        er_auto(er_str) command = ER_STR_INIT;

        er_agent_argv(host, &argv);
        er_strv_add(&argv, "serve");
        er_str_add(&command, "cd; exec "); /* the home directory, even if the shell's startup files leave it (cd
                                              /scratch in a .bashrc) */
        er_quote_argv(&command, argv.items, argv.len);
        return er_str_detach(&command);
}
