/* banned.h - functions that are too easy to misuse; using one is a compile error. The build includes this everywhere.
 */
#ifndef ER_BASE_BANNED_H
#define ER_BASE_BANNED_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#define ER_BANNED(f) sorry_##f##_is_banned_see_src_base
#undef strcpy
#define strcpy(a, b) ER_BANNED(strcpy)
#undef strcat
#define strcat(a, b) ER_BANNED(strcat)
#undef strncpy
#define strncpy(a, b, n) ER_BANNED(strncpy)
#undef sprintf
#define sprintf(...) ER_BANNED(sprintf)
#undef vsprintf
#define vsprintf(...) ER_BANNED(vsprintf)
#undef strtok
#define strtok(a, b) ER_BANNED(strtok)
#undef atoi
#define atoi(a) ER_BANNED(atoi)
#undef atol
#define atol(a) ER_BANNED(atol)
#undef strtol
#define strtol(a, b, c) ER_BANNED(strtol)
#undef gmtime
#define gmtime(a) ER_BANNED(gmtime)
#undef localtime
#define localtime(a) ER_BANNED(localtime)
#undef system
#define system(a) ER_BANNED(system)
#undef popen
#define popen(a, b) ER_BANNED(popen)
#endif
