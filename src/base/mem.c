/* mem.c - see mem.h */
#include "base/mem.h"

#include <errno.h>
#include <unistd.h>

/* Out of memory, or an impossible size: says so without allocating, and aborts. */
static _Noreturn void no_memory(void)
{
        static const char text[] = "errand: out of memory\n";

        if (write(2, text, sizeof text - 1) < 0) {
                /* nobody left to tell */
        }
        abort();
}

void *er_malloc(size_t size)
{
        void *p = malloc(size ? size : 1);

        if (!p)
                no_memory();
        return p;
}

void *er_calloc(size_t count, size_t size)
{
        void *p = calloc(count ? count : 1, size ? size : 1);

        if (!p)
                no_memory();
        return p;
}

void *er_realloc(void *ptr, size_t size)
{
        void *p = realloc(ptr, size ? size : 1);

        if (!p)
                no_memory();
        return p;
}

char *er_strdup(const char *text)
{
        return text ? er_memdup(text, strlen(text) + 1) : NULL;
}

char *er_strndup(const char *text, size_t len)
{
        char *copy;

        if (len == SIZE_MAX)
                no_memory();
        copy = er_malloc(len + 1);
        if (len > 0)
                memcpy(copy, text, len);
        copy[len] = '\0';
        return copy;
}

void *er_memdup(const void *data, size_t len)
{
        void *copy = er_malloc(len);

        if (len > 0)
                memcpy(copy, data, len);
        return copy;
}

void *er_grow(void *items, size_t *cap, size_t need, size_t size)
{
        size_t want, bytes;

        if (need <= *cap)
                return items;
        want = *cap + *cap / 2 + 8;
        if (want < need)
                want = need;
        if (__builtin_mul_overflow(want, size, &bytes))
                no_memory();
        items = er_realloc(items, bytes);
        *cap = want;
        return items;
}

void er_closep(int *fd)
{
        int saved = errno;

        if (*fd >= 0)
                close(*fd);
        *fd = -1;
        errno = saved;
}
