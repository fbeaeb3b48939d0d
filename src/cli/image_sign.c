/* SPDX-License-Identifier: Apache-2.0 */
/* image keygen, image sign, image verify: signatures lie beside an image in its registry, under the
 * tag sha256-HEX.sig, where cosign looks for them. */

#include "base/file.h"
#include "base/file_write.h"
#include "base/mem.h"
#include "cli/image_source.h"
#include "ship/sign.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#define KEY_BYTES_MAX 65536u
#define PAYLOAD_BYTES_MAX (1u << 20)
#define SIGNATURES_MAX 64u

static const char *password_of(const struct gal_cli *cli)
{
    for (char *const *e = cli->env; e && *e; e++) {
        if (strncmp(*e, "COSIGN_PASSWORD=", 16) == 0)
            return *e + 16;
    }
    return NULL;
}

/* --- keygen --- */

static enum gal_status write_keys(struct gal_cli *cli, const char *prefix, struct gal_err *err)
{
    char *secret = gal_arena_printf(&cli->arena, "%s.key", prefix);
    char *public = gal_arena_printf(&cli->arena, "%s.pub", prefix);
    struct gal_file_info info[2] = {{.kind = GAL_FILE_NONE}, {.kind = GAL_FILE_NONE}};
    struct gal_buf private_pem, public_pem;
    mode_t mask;
    enum gal_status status;

    if (!secret || !public)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a path");
    status = gal_file_stat(secret, &info[0], err);
    if (!status)
        status = gal_file_stat(public, &info[1], err);
    if (!status && (info[0].kind != GAL_FILE_NONE || info[1].kind != GAL_FILE_NONE))
        return gal_fail(err, GAL_CONFLICT, "%s is there already: a key is never replaced",
                        info[0].kind != GAL_FILE_NONE ? secret : public);
    gal_buf_init(&private_pem, KEY_BYTES_MAX);
    gal_buf_init(&public_pem, KEY_BYTES_MAX);
    if (!status)
        status = gal_sign_keys(password_of(cli), &private_pem, &public_pem, err);
    mask = umask(077); /* nobody else reads the private key, not even for a moment */
    if (!status)
        status = gal_file_put(secret, gal_buf_str(&private_pem), err);
    umask(mask);
    if (!status)
        status = gal_file_put(public, gal_buf_str(&public_pem), err);
    if (!status)
        fprintf(cli->out, "%s\n%s\n", secret, public);
    if (private_pem.p)
        memset(private_pem.p, 0, private_pem.n);
    gal_buf_release(&private_pem);
    gal_buf_release(&public_pem);
    return status;
}

static int run_keygen(struct gal_cli *cli)
{
    const char *prefix = gal_cli_value(cli, "output-key-prefix");
    struct gal_err err;

    if (!password_of(cli))
        fprintf(cli->err, "COSIGN_PASSWORD is not set: the private key is not encrypted\n");
    if (write_keys(cli, prefix ? prefix : "galley", &err))
        return gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    return GAL_EXIT_OK;
}

/* --- what sign and verify share --- */

struct desk {
    struct gal_cli *cli;
    struct gal_reference ref;
    struct gal_registry *registry; /* owned */
    struct gal_oci_descriptor top; /* what the signature is of */
    struct gal_buf key;
    char tag[GAL_DIGEST_SIZE + 4];
};

static enum gal_status open_desk(struct desk *d, struct gal_err *err)
{
    const struct gal_registry_options options = gal_cli_registry(d->cli);
    const char *key = gal_cli_value(d->cli, "key");
    struct gal_str body;

    if (!key) {
        gal_fail(err, GAL_INVALID, "--key FILE is missing");
        gal_err_hint(err, "galley image keygen makes a pair");
        return GAL_INVALID;
    }
    enum gal_status status = gal_file_read(key, KEY_BYTES_MAX, &d->key, err);
    if (status)
        return status;
    status = gal_reference_parse(gal_str_of(d->cli->operands[0]), &d->ref, err);
    if (!status)
        status = gal_registry_open(&d->ref, &options, &d->registry, err);
    if (!status)
        status = gal_registry_manifest(d->registry, d->ref.digest[0] ? d->ref.digest : d->ref.tag,
                                       &d->cli->arena, &d->top, &body, err);
    if (!status)
        gal_sign_tag(d->top.digest, d->tag);
    return status;
}

static void close_desk(struct desk *d)
{
    gal_registry_close(d->registry);
    gal_buf_release(&d->key);
}

/* The manifest that holds the signatures so far; *m has no layers when there is none. */
static enum gal_status signatures(struct desk *d, struct gal_oci_manifest *m, struct gal_err *err)
{
    struct gal_oci_descriptor at;
    struct gal_str body;
    enum gal_status status =
        gal_registry_manifest(d->registry, d->tag, &d->cli->arena, &at, &body, err);

    *m = (struct gal_oci_manifest){.layer_count = 0};
    if (status == GAL_NOT_FOUND)
        return GAL_OK;
    return status ? status : gal_oci_manifest_read(body, &d->cli->arena, m, err);
}

/* --- sign --- */

/* The image of signatures: its layers' digests are all that its configuration tells. */
static void put_config(struct gal_buf *out, const struct gal_oci_descriptor *layers, size_t count)
{
    gal_buf_puts(out, "{\"architecture\":\"\",\"created\":\"0001-01-01T00:00:00Z\",\"history\":[");
    for (size_t i = 0; i < count; i++)
        gal_buf_printf(out, "%s{\"created\":\"0001-01-01T00:00:00Z\"}", i ? "," : "");
    gal_buf_puts(out, "],\"os\":\"\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[");
    for (size_t i = 0; i < count; i++)
        gal_buf_printf(out, "%s\"%s\"", i ? "," : "", layers[i].digest);
    gal_buf_puts(out, "]},\"config\":{}}");
}

static enum gal_status push_text(struct desk *d, struct gal_str media_type, struct gal_str text,
                                 struct gal_oci_descriptor *out, struct gal_err *err)
{
    struct gal_blob_source source = {.bytes = text};
    uint64_t moved;
    *out = gal_oci_describe(media_type, text);
    return gal_registry_push_blob(d->registry, out, &source, &moved, err);
}

static enum gal_status push_signature(struct desk *d, struct gal_str payload,
                                      struct gal_str signature, struct gal_err *err)
{
    struct gal_oci_manifest m;
    struct gal_oci_descriptor *layers;
    struct gal_oci_annotation note = {GAL_STR(GAL_SIGN_ANNOTATION), signature};
    struct gal_buf text;
    size_t n;
    enum gal_status status = signatures(d, &m, err);

    if (status)
        return status;
    n = m.layer_count;
    if (n == SIGNATURES_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "the image has %zu signatures already", n);
    layers = gal_arena_array(&d->cli->arena, n + 1, sizeof *layers);
    if (!layers)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for signatures");
    if (n)
        memcpy(layers, m.layers, n * sizeof *layers);
    gal_buf_init(&text, PAYLOAD_BYTES_MAX);
    status = push_text(d, GAL_STR(GAL_SIGN_LAYER), payload, &layers[n], err);
    layers[n].annotations = &note;
    layers[n].annotation_count = 1;
    m = (struct gal_oci_manifest){
        .media_type = GAL_STR(GAL_OCI_MANIFEST), .layers = layers, .layer_count = n + 1};
    put_config(&text, layers, n + 1);
    if (!status)
        status = push_text(d, GAL_STR(GAL_OCI_CONFIG), gal_buf_str(&text), &m.config, err);
    gal_buf_clear(&text, SIZE_MAX);
    gal_oci_manifest_write(&text, &m);
    if (!status)
        status =
            gal_registry_push_manifest(d->registry, m.media_type, gal_buf_str(&text), d->tag, err);
    gal_buf_release(&text);
    return status;
}

static enum gal_status sign(struct desk *d, struct gal_err *err)
{
    char name[sizeof d->ref.host + sizeof d->ref.repository + 2];
    struct gal_buf payload;
    struct gal_str signature;

    snprintf(name, sizeof name, "%s/%s", d->ref.host, d->ref.repository);
    gal_buf_init(&payload, PAYLOAD_BYTES_MAX);
    gal_sign_payload(name, d->top.digest, &payload);
    enum gal_status status = gal_sign(gal_buf_str(&d->key), password_of(d->cli),
                                      gal_buf_str(&payload), &d->cli->arena, &signature, err);
    if (!status)
        status = push_signature(d, gal_buf_str(&payload), signature, err);
    if (!status)
        fprintf(d->cli->out, "%s@%s\n", name, d->top.digest);
    gal_buf_release(&payload);
    return status;
}

static int run_sign(struct gal_cli *cli)
{
    struct desk d = {.cli = cli};
    struct gal_err err;
    enum gal_status status = open_desk(&d, &err);

    if (!status)
        status = sign(&d, &err);
    close_desk(&d);
    return status ? gal_cli_fail(cli, GAL_EXIT_FAILURE, &err) : GAL_EXIT_OK;
}

/* --- verify --- */

static enum gal_status check_layer(struct desk *d, const struct gal_oci_descriptor *layer,
                                   struct gal_err *err)
{
    struct gal_str payload, signature = gal_oci_annotation(layer, GAL_SIGN_ANNOTATION);

    if (!gal_str_is(layer->media_type, GAL_SIGN_LAYER) || signature.n == 0)
        return gal_fail(err, GAL_INVALID, "a layer under %s is no signature", d->tag);
    enum gal_status status =
        gal_registry_blob(d->registry, layer, PAYLOAD_BYTES_MAX, &d->cli->arena, &payload, err);
    if (!status)
        status = gal_sign_check(gal_buf_str(&d->key), payload, signature, err);
    return status ? status : gal_sign_names(payload, d->top.digest, err);
}

/* One good signature is enough, as for cosign. */
static enum gal_status verify(struct desk *d, struct gal_err *err)
{
    struct gal_oci_manifest m;
    enum gal_status status = signatures(d, &m, err);

    if (status)
        return status;
    if (m.layer_count == 0) {
        gal_fail(err, GAL_NOT_FOUND, "%s has no signature", d->top.digest);
        gal_err_hint(err, "galley image sign --key FILE REF");
        return GAL_NOT_FOUND;
    }
    status = GAL_NOT_FOUND;
    for (size_t i = 0; status && i < m.layer_count && i < SIGNATURES_MAX; i++)
        status = check_layer(d, &m.layers[i], err);
    if (!status)
        fprintf(d->cli->out, "%s/%s@%s\n", d->ref.host, d->ref.repository, d->top.digest);
    return status;
}

static int run_verify(struct gal_cli *cli)
{
    struct desk d = {.cli = cli};
    struct gal_err err;
    enum gal_status status = open_desk(&d, &err);

    if (!status)
        status = verify(&d, &err);
    close_desk(&d);
    return status ? gal_cli_fail(cli, GAL_EXIT_FAILURE, &err) : GAL_EXIT_OK;
}

/* --- the commands --- */

static const struct gal_option keygen_options[] = {
    {"output-key-prefix", '\0', "FILE", "Names PREFIX.key and PREFIX.pub; galley untold"},
};
static const struct gal_option key_options[] = {
    {"key", '\0', "FILE", "The key, PEM"},
    GAL_REGISTRY_OPTIONS,
};
static const struct gal_example keygen_examples[] = {
    {"COSIGN_PASSWORD=... galley image keygen", "galley.key, encrypted, and galley.pub."},
};
static const struct gal_example sign_examples[] = {
    {"galley image sign --key galley.key localhost:5000/fraud:2.1.0",
     "Prints what was signed, by digest. cosign verify --key galley.pub agrees."},
};
static const struct gal_example verify_examples[] = {
    {"galley image verify --key galley.pub localhost:5000/fraud:2.1.0",
     "Exit code 0 when a signature is this key's; prints the digest to deploy."},
};

const struct gal_command gal_command_image_keygen = {
    .name = "image keygen",
    .summary = "Make a key pair to sign images and packages with",
    .operands = "",
    .words = "",
    .text = "ECDSA on P-256, PEM. The private key is encrypted with the password in "
            "COSIGN_PASSWORD when that is set. cosign verifies with the public key.",
    .options = keygen_options,
    .option_count = sizeof(keygen_options) / sizeof(keygen_options[0]),
    .examples = keygen_examples,
    .example_count = sizeof(keygen_examples) / sizeof(keygen_examples[0]),
    .run = run_keygen,
};
const struct gal_command gal_command_image_sign = {
    .name = "image sign",
    .summary = "Sign an image or package in a registry",
    .operands = "REF",
    .words = "",
    .operands_min = 1,
    .operands_max = 1,
    .text = "Puts a signature beside what REF means now, under the tag sha256-HEX.sig, in cosign's "
            "format. What is signed is the digest: a tag that moves later is not covered.",
    .options = key_options,
    .option_count = sizeof(key_options) / sizeof(key_options[0]),
    .examples = sign_examples,
    .example_count = sizeof(sign_examples) / sizeof(sign_examples[0]),
    .run = run_sign,
};
const struct gal_command gal_command_image_verify = {
    .name = "image verify",
    .summary = "Check the signature of an image or package in a registry",
    .operands = "REF",
    .words = "",
    .operands_min = 1,
    .operands_max = 1,
    .text =
        "Looks for a signature of what REF means now, made by galley or cosign with a key pair, "
        "and holds it against the public key.",
    .options = key_options,
    .option_count = sizeof(key_options) / sizeof(key_options[0]),
    .examples = verify_examples,
    .example_count = sizeof(verify_examples) / sizeof(verify_examples[0]),
    .run = run_verify,
};
