/* SPDX-License-Identifier: Apache-2.0 */
/* What numbers in JSON cost: a request of COUNT of them decoded past the tree and through it, and
 * written back, on one thread without sockets.
 * usage: json [COUNT [ROUNDS]]; prints processor time, the least of the rounds, which take turns.
 */
#include "api/oip.h"
#include "codec/tensor_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define COUNT_DEFAULT (224 * 224 * 3)
#define ROUNDS_DEFAULT 20

enum text { SHORT, LONG, TEXTS };
static const char *const texts[TEXTS] = {"as FP32 (shortest)", "as FP64 (17 digits, as Python)"};
enum way { PAST_THE_TREE, TREE, WRITE, WAYS };
static const char *const ways[WAYS] = {"read", "read by the tree", "write"};

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* others may be busy here */
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Numbers from 0 to 1, as pictures and probabilities are. */
static void put_request(struct gal_buf *out, size_t count, enum text text)
{
    uint64_t random = 88172645463325252u;

    gal_buf_printf(out,
                   "{\"inputs\":[{\"name\":\"x\",\"shape\":[%zu],\"datatype\":\"FP32\",\"data\":[",
                   count);
    for (size_t i = 0; i < count; i++) {
        float v;

        random = random * 6364136223846793005u + 1442695040888963407u;
        v = (float)(random >> 40) / 16777216.0f;
        gal_buf_puts(out, i > 0 ? ", " : "");
        if (text == SHORT)
            gal_json_put_f32(out, v);
        else
            gal_json_put_f64(out, (double)v);
    }
    gal_buf_puts(out, "]}]}");
}

static double run(enum way way, struct gal_str body, struct gal_arena *arena, struct gal_buf *out)
{
    struct gal_oip_request req;
    struct gal_err err;
    double start = now_ns();
    enum gal_status st;

    gal_arena_clear(arena);
    st = (way == TREE ? gal_oip_decode_tree : gal_oip_decode)(
        GAL_STR("m"), body, (struct gal_str){NULL, 0}, arena, &req, &err);
    if (way == WRITE && st == GAL_OK) {
        gal_buf_clear(out, SIZE_MAX);
        start = now_ns();
        st = gal_tensor_to_json(&req.inputs[0], false, out, &err);
    }
    if (st != GAL_OK || out->failed) {
        fprintf(stderr, "json: %s\n", st != GAL_OK ? err.message : "no memory");
        exit(1);
    }
    return now_ns() - start;
}

static void measure(size_t count, int rounds, enum text text)
{
    struct gal_buf body, out;
    struct gal_arena arena;
    double least[WAYS] = {0};

    gal_buf_init(&body, SIZE_MAX / 2);
    gal_buf_init(&out, SIZE_MAX / 2);
    gal_arena_init(&arena, GAL_ARENA_FIRST_BYTES, GAL_ARENA_BYTES_MAX, GAL_ARENA_BYTES_MAX);
    put_request(&body, count, text);
    for (int i = 0; i < rounds; i++)
        for (int way = 0; way < WAYS; way++) {
            double ns = run((enum way)way, gal_buf_str(&body), &arena, &out);

            if (i == 0 || ns < least[way])
                least[way] = ns;
        }
    printf("%zu numbers %s\n", count, texts[text]);
    for (int way = 0; way < WAYS; way++)
        printf("  %-18s %8.2f ns a number, %6.0f MB/s\n", ways[way], least[way] / (double)count,
               (double)(way == WRITE ? out.n : body.n) / least[way] * 1e3);
    gal_arena_release(&arena);
    gal_buf_release(&out);
    gal_buf_release(&body);
}

int main(int argc, char **argv)
{
    uint64_t count = COUNT_DEFAULT, rounds = ROUNDS_DEFAULT;

    if (argc > 3 || (argc > 1 && gal_str_u64(gal_str_of(argv[1]), &count) != GAL_OK) ||
        (argc > 2 && gal_str_u64(gal_str_of(argv[2]), &rounds) != GAL_OK) || count == 0 ||
        rounds == 0 || rounds > INT32_MAX) {
        fprintf(stderr, "usage: json [COUNT [ROUNDS]]\n");
        return 2;
    }
    for (int text = 0; text < TEXTS; text++)
        measure((size_t)count, (int)rounds, (enum text)text);
    return 0;
}
