#include "base/crash.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#include "base/parse.h"
#include "base/str.h"

atomic_int er_crash_state_ = 1;

static pthread_mutex_t crash_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t crash_at, crash_count;
static const char *crash_name, *crash_file;

static void look_at_environment(void)
{
        const char *at = getenv("ERRAND_CRASH_AT");
        crash_file = getenv("ERRAND_CRASH_COUNT");
        if (at && *at && er_parse_u64(at, UINT64_MAX, &crash_at, NULL) < 0)
                crash_name = at;
        atomic_store(&er_crash_state_, (at && *at) || crash_file ? 2 : 0);
}

void er_crash_named_(const char *name)
{
        pthread_mutex_lock(&crash_lock);
        if (atomic_load(&er_crash_state_) == 1)
                look_at_environment();
        if (crash_name && er_streq(crash_name, name))
                raise(SIGKILL);
        pthread_mutex_unlock(&crash_lock);
}

void er_crash_hit_(const char *name)
{
        pthread_mutex_lock(&crash_lock);
        if (atomic_load(&er_crash_state_) == 1)
                look_at_environment();
        if (atomic_load(&er_crash_state_) == 2) {
                crash_count++;
                if (crash_file) {
                        er_autofree char *line = er_fmt("%s\n", name);
                        int fd = open(crash_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
                        if (fd >= 0) {
                                ssize_t n = write(fd, line, strlen(line));
                                (void)n;
                                close(fd);
                        }
                }
                if (crash_count == crash_at || (crash_name && er_streq(crash_name, name)))
                        raise(SIGKILL);
        }
        pthread_mutex_unlock(&crash_lock);
}
