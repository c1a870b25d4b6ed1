/*
 * fuzz.h - what a fuzz target defines, and how it says that something is wrong.
 */
#ifndef ER_FUZZ_H
#define ER_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)                                                                                          \
        do {                                                                                                           \
                if (!(condition)) {                                                                                    \
                        fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                        \
                        abort();                                                                                       \
                }                                                                                                      \
        } while (0)

#endif
