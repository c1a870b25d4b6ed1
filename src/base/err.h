/*
 * err.h - the error object. It is always the last parameter, may be NULL where nobody cares, and is
 * touched only on failure. A function that fails returns -1 (or NULL) and has set *err.
 *
 *      if (fd < 0)
 *              return er_err_errno(err, errno, "open %s", path);
 *      if (er_store_open(dir, &store, err) < 0)
 *              return er_err_wrap(err, "opening the store");
 *
 * Texts are for the user: what failed, on which thing, why; the hint says what to try.
 */
#ifndef ER_BASE_ERR_H
#define ER_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include "base/mem.h"

/* Each code has one exit status (ER_EXIT_BASE + code) and one Python exception. Never renumber: append. */
enum er_code {
        ER_OK = 0,
        ER_USAGE = 1,      /* the command line is wrong */
        ER_CONFIG = 2,     /* errand.yaml, an option's value, a file of ours is wrong */
        ER_AUTH = 3,       /* credentials or permission refused by the other side */
        ER_QUOTA = 4,      /* a limit of the account */
        ER_CAPACITY = 5,   /* no room: no host fits, provider has none */
        ER_NOT_FOUND = 6,  /* no such job, host, file */
        ER_EXISTS = 7,     /* it is there already */
        ER_NET = 8,        /* cannot reach it: name, route, refused */
        ER_TIMEOUT = 9,    /* took too long */
        ER_TRANSPORT = 10, /* the connection broke */
        ER_REMOTE = 11,    /* the other side failed at it */
        ER_STATE = 12,     /* not possible in this state; the store is newer, corrupt, busy */
        ER_CANCELLED = 13, /* the user said stop */
        ER_IO = 14,        /* a file or disk of this machine */
        ER_HOSTKEY = 15,   /* the host's key is not the one we know */
        ER_DETACHED = 16,  /* not an error: left while the job goes on */
        ER_INTERNAL = 17,  /* a bug of ours */
        ER_CODE_COUNT
};
#define ER_EXIT_BASE 200

struct er_err {
        enum er_code code;
        bool retryable;      /* trying the same again can help */
        int sys_errno;       /* 0 when there was none */
        int http_status;     /* 0 when there was none */
        char *provider_code; /* (owned) the other side's own code, or NULL */
        char *message;       /* (owned) one line, no final dot or newline */
        char *hint;          /* (owned) what to try, or NULL */
};
#define ER_ERR_INIT {0}

/* All return -1, so that they can end a function. A NULL err is allowed everywhere. */
int er_err_set(struct er_err *err, enum er_code code, const char *fmt, ...) ER_PRINTF(3, 4);
int er_err_setv(struct er_err *err, enum er_code code, const char *fmt, va_list args) ER_PRINTF(3, 0);
/* Appends ": <strerror>"; the code follows from errnum (ENOENT: NOT_FOUND, EACCES: AUTH, ENOSPC: IO with a hint...). */
int er_err_errno(struct er_err *err, int errnum, const char *fmt, ...) ER_PRINTF(3, 4);
/* Puts "<context>: " before the message that is there; code and hint stay. */
int er_err_wrap(struct er_err *err, const char *fmt, ...) ER_PRINTF(2, 3);
/* Sets or replaces the hint. */
int er_err_hint(struct er_err *err, const char *fmt, ...) ER_PRINTF(2, 3);
/* Marks as retryable. */
int er_err_retry(struct er_err *err);

#if defined(__clang_analyzer__) && !defined(ER_ERR_C)
/* The analyzer does not look into err.c, and would follow paths where one of these returned success. */
#define er_err_set(...) (er_err_set(__VA_ARGS__), -1)
#define er_err_setv(...) (er_err_setv(__VA_ARGS__), -1)
#define er_err_errno(...) (er_err_errno(__VA_ARGS__), -1)
#define er_err_wrap(...) (er_err_wrap(__VA_ARGS__), -1)
#define er_err_hint(...) (er_err_hint(__VA_ARGS__), -1)
#define er_err_retry(...) (er_err_retry(__VA_ARGS__), -1)
#endif

/* Moves *from into *to (releasing what was there); from is then empty. Returns -1. */
int er_err_move(struct er_err *to, struct er_err *from);
void er_err_release(struct er_err *err);
void er_err_clear(struct er_err *err);

/* "not_found" : stable lower-case name of a code, for --json and Python. */
const char *er_code_name(enum er_code code);
/* ER_EXIT_BASE + code; 0 for ER_OK. */
int er_code_exit_status(enum er_code code);

#endif
