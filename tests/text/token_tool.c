/* SPDX-License-Identifier: Apache-2.0 */
/* usage: token_tool FILE [max_length=N] [pad_length=N] [pad_multiple=N] [pad_token=T] [cased]
 * A tokenizer.json, or a vocab.txt, over lines of JSON lists of texts from standard input: of each
 * list the padded rows, as {"ids": [[...]], "mask": [[...]], "types": [[...]]}. For the comparison
 * with the library. */
#include "base/file.h"
#include "text/tokenizer.h"

#include "text/json.h"

#include <stdio.h>
#include <stdlib.h>

static struct gal_arena arena, batch;
static struct gal_err err;

static void check(enum gal_status st)
{
    if (st == GAL_OK)
        return;
    printf("{\"error\": \"%s\", \"place\": \"%s\"}\n", err.message, err.place);
    exit(1);
}

static void put(const char *name, const int64_t *v, size_t rows, size_t length)
{
    printf("\"%s\": [", name);
    for (size_t i = 0; i < rows; i++) {
        printf("%s[", i > 0 ? ", " : "");
        for (size_t k = 0; k < length; k++)
            printf("%s%lld", k > 0 ? "," : "", (long long)v[i * length + k]);
        printf("]");
    }
    printf("]");
}

static void run(const struct gal_tokenizer *t, struct gal_str line)
{
    struct gal_token_rows rows;
    yyjson_val *root, *item;
    yyjson_arr_iter iter;
    int64_t *v[3];
    size_t n, length;

    check(gal_json_read(line, &batch, 4, &root, &err));
    n = yyjson_arr_size(root);
    check(gal_token_rows_init(&rows, t, n, &batch, &err));
    yyjson_arr_iter_init(root, &iter);
    while ((item = yyjson_arr_iter_next(&iter)) != NULL)
        check(gal_token_rows_add(
            &rows, (struct gal_str){yyjson_get_str(item), yyjson_get_len(item)}, &err));
    length = gal_token_rows_length(&rows);
    for (size_t i = 0; i < 3; i++) {
        v[i] = gal_arena_array(&batch, n * length, sizeof(**v));
        GAL_ASSERT(v[i] != NULL);
    }
    for (size_t i = 0; i < n; i++)
        gal_token_rows_put(&rows, i, length, v[0] + i * length, v[1] + i * length,
                           v[2] + i * length);
    printf("{");
    put("ids", v[0], n, length);
    printf(", ");
    put("mask", v[1], n, length);
    printf(", ");
    put("types", v[2], n, length);
    printf("}\n");
    gal_arena_clear(&batch);
}

int main(int argc, char **argv)
{
    struct gal_tokenizer_options o = {.file = "tokenizer.json"};
    struct gal_tokenizer *t;
    struct gal_str file;
    char *line = NULL;
    size_t room = 0;

    gal_arena_init(&arena, 4096, 0, 1u << 30);
    gal_arena_init(&batch, 65536, 16u << 20, 1u << 30);
    for (int i = 2; i < argc; i++) {
        struct gal_str rest = gal_str_of(argv[i]), key;
        uint64_t n = 0;

        (void)gal_str_cut(&rest, '=', &key);
        if (gal_str_is(key, "pad_token"))
            o.pad_token = rest;
        else if (gal_str_is(key, "cased"))
            o.keep_case = true;
        else {
            check(gal_str_u64(rest, &n));
            *(gal_str_is(key, "max_length")   ? &o.max_length
              : gal_str_is(key, "pad_length") ? &o.pad_length
                                              : &o.pad_multiple) = n;
        }
    }
    check(gal_file_map(argv[1], &file, &err));
    check(gal_str_ends(gal_str_of(argv[1]), GAL_STR(".txt"))
              ? gal_tokenizer_read_vocab(file, &o, &arena, &t, &err)
              : gal_tokenizer_read(file, &o, &arena, &t, &err));
    for (ssize_t n; (n = getline(&line, &room, stdin)) > 0;)
        run(t, (struct gal_str){line, (size_t)n});
    free(line);
    gal_file_unmap(file);
    gal_arena_release(&batch);
    gal_arena_release(&arena);
    return 0;
}
