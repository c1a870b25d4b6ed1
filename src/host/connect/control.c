/* control.c - see control.h */
#include "host/connect/control.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include "base/map.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/str.h"

#define PERSIST_S 600
#define SSH_SUFFIX 17u /* ".<16 characters>", which ssh appends while it makes the socket */

uint64_t er_control_persist_s(void)
{
        const char *text = getenv("ERRAND_SSH_PERSIST");
        uint64_t seconds = PERSIST_S;

        if (text && text[0])
                er_parse_u64(text, 7 * 24 * 3600, &seconds, NULL);
        return seconds;
}

char *er_control_file(const struct er_host *host, const char *suffix)
{
        er_autofree char *dir = er_dir_runtime();
        er_auto(er_str) key = ER_STR_INIT;

        er_str_addf(&key, "%s\n%d\n%s\n%s", host->target, host->port, host->identity ? host->identity : "",
                    host->jump ? host->jump : "");
        return er_fmt("%s/%012llx.%s", dir, (unsigned long long)er_hash64(key.buf, key.len) & 0xffffffffffffu, suffix);
}

char *er_control_path(const struct er_host *host, int slot)
{
        er_autofree char *name = er_fmt("%d", slot);
        char *path;

        if (er_control_persist_s() == 0)
                return NULL;
        path = er_control_file(host, name);
        if (strlen(path) + SSH_SUFFIX >= sizeof((struct sockaddr_un *)0)->sun_path) {
                free(path);
                return NULL;
        }
        return path;
}
