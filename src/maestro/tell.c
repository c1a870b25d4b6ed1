/*
 * tell.c - see tell.h. A slow front end (its output is a pager) holds up whoever calls it. The loop has other jobs to
 * look after, so it only tries.
 */
#include "maestro/tell.h"

#include "maestro/carried.h"

static void refresh(struct er_teller *t, struct er_carried *j)
{
        struct er_job *view = &j->view;

        pthread_mutex_lock(t->carry_lock);
        view->state = j->row.state;
        view->reason = j->row.reason;
        view->exit_status = j->row.exit_status;
        view->attempt = j->row.attempt;
        view->cancel_asked = j->row.cancel_asked;
        view->outputs_fetched = j->row.outputs_fetched;
        view->started_ms = j->row.started_ms;
        view->ended_ms = j->row.ended_ms;
        view->news_ms = j->row.news_ms;
        view->gpu_mask = j->at.gpu_mask;
        view->gpu_shared = j->at.gpu_shared;
        free(view->host);
        view->host = er_strdup(j->row.host);
        free(view->detail);
        view->detail = er_strdup(j->row.detail);
        pthread_mutex_unlock(t->carry_lock);
}

static bool enter(struct er_teller *t, bool wait)
{
        return (wait ? pthread_mutex_lock(&t->lock) : pthread_mutex_trylock(&t->lock)) == 0;
}

bool er_tell_state(struct er_teller *t, struct er_carried *j, bool wait)
{
        if (!enter(t, wait))
                return false;
        refresh(t, j);
        if (j->view.state != j->told || j->view.attempt != j->told_attempt) {
                j->told = j->view.state;
                j->told_attempt = j->view.attempt;
                if (t->ui->state)
                        t->ui->state(t->ui->arg, &j->view);
        }
        pthread_mutex_unlock(&t->lock);
        return true;
}

bool er_tell_warn(struct er_teller *t, struct er_carried *j, const struct er_err *err, bool wait)
{
        if (!enter(t, wait))
                return false;
        refresh(t, j);
        if (t->ui->warn)
                t->ui->warn(t->ui->arg, &j->view, err);
        pthread_mutex_unlock(&t->lock);
        return true;
}

int er_tell_log(struct er_teller *t, struct er_carried *j, int stream, struct er_sv data)
{
        int rc;

        if (!t->ui->log)
                return 0;
        pthread_mutex_lock(&t->lock);
        rc = t->ui->log(t->ui->arg, &j->view, stream, data);
        pthread_mutex_unlock(&t->lock);
        return rc;
}

void er_tell_note(struct er_teller *t, struct er_carried *j, const char *fmt, ...)
{
        er_auto(er_str) text = ER_STR_INIT;
        va_list args;

        if (!t->ui->note)
                return;
        va_start(args, fmt);
        er_str_addv(&text, fmt, args);
        va_end(args);
        pthread_mutex_lock(&t->lock);
        t->ui->note(t->ui->arg, &j->view, text.buf);
        pthread_mutex_unlock(&t->lock);
}

void er_tell_transfer(struct er_teller *t, struct er_carried *j, const char *what, const struct er_transfer *transfer)
{
        if (!t->ui->transfer)
                return;
        pthread_mutex_lock(&t->lock);
        t->ui->transfer(t->ui->arg, &j->view, what, transfer);
        pthread_mutex_unlock(&t->lock);
}

void er_tell_fetched(struct er_teller *t, struct er_carried *j, const char *dir, const struct er_transfer *transfer)
{
        if (!t->ui->fetched)
                return;
        pthread_mutex_lock(&t->lock);
        t->ui->fetched(t->ui->arg, &j->view, dir, transfer);
        pthread_mutex_unlock(&t->lock);
}
