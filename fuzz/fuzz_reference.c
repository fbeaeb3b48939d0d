/* SPDX-License-Identifier: Apache-2.0 */
/* References. Oracle: what is read, written again, is read as the same, and its parts keep their
 * own grammars. */
#include "oci/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_reference r, again;
    char text[GAL_REFERENCE_SIZE], host[256];

    if (size > 1024 ||
        gal_reference_parse((struct gal_str){(const char *)data, size}, &r, NULL) != GAL_OK)
        return 0;
    GAL_ASSERT(gal_repository_valid(gal_str_of(r.repository)));
    GAL_ASSERT(r.tag[0] || r.digest[0]);
    GAL_ASSERT(!r.tag[0] || gal_tag_valid(gal_str_of(r.tag)));
    GAL_ASSERT(!r.digest[0] || gal_oci_digest_valid(gal_str_of(r.digest)));
    GAL_ASSERT(gal_registry_host_parse(gal_str_of(r.host), host, NULL) == GAL_OK);
    GAL_ASSERT(strcmp(host, r.host) == 0);
    gal_reference_text(&r, text, sizeof text);
    GAL_ASSERT(gal_reference_parse(gal_str_of(text), &again, NULL) == GAL_OK);
    GAL_ASSERT(memcmp(&r, &again, sizeof r) == 0);
    (void)gal_registry_host_is_loopback(r.host);
    return 0;
}
