/* julia_find.c - the packages of a Julia script: `using`, `import` and `Pkg.add`, in it and in what it includes. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>

#include "base/io.h"
#include "base/map.h"
#include "base/path.h"
#include "environment/imports.h"

#define MAX_FILE ((size_t)16 << 20)
#define MAX_FILES 20000

struct julia {
        const char *project_dir;
        struct er_strv files; /* the list grows during the loop */
        struct er_map seen;   /* files; and the packages found, behind a NUL */
        struct er_found_list *found;
        const char *p, *end, *path;
        unsigned line;
};

/* Base, and what every Julia has without Pkg. Sorted by bytes. */
static const char *const stdlib[] = {
        "ArgTools",
        "Artifacts",
        "Base",
        "Base64",
        "CRC32c",
        "CompilerSupportLibraries_jll",
        "Core",
        "Dates",
        "DelimitedFiles",
        "Distributed",
        "Downloads",
        "FileWatching",
        "Future",
        "GMP_jll",
        "InteractiveUtils",
        "JuliaSyntaxHighlighting",
        "LLVMLibUnwind_jll",
        "LazyArtifacts",
        "LibCURL",
        "LibCURL_jll",
        "LibGit2",
        "LibGit2_jll",
        "LibSSH2_jll",
        "LibUV_jll",
        "LibUnwind_jll",
        "Libdl",
        "LinearAlgebra",
        "Logging",
        "MPFR_jll",
        "Main",
        "Markdown",
        "MbedTLS_jll",
        "Mmap",
        "MozillaCACerts_jll",
        "NetworkOptions",
        "OpenBLAS_jll",
        "OpenLibm_jll",
        "OpenSSL_jll",
        "PCRE2_jll",
        "Pkg",
        "Printf",
        "Profile",
        "REPL",
        "Random",
        "SHA",
        "Serialization",
        "SharedArrays",
        "Sockets",
        "SparseArrays",
        "Statistics",
        "StyledStrings",
        "SuiteSparse",
        "SuiteSparse_jll",
        "TOML",
        "Tar",
        "Test",
        "UUIDs",
        "Unicode",
        "Zlib_jll",
        "Zstd_jll",
        "dSFMT_jll",
        "libLLVM_jll",
        "libblastrampoline_jll",
        "nghttp2_jll",
        "p7zip_jll",
};

static int compare(const void *key, const void *item)
{
        const struct er_sv *name = key;
        const char *const *module = item;
        size_t len = strlen(*module);
        int order = memcmp(name->ptr, *module, name->len < len ? name->len : len);

        return order ? order : (name->len > len) - (name->len < len);
}

static bool is_name(char c)
{
        return isalnum((unsigned char)c) || c == '_' || c == '!' || (unsigned char)c >= 0x80;
}

static bool add_once(struct julia *j, const char *key, size_t len)
{
        static char present;

        if (er_map_get(&j->seen, key, len))
                return false;
        er_map_set(&j->seen, key, len, &present);
        return true;
}

static bool is_local(const struct julia *j, struct er_sv name)
{
        er_autofree char *dir = er_path_dir(j->path);
        er_autofree char *own = er_fmt("%s/src/%.*s.jl", j->project_dir, (int)name.len, name.ptr);
        er_autofree char *beside = er_fmt("%s/%s/%.*s.jl", j->project_dir, dir, (int)name.len, name.ptr);

        return er_file_exists(AT_FDCWD, own) || er_file_exists(AT_FDCWD, beside);
}

/* "$name" stands for what only running the script can tell. */
static bool is_told(struct er_sv text, const char *others)
{
        for (size_t i = 0; i < text.len; i++)
                if (!isalnum((unsigned char)text.ptr[i]) && !memchr(others, text.ptr[i], strlen(others)))
                        return false;
        return text.len > 0;
}

static void add_package(struct julia *j, struct er_sv name, struct er_sv written, struct er_sv version, bool declared)
{
        er_auto(er_str) key = ER_STR_INIT;
        struct er_found *found;

        if (name.len > 200 || !is_told(name, "_") || !isalpha((unsigned char)name.ptr[0]))
                return;
        if (!declared && (bsearch(&name, stdlib, ER_LEN(stdlib), sizeof stdlib[0], compare) || is_local(j, name)))
                return;
        er_str_addc(&key, '\0');
        er_str_addn(&key, name.ptr, name.len);
        if (!add_once(j, key.buf, key.len))
                return;
        j->found->items = er_grow(j->found->items, &j->found->cap, j->found->count + 1, sizeof *j->found->items);
        found = &j->found->items[j->found->count++];
        *found = (struct er_found){.import = er_sv_dup(written),
                                   .distribution = er_sv_dup(name),
                                   .file = er_strdup(j->path),
                                   .line = j->line};
        if (is_told(version, ".-+"))
                found->version = er_sv_dup(version);
}

/* ---- The text */

static void step(struct julia *j)
{
        j->line += *j->p == '\n';
        j->p++;
}

static bool at(const struct julia *j, const char *text)
{
        return er_sv_starts(er_svn(j->p, (size_t)(j->end - j->p)), er_sv(text));
}

/* At '#': a comment to the end of the line, or one between #= and =#, which nest. */
static void skip_comment(struct julia *j)
{
        unsigned depth = 0;

        if (!at(j, "#=")) {
                while (j->p < j->end && *j->p != '\n')
                        j->p++;
                return;
        }
        do {
                if (at(j, "#=")) {
                        depth++;
                        j->p += 2;
                } else if (at(j, "=#")) {
                        depth--;
                        j->p += 2;
                } else
                        step(j);
        } while (j->p < j->end && depth > 0);
}

/* At a quote: skips the string. ret_text (may be NULL) is what is between the quotes. */
static void skip_string(struct julia *j, struct er_sv *ret_text)
{
        char quote = *j->p;
        const char triple[] = {quote, quote, quote, '\0'};
        bool is_triple = at(j, triple);
        const char *begin;

        j->p += is_triple ? 3 : 1;
        begin = j->p;
        while (j->p < j->end) {
                if (*j->p == '\\' && j->p + 1 < j->end)
                        step(j);
                else if (*j->p == quote && (!is_triple || at(j, triple))) {
                        if (ret_text)
                                *ret_text = er_svn(begin, (size_t)(j->p - begin));
                        j->p += is_triple ? 3 : 1;
                        return;
                }
                step(j);
        }
}

static void skip_space(struct julia *j, bool newlines)
{
        while (j->p < j->end) {
                if (*j->p == ' ' || *j->p == '\t' || *j->p == '\r' || (newlines && *j->p == '\n'))
                        step(j);
                else if (*j->p == '#')
                        skip_comment(j);
                else
                        return;
        }
}

static struct er_sv take_name(struct julia *j)
{
        const char *begin = j->p;

        while (j->p < j->end && is_name(*j->p))
                j->p++;
        return er_svn(begin, (size_t)(j->p - begin));
}

/* After `using` or `import`: A, B.C as D, .Local, E: f, g */
static void using_statement(struct julia *j)
{
        for (;;) {
                const char *begin;
                bool relative, more;
                struct er_sv name;

                skip_space(j, false);
                begin = j->p;
                relative = j->p < j->end && *j->p == '.';
                while (j->p < j->end && *j->p == '.')
                        j->p++;
                name = take_name(j);
                if (name.len == 0)
                        return;
                while (j->p + 1 < j->end && *j->p == '.' && (is_name(j->p[1]) || j->p[1] == '@')) {
                        j->p += 1 + (j->p[1] == '@');
                        take_name(j);
                }
                if (!relative)
                        add_package(j, name, er_svn(begin, (size_t)(j->p - begin)), er_sv(""), false);
                skip_space(j, false);
                if (at(j, "as ")) {
                        j->p += 3;
                        skip_space(j, false);
                        take_name(j);
                        skip_space(j, false);
                }
                if (j->p < j->end && *j->p == ':')
                        return; /* names within the module; they are passed over as an expression is */
                more = j->p < j->end && *j->p == ',';
                if (!more)
                        return;
                j->p++;
                skip_space(j, true); /* a comma continues the line */
        }
}

/* After `Pkg.add` or `Pkg.develop` at its bracket: "A", ["A", "B"], name="A", version="1", PackageSpec(name="A"),
 * url="..." */
static void pkg_add(struct julia *j)
{
        struct er_sv key = er_sv(""), name = er_sv(""), version = er_sv(""), text;
        unsigned depth = 0;

        do {
                skip_space(j, true);
                if (j->p >= j->end)
                        break;
                if (*j->p == '"') {
                        text = er_sv("");
                        skip_string(j, &text);
                        if (er_sv_eq(key, ER_SV("version")))
                                version = text;
                        else if (er_sv_eq(key, ER_SV("name")))
                                name = text;
                        else if (key.len == 0) {
                                const char *at_sign = memchr(text.ptr, '@', text.len);
                                struct er_sv only = at_sign ? er_svn(text.ptr, (size_t)(at_sign - text.ptr)) : text;

                                if (!memchr(text.ptr, '/', text.len))
                                        add_package(j, only, text,
                                                    at_sign ? er_svn(at_sign + 1, text.len - only.len - 1) : er_sv(""),
                                                    true);
                        }
                        key = er_sv("");
                } else if (is_name(*j->p)) {
                        text = take_name(j);
                        skip_space(j, true);
                        if (j->p < j->end && *j->p == '=')
                                key = text;
                } else {
                        depth += *j->p == '(' || *j->p == '[';
                        depth -= *j->p == ')' || *j->p == ']';
                        if (*j->p == ')' && name.len > 0) {
                                add_package(j, name, name, version, true);
                                name = version = er_sv("");
                        }
                        step(j);
                }
        } while (depth > 0 && j->p < j->end);
}

static void include_file(struct julia *j)
{
        er_autofree char *dir = er_path_dir(j->path), *name = NULL, *path = NULL;
        struct er_sv text = er_sv("");
        er_auto(er_str) clean = ER_STR_INIT;
        struct er_sv rest, part;

        j->p++; /* the bracket */
        skip_space(j, true);
        if (j->p < j->end && *j->p == '"')
                skip_string(j, &text);
        else if (at(j, "joinpath(@__DIR__,")) {
                j->p += strlen("joinpath(@__DIR__,");
                skip_space(j, true);
                if (j->p < j->end && *j->p == '"')
                        skip_string(j, &text);
        }
        if (text.len == 0 || text.ptr[0] == '/')
                return;
        name = er_sv_dup(text);
        path = er_fmt("%s/%s", dir, name);
        rest = er_sv(path);
        while (er_sv_cut(&rest, '/', &part)) {
                if (part.len == 0 || er_sv_eq(part, ER_SV(".")))
                        continue;
                if (er_sv_eq(part, ER_SV(".."))) {
                        const char *slash = strrchr(clean.buf, '/');

                        er_str_cut(&clean, slash ? (size_t)(slash - clean.buf) : 0);
                        continue;
                }
                if (clean.len > 0)
                        er_str_addc(&clean, '/');
                er_str_addn(&clean, part.ptr, part.len);
        }
        if (j->files.len < MAX_FILES && add_once(j, clean.buf, clean.len))
                er_strv_add(&j->files, clean.buf);
}

static void scan(struct julia *j)
{
        char before = '\n'; /* of the word: `x.using` and `:import` are none */

        while (j->p < j->end) {
                char c = *j->p;
                struct er_sv word;

                if (c == '#') {
                        skip_comment(j);
                        before = '\n';
                } else if (c == '"' || c == '`') {
                        skip_string(j, NULL);
                        before = '"';
                } else if (c == '\'') {
                        /* A character, unless it transposes what is before it. */
                        if (is_name(before) || before == ')' || before == ']' || before == '\'' || before == '.')
                                j->p++;
                        else if (j->p + 2 < j->end && j->p[1] != '\\' && j->p[2] == '\'')
                                j->p += 3;
                        else if (j->p + 3 < j->end && j->p[1] == '\\')
                                skip_string(j, NULL);
                        else
                                j->p++;
                        before = '\'';
                } else if (is_name(c)) {
                        word = take_name(j);
                        if (before != '.' && before != ':' &&
                            (er_sv_eq(word, ER_SV("using")) || er_sv_eq(word, ER_SV("import")))) {
                                if (j->p < j->end && (*j->p == ' ' || *j->p == '\t'))
                                        using_statement(j);
                        } else if (er_sv_eq(word, ER_SV("Pkg")) && (at(j, ".add(") || at(j, ".develop("))) {
                                j->p = (const char *)memchr(j->p, '(', (size_t)(j->end - j->p));
                                pkg_add(j);
                        } else if (before != '.' && er_sv_eq(word, ER_SV("include")) && j->p < j->end && *j->p == '(')
                                include_file(j);
                        before = 'a';
                } else {
                        before = c;
                        step(j);
                }
        }
}

static int compare_found(const void *a, const void *b)
{
        const struct er_found *left = a, *right = b;

        return strcmp(left->distribution, right->distribution);
}

static int scan_files(struct julia *j, struct er_err *err)
{
        for (size_t i = 0; i < j->files.len; i++) {
                er_autofree char *path = er_path_join(j->project_dir, j->files.items[i]);
                er_auto(er_str) text = ER_STR_INIT;
                er_auto(er_err) why = ER_ERR_INIT;
                bool code = er_starts(j->files.items[i], "-e ");

                if (code)
                        er_str_add(&text, j->files.items[i] + 3);
                else if (er_file_read(AT_FDCWD, path, MAX_FILE, &text, &why) < 0) {
                        if (why.code == ER_NOT_FOUND || why.code == ER_CONFIG || why.sys_errno == EISDIR)
                                continue;
                        return er_err_move(err, &why);
                }
                j->path = code ? "-e" : j->files.items[i];
                j->p = text.buf;
                j->end = text.buf + text.len;
                j->line = 1;
                scan(j);
        }
        return 0;
}

int er_julia_find(const char *project_dir, const struct er_strv *scripts, struct er_found_list *ret, struct er_err *err)
{
        er_auto(er_found_list) found = ER_FOUND_LIST_INIT;
        struct julia j = {.project_dir = project_dir, .found = &found};
        int rc;

        for (size_t i = 0; scripts && i < scripts->len; i++)
                if (add_once(&j, scripts->items[i], strlen(scripts->items[i])))
                        er_strv_add(&j.files, scripts->items[i]);
        rc = scan_files(&j, err);
        er_strv_release(&j.files);
        er_map_release(&j.seen);
        if (rc < 0)
                return -1;
        if (found.count > 0)
                qsort(found.items, found.count, sizeof *found.items, compare_found);
        *ret = found;
        found = (struct er_found_list)ER_FOUND_LIST_INIT;
        return 0;
}
