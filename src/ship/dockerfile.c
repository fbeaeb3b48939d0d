/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/dockerfile.h"

#include <stdio.h>

/* The last words of a base that Debian's libraries and glibc of galley's own build need. */
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

/* Unpacks and proves in a stage of its own: a package that does not reproduce its golden cases ends
 * the build, and only what it holds goes on. */
static void put_builder(struct gal_buf *out, const struct gal_dockerfile_options *o)
{
    gal_buf_printf(out,
                   "# Stage 1: the package is checked and unpacked here; nothing else of this "
                   "stage goes on.\nFROM %s AS builder\n",
                   o->base);
    gal_buf_puts(out, "COPY --from=galley /usr/local/ /usr/local/\n");
    gal_buf_printf(out, "COPY %s /build/package\n", o->package);
    gal_buf_puts(out, "RUN galley verify /build/package && galley unpack /build/package "
                      "/build/model\n\n");
}

static void put_galley(struct gal_buf *out, const struct gal_dockerfile_options *o)
{
    if (o->galley) {
        gal_buf_printf(out, "FROM %s AS galley\n\n", o->galley);
        return;
    }
    gal_buf_printf(
        out,
        "# The engine and the server, from the build context: build/galley, and the library that "
        "`galley version`\n# names as lib/libonnxruntime.so.1.\nFROM %s AS galley\n"
        "RUN apt-get update && apt-get install -y --no-install-recommends libuv1 libyaml-0-2 "
        "zlib1g "
        "libssl3 libstdc++6 \\\n    && rm -rf /var/lib/apt/lists/*\n"
        "COPY lib/libonnxruntime.so.1 /usr/local/lib/\nCOPY galley /usr/local/bin/\n\n",
        o->base);
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
    put_galley(out, &o);
    if (!o.without_weights)
        put_builder(out, &o);
    gal_buf_printf(out,
                   "# Last stage: what changes least comes first, so that a new model moves one "
                   "layer.\nFROM %s\n",
                   o.base);
    gal_buf_printf(out,
                   "RUN groupadd --gid %u galley && useradd --uid %u --gid %u --no-create-home "
                   "--shell /bin/false galley\n",
                   o.user, o.user, o.user);
    if (!o.galley)
        gal_buf_puts(out, "RUN apt-get update && apt-get install -y --no-install-recommends libuv1 "
                          "libyaml-0-2 zlib1g libssl3 libstdc++6 \\\n    && rm -rf "
                          "/var/lib/apt/lists/*\n");
    gal_buf_puts(out, "COPY --from=galley /usr/local/ /usr/local/\n");
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
        "**/id_*",
        "weights/*.bin",
        "weights/*.pt",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        gal_buf_printf(out, "%s\n", lines[i]);
}
