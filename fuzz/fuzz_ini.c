/* SPDX-License-Identifier: Apache-2.0 */
/* Profile files: values lie in the text and have no line breaks. */
#include "source/ini.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const keys[] = {"aws_access_key_id", "region", "a", ""};
    struct gal_str text = {(const char *)data, size}, v;

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (!gal_ini_get(text, "default", keys[i], &v))
            continue;
        GAL_ASSERT(gal_ini_has(text, "default"));
        GAL_ASSERT(v.n == 0 || (v.p >= text.p && v.p + v.n <= text.p + text.n));
        GAL_ASSERT(v.n == 0 || !memchr(v.p, '\n', v.n));
    }
    return 0;
}
