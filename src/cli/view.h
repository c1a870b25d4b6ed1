/*
 * view.h - jobs as people and programs see them: the same words and the same JSON keys in every command.
 */
#ifndef ER_CLI_VIEW_H
#define ER_CLI_VIEW_H

#include <jansson.h>
#include "proto/spec.h"
#include "store/store.h"

/* "exit 3", "signal 9 (KILL)", "missing output: out/ *.pt"; nothing for a job without a reason. */
void er_view_reason(struct er_str *out, const struct er_job *job);
/* What to try after the job failed, if its host said so (borrowed); else NULL. */
const char *er_view_hint(const struct er_job *job);
/* What is to be said of a job that is done all the same, after a semicolon: "; 8.0 MB of output could not be kept". */
void er_view_remark(struct er_str *out, const struct er_job *job);
/* "failed: exit 3", "running", "running (no news for 5m)" */
void er_view_state(struct er_str *out, const struct er_job *job, int64_t now_ms);
/* The same in a few words, for a column of a table. */
void er_view_state_brief(struct er_str *out, const struct er_job *job, int64_t now_ms);
/* How long it ran or has been running, in ms; -1: it never ran. */
int64_t er_view_took_ms(const struct er_job *job, int64_t now_ms);
/* Keys: job, run, index, project, project_dir, state, reason, detail, hint, exit, host, attempt, command, created,
   started, ended, seconds, last_news, outputs_fetched. */
json_t *er_view_job(const struct er_job *job, int64_t now_ms);
/* Keys: attempt, host, state, end, reason, detail, exit_code, signal, dir, queued, started, ended, cpu_seconds,
   max_memory, gpus, gpus_shared, gpu_memory, gpu_percent, gpu_percent_max, log_bytes. */
json_t *er_view_attempt(const struct er_attempt *attempt);
/* A size, or "?" when it is not known (-1). */
void er_view_size(struct er_str *out, int64_t size);
json_t *er_view_known(int64_t number); /* null for -1 */
/* "0, 1" */
void er_view_gpus(struct er_str *out, uint64_t mask);
/* Adds what the job asks for, under the same keys everywhere, and its argv under the key `words`. Values of variables
 * are left out. */
void er_view_spec(json_t *json, const char *words, const struct er_spec *spec);
/* The path as the user would type it: relative to the current directory if it is below that (owned). */
char *er_view_path(const char *path);
/* "3 files", "1 file" */
void er_view_count(struct er_str *out, uint64_t count, const char *noun);

#endif
