/*
 * imports_scan.h - the imports of one Python text, read lexically: no syntax tree, one pass, any bytes. It knows
 * strings, comments, brackets and continued lines; of the structure, only what decides whether an import is really
 * made: `if` with a condition about the platform or type checking, `try` with a handler for a missing module.
 */
#ifndef ER_ENVIRONMENT_IMPORTS_SCAN_H
#define ER_ENVIRONMENT_IMPORTS_SCAN_H

#include "base/err.h"
#include "base/str.h"

enum er_import_flag {
        ER_IMPORT_NEVER = 1,   /* not made on Linux at run time */
        ER_IMPORT_FROM = 2,    /* `from module import name`: the last part may be no module */
        ER_IMPORT_WRITTEN = 8, /* `%%writefile name.py`: no import, but a module that the notebook makes */
        ER_IMPORT_DECLARED =
                4, /* `!pip install x` in a notebook: the name is a requirement, or "-r FILE" and the like */
};
struct er_import {
        uint32_t name;       /* where it begins in names: "a.b.c", without leading dots; may be empty with a level */
        uint32_t module_len; /* of the part written after `from`; the whole otherwise */
        uint32_t line;       /* from 1 */
        int32_t group;       /* the innermost `try` it is in, or -1 */
        uint16_t level;      /* leading dots */
        uint8_t flags;       /* enum er_import_flag */
        bool handler;        /* in an `except` of the group, not in its body */
};
/* A `try` statement. */
struct er_import_group {
        int32_t parent; /* the group it lies in, or -1 */
        bool handler;   /* in a handler of the parent */
        bool catches;   /* a handler takes ImportError or a base of it */
        bool raises;    /* that handler raises or ends the program: the body's imports are needed after all */
};
struct er_import_scan {
        struct er_str names; /* each ended by a NUL */
        struct er_import *items;
        size_t count, cap;
        struct er_import_group *groups;
        size_t group_count, group_cap;
};
#define ER_IMPORT_SCAN_INIT {.names = ER_STR_INIT}
void er_import_scan_release(struct er_import_scan *scan);

/* Adds what is found. What cannot be parsed is read as far as possible. At most 64 MiB of text are read. */
void er_import_scan_python(const char *text, size_t len, struct er_import_scan *scan);
/* The code cells of a Jupyter notebook (nbformat 3 and 4), with `!pip install` and `%pip install`. Line numbers are
   those of the file. Anything but a notebook of Python gives nothing. */
void er_import_scan_notebook(const char *text, size_t len, struct er_import_scan *scan);

/* What a line of the shell installs: requirements, "-r FILE", "-c FILE", "-i URL", "--extra-index-url URL" and "-f
   URL", each as an item with ER_IMPORT_DECLARED. False: it installs nothing. */
bool er_import_scan_pip(struct er_sv line, uint32_t number, struct er_import_scan *scan);
/* The name of what "git+https://host/owner/name.git@branch#egg=x" or an address of a wheel holds (owned); may be empty.
 */
char *er_import_source_name(const char *url);

/* What `if CONDITION:` evaluates to on Linux at run time, as far as it is about the platform, type checking or
   Python's version. */
enum er_truth { ER_UNKNOWN = 0, ER_TRUE, ER_FALSE };
enum er_truth er_import_condition(const char *text, size_t len);

#endif
