/* sized.c - see sized.h */
#include "api/sized.h"

#include <stdbool.h>
#include <string.h>

#define SIZE_MAX_SANE 4096u /* no structure of ours will be larger */

static size_t size_of(const void *sized)
{
        size_t size;

        memcpy(&size, sized, sizeof size);
        return size;
}

int er_sized_check(const void *theirs, size_t first, const char *what, struct er_err *err)
{
        size_t size = theirs ? size_of(theirs) : 0;

        if (size >= first && size <= SIZE_MAX_SANE)
                return 0;
        if (!theirs)
                er_err_set(err, ER_USAGE, "a structure is missing: the pointer is NULL");
        else
                er_err_set(err, ER_USAGE, "a structure has the size %zu; the smallest that ever was is %zu", size,
                           first);
        return er_err_hint(err, "start with %s", what);
}

int er_sized_read(void *ours, size_t size, const void *theirs, size_t first, const char *what, struct er_err *err)
{
        const unsigned char *bytes = theirs;
        size_t given, known;
        bool unknown = false;

        if (er_sized_check(theirs, first, what, err) < 0)
                return -1;
        given = size_of(theirs);
        known = given < size ? given : size;
        for (size_t i = known; i < given; i++)
                unknown |= bytes[i] != 0;
        if (unknown) {
                er_err_set(err, ER_USAGE, "a structure sets members that this version of the library does not know");
                return er_err_hint(err, "the program was built with a newer errand.h: update the library");
        }
        memcpy((unsigned char *)ours + sizeof size, bytes + sizeof size, known - sizeof size);
        return 0;
}

void er_sized_write(const void *ours, size_t size, void *theirs)
{
        size_t given = size_of(theirs), known = given < size ? given : size;

        memcpy((unsigned char *)theirs + sizeof size, (const unsigned char *)ours + sizeof size, known - sizeof size);
}
