/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/docker_text.h"

#define HERE_MAX 8u /* here documents of one instruction */

struct reader {
    struct gal_arena *arena;
    struct gal_docker_text *out;
    struct gal_str rest; /* lines that are left */
    unsigned line;       /* of the one that was taken last */
    char escape;
    struct gal_buf text; /* of the instruction that is read */
    struct gal_err *err;
};

static enum gal_status no_memory(struct reader *r)
{
    return gal_fail(r->err, GAL_NO_MEMORY, "no memory for a Dockerfile");
}

bool gal_docker_is(const struct gal_docker_step *s, const char *word)
{
    return gal_str_ieq(s->word, gal_str_of(word));
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool gal_docker_word(struct gal_str *rest, struct gal_str *word)
{
    size_t i = 0, n;
    while (i < rest->n && is_space(rest->p[i]))
        i++;
    for (n = i; n < rest->n && !is_space(rest->p[n]);)
        n++;
    if (n == i)
        return false;
    *word = (struct gal_str){rest->p + i, n - i};
    *rest = (struct gal_str){rest->p + n, rest->n - n};
    return true;
}

bool gal_docker_command(struct gal_str *rest, struct gal_str *command)
{
    size_t n = 0;
    if (rest->n == 0)
        return false;
    while (n < rest->n && rest->p[n] != ';' && rest->p[n] != '|' && rest->p[n] != '\n' &&
           !(rest->p[n] == '&' && n + 1 < rest->n && rest->p[n + 1] == '&'))
        n++;
    *command = (struct gal_str){rest->p, n};
    while (n < rest->n &&
           (rest->p[n] == ';' || rest->p[n] == '|' || rest->p[n] == '\n' || rest->p[n] == '&'))
        n++;
    *rest = (struct gal_str){rest->p + n, rest->n - n};
    return true;
}

/* --- lines --- */

static bool take_line(struct reader *r, struct gal_str *line)
{
    if (r->rest.n == 0 || !gal_str_cut(&r->rest, '\n', line))
        return false;
    r->line++;
    return true;
}

/* "# escape=`" among the first lines. */
static void read_directive(struct reader *r, struct gal_str line)
{
    struct gal_str key, value = {line.p + 1, line.n - 1};
    if (!gal_str_cut(&value, '=', &key) || !gal_str_ieq(gal_str_trim(key), GAL_STR("escape")))
        return;
    value = gal_str_trim(value);
    if (value.n == 1 && (value.p[0] == '`' || value.p[0] == '\\'))
        r->escape = value.p[0];
}

/* The instruction's lines; comments and empty lines in between belong to none. */
static void join_lines(struct reader *r, struct gal_str line)
{
    gal_buf_clear(&r->text, SIZE_MAX);
    for (;;) {
        struct gal_str s = gal_str_trim(line);
        bool goes_on = s.n > 0 && s.p[s.n - 1] == r->escape;
        if (goes_on)
            s.n--;
        gal_buf_put(&r->text, s.p, s.n);
        if (!goes_on)
            return;
        gal_buf_putc(&r->text, ' ');
        do {
            if (!take_line(r, &line))
                return;
            s = gal_str_trim(line);
        } while (s.n == 0 || s.p[0] == '#');
    }
}

/* --- here documents --- */

/* "EOF" of "<<EOF", "<<-'EOF'"; empty: the word begins none. */
static struct gal_str here_end(struct gal_str word, bool *tabs)
{
    struct gal_str end = {NULL, 0};
    size_t i = 0;
    while (i < word.n && word.p[i] >= '0' && word.p[i] <= '9')
        i++;
    if (word.n < i + 3 || word.p[i] != '<' || word.p[i + 1] != '<' || word.p[i + 2] == '<')
        return end;
    end = (struct gal_str){word.p + i + 2, word.n - i - 2};
    *tabs = end.p[0] == '-';
    if (*tabs)
        end = (struct gal_str){end.p + 1, end.n - 1};
    if (end.n > 2 && (end.p[0] == '"' || end.p[0] == '\'') && end.p[end.n - 1] == end.p[0])
        end = (struct gal_str){end.p + 1, end.n - 2};
    /* What is no name was a shift of bits or the like. */
    for (i = 0; i < end.n; i++) {
        char c = end.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
              (i > 0 && c >= '0' && c <= '9')))
            return (struct gal_str){NULL, 0};
    }
    return end;
}

static enum gal_status read_here(struct reader *r, struct gal_str end, bool tabs, unsigned begin)
{
    struct gal_str line;
    while (take_line(r, &line)) {
        struct gal_str s = line;
        while (s.n && s.p[s.n - 1] == '\r')
            s.n--;
        while (tabs && s.n && s.p[0] == '\t')
            s = (struct gal_str){s.p + 1, s.n - 1};
        if (gal_str_eq(s, end))
            return GAL_OK;
        gal_buf_putc(&r->text, '\n');
        gal_buf_put(&r->text, s.p, s.n);
    }
    return gal_fail(r->err, GAL_INVALID, "line %u: the here document %.*s has no end", begin,
                    GAL_STR_SHOWN(end));
}

static bool takes_here(struct gal_str text)
{
    static const char *const words[] = {"RUN", "COPY", "ADD"};
    struct gal_str rest = text, word;
    if (text.n < 2 || !memmem(text.p, text.n, "<<", 2) || !gal_docker_word(&rest, &word))
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (gal_str_ieq(word, gal_str_of(words[i])))
            return true;
    }
    return false;
}

static enum gal_status read_heres(struct reader *r, struct gal_str text, unsigned begin)
{
    struct gal_str word, ends[HERE_MAX];
    bool tabs[HERE_MAX];
    size_t count = 0;
    enum gal_status status = GAL_OK;
    while (count < HERE_MAX && gal_docker_word(&text, &word)) {
        ends[count] = here_end(word, &tabs[count]);
        count += ends[count].n > 0;
    }
    for (size_t i = 0; i < count && !status; i++) {
        const char *end = gal_arena_strdup(r->arena, ends[i]); /* r->text grows */
        ends[i].p = end;
    }
    for (size_t i = 0; i < count && !status; i++)
        status = ends[i].p ? read_here(r, ends[i], tabs[i], begin) : no_memory(r);
    return status;
}

/* --- instructions --- */

static bool is_known(const struct gal_docker_step *s)
{
    static const char *const words[] = {
        "FROM",    "RUN", "CMD",     "LABEL",      "MAINTAINER",  "EXPOSE",
        "ENV",     "ADD", "COPY",    "ENTRYPOINT", "VOLUME",      "USER",
        "WORKDIR", "ARG", "ONBUILD", "STOPSIGNAL", "HEALTHCHECK", "SHELL"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (gal_docker_is(s, words[i]))
            return true;
    }
    return false;
}

static size_t stage_named(const struct gal_docker_text *t, struct gal_str name)
{
    for (size_t i = t->stage_count; i-- > 0;) {
        if (name.n && gal_str_ieq(t->stages[i].name, name))
            return i;
    }
    return SIZE_MAX;
}

static enum gal_status begin_stage(struct reader *r, const struct gal_docker_step *s)
{
    struct gal_docker_text *t = r->out;
    struct gal_docker_stage stage = {.line = s->line};
    struct gal_str rest = s->text, word = {NULL, 0};
    while (gal_docker_word(&rest, &word) && gal_str_starts(word, GAL_STR("--")))
        continue;
    if (s->text.n == 0 || gal_str_starts(word, GAL_STR("--")))
        return gal_fail(r->err, GAL_INVALID, "line %u: FROM names no image", s->line);
    stage.image = word;
    if (gal_docker_word(&rest, &word) && gal_str_ieq(word, GAL_STR("AS")))
        (void)gal_docker_word(&rest, &stage.name);
    stage.parent = stage_named(t, stage.image);
    t->stages[t->stage_count++] = stage;
    return GAL_OK;
}

static enum gal_status read_step(struct reader *r, struct gal_str line)
{
    struct gal_docker_text *t = r->out;
    unsigned begin = r->line;
    struct gal_docker_step *s = &t->steps[t->step_count];
    struct gal_str text;
    enum gal_status status = GAL_OK;
    const char *copy;
    if (t->step_count == GAL_DOCKER_STEPS_MAX)
        return gal_fail(r->err, GAL_TOO_LARGE, "more than %u instructions", GAL_DOCKER_STEPS_MAX);
    join_lines(r, line);
    text = gal_buf_str(&r->text);
    if (!r->text.failed && takes_here(text))
        status = read_heres(r, text, begin);
    if (!status && r->text.failed)
        status = no_memory(r);
    if (status)
        return status;
    copy = gal_arena_strdup(r->arena, gal_buf_str(&r->text));
    if (!copy)
        return no_memory(r);
    *s = (struct gal_docker_step){.text = {copy, r->text.n}, .line = begin};
    (void)gal_docker_word(&s->text, &s->word);
    s->text = gal_str_trim(s->text);
    if (!is_known(s))
        return gal_fail(r->err, GAL_INVALID, "line %u: '%.*s' is no instruction of a Dockerfile",
                        begin, GAL_STR_SHOWN(s->word));
    if (gal_docker_is(s, "FROM"))
        status = begin_stage(r, s);
    s->stage = t->stage_count ? t->stage_count - 1 : SIZE_MAX;
    t->step_count++;
    return status;
}

enum gal_status gal_docker_read(struct gal_str text, struct gal_arena *arena,
                                struct gal_docker_text *out, struct gal_err *err)
{
    struct reader r = {.arena = arena, .out = out, .rest = text, .escape = '\\', .err = err};
    struct gal_str line;
    size_t lines = 1;
    bool begun = false;
    enum gal_status status = GAL_OK;
    *out = (struct gal_docker_text){.step_count = 0};
    if (text.n > GAL_DOCKER_BYTES_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "a Dockerfile of more than %u bytes",
                        GAL_DOCKER_BYTES_MAX);
    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    lines = lines < GAL_DOCKER_STEPS_MAX ? lines : GAL_DOCKER_STEPS_MAX;
    out->steps = gal_arena_array(arena, lines + 1, sizeof *out->steps);
    out->stages = gal_arena_array(arena, lines + 1, sizeof *out->stages);
    gal_buf_init(&r.text, 2 * GAL_DOCKER_BYTES_MAX);
    if (!out->steps || !out->stages)
        status = no_memory(&r);
    while (!status && take_line(&r, &line)) {
        struct gal_str s = gal_str_trim(line);
        if (s.n && s.p[0] == '#' && !begun)
            read_directive(&r, s);
        if (s.n == 0 || s.p[0] == '#')
            continue;
        begun = true;
        status = read_step(&r, line);
    }
    if (!status && out->stage_count == 0)
        status = gal_fail(err, GAL_INVALID, "it has no FROM");
    gal_buf_release(&r.text);
    return status;
}
