/* container.c - see container.h */
#include "agent/attempt/container.h"

#include <poll.h>
#include "agent/outside.h"
#include "base/clock.h"
#include "base/io.h"

#define COMMAND "end" /* the file with the words */

int er_container_note(const struct er_adir *dir, const struct er_strv *words, struct er_err *err)
{
        er_auto(er_str) text = ER_STR_INIT;

        if (words->len == 0)
                return 0;
        for (size_t i = 0; i < words->len; i++)
                er_str_addn(&text, words->items[i], strlen(words->items[i]) + 1);
        return er_file_write(dir->fd, COMMAND, text.buf, text.len, 0600, false, err);
}

bool er_container_noted(const struct er_adir *dir)
{
        return er_file_exists(dir->fd, COMMAND);
}

void er_container_tell(const struct er_adir *dir, const struct er_str *said)
{
        er_auto(er_status) last = ER_STATUS_INIT;
        struct er_status event;

        er_events_last(dir, &last);
        if (said->len == 0 || er_streq(last.detail, said->buf))
                return;
        event = last;
        event.state = ER_STATE_RUNNING;
        event.time_ms = 0;
        event.detail = said->buf;
        er_events_append(dir, &event, NULL);
}

bool er_container_insist(const struct er_adir *dir, struct er_str *said)
{
        er_auto(er_strv) words = ER_STRV_INIT;
        er_deadline patience = ER_NEVER;

        if (!er_outside_read(dir->fd, COMMAND, &words))
                return true;
        while (!er_outside_end(&words, said)) {
                if (patience == ER_NEVER && (er_file_exists(dir->fd, "cancel") || er_adir_is_gone(dir)))
                        patience = er_deadline_in(ER_CONTAINER_PATIENCE_MS);
                if (er_deadline_poll_ms(patience) == 0)
                        return false;
                er_container_tell(dir, said);
                poll(NULL, 0, ER_CONTAINER_RETRY_MS);
        }
        return true;
}
