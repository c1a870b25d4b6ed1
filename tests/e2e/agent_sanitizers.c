/*
 * agent_sanitizers.c - what the sanitizers of a sanitized agent do. Compiled in, since sshd passes no environment on;
 * where there is one, it comes on top. scripts/run-tests makes the directory ER_REPORTS and reads what is in it. Leaks
 * are the unit tests' matter: a process that is killed has not freed what it held.
 */
#include "er_config.h"

#define COMMON ":exitcode=99:log_path=" ER_REPORTS "/agent"

const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void)
{
        return "detect_leaks=0:abort_on_error=0" COMMON;
}

const char *__ubsan_default_options(void)
{
        return "halt_on_error=1:print_stacktrace=1" COMMON;
}
