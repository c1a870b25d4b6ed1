/* compare.c - what a program knows of the frozen errand.h must hold for today's. */
#include <stdio.h>
#include <string.h>
#include "layout.h"

extern const struct layout layout_frozen[], layout_current[];

int main(void)
{
        int differences = 0;

        for (size_t i = 0; layout_frozen[i].what; i++) {
                const struct layout *was = &layout_frozen[i], *is = &layout_current[i];

                if (was->offset != is->offset || was->size != is->size || was->type != is->type) {
                        printf("%s was %ld (%zu bytes, type %d), is %ld (%zu bytes, type %d)\n", was->what, was->offset,
                               was->size, was->type, is->offset, is->size, is->type);
                        differences++;
                } else if (was->init && memcmp(was->init, is->init, was->size) != 0) {
                        printf("%s: _INIT has changed\n", was->what);
                        differences++;
                }
        }
        return differences != 0;
}
