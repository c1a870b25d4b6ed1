/*
 * exec_error.h - why a program that is there cannot be executed: what the kernel looked for and did not find, as read
 * from the file's first bytes.
 */
#ifndef ER_AGENT_ATTEMPT_EXEC_ERROR_H
#define ER_AGENT_ATTEMPT_EXEC_ERROR_H

#include "base/err.h"

/* -1 with err for the errno of execve(path), which is relative to dir_fd. name: what the user called it. */
int er_exec_error(int dir_fd, const char *path, const char *name, int errnum, struct er_err *err);
/* A program in machine code, which no shell can read as a script. */
bool er_exec_is_binary(int dir_fd, const char *path);

#endif
