/* SPDX-License-Identifier: Apache-2.0 */
/* Tags of a repository, page by page. */
#include "base/limits.h"
#include "oci/registry_impl.h"
#include "text/json.h"

#include <stdio.h>
#include <stdlib.h>

#define PAGES_MAX 1000u
#define TAGS_SHOWN 6u

struct tag_list {
    struct gal_arena *arena;
    struct gal_str *tags;
    size_t count, room;
};

static enum gal_status add_tags(struct tag_list *l, yyjson_val *tags, struct gal_err *err)
{
    yyjson_arr_iter it = yyjson_arr_iter_with(tags);
    for (yyjson_val *v; (v = yyjson_arr_iter_next(&it));) {
        struct gal_str tag = {yyjson_get_str(v), yyjson_get_len(v)};
        if (!yyjson_is_str(v) || !gal_tag_valid(tag))
            return gal_fail(err, GAL_INVALID, "a tag of the list is none");
        if (l->count == GAL_REGISTRY_TAGS_MAX)
            return gal_fail(err, GAL_TOO_LARGE, "more than %u tags", GAL_REGISTRY_TAGS_MAX);
        if (l->count == l->room) {
            size_t room = l->room ? 2 * l->room : 64;
            struct gal_str *more =
                l->tags
                    ? gal_arena_grow(l->arena, l->tags, l->room * sizeof *more, room * sizeof *more)
                    : gal_arena_alloc(l->arena, room * sizeof *more);
            if (!more)
                return gal_arena_fail(l->arena, room * sizeof *more, "tags", err);
            l->tags = more;
            l->room = room;
        }
        l->tags[l->count++] = tag;
    }
    return GAL_OK;
}

/* The target of rel="next" in a Link header; false: this was the last page. */
static bool next_page(const struct gal_fetch_response *answer, struct gal_str *target)
{
    struct gal_str link = gal_fetch_header(answer, "link");
    const char *open = link.n ? memchr(link.p, '<', link.n) : NULL;
    const char *close = open ? memchr(open, '>', (size_t)(link.p + link.n - open)) : NULL;
    if (!close || !memmem(close, (size_t)(link.p + link.n - close), "next", 4))
        return false;
    *target = (struct gal_str){open + 1, (size_t)(close - open) - 1};
    return true;
}

static enum gal_status take_page(struct gal_registry *r, const struct gal_fetch_response *answer,
                                 struct tag_list *l, char *url, bool *more, struct gal_err *err)
{
    struct gal_str target;
    char relative[2048];
    yyjson_val *root;
    size_t before = l->count;
    enum gal_status status =
        gal_json_read(gal_buf_str(&answer->body), l->arena, GAL_JSON_DEPTH_MAX, &root, err);
    if (!status)
        status = add_tags(l, yyjson_obj_get(root, "tags"), err);
    *more = !status && l->count > before && next_page(answer, &target);
    if (!*more)
        return status;
    if (target.n >= sizeof relative)
        return gal_fail(err, GAL_TOO_LARGE, "the next page's URL is too long");
    snprintf(relative, sizeof relative, "%.*s", GAL_STR_ARG(target));
    return gal_fetch_resolve(r->fetcher, answer->url, relative, url, GAL_URL_BYTES_MAX, err);
}

static int by_bytes(const void *a, const void *b)
{
    const struct gal_str *x = a, *y = b;
    int order = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

enum gal_status gal_registry_tags(struct gal_registry *r, struct gal_arena *arena,
                                  struct gal_str **tags, size_t *count, struct gal_err *err)
{
    struct tag_list l = {.arena = arena};
    char url[GAL_URL_BYTES_MAX], first[GAL_REGISTRY_URL_SIZE];
    enum gal_status status = GAL_OK;
    bool more = true;
    gal_err_clear(err);
    gal_registry_url(r, first, "tags/list?n=1000");
    snprintf(url, sizeof url, "%s", first);
    for (unsigned page = 0; more && !status && page < PAGES_MAX; page++) {
        struct gal_fetch_response answer;
        struct gal_fetch_request q = {.url = url, .body_max = GAL_OCI_MANIFEST_BYTES_MAX};
        status = gal_registry_call(r, false, &q, &answer, err);
        if (!status && answer.status != 200)
            status = gal_registry_failed(r, &q, &answer, err);
        if (!status)
            status = take_page(r, &answer, &l, url, &more, err);
        gal_fetch_response_release(&answer);
    }
    if (!status && l.count)
        qsort(l.tags, l.count, sizeof *l.tags, by_bytes);
    *tags = l.tags;
    *count = status ? 0 : l.count;
    return status;
}

enum gal_status gal_registry_hint_tags(struct gal_registry *r, struct gal_err *err)
{
    struct gal_arena arena;
    struct gal_str *tags;
    size_t count, n = 0;
    char text[160];
    gal_arena_init(&arena, 4096, 0, 16u << 20);
    enum gal_status status = gal_registry_tags(r, &arena, &tags, &count, NULL);
    if (status == GAL_OK) {
        text[0] = '\0';
        for (size_t i = count > TAGS_SHOWN ? count - TAGS_SHOWN : 0; i < count; i++) {
            int more = snprintf(text + n, sizeof text - n, "%s%.*s", n ? ", " : "",
                                GAL_STR_SHOWN(tags[i]));
            n += more > 0 && n + (size_t)more < sizeof text ? (size_t)more : 0;
        }
        text[n] = '\0';
        if (count == 0)
            gal_err_hint(err, "it has no tags");
        else
            gal_err_hint(err, count > TAGS_SHOWN ? "its last tags: %s" : "its tags: %s", text);
    }
    gal_arena_release(&arena);
    return status;
}
