/*
 * table.h - one table, two forms: text for people (aligned by display width, cut to fit the terminal, header in bold)
 * and JSON for programs (an array of objects). Columns have types.
 */
#ifndef ER_BASE_TABLE_H
#define ER_BASE_TABLE_H

#include <stdint.h>
#include <stdio.h>
#include "base/str.h"

enum er_cell {
        ER_CELL_TEXT,     /* bytes; shown with er_quote_show */
        ER_CELL_INT,      /* right-aligned */
        ER_CELL_SIZE,     /* bytes -> "1.5 GB"; JSON: number */
        ER_CELL_TIME,     /* ms since epoch -> local time; JSON: ISO text */
        ER_CELL_AGE,      /* ms since epoch -> "3 min ago"; JSON: ISO text */
        ER_CELL_DURATION, /* ms -> "3.2s"; JSON: number, seconds */
        ER_CELL_REAL,     /* one decimal */
        ER_CELL_BOOL,     /* yes/no; JSON: true/false */
        ER_CELL_NAMES,    /* bytes, a name a line -> "a, b"; JSON: an array */
};

struct er_column {
        const char *title;    /* "JOB" */
        const char *json_key; /* "job" */
        enum er_cell type;
        bool json_only;
        bool may_cut; /* may be shortened if the terminal is narrow */
};

struct er_table;
struct er_table *er_table_new(const struct er_column *columns, size_t count);
void er_table_free(struct er_table *table);
ER_DEFINE_AUTOPTR(er_table)
/* Add cells in the order of the columns; a row ends with its last column. */
void er_table_text(struct er_table *table, const char *text); /* NULL: empty, JSON null */
void er_table_int(struct er_table *table, int64_t value);     /* INT, SIZE, TIME, AGE, DURATION, BOOL */
void er_table_real(struct er_table *table, double value);
void er_table_none(struct er_table *table); /* "-", JSON null */
size_t er_table_rows(const struct er_table *table);
/* width: 0 is unlimited. colour: print the header in bold. now_ms: for ages. */
void er_table_print(const struct er_table *table, struct er_str *out, int width, bool colour, int64_t now_ms);
void er_table_json(const struct er_table *table, struct er_str *out);

#endif
