/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/lint.h"

#include "ship/audit_rules.h"

#include <stdlib.h>

struct rule {
    enum gal_severity severity;
    const char *code, *message, *remedy;
};

enum which {
    FLOATING,
    DEVEL,
    ALPINE,
    FULL,
    ROOT,
    HEALTH,
    APT_RECOMMENDS,
    APT_LISTS,
    PIP_CACHE,
    PIP_UNPINNED,
    TOOLS,
    ORDER,
    SECRET,
    ADD_URL,
    SHELL_FORM,
    IGNORE,
    ONE_STAGE,
};

static const struct rule rules[] = {
    [FLOATING] = {GAL_AUDIT_WARNING, "floating-base", "%.*s can be another image tomorrow",
                  "name the full version (python:3.12.8-slim-bookworm) or the digest"},
    [DEVEL] = {GAL_AUDIT_WARNING, "devel-base",
               "%.*s brings compilers and headers, about 3 GB, to production",
               "take the -runtime image of the same version in the last stage"},
    [ALPINE] = {GAL_AUDIT_WARNING, "alpine-base",
                "%.*s has musl: wheels and engines are built for glibc",
                "take Debian's slim (python:3.12.8-slim-bookworm)"},
    [FULL] = {GAL_AUDIT_WARNING, "full-base", "%.*s is a full image, with compilers: about 1 GB",
              "take the -slim image of the same version in the last stage"},
    [ROOT] = {GAL_AUDIT_ERROR, "root-user", "the last stage runs as root",
              "USER 65532:65532, or a user of its own, before the entrypoint"},
    [HEALTH] = {GAL_AUDIT_WARNING, "no-healthcheck", "the last stage has no HEALTHCHECK",
                "HEALTHCHECK CMD [\"galley\", \"health\"], or probes in Kubernetes"},
    [APT_RECOMMENDS] = {GAL_AUDIT_WARNING, "apt-recommends",
                        "apt-get installs what is only recommended too",
                        "apt-get install -y --no-install-recommends"},
    [APT_LISTS] = {GAL_AUDIT_WARNING, "package-lists", "apt's package lists stay in this layer",
                   "&& rm -rf /var/lib/apt/lists/* in the same RUN"},
    [PIP_CACHE] = {GAL_AUDIT_WARNING, "package-cache", "pip's cache stays in this layer",
                   "pip install --no-cache-dir"},
    [PIP_UNPINNED] = {GAL_AUDIT_WARNING, "unpinned", "%.*s has no exact version",
                      "pin it: name==1.2.3, better in a requirements file with hashes"},
    [TOOLS] = {GAL_AUDIT_WARNING, "compiler", "%.*s goes into the last stage",
               "build wheels in a first stage (pip wheel --wheel-dir /wheels), install them in the "
               "last (--no-index --find-links /wheels)"},
    [ORDER] = {GAL_AUDIT_WARNING, "cache-order",
               "all is copied before this installs: each change of code installs anew",
               "COPY the list of requirements alone, install, then COPY the rest"},
    [SECRET] = {GAL_AUDIT_ERROR, "secret-env", "%.*s carries a value into the image",
                "RUN --mount=type=secret while building, the environment at run time; change the "
                "secret"},
    [ADD_URL] = {GAL_AUDIT_WARNING, "add-url", "what this URL gives is not held against a digest",
                 "ADD --checksum=sha256:..., or curl and sha256sum in one RUN"},
    [SHELL_FORM] = {GAL_AUDIT_WARNING, "shell-form",
                    "a shell stands between the runtime and the server: SIGTERM does not arrive",
                    "the form of a list: [\"galley\", \"serve\", \"/models\"]"},
    [IGNORE] = {GAL_AUDIT_WARNING, "no-dockerignore",
                "all of the folder is copied and there is no .dockerignore",
                "galley image dockerfile writes one: .git, .env, secrets/, notebooks, weights"},
    [ONE_STAGE] = {GAL_AUDIT_INFO, "one-stage", "what builds and what runs is one stage",
                   "a first stage that builds, a last one that copies its result: FROM ... AS "
                   "builder"},
};

struct linter {
    struct gal_docker_text text;
    struct gal_arena *arena;
    struct gal_lint *out;
    bool is_full, has_ignore;
    bool no_memory;
};

/* --- findings --- */

static void find(struct linter *l, enum which which, unsigned line, struct gal_str what)
{
    const struct rule *rule = &rules[which];
    const char *message = rule->message;
    if (strstr(message, "%.*s")) /* one place, in front */
        message = gal_arena_printf(l->arena, "%.*s%s", GAL_STR_SHOWN(what), message + 4);
    l->no_memory = l->no_memory || !message;
    if (l->out->count == GAL_LINT_FINDINGS_MAX || !message) {
        l->is_full = true;
        return;
    }
    l->out->findings[l->out->count++] =
        (struct gal_lint_finding){rule->severity, rule->code, message, rule->remedy, line};
    l->out->errors += rule->severity == GAL_AUDIT_ERROR;
    l->out->warnings += rule->severity == GAL_AUDIT_WARNING;
}

static bool holds(struct gal_str text, const char *word)
{
    size_t n = strlen(word);
    return text.n >= n && memmem(text.p, text.n, word, n) != NULL;
}

/* The last stage and those that it stands on: their layers are the image's. */
static bool is_shipped(const struct linter *l, size_t stage)
{
    size_t at = l->text.stage_count - 1;
    while (at != SIZE_MAX && at != stage)
        at = l->text.stages[at].parent;
    return at == stage;
}

/* --- bases --- */

static void check_stage(struct linter *l, size_t i)
{
    const struct gal_docker_stage *s = &l->text.stages[i];
    bool shipped = is_shipped(l, i);
    if (s->parent != SIZE_MAX || gal_str_is(s->image, "scratch") ||
        memchr(s->image.p, '$', s->image.n))
        return;
    if (gal_audit_floats(s->image))
        find(l, FLOATING, s->line, s->image);
    if (shipped && gal_audit_names_devel(s->image))
        find(l, DEVEL, s->line, s->image);
    if (shipped && holds(s->image, "alpine"))
        find(l, ALPINE, s->line, s->image);
    if (shipped && gal_audit_is_full(s->image))
        find(l, FULL, s->line, s->image);
}

/* --- RUN --- */

/* "apt-get ... install", "python3 -m pip install": *rest is what stands behind the verb. */
static bool calls(struct gal_str command, struct gal_str tool, struct gal_str verb,
                  struct gal_str *rest)
{
    struct gal_str word;
    bool seen = false;
    while (gal_docker_word(&command, &word)) {
        const char *slash = memrchr(word.p, '/', word.n);
        if (slash)
            word = (struct gal_str){slash + 1, word.n - (size_t)(slash + 1 - word.p)};
        if (seen && gal_str_eq(word, verb)) {
            *rest = command;
            return true;
        }
        seen = seen || gal_str_eq(word, tool);
    }
    return false;
}

static bool is_tool(struct gal_str name)
{
    static const char *const names[] = {"gcc",         "g++",   "build-essential", "make",  "cmake",
                                        "ninja-build", "clang", "rustc",           "cargo", "git"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (gal_str_is(name, names[i]))
            return true;
    }
    return gal_str_ends(name, GAL_STR("-dev"));
}

static void check_apt(struct linter *l, const struct gal_docker_step *s, struct gal_str command)
{
    struct gal_str rest, word;
    if (!calls(command, GAL_STR("apt-get"), GAL_STR("install"), &rest) &&
        !calls(command, GAL_STR("apt"), GAL_STR("install"), &rest))
        return;
    if (!holds(command, "--no-install-recommends"))
        find(l, APT_RECOMMENDS, s->line, rest);
    if (!holds(s->text, "/var/lib/apt/lists") && !holds(s->text, "--mount=type=cache"))
        find(l, APT_LISTS, s->line, rest);
    while (gal_docker_word(&rest, &word)) {
        struct gal_str name = word, version = word;
        gal_str_cut(&version, '=', &name);
        if (is_tool(name))
            find(l, TOOLS, s->line, name);
    }
}

/* A requirement by name, without "==" or a place where it comes from. */
static bool is_unpinned(struct gal_str word)
{
    if (word.n == 0 || word.p[0] == '-' || word.p[0] == '.' || word.p[0] == '$')
        return false;
    return !holds(word, "==") && !holds(word, "@") && !holds(word, "/") && !holds(word, "://") &&
           !gal_str_ends(word, GAL_STR(".whl")) && !gal_str_ends(word, GAL_STR(".txt"));
}

/* ">", "2>&1", "</dev/null": what follows is no argument of the command's own. */
static bool is_redirection(struct gal_str word)
{
    size_t i = 0;
    while (i < word.n && word.p[i] >= '0' && word.p[i] <= '9')
        i++;
    return i < word.n && (word.p[i] == '>' || word.p[i] == '<');
}

static void check_pip(struct linter *l, const struct gal_docker_step *s, struct gal_str command,
                      bool cache_is_off)
{
    /* options with a value of their own */
    static const char *const valued[] = {"-r",
                                         "-c",
                                         "-f",
                                         "-i",
                                         "-t",
                                         "--requirement",
                                         "--constraint",
                                         "--find-links",
                                         "--index-url",
                                         "--target",
                                         "--extra-index-url",
                                         "--prefix",
                                         "--trusted-host",
                                         "--root-user-action",
                                         "--platform",
                                         "--python-version"};
    struct gal_str rest, word;
    bool skip = false;
    if (!calls(command, GAL_STR("pip"), GAL_STR("install"), &rest) &&
        !calls(command, GAL_STR("pip3"), GAL_STR("install"), &rest))
        return;
    if (!cache_is_off && !holds(command, "--no-cache-dir") && !holds(s->text, "--mount=type=cache"))
        find(l, PIP_CACHE, s->line, rest);
    while (gal_docker_word(&rest, &word) && !is_redirection(word)) {
        if (!skip && is_unpinned(word))
            find(l, PIP_UNPINNED, s->line, word);
        skip = false;
        for (size_t i = 0; i < sizeof valued / sizeof *valued; i++)
            skip = skip || gal_str_is(word, valued[i]);
    }
}

static bool installs(struct gal_str text)
{
    struct gal_str command, rest;
    bool found = false;
    while (gal_docker_command(&text, &command))
        found = found || calls(command, GAL_STR("pip"), GAL_STR("install"), &rest) ||
                calls(command, GAL_STR("pip3"), GAL_STR("install"), &rest) ||
                calls(command, GAL_STR("apt-get"), GAL_STR("install"), &rest) ||
                calls(command, GAL_STR("npm"), GAL_STR("ci"), &rest);
    return found;
}

/* --- all instructions of a stage --- */

struct stage_state {
    bool copied_all, told_order, has_user, is_root, has_health, cache_is_off;
};

/* COPY . /app, ADD . . */
static bool copies_all(const struct gal_docker_step *s)
{
    struct gal_str rest = s->text, word;
    while (gal_docker_word(&rest, &word)) {
        if (gal_str_starts(word, GAL_STR("--from")))
            return false;
        if (!gal_str_starts(word, GAL_STR("--")))
            return gal_str_is(word, ".") || gal_str_is(word, "./");
    }
    return false;
}

static void check_variables(struct linter *l, const struct gal_docker_step *s)
{
    struct gal_str rest = s->text, word;
    if (gal_docker_is(s, "ENV") && gal_docker_word(&rest, &word) && !holds(word, "=")) {
        struct gal_str value = gal_str_trim(rest); /* ENV KEY value */
        if (value.n && value.p[0] != '$' && gal_audit_secret_name(word))
            find(l, SECRET, s->line, word);
        return;
    }
    rest = s->text;
    while (gal_docker_word(&rest, &word)) {
        struct gal_str name, value = word;
        if (gal_str_cut(&value, '=', &name) && value.n && value.p[0] != '$' &&
            gal_audit_secret_name(name) && !gal_str_is(value, "\"\""))
            find(l, SECRET, s->line, name);
    }
}

static void check_run(struct linter *l, const struct gal_docker_step *s, struct stage_state *state)
{
    struct gal_str rest = s->text, command;
    if (state->copied_all && !state->told_order && installs(s->text)) {
        state->told_order = true;
        find(l, ORDER, s->line, s->text);
    }
    while (is_shipped(l, s->stage) && gal_docker_command(&rest, &command)) {
        check_apt(l, s, command);
        check_pip(l, s, command, state->cache_is_off);
    }
}

static void check_user(const struct gal_docker_step *s, struct stage_state *state)
{
    state->has_user = true;
    state->is_root = gal_audit_is_root(s->text);
}

static void check_step(struct linter *l, const struct gal_docker_step *s, struct stage_state *state)
{
    bool adds = gal_docker_is(s, "ADD"),
         starts = gal_docker_is(s, "ENTRYPOINT") || gal_docker_is(s, "CMD");
    if (gal_docker_is(s, "RUN"))
        check_run(l, s, state);
    if (gal_docker_is(s, "USER"))
        check_user(s, state);
    if (gal_docker_is(s, "HEALTHCHECK")) /* NONE turns off what the base has */
        state->has_health = !gal_str_ieq(gal_str_trim(s->text), GAL_STR("NONE"));
    if (gal_docker_is(s, "ENV") || gal_docker_is(s, "ARG"))
        check_variables(l, s);
    if (gal_docker_is(s, "ENV") && holds(s->text, "PIP_NO_CACHE_DIR"))
        state->cache_is_off = true;
    if (adds && holds(s->text, "://") && !holds(s->text, "--checksum"))
        find(l, ADD_URL, s->line, s->text);
    if (starts && is_shipped(l, s->stage) && s->text.n && s->text.p[0] != '[')
        find(l, SHELL_FORM, s->line, s->text);
    if ((adds || gal_docker_is(s, "COPY")) && copies_all(s)) {
        state->copied_all = true;
        if (!l->has_ignore)
            find(l, IGNORE, s->line, s->text);
        l->has_ignore = true; /* once is enough */
    }
}

/* Each stage begins as the one that it stands on has ended. */
static enum gal_status check_stages(struct linter *l, struct gal_err *err)
{
    const struct gal_docker_text *t = &l->text;
    struct stage_state *states = gal_arena_array(l->arena, t->stage_count + 1, sizeof *states);
    size_t at = SIZE_MAX;
    struct stage_state before = {.has_user = false};
    if (!states)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a Dockerfile");
    for (size_t i = 0; i < t->step_count; i++) {
        const struct gal_docker_step *s = &t->steps[i];
        if (s->stage != at) {
            at = s->stage;
            states[at] = t->stages[at].parent == SIZE_MAX ? (struct stage_state){.has_user = false}
                                                          : states[t->stages[at].parent];
            check_stage(l, at);
        }
        check_step(l, s, at == SIZE_MAX ? &before : &states[at]);
    }
    const struct stage_state *last = &states[at];
    if (!last->has_user || last->is_root)
        find(l, ROOT, 0, GAL_STR(""));
    if (!last->has_health)
        find(l, HEALTH, 0, GAL_STR(""));
    return GAL_OK;
}

static int by_line(const void *x, const void *y)
{
    const struct gal_lint_finding *a = x, *b = y;
    unsigned left = a->line ? a->line : ~0u, right = b->line ? b->line : ~0u;
    if (left != right)
        return left < right ? -1 : 1;
    return strcmp(a->code, b->code);
}

enum gal_status gal_lint_dockerfile(struct gal_str text, bool has_ignore, struct gal_arena *arena,
                                    struct gal_lint *out, struct gal_err *err)
{
    struct linter l = {.arena = arena, .out = out, .has_ignore = has_ignore};
    enum gal_status status = gal_docker_read(text, arena, &l.text, err);
    *out = (struct gal_lint){.count = 0};
    if (status)
        return status;
    out->findings = gal_arena_array(arena, GAL_LINT_FINDINGS_MAX, sizeof *out->findings);
    if (!out->findings)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for findings");
    status = check_stages(&l, err);
    if (!status && l.no_memory)
        status = gal_fail(err, GAL_NO_MEMORY, "no memory for findings");
    if (!status && l.is_full)
        status = gal_fail(err, GAL_TOO_LARGE, "more than %u findings", GAL_LINT_FINDINGS_MAX);
    for (size_t i = 0; !status && l.text.stage_count == 1 && i < out->count; i++) {
        if (strcmp(out->findings[i].code, "compiler") == 0) {
            find(&l, ONE_STAGE, l.text.stages[0].line, GAL_STR(""));
            break;
        }
    }
    if (!status)
        qsort(out->findings, out->count, sizeof *out->findings, by_line);
    return status;
}
