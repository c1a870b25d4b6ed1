/*
 * ready.c - er_maestro_ready(): what a maestro takes from this process, tried before a run is stored. A stored run is
 * started by whatever errand comes next, so a failure after storing would be an error and yet a job that runs.
 */
#include "maestro/maestro.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#define DESCRIPTORS 24 /* pipes, bell and lease take 7; a session with one host 15 */

static void *do_nothing(void *arg)
{
        return arg;
}

static int try_descriptors(struct er_err *err)
{
        int fds[DESCRIPTORS], count = 0, why = 0;

        while (count < DESCRIPTORS && why == 0) {
                int fd = count == 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : fcntl(fds[0], F_DUPFD_CLOEXEC, 0);

                if (fd < 0)
                        why = errno;
                else
                        fds[count++] = fd;
        }
        while (count > 0)
                close(fds[--count]);
        return why ? er_err_errno(err, why, "nothing was started: carrying a run takes %d files or pipes at once",
                                  DESCRIPTORS)
                   : 0;
}

int er_maestro_ready(struct er_err *err)
{
        pthread_t thread;
        int rc;

        if (try_descriptors(err) < 0)
                return -1;
        rc = pthread_create(&thread, NULL, do_nothing, NULL);
        if (rc)
                return er_err_errno(err, rc, "nothing was started: starting a thread");
        pthread_join(thread, NULL);
        return 0;
}
