/*
 * mem.h - allocation that never fails, and locals that clean up after themselves.
 *
 * Running out of memory aborts the process. So check every size that comes from outside before you allocate.
 */
#ifndef ER_BASE_MEM_H
#define ER_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *er_malloc(size_t size);
void *er_calloc(size_t count, size_t size);
void *er_realloc(void *ptr, size_t size);
char *er_strdup(const char *text); /* NULL gives NULL */
char *er_strndup(const char *text, size_t len);
void *er_memdup(const void *data, size_t len);

/* Grows an array, if it must, to hold `need` items of `size` bytes. Returns the array and updates *cap. */
void *er_grow(void *items, size_t *cap, size_t need, size_t size);

/* er_new(struct er_job): a zeroed object. */
#define er_new(type) ((type *)er_calloc(1, sizeof(type)))

/* er_auto(er_str) s = ER_STR_INIT;  calls er_str_release(&s) at the end of the scope. The type is `struct er_str`. */
#define er_auto(name) __attribute__((cleanup(name##_release))) struct name
/* er_autofree char *p = NULL; */
#define er_autofree __attribute__((cleanup(er_freep)))
/* er_autoptr(er_session) s = NULL;  calls er_session_free(s). Needs ER_DEFINE_AUTOPTR(er_session) in the header. */
#define er_autoptr(name) __attribute__((cleanup(name##_freep))) struct name *
#define ER_DEFINE_AUTOPTR(name)                                                                                        \
        static inline void name##_freep(struct name **p)                                                               \
        {                                                                                                              \
                name##_free(*p);                                                                                       \
        }
/* er_autoclose int fd = -1; */
#define er_autoclose __attribute__((cleanup(er_closep)))

/* Hands ownership over: the variable becomes NULL (or -1 for a descriptor). */
#define er_take(var)                                                                                                   \
        __extension__({                                                                                                \
                __typeof__(var) er_taken_ = (var);                                                                     \
                (var) = NULL;                                                                                          \
                er_taken_;                                                                                             \
        })
static inline int er_take_fd(int *fd)
{
        int taken = *fd;

        *fd = -1;
        return taken;
}

static inline void er_freep(void *p)
{
        void *victim;

        memcpy(&victim, p, sizeof victim);
        free(victim);
}
void er_closep(int *fd);

#define ER_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define ER_PRINTF(fmt_index, first) __attribute__((format(printf, fmt_index, first)))

#endif
