/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/dockerfile.h"

#include "ship/runtime.h"

#include <string.h>

/* Its glibc and its packages are those that galley is built with. */
#define BASE "debian:12.12-slim"

/* In double quotes as a Dockerfile takes them. */
static void put_quoted(struct gal_buf *out, struct gal_str s)
{
    gal_buf_putc(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i] == '\n' ? ' ' : s.p[i];
        if (c == '"' || c == '\\' || c == '$')
            gal_buf_putc(out, '\\');
        gal_buf_putc(out, c);
    }
    gal_buf_putc(out, '"');
}

static void put_label(struct gal_buf *out, const char *key, struct gal_str value)
{
    if (value.n == 0)
        return;
    gal_buf_printf(out, "LABEL %s=", key);
    put_quoted(out, value);
    gal_buf_putc(out, '\n');
}

/* A path as COPY takes it: as a list where a space would end it. */
static void put_copy(struct gal_buf *out, const char *source, const char *target)
{
    if (strchr(source, ' '))
        gal_buf_printf(out, "COPY [\"%s\", \"%s\"]\n", source, target);
    else
        gal_buf_printf(out, "COPY %s %s\n", source, target);
}

/* galley as an image of `galley image build` has it: with its own loader and libraries, so that
 * nothing of the base is needed. */
static void put_galley_of_image(struct gal_buf *out, const struct gal_dockerfile_options *o)
{
    if (o->without_weights)
        gal_buf_printf(out,
                       "# What fetching needs: %s is built --with-sources or --without-weights, or "
                       "has no certificates.\n"
                       "COPY --from=%s /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/\n",
                       o->galley, o->galley);
    gal_buf_printf(out,
                   "COPY --from=%s /" GAL_SHIP_PREFIX " /" GAL_SHIP_PREFIX "\n"
                   "ENV PATH=/" GAL_SHIP_PREFIX "/bin:$PATH\n\n",
                   o->galley);
}

/* The libraries that galley and the engine are linked with; curl is opened when something is to be
 * fetched. The engine is found in ../lib of galley's own folder. */
static void put_galley_of_context(struct gal_buf *out, const struct gal_dockerfile_options *o)
{
    gal_buf_printf(out,
                   "RUN apt-get update && apt-get install -y --no-install-recommends libuv1 "
                   "libyaml-0-2 zlib1g libssl3 \\\n    libstdc++6%s && rm -rf "
                   "/var/lib/apt/lists/*\n",
                   o->without_weights ? " libcurl4 ca-certificates" : "");
    gal_buf_puts(out, "# From the build context: build/galley of galley's source, and "
                      "build/deps/onnxruntime/lib.\n"
                      "COPY lib/libonnxruntime.so.1 /usr/local/lib/\n"
                      "COPY galley /usr/local/bin/\n\n");
}

static void put_runtime(struct gal_buf *out, const struct gal_dockerfile_options *o)
{
    gal_buf_printf(out,
                   "# What runs: a user without rights, the engine, galley. What changes least "
                   "comes first.\nFROM %s AS runtime\n"
                   "RUN groupadd --gid %u galley && useradd --uid %u --gid %u --no-create-home "
                   "--shell /bin/false galley\n",
                   o->base, o->user, o->user, o->user);
    if (o->galley)
        put_galley_of_image(out, o);
    else
        put_galley_of_context(out, o);
}

/* Proves and unpacks in a stage of its own: a package that does not reproduce its golden cases ends
 * the build, and only what it holds goes on. */
static void put_builder(struct gal_buf *out, const struct gal_dockerfile_options *o)
{
    gal_buf_puts(out, "# The package is proved and unpacked here; nothing else of this stage goes "
                      "on.\nFROM runtime AS builder\n");
    put_copy(out, o->package, o->is_dir ? "/build/package/" : "/build/package.galley");
    gal_buf_puts(out, "RUN ");
    if (o->is_dir)
        gal_buf_puts(out, "galley pack /build/package -o /build/package.galley \\\n    && ");
    gal_buf_puts(out, "galley verify /build/package.galley \\\n"
                      "    && galley unpack /build/package.galley /build/model\n\n");
}

static void put_run(struct gal_buf *out, const struct gal_dockerfile_options *o)
{
    gal_buf_printf(out, "USER %u:%u\nEXPOSE %u\n", o->user, o->user, o->port);
    gal_buf_printf(out, "ENV GALLEY_HOST=0.0.0.0 GALLEY_HTTP_PORT=%u\n", o->port);
    gal_buf_puts(out, "HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \\\n"
                      "    CMD [\"galley\", \"health\"]\n");
    if (o->without_weights)
        gal_buf_puts(out,
                     "# At the start: -e MODEL_PATH=s3://bucket/model.galley (docs/sources.md)\n"
                     "ENTRYPOINT [\"galley\", \"serve\"]\n");
    else
        gal_buf_puts(out, "ENTRYPOINT [\"galley\", \"serve\", \"/models\"]\n");
}

void gal_dockerfile(struct gal_buf *out, const struct gal_manifest *m,
                    const struct gal_dockerfile_options *options)
{
    struct gal_dockerfile_options o = *options;

    o.base = o.base ? o.base : BASE;
    o.user = o.user ? o.user : 65532;
    o.port = o.port ? o.port : 8080;
    gal_buf_puts(out, "# syntax=docker/dockerfile:1\n# Written by galley image dockerfile. Without "
                      "docker, and reproducible: galley image build.\n\n");
    put_runtime(out, &o);
    if (!o.without_weights)
        put_builder(out, &o);
    gal_buf_puts(out, "# The image: a new model moves one layer.\nFROM runtime\n");
    if (!o.without_weights)
        gal_buf_printf(out, "COPY --from=builder --chown=%u:%u /build/model /models/%.*s\n", o.user,
                       o.user, GAL_STR_ARG(m->name));
    put_label(out, "org.opencontainers.image.title", m->name);
    put_label(out, "org.opencontainers.image.version", m->version);
    put_label(out, "org.opencontainers.image.description", m->description);
    put_label(out, "org.opencontainers.image.licenses", m->licence);
    put_run(out, &o);
}

void gal_dockerignore(struct gal_buf *out)
{
    static const char *const lines[] = {
        "# Written by galley image dockerfile: what no image needs, and what none may have.",
        ".git/",
        ".github/",
        ".env",
        "secrets/",
        "**/__pycache__/",
        "**/*.pyc",
        "**/.pytest_cache/",
        "**/.ipynb_checkpoints/",
        "tests/",
        "docs/",
        "notebooks/",
        "*.ipynb",
        "experiments/",
        "**/*.pem",
        "**/id_rsa*",
        "**/id_ecdsa*",
        "**/id_ed25519*",
        "weights/*.bin",
        "weights/*.pt",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        gal_buf_printf(out, "%s\n", lines[i]);
}
