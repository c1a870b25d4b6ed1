/*
 * found_world.h - a project and a virtual environment made by the test, and what is found in them as one text.
 */
#ifndef ER_UNIT_FOUND_WORLD_H
#define ER_UNIT_FOUND_WORLD_H

#include "unit.h"

#include "environment/imports.h"

struct world {
        char *dir, *project, *venv;
};

/* A package of the virtual environment, as pip leaves it. */
static inline void world_install(const struct world *world, const char *info, const char *record)
{
        er_autofree char *site = er_fmt("%s/lib/python3.11/site-packages", world->venv);
        er_autofree char *path = er_fmt("%s.dist-info/RECORD", info);
        er_auto(er_str) whole = ER_STR_INIT;
        struct er_sv rest = er_sv(record), file;

        while (er_sv_cut(&rest, ' ', &file)) {
                er_autofree char *name = er_sv_dup(file);

                unit_put(site, name, "");
                er_str_addf(&whole, "%s,sha256=x,0\n", name);
        }
        unit_put(site, path, whole.buf);
}

static inline struct world world_new(void)
{
        struct world world = {.dir = unit_temp_dir()};

        world.project = er_fmt("%s/project", world.dir);
        world.venv = er_fmt("%s/venv", world.dir);
        unit_put(world.project, "README", "");
        unit_put(world.venv, "lib/python3.11/site-packages/README.txt", "");
        setenv("VIRTUAL_ENV", world.venv, 1);
        return world;
}

static inline void world_end(struct world *world)
{
        unit_remove(world->dir);
        free(world->project);
        free(world->venv);
}

/* "distribution[==version] import file:line[ optional][ note]", joined by ", " (owned). */
static inline char *world_found(const struct er_found_list *list)
{
        er_auto(er_str) out = ER_STR_INIT;

        for (size_t i = 0; i < list->count; i++) {
                const struct er_found *found = &list->items[i];

                er_str_addf(&out, "%s%s%s%s %s %s:%u%s%s%s", i > 0 ? ", " : "", found->distribution,
                            found->version ? "==" : "", found->version ? found->version : "", found->import,
                            found->file, found->line, found->optional ? " optional" : "", found->note ? " " : "",
                            found->note ? found->note : "");
        }
        return er_str_detach(&out);
}

/* The names only, those that are optional in brackets (owned). */
static inline char *world_names(const struct er_found_list *list)
{
        er_auto(er_str) out = ER_STR_INIT;

        for (size_t i = 0; i < list->count; i++)
                er_str_addf(&out, "%s%s%s%s", i > 0 ? " " : "", list->items[i].optional ? "(" : "",
                            list->items[i].distribution, list->items[i].optional ? ")" : "");
        return er_str_detach(&out);
}

#endif
