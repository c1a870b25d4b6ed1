/*
 * crash.h - places where a test kills this process, to prove that the next one takes over.
 *
 * ERRAND_CRASH_AT=<n>: the n-th crash point that is reached (from 1) raises SIGKILL. ERRAND_CRASH_AT=<name>: the first
 * one of that name does. ERRAND_CRASH_COUNT=<file>: each point reached appends a line with its name, so a test knows
 * how many there are. Without both a point costs one load and one branch that is never taken.
 */
#ifndef ER_BASE_CRASH_H
#define ER_BASE_CRASH_H

#include <stdatomic.h>

extern atomic_int er_crash_state_; /* 1: the environment has not been looked at; 2: armed; 0: off */
void er_crash_hit_(const char *name);

/* er_crashpoint("attempt intended") : names are for the count file. */
#define er_crashpoint(name)                                                                                            \
        do {                                                                                                           \
                if (__builtin_expect(atomic_load_explicit(&er_crash_state_, memory_order_relaxed) != 0, 0))            \
                        er_crash_hit_(name);                                                                           \
        } while (0)

#endif
