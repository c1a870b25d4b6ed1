/*
 * log.h - debugging output: ERRAND_LOG=debug, or a list such as "host,maestro". It goes to stderr or to
 * $ERRAND_LOG_FILE. It is not for ordinary users; only src/cli talks to them.
 */
#ifndef ER_BASE_LOG_H
#define ER_BASE_LOG_H

#include <stdbool.h>
#include "base/mem.h"

bool er_log_on(const char *component);
void er_log_write(const char *component, const char *fmt, ...) ER_PRINTF(2, 3);
/* er_debug("host", "connecting to %s", name); costs one branch when off. Each line has the monotonic time in
 * microseconds and the pid. */
#define er_debug(component, ...)                                                                                       \
        do {                                                                                                           \
                if (er_log_on(component))                                                                              \
                        er_log_write(component, __VA_ARGS__);                                                          \
        } while (0)

#endif
