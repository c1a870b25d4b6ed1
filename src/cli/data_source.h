/*
 * data_source.h - what the arguments of errand data mean: where something comes from, its name, its checksum.
 */
#ifndef ER_CLI_DATA_SOURCE_H
#define ER_CLI_DATA_SOURCE_H

#include "base/err.h"
#include "base/str.h"

enum er_data_from {
        ER_DATA_URL,   /* http, https, ftp: url */
        ER_DATA_HERE,  /* a file or directory of this machine: path */
        ER_DATA_THERE, /* on another host: host, path */
};
struct er_data_source {
        enum er_data_from from;
        char *url, *host, *path; /* (owned) or NULL; path is absolute for ER_DATA_HERE */
        char *name;              /* (owned) its name among the data */
        char *sum;               /* (owned) "sha256=HEX", or NULL */
};
#define ER_DATA_SOURCE_INIT {0}
void er_data_source_release(struct er_data_source *source);
/* hosts: the known names, so that "me@box:2222:/data" is understood. to: its name; NULL: the last part of the path.
 * ER_USAGE says what is wrong with it, ER_NOT_FOUND names a file that does not exist here. */
int er_data_source_parse(const char *text, const struct er_strv *hosts, const char *to, struct er_data_source *ret,
                         struct er_err *err);

#endif
