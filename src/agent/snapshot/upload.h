/*
 * upload.h - receives a snapshot: TREE_PUT (PROTOCOL.md, section 4).
 */
#ifndef ER_AGENT_SNAPSHOT_UPLOAD_H
#define ER_AGENT_SNAPSHOT_UPLOAD_H

#include "base/err.h"
#include "base/str.h"

/* A TREE_PUT in progress. The calls follow the protocol: begin, part*, list (again while it returns 1), blob*,
   finish. */
struct er_upload;
int er_upload_begin(int root, struct er_sv fields, struct er_upload **ret, struct er_err *err);
int er_upload_part(struct er_upload *upload, struct er_sv fields, struct er_err *err);
/* The list is complete. 0: *need has the packed pairs for NEED; 1: another upload of this tree is in progress, call
   again in about 50 ms; -1: refused. */
int er_upload_list(struct er_upload *upload, struct er_str *need, struct er_err *err);
int er_upload_blob(struct er_upload *upload, struct er_sv fields, struct er_err *err);
/* Makes the tree available to every later SUBMIT. Forks a short-lived child that writes it to the disk. */
int er_upload_finish(struct er_upload *upload, struct er_err *err);
/* What has arrived of an unfinished upload is kept for the next begin of the same tree. */
void er_upload_free(struct er_upload *upload);
ER_DEFINE_AUTOPTR(er_upload)

#endif
