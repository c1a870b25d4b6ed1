/* status.c - see status.h */
#include "proto/status.h"

#include "proto/msg.h"

void er_status_release(struct er_status *status)
{
        free(status->key);
        free(status->detail);
        *status = (struct er_status)ER_STATUS_INIT;
}

static void add_nonzero(struct er_str *out, enum er_tag tag, uint64_t value)
{
        if (value)
                er_msg_u64(out, tag, value);
}

void er_status_encode(const struct er_status *s, struct er_str *out)
{
        er_msg_text(out, ER_T_KEY, s->key);
        add_nonzero(out, ER_T_ATTEMPT, s->attempt);
        add_nonzero(out, ER_T_SEQ, s->seq);
        add_nonzero(out, ER_T_STATE, s->state);
        add_nonzero(out, ER_T_END, s->end);
        add_nonzero(out, ER_T_REASON, s->reason);
        if (s->exit_code >= 0)
                er_msg_u64(out, ER_T_EXIT_CODE, (uint64_t)s->exit_code);
        add_nonzero(out, ER_T_SIGNAL, (uint64_t)s->signal);
        er_msg_text(out, ER_T_DETAIL, s->detail);
        add_nonzero(out, ER_T_TIME, (uint64_t)s->time_ms);
        add_nonzero(out, ER_T_STARTED, (uint64_t)s->started_ms);
        add_nonzero(out, ER_T_ENDED, (uint64_t)s->ended_ms);
        add_nonzero(out, ER_T_CPU_MS, s->cpu_ms);
        add_nonzero(out, ER_T_MAX_RSS, s->max_rss);
        if (s->gpu_mem >= 0)
                er_msg_u64(out, ER_T_GPU_MEM, (uint64_t)s->gpu_mem);
        if (s->gpu_util >= 0)
                er_msg_u64(out, ER_T_GPU_UTIL, (uint64_t)s->gpu_util);
        if (s->gpu_util_max >= 0)
                er_msg_u64(out, ER_T_GPU_UTIL_MAX, (uint64_t)s->gpu_util_max);
        add_nonzero(out, ER_T_GPU_SHARED, s->gpu_shared);
        for (unsigned i = 0; i < 64; i++)
                if (s->gpu_mask >> i & 1)
                        er_msg_u64(out, ER_T_GPU_INDEX, i);
        add_nonzero(out, ER_T_LOG_SIZE, s->log_size);
        add_nonzero(out, ER_T_PID, (uint64_t)s->pid);
        add_nonzero(out, ER_T_PID_START, s->pid_start);
        add_nonzero(out, ER_T_USED, (uint64_t)s->used_ms);
        add_nonzero(out, ER_T_RSS, s->rss);
}

static int small_number(uint64_t value, int max)
{
        return value > (uint64_t)max ? max : (int)value;
}

/* A newer agent may use numbers that this build does not know, and damaged bytes may be any number. They become known
   ones, so that no reader has to check. */
static void know_numbers(struct er_status *s)
{
        if (s->end > ER_END_LOST)
                s->end = ER_END_LOST;
        if (s->state > ER_STATE_ENDED)
                s->state = s->end == ER_END_NONE ? ER_STATE_RUNNING : ER_STATE_ENDED;
        if (s->state == ER_STATE_ENDED && s->end == ER_END_NONE)
                s->end = ER_END_LOST;
        if (s->reason > ER_REASON_LOG) {
                if (!s->detail)
                        s->detail = er_fmt("for a reason that this version of errand does not know (number %u)",
                                           s->reason);
                s->reason = ER_REASON_NONE;
        }
}

void er_status_decode(struct er_sv data, struct er_status *ret)
{
        struct er_status s = ER_STATUS_INIT;
        struct er_field f;

        while (er_msg_next(&data, &f)) {
                uint64_t v = er_field_u64(&f);

                switch (f.tag) {
                case ER_T_KEY:
                        free(s.key);
                        s.key = er_sv_dup(f.value);
                        break;
                case ER_T_DETAIL:
                        free(s.detail);
                        s.detail = er_sv_dup(f.value);
                        break;
                case ER_T_ATTEMPT:
                        s.attempt = (uint32_t)v;
                        break;
                case ER_T_SEQ:
                        s.seq = v;
                        break;
                case ER_T_STATE:
                        s.state = (unsigned)small_number(v, 255);
                        break;
                case ER_T_END:
                        s.end = (unsigned)small_number(v, 255);
                        break;
                case ER_T_REASON:
                        s.reason = (unsigned)small_number(v, 255);
                        break;
                case ER_T_EXIT_CODE:
                        s.exit_code = small_number(v, 255);
                        break;
                case ER_T_SIGNAL:
                        s.signal = small_number(v, 127);
                        break;
                case ER_T_TIME:
                        s.time_ms = (int64_t)v;
                        break;
                case ER_T_STARTED:
                        s.started_ms = (int64_t)v;
                        break;
                case ER_T_ENDED:
                        s.ended_ms = (int64_t)v;
                        break;
                case ER_T_CPU_MS:
                        s.cpu_ms = v;
                        break;
                case ER_T_MAX_RSS:
                        s.max_rss = v;
                        break;
                case ER_T_GPU_UTIL:
                        s.gpu_util = small_number(v, 100);
                        break;
                case ER_T_GPU_UTIL_MAX:
                        s.gpu_util_max = small_number(v, 100);
                        break;
                case ER_T_GPU_MEM:
                        s.gpu_mem = v > INT64_MAX ? -1 : (int64_t)v;
                        break;
                case ER_T_GPU_SHARED:
                        s.gpu_shared = v != 0;
                        break;
                case ER_T_GPU_INDEX:
                        if (v < 64)
                                s.gpu_mask |= (uint64_t)1 << v;
                        break;
                case ER_T_LOG_SIZE:
                        s.log_size = v;
                        break;
                case ER_T_PID:
                        s.pid = (int64_t)v;
                        break;
                case ER_T_PID_START:
                        s.pid_start = v;
                        break;
                case ER_T_RSS:
                        s.rss = v;
                        break;
                case ER_T_USED:
                        s.used_ms = (int64_t)v;
                        break;
                default: /* from a newer version */
                        break;
                }
        }
        know_numbers(&s);
        *ret = s;
}

#define EXIT_TIME_LIMIT 124 /* as timeout(1) */
#define EXIT_KILLED 137     /* 128 + SIGKILL, as a shell reports a kill by the kernel's OOM killer */
#define EXIT_MISSING 220
#define EXIT_LOST 221
#define EXIT_OTHER 222

int er_status_exit(const struct er_status *s)
{
        if (s->end == ER_END_DONE)
                return 0;
        if (s->end == ER_END_LOST || s->end == ER_END_PREEMPTED)
                return EXIT_LOST;
        switch (s->reason) {
        case ER_REASON_EXIT:
        case ER_REASON_START:
                return s->exit_code > 0 ? s->exit_code : EXIT_OTHER;
        case ER_REASON_SIGNAL:
                return 128 + s->signal;
        case ER_REASON_OOM:
                return EXIT_KILLED;
        case ER_REASON_TIME_LIMIT:
                return EXIT_TIME_LIMIT;
        case ER_REASON_MISSING_OUTPUT:
                return EXIT_MISSING;
        default:
                if (s->end == ER_END_CANCELLED && s->signal > 0)
                        return 128 + s->signal;
                return EXIT_OTHER;
        }
}
