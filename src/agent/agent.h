/*
 * agent.h - what every part of errand-agent knows: where its files are and which machine it runs on. Plain data, filled
 * in once at the start, which makes or changes nothing on the host.
 */
#ifndef ER_AGENT_AGENT_H
#define ER_AGENT_AGENT_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

struct er_agent {
        char *root; /* (owned) absolute */
        char *home; /* (owned) absolute */
        char *user; /* (owned) */
        char boot_id[64];
        char hostname[256];
};
#define ER_AGENT_INIT {0}

/* root NULL: $HOME/.errand. */
int er_agent_init(struct er_agent *agent, const char *root, struct er_err *err);
void er_agent_release(struct er_agent *agent);

/* Opens (and with `make` creates) a directory below the root. Errors say what is wrong with the root and what to
   try. */
int er_agent_dir(const struct er_agent *agent, const char *path, bool make, int *ret_fd, struct er_err *err);
/* Reports a failed call below the root, with the free space or a hint where that helps. Returns -1. */
int er_agent_fail(const struct er_agent *agent, int errnum, struct er_err *err, const char *fmt, ...) ER_PRINTF(4, 5);

#define ER_RANDOM_HEX 33 /* 128 bits and the NUL */
void er_random_hex(char ret[ER_RANDOM_HEX]);
/* Reads a small text file of the kernel's: NUL-terminated, without its last newline. Returns the length, or -1. */
ssize_t er_read_small(int at, const char *path, char *buf, size_t size);
/* Closes every descriptor from 3 on except these (negative ones are ignored). */
void er_close_all_but(const int *keep, size_t count);
/* Connects standard input, output and error to /dev/null. */
void er_null_stdio(void);
/* True for a name that may be one component of a path below the root: no slash, no control byte, no leading dot. */
bool er_name_is_safe(struct er_sv name, size_t max);

#endif
