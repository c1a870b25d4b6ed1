/*
 * term.h - what a terminal can do.
 */
#ifndef ER_BASE_TERM_H
#define ER_BASE_TERM_H

#include <stdbool.h>
#include <stddef.h>

bool er_term_is(int fd);
int er_term_width(int fd);   /* 80 when unknown */
int er_term_height(int fd);  /* 24 when unknown */
bool er_term_colour(int fd); /* a terminal, no NO_COLOR, TERM is not dumb */
/* The width of a text in columns (UTF-8; an invalid byte counts as one). */
size_t er_term_columns(const char *text, size_t len);

#endif
