/* err.c - see err.h */
#define ER_ERR_C
#include "base/err.h"

#include <errno.h>
#include "base/str.h"

static const char *const code_names[ER_CODE_COUNT] = {
        [ER_OK] = "ok",
        [ER_USAGE] = "usage",
        [ER_CONFIG] = "config",
        [ER_AUTH] = "auth",
        [ER_QUOTA] = "quota",
        [ER_CAPACITY] = "capacity",
        [ER_NOT_FOUND] = "not_found",
        [ER_EXISTS] = "exists",
        [ER_NET] = "net",
        [ER_TIMEOUT] = "timeout",
        [ER_TRANSPORT] = "transport",
        [ER_REMOTE] = "remote",
        [ER_STATE] = "state",
        [ER_CANCELLED] = "cancelled",
        [ER_IO] = "io",
        [ER_HOSTKEY] = "hostkey",
        [ER_DETACHED] = "detached",
        [ER_INTERNAL] = "internal",
};

/* What an errno means to the user. Any other is ER_IO. */
static const struct errno_meaning {
        int errnum;
        enum er_code code;
        bool retryable;
        const char *hint;
} errno_meanings[] = {
        {ENOENT, ER_NOT_FOUND, false, NULL},
        {ESRCH, ER_NOT_FOUND, false, NULL},
        {ENOTDIR, ER_NOT_FOUND, false, NULL},
        {EACCES, ER_AUTH, false, NULL},
        {EPERM, ER_AUTH, false, NULL},
        {EROFS, ER_IO, false, "the file system is mounted read-only"},
        {ENOSPC, ER_IO, false, "the disk is full: free some space and try again"},
        {EDQUOT, ER_IO, false, "your disk quota is used up: free some space and try again"},
        {EMFILE, ER_IO, true, "too many open files: raise the limit with ulimit -n"},
        {ENFILE, ER_IO, true, NULL},
        {EEXIST, ER_EXISTS, false, NULL},
        {ENOTEMPTY, ER_EXISTS, false, NULL},
        {ECONNREFUSED, ER_NET, true, NULL},
        {EHOSTUNREACH, ER_NET, true, NULL},
        {ENETUNREACH, ER_NET, true, NULL},
        {EADDRNOTAVAIL, ER_NET, true, NULL},
        {ETIMEDOUT, ER_TIMEOUT, true, NULL},
        {EPIPE, ER_TRANSPORT, true, NULL},
        {ECONNRESET, ER_TRANSPORT, true, NULL},
        {ECONNABORTED, ER_TRANSPORT, true, NULL},
        {ENOTCONN, ER_TRANSPORT, true, NULL},
        {EAGAIN, ER_STATE, true, NULL},
        {EBUSY, ER_STATE, true, NULL},
        {ETXTBSY, ER_STATE, true, NULL},
        {ECANCELED, ER_CANCELLED, false, NULL},
        {EINVAL, ER_INTERNAL, false, NULL},
        {EBADF, ER_INTERNAL, false, NULL},
        {ENAMETOOLONG, ER_CONFIG, false, NULL},
        {ELOOP, ER_CONFIG, false, NULL},
};

/* Formats first, then releases the old text: the arguments may point into it. */
static void replace(struct er_err *err, enum er_code code, char *message)
{
        er_err_release(err);
        err->code = code;
        err->message = message;
}

int er_err_setv(struct er_err *err, enum er_code code, const char *fmt, va_list args)
{
        struct er_str s = ER_STR_INIT;

        if (!err)
                return -1;
        er_str_addv(&s, fmt, args);
        replace(err, code, er_str_detach(&s));
        return -1;
}

int er_err_set(struct er_err *err, enum er_code code, const char *fmt, ...)
{
        va_list args;

        va_start(args, fmt);
        er_err_setv(err, code, fmt, args);
        va_end(args);
        return -1;
}

int er_err_errno(struct er_err *err, int errnum, const char *fmt, ...)
{
        const struct errno_meaning *meaning = NULL;
        struct er_str s = ER_STR_INIT;
        va_list args;

        if (!err)
                return -1;
        va_start(args, fmt);
        er_str_addv(&s, fmt, args);
        va_end(args);
        er_str_addf(&s, ": %s", strerror(errnum));
        for (size_t i = 0; i < ER_LEN(errno_meanings) && !meaning; i++)
                if (errno_meanings[i].errnum == errnum)
                        meaning = &errno_meanings[i];
        replace(err, meaning ? meaning->code : ER_IO, er_str_detach(&s));
        err->sys_errno = errnum;
        if (meaning) {
                err->retryable = meaning->retryable;
                err->hint = meaning->hint ? er_strdup(meaning->hint) : NULL;
        }
        return -1;
}

int er_err_wrap(struct er_err *err, const char *fmt, ...)
{
        struct er_str s = ER_STR_INIT;
        va_list args;

        if (!err)
                return -1;
        va_start(args, fmt);
        er_str_addv(&s, fmt, args);
        va_end(args);
        if (err->message)
                er_str_addf(&s, ": %s", err->message);
        free(err->message);
        err->message = er_str_detach(&s);
        if (err->code == ER_OK)
                err->code = ER_INTERNAL; /* the failing function did not set it */
        return -1;
}

int er_err_hint(struct er_err *err, const char *fmt, ...)
{
        struct er_str s = ER_STR_INIT;
        va_list args;

        if (!err)
                return -1;
        va_start(args, fmt);
        er_str_addv(&s, fmt, args);
        va_end(args);
        free(err->hint);
        err->hint = er_str_detach(&s);
        return -1;
}

int er_err_retry(struct er_err *err)
{
        if (err)
                err->retryable = true;
        return -1;
}

int er_err_move(struct er_err *to, struct er_err *from)
{
        if (!from || to == from)
                return -1;
        if (!to) {
                er_err_clear(from);
                return -1;
        }
        er_err_release(to);
        *to = *from;
        *from = (struct er_err)ER_ERR_INIT;
        return -1;
}

void er_err_release(struct er_err *err)
{
        if (!err)
                return;
        free(err->provider_code);
        free(err->message);
        free(err->hint);
        *err = (struct er_err)ER_ERR_INIT;
}

void er_err_clear(struct er_err *err)
{
        er_err_release(err);
}

const char *er_code_name(enum er_code code)
{
        if ((unsigned int)code >= ER_CODE_COUNT)
                return "internal";
        return code_names[code];
}

int er_code_exit_status(enum er_code code)
{
        return code == ER_OK ? 0 : ER_EXIT_BASE + (int)code;
}
