/*
 * submit.c - SUBMIT: makes an attempt's directory under a temporary name and renames it into place. The rename decides
 * who starts the attempt. When it fails, the attempt exists, and is started only if nobody ever began it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "agent/attempt/abandoned.h"
#include "agent/attempt/guard.h"
#include "agent/attempt/tombstone.h"
#include "agent/environment/build.h"
#include "agent/serve/serve.h"
#include "agent/snapshot/snapshots.h"
#include "base/io.h"
#include "base/path.h"

#define SECRETS_MAX (512u * 1024)
#define TRIES 5

struct submission {
        struct er_sv key;
        uint32_t attempt;
        struct er_sv spec; /* encoded */
        struct er_sv host_name;
        struct er_needs needs;
        struct er_capacity capacity;
};

static int read_request(struct er_serve *serve, const struct er_frame *frame, struct submission *sub,
                        struct er_charge *charge, struct er_err *err)
{
        struct er_sv rest = frame->payload;
        struct er_field field;
        size_t secrets = 0;

        if (er_adir_named(frame->payload, &sub->key, &sub->attempt, err) < 0)
                return -1;
        sub->spec = er_msg_get(frame->payload, ER_T_SPEC);
        sub->host_name = er_msg_get(frame->payload, ER_T_NAME);
        if (sub->attempt == 0 || !sub->spec.ptr)
                return er_err_set(err, ER_REMOTE, "a SUBMIT without an attempt number or a spec");
        if (er_spec_decode(sub->spec, &charge->info.spec, err) < 0)
                return -1;
        while (er_msg_next(&rest, &field)) {
                if (field.tag != ER_T_SECRET)
                        continue;
                secrets += field.value.len;
                if (secrets > SECRETS_MAX || !memchr(field.value.ptr, '=', field.value.len) ||
                    memchr(field.value.ptr, '\0', field.value.len))
                        return er_err_set(err, ER_REMOTE, "a secret that cannot be an environment variable");
                er_strv_addn(&charge->secrets, field.value.ptr, field.value.len);
        }
        sub->needs = (struct er_needs){
                .cpus = charge->info.spec.cpus,
                .memory = charge->info.spec.memory,
                .gpus = charge->info.spec.gpus,
        };
        er_capacity_read(&sub->capacity);
        /* What somebody saw since the boot is enough to accept it, not to refuse it. The supervisor looks again. */
        if (sub->needs.gpus > 0) {
                er_autofree struct er_gpus *gpus = er_new(struct er_gpus);

                er_gpu_look(serve->agent, INT64_MAX, NULL, NULL, gpus);
                er_capacity_gpus(&sub->capacity, gpus);
                if (!gpus->asked && er_capacity_check(&sub->needs, &sub->capacity, NULL, NULL) < 0) {
                        er_gpu_look(serve->agent, 0, NULL, NULL, gpus);
                        er_capacity_gpus(&sub->capacity, gpus);
                }
        }
        return er_capacity_check(&sub->needs, &sub->capacity, serve->agent->hostname, err);
}

/* An earlier try failed. */
static void forget_try(struct er_ainfo *info)
{
        free(info->id);
        free(info->host_name);
}

static int write_spec(const struct er_agent *agent, int dir_fd, const struct submission *sub, struct er_ainfo *info)
{
        er_auto(er_str) text = ER_STR_INIT;
        er_autoclose int fd = -1;
        char id[ER_RANDOM_HEX];

        er_random_hex(id);
        forget_try(info);
        info->id = er_strdup(id);
        info->time_ms = er_now_ms();
        info->host_name = sub->host_name.ptr ? er_sv_dup(sub->host_name) : NULL;
        er_msg_bytes(&text, ER_T_KEY, sub->key.ptr, sub->key.len);
        er_msg_u64(&text, ER_T_ATTEMPT, sub->attempt);
        er_msg_text(&text, ER_T_ATTEMPT_ID, id);
        er_msg_text(&text, ER_T_BOOT_ID, agent->boot_id);
        er_msg_text(&text, ER_T_HOSTNAME, agent->hostname);
        er_msg_text(&text, ER_T_NAME, info->host_name);
        er_msg_i64(&text, ER_T_TIME, info->time_ms);
        er_msg_bytes(&text, ER_T_SPEC, sub->spec.ptr, sub->spec.len);
        fd = openat(dir_fd, "spec", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        return fd < 0 ? -1 : er_write_full(fd, text.buf, text.len);
}

/* Binds in the current directory, because a socket's path has 108 bytes at most. */
static int make_ctl(int dir_fd)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "ctl"};
        er_autoclose int fd = -1;

        if (fchdir(dir_fd) < 0)
                return -1;
        unlink("ctl");
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd >= 0 && (bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 64) < 0))
                er_close(&fd);
        if (chdir("/") < 0) {
                /* we stay here; nothing depends on it */
        }
        return er_take_fd(&fd);
}

/* Fills a new directory. Returns 0, or -1 with errno. */
static int fill(const struct er_agent *agent, const struct submission *sub, struct er_charge *charge)
{
        if (er_exit_reserve(charge->dir.fd) < 0 || write_spec(agent, charge->dir.fd, sub, &charge->info) < 0)
                return -1;
        if (er_alock_take(charge->dir.fd, &charge->lock_fd) != 1)
                return -1;
        charge->ctl_fd = make_ctl(charge->dir.fd);
        return 0;
}

static int was_removed(const struct submission *sub, struct er_err *err)
{
        er_err_set(err, ER_NOT_FOUND, "attempt %u of %.*s was on this host and has been removed",
                   (unsigned)sub->attempt, (int)sub->key.len, sub->key.ptr);
        if (err)
                err->provider_code = er_strdup("gone");
        return er_err_hint(err, "another copy of the store removed it, or this one was restored to an older state");
}

/* 1: the attempt is ours to start; 0: it already exists; -1. */
static int make_new(const struct er_agent *agent, const struct submission *sub, struct er_charge *charge,
                    struct er_err *err)
{
        er_autofree char *jobs = er_fmt("jobs/%.*s", (int)sub->key.len, sub->key.ptr);
        er_autoclose int job_fd = -1;
        char name[64], number[16], id[ER_RANDOM_HEX];
        int saved;

        if (er_agent_dir(agent, jobs, true, &job_fd, err) < 0)
                return -1;
        snprintf(number, sizeof number, "%u", (unsigned)sub->attempt);
        if (er_file_exists(job_fd, number))
                return 0;
        if (er_tombstone_is_there(agent, sub->key, sub->attempt))
                return was_removed(sub, err);
        er_random_hex(id);
        snprintf(name, sizeof name, ".new-%s", id);
        if (mkdirat(job_fd, name, 0700) < 0)
                return er_agent_fail(agent, errno, err, "make a directory in %s/%s", agent->root, jobs);
        charge->dir.fd = openat(job_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (charge->dir.fd >= 0 && fill(agent, sub, charge) == 0 && renameat(job_fd, name, job_fd, number) == 0) {
                charge->dir.key = er_sv_dup(sub->key);
                charge->dir.attempt = sub->attempt;
                charge->dir.path = er_fmt("%s/%s/%s", agent->root, jobs, number);
                return 1;
        }
        saved = errno;
        er_rmtree(job_fd, name, NULL, NULL);
        if (saved == EEXIST || saved == ENOTEMPTY) {
                er_adir_release(&charge->dir);
                er_close(&charge->lock_fd);
                er_close(&charge->ctl_fd);
                return 0;
        }
        return er_agent_fail(agent, saved, err, "write to %s/%s", agent->root, jobs);
}

/* Otherwise a different job under the same name would get the results of this one. */
static int check_same_spec(const struct er_adir *dir, const struct submission *sub, struct er_err *err)
{
        er_auto(er_str) text = ER_STR_INIT;
        struct er_sv stored;

        if (er_file_read(dir->fd, "spec", ER_SPEC_MAX + 64u * 1024, &text, NULL) < 0)
                return 0; /* what is there is for others to judge */
        stored = er_msg_get(er_svn(text.buf, text.len), ER_T_SPEC);
        if (!stored.ptr || er_sv_eq(stored, sub->spec))
                return 0;
        er_err_set(err, ER_EXISTS, "attempt %u of %s is already on this host, but it is a different job",
                   (unsigned)dir->attempt, dir->key);
        return er_err_hint(
                err,
                "two stores gave out the same name, or one was restored to an older state: submit it as a new job");
}

#define GONE 2 /* the directory was removed meanwhile */

/* The attempt existed: 1 when nobody looks after it and its command cannot have been started; otherwise 0, or GONE. */
static int take_over(const struct er_agent *agent, const struct submission *sub, struct er_charge *charge,
                     struct er_err *err)
{
        er_auto(er_status) status = ER_STATUS_INIT;
        er_auto(er_ainfo) info = ER_AINFO_INIT;
        int rc, saved;

        if (er_adir_open(agent, sub->key, sub->attempt, &charge->dir, err) < 0)
                return err && err->code == ER_NOT_FOUND ? GONE : -1;
        if (check_same_spec(&charge->dir, sub, err) < 0)
                return -1;
        if (er_adir_info(&charge->dir, &info, NULL) == 0 && er_ainfo_is_foreign(agent, &info))
                return 0;
        if (er_exit_read(&charge->dir, &status) || er_adir_is_alive(&charge->dir))
                return 0;
        rc = er_alock_take(charge->dir.fd, &charge->lock_fd);
        saved = errno;
        if (er_adir_is_gone(&charge->dir))
                return GONE;
        if (rc < 0)
                return er_agent_fail(agent, saved, err, "lock %s", charge->dir.path);
        if (rc == 0)
                return 0;
        er_status_release(&status);
        er_ainfo_release(&info);
        er_events_last(&charge->dir, &status);
        if (er_exit_read(&charge->dir, &status) || status.state >= ER_STATE_STARTING ||
            er_adir_info(&charge->dir, &info, NULL) < 0 || !er_streq(info.boot_id, agent->boot_id)) {
                er_close(&charge->lock_fd);
                return er_abandoned_settle(agent, &charge->dir, NULL, err) < 0 ? -1 : 0;
        }
        er_ainfo_release(&charge->info);
        charge->info = info;
        info = (struct er_ainfo)ER_AINFO_INIT;
        charge->ctl_fd = make_ctl(charge->dir.fd);
        return 1;
}

static int hold_snapshot(const struct er_agent *agent, const struct er_spec *spec, int *ret_hold, struct er_err *err)
{
        const char *project = spec->project ? spec->project : "";
        struct er_tree_file tree = ER_TREE_FILE_INIT;
        er_autoclose int root = -1;

        if (er_agent_dir(agent, ".", true, &root, err) < 0)
                return -1;
        if (er_tree_file_open(root, project, spec->tree, &tree, err) < 0) /* the usual case first */
                return -1;
        er_tree_file_release(&tree);
        *ret_hold = er_snapshots_hold(root, project, err);
        if (*ret_hold < 0)
                return -1;
        /* It may have been removed before we held the lock. */
        if (er_tree_file_open(root, project, spec->tree, &tree, err) < 0)
                return -1;
        er_tree_file_release(&tree);
        return 0;
}

/* From here on the environment is wanted. Builds that failed before this attempt do not count against it: COUNT says
   how many those were when its client first asked for the environment. */
static int want_environment(const struct er_agent *agent, const struct er_frame *frame, struct er_charge *charge,
                            struct er_err *err)
{
        struct er_build_failure failure;

        if (er_envdir_open(agent, charge->info.spec.environment, ER_ENVDIR_WANT, &charge->env, err) < 0)
                return -1;
        if (!er_msg_get(frame->payload, ER_T_COUNT).ptr && !er_envdir_is_ready(&charge->env))
                /* The client must ask for it first: it is then built while files travel. */
                return er_envdir_missing(charge->env.hex, err);
        er_build_failure_read(&charge->env, &failure);
        charge->env_failures = er_msg_get_u64(frame->payload, ER_T_COUNT, failure.count);
        er_build_failure_release(&failure);
        return 0;
}

static void forget_session(void *arg)
{
        er_serve_forget(arg);
}

int er_do_submit(struct er_serve *serve, const struct er_frame *frame, struct er_err *err)
{
        er_auto(er_charge) charge = ER_CHARGE_INIT;
        er_auto(er_str) answer = ER_STR_INIT;
        er_autoclose int hold = -1; /* no garbage collection until the spec that names the snapshot is in place */
        struct submission sub = {0};
        int mine = GONE;

        charge.agent = serve->agent;
        if (read_request(serve, frame, &sub, &charge, err) < 0)
                return -1;
        if (charge.info.spec.has_environment && want_environment(serve->agent, frame, &charge, err) < 0)
                return -1;
        if (charge.info.spec.has_tree && hold_snapshot(serve->agent, &charge.info.spec, &hold, err) < 0)
                return -1;
        for (int tries = 0; mine == GONE && tries < TRIES; tries++) {
                er_adir_release(&charge.dir);
                er_close(&charge.lock_fd);
                er_err_clear(err);
                mine = make_new(serve->agent, &sub, &charge, err);
                if (mine == 0)
                        mine = take_over(serve->agent, &sub, &charge, err);
        }
        if (mine == GONE)
                er_err_set(err, ER_STATE, "attempt %u of %.*s is being removed", (unsigned)sub.attempt,
                           (int)sub.key.len, sub.key.ptr);
        if (mine < 0 || mine == GONE)
                return -1;
        er_serve_wipe(serve, frame); /* the charge has its secrets now; the guard needs no second copy */
        if (mine > 0) {
                /* An attempt whose environment is not built yet must not block others in the queue. */
                bool may_queue = !charge.info.spec.has_environment || er_envdir_is_ready(&charge.env);

                if (may_queue && er_ticket_enter(serve->agent, &sub.needs, &sub.capacity, &charge.ticket, err) < 0)
                        return -1;
                if (er_guard_start(&charge, forget_session, serve, err) < 0) {
                        er_ticket_leave(&charge.ticket);
                        return -1; /* it never began: the next SUBMIT starts it */
                }
        }
        er_msg_text(&answer, ER_T_PATH, charge.dir.path);
        er_serve_answer(serve, ER_F_OK, frame->id, &answer);
        return 0;
}
