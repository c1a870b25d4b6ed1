/* table.c - see table.h */
#include "base/table.h"

#include <math.h>
#include "base/clock.h"
#include "base/parse.h"
#include "base/term.h"
#include "base/utf8.h"

#define GAP 2       /* spaces between two columns */
#define CUT_LEAST 8 /* no column is cut below this width */
#define ELLIPSIS "\xe2\x80\xa6"

enum kind { CELL_NONE, CELL_NUMBER, CELL_REAL_NUMBER, CELL_STRING };

struct cell {
        enum kind kind;
        uint32_t text_len;
        union {
                int64_t number;
                double real;
                size_t text_at; /* in the table's texts */
        };
};

struct er_table {
        const struct er_column *columns; /* (borrowed) */
        size_t column_count;
        struct cell *cells;
        size_t count;
        size_t cap;
        struct er_str texts;
};

struct er_table *er_table_new(const struct er_column *columns, size_t count)
{
        struct er_table *table = er_new(struct er_table);

        table->columns = columns;
        table->column_count = count;
        er_str_init(&table->texts);
        return table;
}

void er_table_free(struct er_table *table)
{
        if (!table)
                return;
        er_str_release(&table->texts);
        free(table->cells);
        free(table);
}

static struct cell *add_cell(struct er_table *table, enum kind kind)
{
        struct cell *cell;

        table->cells = er_grow(table->cells, &table->cap, table->count + 1, sizeof *table->cells);
        cell = &table->cells[table->count++];
        *cell = (struct cell){.kind = kind};
        return cell;
}

void er_table_text(struct er_table *table, const char *text)
{
        struct cell *cell;
        size_t len = text ? strlen(text) : 0;

        if (len > UINT32_MAX)
                abort();
        cell = add_cell(table, CELL_STRING);
        if (!text) {
                cell->text_at = SIZE_MAX; /* empty in text, null in JSON */
                return;
        }
        cell->text_at = table->texts.len;
        cell->text_len = (uint32_t)len;
        er_str_addn(&table->texts, text, len);
}

void er_table_int(struct er_table *table, int64_t value)
{
        add_cell(table, CELL_NUMBER)->number = value;
}

void er_table_real(struct er_table *table, double value)
{
        add_cell(table, CELL_REAL_NUMBER)->real = value;
}

void er_table_none(struct er_table *table)
{
        add_cell(table, CELL_NONE);
}

size_t er_table_rows(const struct er_table *table)
{
        return table->column_count ? table->count / table->column_count : 0;
}

static const struct cell *cell_at(const struct er_table *table, size_t row, size_t column)
{
        return &table->cells[row * table->column_count + column];
}

static void show_number(struct er_str *out, enum er_cell type, int64_t value, int64_t now_ms)
{
        switch (type) {
        case ER_CELL_SIZE:
                er_fmt_size(out, value < 0 ? 0 : (uint64_t)value);
                break;
        case ER_CELL_TIME:
                er_fmt_time(out, value);
                break;
        case ER_CELL_AGE:
                er_fmt_age(out, now_ms - value);
                break;
        case ER_CELL_DURATION:
                er_fmt_duration(out, value);
                break;
        case ER_CELL_BOOL:
                er_str_add(out, value ? "yes" : "no");
                break;
        case ER_CELL_TEXT:
        case ER_CELL_NAMES:
        case ER_CELL_INT:
        case ER_CELL_REAL:
                er_str_addf(out, "%lld", (long long)value);
                break;
        }
}

static void show_names(struct er_str *out, struct er_sv lines)
{
        struct er_sv name;

        for (bool first = true; er_sv_cut(&lines, '\n', &name); first = false) {
                er_str_add(out, first ? "" : ", ");
                er_quote_show(out, name.ptr, name.len);
        }
}

static void show_cell(const struct er_table *table, const struct cell *cell, enum er_cell type, int64_t now_ms,
                      struct er_str *out)
{
        switch (cell->kind) {
        case CELL_NONE:
                er_str_addc(out, '-');
                break;
        case CELL_NUMBER:
                show_number(out, type, cell->number, now_ms);
                break;
        case CELL_REAL_NUMBER:
                if (isfinite(cell->real))
                        er_str_addf(out, "%.1f", cell->real);
                else
                        er_str_addc(out, '-');
                break;
        case CELL_STRING:
                if (cell->text_at == SIZE_MAX)
                        break;
                if (type == ER_CELL_NAMES)
                        show_names(out, er_svn(table->texts.buf + cell->text_at, cell->text_len));
                else
                        er_quote_show(out, table->texts.buf + cell->text_at, cell->text_len);
                break;
        }
}

static bool aligns_right(enum er_cell type)
{
        return type == ER_CELL_INT || type == ER_CELL_SIZE || type == ER_CELL_DURATION || type == ER_CELL_REAL;
}

/* Narrows the widest column that may be cut, again and again, until the table fits or no column can be narrowed. */
static void fit(const struct er_table *table, size_t *widths, size_t total, size_t limit)
{
        while (total > limit) {
                size_t widest = SIZE_MAX, second = CUT_LEAST, take;

                for (size_t i = 0; i < table->column_count; i++) {
                        if (table->columns[i].json_only || !table->columns[i].may_cut)
                                continue;
                        if (widest == SIZE_MAX || widths[i] > widths[widest])
                                widest = i;
                }
                if (widest == SIZE_MAX || widths[widest] <= CUT_LEAST)
                        return;
                for (size_t i = 0; i < table->column_count; i++)
                        if (i != widest && !table->columns[i].json_only && table->columns[i].may_cut &&
                            widths[i] > second)
                                second = widths[i];
                /* To the width of the next widest, or by one if they are equal. */
                take = widths[widest] > second ? widths[widest] - second : 1;
                if (take > total - limit)
                        take = total - limit;
                widths[widest] -= take;
                total -= take;
        }
}

/* How many bytes of text fit into the width. */
static size_t bytes_within(const char *text, size_t len, size_t columns, size_t *ret_used)
{
        size_t pos = 0, used = 0;

        while (pos < len) {
                uint32_t code;
                size_t n = er_utf8_next(text + pos, len - pos, &code);
                size_t width = n > 0 ? (size_t)er_utf8_width(code) : 1;

                if (used + width > columns)
                        break;
                used += width;
                pos += n > 0 ? n : 1;
        }
        *ret_used = used;
        return pos;
}

static void add_spaces(struct er_str *out, size_t count)
{
        static const char spaces[] = "                                                                ";

        while (count > 0) {
                size_t n = count < sizeof spaces - 1 ? count : sizeof spaces - 1;

                er_str_addn(out, spaces, n);
                count -= n;
        }
}

/* One cell, cut or padded to its width. The last of a line is not padded. */
static void print_field(struct er_str *out, const char *text, size_t len, size_t columns, size_t width, bool right,
                        bool last)
{
        size_t used;

        if (columns > width) {
                er_str_addn(out, text, bytes_within(text, len, width > 0 ? width - 1 : 0, &used));
                er_str_add(out, ELLIPSIS);
                if (!last)
                        add_spaces(out, width - used - 1);
                return;
        }
        if (right)
                add_spaces(out, width - columns);
        er_str_addn(out, text, len);
        if (!right && !last)
                add_spaces(out, width - columns);
}

struct shown {
        size_t at; /* in the text of all cells */
        uint32_t len;
        uint32_t columns;
};

void er_table_print(const struct er_table *table, struct er_str *out, int width, bool colour, int64_t now_ms)
{
        size_t rows = er_table_rows(table), count = table->column_count, last = SIZE_MAX, total = 0;
        er_autofree struct shown *shown = er_calloc((rows + 1) * count, sizeof *shown);
        er_autofree size_t *widths = er_calloc(count, sizeof *widths);
        er_auto(er_str) text = ER_STR_INIT;

        /* Row 0 is the header. Each cell is formatted once, first for its width and then for its text. */
        for (size_t row = 0; row <= rows; row++) {
                for (size_t i = 0; i < count; i++) {
                        struct shown *field = &shown[row * count + i];

                        if (table->columns[i].json_only)
                                continue;
                        field->at = text.len;
                        if (row == 0)
                                er_str_add(&text, table->columns[i].title);
                        else
                                show_cell(table, cell_at(table, row - 1, i), table->columns[i].type, now_ms, &text);
                        field->len = (uint32_t)(text.len - field->at);
                        field->columns = (uint32_t)er_term_columns(text.buf + field->at, field->len);
                        if (field->columns > widths[i])
                                widths[i] = field->columns;
                }
        }
        for (size_t i = 0; i < count; i++) {
                if (table->columns[i].json_only)
                        continue;
                total += widths[i] + (last == SIZE_MAX ? 0 : GAP);
                last = i;
        }
        if (width > 0)
                fit(table, widths, total, (size_t)width);
        for (size_t row = 0; row <= rows; row++) {
                bool first = true;

                if (colour && row == 0)
                        er_str_add(out, "\033[1m");
                for (size_t i = 0; i < count; i++) {
                        const struct shown *field = &shown[row * count + i];

                        if (table->columns[i].json_only)
                                continue;
                        if (!first)
                                add_spaces(out, GAP);
                        first = false;
                        print_field(out, text.buf + field->at, field->len, field->columns, widths[i],
                                    aligns_right(table->columns[i].type), i == last);
                }
                while (out->len > 0 && out->buf[out->len - 1] == ' ') /* an empty last cell */
                        er_str_cut(out, out->len - 1);
                er_str_add(out, colour && row == 0 ? "\033[0m\n" : "\n");
        }
}

/* RFC 8259: escapes quotes, backslashes and control characters. Replaces bytes that are not UTF-8. */
static void json_string(struct er_str *out, const char *text, size_t len)
{
        er_auto(er_str) clean = ER_STR_INIT;

        er_utf8_lossy(&clean, text, len);
        er_str_addc(out, '"');
        for (size_t i = 0; i < clean.len; i++) {
                unsigned char c = (unsigned char)clean.buf[i];

                if (c == '"' || c == '\\')
                        er_str_addc(out, '\\');
                if (c >= 0x20 && c != 0x7f)
                        er_str_addc(out, (char)c);
                else if (c == '\n')
                        er_str_add(out, "\\n");
                else if (c == '\t')
                        er_str_add(out, "\\t");
                else
                        er_str_addf(out, "\\u%04x", c);
        }
        er_str_addc(out, '"');
}

static void json_number(struct er_str *out, enum er_cell type, int64_t value)
{
        switch (type) {
        case ER_CELL_TIME:
        case ER_CELL_AGE:
                er_str_addc(out, '"');
                er_fmt_iso(out, value);
                er_str_addc(out, '"');
                break;
        case ER_CELL_DURATION:
                er_str_addf(out, "%lld.%03d", (long long)(value / 1000),
                            (int)(value < 0 ? -(value % 1000) : value % 1000));
                break;
        case ER_CELL_BOOL:
                er_str_add(out, value ? "true" : "false");
                break;
        case ER_CELL_TEXT:
        case ER_CELL_NAMES:
        case ER_CELL_INT:
        case ER_CELL_SIZE:
        case ER_CELL_REAL:
                er_str_addf(out, "%lld", (long long)value);
                break;
        }
}

static void json_names(struct er_str *out, struct er_sv lines)
{
        struct er_sv name;

        er_str_addc(out, '[');
        for (bool first = true; er_sv_cut(&lines, '\n', &name); first = false) {
                er_str_add(out, first ? "" : ", ");
                json_string(out, name.ptr, name.len);
        }
        er_str_addc(out, ']');
}

static void json_cell(const struct er_table *table, const struct cell *cell, enum er_cell type, struct er_str *out)
{
        switch (cell->kind) {
        case CELL_NUMBER:
                json_number(out, type, cell->number);
                return;
        case CELL_REAL_NUMBER:
                if (!isfinite(cell->real))
                        break;
                er_str_addf(out, "%.6g", cell->real);
                return;
        case CELL_STRING:
                if (cell->text_at == SIZE_MAX)
                        break;
                if (type == ER_CELL_NAMES)
                        json_names(out, er_svn(table->texts.buf + cell->text_at, cell->text_len));
                else
                        json_string(out, table->texts.buf + cell->text_at, cell->text_len);
                return;
        case CELL_NONE:
                break;
        }
        er_str_add(out, "null");
}

void er_table_json(const struct er_table *table, struct er_str *out)
{
        size_t rows = er_table_rows(table);

        er_str_addc(out, '[');
        for (size_t row = 0; row < rows; row++) {
                er_str_add(out, row == 0 ? "\n  {" : ",\n  {");
                for (size_t i = 0; i < table->column_count; i++) {
                        if (i > 0)
                                er_str_add(out, ", ");
                        json_string(out, table->columns[i].json_key, strlen(table->columns[i].json_key));
                        er_str_add(out, ": ");
                        json_cell(table, cell_at(table, row, i), table->columns[i].type, out);
                }
                er_str_addc(out, '}');
        }
        er_str_add(out, rows > 0 ? "\n]\n" : "]\n");
}
