/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes as an Accept header, which says in which format they are then written as a label's
 * value: no value may add a line or spoil the page's UTF-8. */
#include "watch/exposition.h"

#include <stdlib.h>

#define INPUT_BYTES_MAX 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_page(enum gal_expo_format format, const char *labels, struct gal_buf *page)
{
    struct gal_expo e;

    gal_buf_init(page, 1 << 20);
    gal_expo_init(&e, format, page);
    gal_expo_family(&e, "x_total", GAL_EXPO_COUNTER, "X");
    gal_expo_u64(&e, labels, 1);
    gal_expo_end(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct gal_str in = {(const char *)data, size};
    struct gal_buf labels, page;

    if (size > INPUT_BYTES_MAX)
        return 0;
    enum gal_expo_format format = gal_expo_choose(in);
    gal_buf_init(&labels, 1 << 16);
    gal_expo_put_labels(&labels, "v", &in);
    gal_buf_putc(&labels, '\0');
    write_page(format, labels.p, &page);
    size_t lines = 0;
    for (size_t i = 0; format != GAL_EXPO_PROTOBUF && i < page.n; i++)
        lines += page.p[i] == '\n';
    if (page.failed || (lines != 0 && lines != (format == GAL_EXPO_TEXT ? 3 : 4)) ||
        (lines != 0 && !gal_utf8_valid(gal_buf_str(&page))))
        abort();
    gal_buf_release(&page);
    gal_buf_release(&labels);
    return 0;
}
