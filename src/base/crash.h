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

/* How often these come depends on the moment (news that arrive together are one step), so they are not counted: only
   their name kills there. */
void er_crash_named_(const char *name);
#define er_crashpoint_named(name)                                                                                      \
        do {                                                                                                           \
                if (__builtin_expect(atomic_load_explicit(&er_crash_state_, memory_order_relaxed) != 0, 0))            \
                        er_crash_named_(name);                                                                         \
        } while (0)

/* er_crashpoint("attempt intended") : a step that every such run takes in this order. */
#define er_crashpoint(name)                                                                                            \
        do {                                                                                                           \
                if (__builtin_expect(atomic_load_explicit(&er_crash_state_, memory_order_relaxed) != 0, 0))            \
                        er_crash_hit_(name);                                                                           \
        } while (0)

#endif
