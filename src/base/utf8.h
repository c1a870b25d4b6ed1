/*
 * utf8.h - reading UTF-8 (RFC 3629) without trusting it.
 */
#ifndef ER_BASE_UTF8_H
#define ER_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length of the character at text (1..4) and its code point, or 0 when the bytes there are not one. len must be >
 * 0. */
size_t er_utf8_next(const char *text, size_t len, uint32_t *ret_code);
/* Control characters, and those that reorder or hide text on a terminal: never shown raw. */
bool er_utf8_is_control(uint32_t code);
/* Columns a terminal gives a printable code point: 0, 1 or 2. Own tables: the locale may be C. */
int er_utf8_width(uint32_t code);

#endif
