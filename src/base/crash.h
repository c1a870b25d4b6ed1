/*
 * crash.h - points at which a test can kill this process, to prove that the next one takes over.
 *
 * ERRAND_CRASH_AT=<n>: the n-th point that is reached (from 1) raises SIGKILL. ERRAND_CRASH_AT=<name>: the first point
 * of that name does. ERRAND_CRASH_COUNT=<file>: each point reached appends its name as a line, so that a test knows how
 * many there are. With neither set, a point costs one load and one branch that is never taken.
 */
#ifndef ER_BASE_CRASH_H
#define ER_BASE_CRASH_H

#include <stdatomic.h>

extern atomic_int er_crash_state_; /* 1: the environment has not been read yet; 2: armed; 0: off */
void er_crash_hit_(const char *name);

/* How many times these are reached depends on timing (news that arrives together is one step). So they are not counted
 * and can only be named. */
void er_crash_named_(const char *name);
#define er_crashpoint_named(name)                                                                                      \
        do {                                                                                                           \
                if (__builtin_expect(atomic_load_explicit(&er_crash_state_, memory_order_relaxed) != 0, 0))            \
                        er_crash_named_(name);                                                                         \
        } while (0)

/* er_crashpoint("attempt intended"): a step that every run of the same kind takes, in the same order. */
#define er_crashpoint(name)                                                                                            \
        do {                                                                                                           \
                if (__builtin_expect(atomic_load_explicit(&er_crash_state_, memory_order_relaxed) != 0, 0))            \
                        er_crash_hit_(name);                                                                           \
        } while (0)

#endif
