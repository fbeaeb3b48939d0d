/* SPDX-License-Identifier: Apache-2.0 */
/* WWW-Authenticate, as registries send it. Oracle: a challenge that counts has what it takes, no
 * text holds a control byte, and a second header never makes it worse. */
#include "oci/challenge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *s, size_t size)
{
    size_t n = strnlen(s, size);
    GAL_ASSERT(n < size);
    for (size_t i = 0; i < n; i++)
        GAL_ASSERT((unsigned char)s[i] >= 0x20 && s[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_challenge c = {.kind = GAL_CHALLENGE_NONE}, before;

    if (size > 8192)
        return 0;
    gal_challenge_parse((struct gal_str){(const char *)data, size}, &c);
    GAL_ASSERT(c.kind != GAL_CHALLENGE_BEARER || c.realm[0]);
    check_text(c.realm, sizeof c.realm);
    check_text(c.service, sizeof c.service);
    check_text(c.scope, sizeof c.scope);
    check_text(c.error, sizeof c.error);
    before = c;
    gal_challenge_parse((struct gal_str){(const char *)data, size / 2}, &c);
    GAL_ASSERT(c.kind >= before.kind);
    return 0;
}
