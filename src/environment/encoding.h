/*
 * encoding.h - how the bytes of a text file become the text that is worked with, and back: the byte order marks that
 * pip knows (PowerShell's `>` writes UTF-16), and line ends of Windows.
 */
#ifndef ER_ENVIRONMENT_ENCODING_H
#define ER_ENVIRONMENT_ENCODING_H

#include "base/str.h"

struct er_encoding {
        bool mark; /* it begins with a byte order mark */
        char wide; /* 'l', 'b': UTF-16 of that order; else UTF-8 */
        bool crlf; /* every line ends with CR LF */
};

/* Makes it UTF-8 without a mark, its lines ended by LF alone where all end with CR LF. What is no UTF-16 after all
   stays as it is. */
struct er_encoding er_encoding_take(struct er_str *text);
/* Makes it as it was. */
void er_encoding_give(struct er_encoding encoding, struct er_str *text);

#endif
