/* data.c - see data.h */
#include "host/data.h"

#include "host/connect/requests.h"

static int send(struct er_session *session, enum er_frame_type type, const struct er_str *fields, uint32_t *ret_id,
                struct er_err *err)
{
        er_auto(er_str) frames = ER_STR_INIT;
        size_t start;

        *ret_id = er_session_next_id(session);
        start = er_frame_begin(&frames, type, *ret_id);
        er_str_addn(&frames, fields->buf, fields->len);
        er_frame_end(&frames, start);
        return er_session_send(session, er_svn(frames.buf, frames.len), err);
}

int er_data_fetch(struct er_session *session, const struct er_data_wish *wish, struct er_data_result *ret,
                  struct er_err *err)
{
        er_auto(er_str) fields = ER_STR_INIT;
        struct er_frame frame;
        uint32_t id;

        er_msg_text(&fields, ER_T_PROJECT, wish->project);
        er_msg_text(&fields, ER_T_ROOT, wish->root);
        er_msg_text(&fields, ER_T_NAME, wish->name);
        er_msg_text(&fields, ER_T_URL, wish->url);
        er_msg_text(&fields, ER_T_SUM, wish->sum);
        if (wish->unpack)
                er_msg_u64(&fields, ER_T_UNPACK, 1);
        if (send(session, ER_F_DATA_FETCH, &fields, &id, err) < 0)
                return -1;
        do {
                er_autofree char *what = NULL;
                int rc;

                er_session_heartbeat(session, true); /* a hung agent is as silent as one that unpacks for long */
                rc = er_session_recv(session, id, ER_NEVER, &frame, err);
                er_session_heartbeat(session, false);
                if (rc < 0)
                        return -1;
                what = er_msg_dup(frame.payload, ER_T_DETAIL);
                if (frame.type == ER_F_EVENT && wish->progress)
                        wish->progress(wish->arg, er_msg_get_u64(frame.payload, ER_T_OFFSET, 0),
                                       er_msg_get_u64(frame.payload, ER_T_SIZE, 0), what);
        } while (!er_frame_is_closing(frame.type));
        *ret = (struct er_data_result){
                .size = er_msg_get_u64(frame.payload, ER_T_SIZE, 0),
                .was_there = er_msg_get_u64(frame.payload, ER_T_CHANGED, 1) == 0,
        };
        return 0;
}

void er_data_list_release(struct er_data_list *list)
{
        for (size_t i = 0; i < list->count; i++)
                free(list->items[i].name);
        free(list->items);
        free(list->path);
        *list = (struct er_data_list)ER_DATA_LIST_INIT;
}

static int by_name(const void *a, const void *b)
{
        const struct er_data_entry *left = a, *right = b;

        return strcmp(left->name, right->name);
}

int er_data_list(struct er_session *session, const char *project, bool only_where, struct er_data_list *ret,
                 struct er_err *err)
{
        er_auto(er_data_list) list = ER_DATA_LIST_INIT;
        er_auto(er_str) fields = ER_STR_INIT;
        struct er_frame frame;
        uint32_t id;

        er_msg_text(&fields, ER_T_PROJECT, project);
        if (only_where)
                er_msg_u64(&fields, ER_T_DRY, 1);
        if (send(session, ER_F_DATA_LIST, &fields, &id, err) < 0)
                return -1;
        for (;;) {
                char *name;

                if (er_session_recv(session, id, ER_NEVER, &frame, err) < 0)
                        return -1;
                if (frame.type == ER_F_END)
                        break;
                name = frame.type == ER_F_ENTRY ? er_msg_dup(frame.payload, ER_T_NAME) : NULL;
                if (!name)
                        continue;
                list.items = er_grow(list.items, &list.cap, list.count + 1, sizeof *list.items);
                list.items[list.count++] = (struct er_data_entry){
                        .name = name,
                        .type = (char)er_msg_get_u64(frame.payload, ER_T_TYPE, 'f'),
                        .size = er_msg_get_u64(frame.payload, ER_T_SIZE, 0),
                        .changed_ms = er_session_our_time(session, er_msg_get_i64(frame.payload, ER_T_MTIME, 0)),
                };
        }
        list.path = er_msg_dup(frame.payload, ER_T_PATH);
        list.free_bytes = er_msg_get_u64(frame.payload, ER_T_DISK_FREE, 0);
        if (!list.path)
                return er_err_set(err, ER_REMOTE, "%s: errand-agent sent an unexpected answer about data",
                                  er_session_host(session));
        if (list.count > 1)
                qsort(list.items, list.count, sizeof *list.items, by_name);
        *ret = list;
        list = (struct er_data_list)ER_DATA_LIST_INIT;
        return 0;
}

int er_data_remove(struct er_session *session, const char *project, const char *name, uint64_t *ret_freed,
                   struct er_err *err)
{
        er_auto(er_str) fields = ER_STR_INIT;
        struct er_frame frame;

        er_msg_text(&fields, ER_T_PROJECT, project);
        er_msg_text(&fields, ER_T_NAME, name);
        if (er_session_call(session, ER_F_DATA_REMOVE, er_svn(fields.buf, fields.len), &frame, err) < 0)
                return -1;
        *ret_freed += er_msg_get_u64(frame.payload, ER_T_FREED, 0);
        return 0;
}
