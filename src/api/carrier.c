/* carrier.c - the threads that look after runs, one for each. */
#include "api/impl.h"

#include <errno.h>
#include <signal.h>
#include <time.h>
#include "base/cancel.h"

#define LOOK_MS 100 /* how often to look for what other processes have changed */

struct er_carrier {
        struct errand *errand;
        int64_t run_id;
        pthread_t thread;
        struct er_cancel stop;
        struct er_strv secrets; /* "NAME=value"; wiped */
        bool over;              /* under the lock: waits to be joined */
        struct er_carrier *next;
};

static void on_state(void *arg, const struct er_job *job)
{
        struct errand *errand = arg;

        (void)job;
        pthread_mutex_lock(&errand->lock);
        pthread_cond_broadcast(&errand->changed);
        pthread_mutex_unlock(&errand->lock);
}

static void *carry(void *arg)
{
        struct er_carrier *carrier = arg;
        struct errand *errand = carrier->errand;
        struct er_store *store = NULL;
        er_autofree char *dir = NULL;

        pthread_mutex_lock(&errand->lock);
        dir = er_strdup(er_store_dir(errand->store));
        pthread_mutex_unlock(&errand->lock);
        if (er_store_open(dir, &store, NULL) == 0) {
                const struct er_maestro_opts opts = {
                        .store = store,
                        .secrets = &carrier->secrets,
                        .stop = &carrier->stop,
                        .ui = {.arg = errand, .state = on_state},
                };

                /* The store says what goes wrong with a job. What goes wrong here is left to the next carrier. */
                er_maestro_carry(&opts, &carrier->run_id, 1, NULL, NULL);
                er_store_close(store);
        }
        pthread_mutex_lock(&errand->lock);
        carrier->over = true;
        pthread_cond_broadcast(&errand->changed);
        pthread_mutex_unlock(&errand->lock);
        return NULL;
}

static void free_carrier(struct er_carrier *carrier)
{
        er_strv_wipe(&carrier->secrets);
        er_cancel_release(&carrier->stop);
        free(carrier);
}

int er_carrier_start(struct errand *errand, int64_t run_id, struct er_strv *secrets, struct er_err *err)
{
        struct er_carrier *carrier = er_new(struct er_carrier);
        sigset_t all, before;
        int rc;

        carrier->errand = errand;
        carrier->run_id = run_id;
        if (secrets) {
                carrier->secrets = *secrets;
                *secrets = (struct er_strv)ER_STRV_INIT;
        }
        if (er_cancel_init(&carrier->stop) < 0) {
                int why = errno;

                er_strv_wipe(&carrier->secrets);
                free(carrier);
                return er_err_errno(err, why, "making a pipe");
        }
        /* Signals are the program's own business. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        rc = pthread_create(&carrier->thread, NULL, carry, carrier);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (rc) {
                free_carrier(carrier);
                return er_err_errno(err, rc, "starting a thread");
        }
        carrier->next = errand->carriers;
        errand->carriers = carrier;
        return 0;
}

void er_carrier_reap(struct errand *errand)
{
        for (struct er_carrier **at = &errand->carriers; *at;) {
                struct er_carrier *carrier = *at;

                if (!carrier->over) {
                        at = &carrier->next;
                        continue;
                }
                *at = carrier->next;
                pthread_join(carrier->thread, NULL); /* at once: it has let go of the lock for the last time */
                free_carrier(carrier);
        }
}

void er_carrier_stop_all(struct errand *errand)
{
        struct er_carrier *list;

        pthread_mutex_lock(&errand->lock);
        list = errand->carriers;
        errand->carriers = NULL;
        for (struct er_carrier *carrier = list; carrier; carrier = carrier->next)
                er_cancel_fire(&carrier->stop);
        pthread_mutex_unlock(&errand->lock);
        while (list) {
                struct er_carrier *carrier = list;

                list = carrier->next;
                pthread_join(carrier->thread, NULL);
                free_carrier(carrier);
        }
}

int er_carrier_ensure(struct errand *errand, int64_t run_id, struct er_err *err)
{
        er_carrier_reap(errand);
        for (struct er_carrier *carrier = errand->carriers; carrier; carrier = carrier->next)
                if (carrier->run_id == run_id)
                        return 0;
        if (er_maestro_is_carried(errand->store, run_id))
                return 0;
        return er_carrier_start(errand, run_id, NULL, err);
}

void er_carrier_wait(struct errand *errand, er_deadline deadline)
{
        int64_t left = deadline == ER_NEVER ? LOOK_MS : deadline - er_mono_ms(), ns;
        struct timespec until;

        if (left > LOOK_MS)
                left = LOOK_MS;
        if (left <= 0)
                return;
        clock_gettime(CLOCK_REALTIME, &until);
        ns = until.tv_nsec + left * 1000000;
        until.tv_sec += (time_t)(ns / 1000000000);
        until.tv_nsec = (long)(ns % 1000000000);
        pthread_cond_timedwait(&errand->changed, &errand->lock, &until);
}
