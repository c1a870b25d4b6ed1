/* layout.h - what a program knows of errand.h once it is built: offsets, sizes and numbers. */
#ifndef LAYOUT_H
#define LAYOUT_H

#include <stddef.h>

struct layout {
        const char *what; /* "errand_job.name", or a number's name */
        long offset;      /* of a member; a number's value */
        size_t size;      /* of a member; 0: a number */
        int type;         /* of a member: any number that stands for its type */
        const void *init; /* of a member: what _INIT makes of it; NULL: does not matter */
};

#endif
