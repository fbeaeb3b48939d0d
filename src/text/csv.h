/* SPDX-License-Identifier: Apache-2.0 */
/* CSV of RFC 4180, read strictly: fields apart by commas, records by LF or CRLF, a field in quotes
 * may hold commas, line breaks and doubled quotes. A byte order mark is passed over, and so are
 * empty lines. Every record has as many fields as the first. One thread at a time. */
#ifndef GAL_TEXT_CSV_H
#define GAL_TEXT_CSV_H

#include "base/arena.h"

struct gal_csv {
    const char *p, *end;
    size_t line;    /* of p, from 1 */
    size_t columns; /* fields of the first record; 0 until it was read */
};

struct gal_csv_field {
    struct gal_str text; /* borrowed from the text, or in the arena where quotes were doubled */
    bool quoted;
};

/* text is borrowed. */
void gal_csv_init(struct gal_csv *c, struct gal_str text);
/* The next record: *fields is in the arena, *line is where it begins. *count 0: there are no more.
 * INVALID: a quote that is not closed or stands inside a field, text behind a closing quote, a
 * NUL, a record of another length; "line 3" as the error's place. */
enum gal_status gal_csv_next(struct gal_csv *c, struct gal_arena *arena,
                             struct gal_csv_field **fields, size_t *count, size_t *line,
                             struct gal_err *err);

#endif
