/* names.c - see names.h */
#include "host/snapshot/names.h"

#define NAMES_BLOCK ((size_t)256 * 1024)

void er_names_release(struct er_names *names)
{
        for (size_t i = 0; i < names->count; i++)
                free(names->blocks[i]);
        free(names->blocks);
        *names = (struct er_names)ER_NAMES_INIT;
}

static void names_block(struct er_names *names, char *block)
{
        names->blocks = er_grow(names->blocks, &names->cap, names->count + 1, sizeof *names->blocks);
        names->blocks[names->count++] = block;
}

const char *er_names_add(struct er_names *names, struct er_sv prefix, struct er_sv name)
{
        size_t len = prefix.len + name.len + 1;
        char *at;

        if (len > names->room) {
                size_t block = len > NAMES_BLOCK ? len : NAMES_BLOCK;

                names->next = er_malloc(block);
                names->room = block;
                names_block(names, names->next);
        }
        at = names->next;
        if (prefix.len)
                memcpy(at, prefix.ptr, prefix.len);
        if (name.len)
                memcpy(at + prefix.len, name.ptr, name.len);
        at[len - 1] = '\0';
        names->next += len;
        names->room -= len;
        return at;
}

void er_names_merge(struct er_names *names, struct er_names *from)
{
        for (size_t i = 0; i < from->count; i++)
                names_block(names, from->blocks[i]);
        /* The block being filled is no longer the last one. */
        names->room = 0;
        free(from->blocks);
        *from = (struct er_names)ER_NAMES_INIT;
}
