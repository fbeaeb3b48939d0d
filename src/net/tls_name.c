/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a verified certificate is: its first URI (as SPIFFE has it), else its first DNS name, else
 * the last common name of its subject. */
#include "base/mem.h"
#include "net/tls_context.h"

#include <openssl/x509v3.h>

#define NAME_BYTES_MAX 255

/* Whole, printable, UTF-8: a NUL or a line's end inside would make another name of it. */
static bool is_plain(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] < 0x20 || p[i] == 0x7f)
            return false;
    return n > 0 && n <= NAME_BYTES_MAX && gal_utf8_valid((struct gal_str){(const char *)p, n});
}

static char *copy(const unsigned char *p, int n)
{
    if (n <= 0 || !is_plain(p, (size_t)n))
        return NULL;
    return gal_strndup((const char *)p, (size_t)n);
}

static char *alternative(const GENERAL_NAMES *names, int type)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == type)
            return copy(ASN1_STRING_get0_data(name->d.ia5), ASN1_STRING_length(name->d.ia5));
    }
    return NULL;
}

static char *common_name(X509 *certificate)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    unsigned char *text = NULL;
    int at = -1, n;
    char *name = NULL;

    for (int next; (next = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0;)
        at = next;
    if (at < 0)
        return NULL;
    n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    name = copy(text, n);
    OPENSSL_free(text);
    return name;
}

char *gal_tls_name_of(X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    char *name = NULL;

    if (names != NULL) {
        name = alternative(names, GEN_URI);
        if (name == NULL)
            name = alternative(names, GEN_DNS);
        GENERAL_NAMES_free(names);
    }
    return name != NULL ? name : common_name(certificate);
}
