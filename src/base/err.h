/*
 * err.h - the error object. It is always the last parameter, may be NULL if the caller does not need it, and is
 * touched only on failure. A function that fails returns -1 (or NULL) and has set *err.
 *
 *      if (fd < 0)
 *              return er_err_errno(err, errno, "open %s", path);
 *      if (er_store_open(dir, &store, err) < 0)
 *              return er_err_wrap(err, "opening the store");
 *
 * The message is for the user: what failed, on what, and why. The hint says what to do about it.
 */
#ifndef ER_BASE_ERR_H
#define ER_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include "base/mem.h"

/* Each code has one exit status (ER_EXIT_BASE + code) and one Python exception. Never change a number: append. */
enum er_code {
        ER_OK = 0,
        ER_USAGE = 1,      /* the command line is wrong */
        ER_CONFIG = 2,     /* errand.yaml, the value of an option, or a file of ours is wrong */
        ER_AUTH = 3,       /* credentials or permission refused */
        ER_QUOTA = 4,      /* a limit of the account is reached */
        ER_CAPACITY = 5,   /* no host has room for it, the provider has no machine */
        ER_NOT_FOUND = 6,  /* no such job, host or file */
        ER_EXISTS = 7,     /* it exists already */
        ER_NET = 8,        /* cannot be reached: unknown name, no route, refused */
        ER_TIMEOUT = 9,    /* took too long */
        ER_TRANSPORT = 10, /* the connection broke */
        ER_REMOTE = 11,    /* the other side reported a failure */
        ER_STATE = 12,     /* not possible now; the store is too new, corrupt or busy */
        ER_CANCELLED = 13, /* by the user */
        ER_IO = 14,        /* a file or disk on this machine */
        ER_HOSTKEY = 15,   /* the host's key is not the one we know */
        ER_DETACHED = 16,  /* not an error: errand leaves, the job goes on */
        ER_INTERNAL = 17,  /* a bug of ours */
        ER_CODE_COUNT
};
#define ER_EXIT_BASE 200

struct er_err {
        enum er_code code;
        bool retryable;      /* trying again can help */
        int sys_errno;       /* 0: none */
        int http_status;     /* 0: none */
        char *provider_code; /* (owned) the other side's own code, or NULL */
        char *message;       /* (owned) one line, without a final period or newline */
        char *hint;          /* (owned) what to do, or NULL */
};
#define ER_ERR_INIT {0}

/* All return -1, so that a function can return their result. err may be NULL. */
int er_err_set(struct er_err *err, enum er_code code, const char *fmt, ...) ER_PRINTF(3, 4);
int er_err_setv(struct er_err *err, enum er_code code, const char *fmt, va_list args) ER_PRINTF(3, 0);
/* Appends ": <strerror>"; the code follows from errnum (ENOENT: NOT_FOUND, EACCES: AUTH, ENOSPC: IO with a hint...). */
int er_err_errno(struct er_err *err, int errnum, const char *fmt, ...) ER_PRINTF(3, 4);
/* Puts "<context>: " before the message; keeps code and hint. */
int er_err_wrap(struct er_err *err, const char *fmt, ...) ER_PRINTF(2, 3);
/* Sets or replaces the hint. */
int er_err_hint(struct er_err *err, const char *fmt, ...) ER_PRINTF(2, 3);
int er_err_retry(struct er_err *err);

#if defined(__clang_analyzer__) && !defined(ER_ERR_C)
/* The analyzer does not see into err.c, and would follow paths where one of these succeeds. */
#define er_err_set(...) (er_err_set(__VA_ARGS__), -1)
#define er_err_setv(...) (er_err_setv(__VA_ARGS__), -1)
#define er_err_errno(...) (er_err_errno(__VA_ARGS__), -1)
#define er_err_wrap(...) (er_err_wrap(__VA_ARGS__), -1)
#define er_err_hint(...) (er_err_hint(__VA_ARGS__), -1)
#define er_err_retry(...) (er_err_retry(__VA_ARGS__), -1)
#endif

/* Moves *from to *to, whose old content is released; *from is empty afterwards. Returns -1. */
int er_err_move(struct er_err *to, struct er_err *from);
void er_err_release(struct er_err *err);
void er_err_clear(struct er_err *err);

/* "not_found": the name of a code for --json and Python. It never changes. */
const char *er_code_name(enum er_code code);
/* ER_EXIT_BASE + code; 0 for ER_OK. */
int er_code_exit_status(enum er_code code);

#endif
