/* SPDX-License-Identifier: Apache-2.0 */
/* What names a source: any bytes are a source or an error, parts lie in the text, and the place
 * that an object gets below the cache leads nowhere else. */
#include "source/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_str text = {(const char *)data, size};
    struct gal_source_url u;
    struct gal_buf place;

    if (size > 16384 || gal_source_url_parse(text, &u, NULL) != GAL_OK)
        return 0;
    GAL_ASSERT(u.key.n == 0 || u.key.n <= u.text.n);
    gal_buf_init(&place, 4096);
    gal_source_place(&place, u.key, u.is_prefix, GAL_STR("bucket"));
    GAL_ASSERT(place.failed || gal_source_name_safe(gal_buf_str(&place)));
    gal_buf_clear(&place, 0);
    gal_source_put_key(&place, u.key);
    for (size_t i = 0; i < place.n; i++)
        GAL_ASSERT((unsigned char)place.p[i] > 0x20 && (unsigned char)place.p[i] < 0x7f);
    gal_buf_release(&place);
    return 0;
}
