/* imports_notebook.c - the code of a Jupyter notebook, and what its cells install. */
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

/* The line of the file that holds this line of code, searched onwards from the last one. */
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

/* A shell line, with the lines that a backslash at its end adds. */
static void add_shell(struct code *code, struct er_sv line, struct er_sv *rest, struct er_import_scan *scan)
{
        er_auto(er_str) whole = ER_STR_INIT;
        uint32_t number = file_line(code, line);

        er_str_addn(&whole, line.ptr, line.len);
        add_line(code, line, false);
        while (whole.len && whole.buf[whole.len - 1] == '\\' && er_sv_cut(rest, '\n', &line)) {
                er_str_cut(&whole, whole.len - 1);
                er_str_addc(&whole, ' ');
                er_str_addn(&whole, line.ptr, line.len);
                er_str_rtrim(&whole);
                add_line(code, line, false);
        }
        line = er_sv_trim(er_svn(whole.buf, whole.len));
        while (line.len && strchr("!%", line.ptr[0]))
                line = er_svn(line.ptr + 1, line.len - 1);
        (void)er_import_scan_pip(line, number, scan);
}

/* `%load_ext line_profiler` is an import; those of IPython itself and names that no package has are none. */
static void add_extension(struct code *code, struct er_sv line)
{
        static const char *const known[] = {
                "Cython",       "cython",  "dotenv",   "line_profiler", "memory_profiler", "nb_black", "pyinstrument",
                "rpy2.ipython", "scalene", "snakeviz", "tensorboard",   "watermark",       "wurlitzer"};
        struct er_sv name = er_sv_trim(er_svn(line.ptr + strlen("%load_ext "), line.len - strlen("%load_ext ")));
        uint32_t number = file_line(code, line);

        for (size_t i = 0; i < ER_LEN(known); i++)
                if (er_sv_eq(name, er_sv(known[i]))) {
                        code->lines = er_grow(code->lines, &code->cap, code->count + 1, sizeof *code->lines);
                        code->lines[code->count++] = number;
                        er_str_addf(&code->text, "import %s\n", i == 1 ? known[0] : known[i]);
                }
}

/* `%%writefile [-a] pkg/name.py`: its first part is a module from now on. False: it is no Python. */
static bool add_written(struct er_sv line, struct er_import_scan *scan)
{
        struct er_sv word, rest = line;
        er_autofree char *name = NULL;

        while (er_sv_cut(&rest, ' ', &word))
                if (word.len) {
                        free(name);
                        name = er_sv_dup(word);
                }
        if (!name || !er_ends(name, ".py"))
                return false;
        while (er_starts(name, "./"))
                memmove(name, name + 2, strlen(name) - 1);
        name[strcspn(name, "/.")] = '\0';
        scan->items = er_grow(scan->items, &scan->cap, scan->count + 1, sizeof *scan->items);
        scan->items[scan->count++] = (struct er_import){.name = (uint32_t)scan->names.len,
                                                        .module_len = (uint32_t)strlen(name),
                                                        .group = -1,
                                                        .flags = ER_IMPORT_WRITTEN};
        er_str_addn(&scan->names, name, strlen(name) + 1);
        return true;
}

static bool is_one_of(struct er_sv line, const char *const *words)
{
        for (; *words; words++) {
                size_t n = strlen(*words);

                if (er_sv_starts(line, er_sv(*words)) && (line.len == n || line.ptr[n] == ' '))
                        return true;
        }
        return false;
}

static void add_cell(struct code *code, struct er_sv source, struct er_import_scan *scan)
{
        static const char *const python[] = {"%%time",   "%%timeit",  "%%capture", "%%prun",
                                             "%%python", "%%python3", "%%memit",   NULL};
        static const char *const shell[] = {"%%bash", "%%sh", "%%script bash", "%%script sh", "%%!", "%%system", NULL};
        static const char *const writes[] = {"%%writefile", "%%file", NULL};
        /* not Python: `pip install x` alone (automagic) */
        static const char *const commands[] = {"pip", "pip3", "uv", "python -m pip", "python3 -m pip", NULL};
        struct er_sv line;
        bool first = true, all_shell = false;

        while (er_sv_cut(&source, '\n', &line)) {
                struct er_sv bare = er_sv_trim(line);

                if (first && er_sv_starts(bare, ER_SV("%%"))) {
                        all_shell = is_one_of(bare, shell);
                        if (!all_shell && !is_one_of(bare, python) &&
                            !(is_one_of(bare, writes) && add_written(bare, scan)))
                                return; /* a cell of another language, or a file to be written */
                        add_line(code, bare, false);
                } else if (er_sv_starts(bare, ER_SV("%load_ext "))) {
                        add_extension(code, bare);
                } else if (bare.len > 0 &&
                           (all_shell || bare.ptr[0] == '!' || bare.ptr[0] == '%' || is_one_of(bare, commands)))
                        add_shell(code, line, &source, scan);
                else
                        add_line(code, line, !all_shell);
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
