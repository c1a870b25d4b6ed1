/* wire.c - names of the protocol's numbers, for people; see wire.h */
#include "proto/wire.h"

#include "base/mem.h"

static const char *name_of(const char *const *names, size_t count, unsigned number)
{
        return number < count && names[number] ? names[number] : "unknown";
}

const char *er_state_name(enum er_state state)
{
        static const char *const names[] = {
                [ER_STATE_WAITING] = "waiting", [ER_STATE_QUEUED] = "queued", [ER_STATE_STARTING] = "starting",
                [ER_STATE_RUNNING] = "running", [ER_STATE_ENDED] = "ended",
        };

        return name_of(names, ER_LEN(names), (unsigned)state);
}

const char *er_end_name(enum er_end end)
{
        static const char *const names[] = {
                [ER_END_NONE] = "none",           [ER_END_DONE] = "done",           [ER_END_FAILED] = "failed",
                [ER_END_CANCELLED] = "cancelled", [ER_END_PREEMPTED] = "preempted", [ER_END_LOST] = "lost",
        };

        return name_of(names, ER_LEN(names), (unsigned)end);
}

const char *er_reason_name(enum er_reason reason)
{
        static const char *const names[] = {
                [ER_REASON_NONE] = "none",
                [ER_REASON_EXIT] = "exit status",
                [ER_REASON_SIGNAL] = "signal",
                [ER_REASON_OOM] = "out of memory",
                [ER_REASON_MISSING_OUTPUT] = "missing output",
                [ER_REASON_TIME_LIMIT] = "time limit",
                [ER_REASON_ENVIRONMENT] = "environment",
                [ER_REASON_FILES] = "files",
                [ER_REASON_START] = "could not be started",
                [ER_REASON_USER] = "cancelled by the user",
                [ER_REASON_REBOOT] = "host rebooted",
                [ER_REASON_KILLED] = "supervisor killed",
                [ER_REASON_HOST] = "host",
                [ER_REASON_SECRET] = "missing secret",
                [ER_REASON_GONE] = "gone from the host",
                [ER_REASON_ROOM] = "no host fits",
                [ER_REASON_LOG] = "output lost",
        };

        return name_of(names, ER_LEN(names), (unsigned)reason);
}
