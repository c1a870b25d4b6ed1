/*
 * sized.h - structures that start with their size, and so may grow. errand.h says what a program may expect of them.
 */
#ifndef ER_API_SIZED_H
#define ER_API_SIZED_H

#include "base/err.h"

/* The size of a structure whose last member is this one. */
#define ER_SIZE_UPTO(type, member) (offsetof(type, member) + sizeof(((type *)NULL)->member))

/* ER_USAGE unless the size that theirs starts with is at least `first`, that of the structure's first version. `what`
   names the structure's _INIT macro. */
int er_sized_check(const void *theirs, size_t first, const char *what, struct er_err *err);
/* Reads the caller's structure into ours, which has `size` bytes and holds the defaults: members that the caller does
   not have keep them. ER_USAGE also when a member that we do not have is not 0. */
int er_sized_read(void *ours, size_t size, const void *theirs, size_t first, const char *what, struct er_err *err);
/* Writes our structure of `size` bytes into the caller's, as far as that goes; it keeps its size. */
void er_sized_write(const void *ours, size_t size, void *theirs);

#endif
