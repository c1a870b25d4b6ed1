/* imports_notebook.c - the code of a Jupyter notebook, and what its cells install. */
#include <ctype.h>

#include "base/json.h"
#include "environment/imports_scan.h"

/* The code of all cells, and for each of its lines the line of the file. */
struct code {
        struct er_str text;
        uint32_t *lines;
        size_t count, cap;
        const char *raw, *raw_end, *at; /* the file, and how far its lines are found */
        uint32_t at_line;
};

static bool is_requirement(struct er_sv word)
{
        if (word.len == 0 || !isalnum((unsigned char)word.ptr[0]) || er_sv_starts(word, ER_SV("git+")))
                return false;
        if (memchr(word.ptr, '/', word.len) || (word.len > 4 && memcmp(word.ptr + word.len - 4, ".whl", 4) == 0))
                return false;
        return true;
}

/* The next word of a line, quotes removed; false at its end or at what ends the command. */
static bool next_word(struct er_sv *rest, struct er_str *word)
{
        char quote = '\0';

        *rest = er_sv_trim(*rest);
        er_str_reset(word);
        if (rest->len == 0 || strchr("#;&|", rest->ptr[0]))
                return false;
        while (rest->len > 0) {
                char c = rest->ptr[0];

                if (quote ? c == quote : c == '"' || c == '\'')
                        quote = quote ? '\0' : c;
                else if (!quote && (isspace((unsigned char)c) || c == ';' || c == '&' || c == '|'))
                        break;
                else
                        er_str_addc(word, c);
                *rest = er_svn(rest->ptr + 1, rest->len - 1);
        }
        return true;
}

static bool takes_value(const char *option)
{
        static const char *const options[] = {
                "-r",
                "--requirement",
                "-c",
                "--constraint",
                "-i",
                "--index-url",
                "--extra-index-url",
                "-f",
                "--find-links",
                "-t",
                "--target",
                "-e",
                "--editable",
                "--prefix",
                "--root",
                "--platform",
                "--python-version",
                "--src",
        };

        for (size_t i = 0; i < ER_LEN(options); i++)
                if (er_streq(option, options[i]))
                        return true;
        return false;
}

/* The requirements among the words after "pip install": options and files are passed over. */
static void scan_pip(struct er_sv line, uint32_t number, struct er_import_scan *scan)
{
        er_auto(er_str) word = ER_STR_INIT;

        while (next_word(&line, &word)) {
                if (word.buf[0] == '-') {
                        if (takes_value(word.buf) && !next_word(&line, &word))
                                return;
                        continue;
                }
                if (!is_requirement(er_svn(word.buf, word.len)) || scan->names.len > ((size_t)64 << 20))
                        continue;
                scan->items = er_grow(scan->items, &scan->cap, scan->count + 1, sizeof *scan->items);
                scan->items[scan->count++] = (struct er_import){.name = (uint32_t)scan->names.len,
                                                                .module_len = (uint32_t)word.len,
                                                                .line = number,
                                                                .group = -1,
                                                                .flags = ER_IMPORT_DECLARED};
                er_str_addn(&scan->names, word.buf, word.len + 1);
        }
}

/* After '!' or '%': the words that install. */
static bool install_line(struct er_sv line, struct er_sv *ret_rest)
{
        static const char *const commands[] = {
                "pip install ",
                "pip3 install ",
                "python -m pip install ",
                "python3 -m pip install ",
                "{sys.executable} -m pip install ",
                "$sys.executable -m pip install ",
                "uv pip install ",
                "uv add ",
        };

        line = er_sv_trim(line);
        for (size_t i = 0; i < ER_LEN(commands); i++)
                if (er_sv_starts(line, er_sv(commands[i]))) {
                        *ret_rest = er_svn(line.ptr + strlen(commands[i]), line.len - strlen(commands[i]));
                        return true;
                }
        return false;
}

/* The line of the file in which this line of code stands, looking onwards from the last one. */
static uint32_t file_line(struct code *code, struct er_sv line)
{
        er_auto(er_str) quoted = ER_STR_INIT;
        json_t *text = json_stringn(line.ptr, line.len);
        const char *found = NULL;

        if (text && line.len > 0) {
                er_json_dump(text, false, &quoted);
                er_str_rtrim(&quoted);
                if (quoted.len > 2) /* without the quotes: "\n" may follow within them */
                        found = memmem(code->at, (size_t)(code->raw_end - code->at), quoted.buf + 1, quoted.len - 2);
        }
        json_decref(text);
        if (found) {
                for (const char *p = code->at; p < found; p++)
                        code->at_line += *p == '\n';
                code->at = found;
        }
        return code->at_line;
}

static void add_line(struct code *code, struct er_sv line, bool keep)
{
        code->lines = er_grow(code->lines, &code->cap, code->count + 1, sizeof *code->lines);
        code->lines[code->count++] = keep ? file_line(code, line) : code->at_line;
        if (keep)
                er_str_addn(&code->text, line.ptr, line.len);
        er_str_addc(&code->text, '\n');
}

static void add_cell(struct code *code, struct er_sv source, struct er_import_scan *scan)
{
        static const char *const python_magics[] = {"%%time",   "%%timeit",  "%%capture", "%%prun",
                                                    "%%python", "%%python3", "%%memit"};
        struct er_sv line, rest;
        bool first = true;

        while (er_sv_cut(&source, '\n', &line)) {
                struct er_sv bare = er_sv_trim(line);

                if (first && er_sv_starts(bare, ER_SV("%%"))) {
                        bool python = false;

                        for (size_t i = 0; i < ER_LEN(python_magics); i++)
                                python = python || er_sv_starts(bare, er_sv(python_magics[i]));
                        if (!python)
                                return; /* a cell of another language, or a file to be written */
                        add_line(code, bare, false);
                } else if (bare.len > 0 && (bare.ptr[0] == '!' || bare.ptr[0] == '%')) {
                        if (install_line(er_svn(bare.ptr + 1, bare.len - 1), &rest))
                                scan_pip(rest, file_line(code, line), scan);
                        add_line(code, bare, false);
                } else if (bare.len > 0 && install_line(bare, &rest)) {
                        scan_pip(rest, file_line(code, line), scan); /* automagic: `pip install x` alone */
                        add_line(code, bare, false);
                } else
                        add_line(code, line, true);
                first = first && bare.len == 0;
        }
}

static void add_cells(struct code *code, json_t *cells, struct er_import_scan *scan)
{
        json_t *cell;
        size_t i;

        json_array_foreach(cells, i, cell)
        {
                const char *type = json_string_value(json_object_get(cell, "cell_type"));
                json_t *source = json_object_get(cell, "source"), *line;
                er_auto(er_str) text = ER_STR_INIT;
                size_t k;

                if (!type || !er_streq(type, "code"))
                        continue;
                if (!source)
                        source = json_object_get(cell, "input"); /* nbformat 3 */
                if (json_is_string(source))
                        er_str_addn(&text, json_string_value(source), json_string_length(source));
                json_array_foreach(source, k, line)
                {
                        if (json_is_string(line))
                                er_str_addn(&text, json_string_value(line), json_string_length(line));
                }
                add_cell(code, er_svn(text.buf, text.len), scan);
        }
}

static bool is_python(json_t *notebook)
{
        json_t *metadata = json_object_get(notebook, "metadata");
        const char *language = json_string_value(json_object_get(json_object_get(metadata, "kernelspec"), "language"));

        if (!language)
                language = json_string_value(json_object_get(json_object_get(metadata, "language_info"), "name"));
        return !language || strncasecmp(language, "python", 6) == 0 || strncasecmp(language, "ipython", 7) == 0;
}

void er_import_scan_notebook(const char *text, size_t len, struct er_import_scan *scan)
{
        struct code code = {.text = ER_STR_INIT, .raw = text, .raw_end = text + len, .at = text, .at_line = 1};
        json_t *notebook = NULL, *sheets, *sheet;
        size_t first, i;

        if (er_json_parse(text, len, "notebook", &notebook, NULL) < 0)
                return;
        if (is_python(notebook)) {
                add_cells(&code, json_object_get(notebook, "cells"), scan);
                sheets = json_object_get(notebook, "worksheets"); /* nbformat 3 */
                json_array_foreach(sheets, i, sheet)
                {
                        add_cells(&code, json_object_get(sheet, "cells"), scan);
                }
                first = scan->count;
                er_import_scan_python(code.text.buf, code.text.len, scan);
                for (i = first; i < scan->count; i++)
                        if (scan->items[i].line >= 1 && scan->items[i].line <= code.count)
                                scan->items[i].line = code.lines[scan->items[i].line - 1];
        }
        json_decref(notebook);
        er_str_release(&code.text);
        free(code.lines);
}
