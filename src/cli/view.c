/* view.c - see view.h */
#include "cli/view.h"

#include <signal.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/json.h"
#include "base/parse.h"

#define STALE_MS 90000 /* a maestro hears from its hosts more often than this */

/* sigabbrev_np() exists only in glibc. */
static const char *signal_name(int number)
{
        static const struct {
                int number;
                const char *name;
        } names[] = {
                {SIGHUP, "HUP"},   {SIGINT, "INT"},   {SIGQUIT, "QUIT"}, {SIGILL, "ILL"},   {SIGTRAP, "TRAP"},
                {SIGABRT, "ABRT"}, {SIGBUS, "BUS"},   {SIGFPE, "FPE"},   {SIGKILL, "KILL"}, {SIGUSR1, "USR1"},
                {SIGSEGV, "SEGV"}, {SIGUSR2, "USR2"}, {SIGPIPE, "PIPE"}, {SIGALRM, "ALRM"}, {SIGTERM, "TERM"},
                {SIGXCPU, "XCPU"}, {SIGXFSZ, "XFSZ"}, {SIGSYS, "SYS"},
        };

        for (size_t i = 0; i < ER_LEN(names); i++)
                if (names[i].number == number)
                        return names[i].name;
        return NULL;
}

void er_view_reason(struct er_str *out, const struct er_job *job)
{
        const char *name;

        switch (job->reason) {
        case ER_REASON_NONE:
                return;
        case ER_REASON_EXIT:
                er_str_addf(out, "exit %d", job->exit_status);
                break;
        case ER_REASON_SIGNAL:
                name = signal_name(job->exit_status - 128);
                er_str_addf(out, "signal %d", job->exit_status - 128);
                if (name)
                        er_str_addf(out, " (%s)", name);
                break;
        case ER_REASON_USER:
                er_str_add(out, er_reason_name(job->reason));
                return;
        case ER_REASON_FILES:
        case ER_REASON_START:
        case ER_REASON_HOST:
        case ER_REASON_SECRET:
        case ER_REASON_ROOM:
                if (job->detail && job->detail[0]) { /* says it all */
                        er_quote_show(out, job->detail, strcspn(job->detail, "\n"));
                        return;
                }
                er_str_add(out, er_reason_name(job->reason));
                break;
        case ER_REASON_LOG:
        case ER_REASON_OOM:
        case ER_REASON_MISSING_OUTPUT:
        case ER_REASON_TIME_LIMIT:
        case ER_REASON_ENVIRONMENT:
        case ER_REASON_REBOOT:
        case ER_REASON_KILLED:
        case ER_REASON_GONE:
                er_str_add(out, er_reason_name(job->reason));
                break;
        }
        if (job->detail && job->detail[0]) {
                er_str_add(out, ": ");
                er_quote_show(out, job->detail, strcspn(job->detail, "\n"));
        }
}

void er_view_remark(struct er_str *out, const struct er_job *job)
{
        if ((job->state != ER_JOB_DONE && job->state != ER_JOB_CANCELLED) || !job->detail || !job->detail[0])
                return;
        er_str_add(out, "; ");
        er_quote_show(out, job->detail, strcspn(job->detail, "\n"));
}

const char *er_view_hint(const struct er_job *job)
{
        const char *newline = job->state == ER_JOB_FAILED && job->detail ? strchr(job->detail, '\n') : NULL;

        return newline && newline[1] ? newline + 1 : NULL;
}

void er_view_state(struct er_str *out, const struct er_job *job, int64_t now_ms)
{
        er_str_add(out, er_job_state_name(job->state));
        if (job->state == ER_JOB_FAILED && job->reason != ER_REASON_NONE) {
                er_str_add(out, ": ");
                er_view_reason(out, job);
        } else if (!er_job_state_ended(job->state)) {
                if ((job->state == ER_JOB_WAITING || job->state == ER_JOB_RUNNING) && job->detail && job->detail[0]) {
                        er_str_add(out, job->state == ER_JOB_WAITING ? ": environment: " : ": ");
                        er_quote_show(out, job->detail, strcspn(job->detail, "\n"));
                }
                if (job->cancel_asked)
                        er_str_add(out, ", being cancelled");
                if (job->news_ms > 0 && now_ms - job->news_ms > STALE_MS) {
                        er_str_add(out, " (no news for ");
                        er_fmt_duration(out, now_ms - job->news_ms);
                        er_str_addc(out, ')');
                }
        }
}

void er_view_state_brief(struct er_str *out, const struct er_job *job, int64_t now_ms)
{
        bool told = job->reason == ER_REASON_EXIT || job->reason == ER_REASON_SIGNAL || job->reason == ER_REASON_NONE;

        if (job->state != ER_JOB_FAILED || told) {
                er_view_state(out, job, now_ms);
                if (er_job_state_ended(job->state) && !job->outputs_fetched)
                        er_str_add(out, ", outputs not here yet");
        } else
                er_str_addf(out, "failed: %s",
                            job->reason == ER_REASON_HOST ? "host unreachable" : er_reason_name(job->reason));
}

int64_t er_view_took_ms(const struct er_job *job, int64_t now_ms)
{
        int64_t end = job->ended_ms > 0 ? job->ended_ms : now_ms;

        if (job->started_ms <= 0 || end < job->started_ms)
                return -1;
        return end - job->started_ms;
}

static json_t *seconds(int64_t ms)
{
        return ms < 0 ? json_null() : json_real((double)ms / 1000.0);
}

/* Without the hint. */
static json_t *detail_json(const char *detail)
{
        er_autofree char *first = detail ? er_strndup(detail, strcspn(detail, "\n")) : NULL;

        return er_json_text(first);
}

static json_t *strings(const struct er_strv *list, bool names_only)
{
        json_t *json = json_array();

        for (size_t i = 0; i < list->len; i++) {
                const char *equals = names_only ? strchr(list->items[i], '=') : NULL;

                json_array_append_new(json, er_json_bytes(list->items[i], equals ? (size_t)(equals - list->items[i])
                                                                                 : strlen(list->items[i])));
        }
        return json;
}

void er_view_spec(json_t *json, const char *words, const struct er_spec *spec)
{
        json_object_set_new(json, words, strings(&spec->argv, false));
        json_object_set_new(json, "shell", json_boolean(spec->shell));
        json_object_set_new(json, "workdir", er_json_text(spec->workdir));
        json_object_set_new(json, "on", strings(&spec->hosts, false));
        json_object_set_new(json, "cpus", json_integer(spec->cpus));
        json_object_set_new(json, "memory", json_integer((json_int_t)spec->memory));
        json_object_set_new(json, "gpus", spec->gpus || spec->no_gpus ? json_integer(spec->gpus) : json_null());
        json_object_set_new(json, "time_limit_seconds",
                            spec->time_limit_ms > 0 ? json_real((double)spec->time_limit_ms / 1000) : json_null());
        json_object_set_new(json, "grace_seconds",
                            json_real((double)(spec->grace_ms > 0 ? spec->grace_ms : ER_SPEC_GRACE_MS) / 1000));
        json_object_set_new(json, "env", strings(&spec->env, true));
        json_object_set_new(json, "secrets", strings(&spec->secrets, false));
        json_object_set_new(json, "outputs", strings(&spec->outputs, false));
}

json_t *er_view_job(const struct er_job *job, int64_t now_ms)
{
        json_t *json = json_object();

        json_object_set_new(json, "job", er_json_text(job->name));
        json_object_set_new(json, "run", er_json_text(job->run));
        json_object_set_new(json, "index", json_integer(job->index));
        json_object_set_new(json, "project", er_json_text(job->project));
        json_object_set_new(json, "project_dir", er_json_text(job->project_dir));
        json_object_set_new(json, "state", er_json_text(er_job_state_name(job->state)));
        json_object_set_new(json, "reason",
                            job->reason == ER_REASON_NONE ? json_null() : er_json_text(er_reason_name(job->reason)));
        json_object_set_new(json, "detail", detail_json(job->detail));
        json_object_set_new(json, "hint", er_json_text(er_view_hint(job)));
        json_object_set_new(json, "exit",
                            er_job_state_ended(job->state) ? json_integer(job->exit_status) : json_null());
        json_object_set_new(json, "host", er_json_text(job->host));
        json_object_set_new(json, "attempt", json_integer(job->attempt));
        json_object_set_new(json, "command", er_json_text(job->command));
        json_object_set_new(json, "cancel_asked", json_boolean(job->cancel_asked));
        json_object_set_new(json, "created", er_json_time(job->created_ms));
        json_object_set_new(json, "started", er_json_time(job->started_ms));
        json_object_set_new(json, "ended", er_json_time(job->ended_ms));
        json_object_set_new(json, "seconds", seconds(er_view_took_ms(job, now_ms)));
        json_object_set_new(json, "last_news", er_json_time(job->news_ms));
        json_object_set_new(json, "outputs_fetched", json_boolean(job->outputs_fetched));
        return json;
}

void er_view_size(struct er_str *out, int64_t size)
{
        if (size < 0)
                er_str_addc(out, '?');
        else
                er_fmt_size(out, (uint64_t)size);
}

json_t *er_view_known(int64_t number)
{
        return number < 0 ? json_null() : json_integer(number);
}

void er_view_gpus(struct er_str *out, uint64_t mask)
{
        const char *before = "";

        for (unsigned i = 0; i < 64; i++) {
                if (!(mask >> i & 1))
                        continue;
                er_str_addf(out, "%s%u", before, i);
                before = ", ";
        }
}

json_t *er_view_attempt(const struct er_attempt *a)
{
        json_t *json = json_object(), *gpus = json_array();

        for (unsigned i = 0; i < 64; i++)
                if (a->gpu_mask >> i & 1u)
                        json_array_append_new(gpus, json_integer(i));
        json_object_set_new(json, "attempt", json_integer(a->number));
        json_object_set_new(json, "host", er_json_text(a->host));
        json_object_set_new(json, "state", er_json_text(er_state_name(a->state)));
        json_object_set_new(json, "end", a->end == ER_END_NONE ? json_null() : er_json_text(er_end_name(a->end)));
        json_object_set_new(json, "reason",
                            a->reason == ER_REASON_NONE ? json_null() : er_json_text(er_reason_name(a->reason)));
        json_object_set_new(json, "detail", detail_json(a->detail));
        json_object_set_new(json, "exit_code",
                            a->state == ER_STATE_ENDED && a->exit_code >= 0 ? json_integer(a->exit_code) : json_null());
        json_object_set_new(json, "signal", a->signal > 0 ? json_integer(a->signal) : json_null());
        json_object_set_new(json, "dir", er_json_text(a->dir));
        json_object_set_new(json, "queued", er_json_time(a->queued_ms));
        json_object_set_new(json, "started", er_json_time(a->started_ms));
        json_object_set_new(json, "ended", er_json_time(a->ended_ms));
        json_object_set_new(json, "cpu_seconds", seconds((int64_t)a->cpu_ms));
        json_object_set_new(json, "max_memory", json_integer((json_int_t)a->max_rss));
        json_object_set_new(json, "gpus", gpus);
        json_object_set_new(json, "gpus_shared", json_boolean(a->gpu_shared));
        json_object_set_new(json, "gpu_memory", er_view_known(a->gpu_mask ? a->gpu_mem : -1));
        json_object_set_new(json, "gpu_percent", er_view_known(a->gpu_mask ? a->gpu_util : -1));
        json_object_set_new(json, "gpu_percent_max", er_view_known(a->gpu_mask ? a->gpu_util_max : -1));
        json_object_set_new(json, "log_bytes", json_integer((json_int_t)a->log_size));
        return json;
}

char *er_view_path(const char *path)
{
        char cwd[4096];
        size_t len;

        if (!getcwd(cwd, sizeof cwd))
                return er_strdup(path);
        len = strlen(cwd);
        if (len > 1 && er_starts(path, cwd) && path[len] == '/')
                return er_strdup(path + len + 1);
        return er_strdup(path);
}

void er_view_count(struct er_str *out, uint64_t count, const char *noun)
{
        char digits[32];
        int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count);

        for (int i = 0; i < len; i++) {
                if (i > 0 && (len - i) % 3 == 0)
                        er_str_addc(out, ',');
                er_str_addc(out, digits[i]);
        }
        er_str_addf(out, " %s%s", noun, count == 1 ? "" : "s");
}
