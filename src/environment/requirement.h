/*
 * requirement.h - one requirement as pip writes it (PEP 508): "numpy[extra]>=1.26 ; marker --hash=...", in one
 * canonical form. Bytes from outside.
 */
#ifndef ER_ENVIRONMENT_REQUIREMENT_H
#define ER_ENVIRONMENT_REQUIREMENT_H

#include "base/str.h"

/* The name of a distribution as PEP 503 normalises it: "Zope.Interface" -> "zope-interface" (owned). */
char *er_distribution_name(struct er_sv name);
/* The canonical form of a requirement by name (owned); NULL: it is not one, *ret_why says why. */
char *er_requirement_canonical(struct er_sv text, const char **ret_why);

/* ---- The parts of a line, also for what is not a requirement by name */

/* Where the marker begins: at the first ';' (in a URL only one with a space before it), else at the end. */
size_t er_req_find_marker(struct er_sv s, bool url);
/* Where the options of the line ("--hash=...") begin. */
size_t er_req_find_options(struct er_sv s);
/* Adds "[a,b]" for the words between the brackets, sorted. False: they are not names. */
bool er_req_add_extras(struct er_str *out, struct er_sv inner);
/* Adds marker and options, each of which may be empty. */
void er_req_add_tail(struct er_str *out, struct er_sv marker, struct er_sv options);

static inline bool er_req_is_space(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v' || c == '\n';
}

static inline struct er_sv er_req_from(struct er_sv s, size_t n)
{
        return er_svn(s.ptr + n, s.len - n);
}

static inline struct er_sv er_req_skip_space(struct er_sv s)
{
        while (s.len && er_req_is_space(s.ptr[0]))
                s = er_req_from(s, 1);
        return s;
}

#endif
