/*
 * utf8.h - decodes UTF-8 (RFC 3629) that may be invalid.
 */
#ifndef ER_BASE_UTF8_H
#define ER_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length of the character at text (1 to 4) and its code point; 0 if the bytes are not valid. len must be > 0. */
size_t er_utf8_next(const char *text, size_t len, uint32_t *ret_code);
/* Control characters, and characters that reorder or hide text on a terminal: never print them as they are. */
bool er_utf8_is_control(uint32_t code);
/* How many columns a terminal gives to a printable code point: 0, 1 or 2. Has its own tables, since the locale may be
 * C. */
int er_utf8_width(uint32_t code);

#endif
