/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a client's certificate: its name is a short, printable text, or there is none. */
#include "base/mem.h"
#include "net/tls_context.h"

#include <openssl/err.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const unsigned char *at = data;
    X509 *x = size < 65536 ? d2i_X509(NULL, &at, (long)size) : NULL;
    char *name = x ? gal_tls_name_of(x) : NULL;
    if (name) {
        size_t n = strlen(name);
        GAL_ASSERT(n > 0 && n <= 255 && gal_utf8_valid((struct gal_str){name, n}));
        for (size_t i = 0; i < n; i++)
            GAL_ASSERT((unsigned char)name[i] >= 0x20 && name[i] != 0x7f);
    }
    gal_free(name);
    X509_free(x);
    ERR_clear_error();
    return 0;
}
