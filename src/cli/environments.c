/* environments.c - see environments.h */
#include "cli/environments.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/parse.h"
#include "base/table.h"
#include "cli/fanout.h"
#include "cli/words.h"
#include "host/environment.h"
#include "maestro/maestro.h"

#define NAME_LEN 12    /* how much of a hash is shown */
#define NAME_MIN_LEN 4 /* and how much must be typed */

static const char *const states[] = {
        [ER_ENV_STATE_NONE] = "not built",
        [ER_ENV_STATE_BUILDING] = "building",
        [ER_ENV_STATE_READY] = "ready",
        [ER_ENV_STATE_FAILED] = "failed",
};

static const char *state_name(unsigned state)
{
        return state < ER_LEN(states) ? states[state] : "?";
}

/* ---- What the hosts have */

struct visit {
        struct er_host host;
        struct er_session *session;
        struct er_environment_list list;
        struct er_err err;
        int rc;
};

struct visits {
        struct visit *items;
        size_t count;
};
#define VISITS_INIT {0}

static void visits_release(struct visits *visits)
{
        for (size_t i = 0; i < visits->count; i++) {
                er_environment_list_release(&visits->items[i].list);
                er_session_free(visits->items[i].session);
                er_host_release(&visits->items[i].host);
                er_err_release(&visits->items[i].err);
        }
        free(visits->items);
}
#define AUTO_VISITS __attribute__((cleanup(visits_release))) struct visits

static void visit(void *arg, size_t index)
{
        const struct visits *visits = arg;
        struct visit *v = &visits->items[index];
        const struct er_session_opts opts = {.interactive = visits->count == 1, .silence_ms = ER_ONE_OF_MANY_MS};

        v->rc = er_session_open(&v->host, &opts, &v->session, &v->err);
        if (v->rc == 0)
                v->rc = er_environment_list(v->session, &v->list, &v->err);
}

static int find_hosts(const struct er_cli *cli, const struct er_strv *on, struct visits *ret, struct er_err *err)
{
        struct er_host *known = NULL;
        size_t count = 0;

        if (on->len == 0) {
                if (er_hosts_known(cli->store, &known, &count, err) < 0)
                        return -1;
                ret->items = er_calloc(count, sizeof *ret->items);
                for (; ret->count < count; ret->count++)
                        ret->items[ret->count].host = known[ret->count];
                free(known);
                return 0;
        }
        ret->items = er_calloc(on->len, sizeof *ret->items);
        for (size_t i = 0; i < on->len; i++, ret->count++)
                if (er_hosts_find(cli->store, on->items[i], &ret->items[i].host, err) < 0)
                        return -1;
        return 0;
}

static int look(const struct er_cli *cli, const struct er_strv *on, struct visits *ret, struct er_err *err)
{
        if (find_hosts(cli, on, ret, err) < 0)
                return -1;
        er_fanout_free(er_fanout_start(ret->count, visit, ret));
        for (size_t i = 0; i < ret->count; i++) {
                if (ret->items[i].rc == 0)
                        continue;
                if (on->len > 0)
                        return er_err_move(err, &ret->items[i].err);
                er_say(cli, "%s: %s", ret->items[i].host.name,
                       ret->items[i].err.message ? ret->items[i].err.message : "no answer");
        }
        return 0;
}

static void name_of(const struct er_environment_entry *entry, char ret[ER_HASH_HEX])
{
        er_fmt_hex(entry->hash, ER_ENV_HASH, ret);
}

/* ---- list */

int er_environments_list(const struct er_cli *cli, const struct er_strv *on, struct er_err *err)
{
        static const struct er_column columns[] = {
                {.title = "HOST", .json_key = "host", .type = ER_CELL_TEXT},
                {.title = "ENVIRONMENT", .json_key = "environment", .type = ER_CELL_TEXT},
                {.title = "STATE", .json_key = "state", .type = ER_CELL_TEXT},
                {.title = "SIZE", .json_key = "bytes", .type = ER_CELL_SIZE},
                {.title = "USED", .json_key = "used", .type = ER_CELL_AGE},
                {.title = "NOW", .json_key = "in_use", .type = ER_CELL_BOOL, .json_only = true},
                {.title = "PATH", .json_key = "path", .type = ER_CELL_TEXT, .json_only = true},
                {.title = "ERROR", .json_key = "error", .type = ER_CELL_TEXT, .json_only = true},
                {.title = "SOFTWARE", .json_key = "software", .type = ER_CELL_TEXT, .may_cut = true},
        };
        er_autoptr(er_table) table = er_table_new(columns, ER_LEN(columns));
        AUTO_VISITS visits = VISITS_INIT;

        if (look(cli, on, &visits, err) < 0)
                return -1;
        for (size_t i = 0; i < visits.count; i++) {
                for (size_t k = 0; k < visits.items[i].list.count; k++) {
                        const struct er_environment_entry *entry = &visits.items[i].list.items[k];
                        char name[ER_HASH_HEX];

                        name_of(entry, name);
                        if (!cli->json)
                                name[NAME_LEN] = '\0';
                        er_table_text(table, visits.items[i].host.name);
                        er_table_text(table, name);
                        er_table_text(table, state_name(entry->state));
                        er_table_int(table, (int64_t)entry->size);
                        er_table_int(table, entry->used_ms);
                        er_table_int(table, entry->in_use);
                        er_table_text(table, entry->path);
                        er_table_text(table, entry->message);
                        er_table_text(table, entry->summary);
                }
        }
        return er_out_table(cli, table,
                            "no environments yet; errand run builds them from what errand.yaml or its options declare",
                            err);
}

/* ---- the environments that were named */

struct chosen {
        struct visit *visit;
        const struct er_environment_entry *entry;
};
struct choice {
        struct chosen *items;
        size_t count, cap;
};

static void choice_release(struct choice *all)
{
        free(all->items);
}
#define AUTO_CHOICE __attribute__((cleanup(choice_release))) struct choice

static void choose(struct choice *all, struct visit *v, const struct er_environment_entry *entry)
{
        all->items = er_grow(all->items, &all->cap, all->count + 1, sizeof *all->items);
        all->items[all->count++] = (struct chosen){v, entry};
}

static int choose_name(const struct visits *visits, const char *name, struct choice *ret, struct er_err *err)
{
        const unsigned char *first = NULL;
        size_t before = ret->count;

        if (strlen(name) < NAME_MIN_LEN || strspn(name, "0123456789abcdef") != strlen(name)) {
                er_err_set(err, ER_USAGE, "\"%s\" is not the name of an environment", name);
                return er_err_hint(
                        err,
                        "give a name such as 3fa9c1d07e21, or its first characters; errand env list shows the names");
        }
        for (size_t i = 0; i < visits->count; i++) {
                for (size_t k = 0; k < visits->items[i].list.count; k++) {
                        const struct er_environment_entry *entry = &visits->items[i].list.items[k];
                        char hex[ER_HASH_HEX];

                        name_of(entry, hex);
                        if (!er_starts(hex, name))
                                continue;
                        if (first && memcmp(first, entry->hash, ER_ENV_HASH) != 0) {
                                er_err_set(err, ER_USAGE, "several environments start with %s", name);
                                return er_err_hint(err, "give more characters; errand env list shows the names");
                        }
                        first = entry->hash;
                        choose(ret, &visits->items[i], entry);
                }
        }
        if (ret->count > before)
                return 0;
        er_err_set(err, ER_NOT_FOUND, "no environment %s on %s", name,
                   visits->count == 1 ? visits->items[0].host.name : "any host that answers");
        return er_err_hint(err, "errand env list shows the environments there are");
}

static int choose_all(const struct visits *visits, char *const *names, int count, struct choice *ret,
                      struct er_err *err)
{
        for (int i = 0; i < count; i++)
                if (choose_name(visits, names[i], ret, err) < 0)
                        return -1;
        return 0;
}

/* ---- show */

static void show_one(const struct chosen *chosen, struct er_str *out)
{
        const struct er_environment_entry *entry = chosen->entry;
        char name[ER_HASH_HEX];
        er_auto(er_str) size = ER_STR_INIT;
        er_auto(er_str) path = ER_STR_INIT;

        name_of(entry, name);
        er_fmt_size(&size, entry->size);
        er_str_addf(out, "%.*s on %s: %s%s, %s\n", NAME_LEN, name, chosen->visit->host.name, state_name(entry->state),
                    entry->in_use ? ", in use" : "", size.buf);
        if (entry->message) { /* a tool's own words may contain anything */
                er_str_add(out, "  error   ");
                er_quote_show(out, entry->message, strlen(entry->message));
                er_str_addc(out, '\n');
        }
        er_quote_show(&path, entry->path ? entry->path : "", entry->path ? strlen(entry->path) : 0);
        er_str_addf(out, "  in      %s\n", path.buf);
        er_str_addf(out, "  log     %s/log\n\n", path.buf);
        if (entry->declaration)
                er_quote_lines(out, entry->declaration, strlen(entry->declaration));
        if (out->len && out->buf[out->len - 1] != '\n')
                er_str_add(out, "\n");
}

static json_t *show_json(const struct chosen *chosen)
{
        const struct er_environment_entry *entry = chosen->entry;
        char name[ER_HASH_HEX];

        name_of(entry, name);
        return json_pack("{s:s, s:s, s:s, s:b, s:I, s:s?, s:s?, s:s?}", "host", chosen->visit->host.name, "environment",
                         name, "state", state_name(entry->state), "in_use", entry->in_use, "bytes",
                         (json_int_t)entry->size, "path", entry->path, "error", entry->message, "declaration",
                         entry->declaration);
}

int er_environments_show(const struct er_cli *cli, const struct er_strv *on, char *const *names, int count,
                         struct er_err *err)
{
        er_auto(er_str) out = ER_STR_INIT;
        AUTO_VISITS visits = VISITS_INIT;
        AUTO_CHOICE all = {0};
        json_t *list;
        int rc;

        if (look(cli, on, &visits, err) < 0 || choose_all(&visits, names, count, &all, err) < 0)
                return -1;
        if (!cli->json) {
                for (size_t i = 0; i < all.count; i++) {
                        er_str_add(&out, i ? "\n" : "");
                        show_one(&all.items[i], &out);
                }
                return er_out(er_svn(out.buf, out.len), err);
        }
        list = json_array();
        for (size_t i = 0; i < all.count; i++)
                json_array_append_new(list, show_json(&all.items[i]));
        rc = er_out_json(list, err);
        json_decref(list);
        return rc;
}

/* ---- check */

int er_environments_check(const struct er_cli *cli, const struct er_strv *on, char *const *names, int count,
                          struct er_err *err)
{
        static const struct er_column columns[] = {
                {.title = "HOST", .json_key = "host", .type = ER_CELL_TEXT},
                {.title = "ENVIRONMENT", .json_key = "environment", .type = ER_CELL_TEXT},
                {.title = "WHOLE", .json_key = "whole", .type = ER_CELL_BOOL},
                {.title = "MISSING", .json_key = "missing", .type = ER_CELL_TEXT, .may_cut = true},
        };
        er_autoptr(er_table) table = er_table_new(columns, ER_LEN(columns));
        AUTO_VISITS visits = VISITS_INIT;
        AUTO_CHOICE all = {0};
        int broken = 0;

        if (look(cli, on, &visits, err) < 0 || choose_all(&visits, names, count, &all, err) < 0)
                return -1;
        for (size_t i = 0; count == 0 && i < visits.count; i++)
                for (size_t k = 0; k < visits.items[i].list.count; k++)
                        if (visits.items[i].list.items[k].state == ER_ENV_STATE_READY)
                                choose(&all, &visits.items[i], &visits.items[i].list.items[k]);
        for (size_t i = 0; i < all.count; i++) {
                er_auto(er_err) why = ER_ERR_INIT;
                char name[ER_HASH_HEX];
                int rc = er_environment_check(all.items[i].visit->session, all.items[i].entry->hash, &why);

                if (rc < 0 && why.code != ER_STATE)
                        return er_err_move(err, &why);
                name_of(all.items[i].entry, name);
                if (!cli->json)
                        name[NAME_LEN] = '\0';
                er_table_text(table, all.items[i].visit->host.name);
                er_table_text(table, name);
                er_table_int(table, rc == 0);
                er_table_text(table, rc == 0 ? NULL : why.message);
                broken += rc < 0;
        }
        if (er_out_table(cli, table, "no environment is ready", err) < 0)
                return -1;
        if (broken)
                er_say(cli, "errand env rm NAME removes one; the next job that needs it builds it again");
        return broken ? 1 : 0;
}

/* ---- rm */

int er_environments_rm(const struct er_cli *cli, const struct er_strv *on, char *const *names, int count,
                       struct er_err *err)
{
        er_auto(er_str) size = ER_STR_INIT;
        AUTO_VISITS visits = VISITS_INIT;
        AUTO_CHOICE all = {0};
        uint64_t freed = 0;

        if (look(cli, on, &visits, err) < 0 || choose_all(&visits, names, count, &all, err) < 0)
                return -1;
        for (size_t i = 0; i < all.count; i++)
                if (er_environment_remove(all.items[i].visit->session, all.items[i].entry->hash, &freed, err) < 0)
                        return er_err_wrap(err, "%s", all.items[i].visit->host.name);
        er_fmt_size(&size, freed);
        er_say(cli, "%s freed", size.buf);
        return 0;
}

/* ---- built for a command */

struct building {
        struct er_live *live;
        const char *host;
};

static void on_progress(void *arg, const char *text)
{
        const struct building *building = arg;

        er_live_set(building->live, "%s: %s", building->host, text);
}

static void on_transfer(void *arg, const struct er_transfer *transfer)
{
        const struct building *building = arg;

        er_live_transfer(building->live, "sending packages", transfer);
}

int er_environments_build(struct er_session *session, struct er_recipe *recipe, struct er_live *live,
                          struct er_err *err)
{
        struct building building = {.live = live, .host = er_session_host(session)};
        struct er_transfer transfer = {.progress = on_transfer, .arg = &building};
        const struct er_environment_ways ways = {.transfer = &transfer, .progress = on_progress, .arg = &building};
        er_auto(er_environment_request) request = ER_ENVIRONMENT_REQUEST_INIT;
        int rc;

        on_progress(&building, "setting up the environment");
        rc = er_environment_begin(session, recipe, &ways, &request, err);
        if (rc == 0)
                rc = er_environment_await(&request, on_progress, &building, err);
        er_live_clear(live);
        return rc;
}
