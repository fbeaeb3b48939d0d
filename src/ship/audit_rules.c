/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns of files, matched against the path: "/x" at its front, "x/" a folder of that name
 * anywhere, "*x" its end, "x" the whole last part. */
#include "ship/audit_rules.h"

static const struct gal_audit_rule image_rules[] = {
    [GAL_RULE_HIDDEN] =
        {"hidden-bytes", GAL_AUDIT_WARNING, "",
         "delete in the layer that adds, or copy only what is needed from a builder "
         "stage",
         false, NULL},
    [GAL_RULE_SECRET_ENV] = {"secret-env", GAL_AUDIT_ERROR, "",
                             "leave it out and give it at run time (-e, secretKeyRef); change the "
                             "secret: whoever has the image has it",
                             false, NULL},
    [GAL_RULE_ROOT] = {"root-user", GAL_AUDIT_ERROR, "the image runs as root",
                       "set a user: USER 65532 (galley image build does)", false, NULL},
    [GAL_RULE_HEALTHCHECK] = {"no-healthcheck", GAL_AUDIT_WARNING, "the image has no health check",
                              "HEALTHCHECK CMD [\"galley\", \"health\"], or probes in Kubernetes",
                              false, NULL},
    [GAL_RULE_PORT] = {"no-port", GAL_AUDIT_INFO, "the image exposes no port", "EXPOSE 8080", false,
                       NULL},
    [GAL_RULE_ENTRYPOINT] = {"no-entrypoint", GAL_AUDIT_WARNING,
                             "the image has neither entrypoint nor command",
                             "ENTRYPOINT [\"galley\", \"serve\"]; a data-only image is fine so",
                             false, NULL},
    [GAL_RULE_VERSION] = {"no-version", GAL_AUDIT_INFO, "no label says which version this is",
                          "LABEL org.opencontainers.image.version=...", false, NULL},
    [GAL_RULE_DEVEL] = {"devel-base", GAL_AUDIT_WARNING,
                        "the base is CUDA's -devel image: compilers and headers, about 3 GB",
                        "take the -runtime image of the same version", false, NULL},
    [GAL_RULE_FLOATING] = {"floating-tag", GAL_AUDIT_WARNING,
                           "the reference can mean another image tomorrow",
                           "deploy by a full version, or by digest: NAME@sha256:...", false, NULL},
    [GAL_RULE_FLOATING_BASE] = {"floating-base", GAL_AUDIT_WARNING,
                                "the base image is named by a tag that moves",
                                "pin the base: python:3.10.12-slim-bookworm, or its digest", false,
                                NULL},
    [GAL_RULE_ALPINE] = {"alpine-base", GAL_AUDIT_WARNING,
                         "the base is Alpine: wheels and engines are built for glibc, not musl",
                         "take Debian's slim (python:3.12.8-slim-bookworm), or galley image build, "
                         "which brings its own C library",
                         false, NULL},
    [GAL_RULE_FULL_BASE] = {"full-base", GAL_AUDIT_WARNING,
                            "the base is a full image, with compilers and headers: about 1 GB",
                            "take the -slim image of the same version", false, NULL},
    [GAL_RULE_SIZE] = {"image-size", GAL_AUDIT_WARNING, "the image is larger than 5 GB",
                       "training tools out by a multi-stage build; weights from a volume or an "
                       "object store",
                       false, NULL},
    [GAL_RULE_LAYERS] = {"many-layers", GAL_AUDIT_WARNING,
                         "the image has more than 100 layers; runtimes stop at 127",
                         "join RUN steps", false, NULL},
};

static const struct gal_audit_rule file_rules[] = {
    {"secret-file", GAL_AUDIT_ERROR, "a file that holds credentials by its name",
     "ignore it (.dockerignore), mount it at run time; change the secret: whoever has the image "
     "has "
     "it",
     false,
     ".env|id_rsa|id_dsa|id_ecdsa|id_ed25519|.netrc|.pgpass|.git-credentials|.pypirc|.npmrc|"
     "kubeconfig|*.kdbx|*.p12|*.pfx|.aws/credentials|.docker/config.json|secrets/"},
    {"version-control", GAL_AUDIT_ERROR, "a repository's history is in the image",
     "add .git to .dockerignore", true, ".git/|.hg/|.svn/"},
    {"compiler", GAL_AUDIT_ERROR, "a compiler or build tool is in the image",
     "build in a first stage and copy the result: FROM ... AS builder", true,
     "gcc|g++|cc1|cc1plus|clang|clang++|ld.bfd|ld.gold|make|cmake|ninja|rustc|cargo|javac|nvcc|"
     "/usr/lib/gcc/"},
    {"test-framework", GAL_AUDIT_ERROR, "a test framework is in the image",
     "install serving requirements only, in a list of their own", true,
     "site-packages/pytest/|site-packages/_pytest/|site-packages/nose/|site-packages/hypothesis/|"
     "dist-packages/pytest/"},
    {"notebook", GAL_AUDIT_ERROR, "Jupyter or a notebook is in the image",
     "install serving requirements only; add *.ipynb to .dockerignore", true,
     "site-packages/notebook/|site-packages/jupyter_server/|site-packages/jupyterlab/|"
     "site-packages/ipykernel/|dist-packages/notebook/|*.ipynb"},
    {"package-cache", GAL_AUDIT_ERROR, "a package manager's cache is in the image",
     "pip install --no-cache-dir; rm -rf /var/lib/apt/lists/* in the same RUN", true,
     ".cache/pip/|.cache/uv/|pip/http-v2/|/var/cache/apt/archives/|conda/pkgs/"},
    {"package-lists", GAL_AUDIT_WARNING, "apt's package lists are in the image",
     "rm -rf /var/lib/apt/lists/* in the RUN that calls apt-get", true, "/var/lib/apt/lists/"},
    {"headers", GAL_AUDIT_WARNING, "header files are in the image",
     "install run-time packages, not -dev ones", true, "/usr/include/|/usr/local/cuda/include/"},
    {"byte-code", GAL_AUDIT_INFO, "compiled Python files differ from build to build",
     "PYTHONDONTWRITEBYTECODE=1 while building, or add **/__pycache__/ to .dockerignore", true,
     "__pycache__/"},
    {"tests", GAL_AUDIT_INFO, "tests of the application are in the image",
     "add tests/ to .dockerignore", true, "/app/tests/|/src/tests/|/app/test/"},
};

static const struct gal_audit_rule private_key = {
    "private-key",
    GAL_AUDIT_ERROR,
    "a private key is in the image",
    "mount it at run time; change the key: whoever has the image has it",
    false,
    NULL};
static const struct gal_audit_rule cloud_key = {
    "cloud-key",
    GAL_AUDIT_ERROR,
    "an AWS access key is in the image",
    "use a role or mount it at run time; revoke the key: whoever has the image has it",
    false,
    NULL};
static const struct gal_audit_rule pickle = {"pickle",
                                             GAL_AUDIT_WARNING,
                                             "a pickle runs code when it is loaded",
                                             "convert the model: galley init --convert",
                                             false,
                                             NULL};
static const struct gal_audit_rule set_id = {"set-id",
                                             GAL_AUDIT_INFO,
                                             "a program that runs with another user's rights",
                                             "chmod a-s, or start from an image without it",
                                             false,
                                             NULL};
static const struct gal_audit_rule heavy = {
    "heavy-weights",
    GAL_AUDIT_WARNING,
    "a file of more than 1 GB is baked in",
    "mount it from a volume or fetch it at the start: galley image build --without-weights",
    false,
    NULL};

static const struct gal_audit_rule baked = {
    "large-weights",
    GAL_AUDIT_INFO,
    "a file of more than 100 MiB is baked in",
    "fine where it seldom changes; else mount or fetch it: galley advise says which",
    false,
    NULL};

const struct gal_audit_rule *gal_audit_rule(enum gal_audit_image_rule which)
{
    return &image_rules[which];
}

/* --- names --- */

static struct gal_str last_part(struct gal_str path)
{
    size_t i = path.n;
    while (i > 0 && path.p[i - 1] != '/')
        i--;
    return (struct gal_str){path.p + i, path.n - i};
}

/* Where "a/b/" stands as whole parts in path; SIZE_MAX: nowhere. */
static size_t find_folder(struct gal_str path, struct gal_str folder)
{
    for (size_t i = 0; i + folder.n <= path.n; i++) {
        if ((i == 0 || path.p[i - 1] == '/') && memcmp(path.p + i, folder.p, folder.n) == 0)
            return i;
    }
    return SIZE_MAX;
}

/* Length of the part of path that the pattern stands for; 0: it does not match. */
static size_t match(struct gal_str path, struct gal_str pattern)
{
    bool is_folder = gal_str_ends(pattern, GAL_STR("/"));
    if (!path.p || pattern.n == 0)
        return 0;
    if (pattern.p[0] == '*')
        return gal_str_ends(path, (struct gal_str){pattern.p + 1, pattern.n - 1}) ? path.n : 0;
    if (pattern.p[0] == '/') {
        struct gal_str front = {pattern.p + 1, pattern.n - 1};
        return gal_str_starts(path, front) ? front.n : 0;
    }
    if (is_folder) {
        size_t at = find_folder(path, pattern);
        return at == SIZE_MAX ? 0 : at + pattern.n;
    }
    if (memchr(pattern.p, '/', pattern.n))
        return gal_str_ends(path, pattern) &&
                       (path.n == pattern.n || path.p[path.n - pattern.n - 1] == '/')
                   ? path.n
                   : 0;
    return gal_str_eq(last_part(path), pattern) ? path.n : 0;
}

static size_t match_any(const char *path, const char *patterns)
{
    struct gal_str rest = gal_str_of(patterns), one;
    size_t n = 0;
    while (n == 0 && rest.n && gal_str_cut(&rest, '|', &one))
        n = match(gal_str_of(path), one);
    return n;
}

size_t gal_audit_root(const struct gal_audit_rule *rule, const char *path)
{
    size_t n = match_any(path, rule->names), whole = strlen(path);
    if (n < whole)
        return n;
    while (n > 0 && path[n - 1] != '/')
        n--;
    return n;
}

/* --- content --- */

static bool holds(struct gal_str text, const char *word)
{
    size_t n = strlen(word);
    return text.n >= n && memmem(text.p, text.n, word, n) != NULL;
}

/* AKIA or ASIA and 16 letters and digits: an access key's form. */
static bool holds_access_key(struct gal_str text)
{
    for (size_t i = 0; i + 20 <= text.n; i++) {
        const char *p = text.p + i;
        size_t k = 4;
        if (memcmp(p, "AKIA", 4) != 0 && memcmp(p, "ASIA", 4) != 0)
            continue;
        while (k < 20 && ((p[k] >= 'A' && p[k] <= 'Z') || (p[k] >= '0' && p[k] <= '9')))
            k++;
        if (k == 20 && !holds((struct gal_str){p, 20}, "EXAMPLE"))
            return true;
    }
    return false;
}

const struct gal_audit_rule *gal_audit_file(const char *path, const struct gal_tar_entry *tar,
                                            struct gal_str content)
{
    if (tar->type == GAL_TAR_DIR)
        return NULL;
    for (size_t i = 0; i < sizeof file_rules / sizeof *file_rules; i++) {
        if (match_any(path, file_rules[i].names))
            return &file_rules[i];
    }
    if (tar->type != GAL_TAR_FILE)
        return NULL;
    if (content.n && holds(content, "-----BEGIN") && holds(content, "PRIVATE KEY-----"))
        return &private_key;
    if (content.n && holds_access_key(content))
        return &cloud_key;
    if (match_any(path, "*.pkl|*.pickle|*.joblib"))
        return &pickle;
    if (tar->size > GAL_AUDIT_WEIGHT_BYTES_MAX)
        return &heavy;
    if (tar->size > GAL_AUDIT_LARGE_BYTES)
        return &baked;
    return tar->mode & 06000 ? &set_id : NULL;
}

/* --- configuration --- */

static bool ends_in_word(struct gal_str name, const char *word)
{
    size_t n = strlen(word);
    return name.n >= n && gal_str_ieq((struct gal_str){name.p + name.n - n, n}, gal_str_of(word));
}

bool gal_audit_secret_name(struct gal_str variable)
{
    static const char *const words[] = {"PASSWORD", "PASSWD",        "SECRET",     "TOKEN",
                                        "API_KEY",  "SECRET_KEY",    "ACCESS_KEY", "PRIVATE_KEY",
                                        "APIKEY",   "ACCESS_KEY_ID", "CREDENTIALS"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (ends_in_word(variable, words[i]))
            return true;
    }
    return false;
}

bool gal_audit_is_root(struct gal_str user)
{
    struct gal_str name;
    if (!gal_str_cut(&user, ':', &name))
        return true;
    return name.n == 0 || gal_str_is(name, "root") || gal_str_is(name, "0");
}

bool gal_audit_floats(struct gal_str reference)
{
    struct gal_str name = last_part(reference);
    size_t dots = 0;
    if (memmem(reference.p, reference.n, "@sha256:", 8))
        return false;
    const char *colon = memchr(name.p, ':', name.n);
    if (!colon)
        return true;
    struct gal_str tag = {colon + 1, (size_t)(name.p + name.n - colon - 1)};
    for (size_t i = 0; i < tag.n; i++)
        dots += tag.p[i] == '.' && i + 1 < tag.n && tag.p[i + 1] >= '0' && tag.p[i + 1] <= '9';
    return dots < (gal_str_starts(name, GAL_STR("debian:")) ? 1 : 2); /* a point release: 12.12 */
}

bool gal_audit_names_devel(struct gal_str base)
{
    return base.n > 0 && memmem(base.p, base.n, "-devel", 6) != NULL;
}

bool gal_audit_is_devel(const struct gal_view *v)
{
    if (gal_audit_names_devel(gal_view_label(v, GAL_BASE_NAME)))
        return true;
    /* CUDA's images say in variables what they have: NV_CUDA_CUDART_DEV_VERSION, and so on */
    for (size_t i = 0; i < v->env_count; i++) {
        struct gal_str name, rest = v->env[i];
        if (gal_str_cut(&rest, '=', &name) && gal_str_starts(name, GAL_STR("NV_")) &&
            memmem(name.p, name.n, "_DEV", 4))
            return true;
    }
    return false;
}

bool gal_audit_is_full(struct gal_str base)
{
    static const char *const names[] = {"python:", "node:", "ruby:"};
    struct gal_str last = last_part(base);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (gal_str_starts(last, gal_str_of(names[i])))
            return !memmem(last.p, last.n, "slim", 4) && !memmem(last.p, last.n, "alpine", 6);
    }
    return false;
}
