/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Included before every source by the compiler's command line (cmake/flags.cmake): a call of a
 * function named here does not compile. Each is a second declaration of a standard function, marked
 * deprecated, and that warning is always an error. A macro or "#pragma GCC poison" would break
 * system headers that are read after this one.
 */
#ifndef GAL_BASE_BANNED_H
#define GAL_BASE_BANNED_H

#include <alloca.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* In an optimising clang, some of these are glibc's inline functions and macros, which bear no
 * second declaration: such a build goes without. gcc checks the same sources. */
#if !defined(__clang__) || (defined(__NO_INLINE__) && !defined(_FORTIFY_SOURCE))

#define GAL_BANNED(instead)                                                                        \
    __attribute__((deprecated("banned in galley, see base/banned.h: " instead)))

/* No bound on what is written. */
char *strcpy(char *, const char *) GAL_BANNED("use struct gal_buf or memcpy with a checked length");
char *stpcpy(char *, const char *) GAL_BANNED("use struct gal_buf or memcpy with a checked length");
char *strcat(char *, const char *) GAL_BANNED("use struct gal_buf");
int sprintf(char *, const char *, ...) GAL_BANNED("use snprintf or struct gal_buf");
int vsprintf(char *, const char *, va_list) GAL_BANNED("use vsnprintf or struct gal_buf");
char *gets(char *) GAL_BANNED("use fgets or getline");
int scanf(const char *, ...) GAL_BANNED("parse with a bound");
int fscanf(FILE *, const char *, ...) GAL_BANNED("parse with a bound");

/* A bound that does not do what it seems to: no final NUL, or a count of something else. */
char *strncpy(char *, const char *, size_t) GAL_BANNED("use memcpy with a checked length");
char *stpncpy(char *, const char *, size_t) GAL_BANNED("use memcpy with a checked length");
char *strncat(char *, const char *, size_t) GAL_BANNED("use struct gal_buf");

/* Errors cannot be told from values. */
int atoi(const char *) GAL_BANNED("use strtol and check the end, or gal_str_ helpers");
long atol(const char *) GAL_BANNED("use strtol and check the end, or gal_str_ helpers");
long long atoll(const char *) GAL_BANNED("use strtoll and check the end, or gal_str_ helpers");
double atof(const char *) GAL_BANNED("use strtod and check the end, or gal_str_ helpers");

/* Hidden state that all threads share. */
char *strtok(char *, const char *) GAL_BANNED("split with struct gal_str");
char *ctime(const time_t *) GAL_BANNED("use strftime");
char *ctime_r(const time_t *, char *) GAL_BANNED("use strftime");
char *asctime(const struct tm *) GAL_BANNED("use strftime");
char *asctime_r(const struct tm *, char *) GAL_BANNED("use strftime");
struct tm *gmtime(const time_t *) GAL_BANNED("use gmtime_r");
struct tm *localtime(const time_t *) GAL_BANNED("use localtime_r");
int rand(void) GAL_BANNED("use a seeded generator of your own");
void srand(unsigned) GAL_BANNED("use a seeded generator of your own");
char *tmpnam(char[L_tmpnam]) GAL_BANNED("use mkstemp");
char *mktemp(char *) GAL_BANNED("use mkstemp");

/* A stack whose size the peer decides (sources only: compilers turn alloca into a macro). */
#undef alloca
void *alloca(size_t) GAL_BANNED("use an arena");

#endif
#endif
