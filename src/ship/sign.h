/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures of images and packages with a key pair, as cosign makes them: ECDSA P-256 over SHA-256
 * of a "simple signing" payload that names the manifest's digest (cosign's SIGNATURE_SPEC.md).
 * Keys are PEM: PKCS #8 for the private one, encrypted when a password is given. Any thread. */
#ifndef GAL_SHIP_SIGN_H
#define GAL_SHIP_SIGN_H

#include "base/arena.h"
#include "base/buf.h"
#include "oci/descriptor.h"

#define GAL_SIGN_LAYER "application/vnd.dev.cosign.simplesigning.v1+json"
#define GAL_SIGN_ANNOTATION "dev.cosignproject.cosign/signature"

/* A new pair. password NULL or empty: the private key is not encrypted. */
enum gal_status gal_sign_keys(const char *password, struct gal_buf *private_pem,
                              struct gal_buf *public_pem, struct gal_err *err);
/* What is signed: name is the reference without tag and digest. */
void gal_sign_payload(const char *name, const char *digest, struct gal_buf *out);
/* Base64 of the signature, in the arena. UNAUTHENTICATED: the password does not open the key;
 * INVALID: no ECDSA P-256 key. */
enum gal_status gal_sign(struct gal_str private_pem, const char *password, struct gal_str payload,
                         struct gal_arena *arena, struct gal_str *out, struct gal_err *err);
/* UNAUTHENTICATED: the signature is not that key's of this payload. */
enum gal_status gal_sign_check(struct gal_str public_pem, struct gal_str payload,
                               struct gal_str signature, struct gal_err *err);
/* INVALID: the payload is none, or speaks of another digest. */
enum gal_status gal_sign_names(struct gal_str payload, const char *digest, struct gal_err *err);
/* The tag under which signatures of a digest stand: "sha256-HEX.sig". */
void gal_sign_tag(const char *digest, char out[GAL_DIGEST_SIZE + 4]);

#endif
