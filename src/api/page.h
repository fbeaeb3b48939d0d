/* SPDX-License-Identifier: Apache-2.0 */
/* What galley's own HTML pages share. They load nothing from elsewhere and run no script. */
#ifndef GAL_API_PAGE_H
#define GAL_API_PAGE_H

#include "api/exchange.h"

/* Appends the page's beginning, up to and with <main>; title is plain text. */
void gal_page_begin(struct gal_buf *out, const char *title);
/* Appends the end and answers with it. */
void gal_page_finish(struct gal_exchange *x);

#endif
