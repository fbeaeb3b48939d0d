/* SPDX-License-Identifier: Apache-2.0 */
#include "api/page.h"

#include "api/links.h"

static const char style[] =
    ":root{color-scheme:light dark;--line:#8884;--link:#1a5fb4;--code:#8881}"
    "@media(prefers-color-scheme:dark){:root{--link:#78aeed}}"
    "body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1.5rem}"
    "a{color:var(--link)}h1{margin:0}h2{margin:2rem 0 .25rem}"
    "nav a{margin-right:1rem}"
    "table{border-collapse:collapse;margin:.5rem 0;width:100%}"
    "th,td{border-bottom:1px solid var(--line);padding:.25rem .75rem .25rem 0;text-align:left;"
    "vertical-align:top}"
    "code,pre{background:var(--code);border-radius:4px;font:14px/1.5 ui-monospace,monospace;"
    "padding:.1rem .3rem}"
    "pre{overflow-x:auto;padding:.75rem}"
    ".state{border:1px solid var(--line);border-radius:1rem;font-size:.8rem;padding:.1rem .6rem}";

void gal_page_begin(struct gal_buf *out, const char *title)
{
    gal_buf_puts(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
                      "<title>");
    gal_html_put(out, gal_str_of(title));
    gal_buf_puts(out, "</title><style>");
    gal_buf_puts(out, style);
    gal_buf_puts(out, "</style></head>\n<body><main>\n");
}

void gal_page_finish(struct gal_exchange *x)
{
    gal_buf_puts(&x->out, "</main></body></html>\n");
    gal_exchange_header(x, GAL_STR("Content-Security-Policy"),
                        GAL_STR("default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
                                "form-action 'none'; frame-ancestors 'none'"));
    gal_exchange_header(x, GAL_STR("X-Content-Type-Options"), GAL_STR("nosniff"));
    gal_exchange_finish(x, 200, GAL_TYPE_HTML);
}
