/*
 * Calls of the front end, one at a time. A front end that is slow (its output is a pager) holds up whoever calls it;
 * the loop must go on looking after the other jobs, so it only tries.
 */
#include "maestro/carry.h"

static char *dup_or_null(const char *text)
{
        return text ? er_strdup(text) : NULL;
}

void er_tell_init(struct er_carried *j)
{
        struct er_job *view = &j->view;
        *view = j->row;
        view->spec = (struct er_str)ER_STR_INIT;
        view->name = er_strdup(j->row.name);
        view->run = er_strdup(j->row.run);
        view->project = er_strdup(j->row.project);
        view->project_dir = er_strdup(j->row.project_dir);
        view->command = dup_or_null(j->row.command);
        view->host = dup_or_null(j->row.host);
        view->detail = dup_or_null(j->row.detail);
        j->told = j->row.state;
        j->told_attempt = j->row.attempt;
}

static void refresh(struct er_carry *m, struct er_carried *j)
{
        struct er_job *view = &j->view;
        pthread_mutex_lock(&m->lock);
        view->state = j->row.state;
        view->reason = j->row.reason;
        view->exit_status = j->row.exit_status;
        view->attempt = j->row.attempt;
        view->cancel_asked = j->row.cancel_asked;
        view->outputs_fetched = j->row.outputs_fetched;
        view->started_ms = j->row.started_ms;
        view->ended_ms = j->row.ended_ms;
        view->news_ms = j->row.news_ms;
        free(view->host);
        view->host = dup_or_null(j->row.host);
        free(view->detail);
        view->detail = dup_or_null(j->row.detail);
        pthread_mutex_unlock(&m->lock);
}

bool er_tell_state(struct er_carry *m, struct er_carried *j, bool wait)
{
        if (wait)
                pthread_mutex_lock(&m->ui_lock);
        else if (pthread_mutex_trylock(&m->ui_lock) != 0)
                return false;
        refresh(m, j);
        if (j->view.state != j->told || j->view.attempt != j->told_attempt) {
                j->told = j->view.state;
                j->told_attempt = j->view.attempt;
                if (m->opts->ui.state)
                        m->opts->ui.state(m->opts->ui.arg, &j->view);
        }
        pthread_mutex_unlock(&m->ui_lock);
        return true;
}

int er_tell_log(struct er_carry *m, struct er_carried *j, int stream, struct er_sv data)
{
        if (!m->opts->ui.log)
                return 0;
        pthread_mutex_lock(&m->ui_lock);
        int rc = m->opts->ui.log(m->opts->ui.arg, &j->view, stream, data);
        pthread_mutex_unlock(&m->ui_lock);
        return rc;
}

void er_tell_note(struct er_carry *m, struct er_carried *j, const char *fmt, ...)
{
        if (!m->opts->ui.note)
                return;
        er_auto(er_str) text = ER_STR_INIT;
        va_list args;
        va_start(args, fmt);
        er_str_addv(&text, fmt, args);
        va_end(args);
        pthread_mutex_lock(&m->ui_lock);
        m->opts->ui.note(m->opts->ui.arg, &j->view, text.buf);
        pthread_mutex_unlock(&m->ui_lock);
}

bool er_tell_warn(struct er_carry *m, struct er_carried *j, const struct er_err *err, bool wait)
{
        if (wait)
                pthread_mutex_lock(&m->ui_lock);
        else if (pthread_mutex_trylock(&m->ui_lock) != 0)
                return false;
        refresh(m, j);
        if (m->opts->ui.warn)
                m->opts->ui.warn(m->opts->ui.arg, &j->view, err);
        pthread_mutex_unlock(&m->ui_lock);
        return true;
}

void er_tell_transfer(struct er_carry *m, struct er_carried *j, const char *what, const struct er_transfer *transfer)
{
        if (!m->opts->ui.transfer)
                return;
        pthread_mutex_lock(&m->ui_lock);
        m->opts->ui.transfer(m->opts->ui.arg, &j->view, what, transfer);
        pthread_mutex_unlock(&m->ui_lock);
}

void er_tell_fetched(struct er_carry *m, struct er_carried *j, const char *dir, const struct er_transfer *transfer)
{
        if (!m->opts->ui.fetched)
                return;
        pthread_mutex_lock(&m->ui_lock);
        m->opts->ui.fetched(m->opts->ui.arg, &j->view, dir, transfer);
        pthread_mutex_unlock(&m->ui_lock);
}
